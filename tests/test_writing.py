"""Written sound files: samples, headers and tags."""

import json
import os
import shutil
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from karaoke_sep.errors import ConfigError, OutputError
from karaoke_sep.files import atomic, contours, foreign, reading, sound_info, stem_rounding, tags, writing
from karaoke_sep.files.adaptation import adaptation
from karaoke_sep.files.tags import Tags
from karaoke_sep.types import PitchTrack

SUBTYPES = {"wav": "PCM_16", "flac": "PCM_16", "mp3": "MPEG_LAYER_III", "ogg": "VORBIS"}
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on the PATH")


def noise(n_channels=2, n_samples=4000, level=0.2, seed=0):
    return (level * np.random.default_rng(seed).standard_normal((n_channels, n_samples))).astype(np.float32)


def write(path, samples, rate_hz=44100, subtype=None, **more):
    """Write a sound as the batch does it."""
    container = path.suffix[1:]
    subtype = subtype or SUBTYPES[container]
    stems, _, _ = stem_rounding.fit_stems(samples, samples, subtype)
    writing.write(path, stems["vocals"], rate_hz, container, subtype, **more)


def ask(path, fields):
    """What ffprobe says, in its own words."""
    command = ["ffprobe", "-v", "error", "-show_entries", fields, "-of", "json", str(path)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


@pytest.mark.parametrize(
    ("source", "container", "expected"),
    [
        ("MPEG_LAYER_III", "wav", "PCM_16"),
        ("VORBIS", "wav", "PCM_16"),
        ("AAC", "wav", "PCM_16"),
        ("OPUS", "flac", "PCM_16"),
        ("ULAW", "wav", "PCM_16"),
        ("PCM_S8", "wav", "PCM_U8"),
        ("PCM_S8", "flac", "PCM_S8"),
        ("PCM_U8", "flac", "PCM_S8"),
        ("PCM_16", "flac", "PCM_16"),
        ("PCM_32", "wav", "PCM_32"),
        ("FLOAT", "flac", "PCM_24"),
        ("FLOAT", "wav", "FLOAT"),
        ("PCM_16", "mp3", "MPEG_LAYER_III"),
        ("PCM_16", "ogg", "VORBIS"),
    ],
)
def test_sample_format_follows_the_input_as_far_as_the_container_can(source, container, expected):
    info = sound_info.SoundInfo(44100, 2, 100, source, "libsndfile")
    assert writing.output_subtype(info, container) == expected


@pytest.mark.parametrize("container", writing.FORMATS)
def test_each_container_can_be_written_and_read(tmp_path, container):
    tone = 0.15 * np.sin(np.arange(44100) * 0.05) * np.ones((2, 1))
    write(tmp_path / f"a.{container}", tone)
    audio, warnings = reading.read(tmp_path / f"a.{container}")
    padding = {"mp3": 4000}.get(container, 0)  # samples; MP3 holds whole frames
    assert 44100 <= audio.n_samples <= 44100 + padding
    np.testing.assert_allclose(audio.samples[:, 5000:40000], tone[:, 5000:40000], atol=0.02)
    assert warnings == ()


def test_the_same_sound_gives_the_same_bytes_at_any_time(tmp_path):
    forms = [*((container, subtype) for container, subtype in SUBTYPES.items())]
    forms += [("wav", "FLOAT"), ("wav", "DOUBLE"), ("flac", "PCM_24"), ("ogg", "OPUS")]

    def write_all():
        for i, (container, subtype) in enumerate(forms):
            write(tmp_path / f"{i}.{container}", noise(n_samples=96000), 48000, subtype, tags=Tags({"title": "PEAK"}))
        return {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    now = write_all()
    time.sleep(1.1)  # the clocks in file headers count seconds
    assert write_all() == now
    assert len(now) == len(forms)


@pytest.mark.parametrize(
    ("container", "subtype", "match"),
    [
        ("wav", "PCM_20", "it can hold PCM_16"),
        ("wav", "MS_ADPCM", "cannot hold MS_ADPCM"),
        ("flac", "FLOAT", "cannot hold FLOAT"),
    ],
)
def test_a_sample_format_that_a_container_cannot_hold_is_an_error_before_writing(container, subtype, match):
    info = sound_info.SoundInfo(44100, 2, 100, "PCM_16", "libsndfile")
    with pytest.raises(ConfigError, match=match):
        writing.output_subtype(info, container, subtype)


@pytest.mark.parametrize(
    ("name", "subtype", "rate_hz", "n_channels", "written", "note"),
    [
        ("a.mp3", None, 96000, 2, (48000, 2), "resampled to 48000 Hz"),
        ("a.mp3", None, 88200, 1, (44100, 1), "resampled to 44100 Hz"),
        ("a.mp3", None, 20000, 1, (22050, 1), "resampled to 22050 Hz"),
        ("a.mp3", None, 44100, 6, (44100, 2), "6 channels; mixed down to stereo"),
        ("a.flac", None, 44100, 9, (44100, 2), "mixed down to stereo"),
        ("a.ogg", "OPUS", 44100, 2, (48000, 2), "resampled to 48000 Hz"),
        ("a.mp3", None, 44100, 2, (44100, 2), ""),
    ],
)
def test_unsupported_rates_and_channels_are_resampled_or_mixed_down(
    tmp_path, name, subtype, rate_hz, n_channels, written, note
):
    times_s = np.arange(2 * rate_hz) / rate_hz
    tone = 0.1 * np.sin(2 * np.pi * 1000 * times_s) * np.ones((n_channels, 1))
    write(tmp_path / name, tone, rate_hz, subtype)
    audio, _ = reading.read(tmp_path / name)
    assert (audio.rate_hz, audio.n_channels) == written
    assert audio.duration_s == pytest.approx(2, abs=0.06)  # s, two frames of the codec
    middle = audio.samples[0, audio.rate_hz // 2 : audio.rate_hz]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert spectrum.argmax() * audio.rate_hz / len(middle) == pytest.approx(1000, abs=2)  # Hz
    assert np.abs(middle).max() <= 0.13
    form = adaptation(rate_hz, n_channels, name.partition(".")[2], subtype or SUBTYPES[name.partition(".")[2]])
    assert note in form.note
    assert bool(form.note) == bool(note)


def test_a_mix_down_keeps_the_sides_and_does_not_clip(tmp_path):
    samples = np.zeros((6, 48000), np.float32)
    samples[0] = np.sin(np.arange(48000) * 0.1)  # front left alone
    write(tmp_path / "left.mp3", 0.9 * samples)
    left, right = reading.read(tmp_path / "left.mp3")[0].samples
    assert np.abs(right).max() < 0.01 < np.abs(left).max()
    write(tmp_path / "all.mp3", np.ones((6, 1)) * samples[0])
    assert np.abs(reading.read(tmp_path / "all.mp3")[0].samples).max() < 1.05


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "rate_hz", "kbps", "expected"),
    [
        ("a.mp3", 44100, None, 320),
        ("a.mp3", 44100, 128, 128),
        ("a.mp3", 22050, 320, 160),
        ("a.mp3", 8000, 320, 64),
        ("a.ogg", 44100, None, 256),
        ("a.ogg", 44100, 128, 128),
    ],
)
def test_the_bit_rate_is_what_was_asked_for_as_far_as_the_format_goes(tmp_path, name, rate_hz, kbps, expected):
    write(tmp_path / name, noise(n_samples=4 * rate_hz), rate_hz, bitrate_kbps=kbps)
    [stream] = ask(tmp_path / name, "stream=bit_rate")["streams"]
    assert int(stream["bit_rate"]) == pytest.approx(1000 * expected, rel=0.02)


def test_more_bits_leave_less_error(tmp_path):
    sound = np.cumsum(noise(n_samples=88200, level=0.003), axis=1)
    for container in ("mp3", "ogg"):
        errors = []
        for kbps in (64, 128, 256):
            write(tmp_path / f"a.{container}", sound, bitrate_kbps=kbps)
            decoded = reading.read(tmp_path / f"a.{container}")[0].samples[:, :88200]
            errors.append(float(np.mean((decoded - sound) ** 2)))
        assert errors[0] > errors[1] > errors[2]


TEXT = {
    "title": "Größe 歌 (karaoke)",
    "artist": "Кто-то",
    "album": "Songs",
    "album_artist": "Many",
    "composer": "عبد",
    "track": "3/12",
    "disc": "1/2",
    "date": "2024-05-06",
    "genre": "Folk",
    "comment": "é",
    "lyrics": "la la\n歌",
}


def picture(folder):
    path = folder / "cover.jpg"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=d=1:s=320x240", "-frames:v", "1", str(path)]
    subprocess.run(command, check=True)
    return path.read_bytes()


@needs_ffmpeg
@pytest.mark.parametrize(("name", "place"), [("a.mp3", "format"), ("a.flac", "format"), ("a.ogg", "streams")])
def test_another_reader_finds_the_tags_in_any_script_and_the_cover(tmp_path, name, place):
    cover = picture(tmp_path) + bytes(200_000)  # larger than a page of Ogg can be
    write(tmp_path / name, noise(n_samples=44100), tags=Tags(TEXT, cover))
    said = ask(tmp_path / name, "stream=width,codec_type:stream_tags:format_tags")
    holder = said["format"] if place == "format" else said["streams"][0]
    found = {key.lower().partition("-")[0]: value for key, value in holder["tags"].items()}
    assert {key: value for key, value in found.items() if key != "encoder"} == TEXT
    assert [stream["width"] for stream in said["streams"] if stream["codec_type"] == "video"] == [320]
    assert tags.read(tmp_path / name, {}) == Tags(TEXT, cover)
    assert reading.read(tmp_path / name)[1] == ()


@needs_ffmpeg
def test_a_wav_file_says_in_info_what_that_can_hold_and_all_in_id3(tmp_path):
    """Of text ffprobe uses the INFO chunk only, others such as TagLib use ID3."""
    every = Tags(TEXT, picture(tmp_path))
    write(tmp_path / "a.wav", noise(), tags=every)
    said = ask(tmp_path / "a.wav", "stream=width,codec_type:format_tags")
    of_info = {name: TEXT[name] for name in ("title", "artist", "album", "date", "genre", "comment", "track")}
    assert said["format"]["tags"].items() >= of_info.items()
    assert [stream["width"] for stream in said["streams"] if stream["codec_type"] == "video"] == [320]
    assert tags.read(tmp_path / "a.wav", {}) == Tags(of_info, every.cover)
    assert tags.id3(every) in (tmp_path / "a.wav").read_bytes()


@pytest.mark.parametrize("rf64", [True, False])
@pytest.mark.parametrize("n_bytes", [100, 101])
def test_a_cover_in_a_wav_file_is_a_chunk_that_the_file_counts(tmp_path, monkeypatch, rf64, n_bytes):
    monkeypatch.setattr(writing, "WAV_LIMIT_BYTES", 0 if rf64 else 1 << 30)
    cover = b"\xff\xd8\xff" + bytes(n_bytes)
    path = tmp_path / "a.wav"
    write(path, noise(n_samples=999), subtype="PCM_U8", tags=Tags({"title": "one"}, cover, "karaoke-sep"))
    data = path.read_bytes()
    size = struct.unpack("<Q", data[20:28])[0] if rf64 else struct.unpack("<I", data[4:8])[0]
    assert (data[:4], size) == (b"RF64" if rf64 else b"RIFF", len(data) - 8)
    assert cover in data
    assert len(data) % 2 == 0
    assert reading.read(path)[0].samples.shape == (2, 999)
    assert foreign.is_own_sound(path)


def test_tags_that_the_info_chunk_holds_need_no_other_chunk(tmp_path):
    write(tmp_path / "a.wav", noise(), tags=Tags({"title": "one", "track": "1/2"}))
    assert b"id3 " not in (tmp_path / "a.wav").read_bytes()


@needs_ffmpeg
def test_tags_and_cover_are_taken_from_m4a(tmp_path):
    write(tmp_path / "a.flac", noise(n_samples=44100), tags=Tags(TEXT, picture(tmp_path)))
    command = ["ffmpeg", "-v", "error", "-i", "a.flac", "-c:a", "aac", "-c:v", "copy", "a.m4a"]
    subprocess.run(command, cwd=tmp_path, check=True)
    found = tags.read(tmp_path / "a.m4a", {})
    assert found.text == TEXT
    assert found.cover.startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize("container", writing.FORMATS)
def test_tags_are_read_back_without_ffmpeg(tmp_path, monkeypatch, container):
    monkeypatch.setenv("PATH", str(tmp_path))
    text = {"title": "Größe 歌", "artist": "Somebody", "album": "Songs", "date": "2024", "genre": "Folk"}
    write(tmp_path / f"song.{container}", noise(), 16000, tags=Tags(text))
    assert sound_info.probe(tmp_path / f"song.{container}").tags == text


def test_tags_in_no_known_encoding_do_no_harm(tmp_path):
    path = tmp_path / "song.wav"
    write(path, noise(), tags=Tags({"title": "AEIOU"}))
    path.write_bytes(path.read_bytes().replace(b"AEIOU", b"\xc4\xff\xfe\xd6\xdc"))
    found = sound_info.probe(path).tags
    write(tmp_path / "again.wav", noise(), tags=Tags(found))
    assert sound_info.probe(tmp_path / "again.wav").tags == found


@pytest.mark.skipif(shutil.which("flac") is None, reason="flac is not on the PATH")
def test_the_reference_decoder_accepts_a_flac_with_tags_and_cover(tmp_path):
    write(tmp_path / "a.flac", noise(n_samples=44100), tags=Tags(TEXT, b"\xff\xd8\xff" + bytes(1000)))
    subprocess.run(["flac", "-t", str(tmp_path / "a.flac")], check=True, capture_output=True)


def test_samples_that_are_not_finite_are_never_written(tmp_path):
    samples = noise()
    samples[1, 100] = np.nan
    with pytest.raises(OutputError, match="not finite"):
        writing.write(tmp_path / "a.wav", samples, 44100, "wav", "FLOAT")
    with pytest.raises(OutputError, match="not finite"):
        write(tmp_path / "b.wav", samples)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_in_the_message(tmp_path):
    resource = pytest.importorskip("resource")
    code = (
        "import resource, signal, numpy as np; from pathlib import Path; from karaoke_sep.files import writing\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, {resource.RLIM_INFINITY}))\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "for name, subtype in (('a.wav', 'FLOAT'), ('a.flac', 'PCM_24'), ('a.mp3', 'MPEG_LAYER_III'), "
        "('a.ogg', 'VORBIS')):\n"
        "    sound = 0.3 * np.random.default_rng(0).standard_normal((2, 300_000)).astype(np.float32)\n"
        "    try:\n"
        "        writing.write(folder / name, sound, 44100, name[2:], subtype)\n"
        "    except Exception as err:\n"
        "        print(type(err).__name__, err)\n"
    )
    import sys

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [
        f"OutputError {tmp_path / name}: cannot be written (file too large)"
        for name in ("a.wav", "a.flac", "a.mp3", "a.ogg")
    ]
    assert run.stderr == ""
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------------------- part files


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
        writing.write(tmp_path / "file" / "vocals.wav", noise(), 16000, "wav", "FLOAT")


def test_parts_that_others_left_are_removed_and_those_of_a_live_run_stay(tmp_path):
    path = tmp_path / "vocals.wav"
    with atomic.whole_file(path) as part:
        left = part.with_name(part.name.replace(part.name[6:22], "0" * 16))
        left.write_bytes(b"half")
        part.write_bytes(b"whole")
        atomic.remove_parts(path)
        assert part.exists()
        assert not left.exists()
    assert path.read_bytes() == b"whole"


def test_a_link_under_the_name_of_a_part_is_not_followed(tmp_path, monkeypatch):
    """Another user of the folder guesses the name and plants a link there."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    guesses = iter(["guessed", "another"])
    monkeypatch.setattr(atomic.secrets, "token_hex", lambda n: next(guesses))
    with atomic.whole_file(tmp_path / "a.wav") as part:
        planted = Path(str(part).replace("guessed", "another"))
    planted.symlink_to(victim)
    with pytest.raises(OutputError, match="file exists"), atomic.whole_file(tmp_path / "a.wav") as part:
        part.write_bytes(b"stem")
    assert victim.read_bytes() == b"precious"


def test_new_files_get_the_permissions_of_the_user(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "a.wav", noise())
    finally:
        os.umask(before)
    assert (tmp_path / "a.wav").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device of a full disk")
def test_a_writer_that_fails_names_the_file_and_not_the_temporary_one(tmp_path):
    path = tmp_path / "pitch.csv"

    def write():
        with atomic.whole_file(path) as part:
            part.unlink()
            part.symlink_to("/dev/full")
            contours.write(part, PitchTrack(np.zeros(1), np.zeros(1), np.zeros(1)))

    with pytest.raises(OutputError) as failure:
        write()
    assert str(failure.value) == f"{path}: cannot be written: No space left on device"
    assert not list(tmp_path.iterdir())
