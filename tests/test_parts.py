"""A recording gives the same stems in memory and from the disk, and its parts have the pitch of the whole."""

import os

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import cents

from karaoke_sep import batch, demo_song, load_config, parts, recording, separate
from karaoke_sep.batch import Order, space
from karaoke_sep.errors import ConfigError, InputError
from karaoke_sep.files import reading
from karaoke_sep.files.samples_on_disk import SampleFile
from karaoke_sep.pipeline import find_pitch, separate_to
from karaoke_sep.recording import peak_of
from karaoke_sep.song_pitch import alignment_s
from karaoke_sep.types import Audio

CHEAP = ["accompaniment.masked_nmf.n_starts=1", "accompaniment.masked_nmf.n_iterations=2", "stft.hop_ms=20"]
ON_DISK = ["parts.from_s=1", "parts.part_s=16"]
IN_MEMORY = ["parts.from_s=300"]


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


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
@pytest.mark.parametrize("config", ["default", "fast", "classic"])
def test_every_config_gives_the_same_bytes_in_memory_and_from_the_disk(demo, tmp_path, config, rate_hz):
    """Three parts and two segments; with `fast`, parts begin on multiples of 24 s only."""
    seconds = 72.0 if config == "fast" else 48.0
    mixture = demo(rate_hz, seconds).mixture
    song = Audio(mixture.samples[:1].astype(np.float32), rate_hz)  # one channel takes half of the time
    config = load_config(config, [f"parts.part_s={seconds / 3}", *CHEAP])
    assert len(list(parts.part_bounds_s(seconds, alignment_s(config), config.parts))) >= 3
    in_memory = separate(song, config=config)
    with (
        SampleFile(tmp_path, rate_hz, 1, np.float32) as on_disk,
        SampleFile(tmp_path, rate_hz, 1, np.float32) as vocals,
    ):
        on_disk.append(song.samples)
        track = separate_to(vocals, on_disk, config)
        assert vocals.excerpt(0, vocals.n_samples).samples.tobytes() == in_memory.vocals.samples.tobytes()
    for name in ("times_s", "f0_hz", "voicing"):
        assert getattr(track, name).tobytes() == getattr(in_memory.track, name).tobytes()


@pytest.mark.parametrize("config", ["default", "fast"])
def test_parts_have_the_pitch_of_the_whole(demo, config):
    mixture = demo(8000, 80.0).mixture
    whole, cut = (find_pitch(mixture, config=load_config(config, [f"parts.part_s={s}"])) for s in (200, 27))
    np.testing.assert_allclose(cut.times_s, whole.times_s, atol=1e-9)
    assert np.mean(np.abs(cents(cut.f0_hz, whole.f0_hz)) < 1) > 0.995
    np.testing.assert_allclose(cut.voicing, whole.voicing, atol=1e-3)


def test_parts_have_the_evidence_of_singing_of_the_whole(demo):
    mixture = demo(8000, 80.0).mixture
    whole, cut = (find_pitch(mixture, config=load_config(None, [f"parts.part_s={s}"])) for s in (200, 27))
    assert np.mean(np.abs(cut.evidence_T - whole.evidence_T) < 0.01) > 0.99


@pytest.mark.parametrize("hop_ms", [4, 12, 16, 20, 24, 32, 40, 64, 96])
def test_parts_begin_on_the_frames_of_every_hop(hop_ms):
    align_s = parts.alignment_s([hop_ms, 64], 8000)
    assert align_s % 8 == 0
    assert 8000 * align_s % (8 * hop_ms) == 0


def test_hops_that_hardly_ever_meet_are_an_error():
    config = load_config("default", ["pitch.hmm.hop_ms=17.3"])
    with pytest.raises(ConfigError, match=r"the hops of the pitch analysis \(8, 17.3, 32, 64 ms\) coincide only every"):
        find_pitch(np.zeros(8000), 8000, config)


def test_nothing_is_left_on_the_disk_but_the_outputs(song, tmp_path):
    outputs(song, tmp_path, ON_DISK)
    assert {path.name for path in (tmp_path / "song").iterdir()} == {
        "vocals.wav",
        "accompaniment.wav",
        ".karaoke-sep",
    }


@pytest.mark.parametrize("clip", ["clamp", "rescale", "float"])
def test_the_clip_rule_is_decided_on_the_whole(demo, tmp_path, clip):
    sound = demo(8000, 40.0).mixture  # at the rate of analysis no byte differs
    loud = 0.3 * sound.samples / np.abs(sound.samples).max()
    loud[:, -20_000:] = 0.999 * np.sign(loud[:, -20_000:])  # its stems exceed full scale
    song = written(tmp_path / "song.wav", type(sound)(loud, 8000))
    in_memory, told = outputs(song, tmp_path / "in memory", IN_MEMORY, clip=clip)
    on_disk, told_again = outputs(song, tmp_path / "on disk", ON_DISK, clip=clip)
    assert "full scale" in told.warnings[0]
    assert told_again.warnings == told.warnings
    assert on_disk == in_memory


