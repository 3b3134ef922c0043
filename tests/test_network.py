"""The network's operations against libraries and against small changes of their inputs."""

import numpy as np
import pytest
import scipy.signal

from karaoke_sep.trained.network import Tape


@pytest.mark.parametrize("extent", [(1, 1), (3, 3), (5, 1)])
def test_convolution_is_that_of_scipy(extent):
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal((8, 6, 2)), rng.standard_normal((*extent, 2, 3)), rng.standard_normal(3)
    y = Tape().conv(x, w, b)
    for d in range(3):
        true = sum(scipy.signal.correlate2d(x[:, :, c], w[:, :, c, d], "same") for c in range(2)) + b[d]
        np.testing.assert_allclose(y[:, :, d], true, atol=1e-12)


def through_all(tape, x, w, b, told):
    """Every operation, and a map that is used twice."""
    h = tape.relu(tape.add(tape.conv(x, w, b), told))
    small = tape.pool(h)
    h = tape.times(tape.add(h, tape.spread(small)), np.array([0.5, 2, 0]))
    return tape.reshape(h, (4, 1, -1))


def test_slopes_are_those_of_small_changes():
    rng = np.random.default_rng(1)
    shapes = [(4, 6, 2), (3, 3, 2, 3), (3,), (4, 1, 3)]
    inputs = [rng.standard_normal(shape) for shape in shapes]
    weights = rng.standard_normal((4, 1, 18))
    tape = Tape(learn=True)
    slopes = tape.slopes([(through_all(tape, *inputs), weights)])
    for k, values in enumerate(inputs):
        step = 1e-6 * rng.standard_normal(values.shape)
        ahead, behind = (
            np.sum(weights * through_all(Tape(), *inputs[:k], values + sign * step, *inputs[k + 1 :]))
            for sign in (1, -1)
        )
        assert np.sum(slopes[id(values)] * step) == pytest.approx((ahead - behind) / 2, rel=1e-6)


def test_slopes_stop_at_data():
    rng = np.random.default_rng(2)
    x, w, b = rng.standard_normal((4, 4, 2)), rng.standard_normal((3, 3, 2, 2)), np.zeros(2)
    tape = Tape(learn=True)
    y = tape.conv(x, w, b, from_data=True)
    slopes = tape.slopes([(y, np.ones_like(y))])
    assert id(w) in slopes
    assert id(x) not in slopes


def test_a_tape_that_does_not_learn_computes_the_same_and_keeps_nothing():
    rng = np.random.default_rng(3)
    inputs = [rng.standard_normal(shape) for shape in [(4, 6, 2), (3, 3, 2, 3), (3,), (4, 1, 3)]]
    tape = Tape()
    y = through_all(tape, *inputs)
    np.testing.assert_array_equal(y, through_all(Tape(learn=True), *inputs))
    assert set(tape.slopes([(y, y)])) == {id(y)}
