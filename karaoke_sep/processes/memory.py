"""Freed memory is kept for the next array: to give it back to the system and fetch it again costs a fifth of `fast`."""

import ctypes
from contextlib import suppress
from functools import lru_cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST_ARRAY = 32 << 20  # bytes; the largest that glibc accepts
_KEPT = 64 << 20  # bytes


@lru_cache(maxsize=1)
def keep_freed() -> None:
    """Have this process keep up to 64 MB of what it frees.

    glibc comes to these bounds by itself, but only after it has freed arrays of that size, and not at all under Dask,
    which starts its workers with MALLOC_TRIM_THRESHOLD_=65536.
    """
    with suppress(AttributeError, OSError, TypeError):  # not on every system
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_ARRAY)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
