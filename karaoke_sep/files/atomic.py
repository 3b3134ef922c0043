"""Write files that appear under their final name only when they are complete."""

import glob
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import soundfile

from ..errors import OutputError

try:
    import fcntl
except ImportError:  # Windows, where open files cannot be removed
    fcntl = None  # type: ignore[assignment]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to, which is renamed to ``path`` when it is complete and on disk.

    The temporary file is new and has a random name, so that no prepared link is followed. It is locked while it is
    written, so that `remove_parts` of another run does not remove it.

    Raises
    ------
    OutputError
        If it cannot be written, or ``path`` is a folder, a pipe or a device. ``path`` is then unchanged.
    """
    part, descriptor = None, None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part, descriptor = _new_part(path)
        yield part
        os.fsync(descriptor)
        if fcntl is None:
            os.close(descriptor)
            descriptor = None
        if path.exists() and not path.is_file():
            raise OutputError(f"{path}: is not a regular file and is kept; choose another name")
        os.replace(part, path)
    except OutputError as err:  # of what wrote the temporary file
        raise OutputError(str(err).replace(str(part), str(path))) from None
    except (OSError, soundfile.SoundFileError) as err:
        reason = getattr(err, "strerror", None) or getattr(err, "error_string", None) or str(err)
        raise OutputError(f"{path}: cannot be written ({reason.rstrip('.').lower()})") from None
    finally:
        if descriptor is not None:
            os.close(descriptor)
        if part is not None:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def remove_parts(path: Path) -> None:
    """Remove the temporary files of ``path`` that stopped processes left."""
    for part in path.parent.glob(f".part-*-{glob.escape(_mark(path))}"):
        with suppress(OSError):  # in use by another process, or already removed by one
            descriptor = os.open(part, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            try:
                _lock(descriptor)
                part.unlink()
            finally:
                os.close(descriptor)


def _new_part(path: Path) -> tuple[Path, int]:
    """Create and lock a temporary file; return its path and its open descriptor."""
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    while True:
        part = path.with_name(f".part-{secrets.token_hex(8)}-{_mark(path)}")
        descriptor = os.open(part, flags, 0o666)
        with suppress(OSError):
            _lock(descriptor)
            os.stat(part)  # another run may have removed it before it was locked
            return part, descriptor
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock a file for this process; raise OSError if another process holds it."""
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _mark(path: Path) -> str:
    """Return a short hash of a name, because a long name leaves no room for a prefix."""
    return hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16] + path.suffix
