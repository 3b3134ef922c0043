"""The commands, files and settings on the pages of docs/ and README.md exist and work."""

import re
import textwrap
import types

import numpy as np
import pages
import pytest
import yaml
from commands import all_commands
from test_imports import FLOOR

from karaoke_sep.config import load_config, to_dict
from karaoke_sep.types import Audio

pytestmark = pytest.mark.skipif(not pages.PAGES, reason="the pages are in a checkout only")
LINES = [(page, line) for page in pages.PAGES for line in pages.all_command_lines(page)]
WITH_BLOCKS = [page for page in pages.PAGES if page.name != "README.md" and pages.blocks(page)]
PAGES = pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.name)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A folder with the inputs that the pages name."""
    folder = tmp_path_factory.mktemp("inputs")
    pages.make_inputs(folder)
    return folder


@pytest.fixture
def among_inputs(inputs, monkeypatch):
    """The inputs are in the current folder. Nothing is written there."""
    monkeypatch.chdir(inputs)


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: page.name)
def test_every_block_of_a_page_runs_in_its_order_in_one_folder(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pages.follow(page, tmp_path)


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page.stem}: {line.text}" for page, line in LINES])
def test_every_command_line_is_understood(among_inputs, page, line):
    pages.parse(line)


def test_every_command_is_shown_on_some_page(among_inputs):
    shown = {pages.parse(line).command_path for _, line in LINES}
    leaves = {" ".join(["karaoke-sep", *path]) for path, command in all_commands() if not hasattr(command, "commands")}
    assert leaves - shown == set()


@pytest.mark.parametrize("line", [line for _, line in LINES if "--set" in line.text], ids=lambda line: line.text)
def test_every_setting_that_is_shown_exists(among_inputs, line):
    overrides = pages.parse(line).params["overrides"]
    assert overrides
    load_config(None, overrides)


@PAGES
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    files = [link for link in links if "://" not in link]
    assert [file for file in files if not (page.parent / file).exists()] == []


@PAGES
def test_every_file_that_is_named_exists(page):
    named = re.findall(r"`((?:karaoke_sep|scripts|tests|configs|docs)/[\w/.]+\w)`", page.read_text(encoding="utf-8"))
    assert [file for file in named if not (pages.ROOT / file).exists()] == []


@pytest.mark.parametrize("name", ["experiments.md", "experiments_trained.md"])
def test_no_cell_of_the_experiments_holds_a_list_between_slashes(name):
    rows = [line for line in (pages.ROOT / "docs" / name).read_text("utf-8").splitlines() if line.startswith("|")]
    assert len(rows) > 100
    assert [row for row in rows if " / " in row] == []


def test_every_setting_is_explained_with_its_default():
    text = (pages.ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w.]+)` \| `([^`]*)` \|", text, re.M))

    def flat(values, path=""):
        for key, value in values.items():
            if isinstance(value, dict):
                yield from flat(value, f"{path}{key}.")
            else:
                yield path + key, value

    defaults = dict(flat(to_dict(load_config())))
    assert {name: yaml.safe_load(value) for name, value in rows.items()} == defaults


def test_every_section_of_the_config_is_explained_as_a_step_of_the_method():
    sections = to_dict(load_config())
    backends = {
        name: [key for key, value in section.items() if isinstance(value, dict)] for name, section in sections.items()
    }
    steps = {step for name in sections for step in ([f"{name}.{key}" for key in backends[name]] or [name])}
    text = (pages.ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| \[`([\w.]+)`\]\(\.\./karaoke_sep/", text, re.M)) == steps


def test_the_map_of_contributing_shows_every_room_in_the_order_of_imports():
    text = (pages.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`[a-z_]+(?:\.py|/)`.*?) \|", text, re.M)
    rooms = [room for cell in cells for room in re.findall(r"`([a-z_]+)(?:\.py|/)`", cell)]
    assert set(rooms) == set(FLOOR) - {"__main__"}
    assert [FLOOR[room] for room in rooms] == sorted(FLOOR[room] for room in rooms)


def test_the_pitch_backend_that_contributing_adds_finds_a_tone():
    text = (pages.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^    # karaoke_sep/pitch/loudest\.py\n(?:(?:    .*)?\n)+", text, re.M)
    backend = types.ModuleType("karaoke_sep.pitch.loudest")
    backend.__package__ = "karaoke_sep.pitch"
    exec(compile(textwrap.dedent(example), "loudest.py", "exec"), vars(backend))
    tone = Audio(np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)[None], 8000)
    track = backend.track(tone, backend.Params())
    np.testing.assert_allclose(track.f0_hz[5:-5], 440, atol=8000 / (2 * 512))
