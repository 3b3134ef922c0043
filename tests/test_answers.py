"""What ffprobe says about inputs is kept, so that a second run of a finished folder asks nothing."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from batches import CONFIG, do, make_song, statuses

from karaoke_sep import batch
from karaoke_sep.batch import Order
from karaoke_sep.files import ffmpeg

pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg on the PATH")

ULTRASTAR = ("karaoke", "vocals", "accompaniment", *batch.ULTRASTAR)
ANSWERS = Path("out", ".karaoke-sep", "inputs")


def encode(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """An MP3 and an M4A file with covers and tags, an M4A file without a cover, and a video."""
    folder = tmp_path_factory.mktemp("songs") / "in"
    wav = make_song(folder.parent / "song.wav")
    folder.mkdir()
    picture = ("-f", "lavfi", "-i", "testsrc=size=64x64:duration=1:rate=5")
    tags = ("-map", "0", "-map", "1", "-frames:v", "1", "-disposition:v", "attached_pic", "-metadata", "title=歌")
    encode("-i", wav, *picture, *tags, "-c:v", "mjpeg", folder / "a.mp3")
    encode("-i", wav, *picture, *tags, "-c:v", "png", folder / "b.m4a")
    encode("-i", wav, folder / "c.m4a")
    encode("-i", wav, *picture, "-c:v", "mpeg4", folder / "d.mkv")
    return folder


@pytest.fixture
def songs(encoded, tmp_path):
    """The same in a folder of the test."""
    return shutil.copytree(encoded, tmp_path / "in")


@pytest.fixture
def asked(monkeypatch):
    """Names of the files about which ffprobe is asked, in order."""
    names, ask = [], ffmpeg.ask
    monkeypatch.setattr(ffmpeg, "ask", lambda path, *what: names.append(path.name) or ask(path, *what))
    return names


def order_of(tmp_path, **more):
    settings = {"name": "{track} ({stem})", "video": "replace", "container": "flac", **more}
    return Order(tmp_path / "out", ULTRASTAR, **settings)


@pytest.mark.parametrize("name", ["{track} ({stem})", "{title} {track} ({stem})"])
def test_a_second_run_of_a_finished_folder_asks_ffprobe_nothing(songs, tmp_path, asked, name):
    order = order_of(tmp_path, name=name)
    first = do([songs], order)
    assert set(statuses(first).values()) == {"done"}
    assert {"a.mp3", "b.m4a", "c.m4a", "d.mkv"} == set(asked)
    asked.clear()
    second = do([songs], order)
    assert set(statuses(second).values()) == {"skipped"}
    assert asked == []
    assert [outcome.paths for outcome in second] == [outcome.paths for outcome in first]
    covers = {path.name for outcome in second for path in outcome.paths if "[CO]" in path.name}
    assert covers == {"a [CO].jpg", "b [CO].png"}


def test_a_changed_input_is_asked_about_again(songs, tmp_path, asked):
    do([songs], order_of(tmp_path))
    shutil.copyfile(songs / "b.m4a", songs / "c.m4a")
    asked.clear()
    [outcome] = [outcome for outcome in do([songs], order_of(tmp_path)) if outcome.source.name == "c.m4a"]
    assert outcome.status == "done"
    assert "c [CO].png" in {path.name for path in outcome.paths}
    assert set(asked) == {"c.m4a"}


def test_a_picture_that_appears_beside_a_song_is_its_cover(songs, tmp_path):
    do([songs], order_of(tmp_path))
    shutil.copyfile(tmp_path / "out" / "b (UltraStar)" / "b [CO].png", songs / "c.png")
    [outcome] = [outcome for outcome in do([songs], order_of(tmp_path)) if outcome.source.name == "c.m4a"]
    assert (outcome.status, "c [CO].png" in {path.name for path in outcome.paths}) == ("done", True)


def test_damaged_answers_are_asked_for_again(songs, tmp_path, asked):
    do([songs], order_of(tmp_path))
    good = (tmp_path / ANSWERS).read_bytes()
    for damaged in (good[:-9], good.replace(b"8000", b"9000"), b""):
        (tmp_path / ANSWERS).write_bytes(damaged)
        asked.clear()
        assert set(statuses(do([songs], order_of(tmp_path))).values()) == {"skipped"}
        assert {"a.mp3", "b.m4a", "c.m4a", "d.mkv"} == set(asked)
        assert sorted((tmp_path / ANSWERS).read_bytes()) == sorted(good)


def test_answers_of_two_runs_in_one_folder_are_both_kept(songs, tmp_path, asked):
    order = order_of(tmp_path)
    plans = [batch.plan([songs / name], order, CONFIG) for name in ("a.mp3", "b.m4a")]
    for plan in plans:
        list(batch.run(plan, order, CONFIG))
    asked.clear()
    do([songs / "a.mp3", songs / "b.m4a"], order)
    assert asked == []


def test_planning_writes_nothing(songs, tmp_path):
    batch.plan([songs], order_of(tmp_path), CONFIG)
    assert not (tmp_path / "out").exists()


def test_files_that_libsndfile_reads_leave_no_answers(tmp_path):
    do([make_song(tmp_path / "song.wav")], replace(order_of(tmp_path), products=batch.STEMS))
    assert (tmp_path / "out" / ".karaoke-sep").is_dir()
    assert not (tmp_path / ANSWERS).exists()
