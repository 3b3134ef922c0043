"""Every script in scripts/ starts, and the bash scripts call the right programs."""

import os
import runpy
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import soundfile

from karaoke_sep import demo_song
from karaoke_sep.files import ultrastar
from karaoke_sep.types import Note

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "scripts"
pytestmark = pytest.mark.skipif(not SCRIPTS.exists(), reason="the scripts are in a checkout only")

BASH = ("demo", "results", "setup", "test")
# Python, with --help
WITH_OPTIONS = ("benchmark", "cases", "fuzz", "evening", "notes", "package", "picture", "shipped_model", "soak")
PLAIN = ("settings",)  # Python, without options

RECORDER = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
if [[ $* == "-m venv --clear .venv" ]]; then
    mkdir -p .venv/bin && cp "$0" .venv/bin/python
fi
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout without the package, and a program `recorder` for its Python, which records its calls in a file."""
    if sys.platform == "win32":
        pytest.skip("the recorder is a shell script")
    shutil.copytree(SCRIPTS, tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    python = tmp_path / "bin" / "recorder"
    python.parent.mkdir()
    python.write_text(RECORDER)
    python.chmod(0o755)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("PYTHON", "recorder")
    monkeypatch.setenv("PATH", f"{python.parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, **options)


def calls(checkout):
    """Return the calls since the last time, without the questions about version and modules."""
    lines = (checkout / "calls").read_text().splitlines()
    (checkout / "calls").write_text("")
    return [line for line in lines if not line.startswith("-c ")]


def test_every_script_is_tested_here():
    assert sorted(path.name for path in SCRIPTS.iterdir()) == sorted(BASH + WITH_OPTIONS + PLAIN)


@pytest.mark.parametrize("name", BASH)
def test_bash_can_read_the_script(name):
    assert run(shutil.which("bash"), "-n", SCRIPTS / name).returncode == 0


@pytest.mark.parametrize("name", WITH_OPTIONS)
def test_the_script_explains_its_options(name):
    done = run(sys.executable, SCRIPTS / name, "--help")
    assert done.returncode == 0
    assert "usage" in done.stdout


def test_demo_installs_once_and_separates_the_songs_that_are_named(checkout):
    install = "-m pip install --quiet --disable-pip-version-check --editable ."
    assert run(checkout / "scripts" / "demo", "a song.mp3", cwd=checkout.parent).returncode == 0
    assert calls(checkout) == ["-m venv --clear .venv", install, "-m karaoke_sep separate a song.mp3"]
    assert run(checkout / "scripts" / "demo").returncode == 0
    assert calls(checkout) == ["-m karaoke_sep demo"]


def test_a_change_of_the_dependencies_installs_again(checkout):
    run(checkout / "scripts" / "demo")
    with open(checkout / "pyproject.toml", "a") as file:
        file.write("# another dependency\n")
    calls(checkout)
    run(checkout / "scripts" / "demo")
    assert [call for call in calls(checkout) if "pip install" in call] != []


def test_scripts_stop_with_a_line_when_there_is_no_python(checkout, monkeypatch):
    monkeypatch.setenv("PYTHON", "no-such-python")
    done = run(checkout / "scripts" / "demo")
    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.11 or newer is needed")


def test_test_runs_linter_types_and_tests_in_that_order(checkout):
    assert run(checkout / "scripts" / "test", "-x").returncode == 0
    asked = [call.split()[1] for call in calls(checkout) if call.startswith("-m")]
    assert asked == ["venv", "pip", "ruff", "ruff", "mypy", "pytest"]


def test_results_without_a_data_set_prints_its_usage_and_installs_nothing(checkout):
    done = run(checkout / "scripts" / "results")
    assert done.returncode == 2
    assert "Usage" in done.stderr
    assert not (checkout / "calls").exists()


def test_the_tables_of_the_settings_are_those_of_the_default_config():
    tables = runpy.run_path(str(SCRIPTS / "settings"))["tables"]
    config = (ROOT / "configs" / "default.yaml").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page.endswith(tables(config)), "run scripts/settings"


def test_the_picture_of_the_demo_song_is_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra [plots]")
    done = run(sys.executable, SCRIPTS / "picture", "--output", tmp_path / "demo.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_notes_are_compared_with_those_in_the_file_of_a_song(tmp_path):
    song = demo_song.make(16000, 12.0)
    (tmp_path / "song").mkdir()
    soundfile.write(tmp_path / "song" / "sound.wav", song.mixture.samples.T, 16000, "PCM_16")
    true = [Note(on_s, off_s, round(pitch), pitch, 64) for on_s, off_s, pitch in song.notes]
    text = ultrastar.encode(true, ultrastar.Song("a song", "somebody", "sound.wav"))
    (tmp_path / "song" / "song.txt").write_text(text)
    (tmp_path / "song" / "licence.txt").write_text("no song")
    done = run(sys.executable, SCRIPTS / "notes", tmp_path)
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()[-1].split()
    found = {name: float(value) for name, value in pairwise(words) if name in words[3::2]}
    assert words[:3] == ["mean", "of", "1"]
    assert min(found["recall"], found["precision"], found["pitch"]) >= 0.85
    assert found["octave"] == 0
    assert abs(found["late"]) <= 50


def test_every_stage_of_the_benchmark_takes_time():
    stages = runpy.run_path(str(SCRIPTS / "benchmark"))["stages"]
    stages.__globals__["N_RUNS"] = 1
    found = stages(demo_song.make(16000, 4.0).mixture, "default")
    assert len(found) > 10
    assert [stage for stage, ms in found.items() if ms <= 0] == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_short_soak_finds_every_stem_complete():
    done = run(sys.executable, SCRIPTS / "soak", "--files", 3, "--stops", 1)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="the cases are bash scripts")
def test_a_case_is_judged_by_what_it_prints(tmp_path):
    printed = "Error: the current folder is gone (no such file); change to another\nexit 2"
    for name, text in (("18-cwd-is-gone", printed), ("13-pyin-without-a-cache", "Traceback"), ("99-unknown", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.sh").write_text(f"printf '%s\\n' '{text}'\n")
    done = run(sys.executable, SCRIPTS / "cases", tmp_path, "--only", "1", "--only", "99")
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines()[:-1])
    assert done.returncode == 1
    assert lines["18-cwd-is-gone"] == "right: one line and exit code 2"
    assert lines["13-pyin-without-a-cache"] == "wrong: printed 'Traceback'"
    assert lines["99-unknown"] == "wrong: no expectation of it is written here"
    assert lines["17-no-temporary-folder"] == "wrong: is not in the folder"
