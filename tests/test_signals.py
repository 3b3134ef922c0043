"""Ctrl-C within functions that C code calls, where Python loses exceptions."""

import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from batches import CONFIG, make_song
from sounds import noise

from karaoke_sep import batch
from karaoke_sep.batch import Order
from karaoke_sep.files import ffmpeg, reading, writing
from karaoke_sep.processes.signals import Stopped, stop_in_order, undisturbed

nothing_lost = pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
SUBTYPES = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}


@contextmanager
def ctrl_c_in(function):
    """Press Ctrl-C once, when a function of this name is next called."""
    pressed = []

    def watch(frame, event, _):
        if event == "call" and frame.f_code.co_name == function and not pressed:
            pressed.append(function)
            signal.raise_signal(signal.SIGINT)

    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)
        assert pressed


def write_noise(path):
    container = path.suffix[1:]
    writing.write(path, noise(0.1, 8000).samples, 8000, container, SUBTYPES[container])


@nothing_lost
@pytest.mark.parametrize("callback", ["vio_get_filelen", "vio_seek", "vio_tell", "vio_read"])
@pytest.mark.parametrize("container", ["wav", "flac"])
def test_ctrl_c_within_a_callback_of_libsndfile_stops_reading(tmp_path, capfd, container, callback):
    path = tmp_path / f"song.{container}"
    write_noise(path)
    with pytest.raises(KeyboardInterrupt), ctrl_c_in(callback):
        reading.read(path)
    assert capfd.readouterr().err == ""


@nothing_lost
@pytest.mark.parametrize("callback", ["vio_tell", "vio_write"])
@pytest.mark.parametrize("container", SUBTYPES)
def test_ctrl_c_within_a_callback_of_libsndfile_stops_writing_and_leaves_no_file(tmp_path, capfd, container, callback):
    with pytest.raises(KeyboardInterrupt), ctrl_c_in(callback):
        write_noise(tmp_path / f"song.{container}")
    assert capfd.readouterr().err == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Python calls no function when ffmpeg starts")
@pytest.mark.skipif(not ffmpeg.is_there(), reason="ffmpeg is not on the PATH")
@pytest.mark.parametrize(("moment", "said"), [("after_in_parent", "stopped"), ("after_in_child", "1 stream")])
def test_ctrl_c_while_ffmpeg_starts_stops_this_process_only(tmp_path, moment, said):
    write_noise(tmp_path / "song.wav")
    code = f"""
import os, signal
from pathlib import Path
from karaoke_sep.files import ffmpeg
os.register_at_fork({moment}=lambda: signal.raise_signal(signal.SIGINT))
try:
    print(len(ffmpeg.ask(Path("song.wav"), "stream=index")["streams"]), "stream")
except KeyboardInterrupt:
    print("stopped")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (run.stdout, run.stderr) == (f"{said}\n", "")


def test_a_delayed_signal_reaches_its_handler_and_the_handler_remains():
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        with undisturbed():
            signal.raise_signal(signal.SIGTERM)
            assert received == []
        assert received == [signal.SIGTERM]
        signal.raise_signal(signal.SIGTERM)
        assert received == 2 * [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_a_destructor_loses_stops_the_batch_after_the_song(tmp_path):
    class Loses:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    songs = [make_song(tmp_path / f"{i}.wav") for i in range(3)]
    order = Order(tmp_path / "out")
    outcomes = batch.run(batch.plan(songs, order, CONFIG), order, CONFIG)
    with stop_in_order():
        assert next(outcomes).source == songs[0]
        Loses()
        with pytest.raises(Stopped) as stop:
            next(outcomes)
    assert stop.value.exit_code == 128 + signal.SIGTERM
