"""Find the sound files among the inputs, and the contour that belongs to each."""

import fnmatch
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from ..datasets import mir1k
from ..errors import ConfigError, InputError
from ..files import foreign, sound_info
from ..files.contours import SUFFIXES as CONTOUR_SUFFIXES
from . import record
from .jobs import Job

_MAX_ENDINGS = 5  # named in a message
_TRANSPORT_STREAM = 0x47  # first byte of an MPEG transport stream; other files end in .ts too


@dataclass(frozen=True)
class Found:
    """Sound files among the inputs.

    Attributes
    ----------
    parents : dict
        For each file its sub-folder below the input that led to it.
    searched : set of Path
        Those that were found in a folder; the user named the others.
    errors : list of (Path, str)
        An error for each input, or folder below an input, that cannot be used.
    notes : list of str
        A message for each file that is skipped.
    """

    parents: dict[Path, PurePath] = field(default_factory=dict)
    searched: set[Path] = field(default_factory=set)
    errors: list[tuple[Path, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def looks_like_mir1k(jobs: Iterable[Job]) -> bool:
    """Whether one of the inputs looks like a clip of MIR-1K: accompaniment left, voice right."""
    return any(mir1k.looks_like_clip(job.source, job.info.rate_hz, job.info.n_channels) for job in jobs)


def find_inputs(inputs: Iterable[Path], exclude: Iterable[str] = ()) -> Found:
    """Find the sound files among the inputs, each once.

    Folders are searched, and so are links to folders, but each folder only once. Files that this package made are left
    out; the records beside them name them. If a sound and a video in one folder have the same name, the sound is used.

    Parameters
    ----------
    inputs : iterable of Path
        Files and folders.
    exclude : iterable of str
        Shell patterns of names, or of paths below a folder, to leave out.

    Raises
    ------
    ConfigError
        If the patterns leave out all inputs.
    """
    found, ours = Found(), _Ours()
    patterns = tuple(os.path.normpath(pattern) for pattern in exclude if pattern)  # "live/" and "./live" are "live"
    paths: dict[str, Path] = {}
    asked = list(inputs)
    named = [path for path in asked if not _excluded(PurePath(path.name), patterns)]
    if asked and not named:
        raise ConfigError("--exclude: the patterns leave out all inputs; change them")
    for given in named:
        if not given.is_dir():
            paths.setdefault(os.path.realpath(given), given)
            found.parents.setdefault(paths[os.path.realpath(given)], PurePath())
    _pass_over_own_outputs(found, ours)
    for given in named:
        if not given.is_dir():
            continue
        files = _search(given, patterns, ours, found)
        for path in files:
            if paths.setdefault(os.path.realpath(path), path) == path:
                found.parents[path] = path.parent.relative_to(given)
                found.searched.add(path)
    return found


def _pass_over_own_outputs(found: Found, ours: "_Ours") -> None:
    """Leave out files that were made from another input; a shell pattern often matches both."""
    sources = {os.path.realpath(path) for path in found.parents}
    for path in list(found.parents):
        if ours.source_of(path) in sources - {os.path.realpath(path)}:
            del found.parents[path]
            found.notes.append(f"{path}: skipped because it was made from another input")


class _Ours:
    """Files that this package made, from the records in each folder."""

    def __init__(self) -> None:
        self._sources: dict[str, str] = {}
        self._looked: set[str] = set()

    def look_in(self, folder: str) -> None:
        """Read the records in a folder, once."""
        if folder not in self._looked:
            self._looked.add(folder)
            for path, made in record.files_in(Path(folder)):
                self._sources[os.path.realpath(path)] = os.path.realpath(Path(folder, made.source))

    def look_above(self, folder: str) -> None:
        """Read the records in a folder and in all above it."""
        for above in (Path(folder), *Path(folder).parents):
            self.look_in(str(above))

    def source_of(self, path: Path) -> str | None:
        """Return the resolved path of the input that a file was made from; None for a file without a record."""
        self.look_above(os.path.dirname(os.path.realpath(path)))
        return self._sources.get(os.path.realpath(path))

    def has(self, path: Path) -> bool:
        """Return whether this package made a file; its folder has been read."""
        return os.path.realpath(path) in self._sources


def _search(folder: Path, patterns: tuple[str, ...], ours: _Ours, found: Found) -> list[Path]:
    """Return the songs below a folder in order, with a message for each file that cannot be read or is skipped."""
    n_errors, songs, others, n_ours = len(found.errors), [], set(), 0

    def cannot(err: OSError) -> None:
        found.errors.append((Path(err.filename), f"{err.filename}: {(err.strerror or 'cannot be read').lower()}"))

    ours.look_above(os.path.realpath(folder))
    for here, names in _walk(folder, patterns, cannot):
        ours.look_in(os.path.realpath(here))
        paths = [Path(here, name) for name in names]
        paths = [path for path in paths if not _excluded(path.relative_to(folder), patterns)]
        n_ours += sum(map(ours.has, paths))
        sounds = [path for path in paths if _looks_like_sound(path) and not ours.has(path)]
        others |= {path.suffix.lower() for path in paths} - {path.suffix.lower() for path in sounds}
        moved = [path for path in sounds if foreign.is_own_sound(path)]
        found.notes.extend(
            f"{path}: skipped because karaoke-sep made it; name the file to separate it" for path in moved
        )
        n_ours += len(moved)
        songs += _without_videos_of_songs([path for path in sounds if path not in moved], found)
    if not songs and len(found.errors) == n_errors:
        endings = sorted(filter(None, others))[:_MAX_ENDINGS]
        more = f" (only {', '.join(endings)})" if endings and not n_ours else ""
        what = "no sound file in this folder" if not n_ours else "no song in this folder, only stems and backing tracks"
        kept = " that --exclude does not leave out" if patterns else ""
        found.errors.append((folder, f"{folder}: there is {what}{more}{kept}"))
    return sorted(songs)


def _walk(
    folder: Path, patterns: tuple[str, ...], cannot: Callable[[OSError], None]
) -> Iterator[tuple[str, list[str]]]:
    seen = set()
    for here, folders, names in os.walk(folder, followlinks=True, onerror=cannot):
        if os.path.realpath(here) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(here))
        below = PurePath(os.path.relpath(here, folder))
        folders[:] = [name for name in folders if name != record.FOLDER and not _excluded(below / name, patterns)]
        yield here, [name for name in names if name[0] != "."]


def _without_videos_of_songs(paths: list[Path], found: Found) -> list[Path]:
    """Leave out videos beside a sound of the same name, as in the folders of UltraStar."""
    sounds = {path.stem.casefold(): path for path in paths if path.suffix.lower() not in sound_info.VIDEO_SUFFIXES}
    kept = []
    for path in paths:
        sound = sounds.get(path.stem.casefold(), path)
        if path.suffix.lower() in sound_info.VIDEO_SUFFIXES and sound != path:
            found.notes.append(f"{path}: skipped because {sound.name} is beside it")
        else:
            kept.append(path)
    return kept


def _looks_like_sound(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix != ".ts":
        return suffix in sound_info.SUFFIXES
    try:
        if not path.is_file():  # reading a pipe would block
            return False
        with open(path, "rb") as file:
            return file.read(1) == bytes([_TRANSPORT_STREAM])
    except OSError:
        return True  # reported later


def _excluded(path: PurePath, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns for name in (path.name, path.as_posix()))


def contour_of(source: Path, parent: PurePath, contours: Path | None) -> Path | None:
    """Return the contour file of a track; in a folder of contours, the same sub-folder is preferred."""
    if contours is None or not contours.is_dir():
        return contours
    for folder in (contours / parent, contours):
        for suffix in CONTOUR_SUFFIXES:
            path = folder / f"{source.stem}{suffix}"
            if path.is_file():
                return path
    raise InputError(f"{source}: no pitch contour {source.stem}.csv (or .pv, .tsv, .txt) in {contours}")
