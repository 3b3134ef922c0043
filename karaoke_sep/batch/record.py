"""Record of the files that were made from a track: their input, their settings and hashes of their content.

Records are in a hidden folder beside the files. A file that is in no record was not made by this package. A file whose
content differs from its record was changed by hand. Neither is replaced unless the user gives --overwrite.
"""

import errno
import hashlib
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from ..files import atomic

FOLDER = ".karaoke-sep"
_FORMAT = 1
_MAX_BYTES = 1 << 20  # of a record; the usual size is a few thousand
_MAX_NUMBER = 1 << 63


@dataclass(frozen=True)
class Place:
    """Folder and names of the files of a track.

    Attributes
    ----------
    folder : Path
        The nearest folder that contains all of them.
    name : str
        Path of each below ``folder``, without suffix, and with "{stem}" for the product.
    """

    folder: Path
    name: str

    @property
    def record(self) -> Path:
        """File of the record."""
        return self._hidden(".json")

    @property
    def lock(self) -> Path:
        """Lock file that a process holds while it writes here."""
        return self._hidden(".lock")

    @property
    def parts(self) -> Path:
        """Folder of files that are not complete yet."""
        return self._hidden(".parts")

    def _hidden(self, suffix: str) -> Path:
        key = hashlib.sha256(os.fsencode(self.name)).hexdigest()[:16]
        return self.folder / FOLDER / f"{key}{suffix}"


@dataclass(frozen=True)
class Content:
    """Size and hash of the content of a file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Made:
    """A file that was made.

    Attributes
    ----------
    product : str
    source : str
        Path of the input, relative to the folder of the place.
    identity : dict
        Identity of the input, from `identity`.
    settings : str
        Digest of everything except the input and the version that the content depends on.
    version : str
        Version of this package.
    contents : tuple of Content
        The content of the file. While the files of a job are being renamed, it may still have an earlier content, which
        is the second entry.
    seen : tuple of int, optional
        Modification time and status-change time of the file, ns, when it had that content.
    seconds : float
        Length of the input.
    tags, changes, libraries : dict of str
        Tags of the input, settings that differ from the defaults, and versions.
    layout : {"mixture", "mir1k"}
        Layout of the channels of the input.
    excerpt : str
        The part of the song that was processed, such as "10-30 s"; empty for the whole song.
    backing : dict
        Settings of the backing track, as in `backing.Params`; empty for other products.
    """

    product: str
    source: str
    identity: dict[str, str | int]
    settings: str
    version: str
    contents: tuple[Content, ...]
    seen: tuple[int, int] | None = None
    seconds: float = 0.0
    tags: dict[str, str] = field(default_factory=dict)
    changes: dict[str, str] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    layout: str = "mixture"
    excerpt: str = ""
    backing: dict[str, float | None] = field(default_factory=dict)

    def content_of(self, path: Path) -> int | None:
        """Return which of the contents a file has, or None if it was changed after it was made."""
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return None
        if self.seen == _times(status) and status.st_size == self.contents[0].bytes:
            return 0
        if status.st_size not in {content.bytes for content in self.contents}:
            return None
        found = content_of(path)
        return self.contents.index(found) if found in self.contents else None

    def settled(self, path: Path) -> "Made":
        """Return the entry of a file that has its final name and content."""
        return replace(self, contents=self.contents[:1], seen=_times(path.stat()))


Record = dict[str, Made]  # by path relative to the folder of the place, with slashes


def content_of(path: Path) -> Content:
    """Return size and hash of the content of a file."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return Content(file.tell(), digest.hexdigest())


