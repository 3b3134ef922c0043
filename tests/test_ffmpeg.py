"""Damaged, joined and changing sounds are read to their end, and ffmpeg opens one local file only."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from karaoke_sep.errors import InputError
from karaoke_sep.files import ffmpeg, reading, sound_info

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on the PATH")


def noise(seconds=3.0, rate_hz=44100, n_channels=2, seed=0):
    white = 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * rate_hz) + 1, n_channels))
    return white[1:] + 0.9 * white[:-1]  # duller, as music is


def make(path, *arguments, sound=None, rate_hz=44100):
    """A file that ffmpeg writes of a sound; its path."""
    source = path.with_name("source.wav")
    soundfile.write(source, noise() if sound is None else sound, rate_hz, "PCM_16")
    command = ["ffmpeg", "-y", "-v", "error", "-i", str(source), *map(str, arguments), str(path)]
    subprocess.run(command, check=True)
    return path


def decoded_s(path, rate_hz=44100, n_channels=2):
    """Length of the sound that ffmpeg by itself decodes, s."""
    command = ["ffmpeg", "-v", "quiet", "-i", str(path), "-map", "0:a:0", "-ar", str(rate_hz), "-ac", str(n_channels)]
    data = subprocess.run([*command, "-f", "s16le", "-"], capture_output=True, check=False).stdout
    return len(data) / 2 / n_channels / rate_hz


# ------------------------------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize("xing", [0, 1])
@pytest.mark.parametrize("damage", ["zeros", "cut", "random"])
def test_the_rest_of_an_mp3_with_damage_at_any_place_is_read(tmp_path, xing, damage):
    whole = make(tmp_path / "song.mp3", "-b:a", 128, "-write_xing", xing).read_bytes()
    rng = np.random.default_rng(xing)
    for place in rng.integers(5000, len(whole) - 3000, 3):
        n_bytes = int(rng.integers(200, 1200))
        patch = {"zeros": bytes(n_bytes), "cut": b"", "random": rng.bytes(n_bytes)}[damage]
        path = tmp_path / "damaged.mp3"
        path.write_bytes(whole[:place] + patch + whole[place + n_bytes :])
        audio, _ = reading.read(path)
        assert audio.duration_s == pytest.approx(decoded_s(path), abs=0.1)  # s
        assert audio.duration_s > 2.7  # of 3 s


def test_a_flac_loses_no_frame_but_the_damaged_one(tmp_path):
    path = make(tmp_path / "song.flac", sound=noise(6.0, 16000, 1), rate_hz=16000)
    data = path.read_bytes()
    for place in np.linspace(0.2, 0.7, 11):  # at some of them ffmpeg loses others too, if it uses several threads
        start = round(place * len(data))
        path.write_bytes(data[:start] + bytes(500) + data[start + 500 :])
        assert reading.read(path)[0].n_samples >= 96000 - 2 * 1152  # frames of 1152 samples; the damage may touch two


def test_a_flac_with_a_gap_is_read_beyond_it_with_a_warning(tmp_path):
    data = make(tmp_path / "song.flac").read_bytes()
    path, middle = tmp_path / "song.flac", len(data) // 2
    path.write_bytes(data[:middle] + bytes(500) + data[middle + 500 :])
    audio, [warning] = reading.read(path)
    assert 2.6 < audio.duration_s < 3  # s; a frame or two are lost
    np.testing.assert_allclose(audio.samples[:, -10_000:].T, noise()[-10_000:], atol=2**-15)  # half a step and a bit
    assert "damaged" in warning


@pytest.mark.parametrize("name", ["song.mp3", "song.flac", "song.ogg"])
def test_a_file_that_was_cut_off_is_read_with_a_warning(tmp_path, name):
    path = tmp_path / name
    soundfile.write(path, noise(), 44100, format=name[5:].upper())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    audio, [warning] = reading.read(path)
    assert 1 < audio.duration_s < 2
    assert "of 3.00 s" in warning or "damaged" in warning


# ------------------------------------------------------------------------------------------- joined and changing sounds


@pytest.mark.parametrize("extension", ["mp3", "ogg", "aac", "mp2"])
@pytest.mark.parametrize(("rate_hz", "n_channels"), [(44100, 2), (48000, 2), (32000, 1)])
def test_sounds_joined_in_one_file_are_read_whole_whatever_changes(tmp_path, extension, rate_hz, n_channels):
    codec = ["-c:a", "libvorbis"] if extension == "ogg" else []
    first = make(tmp_path / f"first.{extension}", *codec)
    second = make(tmp_path / f"second.{extension}", *codec, "-ar", rate_hz, "-ac", n_channels)
    path = tmp_path / f"both.{extension}"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    audio, _ = reading.read(path)
    assert (audio.rate_hz, audio.n_channels) == (44100, 2)
    assert audio.duration_s == pytest.approx(6, abs=0.25)  # s; frames at the ends and at the join
    last = audio.samples[:, -44100 : -44100 + 8192]
    assert np.sqrt(np.mean(last**2)) > 0.3 * np.sqrt(np.mean(audio.samples[:, 44100 : 44100 + 8192] ** 2))


@pytest.mark.parametrize("rate_hz", [44100, 16000])
def test_flacs_joined_in_one_file_are_refused_also_where_ffmpeg_drops_the_second(tmp_path, rate_hz):
    path, other = make(tmp_path / "song.flac"), make(tmp_path / "other.flac", rate_hz=rate_hz)
    path.write_bytes(path.read_bytes() + other.read_bytes())
    with pytest.raises(InputError, match="several sounds, one after the other"):
        reading.read(path)


def flac_frames(data):
    """What follows the metadata of a FLAC file."""
    start, is_last = 4, False
    while not is_last:
        is_last = bool(data[start] & 0x80)
        start += 4 + int.from_bytes(data[start + 1 : start + 4], "big")
    return data[start:]


@pytest.mark.parametrize("rate_hz", [16000, 22050, 12345])
def test_a_flac_whose_frames_change_their_rate_is_brought_to_one(tmp_path, rate_hz):
    paths = [tmp_path / f"{name}.flac" for name in ("first", "second", "both")]
    for path, rate in zip(paths, (44100, rate_hz), strict=False):
        soundfile.write(path, noise(2, rate, 1), rate)
    first, second = (path.read_bytes() for path in paths[:2])
    length_unknown = first[:21] + bytes([first[21] & 0xF0]) + bytes(4) + first[26:]
    paths[2].write_bytes(length_unknown + flac_frames(second))
    audio, _ = reading.read(paths[2])
    assert audio.duration_s == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("level", [0, 5, 8, 12])
def test_valid_flacs_are_read_to_the_sample_at_every_compression_level(tmp_path, level):
    for seed in range(2):
        sound = noise(2, 16000, 1 + seed, seed)
        path = make(tmp_path / "song.flac", "-compression_level", level, sound=sound, rate_hz=16000)
        audio, warnings = reading.read(path)
        expected, _ = soundfile.read(tmp_path / "source.wav", always_2d=True)
        np.testing.assert_array_equal(audio.samples.T, expected)
        assert warnings == ()


# --------------------------------------------------------------------------------------------------- length, alignment


@pytest.mark.parametrize("arguments", [("a.aac",), ("a.ac3",), ("a.mp3", "-write_xing", "0"), ("a.ts", "-c:a", "aac")])
def test_a_sound_without_a_length_in_its_header_is_read_to_its_end(tmp_path, arguments):
    name, *rest = arguments
    silent_start = np.concatenate([np.zeros((4 * 44100, 2)), noise(2)])  # fewer bits a second than the rest
    path = make(tmp_path / name, *rest, sound=silent_start)
    assert sound_info.probe(path).n_samples is None
    audio, warnings = reading.read(path)
    assert audio.duration_s == pytest.approx(6, abs=0.1)
    assert warnings == ()


@pytest.mark.parametrize("container", ["mkv", "mp4", "avi", "mov"])
def test_a_picture_that_is_longer_than_the_sound_is_not_missed(tmp_path, container):
    path = tmp_path / f"clip.{container}"
    make(path, "-f", "lavfi", "-i", "testsrc=d=6:r=10:s=64x48", "-map", "0:a", "-map", "1:v")
    audio, warnings = reading.read(path)
    assert audio.duration_s == pytest.approx(3, abs=0.1)
    assert warnings == ()


def test_zeros_before_an_mp3_do_not_shorten_it(tmp_path):
    path = make(tmp_path / "song.mp3")
    path.write_bytes(bytes(30_000) + path.read_bytes())
    audio, warnings = reading.read(path)
    assert audio.duration_s == pytest.approx(3, abs=0.1)
    assert not any("ends early" in warning or "of 3" in warning for warning in warnings)


APE_TAG = (
    b"Lyrics\0"
    + bytes(b"la" * 10_000)
    + b"APETAGEX"
    + bytes.fromhex("d00700004050000001000000000000000000000000000000")
)
TAGS_BEHIND = {
    "ID3v1": b"TAG" + bytes(125),
    "APE": APE_TAG,
    "Lyrics3": b"LYRICSBEGIN" + b"LYR05000" + b"l" * 5000 + b"005013LYRICS200" + b"TAG" + bytes(125),
    "zeros": bytes(50_000),
}


@pytest.mark.parametrize("kind", TAGS_BEHIND)
@pytest.mark.parametrize("has_ffmpeg", [True, False])
def test_tags_behind_an_mp3_are_no_damage(tmp_path, monkeypatch, kind, has_ffmpeg):
    path = make(tmp_path / "song.mp3")
    path.write_bytes(path.read_bytes() + TAGS_BEHIND[kind])
    monkeypatch.setenv("PATH", os.environ["PATH"] if has_ffmpeg else str(tmp_path))
    audio, warnings = reading.read(path)
    assert audio.duration_s == pytest.approx(3, abs=0.03)  # s, a frame
    assert warnings == ()


def test_an_mp3_after_other_data_is_read(tmp_path):
    path = make(tmp_path / "song.mp3")
    path.write_bytes(bytes(range(200)) * 20 + path.read_bytes())
    assert reading.read(path)[0].duration_s >= 3


def test_a_sound_that_starts_later_than_the_picture_gives_a_message(tmp_path):
    picture = make(tmp_path / "clip.mkv", "-f", "lavfi", "-i", "testsrc=d=6:r=10:s=64x48", "-map", "1:v")
    late = tmp_path / "late.mkv"
    command = ["ffmpeg", "-v", "error", "-i", picture, "-itsoffset", "1.5", "-i", tmp_path / "source.wav"]
    subprocess.run([*command, "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "flac", late], check=True)
    audio, [warning] = reading.read(late)
    assert audio.duration_s == pytest.approx(3, abs=0.01)
    assert "starts 1.500 s after the picture" in warning


def test_a_header_that_claims_more_than_is_there_is_read_with_a_warning(tmp_path):
    path = make(tmp_path / "song.mp3")
    data = bytearray(path.read_bytes())
    place = max(data.find(b"Xing"), data.find(b"Info")) + 8
    data[place : place + 4] = (10 * int.from_bytes(data[place : place + 4], "big")).to_bytes(4, "big")
    path.write_bytes(data)
    audio, [warning] = reading.read(path)
    assert audio.duration_s == pytest.approx(3, abs=0.1)
    assert "could be read" in warning


# ------------------------------------------------------------------------------------------------------ several sounds


@pytest.fixture
def two_sounds(tmp_path):
    """A video with a low tone, and a high one that is the default."""
    times_s = np.arange(3 * 44100) / 44100
    for name, tone_hz in (("low", 200), ("high", 2000)):
        soundfile.write(tmp_path / f"{name}.wav", 0.3 * np.sin(2 * np.pi * tone_hz * times_s), 44100)
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "low.wav", "-i", tmp_path / "high.wav"]
    command += ["-map", "0", "-map", "1", "-metadata:s:a:0", "language=jpn"]
    command += ["-disposition:a:0", "0", "-disposition:a:1", "default"]
    subprocess.run([*command, "-c:a", "flac", tmp_path / "two.mkv"], check=True)
    return tmp_path / "two.mkv"


def pitch_hz(audio):
    middle = audio.samples[0, 44100:88200]
    return np.abs(np.fft.rfft(middle)).argmax()


def test_the_default_one_of_several_sounds_is_used_and_the_choice_is_reported(two_sounds):
    audio, [warning] = reading.read(two_sounds)
    assert pitch_hz(audio) == 2000
    assert "2 sounds: 1 (jpn), 2; sound 2 is used, --stream N" in warning


@pytest.mark.parametrize(("stream", "tone_hz"), [(1, 200), (2, 2000)])
def test_another_sound_can_be_chosen(two_sounds, stream, tone_hz):
    audio, warnings = reading.read(two_sounds, stream=stream)
    assert (pitch_hz(audio), warnings) == (tone_hz, ())


def test_a_missing_sound_cannot_be_chosen(two_sounds):
    with pytest.raises(InputError, match="--stream 3: the file holds 2 sounds"):
        sound_info.probe(two_sounds, 3)


# ------------------------------------------------------------------------------------------------------ sample formats


@pytest.mark.parametrize(
    ("codec", "container", "subtype"),
    [
        ("pcm_u8", "mov", "PCM_U8"),
        ("pcm_s8", "mov", "PCM_S8"),
        ("pcm_s16le", "mkv", "PCM_16"),
        ("pcm_s16le", "avi", "PCM_16"),
        ("pcm_s16be", "mov", "PCM_16"),
        ("pcm_s24le", "mkv", "PCM_24"),
        ("pcm_s32le", "mkv", "PCM_32"),
        ("pcm_f32le", "mkv", "FLOAT"),
        ("pcm_f64le", "mov", "DOUBLE"),
        ("alac", "m4a", "PCM_16"),
        ("flac", "mkv", "PCM_16"),
        ("wavpack", "wv", "PCM_16"),
        ("aac", "m4a", "AAC"),
        ("libopus", "webm", "OPUS"),
    ],
)
def test_the_sample_format_is_that_of_the_sound(tmp_path, codec, container, subtype):
    more = ["-sample_fmt", "s16p"] if codec in ("alac", "wavpack") else []
    more = ["-sample_fmt", "s16"] if codec == "flac" else more
    path = make(tmp_path / f"song.{container}", "-c:a", codec, *more, sound=noise(0.3))
    assert sound_info.probe(path).subtype == subtype


def test_32_bit_integers_come_through_ffmpeg_to_the_bit(tmp_path):
    integers = np.random.default_rng(0).integers(-(2**31), 2**31, (4000, 2)).astype(np.int32)
    soundfile.write(tmp_path / "song.wav", integers, 44100, "PCM_32")
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "song.wav", "-c:a", "copy", tmp_path / "song.mkv"]
    subprocess.run(command, check=True)
    audio, _ = reading.read(tmp_path / "song.mkv")
    np.testing.assert_array_equal(audio.samples.T * 2.0**31, integers)


# ------------------------------------------------------------------------------------------------ one file, no more


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{secret}\n#EXT-X-ENDLIST\n",
    "hls that waits": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:2.0,\n{secret}\n",
    "hls of itself": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=128000\n{self}\n",
    "an address": "#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile secret.ts\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" profiles="urn:mpeg:dash:'
    'profile:isoff-on-demand:2011"><Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1">'
    "<BaseURL>{secret}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
}


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    """A sound that no playlist may lead to."""
    return make(tmp_path_factory.mktemp("secret") / "secret.ts", "-c:a", "aac")


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("name", ["song.mp3", "song.m4a", "song.m3u8"])
def test_playlists_and_scripts_are_rejected_at_once_under_any_name(secret, tmp_path, kind, name):
    shutil.copy(secret, tmp_path)
    path = tmp_path / name
    path.write_text(PLAYLISTS[kind].format(secret=tmp_path / "secret.ts", self=path))
    start_s = time.monotonic()
    with pytest.raises(InputError, match="not a sound file"):
        reading.read(path)
    assert time.monotonic() - start_s < 10


@pytest.mark.parametrize("name", ["-i.m4a", "http:song.m4a", "concat:a|b.m4a", "a\nb %d 'ü\".m4a"])
def test_a_file_name_is_never_an_option_or_an_address(tmp_path, monkeypatch, name):
    made = make(tmp_path / "song.m4a")
    monkeypatch.chdir(tmp_path)
    shutil.copy(made, f"./{name}")
    assert reading.read(Path(name))[0].duration_s == pytest.approx(3, abs=0.1)


def test_ffmpeg_needs_no_temporary_folder(tmp_path, monkeypatch):
    path = make(tmp_path / "song.m4a")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    assert reading.read(path)[0].duration_s == pytest.approx(3, abs=0.1)


@pytest.fixture
def stuck_ffmpeg(tmp_path, monkeypatch):
    """An ffmpeg and an ffprobe that never answer, and that leave their process id."""
    for name in ("ffmpeg", "ffprobe"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 1000\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    path = tmp_path / "song.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(1000))
    return path


def test_an_ffmpeg_without_progress_is_stopped(stuck_ffmpeg, monkeypatch):
    monkeypatch.setattr(ffmpeg, "WITHOUT_PROGRESS_S", 0.5)
    with pytest.raises(InputError, match="nothing within"):
        sound_info.probe(stuck_ffmpeg)
    pid = int((stuck_ffmpeg.parent / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_ffmpeg_ends_with_its_parent(stuck_ffmpeg):
    code = "from pathlib import Path; from karaoke_sep.files import sound_info\n"
    code += f"sound_info.probe(Path({str(stuck_ffmpeg)!r}))"
    parent = subprocess.Popen([sys.executable, "-c", code])
    place = stuck_ffmpeg.parent / "pid"
    deadline_s = time.monotonic() + 30
    while not (place.exists() and place.read_text().strip()) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    pid = int(place.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while Path(f"/proc/{pid}/cmdline").exists() and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}/cmdline").exists()


def test_a_reader_that_is_stopped_early_leaves_no_ffmpeg(tmp_path):
    path = make(tmp_path / "song.m4a", sound=noise(10))
    blocks = ffmpeg.decode(path, "a:0", 44100, 2, "float32", [])
    next(blocks)
    blocks.close()
    children = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "comm="], capture_output=True, text=True)
    assert "ffmpeg" not in children.stdout
