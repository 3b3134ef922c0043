"""Vocal activity of each frame from two trained models that make different errors.

The first is the network in `band_gains`. It predicts log-odds, which are trained on labels and depend on the
habits of the training singers, and the level of the voice, which does not. The second is a set of boosted trees over
the levels in wide bands and the features of the untrained gate, in each frame and around it.

Area under the curve for an unseen singer (MIR-1K dev):

| features | `abjones` | `amy` |
|---|--:|--:|
| log-odds of the network | 0.973 | 0.923 |
| with its level | 0.980 | 0.928 |
| trees | 0.976 | 0.924 |
| all | 0.982 | 0.933 |
"""

from collections.abc import Mapping

import numpy as np
import scipy

from . import band_gains, boosted_trees

LEVEL_WEIGHT, TREES_WEIGHT = 3.0, 1.0  # relative to the log-odds; 2 to 8 and 0.5 to 3 differ by less than 0.002
N_WIDE_BANDS = 12  # of 40 mel bands, 5 to 40 were alike
LEVEL_CONTEXT_FRAMES = 9
CONTEXT_FRAMES = (5, 15, 41, 101)


def log_odds(arrays: Mapping[str, np.ndarray], inputs: band_gains.NetworkInputs) -> np.ndarray:
    """Return the log-odds that somebody sings, shape (T,), from the arrays of a model of kind "activity"."""
    activity_T2 = band_gains.predict(arrays, inputs).activity_T2
    trees = trees_of(arrays)
    return activity_T2 @ [1, LEVEL_WEIGHT] + TREES_WEIGHT * boosted_trees.predict(features(inputs), trees)


def features(inputs: band_gains.NetworkInputs) -> np.ndarray:
    """Return the input features of the trees, shape (T, D), float32.

    They are the level features of `band_gains.band_features` averaged over wide bands, their difference to the mean of
    the frames around, the frame features, and means of the frame features over the frames around.
    """
    bands_TBC = band_gains.band_features(inputs.level_6TB, inputs.f0_hz)[..., : len(inputs.level_6TB)]
    n_frames, _, n_levels = bands_TBC.shape
    wide_TD = bands_TBC.reshape(n_frames, N_WIDE_BANDS, -1, n_levels).mean(axis=2).reshape(n_frames, -1)
    frames_TD = band_gains.frame_features(inputs)
    around = [scipy.ndimage.uniform_filter1d(frames_TD, n, axis=0, mode="nearest") for n in CONTEXT_FRAMES]
    change_TD = scipy.ndimage.uniform_filter1d(wide_TD, LEVEL_CONTEXT_FRAMES, axis=0, mode="nearest") - wide_TD
    return np.hstack([wide_TD, change_TD, frames_TD, *around])


def n_features() -> int:
    """Return the number of columns of `features`."""
    return 2 * 6 * N_WIDE_BANDS + (1 + len(CONTEXT_FRAMES)) * band_gains.N_FRAME_FEATURES


def trees_of(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of the trees of a model, by the names that `boosted_trees` uses."""
    return {name: arrays[f"{name}_MN"] for name in boosted_trees.FIELDS}