def test_a_recording_with_nan_or_infinite_samples_is_rejected(tmp_path):
    with SampleFile(tmp_path, 16000, 1, np.float32) as file:
        file.append(np.r_[np.zeros(9000), np.nan][None])
        with pytest.raises(InputError, match="1 sample cannot be used: NaN"):
            peak_of(file)


def test_16_bit_recordings_on_the_disk_take_2_bytes_a_sample_and_read_as_the_same_floats(tmp_path):
    path = tmp_path / "song.wav"
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, (30_000, 2)).astype(np.int16)
    soundfile.write(path, samples, 8000, "PCM_16")
    in_memory, _ = reading.read(path)
    on_disk, _ = reading.read_to_disk(path, tmp_path)
    with on_disk:
        assert os.fstat(on_disk._file.fileno()).st_size == samples.nbytes
        read = on_disk.excerpt(0, on_disk.n_samples).samples
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, in_memory.samples)
        with pytest.raises(TypeError):
            on_disk.append(in_memory.samples)  # rounding would lose all of them


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


def test_long_pieces_of_samples_on_the_disk_are_added_to_the_last_sample(tmp_path):
    samples = np.random.default_rng(0).standard_normal((64, 200_000)).astype(np.float32)  # 50 MB
    with SampleFile(tmp_path, 8000, 64, np.float32) as file:
        file.add(0, samples)
        file.add(5, samples)
        assert file.n_samples == samples.shape[1] + 5
        expected = np.pad(samples, ((0, 0), (0, 5))) + np.pad(samples, ((0, 0), (5, 0)))
        np.testing.assert_array_equal(file.excerpt(0, file.n_samples).samples, expected)


@given(duration_s=st.floats(0.05, 1e5), part_s=st.floats(16, 600), align_s=st.sampled_from([8, 24, 88]))
def test_parts_lie_end_to_end_and_begin_on_the_grid(duration_s, part_s, align_s):
    bounds = list(parts.part_bounds_s(duration_s, align_s, parts.Params(part_s=part_s)))
    begins, ends = [b for _, b, _, _ in bounds], [e for _, _, e, _ in bounds]
    assert begins == [0.0, *ends[:-1]]
    assert ends[-1] == duration_s
    assert all(begin < end for begin, end in zip(begins, ends, strict=True))
    assert all(begin % align_s == 0 for begin in begins)
    assert all(start % align_s == 0 for start, *_ in bounds)


def test_the_settings_of_parts_decide_what_is_cut(song):
    assert len(list(parts.part_bounds_s(40.0, 8, parts.Params(part_s=16)))) == 2
    assert len(list(parts.part_bounds_s(40.0, 8, parts.Params(part_s=20)))) == 2
    assert len(list(parts.part_bounds_s(40.0, 8, parts.Params(part_s=240)))) == 1


@pytest.mark.parametrize("n_channels", [2, 3, 5])
def test_channels_that_are_read_in_groups_give_the_same_stems_in_memory_and_on_the_disk(
    tmp_path, monkeypatch, n_channels
):
    rate_hz, config = 16000, load_config("fast")
    song = demo_song.make(rate_hz, 3.0).mixture.samples
    song = Audio(np.stack([song[k % 2] * (1 - 0.1 * k) for k in range(n_channels)]).astype(np.float32), rate_hz)
    expected = separate(song, config=config).vocals.samples
    monkeypatch.setattr(recording, "_GROUP_VALUES", 2 * song.n_samples)
    assert len(list(recording.channel_groups(song))) == -(-n_channels // 2)
    np.testing.assert_array_equal(separate(song, config=config).vocals.samples, expected)
    with (
        SampleFile(tmp_path, rate_hz, n_channels, np.float32) as on_disk,
        SampleFile(tmp_path, rate_hz, n_channels, np.float32) as vocals,
    ):
        on_disk.append(song.samples)
        separate_to(vocals, on_disk, config)
        np.testing.assert_array_equal(vocals.excerpt(0, song.n_samples).samples, expected)


def test_a_short_song_of_many_channels_stays_on_the_disk(tmp_path):
    song = tmp_path / "many.wav"
    for n_channels, expected in ((2, False), (64, True)):
        with soundfile.SoundFile(song, "w", 192000, n_channels, "PCM_U8") as file:
            file.write(np.zeros((round(2.8 * 192000), n_channels), np.int16))
        [job] = batch.plan([song], Order(tmp_path / "out"), load_config()).jobs
        assert space.is_long(job, load_config()) == expected
