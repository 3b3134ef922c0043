"""Configs: shipped ones, sources, forms, fingerprints and sections of backends."""

import os
import pickle
import re
import subprocess
import sys
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from config_trees import Gate, Mask, Tree, fault
from hypothesis import given, settings
from hypothesis import strategies as st

from karaoke_sep.config import (
    Config,
    backend_section,
    describe,
    fingerprint,
    load_config,
    load_with_origins,
    to_dict,
    to_yaml,
)
from karaoke_sep.errors import ConfigError
from karaoke_sep.settings import catalogue
from karaoke_sep.settings.ranges import check_ranges, ranged
from karaoke_sep.settings.strict_yaml import fill


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200) | st.text("mask:gate-[]{}&*!|>'\"#%@\\ \t\n12.e", max_size=80).map(str.encode))
def test_any_file_gives_a_config_or_an_error_of_one_line(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)
    try:
        outcome = load_with_origins(path, schema=Tree)[0]
    except ConfigError as error:
        outcome = str(error)
    assert isinstance(outcome, Tree) or "\n" not in outcome


def test_a_path_that_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in fault(load_config, tmp_path / "pipe")
    assert "not a regular file" in fault(load_config, tmp_path)
    assert "no such config file; shipped configs are " in fault(load_config, tmp_path / "none.yaml")
    assert "no such config file" in fault(load_config, "x" * 300)


def test_a_bare_name_is_a_shipped_config_and_a_path_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("default", "default.yaml"):
        (tmp_path / name).write_text("stft:\n  nonsense: 1\n")
    assert isinstance(load_config("default"), Config)
    for path in ("default.yaml", "./default", Path("default"), tmp_path / "default"):
        assert "unknown key 'nonsense'" in fault(load_config, path)


def test_a_dict_passes_the_same_checks_as_a_file():
    def load(source):
        return load_with_origins(source, schema=Tree)[0]

    source = {"mask": {"width_hz": np.float32(70), "weights": np.arange(3), "range_cents": (1, 2), "note": "1e-4"}}
    expected = Mask(width_hz=70.0, weights=(0.0, 1.0, 2.0), range_cents=(1, 2), note="1e-4")
    assert load(MappingProxyType(source)) == Tree(mask=expected)
    assert load({"mask": {"note": "♪ \U0001f3a4 \\ '\"\n"}}).mask.note == "♪ \U0001f3a4 \\ '\"\n"
    assert fault(load, {"mask": {"width_hz": "50"}}).startswith("config: mask.width_hz must be a finite number")
    assert fault(load, {"mask": {"width_hz": float("nan")}}).startswith("config: mask.width_hz must be a finite")
    assert fault(load, {"mask": {"enabled": 1}}).startswith("config: mask.enabled must be true or false")
    assert fault(load, {"maks": {}}) == "config: unknown key 'maks'; did you mean 'mask'?"
    assert fault(load, {"mask": {"note": object()}}).startswith("config: a value is of type object; numbers, text")


def test_values_out_of_range_are_all_reported_beside_other_errors():
    with pytest.raises(ConfigError) as caught:
        load_config({"stft": {"window_ms": 1, "hop_ms": 9999}, "wiener": {"exponent": 99}, "mask": {}})
    keys = [line.removeprefix("config: ").partition(" is ")[0] for line in str(caught.value).splitlines()]
    assert sorted(keys[1:]) == ["stft.hop_ms", "stft.window_ms", "wiener.exponent"]
    assert keys[0].startswith("unknown key 'mask'")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("null", "empty"),
        ("~", "empty"),
        ("", "empty"),
        (r'"a\0b"', r"the text 'a.x00b', which no file name can hold"),
        (r'"\ud800"', "the text '.ud800', which no file name can hold"),
        ("[a]", "a list of 1"),
    ],
)
def test_a_text_that_cannot_be_a_path_is_rejected(tmp_path, value, shown):
    (tmp_path / "song.yaml").write_text(f"pitch:\n  given:\n    path: {value}\n")
    line = fault(load_config, tmp_path / "song.yaml")
    assert re.match(rf"song.yaml:3: pitch.given.path must be text, .* not {shown}$", line)


def test_a_path_of_any_bytes_survives_the_yaml_form(tmp_path):
    name = os.fsdecode(b"\xff\n 'no' \x7f.csv")
    config = load_config({"pitch": {"given": {"path": name}}})
    (tmp_path / "written.yaml").write_text(to_yaml(config), encoding="utf-8")
    assert load_config(tmp_path / "written.yaml").pitch.given.path == name


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 300], ids=ascii)
def test_a_config_name_that_no_file_can_have_is_refused(name):
    assert "no such config file" in fault(load_config, name)


