"""Find the sound files among the inputs, and the contour that belongs to each."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from ..errors import InputError
from ..files import sound_info
from ..files.contours import SUFFIXES as CONTOUR_SUFFIXES
from .jobs import Job
from .sidecar import SIDECAR

_MIR1K_NAME = re.compile(r"[A-Za-z]+_\d+_\d+")  # singer_song_clip


def looks_like_mir1k(jobs: Iterable[Job]) -> bool:
    """Whether a clip among the inputs seems to hold accompaniment and voice on its two channels, as MIR-1K does."""
    return any(
        _MIR1K_NAME.fullmatch(job.source.stem)
        and (job.info.rate_hz, job.info.n_channels) == (16_000, 2)
        and (job.source.parent.name == "Wavfile" or (job.source.absolute().parent.parent / "PitchLabel").is_dir())
        for job in jobs
    )


def find_inputs(inputs: Iterable[Path], output: Path) -> tuple[list[tuple[Path, PurePath]], list[tuple[Path, str]]]:
    """Sound files among the inputs, each once, with its sub-folder below the input that led to it.

    A folder is searched through, links to folders too, but each folder once, and without our own stems: what lies below
    ``output``, or beside a sidecar.
    """
    found: dict[str, tuple[Path, PurePath]] = {}
    faults = []
    for given_path in inputs:
        if not given_path.is_dir():
            found.setdefault(real_path(given_path), (given_path, PurePath()))
            continue
        files = sorted(_search(given_path, output))
        if not files:
            faults.append((given_path, f"{given_path}: there is no sound file in this folder"))
        for path in files:
            found.setdefault(real_path(path), (path, path.parent.relative_to(given_path)))
    return list(found.values()), faults


def real_path(path: str | Path) -> str:
    """Where a path leads; unlike `Path.resolve`, also one of a link to itself, which fails later in one line."""
    return os.path.realpath(path)


def _search(folder: Path, output: Path) -> Iterator[Path]:
    seen = {real_path(output)} - {real_path(folder)}
    for here, folders, names in os.walk(folder, followlinks=True):
        if real_path(here) in seen or f"{SIDECAR}.json" in names:
            folders.clear()
            continue
        seen.add(real_path(here))
        yield from (
            Path(here, name) for name in names if Path(name).suffix.lower() in sound_info.SUFFIXES and name[0] != "."
        )


def contour_of(source: Path, parent: PurePath, contours: Path | None) -> Path | None:
    """Contour file of a track; in a folder of them, that of the same sub-folder comes first."""
    if contours is None or not contours.is_dir():
        return contours
    for folder in (contours / parent, contours):
        for suffix in CONTOUR_SUFFIXES:
            path = folder / f"{source.stem}{suffix}"
            if path.is_file():
                return path
    raise InputError(f"{source}: no pitch contour {source.stem}.csv (or .pv, .tsv, .txt) in {contours}")
