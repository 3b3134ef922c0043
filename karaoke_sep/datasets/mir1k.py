"""Find and read MIR-1K: clips, the published split, mixtures and labels.

A clip is a stereo file with the accompaniment on the left and the voice on the right, named ``singer_song_clip.wav``
(Hsu & Jang 2010). Pitch labels are MIDI semitones, one row every 20 ms. Huang et al. (2014) develop on two singers and
test on the 825 clips of the others.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ConfigError, InputError, counted
from ..files import contours, reading
from ..types import Audio, PitchTrack

DEV_SINGERS = ("abjones", "amy")
LABEL_HOP_S = contours.PV_HOP_S  # label i is centred at (i + 1) times this
_NAME = re.compile(r"[A-Za-z]+_\d+_\d+")  # singer_song_clip


@dataclass(frozen=True)
class Clip:
    """Files of a clip.

    Attributes
    ----------
    path : Path
    pitch_path : Path or None
        The pitch labels, if there are any.
    """

    path: Path
    pitch_path: Path | None

    @property
    def name(self) -> str:
        """Singer, song and clip, as in the file name."""
        return self.path.stem

    @property
    def singer(self) -> str:
        """Name of the singer."""
        return self.name.split("_")[0]


@dataclass(frozen=True, eq=False)
class Track:
    """A mixture with its sources.

    Attributes
    ----------
    name, singer : str
    vocals, accompaniment, mixture : Audio, (C, N)
    pitch : PitchTrack or None
        The sung pitch, if there are labels.
    """

    name: str
    singer: str
    vocals: Audio
    accompaniment: Audio
    mixture: Audio
    pitch: PitchTrack | None


def is_dataset(folder: Path) -> bool:
    """Return whether a folder is MIR-1K as distributed, or a folder of its clips."""
    return (folder / "Wavfile").is_dir() or any(_NAME.fullmatch(path.stem) for path in folder.glob("*.wav"))


def looks_like_clip(path: Path, rate_hz: int, n_channels: int) -> bool:
    """Return whether a sound looks like a clip of MIR-1K, by its format, name and folder."""
    return (
        (rate_hz, n_channels) == (16_000, 2)
        and _NAME.fullmatch(path.stem) is not None
        and (path.parent.name == "Wavfile" or (path.absolute().parent.parent / "PitchLabel").is_dir())
    )


def find_clips(
    folder: str | os.PathLike, split: str = "all", singers: Sequence[str] = (), every: int = 1, limit: int | None = None
) -> list[Clip]:
    """Return the clips of a dataset, in the order of their names.

    Parameters
    ----------
    folder : path
        The folder as distributed, with ``Wavfile/`` and possibly ``PitchLabel/``, or a folder of clips.
    split : {"dev", "test", "all"}
    singers : sequence of str
        Use only these; all if empty.
    every : int
        Use every n-th clip.
    limit : int, optional
        Use at most this many.

    Raises
    ------
    ConfigError
        If no clip is left; the text names the singers.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; give the MIR-1K folder, or a folder with its clips")
    if (folder / "Wavfile").is_dir():
        folder = folder / "Wavfile"
    paths = sorted(folder.glob("*.wav"))
    if not paths:
        raise ConfigError(f"{folder}: no .wav files; give the MIR-1K folder, or a folder with its clips")
    labels = folder.parent / "PitchLabel"
    clips = [Clip(path, pv if (pv := labels / f"{path.stem}.pv").exists() else None) for path in paths]
    chosen = [
        clip
        for clip in clips
        if (not singers or clip.singer in singers)
        and (split == "all" or (clip.singer in DEV_SINGERS) == (split == "dev"))
    ]
    if not chosen:
        there = ", ".join(sorted({clip.singer for clip in clips}))
        wanted = f"split {split!r}" + (f" and singers {', '.join(singers)}" if singers else "")
        raise ConfigError(f"{folder}: none of its {len(clips)} clips is of {wanted}; the singers here are {there}")
    return chosen[::every][:limit]


def load(clip: Clip, snr_db: float = 0.0) -> Track:
    """Return the sources of a clip at equal energies, the voice then scaled by ``snr_db``, and their sum.

    The peak of the sum is 0.9, so that no mixture clips and all have similar levels. A silent source stays silent.

    Raises
    ------
    InputError
        If the file does not have two channels.
    """
    audio, _ = reading.read(clip.path)
    if audio.n_channels != 2:
        raise InputError(
            f"{clip.path}: {counted(audio.n_channels, 'channel')}, but a MIR-1K clip has 2, accompaniment left and "
            "voice right"
        )
    accompaniment, voice = (_to_unit_energy(channel) for channel in audio.samples)
    voice = voice * 10 ** (snr_db / 20)
    gain = 0.9 / max(np.abs(voice + accompaniment).max(initial=0.0), 1e-9)

    def mono(samples: np.ndarray) -> Audio:
        return Audio((gain * samples)[None].astype(np.float32), audio.rate_hz)

    pitch = contours.read(clip.pitch_path) if clip.pitch_path else None
    return Track(clip.name, clip.singer, mono(voice), mono(accompaniment), mono(voice + accompaniment), pitch)


def read_classes(clip: Clip) -> np.ndarray:
    """Return the class of each labelled frame, shape (T,): 0 nobody sings, 1 unvoiced singing, 2 voiced singing.

    Frame i is centred at (i + 1) x `LABEL_HOP_S`.

    Raises
    ------
    InputError
        If the labels are missing or damaged.
    """
    path = clip.path.parent.parent / "vocal-nonvocalLabel" / f"{clip.name}.vocal"
    if clip.pitch_path is None:
        raise InputError(f"{clip.path}: the labels PitchLabel/{clip.name}.pv beside its folder are missing")
    try:
        sung = np.array(path.read_text("utf-8").split(), float) > 0
        voiced = np.array(clip.pitch_path.read_text("utf-8").split(), float) > 0
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{error.filename}: cannot be read ({reason}); labels of MIR-1K are needed") from None
    except ValueError:
        raise InputError(f"{path}: or {clip.pitch_path.name}: is not a column of numbers") from None
    n = min(len(sung), len(voiced))
    return np.where(sung[:n], np.where(voiced[:n], 2, 1), 0)


def labelled_rows(n_labels: int, n_frames: int) -> np.ndarray:
    """Return the indices of the frames that have a label, for frames centred at multiples of `LABEL_HOP_S`."""
    return np.arange(1, 1 + min(n_labels, n_frames - 1))


def _to_unit_energy(samples: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(samples.astype(np.float64))
    return samples / norm if norm > 0 else samples
