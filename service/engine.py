"""`Engine`: one bundle ready to answer: opened, loaded, its golden rows replayed on the runner that will serve.

`app.py` opens one at start, `router.py` asks it. It never changes; another bundle is another engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.bundle import Bundle, open_bundle
from models.encoding import Encoding
from models.errors import BundleError
from models.golden import Replay, replay
from models.scoring import Logits
from service.batcher import Batcher, BatchReport, Limits
from service.cores import usable_cores
from service.decision import ModelIdentity
from service.packing import Packing
from service.processor import instructions
from service.runner import DeviceError, Runner, cuda_offered, open_runner
from service.settings import Settings

FASTEST_FIRST = {"cpu": ("int8", "fp32"), "cuda": ("fp16", "fp32")}
"""`auto`: a variant stands in a bundle only when its own gates passed, so the fastest one that suits is right."""
BATCH_TOKENS = {"cpu": 512, "cuda": 16384}
MAX_PADDING = {"cpu": 0.1, "cuda": 0.5}
"""On a CPU eight tickets together cost some 10 % less each than alone, so padding may not cost more than that."""
CUDA_RUNNERS = 2


@dataclass(frozen=True, slots=True)
class Engine:
    bundle: Bundle
    runner: Runner
    batcher: Batcher
    limits: Limits
    model: ModelIdentity
    replayed: Replay


def open_engine(settings: Settings, on_batch: Callable[[BatchReport], None], bundle: Bundle | None = None) -> Engine:
    """Verify, load and replay; takes seconds, so call it in a thread.

    Raises:
        BundleError: the bundle is missing, damaged, foreign, or its golden rows come out differently here.
        DeviceError: the device asked for is not there.
    """
    bundle = bundle or open_bundle(settings.bundle)
    device, variant, runner = _open_runner(settings, bundle)

    def infer(encodings: Sequence[Encoding]) -> Logits:
        return runner.run(bundle.encoder.batch(encodings))

    replayed = _replay(bundle, runner, variant)
    limits = _limits(settings, device, bundle.encoder.max_tokens)
    model = ModelIdentity(bundle.version, variant, bundle.manifest.text_version)
    return Engine(bundle, runner, Batcher(infer, limits, on_batch), limits, model, replayed)


def _open_runner(settings: Settings, bundle: Bundle) -> tuple[str, str, Runner]:
    """Device, variant and runner. `auto` falls back to the CPU where a GPU is offered but does not start."""
    if settings.device == "auto" and cuda_offered():
        try:
            return _open_on("cuda", settings, bundle)
        except DeviceError:
            return _open_on("cpu", settings, bundle)
    return _open_on("cuda" if settings.device == "cuda" else "cpu", settings, bundle)


def _open_on(device: str, settings: Settings, bundle: Bundle) -> tuple[str, str, Runner]:
    variant = _variant(settings.variant, device, bundle)
    graph = bundle.read(bundle.model(variant).file)
    return device, variant, open_runner(graph, device, settings.intra_op_threads)


def _variant(choice: str, device: str, bundle: Bundle) -> str:
    if choice != "auto":
        return choice
    here = instructions()
    suiting = {entry.variant for entry in bundle.manifest.models if entry.suits(device, here)}
    return next((variant for variant in FASTEST_FIRST[device] if variant in suiting), bundle.manifest.models[0].variant)


def _replay(bundle: Bundle, runner: Runner, variant: str) -> Replay:
    try:
        return replay(bundle, runner.run, bundle.model(variant).tolerance)
    except BundleError:
        raise
    except Exception as error:  # whatever onnxruntime makes of a graph that does not fit its tokenizer or its labels
        raise BundleError(
            f"bundle {bundle.version}: its graph cannot run ({type(error).__name__}); export it anew"
        ) from error


def _limits(settings: Settings, device: str, max_tokens: int) -> Limits:
    runners = settings.runners or (CUDA_RUNNERS if device == "cuda" else usable_cores())
    packing = Packing(settings.max_batch_tokens or BATCH_TOKENS[device], MAX_PADDING[device])
    return Limits(packing, settings.queue_tokens, runners, max_tokens)
