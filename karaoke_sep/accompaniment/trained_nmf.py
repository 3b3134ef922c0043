"""Accompaniment, and if wanted the voice, from bases that were learned from other recordings (`karaoke-sep train nmf`).

Inside the pitch method the trained voice against the trained accompaniment moves the gain in the harmonic mask. Where
only an accompaniment was trained, most likely that of the very song, its spectra and a few learned from the song are
fitted to the bins outside the mask and predict those inside, as in `masked_nmf`; spectra of other songs are worse there
than the song's own. ``alone`` leaves the pitch out: the two sets of bases share all bins.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError
from ..settings.ranges import check_ranges, ranged
from . import masked_nmf

EPS = np.float32(1e-12)


@dataclass(frozen=True)
class Params:
    """Which model, and how it is fitted.

    refinement 0.08 / 0.1 / 0.15 beside the trained gate: `abjones` 8.75 / 8.76 / 8.78 dB, 8.71 without; `amy` 11.42 /
    - / 11.37 dB, 11.44 without (all dev clips of each, v2).
    """

    model: str = ""
    alone: bool = False
    n_iterations: int = ranged(30, 1, 200)
    n_learned: int = ranged(10, 1, 200)
    n_starts: int = ranged(3, 1, 20)
    refinement: float = ranged(0.08, 0, 10)

    def __post_init__(self):
        check_ranges(self)


def check(params: Params, config) -> None:
    """Raise ConfigError if no model is named, it cannot be used, or was trained with another window."""
    from ..trained import models  # a separation without a model loads nothing of this

    window_ms = config.stft.window_ms
    if not params.model:
        raise ConfigError("accompaniment.trained_nmf: no model is given; name one with --model (karaoke-sep train nmf)")
    model = models.read(params.model, "nmf")
    models.check_not_negative(params.model, model)
    if abs(model.about["window_ms"] - window_ms) > 0.5:
        raise ConfigError(
            f"{params.model}: trained with windows of {model.about['window_ms']:g} ms, but stft.window_ms is "
            f"{window_ms:g}; train it again with --window-ms {window_ms:g}, or set stft.window_ms"
        )


def model_files(params: Params) -> list[str]:
    """Return the paths of the models in use."""
    return [params.model]


def is_alone(params: Params) -> bool:
    """Return whether the trained bases separate without a pitch."""
    return params.alone


def fit(X_TF, covered_TF, bin_hz: float, params: Params, rng: np.random.Generator):
    """Activations and bases of the accompaniment, fitted outside the mask; parameters as in `masked_nmf.fit`."""
    from ..trained import bases as trained_bases
    from ..trained import models

    model = models.read(params.model, "nmf")
    voice_KF, trained_KF = trained_bases.bases_at(model, bin_hz, X_TF.shape[1])
    if len(voice_KF):
        return masked_nmf.fit(X_TF, covered_TF, bin_hz, masked_nmf.Params(params.n_learned), rng)
    M_TF = np.where(covered_TF, np.float32(0), np.float32(1))
    MX_TF = M_TF * X_TF
    B_KF = np.vstack([trained_KF, trained_bases.random_bases(params.n_learned, MX_TF, rng)])
    n_trained = len(trained_KF)
    H_TK = np.repeat(MX_TF.sum(axis=1, keepdims=True) / len(B_KF), len(B_KF), axis=1)
    weight_TK = M_TF @ B_KF.T
    for _ in range(params.n_iterations):
        H_TK *= ((MX_TF / (H_TK @ B_KF + EPS)) @ B_KF.T) / (weight_TK + EPS)
        learned_TK = H_TK[:, n_trained:]
        ratio_TF = MX_TF / (H_TK @ B_KF + EPS)
        B_KF[n_trained:] *= (learned_TK.T @ ratio_TF) / (learned_TK.T @ M_TF + EPS)
        weight_TK[:, n_trained:] = M_TF @ B_KF[n_trained:].T
    return H_TK, B_KF


def voice_and_accompaniment(X_TF, bin_hz: float, params: Params, rng: np.random.Generator):
    """Magnitudes of voice and accompaniment by their bases, in all bins; both (T, F)."""
    from ..trained import bases as trained_bases
    from ..trained import models

    sides = trained_bases.bases_at(models.read(params.model, "nmf"), bin_hz, X_TF.shape[1])
    return trained_bases.fit(X_TF, *sides, params.n_learned, params.n_iterations, rng)


def refine_voice(V, X_TF, bins, bin_hz: float, params: Params, rng: np.random.Generator) -> np.ndarray:
    """Return the voice at the bins of the mask, moved towards what the bases of both sides make of the mixture.

    Its ratio to the accompaniment is multiplied by a power of the bases' own ratio, as the log-odds of two witnesses
    add up, by a factor of 10 at most.

    Parameters
    ----------
    V : ndarray, shape (S,), float32
    X_TF : ndarray, shape (T, F), float32
    bins : ndarray, shape (S,), int
        Where ``V`` lies in the flattened plane.
    bin_hz : float
    params : Params
    rng : numpy.random.Generator
    """
    if params.refinement == 0:
        return V
    V_TF, A_TF = voice_and_accompaniment(X_TF, bin_hz, params, rng)
    ratio = (V_TF.ravel()[bins] + EPS) / (A_TF.ravel()[bins] + EPS)
    return V * np.clip(ratio**params.refinement, 0.1, 10).astype(np.float32)
