"""Laws of the separation that hold for every song."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sounds import cents, energy_db, noise, partials_of, sdr_db, silence, voice
from threadpoolctl import threadpool_limits

from karaoke_sep import load_config, parts, pipeline, segment, separate
from karaoke_sep.dsp.stft import stft
from karaoke_sep.errors import InputError
from karaoke_sep.types import Audio, PitchTrack

FAST = load_config("fast")


def excerpt(audio, start_s, end_s):
    return audio.samples[:, round(start_s * audio.rate_hz) : round(end_s * audio.rate_hz)]


def gain_db(song, result, start_s=0.0, end_s=1e9):
    """Gain in SDR of the vocals over the mixture, dB."""
    true, vocals, mixture = (excerpt(a, start_s, end_s) for a in (song.vocals, result.vocals, song.mixture))
    return sdr_db(true, vocals) - sdr_db(true, mixture)


def sung_in_noise(seconds, rate_hz, n_channels):
    sound = voice(lambda t: 220 * 2 ** (t + 0.05 * np.sin(35 * t)), seconds, rate_hz).samples
    return Audio(sound + noise(seconds, rate_hz, n_channels).samples, rate_hz)


# --- The stems and the mixture ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100, 96000])
@pytest.mark.parametrize("n_channels", [1, 2, 3])
def test_stems_add_up_to_the_mixture_and_the_input_is_untouched(rate_hz, n_channels):
    audio = sung_in_noise(0.3137, rate_hz, n_channels)  # no whole number of hops at any rate
    before = audio.samples.copy()
    result = separate(audio, config=FAST)
    np.testing.assert_array_equal(audio.samples, before)
    for stem in (result.vocals, result.accompaniment):
        assert stem.rate_hz == rate_hz
        assert stem.samples.shape == before.shape
        assert np.isfinite(stem.samples).all()
    assert energy_db(result.vocals.samples) > energy_db(before) - 20
    np.testing.assert_allclose(result.vocals.samples + result.accompaniment.samples, before, atol=1e-7)


@pytest.mark.parametrize("n_apart", [1, 2, 3, 50])
@pytest.mark.parametrize("n_frames", [1, 2, 30, 31, 32])
def test_between_two_frames_lies_a_straight_line_and_after_the_last_nothing_moves(n_apart, n_frames):
    frames = np.arange(n_frames)
    few = frames[::n_apart]
    values_TF = np.stack([10.0 + 3 * few, np.sin(few)], axis=1).astype(np.float32)
    expected_TF = np.stack([np.interp(frames, few, column) for column in values_TF.T], axis=1)
    np.testing.assert_allclose(segment.between_frames(values_TF, n_apart, n_frames), expected_TF, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seconds", [0.05, 0.0523, 0.2])
def test_the_shortest_sounds_are_separated_too(seconds):
    audio = sung_in_noise(seconds, 44100, 2)
    result = separate(audio)
    assert result.vocals.samples.shape == audio.samples.shape
    np.testing.assert_allclose(result.vocals.samples + result.accompaniment.samples, audio.samples, atol=1e-7)


@pytest.mark.parametrize("config", ["default", "fast", "classic"])
def test_silence_in_is_silence_out(config):
    result = separate(silence(1.0, 16000), config=load_config(config))
    assert (result.vocals.samples == 0).all()
    assert (result.accompaniment.samples == 0).all()
    assert np.isnan(result.track.f0_hz).all()


def test_an_array_of_one_axis_is_a_mono_sound():
    audio = sung_in_noise(0.3, 16000, 1)
    by_array, by_audio = separate(audio.samples[0], 16000, FAST), separate(audio, config=FAST)
    np.testing.assert_array_equal(by_array.vocals.samples, by_audio.vocals.samples)


@pytest.mark.parametrize("gain", [1e-4, 0.1, 3.0])
def test_a_scaled_song_has_scaled_stems(demo, separated, gain):
    scaled = separate(gain * demo(16000, 3.0).mixture.samples, 16000)
    assert sdr_db(gain * separated(16000, 3.0).vocals.samples, scaled.vocals.samples) > 60


def test_swapped_channels_have_swapped_stems(demo, separated):
    swapped = separate(demo(16000, 3.0).mixture.samples[::-1], 16000)
    assert sdr_db(separated(16000, 3.0).vocals.samples[::-1], swapped.vocals.samples) > 60


def test_identical_channels_stay_identical_and_are_separated_as_one(demo):
    mid = demo(16000, 3.0).mixture.samples.mean(axis=0)
    stereo, mono = separate(np.stack([mid, mid]), 16000), separate(mid, 16000)
    np.testing.assert_array_equal(stereo.vocals.samples[0], stereo.vocals.samples[1])
    assert sdr_db(mono.vocals.samples[0], stereo.vocals.samples[0]) > 60


# --- What cannot be separated ----------------------------------------------------------------------------------------

BAD_SOUNDS = {
    "NaN": (np.where(np.arange(8000) == 5, np.nan, 0.1), 8000, r"^1 sample cannot be used: NaN, infinite or beyond"),
    "infinite": (
        np.where(np.arange(8000) < 3, np.inf, 0.1),
        8000,
        r"^3 samples cannot be used: NaN, infinite",
    ),
    "vast": (
        np.where(np.arange(8000) < 3, -1.1e10, 0.1),
        8000,
        r"^3 samples cannot be used: NaN, infinite or beyond 1e\+10 times",
    ),
    "empty": (np.zeros(0), 8000, r"^holds no samples"),
    "too short": (np.zeros(399), 8000, r"^0\.050 s is too short; at least 0\.05 s is needed"),
    "whole numbers": (np.zeros(8000, np.int16), 8000, r"^the samples are int16; float with full scale 1\.0 is needed"),
    "complex": (np.zeros(8000, complex), 8000, r"^the samples are complex128; float"),
    "three axes": (np.zeros((2, 2, 8000)), 8000, r"^the samples have 3 axes; \(N,\) or \(channels, N\) is needed"),
    "axes exchanged": (np.zeros((8000, 2)), 8000, r"^8000 channels; at most 64 \(is the array \(N, channels\)\?"),
    "no rate": (np.zeros(8000), None, r"^rate_hz is missing"),
    "low rate": (np.zeros(8000), 7999, r"^the sample rate is 7999 Hz; 8000 to 192000 Hz is needed"),
    "high rate": (np.zeros(200_000), 192_001, r"^the sample rate is 192001 Hz; 8000 to 192000 Hz is needed"),
}


@pytest.mark.parametrize("name", BAD_SOUNDS)
def test_a_sound_that_cannot_be_separated_gives_one_line(name):
    samples, rate_hz, message = BAD_SOUNDS[name]
    for function in (separate, pipeline.find_pitch):
        with pytest.raises(InputError, match=message) as error:
            function(samples, rate_hz)
        assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["NaN", "empty", "whole numbers", "low rate"])
def test_an_audio_passes_the_same_checks_as_an_array(name):
    samples, rate_hz, message = BAD_SOUNDS[name]
    with pytest.raises(InputError, match=message):
        separate(Audio(samples[None], rate_hz))


# --- The demo song ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate_hz", "seconds"), [(16000, 12.0), (44100, 6.0)])
def test_the_vocals_of_the_demo_song_gain_at_least_8_db(demo, separated, rate_hz, seconds):
    assert gain_db(demo(rate_hz, seconds), separated(rate_hz, seconds)) > 8


@pytest.mark.parametrize(("config", "least_db"), [("fast", 8), ("classic", 4)])
def test_the_other_configs_work_as_well_as_they_should(demo, config, least_db):
    song = demo(16000, 6.0)
    assert gain_db(song, separate(song.mixture, config=load_config(config))) > least_db


def test_where_nobody_sings_in_the_whole_song_the_vocals_are_nearly_silent(demo):
    """-14 to -17 dB on excerpts of the demo song's accompaniment."""
    accompaniment = demo(16000, 6.0).accompaniment
    vocals = separate(accompaniment).vocals
    assert energy_db(vocals.samples) - energy_db(accompaniment.samples) < -13


