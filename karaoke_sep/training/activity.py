"""What singing sounds like, learned from labels: the classes of frames, and the gain that a gate should have.

The classes are learned from the clips themselves. The gain is a regression, by boosted trees, to the one that brings
the separated voice u nearest to the true voice v, <v, u> / <u, u> in each frame, weighted by the energy that hangs on
it, against the error that is left in the recording; it is learned from remixes, for it has to hold where singers and
accompaniments are others.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from .. import boosted_trees, models, trained_activity
from ..config import Config
from ..errors import ConfigError, InputError
from ..evaluation import mir1k
from ..pipeline import MIN_S, activity_features
from ..types import Audio
from .dataset import Piece, singers_of
from .remix import remix

N_CLASSES = len(trained_activity.CLASSES)
N_TREES, N_LEAVES, MIN_FRAMES, LEARNING_RATE = 200, 15, 100, 0.05
LEAST_ERROR = 0.02  # of the energy of the voice, lest a recording without accompaniment outweighs all; no other tried
FAR_GAINS = (-0.5, 1.5)  # what a frame may vote for beyond 0 and 1: cut off at these, gains are biased to the middle


@dataclass(frozen=True, eq=False)
class Heard:
    """What is learned from a clip or a remix of two, in frames of 40 ms every 20 ms.

    Attributes
    ----------
    X_TD : ndarray, shape (T, D), float32
        Those of all recordings are kept until the last was heard.
    classes : ndarray of int, shape (T,)
    told_T : ndarray, shape (T,)
        The gain that brings the separated voice nearest to the true one.
    weight_T : ndarray, shape (T,)
        Energy of the separated voice, against all of the error that the gate leaves which knows only the song: what is
        gained counts in dB.
    """

    X_TD: np.ndarray
    classes: np.ndarray
    told_T: np.ndarray
    weight_T: np.ndarray


def hear(pieces: list[Piece], index: int, n_remixes: int, seed: int) -> list[Heard]:
    """A clip, and its voice over accompaniments of others.

    Raises
    ------
    InputError
        If a file or its labels are missing or damaged.
    """
    voice, own_accompaniment = sources_of(pieces[index])
    classes = classes_of(pieces[index])
    found = [hear_sources(voice, own_accompaniment, classes)]
    for number in range(n_remixes):
        rng = np.random.default_rng([seed, index, number])
        _, accompaniment = sources_of(pieces[rng.integers(len(pieces))])
        *sides, moved = remix(voice.samples[0], accompaniment.samples[0], classes, voice.rate_hz, rng)
        new_voice, new_accompaniment = (Audio(samples[None], voice.rate_hz) for samples in sides)
        if new_voice.duration_s >= 2 * MIN_S and len(moved):
            found.append(hear_sources(new_voice, new_accompaniment, moved))
    return found


def sources_of(piece: Piece) -> tuple[Audio, Audio]:
    """Voice and accompaniment of a clip of MIR-1K."""
    voice, accompaniment = piece.read()
    if voice is None or accompaniment is None:
        raise InputError(f"{piece.paths[0]}: one side is not enough for this training")
    return voice, accompaniment


def classes_of(piece: Piece) -> np.ndarray:
    """What its labels say, 0, 1 or 2 in each labelled frame."""
    if piece.clip is None:
        raise InputError(f"{piece.paths[0]}: only MIR-1K has the labels that this training needs")
    return mir1k.read_classes(piece.clip)


def hear_sources(voice: Audio, accompaniment: Audio, classes: np.ndarray) -> Heard:
    """What is learned from a voice over an accompaniment."""
    mixture = Audio(voice.samples + accompaniment.samples, voice.rate_hz)
    with threadpool_limits(1):
        X_TD, gains, found = activity_features(mixture, Config())
    rows = mir1k.labelled_rows(len(classes), len(X_TD))
    true_TN, found_TN = (frames(sound, len(rows)) for sound in (voice, found))
    energy_T = np.sum(found_TN**2, axis=1)
    told_T = np.clip(np.sum(true_TN * found_TN, axis=1) / (energy_T + 1e-12), *FAR_GAINS)
    error = np.sum((true_TN - gains[rows, None] * found_TN) ** 2) + LEAST_ERROR * np.sum(true_TN**2)
    return Heard(X_TD[rows].astype(np.float32), classes[: len(rows)], told_T, energy_T / (error + 1e-12))


def frames(sound: Audio, n_frames: int) -> np.ndarray:
    """Windowed frames of a mono sound, the first centred at 20 ms, shape (T, N)."""
    hop = round(trained_activity.HOP_MS / 1000 * sound.rate_hz)
    padded = np.pad(sound.samples[0], (0, 2 * hop))
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop][:n_frames] * np.hanning(2 * hop + 1)[:-1]


def train(pieces: list[Piece], heard: list[list[Heard]], n_gaussians: int, seed: int) -> models.Model:
    """The model of clips, with what `hear` has found in each.

    Raises
    ------
    ConfigError
        If a class has too few frames, or scikit-learn has changed its trees.
    """
    clips = [found[0] for found in heard]
    X_TD = np.vstack([clip.X_TD for clip in clips], dtype=float)
    classes = np.concatenate([clip.classes for clip in clips])
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
        trees = gain_trees([part for found in heard for part in found[1:] or found], seed)
    transitions_SS = np.ones((N_CLASSES, N_CLASSES))  # a step that was not seen is rare, not impossible
    for clip in clips:
        np.add.at(transitions_SS, (clip.classes[:-1], clip.classes[1:]), 1)
    arrays = {
        "centre_D": centre_D,
        "projection_DE": projection_DE,
        "weights_SK": np.stack([m.weights_ for m in mixtures]),
        "means_SKE": np.stack([m.means_ for m in mixtures]),
        "precisions_SKEE": np.stack([m.precisions_ for m in mixtures]),
        "transitions_SS": transitions_SS / transitions_SS.sum(axis=1, keepdims=True),
        "start_S": counts / counts.sum(),
        **{f"{name}_MN": values for name, values in trees.items()},
    }
    about = {
        "rate_hz": trained_activity.RATE_HZ,
        "window_ms": trained_activity.WINDOW_MS,
        "hop_ms": trained_activity.HOP_MS,
        "seed": seed,
        "singers": singers_of(pieces),
        "n_clips": len(pieces),
        "n_remixes": sum(len(found) - 1 for found in heard),
        "versions": models.versions(),
    }
    return models.Model("activity", about, arrays)


def discriminant(X_TD, classes) -> tuple[np.ndarray, np.ndarray]:
    """Centre (D,) and the directions (D, 2) in which the classes differ most, of features brought to one scale."""
    centre_D, spread_D = X_TD.mean(axis=0), X_TD.std(axis=0) + 1e-6
    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.05, n_components=N_CLASSES - 1)
    lda.fit((X_TD - centre_D) / spread_D, classes)
    return centre_D, lda.scalings_[:, : N_CLASSES - 1] / spread_D[:, None]


def gain_trees(parts: list[Heard], seed: int) -> dict[str, np.ndarray]:
    """The regression of the gain on the features, as `boosted_trees.FIELDS`, each of shape (M, N)."""
    X_TD = np.vstack([part.X_TD for part in parts], dtype=float)  # as scikit-learn wants it, or it would copy them
    told_T, weight_T = (np.concatenate([getattr(part, name) for part in parts]) for name in ("told_T", "weight_T"))
    regressor = HistGradientBoostingRegressor(
        max_iter=N_TREES,
        max_leaf_nodes=N_LEAVES,
        min_samples_leaf=MIN_FRAMES,
        learning_rate=LEARNING_RATE,
        early_stopping=False,
        random_state=seed,
    )
    regressor.fit(X_TD, told_T, sample_weight=weight_T / (weight_T.mean() + 1e-12))
    trees = as_arrays(regressor)
    some_TD = X_TD[:: max(1, len(X_TD) // 1000)]
    if not np.allclose(boosted_trees.predict(some_TD, trees), regressor.predict(some_TD)):
        raise ConfigError("trees of this version of scikit-learn are not what they were; install an earlier one")
    return trees


def as_arrays(regressor: HistGradientBoostingRegressor) -> dict[str, np.ndarray]:
    """The nodes of all trees. scikit-learn has no public way to them."""
    trees = [predictor.nodes for [predictor] in regressor._predictors]
    shape_MN = (len(trees), max(map(len, trees)))
    arrays = {name: np.zeros(shape_MN) for name in boosted_trees.FIELDS}
    arrays["left"][:] = arrays["right"][:] = np.arange(shape_MN[1])  # of a leaf
    for m, nodes in enumerate(trees):
        inner = np.flatnonzero(nodes["is_leaf"] == 0)
        for name, theirs in (("feature", "feature_idx"), ("threshold", "num_threshold"), ("left",) * 2, ("right",) * 2):
            arrays[name][m, inner] = nodes[theirs][inner]
        arrays["value"][m, : len(nodes)] = nodes["value"]
    arrays["value"][0] += float(np.squeeze(regressor._baseline_prediction))
    return arrays
