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
    padded = np.full(n_states + 2 * max_jump, -np.inf, np.float32)
    reachable = np.lib.stride_tricks.sliding_window_view(padded, 2 * max_jump + 1)
    padded[max_jump : max_jump + n_states] = score_TP[0]
    step_TP = np.zeros((n_frames, n_states), np.int32)
    states = np.arange(n_states)
    for t in range(1, n_frames):
        total = reachable - cost
        step_TP[t] = total.argmax(axis=1)
        best = total[states, step_TP[t]] + score_TP[t]
        padded[max_jump : max_jump + n_states] = best - best.max()  # kept near 0, so that hours do not lose precision
    path = np.empty(n_frames, int)
    path[-1] = padded[max_jump : max_jump + n_states].argmax()
    for t in range(n_frames - 1, 0, -1):
        path[t - 1] = path[t] + step_TP[t, path[t]] - max_jump
    return path
