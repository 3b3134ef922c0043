"""Sounds that move like a voice are kept; sustained and percussive sounds are attenuated."""

import numpy as np
import pytest
from sounds import energy_db, partials_of, silence, voice

from karaoke_sep.dsp.stft import stft
from karaoke_sep.steps import melody_enhancement
from karaoke_sep.steps.melody_enhancement import Params, enhance, smooth_along_time
from karaoke_sep.types import Audio

RATES_HZ = [8000, 16000, 44100]
SECONDS = 3.0


def melody(rate_hz):
    """A line with vibrato that wanders over six semitones."""
    return voice(
        lambda t: 300 * 2 ** (80 / 1200 * np.sin(2 * np.pi * 5.5 * t) + 0.3 * np.sin(2 * np.pi * 0.7 * t)),
        SECONDS,
        rate_hz,
    )


def chord(rate_hz):
    notes = [partials_of(f0_hz, SECONDS, rate_hz, 0.05 / np.arange(1, 7)) for f0_hz in (220.0, 277.2, 329.6)]
    return Audio(sum(note.samples for note in notes), rate_hz)


def clicks(rate_hz):
    """Four a second."""
    samples = np.zeros((1, round(SECONDS * rate_hz)))
    samples[0, rate_hz // 8 :: rate_hz // 4] = 0.9
    return Audio(samples, rate_hz)


def inner(audio):
    """Without the first and last half second, where the held notes begin and end."""
    return audio.samples[0, audio.rate_hz // 2 : -audio.rate_hz // 2]


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_melody_stays_and_a_held_chord_and_a_click_train_go(rate_hz):
    change_db = {
        sound: energy_db(inner(enhance(sound(rate_hz), Params()))) - energy_db(inner(sound(rate_hz)))
        for sound in (melody, chord, clicks)
    }
    assert change_db[melody] > -3
    assert change_db[chord] < -50
    assert change_db[clicks] < -50


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_the_melody_dominates_the_enhanced_mixture(rate_hz):
    parts = [sound(rate_hz) for sound in (melody, chord, clicks)]
    enhanced = enhance(Audio(sum(part.samples for part in parts), rate_hz), Params())
    # How much of each is in the result: the least-squares coefficients of the parts.
    share = np.linalg.lstsq(np.stack([inner(part) for part in parts], axis=1), inner(enhanced), rcond=None)[0]
    melody_db, chord_db, clicks_db = 20 * np.log10(np.abs(share))
    assert melody_db > -3
    assert chord_db < -14
    assert clicks_db < -12


def test_length_rate_channels_and_input_are_kept():
    audio = Audio(np.vstack([melody(16000).samples, chord(16000).samples])[:, :12345], 16000)
    before = audio.samples.copy()
    enhanced = enhance(audio, Params())
    assert enhanced.samples.shape == before.shape
    assert enhanced.rate_hz == 16000
    np.testing.assert_array_equal(audio.samples, before)


def test_disabled_it_gives_the_sound_back():
    audio = chord(16000)
    assert enhance(audio, Params(enabled=False)) is audio


@pytest.mark.parametrize("seconds", [0.05, 1.0])
def test_silence_stays_silence(seconds):
    assert (enhance(silence(seconds, 16000), Params()).samples == 0).all()


@pytest.mark.parametrize("window_ms", [32, 256])
def test_smoothness_is_1_for_a_held_tone_and_0_for_a_click(window_ms):
    tone, click = partials_of(1000, 2.0, 16000), np.zeros((1, 32000))
    click[0, 16000] = 1
    for audio, expected in ((tone, 1), (Audio(click, 16000), 0)):
        spectrum = stft(audio, window_ms, window_ms / 4)
        smooth_FT = smooth_along_time(spectrum, median_ms=4.25 * window_ms, median_hz=17 * 16000 / spectrum.n_fft)
        assert smooth_FT.min() >= 0
        assert smooth_FT.max() <= 1
        loud = np.unravel_index(np.argmax(spectrum.magnitude), spectrum.magnitude.shape)
        assert smooth_FT[loud] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("length", "odd"), [(0.2, 1), (1, 1), (2.1, 3), (16.9, 17), (17, 17), (18.5, 19)])
def test_a_median_has_the_nearest_odd_length(length, odd):
    assert melody_enhancement.odd_count(length) == odd
