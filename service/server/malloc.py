"""Configures glibc's malloc so that large blocks return to the operating system as soon as they are freed.

glibc allocates blocks above a threshold with mmap, and raises the threshold to the size of the largest freed block.
After one flood of large bodies, later large blocks would come from the heap and stay with the process (fragmentation).
"""

import ctypes

MMAP_THRESHOLD = -3
"""`M_MMAP_THRESHOLD` of malloc.h. Setting the threshold also disables its automatic increase."""
LARGE_BYTES = 128 * 1024
"""glibc's initial threshold. The memory of one ticket is smaller; onnxruntime manages the model's arena itself."""


def fix_mmap_threshold() -> None:
    """Call once, before the first large allocation."""
    try:
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, LARGE_BYTES)
    except (OSError, AttributeError):  # not glibc: nothing to configure
        return
