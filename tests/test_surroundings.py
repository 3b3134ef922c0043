"""Systems without some features, and termination signals."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from batches import CONFIG, do, files_below, hidden_below, make_song, statuses
from click.testing import CliRunner

from karaoke_sep import batch
from karaoke_sep.batch import Order, running
from karaoke_sep.cli.main import main
from karaoke_sep.errors import ConfigError
from karaoke_sep.files import sound_info
from karaoke_sep.processes import numba_cache, workers

COMMAND = [sys.executable, "-m", "karaoke_sep"]


def children_of(pid):
    """Processes whose parent is ``pid``, by /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        found += [int(folder.name)] if parent == pid else []
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_signal_stops_the_workers_too_and_leaves_nothing_half_made(tmp_path, number, n_jobs):
    for i in range(60):
        make_song(tmp_path / "in" / f"{i:02d}.wav", seconds=2)
    command = [*COMMAND, "separate", tmp_path / "in", "-o", tmp_path / "out", "--jobs", str(n_jobs), "--config", "fast"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # under nohup the signal is ignored
    )
    process.stdout.readline()
    workers_of_it = children_of(process.pid)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert err.splitlines()[-1].startswith("Interrupted. Finished files are kept")
    assert [path for path in hidden_below(tmp_path / "out") if path.suffix != ".json"] == []
    last_s = time.monotonic() + 10
    while any(Path("/proc", str(pid)).exists() for pid in workers_of_it):
        assert time.monotonic() < last_s
        time.sleep(0.05)
    assert len(files_below(tmp_path / "out")) < 120


def test_an_interrupted_overwrite_does_not_claim_to_resume(tmp_path):
    for i in range(60):
        make_song(tmp_path / "in" / f"{i:02d}.wav", seconds=2)
    command = [*COMMAND, "separate", tmp_path / "in", "-o", tmp_path / "out", "--overwrite", "--config", "fast"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "makes them again" in err
    assert "resume" not in err


def test_a_signal_that_is_ignored_stays_ignored():
    code = """
import os, signal
from karaoke_sep.processes.signals import stop_in_order
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with stop_in_order():
    os.kill(os.getpid(), signal.SIGHUP)
    print("goes on")
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "goes on\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only there workers are forked")
@pytest.mark.parametrize(
    "start", ["workers.open_helper(abs)", "workers.open_workers('local', 1)"], ids=["helper", "workers"]
)
def test_a_signal_right_after_a_fork_ends_the_worker_and_does_not_run_the_handler_of_its_parent(start):
    code = f"""
import os, signal
from karaoke_sep.processes import signals, workers
os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM))
with signals.stop_in_order(), {start} as opened:
    try:
        opened(-1)() if callable(opened) else opened[0](abs, -1).result()
    except (EOFError, OSError, *(() if callable(opened) else [opened[1]])):
        print("gone")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("gone\n", "")


def test_one_process_does_the_work_where_no_other_can_be_started(tmp_path, monkeypatch):
    from joblib.externals.loky import process_executor

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(process_executor.ProcessPoolExecutor, "__init__", refuse)
    songs = [make_song(tmp_path / f"{i}.wav") for i in range(3)]
    outcomes = do(songs, Order(tmp_path / "out"), n_jobs=2)
    assert set(statuses(outcomes).values()) == {"done"}
    assert [len(outcome.warnings) for outcome in outcomes] == [1, 0, 0]
    assert outcomes[0].warnings[0].startswith("--jobs 2: no other process can be started here (permission denied)")


def test_no_more_processes_are_started_than_there_are_songs(tmp_path, monkeypatch):
    asked = []
    open_workers = workers.open_workers

    def note(engine, n_jobs, scheduler):
        asked.append(n_jobs)
        return open_workers(engine, n_jobs, scheduler)

    monkeypatch.setattr(workers, "open_workers", note)
    songs = [make_song(tmp_path / f"{i}.wav") for i in range(3)]
    do(songs, Order(tmp_path / "out"), n_jobs=100_000)
    do(songs[:1], Order(tmp_path / "alone"), n_jobs=100_000)
    assert all(n <= 3 for n in asked)


def test_an_unexpected_error_in_the_plan_fails_one_file_only(tmp_path, monkeypatch):
    songs = [make_song(tmp_path / f"{i}.wav") for i in range(2)]
    probe = sound_info.probe
    monkeypatch.setattr(sound_info, "probe", lambda path, *more: 1 / 0 if path == songs[0] else probe(path, *more))
    plan = batch.plan(songs, Order(tmp_path / "out"), CONFIG)
    assert [job.source for job in plan.jobs] == songs[1:]
    assert "ZeroDivisionError" in plan.errors[0][1]


def test_an_error_of_the_system_is_not_said_to_be_one_of_the_package(tmp_path, monkeypatch):
    song = make_song(tmp_path / "a.wav")
    failure = OSError(errno.EMFILE, "Too many open files", str(song))
    monkeypatch.setattr(sound_info, "probe", lambda *_: (_ for _ in ()).throw(failure))
    [(_, line)] = batch.plan([song], Order(tmp_path / "out"), CONFIG).errors
    assert line == f"{song}: the system fails (too many open files)"


def test_an_input_that_is_cut_while_it_is_read_is_said_to_have_changed(tmp_path, monkeypatch):
    song, make = make_song(tmp_path / "song.wav"), running.make

    def cut_first(*arguments):
        song.write_bytes(song.read_bytes()[:44])
        return make(*arguments)

    monkeypatch.setattr(running, "make", cut_first)
    [outcome] = do([song], Order(tmp_path / "out"))
    assert outcome.message == f"{song}: was changed while it was read; run the same command again"


def test_a_sound_without_a_header_gives_one_line_and_the_others_are_processed(tmp_path):
    (tmp_path / "a.raw").write_bytes(np.random.default_rng(0).bytes(8000))
    outcomes = do([tmp_path / "a.raw", make_song(tmp_path / "b.wav")], Order(tmp_path / "out"))
    assert statuses(outcomes) == {"a.raw": "failed", "b.wav": "done"}


def test_a_missing_current_folder_is_an_error_of_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getcwd", lambda: (_ for _ in ()).throw(FileNotFoundError(2, "No such file or directory")))
    result = CliRunner().invoke(main, ["separate", "song.wav"])
    assert result.exit_code == 2
    assert result.stderr == "Error: the current folder is gone (no such file or directory); change to another\n"


def test_numba_gets_a_private_folder_where_no_other_can_be_written_to(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(numba_cache.tempfile, "gettempdir", lambda: str(tmp_path))
    numba_cache.prepare()
    assert "NUMBA_CACHE_DIR" not in os.environ  # here a usual one can
    monkeypatch.setattr(numba_cache, "usual_folders", lambda: [Path("/proc/none")])
    numba_cache.prepare()
    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o077 == 0
    folder.chmod(0o777)  # anybody might have put code there
    with pytest.raises(ConfigError, match="set NUMBA_CACHE_DIR"):
        numba_cache.prepare()
