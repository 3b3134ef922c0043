"""Find and read stems that any tool wrote, beside the reference stems.

A track has ``vocals`` and ``accompaniment`` (or ``instrumental``, or ``no_vocals``), in any sound format, or the parts
of the accompaniment, ``bass``, ``drums`` and ``other``. Three layouts are recognised:

- a folder for each track: ``song/vocals.wav``, ``song/accompaniment.wav`` (Spleeter, Demucs, MUSDB as WAV files);
- flat names: ``song.vocals.wav``, ``song_vocals.wav``, ``song_(Vocals).wav``, ``song_(Vocals)_model.wav``;
- MUSDB's ``song.stem.mp4``, which holds five sounds, and which ffmpeg reads.

Tracks of two folders belong together if they have the same path in them, or else the same name. Lossy codecs fill their
last frame, so the decoded stems are cut to the shortest if one of them is lossy.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import ConfigError, InputError, counted
from ..files import reading, sound_info
from ..files.sample_formats import is_lossy
from ..types import Audio

ACCOMPANIMENTS = (("accompaniment",), ("instrumental",), ("no_vocals",), ("bass", "drums", "other"))
MUSDB_SUFFIX = ".stem.mp4"
_PADDING_SAMPLES = 4096  # two frames of the longest codec
MUSDB_STREAMS = {"vocals": (5,), "accompaniment": (2, 3, 4)}  # after the mixture: drums, bass, other, vocals
_ROLES = "no_vocals|vocals|accompaniment|instrumental|bass|drums|other"  # the longer of two that match comes first
_FLAT_NAME = re.compile(rf"(?P<track>.+?)(?:[ ._-]+(?P<plain>{_ROLES})|[ ._-]*\((?P<bracketed>{_ROLES})\).*)", re.I)


@dataclass(frozen=True)
class StemFiles:
    """Files of one track. The accompaniment is the sum of its files; a file of MUSDB holds both stems."""

    vocals: tuple[Path, ...]
    accompaniment: tuple[Path, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files, each once."""
        return tuple(dict.fromkeys((*self.vocals, *self.accompaniment)))


