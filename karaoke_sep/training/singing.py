"""Training of the trees in `singing`."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from ..errors import ConfigError
from ..trained import boosted_trees, singing
from .band_gains import Lesson

EVERY = 4  # frame is heard; neighbours repeat each other, and every second frame gives no more
TREES = {"max_iter": 200, "learning_rate": 0.08, "max_leaf_nodes": 15}  # 400, 31: the same; 7: AUC -0.002
SLOW = {"min_samples_leaf": 100, "l2_regularization": 1.0, "max_features": 0.3}  # 0.1 and 1 are the same


def train(lessons: list[Lesson], seed: int) -> dict[str, np.ndarray]:
    """Trees that give log-odds of somebody singing, by the names in a model: `boosted_trees.FIELDS`, each (M, N).

    Raises
    ------
    ConfigError
        If scikit-learn has changed its trees.
    """
    features, sung = [], []
    for each in lessons:
        rows = np.flatnonzero(each.sung_T >= 0)[::EVERY]
        features.append(singing.features(each.clues)[rows])
        sung.append(each.sung_T[rows])
    X_TD, sung_T = np.vstack(features), np.concatenate(sung)
    classifier = HistGradientBoostingClassifier(**TREES, **SLOW, early_stopping=False, random_state=seed)
    classifier.fit(X_TD, sung_T)
    trees = as_arrays(classifier)
    some_TD = X_TD[:1000]
    if not np.allclose(boosted_trees.predict(some_TD, trees), classifier.decision_function(some_TD)):
        raise ConfigError("trees of this version of scikit-learn are not what they were; install an earlier one")
    return {f"{name}_MN": values for name, values in trees.items()}


def as_arrays(boosted) -> dict[str, np.ndarray]:
    """The nodes of all trees of a classifier or regressor. scikit-learn has no public way to them."""
    trees = [predictor.nodes for [predictor] in boosted._predictors]
    shape_MN = (len(trees), max(map(len, trees)))
    arrays = {name: np.zeros(shape_MN) for name in boosted_trees.FIELDS}
    arrays["left"][:] = arrays["right"][:] = np.arange(shape_MN[1])  # of a leaf
    for m, nodes in enumerate(trees):
        inner = np.flatnonzero(nodes["is_leaf"] == 0)
        for name, theirs in (("feature", "feature_idx"), ("threshold", "num_threshold"), ("left",) * 2, ("right",) * 2):
            arrays[name][m, inner] = nodes[theirs][inner]
        arrays["value"][m, : len(nodes)] = nodes["value"]
    arrays["value"][0] += float(np.squeeze(boosted._baseline_prediction))
    return arrays
