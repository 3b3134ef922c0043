"""Decoding of hidden Markov models, against trying every path."""

from itertools import pairwise, product

import numpy as np
import pytest
import scipy.special

from karaoke_sep.dsp.viterbi import posteriors, two_state_posterior, viterbi, viterbi_changes, viterbi_dense


def total(path, score_TP, step_cost):
    """Return the total score of a path minus the cost of its steps."""
    return sum(score_TP[t, p] for t, p in enumerate(path)) - step_cost * sum(abs(b - a) for a, b in pairwise(path))


def scores(n_frames, n_states, seed=0):
    return np.random.default_rng(seed).random((n_frames, n_states))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("max_jump", [1, 2, 4])
@pytest.mark.parametrize("step_cost", [0.0, 0.1, 1.0])
def test_viterbi_agrees_with_trying_every_path(seed, max_jump, step_cost):
    score_TP = scores(5, 5, seed)
    allowed = (p for p in product(range(5), repeat=5) if max(abs(b - a) for a, b in pairwise(p)) <= max_jump)
    best = max(total(p, score_TP, step_cost) for p in allowed)
    path = viterbi(score_TP.astype(np.float32), max_jump, step_cost)
    assert total(path, score_TP, step_cost) == pytest.approx(best, abs=1e-5)


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


def random_chain(seed=0, n_frames=6):
    """Return scores, start probabilities and transition probabilities of a random chain of three states."""
    rng = np.random.default_rng(seed)
    start, steps = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3), 3)
    return rng.standard_normal((n_frames, 3)), start, steps


def every_path(score_TS, start_S, transitions_SS):
    """Return all paths and their probabilities, which are not divided by their sum."""
    paths = np.array(list(product(range(3), repeat=len(score_TS))))
    p = start_S[paths[:, 0]] * np.prod(transitions_SS[paths[:, :-1], paths[:, 1:]], axis=1)
    return paths, p * np.exp(score_TS[np.arange(len(score_TS)), paths].sum(axis=1))


@pytest.mark.parametrize("seed", range(5))
def test_the_general_forms_agree_with_trying_every_path(seed):
    paths, p = every_path(*random_chain(seed))
    np.testing.assert_array_equal(viterbi_dense(*random_chain(seed)), paths[p.argmax()])
    true_TS = np.stack([np.array([p[paths[:, t] == s].sum() for s in range(3)]) for t in range(6)]) / p.sum()
    np.testing.assert_allclose(posteriors(*random_chain(seed)), true_TS, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_special_forms_find_the_path_of_the_general_form(seed):
    rng = np.random.default_rng(seed)
    score_TS, states = 3 * rng.standard_normal((40, 7)), np.arange(7)
    start_S = np.ones(7)
    leaving_S, entering_S = rng.uniform(0, 2, (2, 7))
    change_SS = np.exp(-(leaving_S[:, None] + entering_S) * (states[:, None] != states))
    blocks = [(part_TS, np.ones(len(part_TS))) for part_TS in np.split(score_TS, [1, 11, 30])]
    path_T, changed_T = viterbi_changes(blocks, leaving_S, entering_S)
    np.testing.assert_array_equal(path_T, viterbi_dense(score_TS, start_S, change_SS))
    np.testing.assert_array_equal(changed_T[1:], np.diff(path_T) != 0)
    distance_SS = np.abs(states[:, None] - states)
    step_SS = np.where(distance_SS <= 2, np.exp(-0.5 * distance_SS), 0)
    np.testing.assert_array_equal(
        viterbi(score_TS.astype(np.float32), 2, 0.5), viterbi_dense(score_TS, start_S, step_SS)
    )


@pytest.mark.parametrize("seed", range(5))
def test_changes_with_a_cost_or_a_reward_in_each_frame_find_the_best_of_all_paths(seed):
    rng = np.random.default_rng(seed)
    score_TS, cost_T = rng.standard_normal((5, 2)), rng.normal(0, 2, 5)
    leaving_S, entering_S = rng.uniform(0, 1, (2, 2))
    totals = {}
    for path in product(range(2), repeat=5):
        for changes in product([False, True], repeat=5):
            allowed = all(changes[t] or path[t] == path[t - 1] for t in range(1, 5))
            if allowed and not changes[0]:
                costs = [cost_T[t] * (leaving_S[path[t - 1]] + entering_S[path[t]]) for t in range(1, 5) if changes[t]]
                totals[path, changes] = score_TS[np.arange(5), path].sum() - sum(costs)
    path_T, changed_T = viterbi_changes([(score_TS, np.append(np.inf, cost_T[1:]))], leaving_S, entering_S)
    assert (tuple(path_T), tuple(changed_T)) == max(totals, key=totals.get)


def test_the_posterior_of_two_states_is_that_of_the_general_form():
    log_odds, change, end = np.random.default_rng(0).normal(0, 3, 8), 0.2, 1.5
    score_TS = np.stack([log_odds, np.zeros(8)], axis=1)
    score_TS[-1, 0] += end
    start_S = scipy.special.expit([end, -end])
    general_TS = posteriors(score_TS, start_S, np.array([[1 - change, change], [change, 1 - change]]))
    np.testing.assert_allclose(two_state_posterior(log_odds, change, end), general_TS[:, 0], rtol=1e-9)
