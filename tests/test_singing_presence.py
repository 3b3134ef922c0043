"""The movement of the partials distinguishes voices from instruments, without a reference level."""

import numpy as np
import pytest
from batches import do, make_song
from sounds import energy_db, noise, partials_of, voice

from karaoke_sep import load_config, separate
from karaoke_sep.batch import Order
from karaoke_sep.steps.singing_presence import Params, chirp_agreement, evidence, line_fit, presence
from karaoke_sep.types import Audio, PitchTrack, Salience

TIMES_S = 0.016 * np.arange(250)
PARAMS = Params()


def vibrato(t):
    return 220 * 2 ** (0.06 * np.sin(2 * np.pi * 5.5 * t))


def track_of(melody, salience=None):
    level = np.ones(len(TIMES_S))
    return PitchTrack(TIMES_S, melody(TIMES_S), level, salience or Salience(level, level))


def judged(mean, seconds, hop_s=0.016):
    """A track with the same evidence throughout, or in a function of time."""
    times_s = np.arange(0, seconds, hop_s)
    values = mean(times_s) if callable(mean) else np.full(len(times_s), float(mean))
    return PitchTrack(times_s, np.full(len(times_s), 200.0), np.ones(len(times_s)), evidence_T=values)


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_partials_that_move_with_the_pitch_agree_with_it(rate_hz):
    speed = np.full(3, 0.8)
    glide = voice(lambda t: 200 * np.exp(0.8 * t), 2.0, rate_hz)
    at_s = np.array([0.5, 1.0, 1.5])
    agreement = chirp_agreement(glide, at_s, 200 * np.exp(0.8 * at_s), speed, PARAMS.window_ms)
    assert agreement.min() > 0.5


def test_steady_partials_and_noise_agree_with_both_directions_alike():
    speed, f0_hz = np.full(len(TIMES_S), 0.8), np.full(len(TIMES_S), 200.0)
    steady = chirp_agreement(voice(200, 4.0, 8000), TIMES_S, f0_hz, speed, PARAMS.window_ms)
    np.testing.assert_allclose(steady[10:-10], 0, atol=0.02)
    assert abs(chirp_agreement(noise(4.0, 8000), TIMES_S, f0_hz, speed, PARAMS.window_ms).mean()) < 0.03


def test_the_opposite_speed_gives_the_opposite_agreement():
    speed = np.linspace(0.3, 2, len(TIMES_S))
    mixture = Audio(voice(vibrato, 4.0, 8000).samples + noise(4.0, 8000).samples, 8000)
    one, other = (chirp_agreement(mixture, TIMES_S, vibrato(TIMES_S), s, 104.0) for s in (speed, -speed))
    np.testing.assert_allclose(one, -other, atol=1e-5)


@pytest.mark.parametrize("n_side", [1, 3, 5])
def test_a_line_is_fitted_as_by_polynomial_regression(n_side):
    values = np.random.default_rng(0).standard_normal(30)
    slope, rms = line_fit(values, n_side)
    k = np.arange(-n_side, n_side + 1)
    for t in range(n_side, 30 - n_side):
        around = values[t + k]
        fitted = np.polyfit(k, around, 1)
        assert slope[t] == pytest.approx(fitted[0])
        assert rms[t] == pytest.approx(np.sqrt(np.mean((around - np.polyval(fitted, k)) ** 2)))


def test_a_track_that_moves_along_a_steady_instrument_is_no_evidence():
    sung = evidence(track_of(vibrato), voice(vibrato, 4.0, 8000), PARAMS)
    played = evidence(track_of(vibrato), partials_of(220, 4.0, 8000, 0.2 / np.arange(1, 21)), PARAMS)
    assert sung.mean() > 10
    assert abs(played.mean()) < 0.5


def test_the_level_of_the_recording_does_not_matter():
    song = voice(vibrato, 4.0, 8000)
    loud, soft = (evidence(track_of(vibrato), Audio(gain * song.samples, 8000), PARAMS) for gain in (1, 0.03))
    np.testing.assert_allclose(soft, loud, atol=0.05)


