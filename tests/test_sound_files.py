"""Sound files: what goes in comes out again, and what is no sound is named in one line."""

import os
import shutil
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from karaoke_sep.errors import ConfigError, InputError, OutputError
from karaoke_sep.files import atomic, reading, sound_info, stem_rounding, writing

AWKWARD = Path(__file__).parent.parent.parent / "shared" / "data" / "awkward"
INTEGERS = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on the PATH")
needs_awkward = pytest.mark.skipif(not AWKWARD.is_dir(), reason=f"{AWKWARD} is absent")


def noise(n_channels=2, n_samples=4000, level=0.2, seed=0):
    return level * np.random.default_rng(seed).standard_normal((n_channels, n_samples))


def write_stems(folder, mixture, vocals, info, clip="clamp", container="wav", subtype=None):
    """Both stems, written as the batch does it and read again; and the note."""
    subtype = writing.output_subtype(info, container, subtype)
    stems, subtype, note = stem_rounding.fit_stems(mixture, vocals, subtype, clip)
    for stem, samples in stems.items():
        writing.write(folder / f"{stem}.{container}", samples, info.rate_hz, container, subtype)
    return {stem: reading.read(folder / f"{stem}.{container}")[0] for stem in stems}, note


@pytest.mark.parametrize("subtype", [*INTEGERS, "FLOAT", "DOUBLE"])
@pytest.mark.parametrize(("n_channels", "rate_hz"), [(1, 8000), (2, 44100), (6, 192000)])
def test_stems_add_up_to_the_input_and_keep_its_form(tmp_path, subtype, n_channels, rate_hz):
    path = tmp_path / "song.wav"
    soundfile.write(path, np.clip(noise(n_channels).T, -1, 1 - 2**-7), rate_hz, subtype)
    audio, warnings = reading.read(path)
    vocals = 0.6 * audio.samples + noise(n_channels, level=0.01, seed=1)
    stems, _ = write_stems(tmp_path, audio.samples, vocals, sound_info.probe(path))
    for stem, sound in stems.items():
        assert sound.samples.shape == audio.samples.shape
        assert sound_info.probe(tmp_path / f"{stem}.wav").subtype == subtype
        assert sound.rate_hz == rate_hz
    rounding = {"FLOAT": 2**-23, "DOUBLE": 2**-52}.get(subtype, 0)  # full scale
    total = stems["vocals"].samples + stems["accompaniment"].samples
    np.testing.assert_allclose(total, audio.samples, rtol=0, atol=rounding)
    assert warnings == ()


@pytest.mark.parametrize("subtype", INTEGERS)
def test_vocals_are_rounded_to_the_nearest_step(tmp_path, subtype):
    info = sound_info.SoundInfo(16000, 1, 4000, subtype, "libsndfile")
    mixture, vocals = noise(1), 0.5 * noise(1)
    stems, _ = write_stems(tmp_path, mixture, vocals, info)
    step = 2.0 ** (1 - INTEGERS[subtype])
    assert np.abs(stems["vocals"].samples - vocals).max() <= step / 2 + 1e-12


@pytest.mark.parametrize("subtype", INTEGERS)
def test_clamped_stems_stay_within_full_scale_and_add_up(tmp_path, subtype):
    info = sound_info.SoundInfo(16000, 1, 4000, subtype, "libsndfile")
    step = 2.0 ** (1 - INTEGERS[subtype])
    mixture = np.rint(np.clip(noise(1, level=0.5), -1, 1 - step) / step) * step
    stems, note = write_stems(tmp_path, mixture, mixture + noise(1, level=0.8, seed=2), info)
    np.testing.assert_array_equal(stems["vocals"].samples + stems["accompaniment"].samples, mixture)
    assert "clamped" in note


def test_rescaled_stems_add_up_to_the_mixture_turned_down(tmp_path):
    info = sound_info.SoundInfo(16000, 1, 4000, "PCM_16", "libsndfile")
    mixture, vocals = noise(1, level=0.3), 2.5 * noise(1, level=0.3)
    stems, note = write_stems(tmp_path, mixture, vocals, info, "rescale")
    peak = max(np.abs(mixture).max(), np.abs(vocals).max(), np.abs(mixture - vocals).max())
    total = stems["vocals"].samples + stems["accompaniment"].samples
    np.testing.assert_allclose(total, mixture * (1 - 2**-15) / peak, atol=2**-15)  # one step
    assert "turned down" in note


