"""Training of the boosted trees in `trained.singing`."""

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from ..errors import ConfigError
from ..trained import boosted_trees, singing
from .band_gains import Example

EVERY = 4  # use each fourth frame, because neighbouring frames are alike; each second frame gives no more
TREES = {"max_iter": 200, "learning_rate": 0.08, "max_leaf_nodes": 15}  # 400 trees, 31 leaves: equal; 7: AUC -0.002
REGULARISATION = {"min_samples_leaf": 100, "l2_regularization": 1.0, "max_features": 0.3}  # 0.1, 1: equal


def train(examples: list[Example], seed: int) -> dict[str, np.ndarray]:
    """Train the trees, and return their arrays by the names that a model uses, each of shape (M, N).

    Raises
    ------
    ConfigError
        If this version of scikit-learn stores its trees in another way.
    """
    features, sung = [], []
    for example in examples:
        rows = np.flatnonzero(example.sung_T >= 0)[::EVERY]
        features.append(singing.features(example.inputs)[rows])
        sung.append(example.sung_T[rows])
    X_TD, sung_T = np.vstack(features), np.concatenate(sung)
    classifier = HistGradientBoostingClassifier(**TREES, **REGULARISATION, early_stopping=False, random_state=seed)
    classifier.fit(X_TD, sung_T)
    trees = as_arrays(classifier)
    sample_TD = X_TD[:1000]
    if not np.allclose(boosted_trees.predict(sample_TD, trees), classifier.decision_function(sample_TD)):
        raise ConfigError("scikit-learn: this version stores its trees in another way; install an earlier version")
    return {f"{name}_MN": values for name, values in trees.items()}


def as_arrays(boosted: Any) -> dict[str, np.ndarray]:
    """Return the nodes of all trees of a classifier or regressor.

    It reads private attributes, because scikit-learn has no public access to the nodes.
    """
    trees = [predictor.nodes for [predictor] in boosted._predictors]
    shape_MN = (len(trees), max(map(len, trees)))
    arrays = {name: np.zeros(shape_MN) for name in boosted_trees.FIELDS}
    arrays["left"][:] = arrays["right"][:] = np.arange(shape_MN[1])  # a leaf is its own child
    for m, nodes in enumerate(trees):
        inner = np.flatnonzero(nodes["is_leaf"] == 0)
        for name, theirs in (("feature", "feature_idx"), ("threshold", "num_threshold"), ("left",) * 2, ("right",) * 2):
            arrays[name][m, inner] = nodes[theirs][inner]
        arrays["value"][m, : len(nodes)] = nodes["value"]
    arrays["value"][0] += float(np.squeeze(boosted._baseline_prediction))
    return arrays
