"""The gain is a share between 0 and 1, and the shares of both sources add up to 1."""

import numpy as np
import pytest

from karaoke_sep.steps import wiener
from karaoke_sep.steps.wiener import Params

EXPONENTS = [0.5, 1.0, 2.0, 10.0]


def magnitudes(seed):
    """From silence to far above full scale."""
    rng = np.random.default_rng(seed)
    return (rng.random((60, 40)) * 10.0 ** rng.integers(-6, 6, (60, 40))).astype(np.float32)


X, V, A = magnitudes(0), magnitudes(1), magnitudes(2)
RULES = [Params("subtract"), *(Params("wiener", exponent) for exponent in EXPONENTS)]


@pytest.mark.parametrize("params", RULES)
def test_the_gain_is_between_0_and_1_and_touches_nothing(params):
    before = [x.copy() for x in (X, V, A)]
    gain = wiener.gain(X, V, A, params)
    assert gain.shape == X.shape
    assert gain.dtype == np.float32
    assert gain.min() >= 0
    assert gain.max() <= 1
    for x, copy in zip((X, V, A), before, strict=True):
        np.testing.assert_array_equal(x, copy)


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_voice_and_accompaniment_share_the_mixture_in_full(exponent):
    params = Params("wiener", exponent)
    np.testing.assert_allclose(wiener.gain(X, V, A, params) + wiener.gain(X, A, V, params), 1, atol=1e-6)


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_the_wiener_gain_is_the_ratio_of_powers(exponent):
    ratio = V.astype(float) ** exponent / (V.astype(float) ** exponent + A.astype(float) ** exponent)
    np.testing.assert_allclose(wiener.gain(X, V, A, Params("wiener", exponent)), ratio, atol=1e-6)


def test_the_subtract_rule_keeps_the_mixture_minus_the_accompaniment():
    left = wiener.gain(X, V, A, Params("subtract")) * X
    np.testing.assert_allclose(left, np.maximum(X - A, 0), rtol=1e-5, atol=1e-10)


@pytest.mark.parametrize("params", RULES)
def test_silence_has_a_gain_near_zero(params):
    zeros = np.zeros((2, 3), np.float32)
    assert (wiener.gain(zeros, zeros, zeros, params) == 0).all()


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_a_higher_exponent_separates_harder(exponent):
    soft = wiener.gain(X, V, A, Params("wiener", exponent))
    hard = wiener.gain(X, V, A, Params("wiener", 1.5 * exponent if exponent < 5 else 10.0))
    assert (np.abs(hard - 0.5) >= np.abs(soft - 0.5) - 1e-6).all()
