"""The factorisation ignores bins inside the mask, and lowers the divergence outside it."""

import numpy as np
import pytest
from scipy.special import kl_div

from karaoke_sep.accompaniment.masked_nmf import Params, fit

COVERED = np.random.default_rng(1).random((60, 80)) < 0.3


def product(rank, seed=0):
    """A spectrogram of that rank, with zeros in its factors so that the parts are unique."""
    rng = np.random.default_rng(seed)
    H, B = (rng.random(shape) * (rng.random(shape) < 0.6) for shape in ((60, rank), (rank, 80)))
    return (H @ B + 1e-3).astype(np.float32)


def factors(X_TF, covered_TF=COVERED, seed=0, **settings):
    return fit(X_TF, covered_TF, 5.0, Params(**settings), np.random.default_rng(seed))


def divergence(X_TF, H_TK, B_KF, covered_TF=COVERED):
    """Generalised Kullback-Leibler divergence of the uncovered bins."""
    return kl_div(X_TF.astype(float), H_TK.astype(float) @ B_KF)[~covered_TF].sum()


@pytest.mark.parametrize("hidden", [0.0, 1e6])
def test_values_inside_the_mask_have_no_influence_at_all(hidden):
    X_TF = product(5)
    for one, other in zip(factors(X_TF), factors(np.where(COVERED, np.float32(hidden), X_TF)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("n_components", [1, 3, 10])
def test_no_iteration_raises_the_divergence_outside_the_mask(n_components):
    X_TF = product(6) + 0.1 * np.random.default_rng(2).random((60, 80), np.float32)
    path = [divergence(X_TF, *factors(X_TF, n_components=n_components, n_iterations=n)) for n in range(1, 16)]
    assert np.all(np.diff(path) <= 1e-3)  # of several hundred: rounding
    assert path[-1] < path[0] - 1


@pytest.mark.parametrize("seed", range(3))
def test_a_product_of_rank_2_is_recovered_under_the_mask_too(seed):
    X_TF = product(2, seed)
    H_TK, B_KF = factors(X_TF, seed=seed, n_components=2, n_iterations=200)
    error = np.linalg.norm((H_TK @ B_KF - X_TF)[COVERED]) / np.linalg.norm(X_TF[COVERED])
    assert error < 0.02


def test_a_louder_mixture_has_a_louder_accompaniment():
    X_TF = product(5)
    H_TK, B_KF = factors(X_TF)
    louder_H_TK, louder_B_KF = factors(1000 * X_TF)
    np.testing.assert_allclose(louder_H_TK @ louder_B_KF, 1000 * (H_TK @ B_KF), rtol=1e-3)


@pytest.mark.parametrize("covered", [COVERED, np.ones_like(COVERED), np.zeros_like(COVERED)])
@pytest.mark.parametrize("X_TF", [product(5), np.zeros((60, 80), np.float32)])
def test_factors_are_finite_and_not_negative_for_any_sound_and_mask(X_TF, covered):
    before = X_TF.copy(), covered.copy()
    H_TK, B_KF = factors(X_TF, covered, n_components=4)
    assert (H_TK.shape, B_KF.shape) == ((60, 4), (4, 80))
    for values in (H_TK, B_KF, H_TK @ B_KF):
        assert np.isfinite(values).all()
        assert values.min() >= 0
    np.testing.assert_array_equal(X_TF, before[0])
    np.testing.assert_array_equal(covered, before[1])


def test_another_start_is_another_factorisation():
    one, other = factors(product(5), seed=1), factors(product(5), seed=2)
    assert np.abs(one[0] - other[0]).max() > 0.01
