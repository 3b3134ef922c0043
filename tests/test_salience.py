"""The salience is highest at the true pitch, and lower an octave below and above."""

import numpy as np
import pytest
from sounds import cents, noise, partials_of, silence, voice

from karaoke_sep.pitch import _salience
from karaoke_sep.pitch._salience import Params, comb_weights, judged, pitch_grid_hz, salience
from karaoke_sep.types import Audio, Salience

NUMBER = np.arange(1, 21)
SPECTRA = {
    "falling": 0.2 / NUMBER,
    "weak fundamental": np.where(NUMBER == 1, 0.02, 0.2 / NUMBER),
    "dull": 0.2 * 0.6**NUMBER,
    "flat": np.full(20, 0.05),
}


def middle_frame(audio, params=None):
    """Grid in Hz, and the salience half way through a sound, highest 1."""
    _, grid_hz, S_TP = salience(audio, params or Params())
    S_P = S_TP[len(S_TP) // 2]
    return grid_hz, S_P / S_P.max()


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("f0_hz", [110.0, 146.8, 220.0, 331.7, 440.0])
def test_the_salience_of_the_true_pitch_exceeds_that_an_octave_or_a_twelfth_away(f0_hz, spectrum):
    grid_hz, S_P = middle_frame(partials_of(f0_hz, 0.5, 16000, SPECTRA[spectrum]))
    assert cents(grid_hz[S_P.argmax()], f0_hz) == pytest.approx(0, abs=11)
    for ratio in (1 / 3, 1 / 2, 2, 3):
        elsewhere = np.abs(cents(grid_hz, ratio * f0_hz)) < 50
        assert S_P[elsewhere].max(initial=0) < 0.85


@pytest.mark.parametrize("gain_db", [-40, 20])
def test_the_level_changes_nothing_between_the_pitches(gain_db):
    audio = voice(220, 0.5, 16000)
    _, S_P = middle_frame(audio)
    _, other_S_P = middle_frame(Audio(audio.samples * 10 ** (gain_db / 20), 16000))
    np.testing.assert_allclose(other_S_P, S_P, atol=0.02)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
def test_the_same_sound_is_as_salient_at_every_rate(rate_hz):
    grid_hz, S_P = middle_frame(partials_of(220, 0.5, rate_hz, SPECTRA["dull"]))
    assert cents(grid_hz[S_P.argmax()], 220) == pytest.approx(0, abs=11)
    assert S_P[np.abs(cents(grid_hz, 110)) < 50].max() < 0.85


def test_salience_is_finite_and_not_negative_and_touches_nothing():
    audio = noise(0.5, 16000)
    before = audio.samples.copy()
    times_s, grid_hz, S_TP = salience(audio, Params())
    assert S_TP.shape == (len(times_s), len(grid_hz))
    assert np.isfinite(S_TP).all()
    assert S_TP.min() >= 0
    np.testing.assert_array_equal(audio.samples, before)
    assert (salience(silence(0.5, 16000), Params())[2] == 0).all()


@pytest.mark.parametrize("step_cents", [5.0, 10.0, 33.0])
def test_the_grid_has_equal_steps_from_lowest_to_highest(step_cents):
    grid_hz = pitch_grid_hz(Params(step_cents=step_cents))
    np.testing.assert_allclose(np.diff(1200 * np.log2(grid_hz)), step_cents)
    assert grid_hz[0] == 73
    assert 0 <= cents(900, grid_hz[-1]) < step_cents


@pytest.mark.parametrize("n_partials", [1, 5, 12])
def test_the_summation_takes_each_partial_less_half_of_what_lies_below_it(n_partials):
    params = Params(step_cents=100, n_partials=n_partials, decay=0.8, top_hz=3000)
    grid_hz = pitch_grid_hz(params)
    Y_F = np.random.default_rng(0).random(513)
    freqs_hz = 8.0 * np.arange(513)
    summed = [
        sum(
            0.8 ** (h - 1) * (np.interp(h * f0_hz, freqs_hz, Y_F) - 0.5 * np.interp((h - 0.5) * f0_hz, freqs_hz, Y_F))
            for h in range(1, n_partials + 1)
            if h * f0_hz <= 3000
        )
        for f0_hz in grid_hz
    ]
    np.testing.assert_allclose(comb_weights(8.0, 513, params) @ Y_F, summed, atol=1e-5)


def test_a_sung_tone_is_voiced_noise_and_silence_are_not():
    for tail in (noise(1.0, 16000), silence(1.0, 16000)):
        audio = Audio(np.hstack([voice(220, 1.0, 16000).samples, 0.3 * tail.samples]), 16000)
        times_s, grid_hz, S_TP = salience(audio, Params())
        best_T = S_TP.argmax(axis=1)
        track = judged(times_s, grid_hz[best_T], Salience(S_TP.max(axis=1), S_TP.mean(axis=1)), Params().hop_ms)
        assert track.voicing.min() >= 0
        assert track.voicing.max() <= 1
        assert track.voicing[(times_s > 0.1) & (times_s < 0.8)].min() > 0.7
        assert track.voicing[times_s > 1.3].max() < 0.2


def test_silence_has_no_pitch_and_no_voicing():
    S_TP = np.random.default_rng(0).random((50, 20)) + 0.5
    on_track_T = np.where(np.arange(50) % 10 < 5, 2.0, 0.0)
    track = judged(0.016 * np.arange(50), np.full(50, 200.0), Salience(on_track_T, S_TP.mean(axis=1)), 16.0)
    np.testing.assert_array_equal(np.isnan(track.f0_hz), on_track_T == 0)
    np.testing.assert_array_equal(track.voicing > 0, on_track_T > 0)
    silent = judged(0.016 * np.arange(50), np.full(50, 200.0), Salience(np.zeros(50), S_TP.mean(axis=1)), 16.0)
    assert np.isnan(silent.f0_hz).all()
    assert (silent.voicing == 0).all()


def test_a_track_of_lower_contrast_has_a_lower_voicing():
    voicings = [
        judged(0.016 * np.arange(200), np.full(200, 200.0), Salience(np.full(200, level), np.ones(200)), 16.0).voicing[
            100
        ]
        for level in (1.5, 2.0, 2.5, 3.0, 4.0)
    ]
    assert np.all(np.diff(voicings) > 0)
    assert voicings[0] < 0.1
    assert voicings[-1] > 0.7


def test_smoothing_keeps_the_mean_and_its_width():
    impulse = np.zeros(401)
    impulse[200] = 1
    spread = _salience.smooth(impulse, 12.0)
    assert spread.sum() == pytest.approx(1)
    assert np.sqrt(np.sum(spread * (np.arange(401) - 200.0) ** 2)) == pytest.approx(12, rel=0.01)