def test_float_rule_keeps_what_passes_full_scale(tmp_path):
    info = sound_info.SoundInfo(16000, 1, 4000, "PCM_16", "libsndfile")
    mixture = noise(1, level=0.3)
    stems, note = write_stems(tmp_path, mixture, 4 * mixture, info, "float")
    np.testing.assert_allclose(stems["vocals"].samples, 4 * mixture, rtol=1e-6)
    assert sound_info.probe(tmp_path / "vocals.wav").subtype == "FLOAT"
    assert "float" in note


@pytest.mark.parametrize("clip", ["clamp", "rescale", "float"])
def test_nothing_is_done_about_clipping_where_nothing_clips(tmp_path, clip):
    info = sound_info.SoundInfo(16000, 1, 4000, "PCM_16", "libsndfile")
    mixture = noise(1, level=0.1)
    stems, note = write_stems(tmp_path, mixture, 0.5 * mixture, info, clip)
    np.testing.assert_allclose(stems["vocals"].samples, 0.5 * mixture, atol=2**-16)  # half a step
    assert (note, sound_info.probe(tmp_path / "vocals.wav").subtype) == ("", "PCM_16")


@settings(max_examples=60, deadline=None)
@given(
    n_channels=st.integers(1, 3),
    n_samples=st.integers(0, 70),
    subtype=st.sampled_from([*INTEGERS, "FLOAT", "DOUBLE"]),
    clip=st.sampled_from(("clamp", "rescale", "float")),
    mixture_level=st.sampled_from([0, 1e-9, 0.1, 1, 30]),
    vocals_level=st.sampled_from([0, 1e-9, 0.1, 1, 30]),
)
def test_any_sound_fits_and_the_stems_add_up_to_what_the_rule_says(
    n_channels, n_samples, subtype, clip, mixture_level, vocals_level
):
    mixture = noise(n_channels, n_samples, mixture_level)
    vocals = noise(n_channels, n_samples, vocals_level, seed=1)
    stems, written, _ = stem_rounding.fit_stems(mixture, vocals, subtype, clip)
    full_scale = 2.0**31 if written in INTEGERS else 1.0
    total = sum(stem.astype(float) for stem in stems.values()) / full_scale
    step = 2.0 ** (1 - INTEGERS[written]) if written in INTEGERS else 1e-5
    assert all(stem.shape == mixture.shape for stem in stems.values())
    if clip == "rescale" and written in INTEGERS:
        peak = max((np.abs(x).max(initial=0) for x in (mixture, vocals, mixture - vocals)), default=0)
        expected = mixture * min(1, (1 - step) / max(peak, 1e-30))
    else:
        expected = np.clip(mixture, -1, 1 - step) if written in INTEGERS else mixture
    np.testing.assert_allclose(total, expected, rtol=0, atol=1.01 * step)


@pytest.mark.parametrize(
    ("source", "container", "expected"),
    [
        ("MPEG_LAYER_III", "wav", "FLOAT"),
        ("VORBIS", "wav", "FLOAT"),
        ("ULAW", "wav", "PCM_16"),
        ("PCM_S8", "wav", "PCM_U8"),
        ("PCM_U8", "flac", "PCM_S8"),
        ("PCM_16", "flac", "PCM_16"),
        ("FLOAT", "flac", "PCM_24"),
        ("PCM_16", "mp3", "MPEG_LAYER_III"),
        ("PCM_16", "ogg", "VORBIS"),
    ],
)
def test_sample_format_follows_the_input_as_far_as_the_container_can(source, container, expected):
    info = sound_info.SoundInfo(44100, 2, 100, source, "libsndfile")
    assert writing.output_subtype(info, container) == expected


