"""Sound files are read to their end or rejected, and other files are errors of one line."""

import os
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from karaoke_sep.errors import InputError
from karaoke_sep.files import ffmpeg, libsndfile, ogg_pages, reading, sound_info, writing


def noise(n_channels=2, n_samples=4000, level=0.2, seed=0):
    return level * np.random.default_rng(seed).standard_normal((n_channels, n_samples))


def wav_bytes(samples, claimed_bytes=None):
    """A mono WAV file of 16-bit samples at 16 kHz, whose header may be wrong."""
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


def test_a_sound_that_is_longer_than_allowed_is_refused_before_it_is_all_read(tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(100_000), 16000)
    assert reading.read(path, max_samples=100_000)[0].n_samples == 100_000
    with pytest.raises(InputError, match="longer than 3 s"):
        reading.read(path, max_samples=50_000)


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
def test_a_file_without_sound_is_an_error_of_one_line(tmp_path, make, says):
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


def test_a_headerless_raw_file_gets_one_line(tmp_path):
    path = tmp_path / "song.raw"
    path.write_bytes(np.random.default_rng(0).integers(0, 256, 4000, np.uint8).tobytes())
    with pytest.raises(InputError, match=r"song\.raw: "):
        sound_info.probe(path)


@pytest.mark.parametrize("n_channels", [1, 2])
def test_a_wav_whose_writer_never_wrote_the_length_is_read_to_its_end(tmp_path, n_channels):
    samples = np.arange(1, 16001)
    path = tmp_path / "stopped.wav"
    data = bytearray(wav_bytes(samples, claimed_bytes=0))
    data[22], data[32] = n_channels, 2 * n_channels
    path.write_bytes(data)
    audio, warnings = reading.read(path)
    assert (audio.n_samples, warnings) == (16000 // n_channels, ())
    assert sound_info.probe(path).n_samples == 16000 // n_channels
    np.testing.assert_array_equal(audio.samples.T.ravel() * 2**15, samples)


def test_a_wav_without_sound_but_with_chunks_behind_stays_empty(tmp_path):
    path = tmp_path / "empty.wav"
    path.write_bytes(wav_bytes([], claimed_bytes=0) + struct.pack("<4sI8s", b"LIST", 8, b"INFOabcd"))
    assert reading.read(path)[0].n_samples == 0


def test_a_closed_stderr_does_not_stop_reading(tmp_path):
    path = tmp_path / "song.wav"
    path.write_bytes(wav_bytes(np.ones(16000)))
    code = (
        "import os, sys; os.close(2); sys.stderr = None\n"
        "from pathlib import Path; from karaoke_sep.files import reading\n"
        f"print(reading.read(Path({str(path)!r}))[0].n_samples)"
    )
    run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert run.stdout.split() == ["16000"]


def test_a_disk_error_is_not_taken_for_the_end_of_the_sound(tmp_path, monkeypatch):
    path = tmp_path / "song.wav"
    path.write_bytes(wav_bytes(np.ones(200_000)))
    whole = libsndfile.Handle.read

    def fail_late(handle, n_bytes):
        if handle.tell() + n_bytes > 200_000:
            handle.file = FailingFile()
        return whole(handle, n_bytes)

    monkeypatch.setattr(libsndfile.Handle, "read", fail_late)
    with pytest.raises(InputError, match=r"cannot be read beyond 0:06\.\d\d \(input/output error\)"):
        reading.read(path)


class FailingFile:
    """A file on a broken disk."""

    def tell(self):
        return 200_001

    def read(self, n_bytes):
        raise OSError(5, "Input/output error")


# ------------------------------------------------------------------------------------------------- without an ffmpeg


@pytest.fixture
def no_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize(("container", "padding"), [("flac", 0), ("ogg", 0), ("mp3", 1153)])
def test_without_ffmpeg_compressed_files_are_read(tmp_path, no_ffmpeg, container, padding):
    path = tmp_path / f"song.{container}"
    soundfile.write(path, noise(1, 50_000).T, 16000, format=container.upper())
    audio, warnings = reading.read(path)
    assert 50_000 <= audio.n_samples <= 50_000 + padding
    assert warnings == ()


def test_without_ffmpeg_an_mp3_without_length_is_read_to_its_end(tmp_path, no_ffmpeg):
    """libsndfile estimates the length from the first frame, and would stop there."""
    parts = []
    for level, seed in ((0.5, 0), (0.0, 1)):  # noise costs many bits a frame, silence few
        piece = tmp_path / f"{seed}.mp3"
        with soundfile.SoundFile(piece, "w", 44100, 1, format="MP3", bitrate_mode="VARIABLE") as file:
            file.write(noise(1, 5 * 44100, level, seed).T)
        data = piece.read_bytes()
        parts.append(data[data.index(data[:2], 100) :])  # without the first frame, which only tells the length
    path = tmp_path / "whole.mp3"
    path.write_bytes(b"".join(parts))
    with soundfile.SoundFile(path) as file:
        assert file.frames < 8 * 44100
    assert sound_info.probe(path).n_samples is None
    audio, warnings = reading.read(path)
    assert audio.duration_s == pytest.approx(10, abs=0.2)  # s, a few frames of 26 ms
    assert warnings == ()


@pytest.mark.parametrize("container", ["flac", "ogg"])
def test_without_ffmpeg_sounds_joined_in_one_file_are_refused(tmp_path, no_ffmpeg, container):
    path = tmp_path / f"song.{container}"
    soundfile.write(path, noise(1, 50_000).T, 16000, format=container.upper())
    path.write_bytes(2 * path.read_bytes())
    with pytest.raises(InputError, match=r"cannot be read beyond .*install ffmpeg"):
        reading.read(path)


@pytest.mark.parametrize(("container", "subtype"), [("WAV", "PCM_U8"), ("AIFF", "PCM_S8"), ("WAV", "FLOAT")])
def test_a_sound_that_another_follows_in_its_file_is_refused(tmp_path, container, subtype):
    path = tmp_path / "song"
    soundfile.write(path, noise(1, 999).T, 16000, subtype, format=container)
    whole = path.read_bytes()
    for first in {whole, whole[:8] + whole[8:].rstrip(b"\0")}:  # with and without the byte that pads it
        path.write_bytes(first + whole)
        with pytest.raises(InputError, match="holds several sounds, one after the other"):
            reading.read(path)


def ogg_that_ends_at(path, n_samples):
    """3 s of Vorbis, whose last page gives this position."""
    soundfile.write(path, noise(1, 3 * 44100).T, 44100, format="OGG")
    data = path.read_bytes()
    at = data.rindex(b"OggS")
    position = n_samples.to_bytes(8, "little")
    page = data[at : at + 6] + position + data[at + 14 : at + 22] + bytes(4) + data[at + 26 :]
    path.write_bytes(data[:at] + page[:22] + ogg_pages._checksum(page).to_bytes(4, "little") + page[26:])
    return path


@pytest.fixture
def early_ogg(tmp_path):
    """3 s, whose last page gives a position before that of the page before it."""
    return ogg_that_ends_at(tmp_path / "early.ogg", 1 << 10)


def test_the_last_page_of_an_ogg_file_trims_its_end(tmp_path):
    whole, _ = reading.read(ogg_that_ends_at(tmp_path / "whole.ogg", 3 * 44100))
    trimmed, warnings = reading.read(ogg_that_ends_at(tmp_path / "trimmed.ogg", 3 * 44100 - 500))
    assert warnings == ()
    np.testing.assert_array_equal(trimmed.samples, whole.samples[:, :-500])


@pytest.mark.skipif(not ffmpeg.is_there(), reason="ffmpeg is not on the PATH")
def test_an_ogg_file_whose_positions_go_back_is_read_to_its_end_with_a_warning(early_ogg):
    audio, [warning] = reading.read(early_ogg)
    assert audio.duration_s == pytest.approx(3, abs=0.1)
    assert "its Ogg pages are not those of one whole stream" in warning


def test_without_ffmpeg_an_ogg_file_whose_positions_go_back_is_refused(early_ogg, no_ffmpeg):
    with pytest.raises(InputError, match="damage, or several sounds"):
        reading.read(early_ogg)


@pytest.mark.parametrize("container", ["flac", "ogg"])
def test_without_ffmpeg_damage_midway_is_refused(tmp_path, no_ffmpeg, container):
    path = tmp_path / f"song.{container}"
    soundfile.write(path, noise(1, 200_000, 0.3).T, 16000, format=container.upper())
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"cannot be read beyond \d:\d\d\.\d\d"):
        reading.read(path)


