"""Prediction of gradient-boosted trees (Friedman 2001) from plain arrays.

Node n of tree m sends a frame to node ``left`` if its feature is at most the threshold, else to node ``right``. A leaf
sends each frame to itself, so that all frames can take as many steps as the deepest tree has. The prediction is written
out here because a model file holds plain arrays only, and scikit-learn restores its trees from pickles only.
"""

from collections.abc import Mapping

import numpy as np

FIELDS = ("feature", "threshold", "left", "right", "value")
BLOCK_FRAMES = 1024


def predict(X_TD: np.ndarray, trees: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the sum of the values of the leaves that each frame reaches, shape (T,).

    Parameters
    ----------
    X_TD : ndarray, shape (T, D)
    trees : mapping of ndarray, shape (M, N)
        `FIELDS` of the nodes of all trees; the first node of a tree is its root.
    """
    feature_MN, left_MN, right_MN = (trees[name].astype(int) for name in ("feature", "left", "right"))
    threshold_MN, value_MN = trees["threshold"], trees["value"]
    tree_M = np.arange(len(value_MN))
    sum_T = np.empty(len(X_TD))
    for start in range(0, len(X_TD), BLOCK_FRAMES):
        x_BD = X_TD[start : start + BLOCK_FRAMES]
        row_B1 = np.arange(len(x_BD))[:, None]
        node_BM = np.zeros((len(x_BD), len(tree_M)), int)
        for _ in range(value_MN.shape[1]):
            goes_left_BM = x_BD[row_B1, feature_MN[tree_M, node_BM]] <= threshold_MN[tree_M, node_BM]
            next_BM = np.where(goes_left_BM, left_MN[tree_M, node_BM], right_MN[tree_M, node_BM])
            if np.array_equal(next_BM, node_BM):
                break
            node_BM = next_BM
        sum_T[start : start + BLOCK_FRAMES] = value_MN[tree_M, node_BM].sum(axis=1)
    return sum_T


def are_valid(trees: Mapping[str, np.ndarray], n_features: int) -> bool:
    """Return whether each feature exists and each node leads to later nodes, so that no tree has a circle."""
    n_nodes = trees["value"].shape[1]
    nodes, left_MN, right_MN = np.arange(n_nodes), trees["left"], trees["right"]
    is_leaf_MN = (left_MN == nodes) & (right_MN == nodes)
    inner_MN = (np.minimum(left_MN, right_MN) > nodes) & (np.maximum(left_MN, right_MN) < n_nodes)
    return bool(np.all(is_leaf_MN | inner_MN) and np.all((trees["feature"] >= 0) & (trees["feature"] < n_features)))