def test_smooth_movement_of_a_salient_pitch_is_evidence():
    def slow(t):
        return 220 * 2 ** (0.2 * np.sin(2 * np.pi * 0.5 * t))

    strong = Salience(np.full(250, 5.0), np.ones(250))
    more, less = (evidence(track_of(slow, salience), noise(4.0, 8000), PARAMS) for salience in (strong, None))
    assert (more >= less).all()
    assert more.mean() > less.mean() + 5


def test_a_track_without_salience_is_not_judged():
    track = PitchTrack(TIMES_S, vibrato(TIMES_S), np.ones(250))
    assert evidence(track, voice(vibrato, 4.0, 8000), PARAMS) is None
    assert (presence(track, PARAMS) == 1).all()


def test_a_track_with_few_frames_a_second_is_not_judged():
    level = np.ones(125)
    track = PitchTrack(TIMES_S[::2], vibrato(TIMES_S[::2]), level, Salience(level, level))
    assert evidence(track, voice(vibrato, 4.0, 8000), PARAMS) is None


def test_frames_without_a_pitch_are_no_evidence():
    f0_hz = np.where(TIMES_S < 2, np.nan, vibrato(TIMES_S))
    track = PitchTrack(TIMES_S, f0_hz, np.ones(250), Salience(np.ones(250), np.ones(250)))
    found = evidence(track, voice(vibrato, 4.0, 8000), PARAMS)
    assert (found[TIMES_S < 2] == 0).all()
    assert found[TIMES_S > 2].mean() > 5
    nothing = PitchTrack(TIMES_S, np.full(250, np.nan), np.zeros(250), Salience(np.zeros(250), np.zeros(250)))
    assert not evidence(nothing, voice(vibrato, 4.0, 8000), PARAMS).any()


@pytest.mark.parametrize("hop_s", [0.016, 0.032])
@pytest.mark.parametrize("seconds", [30.0, 300.0])
def test_sufficient_evidence_opens_a_recording_and_low_evidence_closes_it(seconds, hop_s):
    assert (presence(judged(PARAMS.midpoint + 0.1, seconds, hop_s), PARAMS) == 1).all()
    assert (presence(judged(PARAMS.midpoint - 0.5, seconds, hop_s), PARAMS) == 0).all()


def test_a_short_recording_needs_less():
    mean = PARAMS.midpoint - 0.5 * PARAMS.credit_s / 7
    assert (presence(judged(mean, 7.0), PARAMS) == 1).all()
    assert (presence(judged(mean, 30.0), PARAMS) == 0).all()


def test_one_sung_line_in_a_long_piece_stays():
    def line(t):
        return np.where((t > 100) & (t < 105), 7.0, 1.0)

    track = judged(line, 240.0)
    open_T = presence(track, PARAMS)
    assert open_T[(track.times_s > 100.3) & (track.times_s < 104.7)].min() > 0.9
    assert open_T[(track.times_s < 95) | (track.times_s > 110)].max() < 10 ** (-30 / 20)


def test_an_accompaniment_alone_leaves_silent_vocals_and_a_sung_line_in_it_survives(demo):
    song = demo(8000, 40.0)
    alone = separate(song.accompaniment)
    assert not alone.vocals.samples.any()
    np.testing.assert_array_equal(alone.accompaniment.samples, song.accompaniment.samples)
    sung = song.vocals.samples.copy()
    power = np.convolve((sung**2).sum(axis=0), np.ones(4 * 8000), "valid")
    start = int(power.argmax())
    line = np.zeros_like(sung)
    line[:, start : start + 4 * 8000] = sung[:, start : start + 4 * 8000]
    found = separate(Audio(song.accompaniment.samples + line, 8000)).vocals.samples
    assert energy_db(found - line) < energy_db(line) - 3


@pytest.mark.parametrize("products", [("vocals", "accompaniment"), ("accompaniment",)])
def test_the_user_gets_a_warning_if_nobody_sings(tmp_path, products):
    song = make_song(tmp_path / "tone.wav", seconds=8)
    [quiet] = do([song], Order(tmp_path / "out", products), load_config())
    assert [note for note in quiet.warnings if "tone.wav: no singing found" in note]
    [told] = do([song], Order(tmp_path / "kept", products), load_config(overrides=["singing_presence.enabled=false"]))
    assert not [note for note in told.warnings if "no singing found" in note]
