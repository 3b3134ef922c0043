"""Stems that any tool wrote, beside the true ones.

A track is a folder that holds ``vocals`` and ``accompaniment`` (or ``instrumental``, or ``no_vocals``), in any sound
format, or instead of the accompaniment its parts, ``bass``, ``drums`` and ``other``, as MUSDB has them. Tracks of two
folders belong together if they lie at the same place in them, or else have the same name.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ConfigError, InputError
from ..files import reading, sound_info
from ..types import Audio

ACCOMPANIMENTS = (("accompaniment",), ("instrumental",), ("no_vocals",), ("bass", "drums", "other"))


@dataclass(frozen=True)
class StemFiles:
    """Files of one track; the accompaniment is the sum of its files."""

    vocals: tuple[Path, ...]
    accompaniment: tuple[Path, ...]


@dataclass(frozen=True)
class Pair:
    """A track of which there are true stems and estimates."""

    name: str
    reference: StemFiles
    estimate: StemFiles

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files, those of the reference first."""
        both = (self.reference, self.estimate)
        return tuple(path for files in both for path in (*files.vocals, *files.accompaniment))


def find_pairs(estimates: Path, references: Path) -> list[Pair]:
    """Return the tracks to score, in the order of their names.

    Raises
    ------
    ConfigError
        If a reference has no estimate, or one of another rate, length or number of channels. The text has a line for
        each fault.
    """
    true, made, faults = find_tracks(Path(references)), find_tracks(Path(estimates)), []
    by_name = {Path(name).name: files for name, files in made.items()}
    pairs = []
    for name, reference in true.items():
        estimate = made.get(name) or by_name.get(Path(name).name)
        if len(true) == len(made) == 1:
            estimate = next(iter(made.values()))
        if estimate is None:
            faults.append(f"{estimates}: no stems for {name}; expected {Path(estimates) / name}/vocals.*")
            continue
        pairs.append(Pair(name, reference, estimate))
        faults += _differences(pairs[-1])
    if faults:
        raise ConfigError("\n".join(faults))
    return pairs


def load(pair: Pair) -> tuple[Audio, Audio, Audio, Audio]:
    """Return the true vocals and accompaniment, then the estimated ones.

    Raises
    ------
    InputError
        If a file holds another number of samples than its header promised.
    """
    stems = (*read(pair.reference), *read(pair.estimate))
    lengths = [stem.n_samples for stem in stems]
    if len(set(lengths)) > 1:
        raise InputError(f"{pair.name}: its stems hold {', '.join(map(str, lengths))} samples; write them again")
    return stems


def read(files: StemFiles) -> tuple[Audio, Audio]:
    """Return the vocals and the accompaniment of a track."""
    return _sum(files.vocals), _sum(files.accompaniment)


def find_tracks(root: Path) -> dict[str, StemFiles]:
    """Return the tracks below a folder, by their place in it.

    Raises
    ------
    ConfigError
        When there is no such folder, or a track in it lacks its accompaniment, or there is none.
    """
    if not root.is_dir():
        raise ConfigError(f"{root}: no such folder")
    found = {}
    for vocals in sound_files(root):
        if vocals.stem != "vocals":
            continue
        place = vocals.parent.relative_to(root).as_posix()
        beside = {
            path.stem: path for path in sorted(vocals.parent.iterdir()) if path.suffix.lower() in sound_info.SUFFIXES
        }
        parts = next((parts for parts in ACCOMPANIMENTS if beside.keys() >= set(parts)), None)
        if parts is None:
            raise ConfigError(f"{vocals.parent}: no accompaniment.* (or instrumental.*) beside {vocals.name}")
        found[place] = StemFiles((vocals,), tuple(beside[part] for part in parts))
    if not found:
        raise ConfigError(f"{root}: no track in it; a track is a folder with vocals.* and accompaniment.*")
    return found


def sound_files(root: Path) -> list[Path]:
    """Return the sound files below a folder, links to folders followed, each folder once."""
    found, seen = [], set()
    for here, folders, names in os.walk(root, followlinks=True):
        if os.path.realpath(here) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(here))
        found += [Path(here, name) for name in names if Path(name).suffix.lower() in sound_info.SUFFIXES]
    return sorted(found)


def _differences(pair: Pair) -> list[str]:
    """Return the reason why the files of a pair cannot be compared, from their headers."""
    true = sound_info.probe(pair.reference.vocals[0])
    faults = []
    for path in pair.paths:
        info = sound_info.probe(path)
        if info.rate_hz != true.rate_hz:
            faults.append(f"{path}: {info.rate_hz} Hz, but {pair.reference.vocals[0]} has {true.rate_hz}; resample it")
        elif info.n_channels != true.n_channels:
            faults.append(f"{path}: {info.n_channels} channel(s), but the true vocals have {true.n_channels}")
        elif None not in (info.n_samples, true.n_samples) and info.n_samples != true.n_samples:
            faults.append(f"{path}: {info.n_samples} samples, but the true vocals have {true.n_samples}")
    return faults


def _sum(paths: Sequence[Path]) -> Audio:
    sounds = [reading.read(path)[0] for path in paths]
    if len({sound.n_samples for sound in sounds}) > 1:
        raise InputError(f"{paths[0].parent}: bass, drums and other are not of one length; write them again")
    return Audio(np.sum([sound.samples for sound in sounds], axis=0), sounds[0].rate_hz)
