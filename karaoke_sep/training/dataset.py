"""Recordings to train on: MIR-1K, a folder of stems, or recordings of one side alone.

A piece of MIR-1K belongs to the singer in its name; one of a folder of stems to the first folder on the way to it, so
``stems/anna/song 1/vocals.wav`` is of ``anna``, and ``stems/song 1/vocals.wav`` of a singer called ``song 1``.
"""

from collections.abc import Callable, Collection, Iterable
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
    """One recording to learn from.

    Attributes
    ----------
    name : str
    singer : str
        Empty if nobody is known to sing.
    paths : tuple of Path
        The files that it is made of.
    read : callable
        Gives both sides, ``(voice, accompaniment)``; one of them may be None.
    clip : mir1k.Clip or None
    """

    name: str
    singer: str
    paths: tuple[Path, ...]
    read: Callable[[], tuple[Audio | None, Audio | None]]
    clip: mir1k.Clip | None = None


def find(
    folder: Path, train_singers: Collection[str] = (), test_singers: Collection[str] = (), only: str | None = None
) -> list[Piece]:
    """Return the pieces of a dataset to train on, in the order of their names.

    Parameters
    ----------
    folder : Path
        MIR-1K, a folder of stems, or with ``only`` also a sound file or a folder of them.
    train_singers : sequence of str
        Only these; all that are not tested on if empty.
    test_singers : sequence of str
        Not these.
    only : {"voice", "accompaniment"}, optional
        The one side that is learned.

    Raises
    ------
    ConfigError
        If nothing is found, a singer is not there, or one is to be trained and tested on.
    """
    both = sorted(set(train_singers) & set(test_singers))
    if both:
        raise ConfigError(f"{', '.join(both)}: cannot be trained on and tested on; name each singer once")
    pieces = _pieces(Path(folder), only)
    there = sorted({piece.singer for piece in pieces})
    absent = sorted({*train_singers, *test_singers} - set(there))
    if absent:
        raise ConfigError(
            f"{folder}: no singer {', '.join(absent)}; here are {', '.join(filter(None, there)) or 'none'}"
        )
    chosen = [p for p in pieces if p.singer not in test_singers and (not train_singers or p.singer in train_singers)]
    if not chosen:
        raise ConfigError(f"{folder}: nothing is left to train on; leave out some of --test-singers")
    return chosen


def singers_of(pieces: Iterable[Piece]) -> list[str]:
    """Return the singers of the pieces, as far as they are known."""
    return sorted({piece.singer for piece in pieces} - {""})


def _pieces(folder: Path, only: str | None) -> list[Piece]:
    if not folder.exists():
        raise ConfigError(f"{folder}: no such file or folder")
    if folder.is_dir() and ((folder / "Wavfile").is_dir() or _is_mir1k(folder)):
        return [Piece(c.name, c.singer, (c.path,), partial(_read_clip, c), c) for c in mir1k.find_clips(folder)]
    paths = stems.sound_files(folder) if folder.is_dir() else [folder]
    parts = {path.stem for path in paths}
    if folder.is_dir() and "vocals" in parts and not (only == "voice" and parts == {"vocals"}):
        return [
            Piece(name, name.split("/")[0], (*files.vocals, *files.accompaniment), partial(_read_stems, files))
            for name, files in stems.find_tracks(folder).items()
        ]
    if only is None:
        raise ConfigError(
            f"{folder}: neither MIR-1K nor folders with vocals.* and accompaniment.*; recordings of one side are taken "
            "with --only voice or --only accompaniment"
        )
    if not paths:
        raise ConfigError(f"{folder}: there is no sound file in this folder")
    return [Piece(path.stem, "", (path,), partial(_read_one, path, only)) for path in paths]


def _is_mir1k(folder: Path) -> bool:
    """Tell whether a folder holds clips named singer_song_clip."""
    return any(len(path.stem.split("_")) == 3 for path in folder.glob("*.wav"))


def _read_clip(clip: mir1k.Clip) -> tuple[Audio, Audio]:
    track = mir1k.load(clip)
    return track.vocals, track.accompaniment


def _read_stems(files: stems.StemFiles) -> tuple[Audio, Audio]:
    voice, accompaniment = stems.read(files)
    if voice.rate_hz != accompaniment.rate_hz:
        raise InputError(f"{files.vocals[0]}: {voice.rate_hz} Hz, its accompaniment {accompaniment.rate_hz}; resample")
    return voice, accompaniment


def _read_one(path: Path, only: str) -> tuple[Audio | None, Audio | None]:
    audio, _ = reading.read(path)
    return (audio, None) if only == "voice" else (None, audio)