def identity(source: Path) -> dict[str, str | int]:
    """Return what identifies an input, without reading its content."""
    status = source.stat()
    return {"name": os.fsencode(source.name).hex(), "bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


def name_below(folder: Path, path: Path) -> str:
    """Return the name of a file in a record."""
    return path.relative_to(folder).as_posix()


def write(place: Place, record: Mapping[str, Made]) -> None:
    """Write the record of a place."""
    values = {
        "karaoke-sep": _FORMAT,
        "name": place.name,
        "files": {name: asdict(made) for name, made in record.items()},
    }
    with atomic.whole_file(place.record) as part:
        part.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> tuple[str, Record] | None:
    """Return the name of a place and its record; None if the file does not exist or is no record of this package."""
    try:
        values = _values(path)
        if values["karaoke-sep"] != _FORMAT or not isinstance(values["files"], dict):
            return None
        return _encodable(values["name"]), {_safe(name): _made(made) for name, made in values["files"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, MemoryError):
        return None


def is_record(name: str) -> bool:
    """Return whether a file in the hidden folder has the name of a record; incomplete records begin with a dot."""
    return name.endswith(".json") and not name.startswith(".")


def files_in(folder: Path) -> Iterator[tuple[Path, Made]]:
    """Yield each file that the records in ``folder`` name, whether or not it exists."""
    try:
        names = sorted(os.listdir(folder / FOLDER))
    except OSError:
        return
    for name in names:
        found = read(folder / FOLDER / name) if is_record(name) else None
        for below, made in (found[1] if found else {}).items():
            yield folder / below, made


def _values(path: Path) -> dict[str, Any]:
    """Return the JSON object in a small regular file. Pipes are not read, and links are not followed."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file")
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError("is too long")
    values = json.loads(data)
    if not isinstance(values, dict):
        raise TypeError("is not an object")
    return values


def _made(values: Mapping[str, Any]) -> Made:
    """Return an entry after all of its values have been checked."""
    of_input, seen = values["identity"], values["seen"]
    contents = tuple(Content(_count(each["bytes"]), _text(each["sha256"])) for each in values["contents"])
    if not contents:
        raise ValueError("no content is recorded")
    return Made(
        product=_text(values["product"]),
        source=_encodable(values["source"]),
        identity={
            "name": _text(of_input["name"]),
            "bytes": _count(of_input["bytes"]),
            "mtime_ns": _count(of_input["mtime_ns"], -_MAX_NUMBER),
        },
        settings=_text(values["settings"]),
        version=_text(values["version"]),
        contents=contents,
        seen=None if seen is None else (_count(seen[0], -_MAX_NUMBER), _count(seen[1], -_MAX_NUMBER)),
        seconds=_seconds(values["seconds"]),
        tags=_texts(values["tags"]),
        changes=_texts(values["changes"]),
        libraries=_texts(values["libraries"]),
        layout=_text(values["layout"]),
        excerpt=_text(values["excerpt"]),
        backing={_text(name): _gain(value) for name, value in values["backing"].items()},
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("is not a text")
    value.encode()  # fails for half a character
    return value


def _texts(values: Any) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in values.items()}


def _encodable(value: Any) -> str:
    """Return a text that can be a path on this system."""
    if not isinstance(value, str) or "\0" in value:
        raise TypeError("is not a path")
    os.fsencode(value)
    return value


def _safe(name: Any) -> str:
    """Return the name of a file that lies below the folder of its record."""
    path = PurePath(_encodable(name))
    if path.is_absolute() or not path.parts or ".." in path.parts:
        raise ValueError("leads out of its folder")
    return name


def _count(value: Any, least: int = 0) -> int:
    if type(value) is not int or not least <= value < _MAX_NUMBER:
        raise ValueError("is not a count")
    return value


def _seconds(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value < _MAX_NUMBER:
        raise ValueError("is not a length")
    return float(value)


def _gain(value: Any) -> float | None:
    if value is not None and (type(value) not in (int, float) or not abs(value) < _MAX_NUMBER):
        raise ValueError("is not a number")
    return value


def _times(status: os.stat_result) -> tuple[int, int]:
    return status.st_mtime_ns, status.st_ctime_ns