@dataclass(frozen=True)
class Pair:
    """A track with reference stems and estimated stems."""

    name: str
    reference: StemFiles
    estimate: StemFiles

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files, those of the reference first."""
        return tuple(dict.fromkeys((*self.reference.paths, *self.estimate.paths)))


def find_pairs(estimates: str | os.PathLike, references: str | os.PathLike) -> list[Pair]:
    """Return the tracks to score, in the order of their names.

    Raises
    ------
    ConfigError
        If a reference has no estimate, or an estimate with another sample rate, length or number of channels. The text
        has a line for each error.
    """
    true, estimated, errors = find_tracks(Path(references)), find_tracks(Path(estimates)), []
    by_name = {Path(name).name: files for name, files in estimated.items()}
    pairs = []
    for name, reference in true.items():
        estimate = estimated.get(name) or by_name.get(Path(name).name)
        if len(true) == len(estimated) == 1:
            estimate = next(iter(estimated.values()))
        if estimate is None:
            errors.append(f"{estimates}: no stems for {name}; expected {Path(estimates) / name}/vocals.*")
            continue
        pairs.append(Pair(name, reference, estimate))
        errors += _differences(pairs[-1])
    if errors:
        raise ConfigError("\n".join(errors))
    return pairs


def load(pair: Pair) -> tuple[Audio, Audio, Audio, Audio]:
    """Return the reference vocals and accompaniment, then the estimated ones.

    Raises
    ------
    InputError
        If the files hold different numbers of samples, by more than the padding of a lossy codec.
    """
    stems = (*read(pair.reference), *read(pair.estimate))
    lengths = [stem.n_samples for stem in stems]
    shortest, padding = min(lengths), _PADDING_SAMPLES if any(map(_is_lossy, pair.paths)) else 0
    if max(lengths) - shortest > padding:
        raise InputError(f"{pair.name}: its stems hold {', '.join(map(str, lengths))} samples; write them again")
    vocals, accompaniment, estimated_vocals, estimated_accompaniment = (stem.excerpt(0, shortest) for stem in stems)
    return vocals, accompaniment, estimated_vocals, estimated_accompaniment


def read(files: StemFiles) -> tuple[Audio, Audio]:
    """Return vocals and accompaniment of a track."""
    return _sum(files.vocals, "vocals"), _sum(files.accompaniment, "accompaniment")


def find_tracks(root: Path) -> dict[str, StemFiles]:
    """Return the tracks below a folder, by their paths in it.

    Raises
    ------
    ConfigError
        If there is no such folder or no track in it, or a track lacks its accompaniment, or has two files for a stem.
    """
    if not root.is_dir():
        raise ConfigError(f"{root}: no such folder")
    tracks: dict[str, StemFiles] = {}
    stems: dict[str, dict[str, Path]] = {}
    for path in sound_files(root):
        track, role = _track_and_role(path, root)
        if role == "all":
            tracks[track] = StemFiles((path,), (path,))
        elif other := stems.setdefault(track, {}).get(role):
            raise ConfigError(f"{path}: is the {role} of {track}, and so is {other.name}; leave one of them there")
        elif role:
            stems[track][role] = path
    for track, by_role in stems.items():
        if "vocals" not in by_role:
            continue
        vocals = by_role["vocals"]
        parts = next((parts for parts in ACCOMPANIMENTS if by_role.keys() >= set(parts)), None)
        if parts is None:
            raise ConfigError(f"{vocals.parent}: no accompaniment.* (or instrumental.*) beside {vocals.name}")
        tracks[track] = StemFiles((vocals,), tuple(by_role[part] for part in parts))
    if not tracks:
        raise ConfigError(
            f"{root}: no track in it; a track is a folder with vocals.* and accompaniment.*, or files such as "
            "song.vocals.wav and song.accompaniment.wav"
        )
    return dict(sorted(tracks.items()))


def _track_and_role(path: Path, root: Path) -> tuple[str, str]:
    """Return the track of a file and its role in it: a stem, "all" for a file of MUSDB, or "" for another sound."""
    folder = path.parent.relative_to(root)
    if path.name.lower().endswith(MUSDB_SUFFIX):
        return (folder / path.name[: -len(MUSDB_SUFFIX)]).as_posix(), "all"
    if re.fullmatch(_ROLES, path.stem, re.I):
        return _of_musdb(folder.as_posix()), path.stem.lower()
    if match := _FLAT_NAME.fullmatch(path.stem):
        track = _of_musdb((folder / match["track"]).as_posix())
        return track, (match["plain"] or match["bracketed"]).lower()
    return folder.as_posix(), ""


def _of_musdb(track: str) -> str:
    """Return the name of a track without the ".stem" that separators keep of a file name of MUSDB."""
    return track.removesuffix(MUSDB_SUFFIX.removesuffix(".mp4"))


def sound_files(root: Path) -> list[Path]:
    """Return the sound files below a folder; links to folders are followed, and each folder is searched once."""
    found, seen = [], set()
    for here, folders, names in os.walk(root, followlinks=True):
        if os.path.realpath(here) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(here))
        found += [Path(here, name) for name in names if Path(name).suffix.lower() in sound_info.SUFFIXES]
    return sorted(found)


def _differences(pair: Pair) -> list[str]:
    """Return the reasons why the files of a pair cannot be compared, from their headers."""
    first, *others = pair.paths
    true = _probe(first)
    errors = []
    for path in others:
        info = _probe(path)
        if info.rate_hz != true.rate_hz:
            errors.append(f"{path}: {info.rate_hz} Hz, but {first} has {true.rate_hz}; resample it")
        elif info.n_channels != true.n_channels:
            errors.append(
                f"{path}: {counted(info.n_channels, 'channel')}, but {first} has {true.n_channels}; convert one of them"
            )
        elif (
            None not in (info.n_samples, true.n_samples)
            and info.n_samples != true.n_samples
            and not (is_lossy(info.subtype) or is_lossy(true.subtype))
        ):
            errors.append(f"{path}: {info.n_samples} samples, but {first} has {true.n_samples}; cut both alike")
    return errors


def _is_lossy(path: Path) -> bool:
    return is_lossy(_probe(path).subtype)


def _probe(path: Path) -> sound_info.SoundInfo:
    return sound_info.probe(path, 1 if path.name.lower().endswith(MUSDB_SUFFIX) else None)


def _sum(paths: Iterable[Path], stem: Literal["vocals", "accompaniment"]) -> Audio:
    """Return the sum of the files of a stem."""
    sounds = []
    for path in paths:
        streams = MUSDB_STREAMS[stem] if path.name.lower().endswith(MUSDB_SUFFIX) else (None,)
        sounds += [reading.read(path, stream=stream)[0] for stream in streams]
    if len({sound.samples.shape for sound in sounds}) > 1:
        raise InputError(f"{path.parent}: bass, drums and other differ in length or channels; write them again")
    return Audio(np.sum([sound.samples for sound in sounds], axis=0), sounds[0].rate_hz)
