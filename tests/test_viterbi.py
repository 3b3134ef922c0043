"""The best path, found by trying every path."""

from itertools import pairwise, product

import numpy as np
import pytest

from karaoke_sep.dsp.viterbi import viterbi


def worth(path, score_TP, step_cost):
    """Total score of a path less the cost of its steps."""
    return sum(score_TP[t, p] for t, p in enumerate(path)) - step_cost * sum(abs(b - a) for a, b in pairwise(path))


def scores(n_frames, n_states, seed=0):
    return np.random.default_rng(seed).random((n_frames, n_states))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("max_jump", [1, 2, 4])
@pytest.mark.parametrize("step_cost", [0.0, 0.1, 1.0])
def test_viterbi_agrees_with_trying_every_path(seed, max_jump, step_cost):
    score_TP = scores(5, 5, seed)
    allowed = (p for p in product(range(5), repeat=5) if max(abs(b - a) for a, b in pairwise(p)) <= max_jump)
    best = max(worth(p, score_TP, step_cost) for p in allowed)
    path = viterbi(score_TP.astype(np.float32), max_jump, step_cost)
    assert worth(path, score_TP, step_cost) == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("max_jump", [1, 3, 12])
def test_no_step_is_longer_than_allowed_whatever_it_would_gain(max_jump):
    score_TP = np.zeros((80, 30), np.float32)
    score_TP[:40, 0] = score_TP[40:, -1] = 1000
    path = viterbi(score_TP, max_jump, 0.0)
    assert np.abs(np.diff(path)).max() == max_jump


def test_free_steps_of_any_length_follow_the_highest_score():
    score_TP = scores(50, 20).astype(np.float32)
    np.testing.assert_array_equal(viterbi(score_TP, 20, 0.0), score_TP.argmax(axis=1))


def test_dear_steps_stay_on_the_state_of_the_highest_sum():
    score_TP = scores(50, 20).astype(np.float32)
    np.testing.assert_array_equal(viterbi(score_TP, 20, 1000.0), np.full(50, score_TP.sum(axis=0).argmax()))


def test_a_frame_that_is_louder_as_a_whole_changes_nothing_even_after_hours():
    score_TP = np.tile(np.float32([[0, 0, 0.01], [0.01, 0, 0]]), (2000, 1))
    path = viterbi(score_TP + np.float32(1000), 2, 0.001)
    np.testing.assert_array_equal(path, score_TP.argmax(axis=1))


def test_one_frame_and_one_state_have_their_only_path():
    np.testing.assert_array_equal(viterbi(np.float32([[0, 2, 1]]), 1, 0.1), [1])
    np.testing.assert_array_equal(viterbi(np.zeros((4, 1), np.float32), 3, 0.1), np.zeros(4))
