"""Detection of singing: one file for each method. The config chooses a method by its name.

A method is a module of this folder with

- ``Params``: a frozen dataclass of its settings, each with a default.
- ``gate(inputs, section, span_s)``: return the `Gate` of a recording, from `GateInputs`. ``section`` holds the
  settings of all methods. Gains are needed from ``span_s[0]`` to ``span_s[1]`` only.
- if it can fail before any work, ``check(params, config)``: raise ConfigError.
- if it uses files, ``model_files(params)``: return their paths.
"""

from typing import NamedTuple, Protocol

import numpy as np

from ..recording import Samples
from ..types import Audio, PitchTrack


class FrameFeatures(NamedTuple):
    """Features of each frame, computed in the segments.

    Attributes
    ----------
    times_s : ndarray, shape (T,)
    level_db : ndarray, shape (T,), dB against a full-scale sine
        Level of the voice estimate between 80 and 4000 Hz.
    cepstra_TD : ndarray, shape (T, D), float16
        Cepstra of the mixture and of the voice estimate.
    """

    times_s: np.ndarray
    level_db: np.ndarray
    cepstra_TD: np.ndarray


class GateInputs(NamedTuple):
    """Inputs of a gate for a whole recording.

    Attributes
    ----------
    song, voice : Samples, (C, N)
        The mixture, and the voice estimate: the voice along the pitch, whether or not somebody sings.
    features : FrameFeatures
        In frames of one hop, from 0 s on; see `on_grid`.
    track : PitchTrack
    hop_ms : float
        Hop of the features.
    """

    song: Samples
    voice: Samples
    features: FrameFeatures
    track: PitchTrack
    hop_ms: float

    @property
    def voicing_T(self) -> np.ndarray:
        """Voicing of the track in the frames of the features, shape (T,), 0..1."""
        return self.track.at(self.features.times_s).voicing

    @property
    def evidence_T(self) -> np.ndarray | None:
        """Evidence of singing in the frames of the features, shape (T,), or None where it is not known."""
        evidence_T = self.track.evidence_T
        return None if evidence_T is None else np.interp(self.features.times_s, self.track.times_s, evidence_T)


class Gate(Protocol):
    """A gate: it turns the voice estimate into the vocals."""

    @property
    def context_s(self) -> float:
        """Context that `apply` needs on both sides of an excerpt, s."""

    def apply(self, mixture: Audio, voice: Audio, start: int) -> np.ndarray:
        """Return the vocals, shape (C, n), float32, of an excerpt that begins at sample ``start``."""


class LimitedGate:
    """Close a gate in passages where nobody sings at all.

    Parameters
    ----------
    gate : Gate
        The gate of all other passages.
    times_s, presence_T : ndarray, shape (T,)
        Further gain, 0..1.
    """

    def __init__(self, gate: Gate, times_s: np.ndarray, presence_T: np.ndarray):
        self.gate, self.times_s, self.presence_T, self.context_s = gate, times_s, presence_T, gate.context_s

    def apply(self, mixture: Audio, voice: Audio, start: int) -> np.ndarray:
        """Return the vocals, shape (C, n), float32, of an excerpt that begins at sample ``start``."""
        times_s = np.arange(start, start + voice.n_samples) / voice.rate_hz
        gain = np.interp(times_s, self.times_s, self.presence_T).astype(np.float32)
        return self.gate.apply(mixture, voice, start) * gain


def on_grid(features: FrameFeatures, duration_s: float, hop_ms: float) -> FrameFeatures:
    """Return the nearest frame at each multiple of the hop; frames of neighbouring segments overlap."""
    hop_s = hop_ms / 1000
    times_s = np.arange(0, duration_s + hop_s, hop_s)
    order = np.argsort(features.times_s, kind="stable")
    nearest = order[np.clip(np.searchsorted(features.times_s[order], times_s - hop_s / 2), 0, len(order) - 1)]
    return FrameFeatures(times_s, features.level_db[nearest], features.cepstra_TD[nearest])
