"""Find the cover of a song: a picture beside it, or the one inside its file."""

import os
from pathlib import Path
from typing import NamedTuple

from . import tags

_NAMES = ("cover", "folder", "front")
_SUFFIXES = (".jpg", ".jpeg", ".png")
_MAX_BYTES = 20_000_000
_FLAC_PICTURE = 6  # kind of a metadata block


class Cover(NamedTuple):
    """The bytes of a picture file, and the suffix of its format."""

    data: bytes
    suffix: str


def beside(song: Path) -> Path | None:
    """Return the picture file named like the song, perhaps with ``[CO]``, or ``cover``, ``folder`` or ``front``."""
    names = (song.stem, f"{song.stem} [CO]", *_NAMES)  # the second as in the folders of karaoke games
    wanted = [f"{name}{suffix}".lower() for name in names for suffix in _SUFFIXES]
    folder = song.absolute().parent
    pictures = {name.lower(): name for name in sorted(os.listdir(folder)) if name.lower().endswith(_SUFFIXES)}
    named = (folder / pictures[name] for name in wanted if name in pictures)
    return next((path for path in named if path.is_file() and path.stat().st_size <= _MAX_BYTES), None)


def inside(song: Path) -> Cover | None:
    """Return the picture in the file of a song."""
    data = tags.read(song, {}).cover if _may_hold_one(song) else b""
    return Cover(data, ".png" if data.startswith(b"\x89PNG") else ".jpg") if data else None


def _may_hold_one(song: Path) -> bool:
    """Return False if the blocks of a FLAC or WAV file hold no picture: ffprobe takes a tenth of a second to say so."""
    with open(song, "rb") as file:
        start = file.read(12)
        if start.startswith(b"fLaC"):
            file.seek(4)
            while len(head := file.read(4)) == 4:
                if head[0] & 0x7F == _FLAC_PICTURE:
                    return True
                if head[0] & 0x80:  # the last block before the sound
                    return False
                file.seek(int.from_bytes(head[1:], "big"), 1)
        if start.startswith(b"RIFF") and start.endswith(b"WAVE"):
            while len(head := file.read(8)) == 8:
                if head[:4].lower() == b"id3 ":
                    return True
                size = int.from_bytes(head[4:], "little")
                file.seek(size + size % 2, 1)
            return False
    return True
