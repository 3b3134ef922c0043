"""The joint fit lowers the divergence from the mixture, and is exact for a mixture from the model."""

import numpy as np
import pytest
from scipy.special import kl_div

from karaoke_sep.accompaniment import masked_nmf
from karaoke_sep.dsp.stft import stft
from karaoke_sep.steps import harmonic_mask, joint_model
from karaoke_sep.steps.joint_model import Params
from karaoke_sep.types import Audio, PitchTrack

N_BINS = 400


@pytest.fixture(scope="module")
def mask():
    """Harmonic bands of a glide with vibrato."""
    spectrum = stft(Audio(np.zeros((1, 4000)), 8000), 128, 16)
    f0_hz = 220 * 2 ** (0.5 * spectrum.times_s + 0.05 * np.sin(30 * spectrum.times_s))
    track = PitchTrack(spectrum.times_s, f0_hz, np.ones(len(f0_hz)))
    return harmonic_mask.harmonic_mask(track, spectrum, N_BINS, harmonic_mask.Params(top_hz=3000))


@pytest.fixture(scope="module")
def truth(mask):
    """Voice at the bins of the mask, and factors of the accompaniment."""
    rng = np.random.default_rng(0)
    amplitudes = 3 * (1 + 0.8 * np.sin(0.2 * mask.frames + mask.partials)) / (1 + mask.partials)
    n_frames = mask.shape_TF[0]
    H_TK = rng.random((n_frames, 4)) * (rng.random((n_frames, 4)) < 0.6)
    B_KF = rng.random((4, N_BINS)) ** 4
    V = joint_model.voice(amplitudes.astype(np.float32), mask)
    return V, H_TK.astype(np.float32), B_KF.astype(np.float32)


@pytest.fixture(scope="module")
def mixture_TF(mask, truth):
    V, H_TK, B_KF = truth
    return H_TK @ B_KF + mask.spread(V)


def fitted(X_TF, *args, **kwargs):
    """Voice and accompaniment of the joint fit."""
    V, H_TK, B_KF = joint_model.fit(X_TF, *args, **kwargs)
    return V, H_TK @ B_KF


def relative_error(estimate, true):
    return np.linalg.norm(estimate - true) / np.linalg.norm(true)


def test_no_iteration_raises_the_divergence_from_the_mixture(mask, mixture_TF):
    rng = np.random.default_rng(1)
    H_TK, B_KF = masked_nmf.fit(mixture_TF, mask.covered_TF, 5.0, masked_nmf.Params(n_components=3), rng)
    path = []
    for n in range(12):
        V, A_TF = fitted(mixture_TF, mask, H_TK, B_KF, Params(n_iterations=n), n_smooth=1)
        path.append(kl_div(mixture_TF.astype(float), A_TF + mask.spread(V).astype(float)).sum())
    assert np.all(np.diff(path) <= 1e-2)  # of several hundred: rounding
    assert path[-1] < 0.5 * path[0]


@pytest.mark.parametrize(("n_iterations", "tolerance"), [(4, 0.03), (20, 0.005), (100, 0.0005)])
def test_a_mixture_from_the_model_is_separated(mask, truth, mixture_TF, n_iterations, tolerance):
    true_V, H_TK, B_KF = truth
    V, A_TF = fitted(mixture_TF, mask, H_TK, B_KF, Params(n_iterations=n_iterations), n_smooth=1)
    assert relative_error(V, true_V) < tolerance
    assert relative_error(A_TF, H_TK @ B_KF) < tolerance


@pytest.mark.parametrize(("n_iterations", "tolerance"), [(2, 0.05), (10, 0.005)])
def test_the_voice_is_recovered_with_the_true_accompaniment(mask, truth, mixture_TF, n_iterations, tolerance):
    true_V, H_TK, B_KF = truth
    params = Params(n_voice_iterations=n_iterations)
    assert relative_error(joint_model.fit_voice(mixture_TF, H_TK @ B_KF, mask, params, 1), true_V) < tolerance


