"""The commands with closed streams, interruptions and progress bars."""

import os
import pty
import re
import signal
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest
import soundfile
from batches import files_below, hidden_below
from commands import COMMAND, FAST, make_song, names_in


@pytest.fixture
def song(tmp_path):
    return make_song(tmp_path)


@pytest.mark.parametrize("path", [("config", "show"), ("config", "show", "--yaml"), ("info",), ("separate", "--help")])
def test_a_reader_that_stops_early_is_no_error(path):
    command = " ".join([*map(str, COMMAND), *path])
    run = subprocess.run(["bash", "-o", "pipefail", "-c", f"{command} | head -1"], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert len(run.stdout.splitlines()) == 1


def test_the_work_continues_if_stdout_is_closed(song, tmp_path):
    (song.parent / "b.wav").write_bytes(song.read_bytes())
    command = [*COMMAND, "separate", song.parent, "-o", tmp_path / "out", *FAST]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    _, err = process.communicate()
    assert (process.returncode, err) == (0, "2 done\n")
    assert names_in(tmp_path / "out") == {"b", "song", ".karaoke-sep"}


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_a_standard_stream_may_be_closed(song, tmp_path, closed):
    (song.parent / "bad.wav").write_text("no sound")
    command = " ".join(map(str, [*COMMAND, "separate", song.parent, "-o", tmp_path / "out", *FAST]))
    run = subprocess.run(["bash", "-c", f"{command} {closed}"], capture_output=True, text=True)
    assert run.returncode == 1  # for bad.wav
    stems = [tmp_path / "out" / "song" / f"{stem}.wav" for stem in ("vocals", "accompaniment")]
    np.testing.assert_array_equal(sum(soundfile.read(path)[0] for path in stems), soundfile.read(song)[0])
    assert run.stdout.splitlines() == ([] if ">&-" in closed.split() else list(map(str, stems)))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_behind_stdout_is_an_error_of_one_line(song, tmp_path):
    for command in (["--help"], ["config", "show"], ["separate", song, "-o", tmp_path / "out", *FAST]):
        with open("/dev/full", "w") as full:
            result = subprocess.run([*COMMAND, *command], stdout=full, stderr=subprocess.PIPE, text=True)
        assert result.returncode == 1
        assert result.stderr == "Error: stdout, or the file of --report: no space left on device\n"


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_says_one_line_and_leaves_nothing_half_made(song, tmp_path, n_jobs):
    for i in range(300):
        (song.parent / f"{i}.wav").write_bytes(song.read_bytes())
    command = [*COMMAND, "separate", song.parent, "-o", tmp_path / "out", "--jobs", str(n_jobs), *FAST]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.splitlines() == ["Interrupted. Finished files are kept; run the same command again to resume."]
    assert {Path(name).name for name in files_below(tmp_path / "out")} <= {"vocals.wav", "accompaniment.wav"}
    assert [path for path in hidden_below(tmp_path / "out") if path.suffix != ".json"] == []


def on_a_terminal(command, size=(24, 80)):
    """Exit code of a command with a terminal of that many rows and columns as stderr, and all that it writes there."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, size)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        shown = b""
        try:
            while piece := terminal.read(4096):
                shown += piece
        except OSError:  # Linux says so when the other end has closed
            pass
        return process.wait(), shown.decode()


def percentages(shown, label):
    """The figures that a bar has shown, in their order."""
    return [int(figure) for figure in re.findall(rf"{label} +(\d+)%", shown)]


@pytest.fixture
def long_song(tmp_path):
    """100 s of noise: three segments."""
    path = tmp_path / "long.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(100 * 8000), 8000)
    return path


@pytest.mark.parametrize("size", [(24, 80), (0, 0)], ids=["80 columns", "no size"])
def test_both_bars_move_and_show_the_time_left_on_a_terminal(long_song, tmp_path, size):
    code, shown = on_a_terminal([*COMMAND, "separate", long_song, "-o", tmp_path / "out", *FAST], size)
    assert code == 0
    overall, stage = percentages(shown, "[01]/1 song"), percentages(shown, "separation")
    assert len(set(stage) - {0, 100}) >= 2
    assert stage == sorted(stage)
    assert len(set(overall) - {0, 100}) >= 3
    assert overall == sorted(overall)
    assert overall[-1] == 100
    assert re.search(r"elapsed, \d\d:\d\d left", shown)
    assert "1/1 song 100%" in shown


def test_the_bar_of_several_processes_counts_the_songs(song, tmp_path):
    (song.parent / "b.wav").write_bytes(song.read_bytes())
    code, shown = on_a_terminal([*COMMAND, "separate", song.parent, "-o", tmp_path / "out", "-j", "2", *FAST])
    assert code == 0
    assert set(percentages(shown, "[012]/2 songs")) == {0, 50, 100}


def test_there_is_no_bar_without_a_terminal_and_none_with_quiet(song, tmp_path):
    command = [*COMMAND, "separate", song, "-o", tmp_path, "--overwrite", *FAST]
    assert subprocess.run(command, capture_output=True, text=True).stderr == ""
    assert on_a_terminal([*command, "--quiet"]) == (0, "")


def test_a_bar_starts_no_thread():
    code = """if True:
        import os, sys, threading
        os.dup2(os.openpty()[1], 2)
        from karaoke_sep.cli.messages import progress_bar
        with progress_bar(total=2) as bar:
            bar.update()
            print(bar.disable, threading.active_count())"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False 1\n"
