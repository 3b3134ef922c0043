"""The median of three accompaniment estimates: masked notes are predicted, and one wrong estimate has no effect."""

import numpy as np
import pytest

from karaoke_sep.steps.accompaniment_views import Params, median_of_views, nearby_times, similar_frames

N_FRAMES, N_BINS = 120, 60
HOP_MS, BIN_HZ = 16.0, 50.0
HIDDEN = slice(56, 64)  # frames
NOTE = slice(20, 24)  # bins


def held_note():
    """Accompaniment of a note held over quiet noise."""
    A_TF = 0.05 + 0.02 * np.random.default_rng(0).random((N_FRAMES, N_BINS), np.float32)
    A_TF[:, NOTE] += 1
    return A_TF


def repeated_notes():
    """Two alternating notes of ten frames each, so that nearby frames contain the other note."""
    A_TF = 0.05 + 0.02 * np.random.default_rng(0).random((N_FRAMES, N_BINS), np.float32)
    second = np.arange(N_FRAMES) // 10 % 2 == 1
    for bins, on in (((5, 20, 35), ~second), ((9, 27, 45), second)):
        A_TF[np.ix_(on, bins)] += 1
    return A_TF


def with_voice(A_TF):
    """Mixture, voice and mask, when a voice three times as loud hides the note's bins for a while."""
    V_TF = np.zeros_like(A_TF)
    V_TF[HIDDEN, NOTE] = 3
    return A_TF + V_TF, V_TF, V_TF > 0


def views(X_TF, V_TF, A_TF, covered_TF):
    return median_of_views(X_TF, V_TF, A_TF, covered_TF, HOP_MS, BIN_HZ, Params())


def hidden_error(estimate_TF, true_TF):
    """Largest error in the hidden bins, of a note of magnitude 1."""
    return np.abs(estimate_TF - true_TF)[HIDDEN, NOTE].max()


@pytest.mark.parametrize("guess", [0.3, 3.0])
def test_a_held_note_that_is_masked_for_a_while_is_predicted_from_its_surroundings(guess):
    true_TF = held_note()
    X_TF, V_TF, covered_TF = with_voice(true_TF)
    A_TF = true_TF.copy()
    A_TF[HIDDEN, NOTE] = guess
    assert hidden_error(A_TF, true_TF) > 0.6
    assert hidden_error(views(X_TF, V_TF, A_TF, covered_TF), true_TF) < 0.15


def test_the_estimate_from_nearby_times_contains_a_held_note_in_covered_bins():
    true_TF = held_note()
    X_TF, V_TF, _ = with_voice(true_TF)
    A_TF = true_TF.copy()
    A_TF[HIDDEN, NOTE] = 0
    assert hidden_error(nearby_times(X_TF, V_TF, A_TF, 20.0), true_TF) < 0.05


def test_the_estimate_from_similar_frames_contains_a_repeated_note_and_that_from_nearby_times_another():
    true_TF = repeated_notes()
    X_TF, V_TF, covered_TF = with_voice(true_TF)
    similar_TF = similar_frames(X_TF, covered_TF, 20.0, N_BINS, Params())
    nearby_TF = nearby_times(X_TF, V_TF, true_TF, 20.0)
    assert hidden_error(similar_TF, true_TF) < 0.1
    assert hidden_error(nearby_TF, true_TF) > 0.3


def test_covered_bins_have_no_influence_on_the_similarity_of_frames():
    X_TF, _, covered_TF = with_voice(repeated_notes())
    louder_TF = np.where(covered_TF, 1000 * X_TF, X_TF)
    one, other = (similar_frames(x, covered_TF, 20.0, N_BINS, Params()) for x in (X_TF, louder_TF))
    np.testing.assert_array_equal(one, other)


def test_the_result_is_the_median_of_the_three_in_every_bin():
    rng = np.random.default_rng(0)
    X_TF, V_TF, covered_TF = with_voice(repeated_notes())
    A_TF = X_TF * rng.random(X_TF.shape, np.float32) * 2
    reach_frames = Params().nearby_ms / HOP_MS
    three = [
        A_TF,
        nearby_times(X_TF, V_TF, A_TF, reach_frames),
        similar_frames(X_TF, covered_TF, reach_frames, round(Params().similar_top_hz / BIN_HZ), Params()),
    ]
    np.testing.assert_array_equal(views(X_TF, V_TF, A_TF, covered_TF), np.median(three, axis=0))
    assert len(np.unique(np.argsort(three, axis=0)[1])) == 3  # each of the three is the median somewhere


def test_a_louder_mixture_has_a_louder_accompaniment():
    X_TF, V_TF, covered_TF = with_voice(repeated_notes())
    A_TF = 0.8 * X_TF
    louder = views(100 * X_TF, 100 * V_TF, 100 * A_TF, covered_TF)
    np.testing.assert_allclose(louder, 100 * views(X_TF, V_TF, A_TF, covered_TF), rtol=1e-3)


@pytest.mark.parametrize("covered", [False, True])
@pytest.mark.parametrize("n_frames", [1, 2, 50])
def test_silence_stays_silence(n_frames, covered):
    zeros_TF = np.zeros((n_frames, N_BINS), np.float32)
    assert (views(zeros_TF, zeros_TF, zeros_TF, np.full(zeros_TF.shape, covered)) == 0).all()


def test_inputs_are_untouched():
    X_TF, V_TF, covered_TF = with_voice(held_note())
    inputs = X_TF, V_TF, 0.9 * X_TF, covered_TF
    before = [x.copy() for x in inputs]
    views(*inputs)
    for x, copy in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(x, copy)
