"""Accompaniment, and optionally the voice, from bases trained on other recordings.

Along a pitch, the ratio of the trained voice to the trained accompaniment refines the gain in the harmonic mask. Where
only spectra of an accompaniment were trained (`karaoke-sep train spectra`), usually that of the same song, these and a
few trained on the song itself are fitted to the bins outside the mask and predict those inside, as in `masked_nmf`.
With ``alone`` there is no pitch: the bases that were trained to separate (`karaoke-sep train nmf`) give the gain.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dsp.kl_nmf import EPS, basis_numerator, update_activations
from ..errors import ConfigError
from ..settings.ranges import check_ranges, ranged
from . import masked_nmf

KINDS = ("nmf", "spectra")  # of models


@dataclass(frozen=True)
class Params:
    """Model file, and settings of its fit.

    refinement 0.03 / 0.08 beside the shipped gate: `abjones` 9.76 / 9.76 dB, 9.75 without (15 clips); `amy` 12.54 /
    12.52 dB, 12.55 without (19 clips, v2).
    """

    model: str = ""
    alone: bool = False
    n_iterations: int = ranged(30, 1, 200)
    n_learned: int = ranged(10, 1, 200)
    n_starts: int = ranged(3, 1, 20)
    refinement: float = ranged(0.03, 0, 10)

    def __post_init__(self) -> None:
        check_ranges(self)


def check(params: Params, config: Any) -> None:
    """Raise ConfigError if no model is named, it cannot be used, or was trained with another window."""
    from ..trained import models  # imported here, because a separation without a model does not need it

    window_ms = config.stft.window_ms
    if not params.model:
        raise ConfigError("accompaniment.trained_nmf: no model is given; name one with --model (karaoke-sep train nmf)")
    model = models.read(params.model, *KINDS)
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


def fit(
    X_TF: np.ndarray, covered_TF: np.ndarray, bin_hz: float, params: Params, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Fit activations and bases of the accompaniment outside the mask; parameters as in `masked_nmf.fit`."""
    from ..trained import bases as trained_bases
    from ..trained import models

    model = models.read(params.model, *KINDS)
    trained_KF = trained_bases.bases_at(model, "accompaniment", bin_hz, X_TF.shape[1])
    if not len(trained_KF):
        return masked_nmf.fit(X_TF, covered_TF, bin_hz, masked_nmf.Params(params.n_learned), rng)
    M_TF = np.where(covered_TF, np.float32(0), np.float32(1))
    MX_TF = M_TF * X_TF
    B_KF = np.vstack([trained_KF, trained_bases.random_bases(params.n_learned, MX_TF, rng)])
    n_trained = len(trained_KF)
    H_TK = np.repeat(MX_TF.sum(axis=1, keepdims=True) / len(B_KF), len(B_KF), axis=1)
    weight_TK = M_TF @ B_KF.T
    for _ in range(params.n_iterations):
        update_activations(MX_TF, H_TK, B_KF, weight_TK + EPS, block_frames=None)
        learned = basis_numerator(MX_TF, H_TK, B_KF, block_frames=None, chosen=slice(n_trained, None))
        B_KF[n_trained:] *= learned / (H_TK[:, n_trained:].T @ M_TF + EPS)
        weight_TK[:, n_trained:] = M_TF @ B_KF[n_trained:].T
    return H_TK, B_KF


def voice_and_accompaniment(
    X_TF: np.ndarray, bin_hz: float, params: Params, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Fit the magnitudes of voice and accompaniment by their bases in all bins; both (T, F)."""
    from ..trained import bases as trained_bases
    from ..trained import models, unfolded_nmf

    model = models.read(params.model, *KINDS)
    if model.kind == "nmf":
        return unfolded_nmf.voice_and_accompaniment(X_TF, bin_hz, model)
    voice_KF, accompaniment_KF = (
        trained_bases.bases_at(model, side, bin_hz, X_TF.shape[1]) for side in ("voice", "accompaniment")
    )
    return trained_bases.fit(X_TF, voice_KF, accompaniment_KF, params.n_learned, params.n_iterations, rng)


def refine_voice(
    V: np.ndarray, X_TF: np.ndarray, bins: np.ndarray, bin_hz: float, params: Params, rng: np.random.Generator
) -> np.ndarray:
    """Return the voice at the bins of the mask, refined by the trained bases of both sources.

    The ratio of voice to accompaniment is multiplied by a power of the ratio of the bases, because log-odds of
    independent evidence add. The factor is at most 10.

    Parameters
    ----------
    V : ndarray, shape (S,), float32
    X_TF : ndarray, shape (T, F), float32
    bins : ndarray, shape (S,), int
        Positions of ``V`` in the flattened plane.
    bin_hz : float
    params : Params
    rng : numpy.random.Generator
    """
    if params.refinement == 0:
        return V
    V_TF, A_TF = voice_and_accompaniment(X_TF, bin_hz, params, rng)
    ratio = (V_TF.ravel()[bins] + EPS) / (A_TF.ravel()[bins] + EPS)
    return V * np.clip(ratio**params.refinement, 0.1, 10).astype(np.float32)
