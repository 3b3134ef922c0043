"""Trees from arrays, against the library that grows them and against a tree written out by hand."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from karaoke_sep.trained import boosted_trees
from karaoke_sep.training.singing import as_arrays

# Feature 1 at most 0.5: 3, else by feature 0 at most 0: 1, else 2; and a second tree, a leaf alone, adds 10.
STUMPS = {
    "feature": np.array([[1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], float),
    "threshold": np.array([[0.5, 0, 0, 0, 0], [0, 0, 0, 0, 0]], float),
    "left": np.array([[1, 1, 3, 3, 4], [0, 1, 2, 3, 4]], float),
    "right": np.array([[2, 1, 4, 3, 4], [0, 1, 2, 3, 4]], float),
    "value": np.array([[0, 3, 0, 1, 2], [10, 0, 0, 0, 0]], float),
}


def test_each_frame_falls_into_its_leaf():
    X_TD = np.array([[5, 0.5], [0, 0.6], [0.1, 0.6]])
    np.testing.assert_array_equal(boosted_trees.predict(X_TD, STUMPS), [13, 11, 12])


@pytest.mark.parametrize("n_frames", [0, 1, boosted_trees.BLOCK_FRAMES, boosted_trees.BLOCK_FRAMES + 1])
def test_the_arrays_predict_what_scikit_learn_predicts(n_frames):
    rng = np.random.default_rng(0)
    X_TD = rng.standard_normal((3000, 5))
    y = np.where(X_TD[:, 0] > 0.3, X_TD[:, 1], -2) + X_TD[:, 4] ** 2 + 7
    regressor = HistGradientBoostingRegressor(max_iter=20, max_leaf_nodes=9, random_state=0).fit(X_TD, y)
    some_TD = rng.standard_normal((n_frames + 1, 5))  # scikit-learn does not predict 0 frames
    found = boosted_trees.predict(some_TD[:n_frames], as_arrays(regressor))
    assert found.shape == (n_frames,)
    np.testing.assert_allclose(found, regressor.predict(some_TD)[:n_frames])


@pytest.mark.parametrize(("name", "value"), [("feature", 2), ("left", 5), ("right", -1)])
def test_a_tree_that_points_outside_is_not_valid(name, value):
    assert boosted_trees.are_valid(STUMPS, 2)
    changed = STUMPS | {name: STUMPS[name].copy()}
    changed[name][0, 0] = value
    assert not boosted_trees.are_valid(changed, 2)


def test_trees_that_lead_in_a_circle_come_to_an_end():
    circle = STUMPS | {"left": np.zeros((2, 5)), "right": np.zeros((2, 5))}
    assert len(boosted_trees.predict(np.zeros((3, 2)), circle)) == 3