@pytest.mark.parametrize("container", writing.FORMATS)
def test_each_container_can_be_written_and_read(tmp_path, container):
    info = sound_info.SoundInfo(44100, 2, 44100, "PCM_16", "libsndfile")
    tone = 0.3 * np.sin(np.arange(44100) * 0.05) * np.ones((2, 1))
    stems, _ = write_stems(tmp_path, tone, 0.5 * tone, info, container=container)
    padding = {"mp3": 4000}.get(container, 0)  # samples; MP3 holds whole frames
    assert 44100 <= stems["vocals"].n_samples <= 44100 + padding
    np.testing.assert_allclose(stems["vocals"].samples[:, 5000:40000], 0.5 * tone[:, 5000:40000], atol=0.02)


def test_the_same_sound_gives_the_same_bytes_at_any_time(tmp_path):
    forms = [("wav", "PCM_16"), ("wav", "FLOAT"), ("wav", "DOUBLE"), ("flac", "PCM_24"), ("mp3", "MPEG_LAYER_III")]

    def write_all():
        for container, subtype in forms:
            stems, _, _ = stem_rounding.fit_stems(noise(), 0.5 * noise(), subtype)
            writing.write(tmp_path / subtype, stems["vocals"], 44100, container, subtype, {"title": "PEAK"})
        return {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    now = write_all()
    time.sleep(1.1)  # the clocks in file headers count seconds
    assert write_all() == now
    assert len(now) == len(forms)


@pytest.mark.parametrize(
    ("container", "subtype", "rate_hz", "n_channels", "error", "match"),
    [
        ("wav", "PCM_20", 44100, 2, ConfigError, "it can hold PCM_16"),
        ("wav", "MS_ADPCM", 44100, 2, ConfigError, "cannot hold MS_ADPCM"),
        ("flac", "FLOAT", 44100, 2, ConfigError, "cannot hold FLOAT"),
        ("mp3", None, 96000, 2, InputError, "96000 Hz"),
        ("mp3", None, 44100, 6, InputError, "6 channels"),
        ("flac", None, 44100, 9, InputError, "9 channels"),
        ("ogg", "OPUS", 44100, 2, InputError, "44100 Hz"),
    ],
)
def test_what_a_container_cannot_hold_is_refused_before_writing(container, subtype, rate_hz, n_channels, error, match):
    info = sound_info.SoundInfo(rate_hz, n_channels, 100, "PCM_16", "libsndfile")
    with pytest.raises(error, match=match):
        writing.output_subtype(info, container, subtype)


def wav_bytes(samples, claimed_bytes=None):
    """A mono WAV file of 16-bit samples at 16 kHz, whose header may lie."""
    data = np.asarray(samples, "<i2").tobytes()
    claimed = len(data) if claimed_bytes is None else claimed_bytes
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16)
    riff = struct.pack("<4sI4s", b"RIFF", min(claimed + 36, 0xFFFFFFFF), b"WAVE")
    return riff + form + struct.pack("<4sI", b"data", claimed) + data


def test_a_sound_that_ends_early_is_read_with_a_warning(tmp_path):
    path = tmp_path / "cut.wav"
    path.write_bytes(wav_bytes(np.ones(16000), claimed_bytes=64000))
    audio, [warning] = reading.read(path)
    assert audio.n_samples == 16000
    assert "1.00 s of 2.00 s" in warning


@pytest.mark.parametrize("claimed_bytes", [0xFFFFFFFF, 0x7FFFFFFE])
def test_a_streamed_header_without_length_is_no_fault(tmp_path, claimed_bytes):
    path = tmp_path / "streamed.wav"
    path.write_bytes(wav_bytes(np.ones(16000), claimed_bytes))
    audio, warnings = reading.read(path)
    assert (audio.n_samples, warnings) == (16000, ())


def test_a_flac_header_that_claims_terabytes_costs_no_memory(tmp_path):
    path = tmp_path / "vast.flac"
    soundfile.write(path, np.zeros(16000), 16000, format="FLAC")
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F  # the upper bits of the 36-bit sample count in STREAMINFO
    path.write_bytes(data)
    assert sound_info.probe(path).n_samples > 2**35
    audio, [warning] = reading.read(path)
    assert audio.n_samples <= 16000
    assert str(path) in warning