def test_a_config_in_a_folder_that_may_not_be_entered_is_refused(tmp_path, monkeypatch):
    closed, system_stat = str(tmp_path / "closed"), os.stat

    def stat(path, **how):  # the superuser, who may run the tests, may enter every folder
        if str(path).startswith(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return system_stat(path, **how)

    monkeypatch.setattr(os, "stat", stat)
    line = fault(load_config, tmp_path / "closed" / "song.yaml")
    assert line.endswith("song.yaml: cannot be read (permission denied); change its permissions")


def test_the_yaml_form_keeps_every_comment_of_the_default_config():
    default = (catalogue.config_folder() / "default.yaml").read_text(encoding="utf-8")
    assert to_yaml(Config()) == default
    config = load_config(None, ["wiener.rule=subtract", "stft.hop_ms=12.5", "pitch.given.path=no"])
    changed = [
        (old, new) for old, new in zip(default.splitlines(), to_yaml(config).splitlines(), strict=True) if old != new
    ]
    assert [new.split("#")[0].split() for _, new in changed] == [
        ["hop_ms:", "12.5"],
        ["path:", "no"],
        ["rule:", "subtract"],
    ]
    assert all(old.split("#")[1] == new.split("#")[1] for old, new in changed)


def test_a_range_holds_both_ends_and_names_every_field_outside():
    @dataclass(frozen=True)
    class Params:
        low: float = ranged(1.0, 0, 2)
        count: int = ranged(1, 1, 5)

        def __post_init__(self):
            check_ranges(self)

    assert Params(0, 5) != Params(2, 1)
    with pytest.raises(ValueError, match=r"^low is nan; it must be 0 to 2\ncount is 6; it must be 1 to 5$"):
        Params(float("nan"), 6)


# A text that a file name can hold: no NUL, and no surrogate that stands for no byte.
def test_settings_that_do_not_fit_each_other_are_named_beside_those_outside_their_range(tmp_path):
    (tmp_path / "my.yaml").write_text(
        "pitch:\n  hmm:\n    min_hz: 900\n    max_hz: 100\n    decay: 2\n  peaks: {min_hz: 1, max_hz: 50}\n"
        "pitch_refinement: {step_cents: 200, range_cents: 100, max_jump_cents: 150, jump_cost: -1}\n"
    )
    with pytest.raises(ConfigError) as error:
        load_config(tmp_path / "my.yaml")
    found = [line.partition(": ")[2].partition(" is ")[0] for line in str(error.value).splitlines()]
    assert sorted(found) == [
        *("pitch.hmm.decay", "pitch.hmm.min_hz", "pitch.peaks.min_hz"),
        *("pitch_refinement.jump_cost", "pitch_refinement.max_jump_cents", "pitch_refinement.step_cents"),
    ]


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)


TREES = st.builds(
    Tree,
    mask=st.builds(
        Mask,
        kind=st.sampled_from(["binary", "soft", "off"]),
        width_hz=st.floats(1e-300, 7999),
        n_partials=st.integers(-(10**17), 10**17),
        enabled=st.booleans(),
        note=NAMES | st.sampled_from(["no", "1e-4", "12", "null", "", "~", "2024-01-01", "\x85", "\x7f"]),
        floor_db=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        weights=st.lists(st.floats(0, 1), max_size=4).map(tuple),
    ),
)


@settings(deadline=None, max_examples=50)
@given(TREES)
def test_settings_written_as_yaml_or_dict_are_read_back_unchanged(tmp_path_factory, tree):
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    mask = {name: getattr(tree.mask, name) for name in Mask.__annotations__}
    template = "mask:  # first\n" + "".join(f"  {name}: 1  # {name}\n" for name in mask) + "gate: {}  # last\n"
    text = fill(template, {f"mask.{name}": value for name, value in mask.items()})
    path.write_text(text, encoding="utf-8")
    assert load_with_origins(path, schema=Tree)[0] == tree
    assert [line.rpartition("  # ")[2] for line in text.splitlines()] == ["first", *mask, "last"]
    overrides = [f"{key}={value}" for key, value, *_ in describe(tree) if key != "mask.note"]
    assert load_with_origins({"mask": {"note": tree.mask.note}}, overrides, schema=Tree)[0] == tree