def test_a_voice_alone_is_exact_without_any_iteration(mask, truth):
    true_V, *_ = truth
    alone_TF = mask.spread(true_V)
    V = joint_model.fit_voice(alone_TF, np.zeros_like(alone_TF), mask, Params(n_voice_iterations=0), 1)
    np.testing.assert_allclose(V, true_V, rtol=1e-4)


def test_the_joint_fit_improves_an_accompaniment_fitted_outside_the_mask(mask, truth, mixture_TF):
    true_V, true_H_TK, true_B_KF = truth
    rng = np.random.default_rng(0)
    H_TK, B_KF = masked_nmf.fit(mixture_TF, mask.covered_TF, 5.0, masked_nmf.Params(4, 100), rng)
    apart_V, apart_A_TF = fitted(mixture_TF, mask, H_TK, B_KF, Params(enabled=False), 1)
    V, A_TF = fitted(mixture_TF, mask, H_TK, B_KF, Params(), 1)
    assert relative_error(V, true_V) < 0.95 * relative_error(apart_V, true_V)
    assert relative_error(A_TF, true_H_TK @ true_B_KF) < 0.5 * relative_error(apart_A_TF, true_H_TK @ true_B_KF)


def test_disabled_the_voice_is_what_the_accompaniment_leaves(mask, truth, mixture_TF):
    _, H_TK, B_KF = truth
    A_TF = 0.7 * H_TK @ B_KF
    left = mask.weights * np.maximum(mixture_TF - A_TF, 0).ravel()[mask.bins]
    V, same_A_TF = fitted(mixture_TF, mask, 0.7 * H_TK, B_KF, Params(enabled=False), 5)
    np.testing.assert_allclose(V, left, atol=1e-5)
    np.testing.assert_allclose(same_A_TF, A_TF, atol=1e-5)
    np.testing.assert_allclose(joint_model.fit_voice(mixture_TF, A_TF, mask, Params(enabled=False), 5), left, atol=1e-5)


@pytest.mark.parametrize("n_smooth", [1, 3, 5])
def test_amplitudes_are_smoothed_within_each_partial(mask, n_smooth):
    amplitudes = np.random.default_rng(0).random(len(mask.starts)).astype(np.float32)
    smooth = joint_model.smooth_over_time(amplitudes, mask, n_smooth)
    for partial in range(3):  # these are heard in every frame
        own = np.pad(amplitudes[mask.partials == partial], n_smooth // 2, mode="edge")
        mean = np.convolve(own, np.ones(n_smooth) / n_smooth, "valid")
        np.testing.assert_allclose(smooth[mask.partials == partial], mean, rtol=1e-5)


def test_inputs_are_untouched(mask, truth, mixture_TF):
    _, H_TK, B_KF = truth
    inputs = mixture_TF, H_TK, B_KF, mask.weights
    before = [x.copy() for x in inputs]
    joint_model.fit(*inputs[:1], mask, H_TK, B_KF, Params(), 5)
    joint_model.fit_voice(mixture_TF, H_TK @ B_KF, mask, Params(), 5)
    for x, copy in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(x, copy)


@pytest.mark.parametrize("f0_hz", [np.nan, 220.0])
def test_silence_and_an_empty_mask_are_safe(f0_hz):
    spectrum = stft(Audio(np.zeros((1, 2000)), 8000), 128, 16)
    n_frames = len(spectrum.times_s)
    track = PitchTrack(spectrum.times_s, np.full(n_frames, f0_hz), np.ones(n_frames))
    mask = harmonic_mask.harmonic_mask(track, spectrum, N_BINS, harmonic_mask.Params())
    silence_TF = np.zeros((n_frames, N_BINS), np.float32)
    H_TK, B_KF = np.zeros((n_frames, 2), np.float32), np.ones((2, N_BINS), np.float32)
    V, A_TF = fitted(silence_TF, mask, H_TK, B_KF, Params(), 5)
    assert V.shape == mask.bins.shape
    assert np.isfinite(A_TF).all()
    np.testing.assert_allclose(V, 0, atol=1e-6)
    np.testing.assert_allclose(joint_model.fit_voice(silence_TF, A_TF, mask, Params(), 5), 0, atol=1e-6)
