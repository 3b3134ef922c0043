"""The refinement moves a wrong contour back onto the partials."""

import numpy as np
import pytest
from sounds import cents, noise, silence, voice

from karaoke_sep.steps.pitch_refinement import Params, refine
from karaoke_sep.types import Audio, PitchTrack

TIMES_S = 0.016 * np.arange(63)
INNER = (TIMES_S > 0.1) & (TIMES_S < 0.9)
MELODIES = {
    "low": lambda t: 100 + 0 * t,
    "high": lambda t: 700 + 0 * t,
    "glide": lambda t: 200 * 2**t,
    "vibrato": lambda t: 300 * 2 ** (0.05 * np.sin(2 * np.pi * 5.5 * t)),
}


def contour(melody, offset_cents=0.0):
    return PitchTrack(TIMES_S, melody(TIMES_S) * 2 ** (offset_cents / 1200), np.ones(len(TIMES_S)))


def twice(audio):
    """A voice alone is both the mixture and its melody."""
    return audio, audio


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
@pytest.mark.parametrize("offset_cents", [-40, 0, 13, 40])
@pytest.mark.parametrize("name", MELODIES)
def test_a_contour_of_a_voice_comes_to_within_3_cents(name, offset_cents, rate_hz):
    """10 cents in a vibrato of 87, which is half a cycle long in the window and comes out flatter."""
    melody = MELODIES[name]
    refined = refine(contour(melody, offset_cents), *twice(voice(melody, 1.0, rate_hz)), Params())
    np.testing.assert_allclose(cents(refined.f0_hz, melody(TIMES_S))[INNER], 0, atol=10 if name == "vibrato" else 3)


def test_noise_of_the_voices_own_energy_moves_it_by_less_than_10_cents():
    melody = MELODIES["vibrato"]
    clean = voice(melody, 1.0, 16000).samples
    noisy = clean + noise(1.0, 16000).samples * np.std(clean) / 0.1
    refined = refine(contour(melody, 40), *twice(Audio(noisy, 16000)), Params())
    assert np.sqrt(np.mean(cents(refined.f0_hz, melody(TIMES_S))[INNER] ** 2)) < 10


@pytest.mark.parametrize("range_cents", [20.0, 50.0])
def test_the_pitch_moves_no_further_than_its_range(range_cents):
    params = Params(range_cents=range_cents)
    melody = MELODIES["high"]
    refined = refine(contour(melody, 75), *twice(voice(melody, 1.0, 16000)), params)
    moved = np.abs(cents(refined.f0_hz, contour(melody, 75).f0_hz))
    assert moved.max() == pytest.approx(range_cents, abs=params.step_cents / 2)


def test_only_the_pitch_changes_and_unvoiced_frames_stay_so():
    rng = np.random.default_rng(0)
    f0_hz = np.where(rng.random(63) < 0.3, np.nan, 230)
    track = PitchTrack(TIMES_S, f0_hz.copy(), rng.random(63))
    audio = voice(220, 1.0, 16000)
    before = audio.samples.copy()
    refined = refine(track, *twice(audio), Params())
    np.testing.assert_array_equal(refined.times_s, TIMES_S)
    np.testing.assert_array_equal(refined.voicing, track.voicing)
    np.testing.assert_array_equal(np.isnan(refined.f0_hz), np.isnan(f0_hz))
    np.testing.assert_array_equal(track.f0_hz, f0_hz)
    np.testing.assert_array_equal(audio.samples, before)


@pytest.mark.parametrize("track", [contour(MELODIES["low"]), PitchTrack(TIMES_S, TIMES_S * np.nan, TIMES_S * 0)])
def test_the_pitch_of_noise_stays_in_its_range(track):
    refined = refine(track, *twice(silence(1.0, 16000)), Params())
    np.testing.assert_array_equal(np.isnan(refined.f0_hz), np.isnan(track.f0_hz))
    assert np.nanmax(np.abs(cents(refined.f0_hz, 100)), initial=0) <= Params().range_cents + 1


def test_disabled_it_gives_the_track_back():
    track = contour(MELODIES["low"], 40)
    assert refine(track, *twice(voice(100, 1.0, 16000)), Params(enabled=False)) is track


def test_a_track_that_outlasts_the_sound_is_refined_where_there_is_sound():
    track = PitchTrack(0.016 * np.arange(100), np.full(100, 223.0), np.ones(100))
    refined = refine(track, *twice(voice(220, 1.0, 16000)), Params())
    np.testing.assert_allclose(cents(refined.f0_hz[:55], 220)[5:], 0, atol=3)
    assert np.isfinite(refined.f0_hz).all()
