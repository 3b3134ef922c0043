"""The public interface, called as a notebook calls it."""

import inspect
import warnings
from dataclasses import replace

import numpy as np
import pytest
import soundfile

import karaoke_sep
from karaoke_sep import Audio, KaraokeSepError, PitchTrack, find_pitch, load_config, separate, separate_corrected
from karaoke_sep.errors import ConfigError, InputError

FAST = load_config("fast")
TRACK = PitchTrack(np.arange(0, 1, 0.01), np.full(100, 220.0), np.ones(100))


@pytest.fixture(scope="module")
def song(demo):
    return demo(16000, 3.0).mixture


@pytest.fixture
def path(song, tmp_path):
    path = tmp_path / "song.wav"
    soundfile.write(path, song.samples.T, song.rate_hz, "FLOAT")
    return path


def test_every_public_name_is_there_and_has_a_docstring():
    assert {"separate", "find_pitch", "separate_corrected", "load_config", "PitchTrack"} <= set(karaoke_sep.__all__)
    assert set(karaoke_sep.__all__) == set(dir(karaoke_sep))
    assert {"Audio", "Separation", "InputError", "ConfigError"} <= set(karaoke_sep.__all__)  # docstrings
    for name in set(karaoke_sep.__all__) - {"__version__"}:
        assert len(inspect.getdoc(getattr(karaoke_sep, name)).splitlines()[0]) > 5


@pytest.mark.parametrize("as_path", [str, lambda path: path])
def test_the_path_of_a_file_gives_the_stems_of_its_samples(song, path, as_path):
    of_file, of_array = separate(as_path(path), config=FAST), separate(song.samples, song.rate_hz, FAST)
    np.testing.assert_array_equal(of_file.vocals.samples, of_array.vocals.samples)
    np.testing.assert_array_equal(find_pitch(as_path(path), config=FAST).f0_hz, of_array.track.f0_hz)
    corrected = separate_corrected(as_path(path), config=FAST, track=of_array.track)
    np.testing.assert_array_equal(corrected.vocals.samples, of_array.vocals.samples)


def test_a_file_that_cannot_be_read_and_a_rate_that_is_not_its_own_are_input_errors(path, tmp_path):
    with pytest.raises(InputError, match=r"absent\.wav: no such file"):
        separate(tmp_path / "absent.wav")
    with pytest.raises(InputError, match=r"song\.wav: rate_hz is 44100, but a file has its own sample rate; leave"):
        separate(path, 44100)


def test_a_file_that_is_cut_short_is_separated_with_a_warning(path):
    path.write_bytes(path.read_bytes()[:-100_000])
    with pytest.warns(UserWarning, match="the rest is damaged or missing"):
        assert 0 < separate(path, config=FAST).vocals.n_samples < 3 * 16000


@pytest.mark.parametrize("function", [separate, find_pitch])
def test_a_config_can_be_given_by_its_name_and_as_a_dict(song, function):
    def pitch_of(config):
        result = function(song, config=config)
        return getattr(result, "track", result).f0_hz

    np.testing.assert_array_equal(pitch_of("fast"), pitch_of(FAST))
    np.testing.assert_array_equal(
        pitch_of({"pitch": {"backend": "peaks"}}), pitch_of(load_config({"pitch": {"backend": "peaks"}}))
    )
    with pytest.raises(ConfigError, match="no such config file; shipped configs are"):
        function(song, config="faster")


@pytest.mark.parametrize("rate_hz", ["fast", FAST, 44100.5, float("nan"), float("inf")])
def test_something_else_in_the_place_of_the_rate_is_an_input_error_that_shows_the_call(song, path, rate_hz):
    for audio in (song.samples, path):
        with pytest.raises(InputError, match=r"rate_hz is .*call separate\(samples, 44100, 'fast'\)") as error:
            separate(audio, rate_hz)
        assert len(str(error.value)) < 250


@pytest.mark.parametrize("rate_hz", [16000.0, np.int64(16000), np.float32(16000)])
def test_the_rate_may_be_any_whole_number(song, rate_hz):
    assert find_pitch(song.samples, rate_hz, FAST).times_s[-1] == find_pitch(song, config=FAST).times_s[-1]


