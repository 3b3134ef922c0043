"""Gains in frequency bands, from a network that was trained on other recordings (`karaoke-sep train activity`).

The untrained gate of `song` is one of its inputs. The gains and the input levels are computed block by block, so that
memory hardly grows with the length of the recording.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from .. import accompaniment
from ..errors import ConfigError
from ..recording import Resampled, Samples, blocks, mono_mix, peak_of
from ..trained import band_gains, frame_classes, models
from ..types import Audio
from . import FrameFeatures, GateInputs, song

CACHED_BLOCKS = 16  # of 3.5 MB; levels of the first 5.5 min are computed once, those of longer recordings twice
EDGE_FRAMES = 4  # 80 ms: more than half of the longest window


@dataclass(frozen=True)
class Params:
    """Model file of the gate."""

    model: str = ""  # made by karaoke-sep train activity, or the name of a shipped model


def check(params: Params, config: Any) -> None:
    """Raise ConfigError if the model is missing or damaged, or the config separates without a pitch."""
    if not accompaniment.needs_pitch(config.accompaniment):
        raise ConfigError("activity.backend: trained needs a pitch; use another gate, or set alone to false")
    if not params.model:
        raise ConfigError("activity.trained: no model is given; name one with --model (karaoke-sep train activity)")
    models.read(params.model, "activity")


def model_files(params: Params) -> list[str]:
    """Return the paths of the models in use."""
    return [str(models.place_of(params.model))]


@dataclass(frozen=True, eq=False)
class BandGate:
    """Gains of the voice estimate and of the residual, in frequency bands.

    Attributes
    ----------
    voice_TB, residual_TB : ndarray, shape (T, B), float16
    begin_s : float, s
        Time of their first frame.
    """

    voice_TB: np.ndarray
    residual_TB: np.ndarray
    begin_s: float
    context_s: float = 0.2  # three windows; a multiple of the hop

    def apply(self, mixture: Audio, voice: Audio, start: int) -> np.ndarray:
        """Return the vocals, shape (C, n), float32, of an excerpt that begins at sample ``start``."""
        start_s = start / mixture.rate_hz - self.begin_s
        return band_gains.apply(mixture, voice, self.voice_TB, self.residual_TB, start_s).samples


def gate(inputs: GateInputs, section: Any, span_s: tuple[float, float]) -> BandGate:
    """Return the gate of a recording; see the contract in the folder's ``__init__``."""
    model = models.read(section.trained.model, "activity")
    levels = BandLevels(inputs.song, inputs.voice)
    others = frame_inputs(inputs, levels.n_frames, section)
    hop_s = band_gains.HOP_MS / 1000
    first = max(0, int(span_s[0] / hop_s))
    last = int(min(levels.n_frames, np.ceil(span_s[1] / hop_s) + 1))

    def read(frames: np.ndarray) -> band_gains.NetworkInputs:
        return band_gains.NetworkInputs(levels.at(frames), *(values[frames] for values in others))

    predictions = band_gains.predict_blocks(model.arrays, last, read, levels.mean_2, first)
    # Half precision is 0.05 % of a gain, and the gains of eight hours are 830 MB.
    gains = [(block.voice_TB.astype(np.float16), block.residual_TB.astype(np.float16)) for block in predictions]
    voice_TB, residual_TB = (np.concatenate(values) for values in zip(*gains, strict=True))
    return BandGate(voice_TB, residual_TB, first * hop_s)