def test_a_sound_that_is_longer_than_allowed_is_refused_before_it_is_all_read(tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(100_000), 16000)
    assert reading.read(path, max_samples=100_000)[0].n_samples == 100_000
    with pytest.raises(InputError, match="longer than the 3 s"):
        reading.read(path, max_samples=50_000)


def test_an_mp3_without_length_is_read_to_its_end(tmp_path):
    """libsndfile guesses the length from the first frame, and would stop there."""
    parts = []
    for level, seed in ((0.5, 0), (0.0, 1)):  # noise costs many bits a frame, silence few
        piece = tmp_path / f"{seed}.mp3"
        with soundfile.SoundFile(piece, "w", 44100, 1, format="MP3", bitrate_mode="VARIABLE") as file:
            file.write(noise(1, 5 * 44100, level, seed).T)
        data = piece.read_bytes()
        parts.append(data[data.index(data[:2], 100) :])  # without the first frame, which only tells the length
    path = tmp_path / "whole.mp3"
    path.write_bytes(b"".join(parts))
    guessed_s = sound_info.probe(path).duration_s
    audio, warnings = reading.read(path)
    assert guessed_s < 8
    assert audio.duration_s == pytest.approx(10, abs=0.2)  # s, a few frames of 26 ms
    assert warnings == ()


def flac_frames(data):
    """What follows the metadata of a FLAC file."""
    start, is_last = 4, False
    while not is_last:
        is_last = bool(data[start] & 0x80)
        start += 4 + int.from_bytes(data[start + 1 : start + 4], "big")
    return data[start:]


@pytest.mark.parametrize("rate_hz", [16000, 22050, 12345, 40000, 37000])  # told in a table, in Hz, 10 Hz or kHz
def test_a_flac_that_changes_its_rate_midway_is_refused(tmp_path, rate_hz):
    paths = [tmp_path / f"{name}.flac" for name in ("first", "second", "both")]
    for path, rate in zip(paths, (44100, rate_hz), strict=False):
        soundfile.write(path, noise(1, 50_000, 0.3).T, rate)
        assert reading.read(path)[0].n_samples == 50_000
    first, second = (path.read_bytes() for path in paths[:2])
    length_unknown = first[:21] + bytes([first[21] & 0xF0]) + bytes(4) + first[26:]
    paths[2].write_bytes(length_unknown + flac_frames(second))
    with pytest.raises(InputError, match=f"from 44100 to {rate_hz} Hz midway"):
        reading.read(paths[2])


def test_sounds_joined_in_one_ogg_file_are_not_cut_to_the_first(tmp_path):
    path = tmp_path / "song.ogg"
    soundfile.write(path, noise(1, 50_000, 0.3).T, 16000)
    assert reading.read(path)[0].n_samples == 50_000
    path.write_bytes(2 * path.read_bytes())
    with pytest.raises(InputError, match="several sounds"):
        reading.read(path)