@pytest.mark.parametrize("track", [(TRACK.times_s, TRACK.f0_hz, TRACK.voicing), TRACK.f0_hz, "pitch.csv"])
@pytest.mark.parametrize("function", [separate, separate_corrected])
def test_something_else_in_the_place_of_the_track_is_an_input_error(song, function, track):
    with pytest.raises(InputError, match=r"track: is a .*; give karaoke_sep.PitchTrack"):
        function(song, config=FAST, track=track)


BAD_TRACKS = {
    "lengths": ({"f0_hz": np.ones(99)}, r"have the shapes \(100,\), \(99,\), \(100,\); each needs one value a frame"),
    "axes": ({"times_s": np.ones((100, 1))}, r"have the shapes \(100, 1\)"),
    "empty": (dict.fromkeys(("times_s", "f0_hz", "voicing"), np.zeros(0)), "has no frame; leave track out"),
    "order": ({"times_s": TRACK.times_s[::-1]}, "times_s do not increase"),
    "NaN times": ({"times_s": np.full(100, np.nan)}, "times_s do not increase"),
    "0 Hz": ({"f0_hz": np.zeros(100)}, "give Hz above 0, and NaN where there is no pitch"),
    "infinite": ({"f0_hz": np.full(100, np.inf)}, "no pitch"),
    "per cent": ({"voicing": np.full(100, 90.0)}, "voicing holds values outside 0 to 1"),
}


@pytest.mark.parametrize("name", BAD_TRACKS)
@pytest.mark.parametrize("function", [separate, separate_corrected])
def test_a_track_that_cannot_be_followed_is_an_input_error_of_one_line(song, function, name):
    change, message = BAD_TRACKS[name]
    with pytest.raises(InputError, match=message) as error:
        function(song, config=FAST, track=replace(TRACK, **change))
    assert len(str(error.value).splitlines()) == 1
    assert isinstance(error.value, KaraokeSepError)


@pytest.mark.parametrize(
    ("samples", "rate_hz", "says"),
    [
        (np.zeros((1, 8000)), "fast", "rate_hz is 'fast', but a whole number of Hz is needed"),
        (np.zeros((2, 2, 8000)), 8000, "the samples have 3 axes"),
        ("song.wav", 8000, "float with full scale"),
    ],
)
def test_an_audio_of_something_else_is_an_input_error(samples, rate_hz, says):
    with pytest.raises(InputError, match=says):
        separate(Audio(samples, rate_hz), config=FAST)


def test_an_audio_may_hold_one_channel_without_an_axis(song):
    flat, with_axis = (separate(Audio(x, song.rate_hz), config=FAST) for x in (song.samples[0], song.samples[:1]))
    np.testing.assert_array_equal(flat.vocals.samples, with_axis.vocals.samples)


def test_one_override_need_not_be_in_a_list():
    assert load_config("fast", "stft.hop_ms=20") == load_config("fast", ["stft.hop_ms=20"]) != load_config("fast")


def test_a_track_of_lists_and_whole_numbers_is_followed_as_one_of_arrays(song):
    track = PitchTrack([0, 1, 2, 3], [220, 220, 330, 220], [1, 1, 0, 1])
    as_arrays = PitchTrack(*(np.array(values, float) for values in (track.times_s, track.f0_hz, track.voicing)))
    of_lists, of_arrays = (separate(song, config=FAST, track=each) for each in (track, as_arrays))
    np.testing.assert_array_equal(of_lists.vocals.samples, of_arrays.vocals.samples)


def test_the_progress_of_each_stage_rises_to_1(song):
    seen = []
    with warnings.catch_warnings(action="error"):
        separate(Audio(np.tile(song.samples, 20), song.rate_hz), config=FAST, progress=lambda *at: seen.append(at))
    for stage in ("pitch", "separation"):
        fractions = [done for name, done in seen if name == stage]
        assert len(fractions) >= 2
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1
    assert [name for name, _ in seen] == sorted(name for name, _ in seen)  # the pitch comes first