def test_the_fingerprint_is_that_of_the_values_whatever_they_came_from():
    prints = {
        fingerprint(load_config(source, overrides))
        for source, overrides in [
            ({"stft": {"hop_ms": 20}}, ()),
            ({"stft": {"hop_ms": 20.0}}, ()),
            (None, ["stft.hop_ms=2e1"]),
            (to_dict(load_config(None, ["stft.hop_ms=20"])), ()),
        ]
    }
    assert len(prints) == 1
    assert re.fullmatch("[0-9a-f]{16}", prints.pop())
    assert fingerprint(Mask(top_hz=8000)) == fingerprint(Mask(top_hz=8000.0))
    reordered = make_dataclass("Reordered", [("hold_s", float, 0.5), ("attack_ms", float, 20.0)])
    assert fingerprint(reordered()) == fingerprint(Gate())


def test_the_fingerprint_tells_any_two_settings_apart():
    masks = [Mask(), Mask(width_hz=51), Mask(kind="binary"), Mask(floor_db=0), Mask(enabled=False), Mask(weights=())]
    assert len({fingerprint(mask) for mask in masks}) == len(masks)
    assert fingerprint(Tree()) != fingerprint(Tree(gate=Gate(hold_s=1)))


def test_the_fingerprint_is_the_same_in_every_process():
    code = "from karaoke_sep.config import *; print(fingerprint(load_config()))"
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == fingerprint(Config())


def test_adding_a_backend_is_adding_a_file(tmp_path, monkeypatch):
    package = tmp_path / "finders"
    package.mkdir()
    (package / "__init__.py").touch()
    params = "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Params:\n    step_cents: float = {}\n"
    (package / "yin.py").write_text(params.format(10))
    (package / "swipe.py").write_text(params.format(20))
    (package / "_shared.py").write_text("raise ImportError('not a backend')\n")
    monkeypatch.syspath_prepend(tmp_path)
    import finders  # type: ignore[import-not-found]

    def load(*overrides):
        return load_with_origins(None, overrides, schema=backend_section("Finder", finders, default="yin"))[0]

    assert to_dict(load()) == {"backend": "yin", "swipe": {"step_cents": 20}, "yin": {"step_cents": 10}}
    assert load("backend=swipe", "swipe.step_cents=5").swipe.step_cents == 5
    assert fault(load, "backend=crepe") == "--set: backend must be one of swipe, yin, not crepe"
    assert fault(load, "backend=_shared").endswith("one of swipe, yin, not _shared")
    assert "unknown key 'step'" in fault(load, "swipe.step=5")  # checked although not in use


def test_the_sections_of_all_backends_are_checked():
    for section in (Config().pitch, Config().accompaniment):
        name = type(section).__name__.lower()
        backends = [key for key in to_dict(section) if key != "backend"]
        assert section.backend in backends
        for backend in backends:
            message = f"config: {name}.{backend}: unknown key 'nonsense'"
            assert fault(load_config, {name: {backend: {"nonsense": 1}}}).startswith(message)


def test_a_config_can_be_sent_to_another_process():
    config = load_config(None, ["pitch.hmm.step_cents=20"])
    assert pickle.loads(pickle.dumps(config)) == config


@pytest.mark.parametrize("name", catalogue.configs())
def test_a_shipped_config_loads(name):
    config, origins = load_with_origins(name)
    assert isinstance(config, Config)
    assert origins
    assert all(re.fullmatch(rf"configs/{name}\.yaml:\d+", origin) for origin in origins.values())


def test_the_default_config_mentions_every_setting_with_its_default_and_its_meaning():
    config, origins = load_with_origins("default")
    assert [row[:2] for row in describe(config)] == [row[:2] for row in describe(Config())]
    assert list(origins) == [row.key for row in describe(config)]  # the order of the data, too
    text = (Path(__file__).parents[1] / "configs" / "default.yaml").read_text(encoding="utf-8")
    settings = [line for line in text.splitlines() if re.match(r" +\w+: [^{\s]", line)]
    assert len(settings) == len(origins)
    assert [line for line in settings if not re.search(r"  # \S", line)] == []


def test_a_value_outside_its_range_is_reported_beside_the_other_errors_of_its_section(tmp_path):
    path = tmp_path / "song.yaml"
    path.write_text("stft:\n  window_ms: -3\n  hop: 4\nwiener:\n  exponent: abc\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    lines = [line.rpartition("/")[2] for line in str(caught.value).splitlines()]
    assert [line.split(" ")[0] for line in sorted(lines)] == ["song.yaml:2:", "song.yaml:3:", "song.yaml:5:"]
    assert any(line.startswith("song.yaml:2: stft.window_ms is -3; it must be ") for line in lines)
