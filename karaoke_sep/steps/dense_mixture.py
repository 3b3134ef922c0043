"""Dense mixtures: what changes where the lead voice is a small part of the sound.

Produced songs double the lead, add harmonies and reverberation, and mix it into many instruments. Doublings and
reverberation lie beside the partials of the lead, where the mixture exceeds the accompaniment: this excess goes to the
voice. Below `bass_hz` the partials of the lead lie among those of bass and drums: they go to the accompaniment in part.
A solo voice with a light accompaniment has no doublings, and there the excess is mostly an error of the accompaniment.

How dense a mixture is follows from the share of the lead in its power, over some seconds.
"""

from dataclasses import dataclass

import numpy as np

from ..dsp.smoothing import smooth
from ..settings.ranges import check_ranges, ranged
from . import wiener


@dataclass(frozen=True)
class Params:
    """Limits of the density, and what changes where it is 1.

    Vocals uSDR of nine and three development songs, with an earlier gate: 3.79 and 6.22 dB. Without this step 3.08 and
    6.02, with none of the excess between the bands 3.46 and 6.14, with none inside them 3.63 and 6.22, with all of the
    bass 3.58 and 6.11. Clips of MIR-1K (v2) with this step and without: 10.36 and 10.35 at 0 dB, 10.24 and 10.66 at -5.
    """

    enabled: bool = True
    midpoint_db: float = ranged(-4.3, -100, 0)  # share of the lead at which the density is one half
    range_db: float = ranged(2.6, 0.01, 100)  # of the shares between the densities 0 and 1
    smoothing_ms: float = ranged(3200.0, 0, 60_000)  # standard deviation of the smoothing of the powers
    min_hz: float = ranged(300.0, 0, 96_000)
    top_hz: float = ranged(2500.0, 0, 96_000)  # above, `consonants` decides between the bands
    share_between: float = ranged(1.0, 0, 1)  # share of the excess between the harmonic bands that is doublings
    share_within: float = ranged(0.6, 0, 1)  # and inside them
    bass_hz: float = ranged(150.0, 0, 96_000)
    bass_gain: float = ranged(0.35, 0, 1)  # factor of the gain of the lead below

    def __post_init__(self) -> None:
        check_ranges(self)


def density(G_TF: np.ndarray, X_TF: np.ndarray, hop_ms: float, params: Params) -> np.ndarray:
    """Return the density of a mixture in each frame, shape (T,), float32, 0..1.

    Parameters
    ----------
    G_TF : ndarray, shape (T, F), 0..1
        Gain of the lead.
    X_TF : ndarray, shape (T, F), >= 0
        Magnitude of the mixture.
    hop_ms : float
    params : Params
    """
    lead_T, mixture_T = (
        smooth(np.einsum("tf,tf->t", S_TF, S_TF), params.smoothing_ms / hop_ms) for S_TF in (G_TF * X_TF, X_TF)
    )
    share_db = 10 * np.log10((lead_T + 1e-20) / (mixture_T + 1e-20))
    return np.clip(0.5 + (params.midpoint_db - share_db) / params.range_db, 0, 1).astype(np.float32)


def gain(
    G_TF: np.ndarray,
    X_TF: np.ndarray,
    A_TF: np.ndarray,
    covered_TF: np.ndarray,
    freqs_hz: np.ndarray,
    hop_ms: float,
    params: Params,
    wiener_params: wiener.Params,
) -> np.ndarray:
    """Return the gain of the whole voice, shape (T, F), 0..1.

    Parameters
    ----------
    G_TF : ndarray, shape (T, F), float32, 0..1
        Gain of the lead.
    X_TF, A_TF : ndarray, shape (T, F), float32, >= 0
        Magnitudes of mixture and accompaniment.
    covered_TF : ndarray, shape (T, F), bool
        True inside the harmonic bands. Frames without any hold no voice.
    freqs_hz : ndarray, shape (F,), increasing
    hop_ms : float
    params : Params
    wiener_params : wiener.Params
    """
    if not params.enabled:
        return G_TF
    density_T1 = density(G_TF, X_TF, hop_ms, params)[:, None]
    G_TF = G_TF.copy()
    low, top, bass = np.searchsorted(freqs_hz, [params.min_hz, params.top_hz, params.bass_hz])
    voice_TF, X_TF, A_TF, covered_TF = (plane_TF[:, low:top] for plane_TF in (G_TF, X_TF, A_TF, covered_TF))
    excess_TF = wiener.excess_gain(X_TF, A_TF, wiener_params)
    share_TF = np.where(covered_TF, np.float32(params.share_within), np.float32(params.share_between))
    share_TF *= density_T1 * covered_TF.any(axis=1, keepdims=True)
    voice_TF += share_TF * np.maximum(excess_TF - voice_TF, 0)
    G_TF[:, :bass] *= 1 - (1 - np.float32(params.bass_gain)) * density_T1
    return G_TF
