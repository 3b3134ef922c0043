"""Blocks of frames make up the whole."""

import numpy as np
import pytest

from karaoke_sep.dsp import kl_nmf as kl_ratio
from karaoke_sep.dsp.kl_nmf import ratios


@pytest.mark.parametrize("n_frames", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("with_voice", [False, True])
def test_the_blocks_together_are_the_mixture_over_the_model(n_frames, with_voice):
    rng = np.random.default_rng(0)
    X_TF, V_TF = rng.random((2, n_frames, 30)).astype(np.float32)
    H_TK, B_KF = rng.random((n_frames, 3)).astype(np.float32), rng.random((3, 30)).astype(np.float32)
    pieces = [(block, R_TF.copy()) for block, R_TF in ratios(X_TF, H_TK, B_KF, V_TF if with_voice else None)]
    model_TF = H_TK @ B_KF + (V_TF if with_voice else 0)
    np.testing.assert_allclose(np.vstack([R_TF for _, R_TF in pieces]), X_TF / model_TF, rtol=1e-5)
    assert [block.start for block, _ in pieces] == list(range(0, n_frames, kl_ratio.BLOCK_FRAMES))
    assert pieces[-1][0].stop == n_frames


def test_silence_has_a_ratio():
    nothing = np.zeros((5, 4), np.float32)
    [(_, R_TF)] = ratios(nothing, nothing[:, :2], nothing[:2])
    np.testing.assert_array_equal(R_TF, nothing)
