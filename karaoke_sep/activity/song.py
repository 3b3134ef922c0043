"""Vocal activity without training: a soft gate over time, computed from one song.

The log-odds that somebody sings in a frame are the sum of four features. Three compare the song with itself: the
salience of the pitch track (its ``voicing``), the level of the voice estimate relative to the loud frames of the
song, and the similarity of the timbre to that of the sung frames of the song (`dsp.timbre`). The fourth is absolute:
the evidence of `steps.singing_presence`, over about a second. The sum treats the features as independent. On MIR-1K
dev clips the area under the ROC curve of "somebody sings" is 0.86 for the salience, 0.89 for the level and 0.91 for
both. The gate gains 0.5 dB, and the timbre another 0.1 dB. A hard gate gains only half of that.

Songs have sections without singing, in which a lead instrument can be as salient and as loud as the singer for seconds.
A second, slow Markov chain with two states (a section with or without singing) therefore sums the same evidence over
many seconds (forward-backward, Rabiner 1989, Eqs. (18) to (27)). The gain is the product of both probabilities.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy

from ..dsp import timbre
from ..dsp.smoothing import smooth
from ..dsp.viterbi import two_state_posterior
from ..settings.ranges import check_ranges, ranged
from ..types import Audio
from . import GateInputs

BLOCK_MS = 160.0  # time resolution of the sections
TIMBRE_SMOOTHING_MS = 250.0
EVIDENCE_SMOOTHING_MS = 1000.0
SILENCE_DB = 100.0  # relative to the loud frames; lower levels are smoothed as silence
END_LOG_ODDS = 8.0  # for singing before and after the recording, so that the gate stays open in short clips


@dataclass(frozen=True)
class Params:
    """Weights of the features, and settings of the sections."""

    level_weight: float = ranged(0.275, 0, 10)  # log-odds per dB
    level_midpoint_db: float = ranged(-14.3, -100, 100)  # relative to the loud frames; the level that is neutral
    timbre_weight: float = ranged(0.45, 0, 100)
    evidence_weight: float = ranged(0.03, 0, 10)  # log-odds per unit of the evidence of singing
    evidence_midpoint: float = ranged(2.5, 0, 100)  # the evidence that is neutral
    smoothing_ms: float = ranged(64.0, 0, 5000)
    section_weight: float = ranged(0.44, 0, 100)  # per second, because neighbouring frames are alike: 1 in 2.3 s counts
    section_leniency: float = ranged(0.0, 0, 100)  # log-odds added in each frame in favour of a sung section
    section_s: float = ranged(160.0, 1, 36_000)  # mean length; 80 s leaves 5 dB more false voice
    floor_db: float = ranged(-60.0, -200, 0)  # relative to the loud frames; lower levels are no voice

    def __post_init__(self) -> None:
        check_ranges(self)


class BroadbandGate(NamedTuple):
    """One gain for all frequencies, interpolated between frames.

    Attributes
    ----------
    times_s, gains_T : ndarray, shape (T,)
    """

    times_s: np.ndarray
    gains_T: np.ndarray
    context_s: float = 0.0

    def apply(self, mixture: Audio, voice: Audio, start: int) -> np.ndarray:
        """Return the voice times the gain, shape (C, n), float32."""
        n = np.arange(start, start + voice.n_samples)
        return voice.samples * np.interp(n / voice.rate_hz, self.times_s, self.gains_T).astype(np.float32)


def gate(inputs: GateInputs, section: Any, span_s: tuple[float, float]) -> BroadbandGate:
    """Return the gate of a recording; see the contract in the folder's ``__init__``."""
    features = inputs.features
    gains_T = gains(
        features.level_db, inputs.voicing_T, features.cepstra_TD, inputs.hop_ms, section.song, inputs.evidence_T
    )
    return BroadbandGate(features.times_s, gains_T)


def gains(
    level_db: np.ndarray,
    voicing: np.ndarray,
    cepstra_TD: np.ndarray,
    hop_ms: float,
    params: Params,
    evidence_T: np.ndarray | None = None,
) -> np.ndarray:
    """Return the gain of the gate in each frame.

    Parameters
    ----------
    level_db : ndarray, shape (T,), dB
        Level of the voice estimate between 80 and 4000 Hz, relative to any reference, which does not change the gain.
    voicing : ndarray, shape (T,), 0..1
        Voicing of the pitch track in the same frames.
    cepstra_TD : ndarray, shape (T, D)
        Cepstra of the mixture and of the voice estimate.
    hop_ms : float
    params : Params
    evidence_T : ndarray, shape (T,), optional
        Evidence of singing, if it is known.

    Returns
    -------
    ndarray, shape (T,), 0..1
    """
    relative_db = level_db - np.percentile(level_db, 95)
    relative_db = smooth(np.maximum(relative_db, -SILENCE_DB), params.smoothing_ms / hop_ms)
    relative_db -= np.percentile(relative_db, 95)
    log_odds = params.level_weight * (relative_db - params.level_midpoint_db)
    log_odds += scipy.special.logit(np.clip(voicing, 1e-6, 1 - 1e-6))
    if evidence_T is not None:
        evidence_T = smooth(evidence_T, EVIDENCE_SMOOTHING_MS / hop_ms)
        log_odds += params.evidence_weight * (evidence_T - params.evidence_midpoint)
    n_smooth = TIMBRE_SMOOTHING_MS / hop_ms
    sung = scipy.special.expit(smooth(log_odds, n_smooth))
    log_odds += params.timbre_weight * timbre.evidence(cepstra_TD, sung, relative_db > timbre.AUDIBLE_DB, n_smooth)
    return scipy.special.expit(log_odds) * sections(log_odds, hop_ms, params) * (relative_db > params.floor_db)


def sections(log_odds: np.ndarray, hop_ms: float, params: Params) -> np.ndarray:
    """Return the probability that each frame lies in a section with singing, shape (T,)."""
    n_block = max(1, round(BLOCK_MS / hop_ms))
    starts = np.arange(0, len(log_odds), n_block)
    vote = np.clip(log_odds, -4, 4) + params.section_leniency  # limits the evidence of a single frame
    votes = params.section_weight * hop_ms / 1000 * np.add.reduceat(vote, starts)
    change = n_block * hop_ms / 1000 / params.section_s
    middle = np.minimum(starts + (n_block - 1) / 2, len(log_odds) - 1)
    return np.interp(np.arange(len(log_odds)), middle, two_state_posterior(votes, min(change, 0.5), END_LOG_ODDS))
