"""Score a pitch contour by the figures of the literature.

The definitions are those of Poliner et al., "Melody transcription from music audio" (2007), as in mir_eval. A pitch is
correct within 50 cents, whether or not its frame is estimated as sung; chroma ignores the octave. The estimate is read
at the frames of the reference. A figure over no frames is NaN. The figures are computed here because they take five
lines, and mir_eval would be another dependency.
"""

from dataclasses import dataclass

import numpy as np

from ..dsp.scales import cents
from ..types import PitchTrack

TOLERANCE_CENTS = 50.0
SUNG = 0.5  # a frame with at least this voicing is estimated as sung


@dataclass(frozen=True)
class MelodyFigures:
    """Fractions, 0..1.

    Attributes
    ----------
    raw_pitch_accuracy, raw_chroma_accuracy : float
        Share of correct pitches (for chroma, in any octave) among the sung frames.
    voicing_recall, voicing_false_alarm : float
        Share of frames estimated as sung, among the sung frames and among the others.
    overall_accuracy : float
        Share of frames with correct pitch and voicing, or correctly without.
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
        The reference, whose frames are scored; sung where ``f0_hz`` is not NaN.
    estimate : PitchTrack
        At any times.
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
