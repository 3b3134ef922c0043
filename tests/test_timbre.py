"""Cepstra distinguish spectra, and a discriminant from the same song classifies its sung frames."""

import numpy as np
import pytest

from karaoke_sep.dsp import timbre

BIN_HZ = 5.0


def spectra(slope_db_per_octave, n_frames, seed=0):
    rng = np.random.default_rng(seed)
    octaves = np.log2(np.maximum(np.arange(1601) * BIN_HZ, 80) / 80)
    return 10 ** (slope_db_per_octave * octaves / 20) * rng.uniform(0.5, 1, (n_frames, 1601))


def test_only_the_first_coefficient_depends_on_the_level():
    S_TF = spectra(-6, 20)
    quiet, loud = timbre.cepstra(S_TF, BIN_HZ), timbre.cepstra(10 * S_TF, BIN_HZ)
    np.testing.assert_allclose(quiet[:, 1:], loud[:, 1:], atol=1e-6)
    np.testing.assert_allclose(loud[:, 0] - quiet[:, 0], np.sqrt(timbre.N_BANDS) * np.log(100), rtol=1e-6)


def test_the_resolution_of_the_spectrum_hardly_matters():
    fine = timbre.cepstra(spectra(-6, 200), BIN_HZ).mean(axis=0)
    coarse = timbre.cepstra(spectra(-6, 200)[:, ::5], 5 * BIN_HZ).mean(axis=0)
    np.testing.assert_allclose(coarse, fine, atol=0.3)


@pytest.mark.parametrize("n_bins", [3, 40, 1601])
def test_any_number_of_bins_and_silence_give_finite_cepstra(n_bins):
    assert np.isfinite(timbre.cepstra(np.zeros((4, n_bins)), 100.0)).all()


def test_confident_frames_train_the_classification_of_the_uncertain_ones():
    C_TD = np.vstack([timbre.cepstra(spectra(slope, 300, seed), BIN_HZ) for seed, slope in enumerate((-6, -9))])
    sung = np.repeat([0.5, 0.5], 300)
    sung[:60], sung[-60:] = 0.95, 0.05
    log_odds = timbre.evidence(C_TD, sung, np.ones(600, bool), 1.0)
    assert log_odds[:290].min() > 0 > log_odds[310:].max()


def test_silent_frames_are_left_out_of_the_fit_and_of_the_result():
    C_TD = np.vstack([timbre.cepstra(spectra(slope, 100, seed), BIN_HZ) for seed, slope in enumerate((-6, -9))])
    sung = np.repeat([0.9, 0.1], 100)
    heard = np.ones(300, bool)
    heard[200:] = False
    with_silence = timbre.evidence(
        np.vstack([C_TD, np.full((100, C_TD.shape[1]), -80.0)]), np.append(sung, np.ones(100)), heard, 0.5
    )
    np.testing.assert_allclose(with_silence[:195], timbre.evidence(C_TD, sung, heard[:200], 0.5)[:195], atol=1e-9)
    assert (with_silence[205:] == 0).all()


def test_frames_of_one_class_give_no_evidence():
    C_TD = timbre.cepstra(spectra(-6, 100), BIN_HZ)
    assert (timbre.evidence(C_TD, np.ones(100), np.ones(100, bool), 1.0) == 0).all()
