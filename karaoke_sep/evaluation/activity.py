"""Score the frame classes of a trained model, and the vocal activity, against labels."""

import numpy as np
from sklearn.metrics import roc_auc_score

from ..trained.frame_classes import CLASSES


def figures(true: np.ndarray, classes: np.ndarray, p_sung: np.ndarray, gains: np.ndarray) -> dict[str, float]:
    """Return fractions of frames, 0..1, and areas under the curve.

    Parameters
    ----------
    true, classes : ndarray of int, shape (T,)
        Labelled and predicted class of each frame: 0 accompaniment, 1 unvoiced, 2 voiced.
    p_sung, gains : ndarray, shape (T,), 0..1
        Probability that somebody sings, from the trained model and from the untrained gate.
    """
    sung = true > 0
    recall = {
        f"{name} found": float(np.mean(classes[true == s] == s)) for s, name in enumerate(CLASSES) if (true == s).any()
    }
    return {
        "A/U/V": float(np.mean(classes == true)),
        **recall,
        "vocal": float(np.mean((p_sung >= 0.5) == sung)),
        "vocal, gate": float(np.mean((gains >= 0.5) == sung)),
        "AUC": area_under_curve(sung, p_sung),
        "AUC, gate": area_under_curve(sung, gains),
    }


def area_under_curve(positive: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the ROC curve, NaN if all frames are of one class."""
    return float(roc_auc_score(positive, score)) if 0 < np.sum(positive) < len(positive) else float("nan")
