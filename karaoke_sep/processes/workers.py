"""Processes to work in: on this machine, on a Dask cluster or on a Ray cluster.

`open_helper` is one more process, for work in short steps. The others are for long ones, and give futures. Joblib's own
backends would be shorter, but its Dask backend waits for ever when a worker dies, and its Ray backend gives no result
before all are there.
"""

import multiprocessing
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from ..errors import ConfigError, how_to_install
from .signals import held_back, leave_stopping_to_the_parent

_IDLE_S = 30  # a process without work ends after at most twice that, or it would outlive a parent that was killed
Workers = tuple[Callable[..., Future], type[Exception] | tuple[type[Exception], ...]]


class NoProcessesError(Exception):
    """No process can be started beside this one, as where there is no /dev/shm."""


def open_workers(engine: str, n_jobs: int = 1, scheduler: str | None = None) -> AbstractContextManager[Workers]:
    """Open worker processes for the length of a context.

    Parameters
    ----------
    engine : {"local", "dask", "ray"}
    n_jobs : int
        Processes on this machine; a cluster has its own number.
    scheduler : str, optional
        Address of the cluster.

    Returns
    -------
    context manager
        Gives a function like ``Executor.submit``, and what a future raises whose process died. Whatever has not begun
        when the context is left is not done.

    Raises
    ------
    ConfigError
        On entering: when the cluster cannot be reached, or its library is not installed.
    NoProcessesError
        On entering: when no process can be started on this machine.
    """
    if engine == "local":
        return _local(n_jobs)
    return {"dask": _dask, "ray": _ray}[engine](scheduler)


@contextmanager
def _local(n_jobs: int) -> Iterator[Workers]:
    # Loky, unlike the standard library's pool, does not run the caller's main module again.
    from joblib.externals.loky import ProcessPoolExecutor

    def submit(*args: Any) -> Future:
        with held_back():  # a process that has died, or ended because it was idle, starts again here
            return executor.submit(*args)

    with _silent_tracker(), _start_reported():
        executor = ProcessPoolExecutor(
            n_jobs, timeout=_IDLE_S, context=_start_method(), initializer=leave_stopping_to_the_parent
        )
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # threads of BLAS, which it joins
            submit(int)  # the processes start here
    try:
        yield submit, BrokenProcessPool
    finally:
        with _silent_threads():
            executor.shutdown(kill_workers=True)


@contextmanager
def open_helper(function: Callable) -> Iterator[Callable[..., Callable]]:
    """Open a process beside this one that computes one function, over and over.

    Arguments and results go through a pipe of its own: the queues and threads of `open_workers` take 10 ms a call.

    Returns
    -------
    context manager
        Gives a function that begins with the given arguments, and gives a function that waits for the result. Either
        raises EOFError or OSError when the process has died, the latter what ``function`` raised, if it did. One
        result has to be fetched before the next is begun.
    """
    from joblib.externals.loky.backend import get_context

    context: Any = _start_method() or get_context("loky")
    ours, theirs = context.Pipe()
    with _silent_tracker(), held_back():
        process = context.Process(target=_serve, args=(function, theirs, ours), daemon=True)
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # threads of BLAS, which it joins
            process.start()
    theirs.close()

    def begin(*args: Any) -> Callable:
        ours.send(args)
        return wait

    def wait() -> Any:
        result = ours.recv()
        if isinstance(result, Exception):
            raise result
        return result

    try:
        yield begin
    finally:
        ours.close()  # at which it ends by itself, unless it computes
        process.terminate()
        process.join()


def _serve(function: Callable, theirs: Any, ours: Any) -> None:
    ours.close()  # a copy; while it is open, the end of the other process cannot be seen
    leave_stopping_to_the_parent()
    with suppress(EOFError, OSError):  # the other process needs no more, or is gone
        while True:
            args = theirs.recv()
            try:
                result = function(*args)
            except Exception as error:
                result = error
            theirs.send(result)


def _start_method() -> multiprocessing.context.BaseContext | None:
    """Choose forking, which saves each process the imports, where it is safe; None for loky's own method.

    Another thread might hold a lock that nobody in the new process would ever release. Systems other than Linux have
    libraries that do not survive it.
    """
    alone = threading.active_count() == 1 and threading.current_thread() is threading.main_thread()
    return multiprocessing.get_context("fork") if sys.platform == "linux" and alone else None


@contextmanager
def _start_reported() -> Iterator[None]:
    try:
        yield
    except (OSError, ImportError) as err:  # of semaphores, which need shared memory
        raise NoProcessesError(str(getattr(err, "strerror", None) or err).lower()) from None


@contextmanager
def _silent_tracker() -> Iterator[None]:
    """Silence loky's tracker, which may warn of a semaphore that a stopped pool has just removed (joblib 1.6)."""
    option = "ignore:resource_tracker:UserWarning"
    sys.warnoptions.append(option)  # its process starts with the options of this one
    try:
        yield
    finally:
        sys.warnoptions.remove(option)


@contextmanager
def _silent_threads() -> Iterator[None]:
    """Silence loky's manager thread, which fails on jobs that were cancelled (KeyError in joblib 1.6)."""
    before, threading.excepthook = threading.excepthook, lambda _: None
    try:
        yield
    finally:
        threading.excepthook = before


@contextmanager
def _dask(scheduler: str | None) -> Iterator[Workers]:
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise ConfigError(f"--engine dask: not installed here; {how_to_install('dask')}") from None
    if scheduler is None:
        raise ConfigError("--engine dask: needs --scheduler, such as tcp://192.0.2.1:8786")
    try:
        client = Client(scheduler, timeout="5s", set_as_default=False)
    except (OSError, ValueError) as err:
        raise ConfigError(f"--scheduler {scheduler}: no Dask scheduler answers there ({err})") from None
    with client, client.get_executor(pure=False) as executor:
        try:
            yield executor.submit, KilledWorker
        finally:
            executor.shutdown(wait=False)


@contextmanager
def _ray(address: str | None) -> Iterator[Workers]:
    try:
        import ray
    except ImportError:
        raise ConfigError(f"--engine ray: not installed here; {how_to_install('ray')}") from None
    try:
        ray.init(address=address or "auto", log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as err:
        reason = str(err).partition("\n")[0]
        raise ConfigError(f"--scheduler {address}: no Ray cluster answers there ({reason})") from None
    try:
        yield (
            lambda function, *args: ray.remote(max_retries=0)(function).remote(*args).future(),
            (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError),
        )
    finally:
        ray.shutdown()