def test_of_a_flac_that_breaks_off_what_is_there_is_read_with_a_warning(tmp_path):
    path = tmp_path / "cut.flac"
    soundfile.write(path, noise(1, 16_000, 0.3).T, 16000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    audio, [warning] = reading.read(path)
    assert 3000 < audio.n_samples < 8000
    assert "breaks off" in warning


@needs_ffmpeg
def test_an_mp3_behind_other_data_is_read(tmp_path):
    path = tmp_path / "song.mp3"
    soundfile.write(path, noise(1, 32_000, 0.3).T, 16000)
    path.write_bytes(bytes(range(200)) * 20 + path.read_bytes())
    assert reading.read(path)[0].n_samples >= 32_000


TITLES = {"title": "Größe 歌", "artist": "Somebody", "album": "Songs", "date": "2024", "genre": "Folk"}


@pytest.mark.parametrize("container", writing.FORMATS)
def test_tags_are_kept(tmp_path, container):
    path = tmp_path / f"song.{container}"
    subtype = soundfile.default_subtype(writing.FORMATS[container])
    writing.write(path, np.zeros((1, 4000), np.float32), 16000, container, subtype, TITLES)
    assert sound_info.probe(path).tags == TITLES


@needs_ffmpeg
@needs_awkward
def test_tags_come_from_ffmpeg_too():
    assert sound_info.probe(AWKWARD / "has-tags.m4a").tags == {"artist": "Test Artist"}


def test_tags_in_no_known_encoding_do_no_harm(tmp_path):
    path = tmp_path / "song.wav"
    writing.write(path, np.zeros((1, 4000), np.float32), 16000, "wav", "FLOAT", {"title": "AEIOU"})
    path.write_bytes(path.read_bytes().replace(b"AEIOU", b"\xc4\xff\xfe\xd6\xdc"))
    tags = sound_info.probe(path).tags
    writing.write(tmp_path / "again.wav", np.zeros((1, 4000), np.float32), 16000, "wav", "FLOAT", tags)
    assert sound_info.probe(tmp_path / "again.wav").tags == tags


def make_fifo(path):
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "is a folder"),
        (make_fifo, "not a regular file"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_text("la la la\n" * 100), "sound|libsndfile"),
        (lambda path: path.write_bytes(wav_bytes([])[:13]), "No 'data' chunk"),
        (lambda path: path.write_bytes(b"ID3\2" + bytes(2000)), "sound|libsndfile"),
    ],
)
def test_what_is_no_sound_gets_one_line_that_says_so(tmp_path, make, says):
    path = tmp_path / "song.wav"
    make(path)
    with pytest.raises(InputError, match=says) as caught:
        reading.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_ffmpeg_the_line_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "song.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="install ffmpeg"):
        sound_info.probe(path)


@needs_ffmpeg
@needs_awkward
@pytest.mark.parametrize(
    ("name", "n_channels", "rate_hz", "seconds"),
    [
        ("format_test.m4a", 1, 44100, 9.66),
        ("silence-1.wma", 2, 48000, 3.71),
        ("test5.webm", 2, 48000, 1.5),
        ("wrong_extension.aac", 1, 44100, 9.66),
    ],
)
def test_ffmpeg_reads_what_libsndfile_cannot(name, n_channels, rate_hz, seconds):
    audio, warnings = reading.read(AWKWARD / name)
    assert (audio.n_channels, audio.rate_hz) == (n_channels, rate_hz)
    assert audio.duration_s == pytest.approx(seconds, abs=0.05)  # s, two codec frames
    assert warnings == ()


@needs_ffmpeg
@needs_awkward
@pytest.mark.parametrize("name", ["-i.m4a", "http:song.m4a", "concat:a|b.m4a", "a\nb %d 'ü\".m4a"])
def test_a_file_name_is_never_an_option_or_an_address(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    shutil.copy(AWKWARD / "has-tags.m4a", f"./{name}")
    assert reading.read(Path(name))[0].duration_s > 3


@needs_ffmpeg
def test_a_playlist_cannot_make_ffmpeg_open_an_address(tmp_path):
    path = tmp_path / "song.m4a"
    path.write_text("#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(InputError):
        reading.read(path)


@needs_awkward
@pytest.mark.parametrize("path", sorted(AWKWARD.iterdir()) if AWKWARD.is_dir() else [], ids=lambda path: path.name)
def test_every_awkward_file_is_read_or_named_in_one_line(path):
    line = complaint(path)
    assert line == "" or line.startswith(f"{path}: ")
    assert "\n" not in line


def complaint(path):
    """The line with which a file is refused; empty when it is read."""
    try:
        reading.read(path)
    except InputError as err:
        return str(err)
    return ""


def test_a_file_that_cannot_be_finished_leaves_the_old_one_and_nothing_else(tmp_path):
    path = tmp_path / "vocals.wav"
    path.write_bytes(b"old")

    def write_half():
        with atomic.whole_file(path) as part:
            part.write_bytes(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="no space left"):
        write_half()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"vocals.wav": b"old"}


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"vocals\.wav: cannot be written"):
        writing.write(tmp_path / "file" / "vocals.wav", np.zeros((1, 10), np.float32), 16000, "wav", "FLOAT")
