"""One training over several processes, as `torchrun` starts them. The main one speaks, writes and exports.

Without torchrun there is one process, and it is the main one.
"""

import os

import torch.distributed as dist


def is_main() -> bool:
    """Whether this process is the one that speaks and writes; known before anything is set up."""
    return int(os.environ.get("RANK", "0")) == 0


def processes() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def agreed(decision: bool) -> bool:
    """The main process's decision, for all: clocks differ, and a save takes every process."""
    if not dist.is_initialized():
        return decision
    from accelerate.utils import broadcast_object_list  # type: ignore[import-untyped]  # ships no type information

    return bool(broadcast_object_list([decision])[0])


def wait_for_all() -> None:
    """Go on when every process has come this far."""
    if dist.is_initialized():
        dist.barrier()


def leave() -> None:
    """End the common work; what follows is the main process's alone."""
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