def test_the_same_config_behaves_alike_at_16_and_48_khz(demo, separated):
    low, high = (gain_db(demo(rate_hz, 6.0), separated(rate_hz, 6.0)) for rate_hz in (16000, 48000))
    assert low == pytest.approx(high, abs=1)


def test_times_in_the_config_mean_the_same_at_16_and_48_khz(demo):
    config = load_config(overrides=["joint_model.smoothing_ms=640", "accompaniment_views.nearby_ms=100"])
    songs = [demo(rate_hz, 6.0) for rate_hz in (16000, 48000)]
    low, high = (gain_db(song, separate(song.mixture, config=config, track=song.track)) for song in songs)
    assert low == pytest.approx(high, abs=0.4)


@pytest.mark.parametrize(("rate_hz", "window_ms"), [(8000, 192), (16000, 40), (44100, 192)])
def test_a_full_scale_sine_has_a_level_of_0_db(rate_hz, window_ms):
    spectrum = stft(partials_of(1000, 1.0, rate_hz), window_ms, 10)
    level_db = segment.band_level_db(spectrum.magnitude.T, spectrum)
    np.testing.assert_allclose(level_db[20:-20], 0, atol=0.1)


def test_the_track_is_that_of_the_singer(demo, separated):
    song, track = demo(16000, 12.0), separated(16000, 12.0).track
    true = song.track.at(track.times_s)
    sung = np.isfinite(true.f0_hz)
    right = np.abs(cents(track.f0_hz, true.f0_hz)) < 50
    assert np.mean(right[sung]) > 0.85


# --- The track -------------------------------------------------------------------------------------------------------


