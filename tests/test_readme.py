"""README.md can be followed from top to bottom, and its claims hold."""

import os
import re

import numpy as np
import pages
import pytest
import soundfile
from click.testing import CliRunner

from karaoke_sep.cli.main import main

README = pages.ROOT / "README.md"
pytestmark = pytest.mark.skipif(not README.exists(), reason="README.md is in a checkout only")
TEXT = README.read_text(encoding="utf-8") if README.exists() else ""
STEP = 2**-15  # of 16 bits


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """A folder in which every block of README.md ran, in its order."""
    folder = tmp_path_factory.mktemp("readme")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        pages.follow(README, folder)
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with the inputs that README.md names."""
    pages.make_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(path):
    return soundfile.read(path, always_2d=True)[0]


def invoke(*arguments):
    return CliRunner().invoke(main, [*arguments])


def test_every_block_runs_in_its_order_in_one_folder(followed):
    assert (followed / "separated" / "song" / "vocals.wav").exists()


def test_the_python_example_writes_stems_that_add_up_to_the_song(followed):
    song, vocals, accompaniment = (read(followed / f"{name}.wav") for name in ("song", "vocals", "accompaniment"))
    assert np.abs(vocals).max() > 1000 * STEP
    assert np.abs(vocals + accompaniment - song).max() <= 2 * STEP


def test_the_stems_of_the_first_command_add_up_to_the_song_and_keep_its_rate_and_length(folder):
    assert invoke("separate", "song.wav").exit_code == 0
    song, *stems = (
        soundfile.SoundFile(path)
        for path in ("song.wav", "separated/song/vocals.wav", "separated/song/accompaniment.wav")
    )
    assert {(stem.samplerate, stem.frames, stem.channels) for stem in stems} == {
        (song.samplerate, song.frames, song.channels)
    }
    assert np.abs(sum(stem.read() for stem in stems) - song.read()).max() <= 2 * STEP


def test_the_same_command_writes_the_same_bytes(folder):
    for output in ("first", "second"):
        assert invoke("separate", "song.wav", "--output", output).exit_code == 0
    for stem in ("vocals.wav", "accompaniment.wav"):
        first, second = ((folder / output / "song" / stem).read_bytes() for output in ("first", "second"))
        assert first == second


def test_the_exit_code_is_1_when_an_input_fails_and_the_others_are_separated(folder):
    # The header is that of a sound; the samples are not numbers.
    samples = np.full((8000, 1), np.nan, np.float32)
    soundfile.write(folder / "Music" / "broken.wav", samples, 8000, "FLOAT")
    result = invoke("separate", "Music")
    assert result.exit_code == 1
    assert "broken.wav" in result.stderr
    assert (folder / "separated" / "one" / "vocals.wav").exists()


@pytest.mark.parametrize("options", [["--no-such-option"], ["--set", "stft.no_such_setting=1"], ["--pitch", "none"]])
def test_the_exit_code_is_2_for_wrong_usage_and_nothing_is_written(folder, options):
    assert invoke("separate", "song.wav", *options).exit_code == 2
    assert not (folder / "separated").exists()


def test_it_has_at_most_200_lines():
    assert len(TEXT.splitlines()) <= 200


def test_every_script_that_is_named_can_be_run():
    names = set(re.findall(r"scripts/\w+", TEXT))
    assert {"scripts/demo", "scripts/test"} <= names
    assert [name for name in sorted(names) if not os.access(pages.ROOT / name, os.X_OK)] == []


def test_the_picture_is_small():
    assert (pages.ROOT / "docs" / "demo_song.png").stat().st_size < 300_000
