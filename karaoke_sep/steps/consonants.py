"""Consonants and breath: sounds of the voice between the partials.

From a few kHz upwards, between and above the partials, the mixture minus the modelled accompaniment is mostly the noise
of consonants while somebody sings (the vocal activity removes it at other times). Vocals +0.1 dB on 34 MIR-1K dev clips
(v2), 0.34 dB for `abjones`, whose consonants are strong, -0.06 dB for `amy`; songs +0.01 dB.
"""

from dataclasses import dataclass

import numpy as np

from ..settings.ranges import check_ranges, ranged
from . import wiener


@dataclass(frozen=True)
class Params:
    """Lowest frequency of consonants, and their share of the excess.

    With a min_hz of 3500 the gain for `abjones` is 0.23 dB. A share of 0.6 instead of 1 gains 0.02 dB for clips
    (v3), and songs are the same.
    """

    enabled: bool = True
    min_hz: float = ranged(2500.0, 0, 96_000)
    share: float = ranged(0.6, 0, 1)

    def __post_init__(self) -> None:
        check_ranges(self)


def gain(
    X_TF: np.ndarray, A_TF: np.ndarray, covered_TF: np.ndarray, params: Params, wiener_params: wiener.Params
) -> np.ndarray:
    """Return the share of consonants in the mixture, shape (T, F), 0..1.

    Parameters
    ----------
    X_TF, A_TF : ndarray, shape (T, F), float32, >= 0
        Mixture and accompaniment above the lowest frequency of consonants.
    covered_TF : ndarray, shape (T, F), bool
        True near a partial. The gain is 0 there, since the harmonic model decides, and in frames without any partial,
        since they hold no voice.
    params : Params
    wiener_params : wiener.Params
    """
    open_TF = ~covered_TF & covered_TF.any(axis=1, keepdims=True)
    return np.where(open_TF, np.float32(params.share) * wiener.excess_gain(X_TF, A_TF, wiener_params), np.float32(0))
