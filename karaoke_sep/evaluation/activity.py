"""How well accompaniment, unvoiced and voiced singing are told apart, frame by frame, against labels."""

import numpy as np
import scipy.stats


def figures(true: np.ndarray, found: np.ndarray, p_sung: np.ndarray, gains: np.ndarray) -> dict[str, float]:
    """Return fractions of frames, 0..1; all arrays are of shape (T,).

    Parameters
    ----------
    true, found : ndarray of int
        0 accompaniment, 1 unvoiced, 2 voiced.
    p_sung, gains : ndarray, 0..1
        Probability that somebody sings, by the trained model and by the gate that knows only the song.
    """
    names = ("accompaniment", "unvoiced", "voiced")
    sung = true > 0
    found_by_class = {
        f"{n} found": float(np.mean(found[true == s] == s)) for s, n in enumerate(names) if (true == s).any()
    }
    return {
        "A/U/V": float(np.mean(found == true)),
        **found_by_class,
        "vocal": float(np.mean((p_sung >= 0.5) == sung)),
        "vocal, gate": float(np.mean((gains >= 0.5) == sung)),
        "AUC": area_under_curve(p_sung, sung),
        "AUC, gate": area_under_curve(gains, sung),
    }


def area_under_curve(score: np.ndarray, positive: np.ndarray) -> float:
    """Return the share of pairs of a positive and a negative frame where the positive scores higher; ties are half."""
    n_positive, n_negative = np.sum(positive), np.sum(~positive)
    if min(n_positive, n_negative) == 0:
        return float("nan")
    ranks = scipy.stats.rankdata(score)
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))
