"""The running median, against the median of every window."""

import numpy as np
import pytest

from karaoke_sep.dsp import running_median as module
from karaoke_sep.dsp.running_median import running_median


@pytest.mark.parametrize("length", [1, 3, 5, 17, 23, 33, 65, 67])
@pytest.mark.parametrize("shape", [(1, 3), (5, 1), (50, 3), (331, 70)])
def test_a_running_median_is_the_median_of_every_window(length, shape):
    values_TF = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    before_TF = values_TF.copy()
    mirrored_TF = np.pad(values_TF, ((length // 2, length // 2), (0, 0)), mode="symmetric")
    windows_TFL = np.lib.stride_tricks.sliding_window_view(mirrored_TF, length, axis=0)
    medians_TF = running_median(values_TF, length)
    np.testing.assert_array_equal(medians_TF, np.median(windows_TFL, axis=2))
    assert medians_TF.dtype == np.float32
    np.testing.assert_array_equal(values_TF, before_TF)


def test_many_columns_at_once_give_the_same_as_one_column_alone():
    """Twice as many columns as values fit into a tile."""
    values_TF = np.random.default_rng(1).random((100, 2 * module.TILE_VALUES)).astype(np.float32)
    medians_TF = running_median(values_TF, 19)
    for column in range(0, values_TF.shape[1], 1000):
        np.testing.assert_array_equal(running_median(values_TF[:, [column]], 19), medians_TF[:, [column]])


def test_equal_values_are_sorted():
    values_TF = np.random.default_rng(2).integers(0, 3, (200, 7)).astype(np.float32)
    windows_TFL = np.lib.stride_tricks.sliding_window_view(np.pad(values_TF, ((8, 8), (0, 0)), "symmetric"), 17, axis=0)
    np.testing.assert_array_equal(running_median(values_TF, 17), np.median(windows_TFL, axis=2))