def test_a_flac_header_that_claims_terabytes_costs_no_memory(tmp_path):
    path = tmp_path / "vast.flac"
    soundfile.write(path, noise(1, 16000).T, 16000, format="FLAC")
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F  # the upper bits of the 36-bit sample count in STREAMINFO
    path.write_bytes(data)
    info = sound_info.probe(path)
    assert info.n_samples is None
    assert info.claimed_samples > 2**35
    audio, [warning] = reading.read(path)
    assert audio.n_samples == 16000
    assert "1.00 s of" in warning


@pytest.mark.parametrize("container", ["WAV", "AIFF", "CAF"])
def test_a_tag_in_front_of_a_file_cuts_nothing_off_its_end(tmp_path, container):
    path, samples = tmp_path / "song", noise(2, 44100)
    soundfile.write(path, samples.T, 44100, "PCM_16", format=container)
    whole = path.read_bytes()
    expected, _ = reading.read(path)
    path.write_bytes(b"ID3\x03\0\0\0\0\x40\0" + bytes(1 << 13) + whole)
    audio, warnings = reading.read(path)
    assert warnings == ()
    np.testing.assert_array_equal(audio.samples, expected.samples)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg on the PATH")
@pytest.mark.parametrize("n_channels", [1, 2, 3, 4, 5, 6, 7, 8])
def test_ogg_channels_are_in_the_order_of_wav_here_and_in_its_own_order_for_other_readers(tmp_path, n_channels):
    tones_hz = 40 + 10 * np.arange(n_channels)  # Vorbis cuts the channel of the subwoofer above 120 Hz
    path = tmp_path / "song.ogg"
    writing.write(path, 0.3 * np.sin(2 * np.pi * tones_hz[:, None] * np.arange(48000) / 48000), 48000, "ogg", "VORBIS")
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "f32le", "-"]
    others = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, "<f4")
    for samples in (reading.read(path)[0].samples, others.reshape(-1, n_channels).T):
        np.testing.assert_array_equal(np.abs(np.fft.rfft(samples)).argmax(axis=1), tones_hz)  # 1 s
