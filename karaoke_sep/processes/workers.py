"""Worker processes on this machine, on a Dask cluster or on a Ray cluster.

`open_helper` starts one further process for many short calls. `open_workers` is for long jobs, and returns futures. The
backends of joblib would take less code, but its Dask backend never returns if a worker dies, and its Ray backend
returns no result before all are finished.
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

_IDLE_S = 30  # an idle process ends after at most twice that time, also if its parent was killed
Workers = tuple[Callable[..., Future], type[Exception] | tuple[type[Exception], ...]]


class NoProcessesError(Exception):
    """No further process can be started, for example without /dev/shm."""


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
        Gives a function like ``Executor.submit``, and the exception that a future raises if its process died. Jobs that
        have not begun when the context ends are cancelled.

    Raises
    ------
    ConfigError
        On entering, if the cluster cannot be reached, or its library is not installed.
    NoProcessesError
        On entering, if no process can be started on this machine.
    """
    if engine == "local":
        return _local(n_jobs)
    return {"dask": _dask, "ray": _ray}[engine](scheduler)


@contextmanager
def _local(n_jobs: int) -> Iterator[Workers]:
    # Unlike the pool of the standard library, loky does not run the main module of the caller again.
    from joblib.externals.loky import ProcessPoolExecutor

    def submit(*args: Any) -> Future:
        with held_back():  # a process that has died, or ended because it was idle, starts again here
            return executor.submit(*args)

    with _silent_tracker(), _start_reported():
        executor = ProcessPoolExecutor(
            n_jobs, timeout=_IDLE_S, context=start_method(), initializer=leave_stopping_to_the_parent
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
    """Open one further process that computes one function repeatedly.

    Arguments and results go through a pipe. The queues and threads of `open_workers` would take 10 ms per call.

    Returns
    -------
    context manager
        Gives a function that starts a call with its arguments, and returns a function that waits for the result. Both
        raise EOFError or OSError if the process has died. The second one also raises the exceptions of ``function``.
        A result must be fetched before the next call.
    """
    from joblib.externals.loky.backend import get_context

    context: Any = start_method() or get_context("loky")
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
        ours.close()  # an idle process ends when its pipe is closed
        process.terminate()
        process.join()


def _serve(function: Callable, theirs: Any, ours: Any) -> None:
    ours.close()  # while this copy is open, the end of the other process is not visible
    leave_stopping_to_the_parent()
    with suppress(EOFError, OSError):  # the other process does not need it any more, or has ended
        while True:
            args = theirs.recv()
            try:
                result = function(*args)
            except Exception as error:
                result = error
            theirs.send(result)


def start_method() -> multiprocessing.context.BaseContext | None:
    """Choose to fork, which avoids the imports in each process, if it is safe; None for the default of loky.

    It is not safe if there are other threads, because a lock that a thread holds is never released in the new process.
    Some libraries of systems other than Linux do not work after a fork.
    """
    alone = threading.active_count() == 1 and threading.current_thread() is threading.main_thread()
    return multiprocessing.get_context("fork") if sys.platform == "linux" and alone else None


@contextmanager
def _start_reported() -> Iterator[None]:
    try:
        yield
    except (OSError, ImportError) as err:  # semaphores, which need shared memory
        raise NoProcessesError(str(getattr(err, "strerror", None) or err).lower()) from None


@contextmanager
def _silent_tracker() -> Iterator[None]:
    """Silence the tracker of loky, which may warn of a semaphore that a stopped pool has removed (joblib 1.6)."""
    option = "ignore:resource_tracker:UserWarning"
    sys.warnoptions.append(option)  # its process starts with the options of this one
    try:
        yield
    finally:
        sys.warnoptions.remove(option)


@contextmanager
def _silent_threads() -> Iterator[None]:
    """Silence the manager thread of loky, which fails on cancelled jobs (KeyError in joblib 1.6)."""
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
