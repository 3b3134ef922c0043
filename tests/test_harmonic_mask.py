"""The harmonic bands against a loop over every bin and frame."""

import numpy as np
import pytest

from karaoke_sep.dsp.stft import stft
from karaoke_sep.steps.harmonic_mask import Params, glide_hz_per_frame, harmonic_mask
from karaoke_sep.types import Audio, PitchTrack

PARAMS = [
    Params(),
    Params(kind="binary"),
    Params(width_hz=120, glide=0, lobe_hz=20),
    Params(min_hz=0, top_hz=1500, glide=2, lobe_glide=0),
    Params(n_partials=3, width_hz=5),
]


def plane(rate_hz=8000, window_ms=128, hop_ms=16, seconds=0.5):
    """The spectrum whose resolution counts, of silence."""
    return stft(Audio(np.zeros((1, round(seconds * rate_hz))), rate_hz), window_ms, hop_ms)


def melody(spectrum):
    """A glide with vibrato from 90 to 700 Hz in the spectrum's own frames, with two pauses."""
    times_s = spectrum.times_s
    f0_hz = 90 * 2 ** (2.9 * times_s / times_s[-1] + 0.1 * np.sin(2 * np.pi * 6 * times_s))
    pause = (np.arange(len(times_s)) % 15) > 11
    return PitchTrack(times_s, np.where(pause, np.nan, f0_hz), np.where(pause, 0.0, 1.0))


def bands_one_by_one(f0_hz, spectrum, n_bins, params):
    """Weights on the plane (T, F) and how many bands hold each bin, from the formula, bin by bin."""
    bin_hz = spectrum.rate_hz / spectrum.n_fft
    weights, count = np.zeros((len(f0_hz), n_bins)), np.zeros((len(f0_hz), n_bins), int)
    speed_hz = np.nan_to_num(np.abs(np.gradient(f0_hz)))
    for t in np.flatnonzero(np.isfinite(f0_hz)):
        smear_hz = speed_hz[t] * spectrum.n_fft / spectrum.hop / 2
        for k in range(1, params.n_partials + 1):
            if k * f0_hz[t] > min(params.top_hz, (n_bins - 1) * bin_hz):
                break
            half_hz = min(params.width_hz / 2 + params.glide * k * smear_hz, f0_hz[t] / 2.2)
            sigma_hz = np.hypot(params.lobe_hz, params.lobe_glide * k * smear_hz)
            for f in range(n_bins):
                distance_hz = abs(f * bin_hz - k * f0_hz[t])
                if distance_hz <= half_hz and f * bin_hz >= params.min_hz:
                    count[t, f] += 1
                    weights[t, f] = 1 if params.kind == "binary" else np.exp(-(distance_hz**2) / (2 * sigma_hz**2))
    return weights, count


@pytest.mark.parametrize("params", PARAMS)
def test_the_mask_is_that_of_the_formula_bin_by_bin(params):
    spectrum = plane()
    track = melody(spectrum)
    n_bins = 400
    weights, count = bands_one_by_one(track.f0_hz, spectrum, n_bins, params)
    mask = harmonic_mask(track, spectrum, n_bins, params)
    assert count.sum() > 500
    np.testing.assert_array_equal(mask.covered_TF, count > 0)
    np.testing.assert_allclose(mask.spread(mask.weights), weights, atol=1e-5)


@pytest.mark.parametrize("width_hz", [5, 50, 1000])
@pytest.mark.parametrize("glide", [0, 0.7, 10])
def test_bands_never_overlap_however_wide(width_hz, glide):
    spectrum = plane(16000, 192)
    mask = harmonic_mask(melody(spectrum), spectrum, 1200, Params(width_hz=width_hz, glide=glide))
    assert len(mask.bins) > 0
    assert np.all(np.diff(mask.bins) > 0)  # no bin twice, upwards within each frame, frame after frame