def test_a_given_track_is_used(demo):
    song = demo(16000, 3.0)
    along_truth = separate(song.mixture, track=song.track)
    assert along_truth.track is song.track
    assert gain_db(song, along_truth) > 8
    third_off = replace(song.track, f0_hz=song.track.f0_hz * 2 ** (4 / 12))
    assert gain_db(song, separate(song.mixture, track=third_off)) < gain_db(song, along_truth) - 5


@pytest.mark.parametrize(
    "track",
    [
        PitchTrack(np.array([0.0]), np.array([np.nan]), np.array([0.0])),
        PitchTrack(np.array([0.0, 1.0]), np.array([7000.0, 7000.0]), np.array([1.0, 1.0])),
    ],
    ids=["no pitch", "no partial below half the rate"],
)
def test_a_track_without_a_partial_in_reach_gives_no_vocals(track):
    audio = sung_in_noise(0.5, 8000, 1)
    result = separate(audio, track=track)
    assert (result.vocals.samples == 0).all()
    np.testing.assert_array_equal(result.accompaniment.samples, audio.samples)


def test_where_the_track_is_unvoiced_the_vocals_are_silent(demo):
    song = demo(16000, 3.0)
    late = song.track.times_s > 1.6
    half = PitchTrack(
        song.track.times_s, np.where(late, np.nan, song.track.f0_hz), np.where(late, 0, song.track.voicing)
    )
    vocals = separate(song.mixture, track=half).vocals
    assert energy_db(excerpt(vocals, 1.75, 3)) < energy_db(excerpt(song.mixture, 1.75, 3)) - 60
    assert energy_db(excerpt(vocals, 1.3, 1.5)) > energy_db(excerpt(song.vocals, 1.3, 1.5)) - 6


def test_the_vocals_are_quiet_where_the_voicing_is_low(demo):
    song = demo(16000, 3.0)
    doubt = replace(song.track, voicing=np.where(song.track.times_s > 1.6, 1e-3, 1) * song.track.voicing)
    sure, unsure = (separate(song.mixture, track=track).vocals for track in (song.track, doubt))
    assert energy_db(excerpt(unsure, 1.7, 3)) < energy_db(excerpt(sure, 1.7, 3)) - 20
    assert energy_db(excerpt(unsure, 0, 1.5)) > energy_db(excerpt(sure, 0, 1.5)) - 1


# --- Segments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [2.9, 30.0, 61.7, 100.0])
def test_the_segments_of_a_song_fade_into_each_other_at_full_gain(seconds):
    audio = silence(seconds, 8000)
    segments = list(parts.segment_bounds(audio.n_samples, audio.rate_hz))
    total = np.zeros(audio.n_samples)
    for number, (start, stop) in enumerate(segments):
        total[start:stop] += parts.fade(number, segments, audio.rate_hz)
    assert len(segments) == max(1, round(seconds / parts.SEGMENT_S))
    np.testing.assert_allclose(total, 1, atol=1e-3)


def test_a_song_of_several_segments_has_no_seam(demo, separated, monkeypatch):
    song, whole = demo(16000, 12.0), separated(16000, 12.0)
    monkeypatch.setattr(parts, "SEGMENT_S", 3.0)
    cut = separate(song.mixture)
    assert not np.array_equal(cut.vocals.samples, whole.vocals.samples)
    assert gain_db(song, cut) > gain_db(song, whole) - 1
    for seam_s in (3.0, 6.0, 9.0):
        around = seam_s - 0.3, seam_s + 0.3
        assert gain_db(song, cut, *around) > gain_db(song, whole, *around) - 1
        steps = np.abs(np.diff(excerpt(cut.vocals, *around)))
        assert steps.max() < 1.2 * np.abs(np.diff(excerpt(whole.vocals, *around))).max()


# --- The same again --------------------------------------------------------------------------------------------------

PRINT_DIGEST = """
import hashlib
from karaoke_sep import demo_song, separate
print(hashlib.sha256(separate(demo_song.make(16000, 3.0).mixture).vocals.samples.tobytes()).hexdigest())
"""


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_number_of_threads_changes_no_byte(demo, separated, n_threads):
    with threadpool_limits(n_threads):
        again = separate(demo(16000, 3.0).mixture)
    one = separated(16000, 3.0)
    assert again.vocals.samples.tobytes() == one.vocals.samples.tobytes()
    assert again.accompaniment.samples.tobytes() == one.accompaniment.samples.tobytes()
    assert again.track.f0_hz.tobytes() == one.track.f0_hz.tobytes()


def test_another_run_with_other_threads_gives_the_same_bytes(separated):
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "2")
    run = subprocess.run(
        [sys.executable, "-c", PRINT_DIGEST], env=os.environ | threads, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == hashlib.sha256(separated(16000, 3.0).vocals.samples.tobytes()).hexdigest()


def test_progress_names_the_stages_and_ends_at_1():
    heard = []
    separate(sung_in_noise(0.3, 16000, 1), config=FAST, progress=lambda stage, done: heard.append((stage, done)))
    for stage in ("pitch", "separation"):
        done = [d for s, d in heard if s == stage]
        assert done == sorted(done)
        assert done[-1] == 1
