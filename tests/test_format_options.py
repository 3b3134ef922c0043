"""The options of file formats and of several sounds, on the command line."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from karaoke_sep.batch.silence import VocalsCheck
from karaoke_sep.cli.main import main

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on the PATH")


@pytest.fixture
def song(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    tone = np.sin(2 * np.pi * 200 * np.arange(32000) / 16000)
    soundfile.write("song.wav", 0.2 * tone[:, None] + 0.05 * rng.standard_normal((32000, 2)), 16000)
    return tmp_path / "song.wav"


def run(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments), "--config", "fast"])


def test_a_higher_bit_rate_makes_a_larger_file(song):
    sizes = []
    for kbps in (32, 64, 128):
        assert run("karaoke", song, "--format", "mp3", "--bitrate", kbps).exit_code == 0
        sizes.append((song.parent / "karaoke" / "song (karaoke).mp3").stat().st_size)
    assert sizes[0] * 1.8 < sizes[1] < sizes[2] / 1.8


@pytest.mark.parametrize("container", ["wav", "flac"])
def test_a_bit_rate_without_effect_is_an_error(song, container):
    result = run("karaoke", song, "--format", container, "--bitrate", 128)
    assert result.exit_code == 2
    assert "--bitrate" in result.output


def test_a_bit_rate_that_mp3_does_not_have_is_an_error(song):
    result = run("karaoke", song, "--format", "mp3", "--bitrate", 321)
    assert result.exit_code == 2
    assert "--bitrate 321: mp3 has at most 320 kbit/s" in result.output
    assert run("karaoke", song, "--format", "ogg", "--bitrate", 321).exit_code == 0


def test_a_bit_rate_that_mp3_does_not_have_at_the_sample_rate_is_reduced_with_a_line(song):
    line = "--bitrate 192: MP3 has at most 160 kbit/s at 16000 Hz"
    assert line in run("karaoke", song, "--format", "mp3", "--bitrate", 192).stderr
    assert "--bitrate" not in run("karaoke", song, "--format", "mp3", "--bitrate", 160, "-o", "other").stderr
    assert "--bitrate" not in run("karaoke", song, "--format", "mp3", "-o", "default").stderr


def test_a_lossy_song_gives_16_bit_stems_and_the_message_names_what_a_format_does_not_support(song):
    samples = soundfile.read(song)[0]
    soundfile.write("song.mp3", samples, 16000)
    assert run("separate", "song.mp3").exit_code == 0
    assert soundfile.info("separated/song/vocals.wav").subtype == "PCM_16"
    soundfile.write("high.wav", np.tile(samples, (6, 1)), 96000)
    result = run("separate", "high.wav", "--format", "mp3")
    assert result.exit_code == 0
    assert "mp3 cannot hold 96000 Hz; resampled to 48000 Hz" in result.output


@needs_ffmpeg
def test_stream_separates_another_sound_of_a_video(song):
    soundfile.write("silence.wav", np.zeros(32000), 16000)
    command = ["ffmpeg", "-v", "error", "-i", "silence.wav", "-i", "song.wav", "-map", "0", "-map", "1"]
    subprocess.run([*command, "-c:a", "flac", "two.mka"], check=True)
    assert "2 sounds" in run("separate", "two.mka").output
    first = soundfile.read("separated/two/accompaniment.wav")[0]
    result = run("separate", "two.mka", "--stream", 2)
    assert result.exit_code == 0, result.output
    second = soundfile.read("separated/two/accompaniment.wav")[0]
    assert np.abs(first).max() == 0 < np.abs(second).max()
    assert "holds 2 sounds" in run("separate", "two.mka", "--stream", 3).output


@pytest.mark.parametrize(
    ("mixture", "vocals", "says"),
    [
        ([[1, -1, 1], [-1, 1, -1]], [[0, 0, 0], [0, 0, 0]], "opposite polarity"),
        ([[1, -1, 1], [1, -1, 1]], [[0, 0, 0], [0, 0, 0]], "the vocals are silent"),
        ([[1, -1, 1], [1, -1, 1]], [[0.1, 0, 0], [0, 0, 0]], ""),
        ([[0, 0, 0]], [[0, 0, 0]], ""),
    ],
)
def test_silent_vocals_of_a_song_that_is_not_silent_give_a_warning(mixture, vocals, says):
    check = VocalsCheck()
    check.add(np.array(mixture, float), np.array(vocals, float))
    check.add(np.array(mixture, float), np.array(vocals, float))
    assert says in check.warning
    assert bool(says) == bool(check.warning)
