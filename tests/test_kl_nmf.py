"""Updates of the Kullback-Leibler factorisation."""

import numpy as np
import pytest

from karaoke_sep.dsp import kl_nmf


def random_planes(n_frames, n_bins=30, n_components=3):
    """Return X, V, H and B."""
    rng = np.random.default_rng(0)
    X_TF, V_TF = rng.random((2, n_frames, n_bins)).astype(np.float32)
    return X_TF, V_TF, rng.random((n_frames, n_components), np.float32), rng.random((n_components, n_bins), np.float32)


@pytest.mark.parametrize("n_frames", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("with_voice", [False, True])
def test_the_ratios_of_the_blocks_are_that_of_the_whole_plane(n_frames, with_voice):
    X_TF, V_TF, H_TK, B_KF = random_planes(n_frames)
    parts = [(block, R_TF.copy()) for block, R_TF in kl_nmf.ratios(X_TF, H_TK, B_KF, V_TF if with_voice else None)]
    model_TF = H_TK @ B_KF + (V_TF if with_voice else 0)
    np.testing.assert_allclose(np.vstack([R_TF for _, R_TF in parts]), X_TF / model_TF, rtol=1e-5)
    assert [block.start for block, _ in parts] == list(range(0, n_frames, kl_nmf.BLOCK_FRAMES))
    assert parts[-1][0].stop == n_frames


def test_the_ratio_of_silence_is_0():
    zeros = np.zeros((5, 4), np.float32)
    [(_, R_TF)] = kl_nmf.ratios(zeros, zeros[:, :2], zeros[:2])
    np.testing.assert_array_equal(R_TF, zeros)


@pytest.mark.parametrize("block_frames", [None, 7, 64])
def test_the_updates_are_those_of_lee_and_seung(block_frames):
    X_TF, V_TF, H_TK, B_KF = random_planes(100)
    M_TF = (np.random.default_rng(1).random(X_TF.shape) > 0.3).astype(np.float32)
    R_TF = M_TF * X_TF / (H_TK @ B_KF + V_TF)
    numerator_KF = kl_nmf.basis_numerator(M_TF * X_TF, H_TK, B_KF, V_TF, block_frames)
    np.testing.assert_allclose(numerator_KF, H_TK.T @ R_TF, rtol=1e-5)
    some_KF = kl_nmf.basis_numerator(M_TF * X_TF, H_TK, B_KF, V_TF, block_frames, slice(1, None))
    np.testing.assert_allclose(some_KF, numerator_KF[1:], rtol=1e-5)
    updated_TK = H_TK.copy()
    kl_nmf.update_activations(M_TF * X_TF, updated_TK, B_KF, M_TF @ B_KF.T, V_TF, block_frames)
    np.testing.assert_allclose(updated_TK, H_TK * (R_TF @ B_KF.T) / (M_TF @ B_KF.T), rtol=1e-5)


def test_each_update_lowers_the_weighted_divergence():
    X_TF, V_TF, H_TK, B_KF = random_planes(100)
    M_TF = (np.random.default_rng(1).random(X_TF.shape) > 0.3).astype(np.float32)

    def divergence():
        L_TF = H_TK @ B_KF + V_TF
        return np.sum(M_TF * (X_TF * np.log(X_TF / L_TF) - X_TF + L_TF), dtype=float)

    before = divergence()
    kl_nmf.update_activations(M_TF * X_TF, H_TK, B_KF, M_TF @ B_KF.T, V_TF)
    between = divergence()
    B_KF *= kl_nmf.basis_numerator(M_TF * X_TF, H_TK, B_KF, V_TF) / (H_TK.T @ M_TF)
    assert divergence() < between < before
