"""Gaussian smoothing over time."""

import numpy as np
import pytest

from karaoke_sep.dsp.smoothing import smooth, smooth_plane


def test_smoothing_keeps_the_sum_and_has_the_given_width():
    impulse = np.zeros(401)
    impulse[200] = 1
    response = smooth(impulse, 12.0)
    assert response.sum() == pytest.approx(1)
    assert np.sqrt(np.sum(response * (np.arange(401) - 200.0) ** 2)) == pytest.approx(12, rel=0.01)


def test_a_width_of_0_changes_nothing_and_the_input_is_untouched():
    values = np.random.default_rng(0).random(20)
    copy = values.copy()
    smooth(values, 0)[:] = 0
    smooth(values, 3.0)
    np.testing.assert_array_equal(values, copy)
    np.testing.assert_array_equal(smooth(values, 0), values)


@pytest.mark.parametrize("n_frames", [1, 49, 50, 51, 333])
@pytest.mark.parametrize("sigma_frames", [0.7, 12.5, 40.0])
def test_smoothing_a_plane_smooths_each_column(n_frames, sigma_frames):
    values_TF = np.random.default_rng(0).random((n_frames, 4)).astype(np.float32)
    smooth_TF = smooth_plane(values_TF, sigma_frames)
    assert smooth_TF.dtype == np.float32
    np.testing.assert_allclose(smooth_TF, smooth(values_TF, sigma_frames), atol=2e-6)
