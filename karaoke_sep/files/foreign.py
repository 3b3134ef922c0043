"""Keep files that this package did not make, where the user gives the name of an output.

The records of a batch tell which of its outputs are ours. A file with a name of the user's choice has no record, and a
stem that was moved has lost it. A mark in the file then tells that this package made it.
"""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from ..errors import ConfigError

MARK = b"karaoke-sep"  # at the start of each picture and stem
# In a WAV file with the size of its samples, because editors keep the mark when they save another sound. Then in the
# comment header of FLAC and Ogg, and in the tag of MP3.
_OF_SOUNDS = re.compile(rb"ISFT.{4}%b, (\d+) bytes|(?:\x0b\0\0\0|TSSE.{6}\0)%b" % (MARK, MARK), re.DOTALL)
_MAX_HEADER_BYTES = 1 << 16
_HEAD_BYTES = 1 << 10


def check_replaceable(path: Path, is_ours: Callable[[Path], bool], way_out: str) -> None:
    """Raise ConfigError if a file exists that this package did not make. An empty file may be replaced.

    Parameters
    ----------
    path : Path
    is_ours : callable
        Takes a regular file that is not empty, and returns whether this package made it.
    way_out : str
        What the user can do, such as "give another --csv".
    """
    try:
        status = path.stat()
    except OSError:  # usually there is none; other errors are reported when the file is written
        return
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{path}: is not a regular file; {way_out}")
    if status.st_size and not is_ours(path):
        raise ConfigError(f"{path}: was made elsewhere and is kept; {way_out}")


def is_own_picture(path: Path) -> bool:
    """Return whether this package drew a picture."""
    found = head(path)
    return found.startswith(b"\x89PNG") and MARK in found


def is_own_sound(path: Path) -> bool:
    """Return whether this package made a stem or a backing track, and no program has changed its length or format."""
    found = _OF_SOUNDS.search(head(path))
    if not found or found[1] is None:
        return bool(found)
    return 0 <= path.stat().st_size - int(found[1]) < _MAX_HEADER_BYTES


def head(path: Path) -> bytes:
    """Return the first bytes of a regular file; empty if it cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # reading a pipe would block
            return b""
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""
