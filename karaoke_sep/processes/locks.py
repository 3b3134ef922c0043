"""Locks between processes, which the operating system releases when a process ends in any way."""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_RETRY_S = 0.1
# Some network file systems have no locks. Then the work continues without a lock.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class LockedError(Exception):
    """Another process holds the lock."""


@contextmanager
def locked(path: Path, patience_s: float | None = None) -> Iterator[None]:
    """Hold the lock of a lock file.

    The lock file and its folder are created, and removed again when no other process needs them.

    Parameters
    ----------
    path : Path
    patience_s : float, optional
        Time to wait for another process; by default without limit.

    Raises
    ------
    LockedError
        If another process holds the lock for longer than ``patience_s``.
    OSError
        If the lock file cannot be created.
    """
    last_s = None if patience_s is None else time.monotonic() + patience_s
    while True:
        descriptor = _opened(path)
        try:
            _lock(descriptor, last_s)
            if _is_still_there(path, descriptor):  # otherwise another process has just removed it
                break
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)
        with suppress(OSError):
            path.parent.rmdir()  # fails unless it is empty


def _opened(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another process has just removed the empty folder
            return os.open(path, flags, 0o666)


def _is_still_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _lock(descriptor: int, last_s: float | None) -> None:
    while not _try_lock(descriptor):
        if last_s is not None and time.monotonic() >= last_s:
            raise LockedError
        time.sleep(_RETRY_S)


def _try_lock(descriptor: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as err:
        if err.errno in _NO_LOCKS:
            return True
        if err.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        raise
    return True
