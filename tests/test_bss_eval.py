"""BSS Eval and uSDR against values known from algebra, mir_eval, and plain least squares."""

import numpy as np
import plain_scores
import pytest

from karaoke_sep.evaluation.bss_eval import N_TAPS, criteria, single_reference_sdr, subspaces, usdr_db

N = 8000


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def orthonormal(n_signals):
    """Orthogonal signals of unit energy, shape (n_signals, N)."""
    return np.linalg.qr(noise(N, n_signals))[0].T


def leaky_estimates():
    """Two sources with memory, and estimates that are filtered, leak and hum; each shape (2, N)."""
    sources = np.stack([np.convolve(x, [1, 0.8, 0.3], "same") for x in noise(2, N)]) * [[1.0], [0.3]]
    filtered = np.stack([np.convolve(x, [0.9, 0.2, -0.3], "same") for x in sources])
    return sources, filtered + 0.2 * sources[::-1] + 0.05 * noise(2, N, seed=1)


def test_gain_only_figures_are_the_energy_ratios_of_the_parts():
    one, two, rest = orthonormal(3)
    estimates = np.stack([2.0 * one + 0.2 * two + 0.02 * rest, 3.0 * two + 0.3 * rest])
    got = criteria(subspaces(np.stack([one, two]), 1), estimates)
    np.testing.assert_allclose(got.sdr_db[0], 10 * np.log10(4 / (0.04 + 0.0004)), atol=1e-6)
    np.testing.assert_allclose(got.sir_db[0], 20.0, atol=1e-6)
    np.testing.assert_allclose(got.sar_db[0], 10 * np.log10((4 + 0.04) / 0.0004), atol=1e-6)
    np.testing.assert_allclose([got.sdr_db[1], got.sar_db[1]], 20.0, atol=1e-6)
    assert got.sir_db[1] > 100


def test_the_mixture_against_one_source_scores_their_energy_ratio():
    voice, music = orthonormal(2)
    spaces = subspaces(np.stack([voice, 0.5 * music]), 1)
    np.testing.assert_allclose(single_reference_sdr(spaces, voice + 0.5 * music), [6.0206, -6.0206], atol=1e-3)


@pytest.mark.parametrize("n_taps", [1, 16, 512])
def test_the_sdr_does_not_depend_on_the_other_sources(n_taps):
    sources, estimates = leaky_estimates()
    spaces = subspaces(sources, n_taps)
    alone = [single_reference_sdr(spaces, estimate)[j] for j, estimate in enumerate(estimates)]
    np.testing.assert_allclose(criteria(spaces, estimates).sdr_db, alone, atol=1e-9)


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_loudness_of_estimates_and_sources_changes_nothing(version):
    sources, estimates = leaky_estimates()
    as_they_are = criteria(subspaces(sources, N_TAPS[version]), estimates)
    scaled = criteria(subspaces(sources * [[1e-4], [30.0]], N_TAPS[version]), estimates * [[5.0], [1e-3]])
    np.testing.assert_allclose(scaled.sdr_db, as_they_are.sdr_db, atol=1e-6)
    np.testing.assert_allclose(scaled.sir_db, as_they_are.sir_db, atol=1e-6)
    np.testing.assert_allclose(scaled.sar_db, as_they_are.sar_db, atol=1e-6)


