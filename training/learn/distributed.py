"""One training run over several processes, started by `torchrun`. Only the main process prints, writes and exports.

Without torchrun, the single process is the main process.
"""

import os

import torch.distributed as dist


def is_main() -> bool:
    """Whether this is the main process; valid before torch's process group is set up."""
    return int(os.environ.get("RANK", "0")) == 0


def processes() -> int:
    """The number of processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def agreed(decision: bool) -> bool:
    """The main process's decision, sent to all: clocks differ between processes, and a save needs every process."""
    if not dist.is_initialized():
        return decision
    from accelerate.utils import broadcast_object_list  # type: ignore[import-untyped]  # untyped package

    return bool(broadcast_object_list([decision])[0])


def wait_for_all() -> None:
    """Wait until every process reaches this point."""
    if dist.is_initialized():
        dist.barrier()


def leave() -> None:
    """End the joint work; the main process continues alone."""
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
