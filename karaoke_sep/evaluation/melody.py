"""The pitch figures of the literature: how well a melody is followed.

The definitions of Poliner et al., "Melody transcription from music audio" (2007), as mir_eval has them: a pitch is
right within 50 cents, and counts whether or not its frame is called sung; the octave is ignored for chroma. The
estimate is read at the frames of the truth. A figure over no frames is NaN.
"""

from dataclasses import dataclass

import numpy as np

from ..dsp.scales import cents
from ..types import PitchTrack

TOLERANCE_CENTS = 50.0
SUNG = 0.5  # a frame with at least this voicing is called sung


@dataclass(frozen=True)
class MelodyFigures:
    """Fractions, 0..1.

    Attributes
    ----------
    raw_pitch_accuracy, raw_chroma_accuracy : float
        Right pitches (but for the octave) among the frames that are sung.
    voicing_recall, voicing_false_alarm : float
        Frames called sung, among those that are and those that are not.
    overall_accuracy : float
        Frames whose pitch and voicing, or lack of it, are right.
    """

    raw_pitch_accuracy: float
    raw_chroma_accuracy: float
    voicing_recall: float
    voicing_false_alarm: float
    overall_accuracy: float


def melody_figures(truth: PitchTrack, estimate: PitchTrack) -> MelodyFigures:
    """Return the figures of an estimated melody.

    Parameters
    ----------
    truth : PitchTrack, (T,)
        Its frames are those that count; sung where ``f0_hz`` is not NaN.
    estimate : PitchTrack, of any times
    """
    estimate = estimate.at(truth.times_s)
    distance_cents = cents(estimate.f0_hz, truth.f0_hz)
    octaves_off = np.round(distance_cents / 1200)
    right = np.abs(distance_cents) < TOLERANCE_CENTS  # False where either is NaN
    right_chroma = np.abs(distance_cents - 1200 * octaves_off) < TOLERANCE_CENTS
    sung, called = np.isfinite(truth.f0_hz), estimate.voicing >= SUNG
    return MelodyFigures(
        raw_pitch_accuracy=_fraction(right[sung]),
        raw_chroma_accuracy=_fraction(right_chroma[sung]),
        voicing_recall=_fraction(called[sung]),
        voicing_false_alarm=_fraction(called[~sung]),
        overall_accuracy=_fraction(np.where(sung, right & called, ~called)),
    )


def _fraction(frames: np.ndarray) -> float:
    return float(np.mean(frames)) if len(frames) else np.nan
