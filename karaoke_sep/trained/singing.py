"""Whether somebody sings in a frame, by two models that were trained on the same recordings and err in other places.

One is the network in `band_gains`, with two answers: log-odds that it learned from labels, in which the habits of the
singers of the training are, and the level of the voice, which has none. The other are boosted trees over the levels in
wide bands and the evidence of the training-free gate, around each frame. The area under the curve of an unseen singer
(MIR-1K dev): `abjones` 0.973 by the log-odds, 0.980 with the level, 0.976 by the trees, 0.982 by all; `amy` 0.923,
0.928, 0.924 and 0.933.
"""

from collections.abc import Mapping

import numpy as np
import scipy.ndimage

from . import band_gains, boosted_trees

LEVEL_SAYS, TREES_SAY = 3.0, 1.0  # beside the log-odds; 2 to 8, and 0.5 to 3, give the same within 0.002
N_WIDE = 10  # bands; 20 or 40 give no more, and take the trees longer
LEVEL_AROUND = 9  # frames
EVIDENCE_AROUND = (5, 15, 41, 101)  # frames


def says(arrays: Mapping[str, np.ndarray], clues: band_gains.Clues) -> np.ndarray:
    """What speaks for somebody singing, shape (T,): above 0 where it is more than what speaks against it.

    ``arrays`` are those of a model of the activity.
    """
    *_, sung_T2 = band_gains.hear(arrays, clues)
    return sung_T2 @ [1, LEVEL_SAYS] + TREES_SAY * boosted_trees.predict(features(clues), trees_of(arrays))


def features(clues: band_gains.Clues) -> np.ndarray:
    """What the trees hear in each frame, shape (T, D), float32.

    Levels as `band_gains.maps` has them, in wide bands, in the frame and around against it; the evidence of the gate,
    in the frame and around.
    """
    maps_TBC = band_gains.maps(clues.level_6TB, clues.f0_hz)[..., : len(clues.level_6TB)]
    wide_TD = maps_TBC.reshape(len(maps_TBC), N_WIDE, -1, maps_TBC.shape[2]).mean(axis=2).reshape(len(maps_TBC), -1)
    evidence_TD = band_gains.evidence(clues)
    around = [scipy.ndimage.uniform_filter1d(evidence_TD, n, axis=0, mode="nearest") for n in EVIDENCE_AROUND]
    change_TD = scipy.ndimage.uniform_filter1d(wide_TD, LEVEL_AROUND, axis=0, mode="nearest") - wide_TD
    return np.hstack([wide_TD, change_TD, evidence_TD, *around])


def n_features() -> int:
    """D of `features`."""
    return 2 * 6 * N_WIDE + (1 + len(EVIDENCE_AROUND)) * band_gains.N_EVIDENCE


def trees_of(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The trees among the arrays of a model, as `boosted_trees` takes them."""
    return {name: arrays[f"{name}_MN"] for name in boosted_trees.FIELDS}