def test_binary_weights_are_ones_and_soft_ones_fall_from_the_partial_to_the_sides():
    spectrum = plane()
    track = melody(spectrum)
    assert (harmonic_mask(track, spectrum, 513, Params(kind="binary")).weights == 1).all()
    mask = harmonic_mask(track, spectrum, 513, Params())
    band = mask.per_bin(np.arange(len(mask.starts)))
    frame, column = np.divmod(mask.bins, 513)
    np.testing.assert_array_equal(frame, mask.frames[band])
    distance_hz = np.abs(column * 8000 / spectrum.n_fft - (mask.partials[band] + 1) * track.f0_hz[frame])
    for r in range(0, len(mask.starts), 25):
        order = np.argsort(distance_hz[band == r])
        assert np.all(np.diff(mask.weights[band == r][order]) <= 1e-6)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_a_steady_tone_has_bands_of_the_width_asked_for_at_every_rate(rate_hz):
    spectrum = plane(rate_hz, 192)
    bin_hz = rate_hz / spectrum.n_fft
    track = PitchTrack(spectrum.times_s, np.full(len(spectrum.times_s), 300.0), np.ones(len(spectrum.times_s)))
    mask = harmonic_mask(track, spectrum, spectrum.values.shape[1], Params(width_hz=60, top_hz=3000))
    np.testing.assert_array_equal(np.unique(mask.partials), np.arange(10))
    np.testing.assert_allclose(mask.band_sums(np.ones(len(mask.bins))) * bin_hz, 60, atol=bin_hz)


def test_the_faster_the_glide_and_the_higher_the_partial_the_wider_the_strip():
    spectrum = plane(16000, 192, seconds=1.0)
    n_bins = []
    for octaves in (0, 0.5, 1):
        f0_hz = 300 * 2 ** (octaves * (spectrum.times_s - 0.5))
        track = PitchTrack(spectrum.times_s, f0_hz, np.ones(len(f0_hz)))
        mask = harmonic_mask(track, spectrum, 1500, Params(n_partials=4))
        middle = mask.frames == np.argmin(np.abs(spectrum.times_s - 0.5))
        n_bins.append(mask.band_sums(np.ones(len(mask.bins)))[middle])
    assert np.ptp(n_bins[0]) <= 1
    assert np.all(n_bins[1] > n_bins[0])
    assert np.all(n_bins[2] >= n_bins[1])
    assert np.all(np.diff(n_bins[1]) > 0)


def test_sums_and_repeats_over_harmonic_bands_agree_with_a_loop():
    spectrum = plane()
    mask = harmonic_mask(melody(spectrum), spectrum, 400, Params())
    values = np.random.default_rng(0).random(len(mask.bins)).astype(np.float32)
    ends = np.r_[mask.starts[1:], len(values)]
    expected = [values[start:end].sum() for start, end in zip(mask.starts, ends, strict=True)]
    np.testing.assert_allclose(mask.band_sums(values), expected, rtol=1e-5)
    np.testing.assert_array_equal(mask.band_sums(mask.per_bin(np.ones(len(ends)))), ends - mask.starts)


@pytest.mark.parametrize("f0_hz", [np.nan, 3990.0])
def test_without_a_partial_in_reach_the_mask_is_empty_and_usable(f0_hz):
    spectrum = plane()
    track = PitchTrack(spectrum.times_s, np.full(len(spectrum.times_s), f0_hz), np.ones(len(spectrum.times_s)))
    mask = harmonic_mask(track, spectrum, 400, Params())
    assert not mask.covered_TF.any()
    assert mask.band_sums(mask.weights).size == mask.per_bin(np.zeros(0)).size == 0
    assert (mask.spread(mask.weights) == 0).all()


def test_the_speed_of_a_pitch_ignores_its_direction_and_pauses():
    rising = np.array([100, 103, 106, np.nan, 200, 196, 192.0])
    sung = np.isfinite(rising)
    np.testing.assert_allclose(glide_hz_per_frame(rising)[sung], [3, 3, 0, 0, 4, 4])
    np.testing.assert_array_equal(glide_hz_per_frame(np.array([200.0])), [0])


@pytest.mark.parametrize("n", [1, 2, 3, 7, 100])
def test_the_bands_of_every_nth_frame_are_those_frames_of_the_mask(n):
    spectrum = plane()
    mask = harmonic_mask(melody(spectrum), spectrum, 400, Params())
    few = mask.every(n)
    np.testing.assert_array_equal(few.covered_TF, mask.covered_TF[::n])
    np.testing.assert_array_equal(few.spread(few.weights), mask.spread(mask.weights)[::n])
    numbers_TF, few_numbers_TF = (m.spread(m.per_bin(m.partials + 1)) for m in (mask, few))
    np.testing.assert_array_equal(few_numbers_TF, numbers_TF[::n])
