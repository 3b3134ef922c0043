"""Read the results of a batch from the records beside the files."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError
from ..settings.catalogue import STEMS
from . import record
from .jobs import SOUNDS


@dataclass(frozen=True)
class Result:
    """A finished track, from its record.

    Attributes
    ----------
    place : record.Place
        Folder and names of its files.
    files : dict of Path
        By product, the newest file of each. Removed files are left out.
    source : Path
        The input, which may no longer exist.
    seconds : float
        Length of the input.
    tags : dict of str
    version : str
        Version of this package.
    changes : dict of str
        Settings that differ from the defaults.
    libraries : dict of str
        Versions of the libraries.
    layout : {"mixture", "mir1k"}
        Layout of the channels of the input.
    excerpt : str
        The part of the song that was processed, such as "10-30 s"; empty for the whole song.
    backing : dict
        Settings of the backing track, as in `backing.Params`; empty without one.
    """

    place: record.Place
    files: dict[str, Path]
    source: Path
    seconds: float
    tags: dict[str, str]
    version: str
    changes: dict[str, str]
    libraries: dict[str, str]
    layout: str = "mixture"
    excerpt: str = ""
    backing: dict[str, float | None] = field(default_factory=dict)


def results(folder: Path) -> tuple[list[Result], list[str]]:
    """Return the finished tracks below a folder in order, and a message for each unreadable record.

    Raises
    ------
    ConfigError
        If the folder does not exist, or contains nothing that this package made.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder")
    found: list[Result] = []
    errors = []
    for path in _records(folder):
        known = record.read(path)
        if known is None:
            errors.append(f"{path}: is damaged, or of another version, and is ignored; separate its track again")
        else:
            found += _results(record.Place(path.parent.parent, known[0]), known[1])
    if not found and not errors:
        raise ConfigError(f"{folder}: contains nothing that karaoke-sep separate or karaoke made")
    return sorted(found, key=lambda result: (result.place.folder, result.place.name)), errors


def _records(folder: Path) -> list[Path]:
    hidden = (Path(here) for here, _, _ in os.walk(folder) if os.path.basename(here) == record.FOLDER)
    return sorted(path for here in hidden for path in here.iterdir() if record.is_record(path.name))


def _results(place: record.Place, made: record.Record) -> Iterator[Result]:
    """Yield the stems of a track and each of its backing tracks, if they exist."""
    there = {name: entry for name, entry in made.items() if (place.folder / name).is_file()}
    backings = {name: entry for name, entry in there.items() if entry.product == "karaoke"}
    others = {name: entry for name, entry in there.items() if name not in backings}
    if any(entry.product in STEMS for entry in others.values()):
        yield _result(place, others)
        others = {}
    for name, entry in backings.items():
        yield _result(place, others | {name: entry})


def _result(place: record.Place, there: record.Record) -> Result:
    latest = [entry for entry in there.values() if entry.product in SOUNDS][-1]
    return Result(
        place=place,
        files={entry.product: place.folder / name for name, entry in there.items()},
        source=place.folder / latest.source,
        seconds=latest.seconds,
        tags=latest.tags,
        version=latest.version,
        changes=latest.changes,
        libraries=latest.libraries,
        layout=latest.layout,
        excerpt=latest.excerpt,
        backing=latest.backing,
    )
