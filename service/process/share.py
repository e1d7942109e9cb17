"""What one of several workers may take of the machine, so that together they take no more than it has."""

from models.errors import TicketRouterError
from service.inference.hardware import usable_cores
from service.inference.onnx_session import cuda_offered
from service.settings import Settings


class ShareError(TicketRouterError):
    """So many workers do not fit this machine, or do not go with another setting."""


def share_of(settings: Settings, cores: int | None = None) -> Settings:
    """The settings for each of `settings.workers` processes. `cores`: of the machine; None: as it says.

    Raises:
        ShareError: there are fewer cores than workers, or their threads, as asked for, are more than the cores.
    """
    workers, cores = settings.workers, cores or usable_cores()
    if workers > cores:
        raise ShareError(f"--workers {workers}: this machine has {cores} {_cores(cores)}; ask for at most that many")
    if _on_gpu(settings):  # its runs share the GPU, not the cores
        return settings
    threads = settings.intra_op_threads or 1
    runners = settings.runners or max(1, cores // workers // threads)
    wanted = workers * runners * threads
    if wanted > cores:
        raise ShareError(
            f"--workers {workers} x --runners {runners} x --intra-op-threads {threads} are {wanted} threads, "
            f"and this machine has {cores} {_cores(cores)}; ask for fewer"
        )
    return settings.model_copy(update={"runners": runners, "intra_op_threads": threads})


def _on_gpu(settings: Settings) -> bool:
    return settings.device != "cpu" and (settings.device != "auto" or cuda_offered())


def _cores(count: int) -> str:
    return "core" if count == 1 else "cores"