def test_a_delay_of_511_samples_does_not_change_version_3_but_512_samples_do_and_any_delay_changes_version_2():
    sources = np.pad(noise(2, N), ((0, 0), (0, 600)))
    late, too_late = (np.roll(sources, delay, axis=1) for delay in (511, 512))
    v3, v2 = subspaces(sources, N_TAPS["v3"]), subspaces(sources, N_TAPS["v2"])
    assert criteria(v3, late).sdr_db.min() > 100
    assert criteria(v3, too_late).sdr_db.max() < 0
    assert criteria(v2, late).sdr_db.max() < 0


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("length", [N, N + 1])
def test_version_3_agrees_with_mir_eval_to_a_ten_thousandth_of_a_db(length):
    separation = pytest.importorskip("mir_eval.separation", reason="this mir_eval has no separation module")
    sources, estimates = (np.pad(x + 0.1, ((0, 0), (0, length - N))) for x in leaky_estimates())
    sdr_db, sir_db, sar_db, _ = separation.bss_eval_sources(sources, estimates, compute_permutation=False)
    spaces = subspaces(sources, N_TAPS["v3"])
    got = criteria(spaces, estimates)
    np.testing.assert_allclose(got.sdr_db, sdr_db, atol=1e-4)
    np.testing.assert_allclose(got.sir_db, sir_db, atol=1e-4)
    np.testing.assert_allclose(got.sar_db, sar_db, atol=1e-4)
    mixture = sources.sum(axis=0)
    alone = [separation.bss_eval_sources(s[None], mixture[None], compute_permutation=False)[0][0] for s in sources]
    np.testing.assert_allclose(single_reference_sdr(spaces, mixture), alone, atol=1e-4)


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_all_figures_agree_with_plain_ones_to_a_ten_thousandth_of_a_db(version):
    sources, estimates = leaky_estimates()
    spaces = subspaces(sources, N_TAPS[version])
    got = criteria(spaces, estimates)
    nsdr_db = got.sdr_db - single_reference_sdr(spaces, sources.sum(axis=0))
    expected = plain_scores.nsdr_sir_sar(version, sources, estimates)
    np.testing.assert_allclose(np.stack([nsdr_db, got.sir_db, got.sar_db], axis=1), expected, atol=1e-4)


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_sources_that_depend_on_each_other_are_scored(version):
    sources, estimates = leaky_estimates()
    n_taps = N_TAPS[version]
    copies = criteria(subspaces(sources[[0, 0]], n_taps), estimates)
    assert np.isfinite(copies.sdr_db).all()
    assert copies.sir_db.min() > 60  # nothing that only the other source explains
    spectra = np.fft.rfft(sources)
    spectra[:, 1000:] = 0
    band_limited = criteria(subspaces(np.fft.irfft(spectra), n_taps), estimates)
    assert np.isfinite([band_limited.sdr_db, band_limited.sir_db, band_limited.sar_db]).all()


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_silence_has_no_figure_and_does_not_change_the_others(version):
    sources, estimates = leaky_estimates()
    n_taps = N_TAPS[version]
    got = criteria(subspaces(sources, n_taps), estimates * [[0.0], [1.0]])
    assert np.isnan(got.sdr_db).tolist() == [True, False]
    instrumental = subspaces(sources * [[0.0], [1.0]], n_taps)
    assert np.isnan(criteria(instrumental, estimates).sdr_db).all()
    assert np.isnan(single_reference_sdr(instrumental, estimates[1])).tolist() == [True, False]
    assert np.isnan(single_reference_sdr(subspaces(sources, n_taps), np.zeros(N))).all()


def test_usdr_counts_every_error_of_every_channel_and_gives_silence_0_db():
    left, right, error = orthonormal(3)
    source = np.stack([left, right])
    assert usdr_db(source, np.zeros_like(source)) == pytest.approx(0.0, abs=1e-9)
    assert usdr_db(source, source + np.stack([0.1 * error, 0.1 * error])) == pytest.approx(20.0, abs=1e-9)
    assert usdr_db(source, 2 * source) == pytest.approx(0.0, abs=1e-9)
    assert usdr_db(source, source) == 300
    assert np.isnan(usdr_db(np.zeros_like(source), source))


def test_scoring_leaves_its_inputs_untouched():
    sources, estimates = leaky_estimates()
    before = sources.copy(), estimates.copy()
    criteria(subspaces(sources, N_TAPS["v3"]), estimates)
    np.testing.assert_array_equal(sources, before[0])
    np.testing.assert_array_equal(estimates, before[1])