def frame_inputs(inputs: GateInputs, n_frames: int, section: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pitch, gain of the untrained gate, both (T,), and features, (T, D), every 20 ms."""
    times_s = np.arange(n_frames) * (band_gains.HOP_MS / 1000)
    features = inputs.features
    gains_T = song.gate(inputs, section, (0, np.inf)).gains_T
    nearest = nearest_frames(features, times_s)
    level_db = features.level_db - np.percentile(features.level_db, 95)
    gate_TD = frame_classes.gate_features(
        inputs.track.at(times_s).f0_hz,
        inputs.voicing_T[nearest],
        level_db[nearest],
        gains_T[nearest],
        features.cepstra_TD[nearest],
    )
    f0_hz = band_gains.interpolated_pitch(inputs.track, times_s)
    return f0_hz, np.interp(times_s, features.times_s, gains_T), gate_TD


def nearest_frames(features: FrameFeatures, times_s: np.ndarray) -> np.ndarray:
    """Return the number of the nearest frame of the features at each time, shape (T,), int."""
    return np.rint(np.interp(times_s, features.times_s, np.arange(len(features.times_s)))).astype(int)


def clip_inputs(inputs: GateInputs, section: Any) -> tuple[np.ndarray, band_gains.NetworkInputs]:
    """Return the features of the classes, (T, D), and the inputs of the network, of a clip in memory."""
    mixture, voice = (
        mono_mix(recording.excerpt(0, recording.n_samples), band_gains.RATE_HZ)
        for recording in (inputs.song, inputs.voice)
    )
    level_6TB = band_gains.levels(mixture, voice)
    others = frame_inputs(inputs, level_6TB.shape[1], section)
    times_s = np.arange(level_6TB.shape[1]) * (band_gains.HOP_MS / 1000)
    mixture = Audio(mixture.samples / np.float32(peak_of(inputs.song)), mixture.rate_hz)
    X_TD = frame_classes.features(
        mixture, others[2], inputs.features.cepstra_TD[nearest_frames(inputs.features, times_s)]
    )
    return X_TD, band_gains.NetworkInputs(level_6TB, *others)


class BandLevels:
    """Levels of mixture, voice estimate and residual in each band, read in excerpts.

    Attributes
    ----------
    n_frames : int
        Frames of 20 ms.
    mean_2 : list of float
        Mean level of the mixture in each of the two windows.
    """

    def __init__(self, mixture: Samples, voice: Samples):
        self.mixture, self.voice = (Resampled(sound, band_gains.RATE_HZ, mono=True) for sound in (mixture, voice))
        self.hop = round(band_gains.HOP_MS * band_gains.RATE_HZ / 1000)
        self.n_frames = 1 + -(-self.mixture.n_samples // self.hop)
        power = sum(
            float(np.sum(self.mixture.excerpt(*block).samples ** 2, dtype=float)) for block in blocks(self.mixture)
        )
        self.factor = band_gains.normalising_factor(power / self.mixture.n_samples)
        self.read = lru_cache(CACHED_BLOCKS)(self._read)
        sums = np.zeros(2)
        for start in range(0, self.n_frames, band_gains.BLOCK_FRAMES):
            level_6TB = self.read(start)
            sums += [level_6TB[plane].sum(dtype=float) for plane in (0, 3)]
        self.mean_2 = (sums / (self.n_frames * band_gains.N_BANDS)).tolist()

    def at(self, frames: np.ndarray) -> np.ndarray:
        """Return the levels of frames, increasing numbers, shape (6, t, B), float32."""
        n_block = band_gains.BLOCK_FRAMES
        starts = n_block * np.unique(frames // n_block)
        level_6TB = np.concatenate([self.read(int(start)) for start in starts], axis=1)
        return level_6TB[:, frames - starts[0]]

    def _read(self, start: int) -> np.ndarray:
        """Return the levels of the block of frames that begins with ``start``."""
        first = max(0, start - EDGE_FRAMES)
        stop = min(self.n_frames, start + band_gains.BLOCK_FRAMES)
        samples = first * self.hop, min(self.mixture.n_samples, (stop + EDGE_FRAMES) * self.hop)
        level_6TB = band_gains.levels(self.mixture.excerpt(*samples), self.voice.excerpt(*samples), self.factor)
        return level_6TB[:, start - first : stop - first]
