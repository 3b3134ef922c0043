"""The loudness of a backing track."""

import math
import shutil

import numpy as np
import pytest
import soundfile
from commands import call

from karaoke_sep.errors import OutputError
from karaoke_sep.files import loudness

RATE_HZ = 44100
pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg on the PATH")


def tone(level_db, seconds=5.0, n_channels=2):
    return np.tile(
        10 ** (level_db / 20) * np.sin(2 * np.pi * 997 * np.arange(seconds * RATE_HZ) / RATE_HZ), (n_channels, 1)
    )


@pytest.mark.parametrize(("level_db", "n_channels", "lufs"), [(-20, 2, -20.0), (-40, 2, -40.0), (-20, 1, -23.0)])
def test_a_tone_of_1_khz_has_the_loudness_of_the_standard(level_db, n_channels, lufs):
    """ITU-R BS.1770: 997 Hz at full scale in one channel has -3.01 LUFS."""
    found_lufs, peak = loudness.measure(np.split(tone(level_db, n_channels=n_channels), 5, axis=1), RATE_HZ, n_channels)
    assert found_lufs == pytest.approx(lufs, abs=0.11)
    assert peak == pytest.approx(10 ** (level_db / 20), rel=1e-3)


def test_silence_has_no_loudness():
    assert loudness.measure([np.zeros((2, RATE_HZ))], RATE_HZ, 2) == (-math.inf, 0.0)


def test_a_sound_that_ffmpeg_cannot_measure_is_an_error_of_one_line(monkeypatch, tmp_path):
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutputError, match="ffmpeg cannot measure the loudness"):
        loudness.measure([tone(-20)], RATE_HZ, 2)


def backing_track(mixture, tmp_path, asked_lufs, more=()):
    """Loudness and peak of a backing track, and the lines on stderr."""
    soundfile.write(tmp_path / "song.wav", mixture.samples.T, 16000)
    song = tmp_path / "song.wav"
    code, [out], err = call("karaoke", song, "-o", tmp_path, "--config", "fast", "--loudness", asked_lufs, *more)
    assert code == 0
    assert f"{asked_lufs} LUFS).wav" in out
    samples, rate_hz = soundfile.read(out, always_2d=True)
    return *loudness.measure([samples.T], rate_hz, samples.shape[1]), err


@pytest.mark.parametrize("more", [[], ["--tempo", 1.1]])
def test_a_backing_track_gets_the_loudness_that_is_asked_for(demo, tmp_path, more):
    pytest.importorskip("python_stretch", reason="needs the extra [stretch]")
    found_lufs, _, _ = backing_track(demo(16000, 6.0).mixture, tmp_path, -30, more)
    assert found_lufs == pytest.approx(-30, abs=0.15)


def test_a_backing_track_that_would_clip_becomes_as_loud_as_it_can_with_a_line(demo, tmp_path):
    _, peak, err = backing_track(demo(16000, 6.0).mixture, tmp_path, -5)
    assert "would clip" in "\n".join(err)
    assert peak == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("level_db", "why"), [(-20, "too short or too soft to measure"), (-math.inf, "silent")])
def test_a_backing_track_without_a_loudness_is_said_to_be_silent_only_if_it_is(tmp_path, level_db, why):
    soundfile.write(tmp_path / "song.wav", tone(level_db, seconds=0.3).T, RATE_HZ)  # the standard needs 0.4 s
    _, _, err = call("karaoke", tmp_path / "song.wav", "-o", tmp_path, "--config", "fast", "--loudness", -14)
    assert f"{tmp_path / 'song.wav'}: the backing track is {why}, so --loudness has no effect" in err
