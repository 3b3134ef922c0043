"""Decoding of hidden Markov models: the best path (Viterbi 1967), and the probabilities of the states (Rabiner 1989).

A chain of S states has a score for each frame and state (a log-likelihood), probabilities of the first state, and a
matrix of transition probabilities. `viterbi_dense` and `posteriors` decode this general form, at a cost of S^2 a frame.
The other functions are special forms of the transition matrix that cost less:

- `viterbi`: ordered states, with a cost in proportion to the size of each step;
- `viterbi_changes`: a cost for leaving a state and a cost for entering one, whichever two they are, in each frame;
- `two_state_posterior`: two states with equal probabilities of change, computed in log-odds.
"""

from collections.abc import Iterable

import numpy as np
import scipy

TINY = 1e-300  # keeps logarithms and divisions of zero probabilities finite


def viterbi_dense(score_TS: np.ndarray, start_S: np.ndarray, transitions_SS: np.ndarray) -> np.ndarray:
    """Return the most likely path for any transition matrix.

    Parameters
    ----------
    score_TS : ndarray, shape (T, S)
        Log-likelihood of each state.
    start_S : ndarray, shape (S,), 0..1
        Probability of each state in the first frame.
    transitions_SS : ndarray, shape (S, S), 0..1
        Probability of going from the state of the row to the state of the column.

    Returns
    -------
    ndarray, shape (T,), int
    """
    step_SS = np.log(transitions_SS + TINY)
    previous_TS = np.zeros(score_TS.shape, int)
    total_S = np.log(start_S + TINY) + score_TS[0]
    for t in range(1, len(score_TS)):
        total_SS = total_S[:, None] + step_SS
        previous_TS[t] = total_SS.argmax(axis=0)
        total_S = total_SS.max(axis=0) + score_TS[t]
    return _backtrack(previous_TS, int(total_S.argmax()))


def viterbi_changes(
    blocks: Iterable[tuple[np.ndarray, np.ndarray]], leaving_S: np.ndarray, entering_S: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the path of the highest total score minus the costs of its changes.

    Parameters
    ----------
    blocks : iterable of (ndarray of shape (t, S), ndarray of shape (t,))
        Scores, and the cost of a change in each frame, in blocks in order of time. One block is kept at a time. A
        negative cost is a reward, also for a change into the same state.
    leaving_S, entering_S : ndarray, shape (S,), >= 0
        Shares of that cost for leaving a state, and for entering it. Staying costs nothing.

    Returns
    -------
    state_T : ndarray, shape (T,), int
    changed_T : ndarray, shape (T,), bool
        Whether the path enters its state in this frame.
    """
    total_S = np.zeros(len(leaving_S))
    decided = []  # the best state to leave in each frame, and which states were better entered from there: 1 bit each
    for score_TS, cost_T in blocks:
        left_T, entered_TS = np.empty(len(score_TS), np.int16), np.empty(score_TS.shape, bool)
        leaving_TS, entering_TS = cost_T[:, None] * leaving_S, cost_T[:, None] * entering_S
        for t, score_S in enumerate(score_TS):
            left_S = total_S - leaving_TS[t]
            left_T[t] = best = left_S.argmax()  # whichever state the change leads to
            changed_S = left_S[best] - entering_TS[t]
            np.greater(changed_S, total_S, out=entered_TS[t])
            total_S = np.maximum(changed_S, total_S)
            total_S += score_S
        decided.append((left_T, np.packbits(entered_TS, axis=1)))
    state, parts = int(total_S.argmax()), []
    for left_T, packed_TS in reversed(decided):
        entered_TS = np.unpackbits(packed_TS, axis=1)
        path = np.empty((len(left_T), 2), int)
        for t in range(len(path) - 1, -1, -1):
            path[t] = state, entered_TS[t, state]
            if entered_TS[t, state]:
                state = int(left_T[t])
        parts.append(path)
    state_T, changed_T = np.concatenate(parts[::-1]).T
    return state_T, changed_T.astype(bool)


def viterbi(score_TP: np.ndarray, max_jump: int, step_cost: float) -> np.ndarray:
    """Return the path of the highest total score minus the cost of its steps, for ordered states.

    Parameters
    ----------
    score_TP : ndarray, shape (T, P)
    max_jump : int, states
        Largest step between two frames.
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
        best -= np.maximum.reduce(best)  # keeps the totals near 0, so that hours of frames do not lose precision
    path = np.empty(n_frames, int)
    path[-1] = best_TP[-1].argmax()
    # The best previous state is computed for the states of the path alone, which is faster than storing it for all.
    for t in range(n_frames - 1, 0, -1):
        path[t - 1] = path[t] - max_jump + (reachable_TJP[t - 1, :, path[t]] - cost).argmax()
    return path


def _backtrack(previous_TS: np.ndarray, last: int) -> np.ndarray:
    """Return the path that ends in state ``last``, from the best previous state of each frame and state."""
    path = np.empty(len(previous_TS), int)
    path[-1] = last
    for t in range(len(path) - 1, 0, -1):
        path[t - 1] = previous_TS[t, path[t]]
    return path


def posteriors(score_TS: np.ndarray, start_S: np.ndarray, transitions_SS: np.ndarray) -> np.ndarray:
    """Return the probability of each state given all frames, shape (T, S), by the forward-backward algorithm.

    Rabiner (1989), Eqs. (18) to (27). Parameters as for `viterbi_dense`.
    """
    likelihood_TS = np.exp(score_TS - score_TS.max(axis=1, keepdims=True))
    forward_TS, backward_TS = np.empty_like(likelihood_TS), np.ones_like(likelihood_TS)
    forward_S = start_S
    for t, likelihood_S in enumerate(likelihood_TS):
        forward_S = likelihood_S * (forward_S if t == 0 else forward_S @ transitions_SS) + TINY
        forward_TS[t] = forward_S = forward_S / forward_S.sum()
    for t in range(len(likelihood_TS) - 2, -1, -1):
        backward_S = transitions_SS @ (likelihood_TS[t + 1] * backward_TS[t + 1]) + TINY
        backward_TS[t] = backward_S / backward_S.sum()
    joint_TS = forward_TS * backward_TS
    return joint_TS / joint_TS.sum(axis=1, keepdims=True)


def two_state_posterior(log_odds: np.ndarray, change: float, end_log_odds: float) -> np.ndarray:
    """Return the probability of the first of two states given all steps, shape (T,), 0..1.

    Parameters
    ----------
    log_odds : ndarray, shape (T,)
        Log-odds of the first state at each step, from that step alone.
    change : float
        Probability that the state changes from one step to the next, above 0 and at most 0.5.
    end_log_odds : float
        Log-odds of the first state before the first step and after the last one.
    """

    def predict(x: float) -> float:
        # Log-odds one step on: of p (1 - change) + (1 - p) change with p = expit(x).
        return np.logaddexp(x + np.log1p(-change), np.log(change)) - np.logaddexp(x + np.log(change), np.log1p(-change))

    forward, backward = np.empty(len(log_odds)), np.empty(len(log_odds))
    before = after = end_log_odds
    for t, here in enumerate(log_odds):
        forward[t] = before + here
        before = predict(forward[t])
    for t in range(len(log_odds) - 1, -1, -1):
        backward[t] = after
        after = predict(after + log_odds[t])
    return scipy.special.expit(forward + backward)
