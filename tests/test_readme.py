"""What README.md shows exists and works."""

import os
import re
import shlex
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile

from karaoke_sep.cli.main import main
from karaoke_sep.config import load_config
from karaoke_sep.files import reading

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"

# An installed package has no README beside it.
pytestmark = pytest.mark.skipif(not README.exists(), reason="README.md is in a checkout only")
TEXT = README.read_text(encoding="utf-8") if README.exists() else ""


def blocks(language: str) -> list[str]:
    """Fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.M | re.S)


def command_lines() -> list[str]:
    """Every command line of the program, in blocks and in running text."""
    in_blocks = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("karaoke-sep")]
    return in_blocks + re.findall(r"`(karaoke-sep [^`]+)`", TEXT)


def parse(line: str) -> click.Context:
    """The context of the command that a line calls; the command itself does not run."""
    _, *arguments = shlex.split(line, comments=True)
    command, path = main, ["karaoke-sep"]
    while isinstance(command, click.Group):
        path.append(arguments.pop(0))
        command = command.commands[path[-1]]
    return command.make_context(" ".join(path), arguments)


def leaf_commands(command: click.Command, path: str) -> set[str]:
    if not isinstance(command, click.Group):
        return {path}
    return {leaf for name, below in command.commands.items() for leaf in leaf_commands(below, f"{path} {name}")}


@pytest.mark.parametrize("line", command_lines())
def test_every_command_line_is_understood(line):
    parse(line)


def test_every_command_is_shown():
    shown = {parse(line).command_path for line in command_lines()}
    assert shown == leaf_commands(main, "karaoke-sep")


@pytest.mark.parametrize("line", [line for line in command_lines() if "--set" in line])
def test_every_setting_that_is_shown_exists(line):
    overrides = parse(line).params["overrides"]
    assert overrides
    load_config(None, overrides)


def test_the_settings_file_that_is_shown_is_accepted_and_changes_something(tmp_path):
    [text] = blocks("yaml")
    path = tmp_path / "my.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_config(path) != load_config()


def test_the_python_example_writes_stems_that_add_up_to_the_song(tmp_path, monkeypatch, demo):
    [text] = blocks("python")
    mixture = demo(16000, 2.5).mixture
    monkeypatch.chdir(tmp_path)
    soundfile.write("song.wav", mixture.samples.T, mixture.rate_hz, "PCM_16")
    exec(compile(text, "README.md", "exec"), {})
    song, vocals, accompaniment = (
        reading.read(Path(f"{name}.wav"))[0].samples for name in ("song", "vocals", "accompaniment")
    )
    step = 2**-15  # both stems are rounded to 16 bits
    assert np.abs(vocals).max() > 1000 * step
    assert np.abs(vocals + accompaniment - song).max() <= 2 * step


def test_every_link_to_a_file_leads_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_script_that_is_named_can_be_run():
    names = set(re.findall(r"scripts/\w+", TEXT))
    assert {"scripts/demo", "scripts/test"} <= names
    assert [name for name in sorted(names) if not os.access(ROOT / name, os.X_OK)] == []


def test_the_picture_is_small():
    assert (ROOT / "docs" / "demo_song.png").stat().st_size < 300_000
