"""Find the cover of a song: a picture beside it, or the one inside its file."""

from pathlib import Path
from typing import NamedTuple

from . import tags

_NAMES = ("cover", "folder", "front")
_SUFFIXES = (".jpg", ".jpeg", ".png")
_MAX_BYTES = 20_000_000


class Cover(NamedTuple):
    """The bytes of a picture file, and the suffix of its format."""

    data: bytes
    suffix: str


def find(song: Path) -> Cover | None:
    """Return the picture named like the song, ``cover``, ``folder`` or ``front``, or the one in the song's file."""
    wanted = [f"{name}{suffix}".lower() for name in (song.stem, *_NAMES) for suffix in _SUFFIXES]
    beside = {path.name.lower(): path for path in sorted(song.absolute().parent.iterdir())}
    for path in (beside[name] for name in wanted if name in beside):
        if path.is_file() and path.stat().st_size <= _MAX_BYTES:
            return Cover(path.read_bytes(), path.suffix.lower())
    data = tags.read(song, {}).cover
    return Cover(data, ".png" if data.startswith(b"\x89PNG") else ".jpg") if data else None
