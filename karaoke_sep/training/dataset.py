"""Find recordings to train on: MIR-1K, a folder of stems, or recordings of one side alone.

The singer of a clip of MIR-1K is in its name. The singer of a track in a folder of stems is the first folder of its
path: ``stems/anna/song 1/vocals.wav`` is sung by ``anna``, ``stems/song 1/vocals.wav`` by a singer called ``song 1``.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..datasets import mir1k, stems
from ..errors import ConfigError, InputError
from ..files import reading
from ..types import Audio

SIDES = ("voice", "accompaniment")


@dataclass(frozen=True)
class Piece:
    """One recording to train on.

    Attributes
    ----------
    name : str
    singer : str
        Empty if the singer is unknown.
    paths : tuple of Path
        Its files.
    read : callable
        Return both sides, ``(voice, accompaniment)``; one of them may be None.
    clip : mir1k.Clip or None
    """

    name: str
    singer: str
    paths: tuple[Path, ...]
    read: Callable[[], tuple[Audio | None, Audio | None]]
    clip: mir1k.Clip | None = None


def find(
    folder: Path, train_singers: Sequence[str] = (), test_singers: Sequence[str] = (), only: str | None = None
) -> list[Piece]:
    """Return the recordings of a dataset to train on, in the order of their names.

    Parameters
    ----------
    folder : Path
        MIR-1K, a folder of stems, or with ``only`` also a sound file or a folder of them.
    train_singers : sequence of str
        Use only these; if empty, all that are not test singers.
    test_singers : sequence of str
        Leave these out.
    only : {"voice", "accompaniment"}, optional
        Train this side alone.

    Raises
    ------
    ConfigError
        If there is no recording, a singer is missing, or a singer is named for training and for tests.
    """
    both = sorted(set(train_singers) & set(test_singers))
    if both:
        raise ConfigError(f"{', '.join(both)}: is named for training and for tests; name each singer once")
    pieces = _pieces(Path(folder), only)
    there = sorted({piece.singer for piece in pieces})
    absent = sorted({*train_singers, *test_singers} - set(there))
    if absent:
        raise ConfigError(
            f"{folder}: no singer {', '.join(absent)}; the singers are {', '.join(filter(None, there)) or 'none'}"
        )
    chosen = [p for p in pieces if p.singer not in test_singers and (not train_singers or p.singer in train_singers)]
    if not chosen:
        raise ConfigError(f"{folder}: no recording is left to train on; name fewer singers in --test-singers")
    return chosen


def singers_of(pieces: Iterable[Piece]) -> list[str]:
    """Return the names of the singers, as far as they are known, with a mark in place of what cannot be printed."""
    names = {piece.singer for piece in pieces} - {""}
    return sorted("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name) for name in names)


def _pieces(folder: Path, only: str | None) -> list[Piece]:
    if not folder.exists():
        raise ConfigError(f"{folder}: no such file or folder")
    if folder.is_dir() and mir1k.is_dataset(folder):
        return [Piece(c.name, c.singer, (c.path,), partial(_read_clip, c), c) for c in mir1k.find_clips(folder)]
    paths = stems.sound_files(folder) if folder.is_dir() else [folder]
    stem_names = {path.stem for path in paths}
    if folder.is_dir() and "vocals" in stem_names and not (only == "voice" and stem_names == {"vocals"}):
        return [
            Piece(name, name.split("/")[0], (*files.vocals, *files.accompaniment), partial(_read_stems, files))
            for name, files in stems.find_tracks(folder).items()
        ]
    if only is None:
        raise ConfigError(
            f"{folder}: neither MIR-1K nor folders with vocals.* and accompaniment.*; for recordings of one side use "
            "--only voice or --only accompaniment"
        )
    if not paths:
        raise ConfigError(f"{folder}: there is no sound file in this folder")
    return [Piece(path.stem, "", (path,), partial(_read_one, path, only)) for path in paths]


def _read_clip(clip: mir1k.Clip) -> tuple[Audio, Audio]:
    track = mir1k.load(clip)
    return track.vocals, track.accompaniment


def _read_stems(files: stems.StemFiles) -> tuple[Audio, Audio]:
    voice, accompaniment = stems.read(files)
    if voice.rate_hz != accompaniment.rate_hz:
        raise InputError(
            f"{files.vocals[0]}: {voice.rate_hz} Hz, but its accompaniment has {accompaniment.rate_hz}; resample it"
        )
    return voice, accompaniment


def _read_one(path: Path, only: str) -> tuple[Audio | None, Audio | None]:
    audio, _ = reading.read(path)
    return (audio, None) if only == "voice" else (None, audio)
