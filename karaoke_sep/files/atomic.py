"""Files that appear under their name when they are whole."""

import glob
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import soundfile

from ..errors import OutputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; the file takes its place once it is whole and on the disk.

    Raises
    ------
    OutputError
        When it cannot be written; ``path`` is then what it was before.
    """
    # A process that was orphaned may still be writing to its own part.
    part = path.with_name(f".part-{os.getpid()}-{_mark(path)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, soundfile.SoundFileError) as err:
        reason = getattr(err, "strerror", None) or getattr(err, "error_string", None) or str(err)
        raise OutputError(f"{path}: cannot be written ({reason.rstrip('.').lower()})") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def remove_parts(path: Path) -> None:
    """Remove what stopped processes left of ``path``. No pattern for stems matches these files."""
    for part in path.parent.glob(f".part-*-{glob.escape(_mark(path))}"):
        part.unlink(missing_ok=True)


def _mark(path: Path) -> str:
    """Something short for a name that may have no room left for a prefix."""
    return hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16] + path.suffix
