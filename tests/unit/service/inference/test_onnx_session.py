"""`service.inference.onnx_session`: one graph gives the same results with any binding and on any device. GPU tests run
where onnxruntime offers CUDA and there is a GPU."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from models.bundle.bundle import Bundle, open_bundle
from models.bundle.golden import load_rows
from models.bundle.manifest import ModelEntry
from models.encoding import Batch, Encoding
from models.errors import BundleError
from service.inference.engine import Engine, open_engine
from service.inference.onnx_session import CUDA, PROVIDERS, DeviceError, Runner, cuda_offered, open_runner
from service.settings import Settings

needs_cuda = pytest.mark.skipif(not cuda_offered(), reason="this onnxruntime offers no CUDA")


@pytest.fixture(scope="module")
def bundle(tiny_bundle_path: Path) -> Bundle:
    return open_bundle(tiny_bundle_path)


@pytest.fixture(scope="module")
def batches(bundle: Bundle) -> list[Batch]:
    """Golden rows alone, and all of them in one padded batch."""
    encodings = [Encoding(row.ids, truncated=False) for row in load_rows(bundle)]
    return [*(bundle.encoder.batch([each]) for each in encodings), bundle.encoder.batch(encodings)]


def graph_of(bundle: Bundle) -> bytes:
    return bundle.read(bundle.fp32.entry.file)


def largest_difference(one: Runner, other: Runner, batches: list[Batch]) -> float:
    return max(float(np.abs(one.run(batch) - other.run(batch)).max()) for batch in batches)


def test_bound_inputs_give_the_same_logits(bundle: Bundle, batches: list[Batch]) -> None:
    """I/O binding, as used on a GPU, on the CPU: bit for bit in float32, for batches of different shapes."""
    plain = open_runner(graph_of(bundle), "cpu", 1)
    bound = replace(plain, bound=True)
    assert not plain.bound
    for batch in batches * 2:
        assert bound.run(batch).dtype == np.float32
        np.testing.assert_array_equal(bound.run(batch), plain.run(batch))


def test_result_of_a_bound_run_is_not_overwritten(bundle: Bundle, batches: list[Batch]) -> None:
    """By the next run."""
    runner = replace(open_runner(graph_of(bundle), "cpu", 1), bound=True)
    first = runner.run(batches[-1])
    kept = first.copy()
    runner.run(Batch(batches[-1].input_ids[::-1].copy(), batches[-1].attention_mask[::-1].copy()))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_and_fusion_do_not_change_the_logits(bundle: Bundle, batches: list[Batch], threads: int) -> None:
    """Within the tolerance that the bundle promises: the plan decides speed, not results."""
    planned = open_runner(graph_of(bundle), "cpu", threads)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(graph_of(bundle), options, providers=["CPUExecutionProvider"])
    plain = replace(planned, session=session)
    assert largest_difference(planned, plain, batches) <= bundle.fp32.entry.tolerance


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_unavailable_device_is_a_one_line_error(bundle: Bundle, device: str) -> None:
    """It names the device, the missing part and the remedy; onnxruntime itself would use the CPU."""
    if PROVIDERS[device] in onnxruntime.get_available_providers():
        pytest.skip(f"this onnxruntime offers {device}")
    with pytest.raises(DeviceError) as refused:
        open_runner(graph_of(bundle), device, 1)
    message = str(refused.value)
    assert message.startswith(f"device {device}: this onnxruntime has no {PROVIDERS[device]}; ")
    assert "\n" not in message


def test_graph_with_other_inputs_or_outputs_is_refused(bundle: Bundle) -> None:
    """A graph that onnxruntime can run and that is no classifier."""
    import onnx

    model = onnx.load_from_string(graph_of(bundle))
    for node in model.graph.node:
        for number, name in enumerate(node.output):
            if name == "logits":
                node.output[number] = "scores"
    model.graph.output[0].name = "scores"
    with pytest.raises(BundleError, match="no sequence classifier"):
        open_runner(model.SerializeToString(), "cpu", 1)


def test_a_graph_without_a_pooled_vector_is_refused(bundle: Bundle) -> None:
    import onnx

    model = onnx.load_from_string(graph_of(bundle))
    del model.graph.output[1]
    with pytest.raises(BundleError, match="no output named pooled; train it again"):
        open_runner(model.SerializeToString(), "cpu", 1)


def test_logits_are_the_same_with_and_without_the_pooled_output(bundle: Bundle, batches: list[Batch]) -> None:
    """Golden rows replay both outputs; tickets need only logits. Also with bound inputs."""
    plain = open_runner(graph_of(bundle), "cpu", 1)
    for runner in (plain, replace(plain, bound=True)):
        both = runner.run_with_pooled(batches[-1])
        np.testing.assert_array_equal(both.logits, runner.run(batches[-1]))
        assert both.pooled.shape == (len(both.logits), bundle.manifest.encoder.width)
        assert both.pooled.dtype == np.float32


def on_gpu(bundle: Bundle, entry: ModelEntry) -> Runner:
    """A runner on CUDA; skips if onnxruntime offers CUDA and no GPU responds."""
    try:
        return open_runner(bundle.read(entry.file), "cuda", 1)
    except DeviceError as error:
        pytest.skip(str(error))


def made_for_cuda(bundle: Bundle) -> ModelEntry:
    """The fp16 graph, if the bundle has one."""
    return next((entry for entry in bundle.manifest.models if entry.variant == "fp16"), bundle.fp32.entry)


@needs_cuda
def test_cuda_provider_is_used(bundle: Bundle) -> None:
    """The session's first provider is CUDA, and its inputs are bound."""
    runner = on_gpu(bundle, bundle.fp32.entry)
    assert (runner.provider, runner.session.get_providers()[0], runner.bound) == (CUDA, CUDA, True)


@needs_cuda
def test_logits_of_a_gpu_are_within_the_tolerance(bundle: Bundle, batches: list[Batch]) -> None:
    """Compared with torch's logits of the golden rows, with and without padding."""
    entry = made_for_cuda(bundle)
    runner = on_gpu(bundle, entry)
    expected = np.array([row.logits for row in load_rows(bundle)], dtype=np.float32)
    alone = np.concatenate([runner.run(batch) for batch in batches[:-1]])
    assert np.abs(alone - expected).max() <= entry.tolerance
    assert np.abs(runner.run(batches[-1]) - expected).max() <= entry.tolerance


@needs_cuda
def test_bound_and_plain_agree_on_a_gpu(bundle: Bundle, batches: list[Batch]) -> None:
    bound = on_gpu(bundle, made_for_cuda(bundle))
    assert largest_difference(bound, replace(bound, bound=False), batches) == 0


@needs_cuda
def test_auto_uses_the_gpu(bundle: Bundle, tiny_bundle_path: Path, tmp_path: Path) -> None:
    """With the plan of a GPU: larger batches, and no session for lone tickets."""
    on_gpu(bundle, bundle.fp32.entry)
    settings = Settings(bundle=tiny_bundle_path, device="auto", state_dir=tmp_path)
    engine: Engine = open_engine(settings, lambda _report: None, tiny_bundle_path)
    assert (engine.provider, engine.plan.lone_threads) == (CUDA, None)
    assert engine.plan.max_batch_tokens == 16384
