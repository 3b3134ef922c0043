"""A long recording, on the disk, gives what it gives in memory."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from karaoke_sep import batch, load_config, long_recording, parts
from karaoke_sep.batch import Order
from karaoke_sep.errors import InputError
from karaoke_sep.files.samples_on_disk import SampleFile

ON_DISK = ["parts.from_s=1", "parts.part_s=16"]
IN_MEMORY = ["parts.from_s=100000"]


@pytest.fixture(scope="module")
def song(demo, tmp_path_factory):
    """40 s at 16 kHz, stereo, in two parts."""
    return written(tmp_path_factory.mktemp("song") / "song.wav", demo(16000, 40.0).mixture)


def written(path, sound):
    soundfile.write(path, sound.samples.T, sound.rate_hz, "PCM_16")
    return path


def outputs(song, folder, overrides, **order):
    config, order = load_config("fast", overrides), Order(folder, **order)
    [outcome] = batch.run(batch.plan([song], order, config), order, config)
    assert outcome.status == "done", outcome.message
    return {path.name: path.read_bytes() for path in outcome.paths}, outcome


def farthest(folder, other):
    """Largest difference of the stems in two folders, steps of 16 bits."""
    stems = ("vocals.wav", "accompaniment.wav")
    pairs = [[soundfile.read(f / "song" / stem)[0] for f in (folder, other)] for stem in stems]
    return max(2**15 * np.abs(one - two).max() for one, two in pairs)


def test_at_the_rate_of_analysis_a_recording_on_the_disk_gives_the_same_bytes_as_in_memory(demo, tmp_path):
    order = {"products": ("vocals", "accompaniment", "pitch")}
    song = written(tmp_path / "song.wav", demo(8000, 40.0).mixture)
    in_memory, _ = outputs(song, tmp_path / "in memory", IN_MEMORY, **order)
    on_disk, _ = outputs(song, tmp_path / "on disk", ON_DISK, **order)
    assert on_disk == in_memory


def test_at_other_rates_no_sample_differs_by_more_than_rounding_at_the_joint_as_elsewhere(song, tmp_path):
    outputs(song, tmp_path / "in memory", IN_MEMORY)
    outputs(song, tmp_path / "on disk", ON_DISK)
    assert farthest(tmp_path / "in memory", tmp_path / "on disk") <= 1


def test_nothing_is_left_on_the_disk_but_the_outputs(song, tmp_path):
    outputs(song, tmp_path, ON_DISK)
    assert {path.name for path in (tmp_path / "song").iterdir()} == {
        "vocals.wav",
        "accompaniment.wav",
        "karaoke-sep.json",
    }


@pytest.mark.parametrize("clip", ["clamp", "rescale", "float"])
def test_the_clip_rule_is_decided_on_the_whole(demo, tmp_path, clip):
    sound = demo(8000, 40.0).mixture  # at the rate of analysis no byte differs
    loud = 0.3 * sound.samples / np.abs(sound.samples).max()
    loud[:, -20_000:] = 0.999 * np.sign(loud[:, -20_000:])  # stems of it pass full scale
    song = written(tmp_path / "song.wav", type(sound)(loud, 8000))
    in_memory, told = outputs(song, tmp_path / "in memory", IN_MEMORY, clip=clip)
    on_disk, told_again = outputs(song, tmp_path / "on disk", ON_DISK, clip=clip)
    assert "full scale" in told.warnings[0]
    assert told_again.warnings == told.warnings
    assert on_disk == in_memory


def test_a_recording_with_samples_that_are_no_numbers_is_refused(tmp_path):
    with SampleFile(tmp_path, 16000, 1, np.float32) as file:
        file.append(np.r_[np.zeros(9000), np.nan][None])
        with pytest.raises(InputError, match="1 samples are NaN"):
            long_recording.check(file)


@settings(max_examples=30, deadline=None)
@given(pieces=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 50)), max_size=8), n_channels=st.integers(1, 3))
def test_samples_on_the_disk_add_up_like_an_array(tmp_path_factory, pieces, n_channels):
    rng = np.random.default_rng(0)
    expected = np.zeros((n_channels, 0))
    with SampleFile(tmp_path_factory.getbasetemp(), 8000, n_channels, np.float64) as file:
        for place, length in pieces:
            start = round(place * expected.shape[1])
            samples = rng.standard_normal((n_channels, length))
            expected = np.pad(expected, ((0, 0), (0, max(0, start + length - expected.shape[1]))))
            expected[:, start : start + length] += samples
            file.add(start, samples)
        assert file.n_samples == expected.shape[1]
        np.testing.assert_array_equal(file.excerpt(0, file.n_samples).samples, expected)


@given(duration_s=st.floats(0.05, 1e5), part_s=st.floats(16, 600))
def test_parts_lie_end_to_end_and_begin_on_the_grid(duration_s, part_s):
    bounds = list(parts.bounds_s(duration_s, parts.Params(part_s=part_s)))
    begins, ends = [b for _, b, _, _ in bounds], [e for _, _, e, _ in bounds]
    assert begins == [0.0, *ends[:-1]]
    assert ends[-1] == duration_s
    assert all(begin < end for begin, end in zip(begins, ends, strict=True))
    assert all(begin % parts.ALIGN_S == 0 for begin in begins)


def test_the_settings_of_parts_decide_what_is_cut(song):
    assert len(list(parts.bounds_s(40.0, parts.Params(part_s=16)))) == 2
    assert len(list(parts.bounds_s(40.0, parts.Params(part_s=20)))) == 2
    assert len(list(parts.bounds_s(40.0, parts.Params(part_s=240)))) == 1
