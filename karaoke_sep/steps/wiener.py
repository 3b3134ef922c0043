"""The gain of each bin, from the models of voice and accompaniment."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..settings.ranges import check_ranges, ranged


@dataclass(frozen=True)
class Params:
    """Rule of the gain.

    wiener: V^p / (V^p + A^p) (Wiener 1949 for p = 2; exponents of 1 to 2 are equally good, 3 is worse). subtract:
    max(X - A, 0) / X, the rule of the published scheme.

    voice_db is the level by which the voice is assumed to be louder than estimated. Positive values give bins that both
    models explain to the vocals, negative values to the accompaniment.
    """

    rule: Literal["wiener", "subtract"] = "wiener"
    exponent: float = ranged(2.0, 0.1, 10)
    voice_db: float = ranged(0.0, -40, 40)

    def __post_init__(self) -> None:
        check_ranges(self)


def gain(X: np.ndarray, V: np.ndarray, A: np.ndarray, params: Params) -> np.ndarray:
    """Return the share of the voice in the mixture, same shape as the inputs, 0..1.

    Parameters
    ----------
    X, V, A : ndarray, any one shape, float32, >= 0
        Magnitudes of mixture, voice and accompaniment.
    params : Params
    """
    tiny = np.float32(1e-12)
    A = A * np.float32(10 ** (-params.voice_db / 20))
    if params.rule == "subtract":
        return np.maximum(X - A, 0) / (X + tiny)
    scale = np.maximum(V, A) + tiny  # so that powers neither overflow nor underflow
    V_p, A_p = (V / scale) ** params.exponent, (A / scale) ** params.exponent
    return V_p / (V_p + A_p + tiny)


def excess_gain(X: np.ndarray, A: np.ndarray, params: Params) -> np.ndarray:
    """Return the gain of the excess of the mixture over the accompaniment; parameters and result as for `gain`."""
    return gain(X, np.maximum(X - A, 0), A, params)
