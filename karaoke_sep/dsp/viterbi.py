"""The best path through a chain of ordered states (Viterbi 1967), with a cost for the size of each step."""

import numpy as np


def viterbi(score_TP: np.ndarray, max_jump: int, step_cost: float) -> np.ndarray:
    """The path of highest total score less the cost of its steps.

    Parameters
    ----------
    score_TP : ndarray, shape (T, P)
    max_jump : int, states
        No larger step is allowed between frames.
    step_cost : float
        Cost of a step, per state.

    Returns
    -------
    ndarray, shape (T,), int
        Index of the state in each frame.
    """
    n_frames, n_states = score_TP.shape
    cost = step_cost * np.abs(np.arange(-max_jump, max_jump + 1)).astype(np.float32)
    cost_JP = np.repeat(cost[:, None], n_states, axis=1)
    padded_TP = np.full((n_frames, n_states + 2 * max_jump), -np.inf, np.float32)
    reachable_TJP = np.lib.stride_tricks.sliding_window_view(padded_TP, n_states, axis=1)
    best_TP = padded_TP[:, max_jump : max_jump + n_states]
    best_TP[0] = score_TP[0]
    total_JP = np.empty_like(cost_JP)
    for t in range(1, n_frames):
        np.subtract(reachable_TJP[t - 1], cost_JP, out=total_JP)
        best = np.maximum.reduce(total_JP, axis=0, out=best_TP[t])
        best += score_TP[t]
        best -= np.maximum.reduce(best)  # kept near 0, so that hours do not lose precision
    path = np.empty(n_frames, int)
    path[-1] = best_TP[-1].argmax()
    # Which step was the best is asked for the states of the path alone, instead of being noted for all.
    for t in range(n_frames - 1, 0, -1):
        path[t - 1] = path[t] - max_jump + (reachable_TJP[t - 1, :, path[t]] - cost).argmax()
    return path
