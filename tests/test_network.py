"""Operations of the network: against SciPy, and their gradients against finite differences."""

import numpy as np
import pytest
import scipy.signal

from karaoke_sep.trained.network import Tape


@pytest.mark.parametrize("extent", [(1, 1), (3, 3), (5, 1)])
def test_the_convolution_agrees_with_scipy(extent):
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal((8, 6, 2)), rng.standard_normal((*extent, 2, 3)), rng.standard_normal(3)
    y = Tape().conv(x, w, b)
    for d in range(3):
        true = sum(scipy.signal.correlate2d(x[:, :, c], w[:, :, c, d], "same") for c in range(2)) + b[d]
        np.testing.assert_allclose(y[:, :, d], true, atol=1e-12)


def apply_all(tape, x, w, b, per_frame):
    """Apply every operation, and use one map twice."""
    h = tape.relu(tape.add(tape.conv(x, w, b), per_frame))
    small = tape.average_pool(h)
    h = tape.scale(tape.add(h, tape.upsample(small)), np.array([0.5, 2, 0]))
    return tape.reshape(h, (4, 1, -1))


def test_gradients_agree_with_finite_differences():
    rng = np.random.default_rng(1)
    shapes = [(4, 6, 2), (3, 3, 2, 3), (3,), (4, 1, 3)]
    inputs = [rng.standard_normal(shape) for shape in shapes]
    weights = rng.standard_normal((4, 1, 18))
    tape = Tape(recording=True)
    gradients = tape.gradients([(apply_all(tape, *inputs), weights)])
    for k, values in enumerate(inputs):
        step = 1e-6 * rng.standard_normal(values.shape)
        ahead, behind = (
            np.sum(weights * apply_all(Tape(), *inputs[:k], values + sign * step, *inputs[k + 1 :])) for sign in (1, -1)
        )
        assert np.sum(gradients[id(values)] * step) == pytest.approx((ahead - behind) / 2, rel=1e-6)


def test_no_gradient_is_computed_for_data():
    rng = np.random.default_rng(2)
    x, w, b = rng.standard_normal((4, 4, 2)), rng.standard_normal((3, 3, 2, 2)), np.zeros(2)
    tape = Tape(recording=True)
    y = tape.conv(x, w, b, from_data=True)
    gradients = tape.gradients([(y, np.ones_like(y))])
    assert id(w) in gradients
    assert id(x) not in gradients


def test_a_tape_that_does_not_record_gives_the_same_results_and_keeps_nothing():
    rng = np.random.default_rng(3)
    inputs = [rng.standard_normal(shape) for shape in [(4, 6, 2), (3, 3, 2, 3), (3,), (4, 1, 3)]]
    tape = Tape()
    y = apply_all(tape, *inputs)
    np.testing.assert_array_equal(y, apply_all(Tape(recording=True), *inputs))
    assert set(tape.gradients([(y, y)])) == {id(y)}
