"""The transform against its definition, and the inverse transform."""

from dataclasses import replace

import numpy as np
import pytest
from sounds import noise, partials_of, sdr_db

from karaoke_sep.dsp.stft import istft, stft
from karaoke_sep.types import Audio

RESOLUTIONS_MS = [(192, 16), (40, 20), (128, 16), (256, 64), (10, 1), (33.3, 7.1)]


@pytest.mark.parametrize("rate_hz", [8000, 11025, 44100, 96000])
@pytest.mark.parametrize(("window_ms", "hop_ms"), RESOLUTIONS_MS)
@pytest.mark.parametrize("n_samples", [1, 1009, 7919])
def test_the_inverse_transform_is_exact_to_100_db(rate_hz, window_ms, hop_ms, n_samples):
    samples = np.random.default_rng(0).standard_normal((2, n_samples))
    back = istft(stft(Audio(samples, rate_hz), window_ms, hop_ms))
    assert back.samples.shape == samples.shape
    assert back.rate_hz == rate_hz
    assert sdr_db(samples, back.samples) > 100


@pytest.mark.parametrize("frame", [0, 1, 5, -1])
def test_a_frame_is_the_transform_of_the_hann_windowed_sound_around_its_centre(frame):
    audio = noise(0.1, 8000)
    spectrum = stft(audio, 32, 8)
    n = np.arange(256)
    assert (spectrum.n_fft, spectrum.hop) == (256, 64)
    centre = range(spectrum.values.shape[2])[frame] * 64
    around = np.pad(audio.samples[0], 256)[centre + 256 - 128 :][:256]
    windowed = around * np.sin(np.pi * n / 256) ** 2
    expected = [np.sum(windowed * np.exp(-2j * np.pi * f * n / 256)) for f in range(129)]
    np.testing.assert_allclose(spectrum.values[0, :, frame], expected, atol=1e-5)


@pytest.mark.parametrize("parts", [4, 8, 12])
def test_the_energy_of_the_frames_is_that_of_the_sound(parts):
    audio = Audio(np.pad(noise(0.5, 16000).samples, ((0, 0), (2000, 2000))), 16000)
    spectrum = stft(audio, 96, 96 / parts)
    assert spectrum.n_fft == parts * spectrum.hop
    two_sided = np.abs(spectrum.values) ** 2 * np.r_[1, np.full(spectrum.n_fft // 2 - 1, 2), 1][:, None]
    overlap = 3 / 8 * parts  # mean of the squared window, times the frames over each sample
    assert np.sum(two_sided) / spectrum.n_fft == pytest.approx(overlap * np.sum(audio.samples**2), rel=1e-4)


def test_a_sine_lies_in_its_bin_and_a_click_in_its_frame():
    spectrum = stft(partials_of(1000, 1.0, 16000), 64, 16)
    peak_bins = np.argmax(spectrum.magnitude[:, 4:-4], axis=0)
    np.testing.assert_array_equal(spectrum.freqs_hz[peak_bins], 1000)
    np.testing.assert_allclose(spectrum.magnitude[peak_bins, 10], spectrum.n_fft / 4, rtol=1e-3)

    click = np.zeros((1, 16000))
    click[0, 8000] = 1
    spectrum = stft(Audio(click, 16000), 64, 20)
    assert spectrum.times_s[np.argmax(spectrum.magnitude.sum(axis=0))] == 0.5


@pytest.mark.parametrize("n_samples", [1, 319, 320, 321])
def test_every_sample_lies_between_two_frame_centres(n_samples):
    spectrum = stft(Audio(np.zeros((1, n_samples)), 16000), 80, 20)
    assert spectrum.times_s[-2] < n_samples / 16000 <= spectrum.times_s[-1] < n_samples / 16000 + 0.02


def test_channels_do_not_touch_each_other_nor_the_input():
    audio = noise(0.2, 16000, n_channels=3)
    before = audio.samples.copy()
    spectrum = stft(audio, 40, 10)
    np.testing.assert_array_equal(audio.samples, before)
    np.testing.assert_array_equal(spectrum.values[1:2], stft(Audio(before[1:2], 16000), 40, 10).values)

    values = spectrum.values.copy()
    values[1] = 0
    muted = istft(replace(spectrum, values=values))
    assert np.all(muted.samples[1] == 0)
    np.testing.assert_array_equal(muted.samples[[0, 2]], istft(spectrum).samples[[0, 2]])


def test_the_inverse_is_linear():
    one, other = stft(noise(0.3, 16000, seed=1), 64, 16), stft(noise(0.3, 16000, seed=2), 64, 16)
    both = istft(replace(one, values=one.values + 2 * other.values)).samples
    assert sdr_db(istft(one).samples + 2 * istft(other).samples, both) > 100


@pytest.mark.parametrize("rate_hz", [8000, 22050, 44100, 192000])
def test_the_window_keeps_its_duration_at_every_rate(rate_hz):
    spectrum = stft(Audio(np.zeros((1, rate_hz)), rate_hz), 192, 16)
    assert spectrum.n_fft % 2 == 0
    assert spectrum.n_fft / rate_hz == pytest.approx(0.192, rel=0.05)
    assert spectrum.hop / rate_hz == pytest.approx(0.016, rel=0.005)


@pytest.mark.parametrize("top_hz", [0.0, 999.0, 1000.0, 1e6])
def test_without_the_bins_above_a_frequency_the_rest_is_the_same(top_hz):
    audio = noise(0.3, 16000)
    whole, low = stft(audio, 64, 16), stft(audio, 64, 16, top_hz)
    kept = whole.freqs_hz <= top_hz
    np.testing.assert_array_equal(low.values, whole.values[:, kept])
    np.testing.assert_array_equal(low.freqs_hz, whole.freqs_hz[kept])
    silenced = replace(whole, values=whole.values * kept[:, None])
    np.testing.assert_allclose(istft(low).samples, istft(silenced).samples, atol=1e-6)
