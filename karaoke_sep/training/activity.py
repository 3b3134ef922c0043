"""What accompaniment, unvoiced and voiced singing sound like, and how they follow each other, learned from labels."""

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from .. import models, trained_activity
from ..errors import ConfigError
from .dataset import Piece, singers_of

N_CLASSES = len(trained_activity.CLASSES)


def train(pieces: list[Piece], heard: list, n_gaussians: int, seed: int) -> models.Model:
    """The model of clips of which `evaluation.run.hear_activity` has given features and classes.

    Raises
    ------
    ConfigError
        If a class has too few frames.
    """
    X_TD = np.vstack([X for X, _, _ in heard])
    classes = np.concatenate([c for _, c, _ in heard])
    counts = np.bincount(classes, minlength=N_CLASSES)
    for name, count in zip(trained_activity.CLASSES, counts, strict=True):
        if count < 10 * n_gaussians:
            raise ConfigError(f"{name}: {count} labelled frames, and {10 * n_gaussians} are needed; give more clips")
    with threadpool_limits(1):
        centre_D, projection_DE = discriminant(X_TD, classes)
        Z_TE = (X_TD - centre_D) @ projection_DE
        mixtures = [
            GaussianMixture(n_gaussians, reg_covar=1e-3, random_state=seed, max_iter=300).fit(Z_TE[classes == s])
            for s in range(N_CLASSES)
        ]
    transitions_SS = np.ones((N_CLASSES, N_CLASSES))  # a step that was not seen is rare, not impossible
    for _, c, _ in heard:
        np.add.at(transitions_SS, (c[:-1], c[1:]), 1)
    arrays = {
        "centre_D": centre_D,
        "projection_DE": projection_DE,
        "weights_SK": np.stack([m.weights_ for m in mixtures]),
        "means_SKE": np.stack([m.means_ for m in mixtures]),
        "precisions_SKEE": np.stack([m.precisions_ for m in mixtures]),
        "transitions_SS": transitions_SS / transitions_SS.sum(axis=1, keepdims=True),
        "start_S": counts / counts.sum(),
    }
    about = {
        "rate_hz": trained_activity.RATE_HZ,
        "window_ms": trained_activity.WINDOW_MS,
        "hop_ms": trained_activity.HOP_MS,
        "seed": seed,
        "singers": singers_of(pieces),
        "n_clips": len(pieces),
        "versions": models.versions(),
    }
    return models.Model("activity", about, arrays)


def discriminant(X_TD, classes) -> tuple[np.ndarray, np.ndarray]:
    """Centre (D,) and the directions (D, 2) in which the classes differ most, of features brought to one scale."""
    centre_D, spread_D = X_TD.mean(axis=0), X_TD.std(axis=0) + 1e-6
    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.05, n_components=N_CLASSES - 1)
    lda.fit((X_TD - centre_D) / spread_D, classes)
    return centre_D, lda.scalings_[:, : N_CLASSES - 1] / spread_D[:, None]
