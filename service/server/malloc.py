"""How the C library keeps memory: large pieces go back to the system as soon as they are let go of.

glibc raises the size from which on it does so to that of the largest piece it has seen, so that after one flood of
large bodies every later one stays with the process, in holes between smaller pieces.
"""

import ctypes

MMAP_THRESHOLD = -3
"""`M_MMAP_THRESHOLD` of malloc.h. Setting it at all also keeps it from being raised."""
LARGE_BYTES = 128 * 1024
"""glibc's own figure to begin with. What a ticket takes is smaller, a model's arena is onnxruntime's own affair."""


def return_large_pieces() -> None:
    """Call it once, before anything large has been allocated."""
    try:
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, LARGE_BYTES)
    except (OSError, AttributeError):  # another C library than glibc: it has its own ways
        return
