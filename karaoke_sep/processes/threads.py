"""Limits on the threads of BLAS and OpenMP, because the rounding of BLAS depends on the number of threads."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from threadpoolctl import ThreadpoolController

from .signals import undisturbed


@contextmanager
def thread_limit(n_threads: int) -> Iterator[None]:
    """Limit the threads of all loaded BLAS and OpenMP libraries, as a context or as a decorator."""
    with _controller(len(sys.modules)).limit(limits=n_threads):
        yield


def one_thread() -> Any:
    """Limit BLAS and OpenMP to one thread, as a context or as a decorator, so that results do not depend on it."""
    return thread_limit(1)


@lru_cache(maxsize=1)
def _controller(n_modules: int) -> ThreadpoolController:
    """Return the controller of the libraries that are loaded now.

    Searching for them takes 1 ms, which matters for batches of short clips. A new library can only have been loaded if
    the number of imported modules, ``n_modules``, has changed.
    """
    with undisturbed():  # outside Linux, the search calls Python for each library
        return ThreadpoolController()
