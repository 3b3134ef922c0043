"""Reuse of freed memory. To return it to the system and request it again takes a fifth of the time of `fast`."""

import ctypes
from contextlib import suppress
from functools import lru_cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST_ARRAY = 32 << 20  # bytes; the largest that glibc accepts
_KEPT = 64 << 20  # bytes


@lru_cache(maxsize=1)
def keep_freed() -> None:
    """Have this process keep up to 64 MB of the memory that it frees.

    glibc raises its thresholds to these values by itself, but only after it has freed arrays of that size, and not in
    Dask workers, which are started with MALLOC_TRIM_THRESHOLD_=65536.
    """
    with suppress(AttributeError, OSError, TypeError):  # not on every system
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_ARRAY)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
