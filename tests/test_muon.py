"""Muon, the optimiser of the network."""

import numpy as np
import pytest

from karaoke_sep.training import muon


@pytest.mark.parametrize("shape", [(144, 16), (16, 144), (8, 8)])
def test_the_result_is_nearly_orthogonal_whatever_the_singular_values(shape):
    rng = np.random.default_rng(0)
    U, _, Vt = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
    sizes = np.geomspace(1, 0.02, min(shape))
    found = muon.orthogonal((U * sizes @ Vt).astype(np.float32))
    inner = U.T @ found @ Vt.T
    np.testing.assert_allclose(inner - np.diag(np.diag(inner)), 0, atol=1e-3)
    assert 0.6 < np.diag(inner).min() <= np.diag(inner).max() < 1.3


def test_without_a_gradient_only_the_weight_decay_acts():
    weights = {"hidden": np.ones((1, 1, 4, 4), np.float32), "other": np.ones(4, np.float32)}
    zeros = {name: np.zeros_like(w) for name, w in weights.items()}
    moved = muon.Muon(weights, ["hidden"]).step(weights, zeros, 0.5)
    np.testing.assert_allclose(moved["hidden"], 1 - 0.5 * muon.KERNEL_RATE * muon.KERNEL_DECAY, rtol=1e-6)
    np.testing.assert_allclose(moved["other"], 1 - 0.5 * muon.RATE * muon.DECAY, rtol=1e-6)
    assert all(w.dtype == np.float32 for w in moved.values())


def test_the_length_of_the_first_step_does_not_depend_on_the_size_of_the_gradients():
    rng = np.random.default_rng(1)
    weights = {"hidden": np.zeros((3, 3, 2, 4), np.float32), "other": np.zeros(4, np.float32)}
    gradients = {name: rng.standard_normal(w.shape).astype(np.float32) for name, w in weights.items()}
    small, large = (
        muon.Muon(weights, ["hidden"]).step(weights, {name: np.float32(size) * s for name, s in gradients.items()}, 1)
        for size in (0.01, 10)
    )
    for name, w in small.items():
        np.testing.assert_allclose(w, large[name], rtol=1e-3)
    np.testing.assert_allclose(np.abs(small["other"]), muon.RATE, rtol=1e-4)
    assert np.sum(small["hidden"] * gradients["hidden"]) < 0


def test_it_minimises_a_badly_conditioned_quadratic_function():
    """Gradient descent would need the short steps of the steepest direction."""
    goal = np.random.default_rng(2).uniform(-0.5, 0.5, (4, 6))
    steepness = np.geomspace(1, 1e-4, 4)[:, None]
    weights = {"hidden": np.zeros((1, 1, 4, 6), np.float32)}
    rule = muon.Muon(weights, ["hidden"])
    for step in range(300):
        gradient = steepness * (weights["hidden"][0, 0] - goal)
        weights = rule.step(weights, {"hidden": gradient[None, None].astype(np.float32)}, 1 - step / 300)
    assert np.abs(weights["hidden"][0, 0] - goal).max() < 0.05
