"""One thread for BLAS, which rounds differently with another number of threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController


@contextmanager
def one_thread() -> Iterator[None]:
    """Context, or decorator, in which the BLAS of NumPy has one thread."""
    with _controller().limit(limits=1):
        yield


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    """Looks through all loaded libraries, 1 ms, which short clips would pay again and again."""
    return ThreadpoolController()
