import os
import pickle
import re
import subprocess
import sys
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import pytest
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


@dataclass(frozen=True)
class Mask:
    kind: Literal["binary", "soft", "off"] = "soft"
    width_hz: float = 50.0
    top_hz: float = 8000
    n_partials: int = 60
    n_passes: Literal[1, 2] = 1
    enabled: bool = True
    note: str = "none"
    floor_db: float | None = None
    weights: tuple[float, ...] = (1.0, 0.5)
    range_cents: tuple[int, int] = (-50, 50)

    def __post_init__(self):
        if self.width_hz <= 0:
            raise ValueError(f"width_hz is {self.width_hz:g}; it must be positive")
        if self.top_hz <= self.width_hz:
            raise ValueError(f"top_hz is {self.top_hz:g}; it must be above width_hz, {self.width_hz:g}")


@dataclass(frozen=True)
class Gate:
    attack_ms: float = 20.0
    hold_s: float = 0.5


@dataclass(frozen=True)
class Tree:
    mask: Mask = field(default_factory=Mask)
    gate: Gate = field(default_factory=Gate)


@pytest.fixture
def load(tmp_path):
    """Loads YAML text, or bytes, as a Tree."""

    def load(text, overrides=()):
        path = tmp_path / "song.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_with_origins(path, overrides, schema=Tree)

    return load


def fault(load, *args, **kwargs) -> str:
    """The one line with which loading fails, without the folder of the file."""
    with pytest.raises(ConfigError) as caught:
        load(*args, **kwargs)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 500
    return re.sub(r"^/.*/(?=song\.yaml)", "", line)


def test_settings_that_a_source_leaves_out_keep_their_defaults(load):
    assert load_config() == Config()
    assert load("")[0] == load("# nothing\n")[0] == load("mask:\n  # width_hz: 3\n")[0] == Tree()
    assert load("mask:\n  width_hz: 70\n")[0] == Tree(mask=Mask(width_hz=70.0))


def test_an_override_wins_over_the_file_and_a_later_one_over_an_earlier(load):
    text = "mask:\n  width_hz: 70\n  n_partials: 30\n"
    config, origins = load(text, ["mask.width_hz=80", "mask.kind=binary", "mask.width_hz=90"])
    assert config == Tree(mask=Mask(width_hz=90.0, n_partials=30, kind="binary"))
    assert origins["mask.width_hz"] == origins["mask.kind"] == "--set"
    assert origins["mask.n_partials"].endswith("song.yaml:3")


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("width_hz", "1e-4", 0.0001),
        ("width_hz", "70", 70.0),
        ("width_hz", "+.5E+1", 5.0),
        ("n_partials", "-3", -3),
        ("n_passes", "2", 2),
        ("enabled", "false", False),
        ("kind", "off", "off"),
        ("note", "no", "no"),
        ("note", "'12'", "12"),
        ("note", '"tab\\t"', "tab\t"),
        ("floor_db", "null", None),
        ("floor_db", "-60", -60.0),
        ("weights", "[1, 2e-1, 3]", (1.0, 0.2, 3.0)),
        ("weights", "[]", ()),
        ("range_cents", "[-10, 20]", (-10, 20)),
    ],
)
def test_a_value_is_read_by_the_type_of_its_setting(load, key, text, value):
    for config, _ in (load(f"mask:\n  {key}: {text}\n"), load("", [f"mask.{key}={text}"])):
        read = getattr(config.mask, key)
        assert read == value
        assert type(read) is type(value)


@pytest.mark.parametrize(
    ("key", "text", "wanted"),
    [
        ("enabled", "no", "true or false, not no"),
        ("enabled", "on", "true or false"),
        ("enabled", "1", "true or false, not 1"),
        ("enabled", "'true'", "true or false, not the text 'true'"),
        ("n_partials", "3.0", "a whole number, not 3.0"),
        ("n_partials", "true", "a whole number"),
        ("n_partials", "010", "a whole number"),
        ("n_partials", "٣", "a whole number"),
        ("n_partials", "", "a whole number, not empty"),
        ("n_partials", "9" * 5000, "a whole number"),
        ("n_partials", "a\n\n    b", "a whole number, not a b"),
        ("n_passes", "3", "one of 1, 2, not 3"),
        ("n_passes", "'2'", "one of 1, 2, not the text '2'"),
        ("width_hz", "true", "a finite number"),
        ("width_hz", "'50'", "a finite number, not the text '50'"),
        ("width_hz", ".nan", "a finite number"),
        ("width_hz", "nan", "a finite number"),
        ("width_hz", "-.inf", "a finite number"),
        ("width_hz", "1e999", "a finite number"),
        ("width_hz", "1:30", "a finite number"),
        ("width_hz", "[50]", "a finite number, not a list of 1"),
        ("width_hz", "{a: 1}", "a finite number, not a mapping"),
        ("floor_db", "low", "a finite number or null, not low"),
        ("note", "12", "text, in quotes"),
        ("note", "true", "text, in quotes"),
        ("note", "null", "text, in quotes"),
        ("kind", "hard", "one of binary, soft, off, not hard"),
        ("weights", "1", r"\[a finite number, ...\], not 1"),
        ("weights", "[1, x]", r"\[a finite number, ...\], not x"),
        ("range_cents", "[1]", r"\[a whole number, a whole number\], not a list of 1"),
        ("range_cents", "[1, 2, 3]", r"\[a whole number, a whole number\], not a list of 3"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_line(load, key, text, wanted):
    line = fault(load, f"# settings\nmask:\n  {key}: {text}\n")
    assert re.match(f"song.yaml:3: mask.{key} must be {wanted}", line)


def test_the_line_is_that_of_the_list_item(load):
    assert fault(load, "mask:\n  weights:\n  - 1\n  - 2\n  - no\n").startswith("song.yaml:5: mask.weights must be ")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("mask:\n  width_hertz: 3\n", "song.yaml:2: mask: unknown key 'width_hertz'; did you mean 'width_hz'?"),
        ("maks:\n  width_hz: 3\n", "song.yaml:1: unknown key 'maks'; did you mean 'mask'?"),
        ("gate:\n  zzz: 3\n", "song.yaml:2: gate: unknown key 'zzz'; the keys here are attack_ms, hold_s"),
        ("gate:\n  <<: {hold_s: 3}\n", "song.yaml:2: gate: unknown key '<<'; the keys here are attack_ms, hold_s"),
        ("? [a, b]\n: 3\n", "song.yaml:1: unknown key 'a list of 2'; the keys here are mask, gate"),
        ("gate: 3\n", "song.yaml:1: gate is a section (attack_ms, hold_s); it cannot be 3"),
        ("- gate\n", "song.yaml:1: a config holds sections (mask, gate); it cannot be a list of 1"),
        ("gate\n", "song.yaml:1: a config holds sections (mask, gate); it cannot be gate"),
    ],
)
def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_name(load, text, line):
    assert fault(load, text) == line


def test_a_key_given_twice_is_refused_with_both_lines(load):
    text = "gate:\n  hold_s: 1\n  attack_ms: 3\n  hold_s: 2\n"
    assert fault(load, text) == "song.yaml:4: gate.hold_s is given twice, first on line 2"
    assert fault(load, "gate: {}\nmask: {}\ngate: {}\n") == "song.yaml:3: gate is given twice, first on line 1"


def test_a_value_out_of_range_is_refused_where_it_was_set(load):
    text = "mask:\n  n_partials: 3\n  width_hz: -3\n"
    assert fault(load, text) == "song.yaml:3: mask.width_hz is -3; it must be positive"
    assert fault(load, "", ["mask.width_hz=0"]) == "--set: mask.width_hz is 0; it must be positive"


def test_a_clash_with_a_default_is_refused_where_the_other_value_was_set(load):
    # The message is about top_hz, which nobody set.
    assert fault(load, "mask:\n  width_hz: 9000\n").startswith("song.yaml:2: mask.top_hz is 8000; it must be above")


def test_values_that_only_agree_together_are_checked_together(load):
    config, _ = load("mask:\n  width_hz: 9000\n", ["mask.top_hz=10000"])
    assert (config.mask.width_hz, config.mask.top_hz) == (9000.0, 10000.0)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("mask: !!python/object/apply:os.getcwd []\n", "song.yaml:1: tags, anchors and aliases are not accepted"),
        ("mask:\n  width_hz: !!float 3\n", "song.yaml:2: tags, anchors and aliases are not accepted"),
        ("mask: &a {}\ngate: *a\n", "song.yaml:1: tags, anchors and aliases are not accepted"),
        ("mask: {}\n---\nmask: {}\n", "song.yaml:2: expected a single document"),
        ("mask: {}\ngate: [\n", "song.yaml:3: .*'<stream end>'"),
        ("mask:\n\twidth_hz: 3\n", "song.yaml:2: .*cannot start any token"),
        ("%YAML 9.0\n---\nmask: {}\n", "song.yaml:1: found incompatible YAML document"),
        ("[" * 90_000, "song.yaml:1: more than 10 levels"),
        ("{a: " * 20_000, "song.yaml:1: more than 10 levels"),
        ("- " * 40_000, "song.yaml:1: more than 10 levels"),
        ("[" + "a," * 9_000 + "]", "song.yaml:1: a config holds sections .* a list of 9000"),
        ('mask: "\\UFFFFFFFF"\n', "song.yaml: not valid YAML"),
        ("mask: \0\n", "song.yaml: character 6 is not printable"),
        (b"RIFF\x24\0\0\0WAVEfmt \x80\xff", "song.yaml: byte 16 is not UTF-8"),
        ("mask: {}\n".encode("utf-16"), "song.yaml: byte 0 is not UTF-8"),
        ("#" * 1_000_001, "song.yaml: larger than 100000 bytes"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_a_file_without_a_plain_config_is_an_error_of_one_line(load, text, what):
    assert re.match(what, fault(load, text))


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


def test_a_byte_order_mark_is_no_part_of_the_first_key(load):
    assert load(b"\xef\xbb\xbfgate:\n  hold_s: 3\n")[0].gate.hold_s == 3


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


def test_all_errors_of_a_config_are_reported_at_once_in_the_order_of_its_lines(load):
    text = "mask:\n  width_hertz: 3\n  n_partials: few\ngate:\n  hold_s: 1\n  hold_s: 2\nmasc: 3\n"
    with pytest.raises(ConfigError) as caught:
        load(text, ["gate.attack=3", "mask.kind"])
    starts = [line.rpartition("/")[2] for line in str(caught.value).splitlines()]
    expected = [
        "song.yaml:2: mask: unknown key 'width_hertz'",
        "song.yaml:3: mask.n_partials must be a whole number",
        "song.yaml:6: gate.hold_s is given twice",
        "song.yaml:7: unknown key 'masc'",
        "--set: gate: unknown key 'attack'",
        "--set 'mask.kind': write section.key=value",
    ]
    assert len(starts) == len(expected)
    assert all(line.startswith(start) for line, start in zip(starts, expected, strict=True))


def test_values_out_of_range_are_all_reported_beside_other_errors():
    with pytest.raises(ConfigError) as caught:
        load_config({"stft": {"window_ms": 1, "hop_ms": 9999}, "wiener": {"exponent": 99}, "mask": {}})
    keys = [line.removeprefix("config: ").partition(" is ")[0] for line in str(caught.value).splitlines()]
    assert sorted(keys[1:]) == ["stft.hop_ms", "stft.window_ms", "wiener.exponent"]
    assert keys[0].startswith("unknown key 'mask'")


def test_a_section_with_an_error_is_not_checked_for_clashes_with_its_defaults(load):
    # width_hz clashes with the default of top_hz, but the file sets that one, with a mistake.
    text = "mask:\n  width_hz: 9000\n  top_hz: high\n"
    assert fault(load, text).startswith("song.yaml:3: mask.top_hz must be a finite number, not high")


def test_a_file_of_thousands_of_errors_gives_few_lines(load):
    with pytest.raises(ConfigError) as caught:
        load("".join(f"a{number}: 1\n" for number in range(4_000)))
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "and 3980 more errors"


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


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("mask.width_hz", "--set 'mask.width_hz': write section.key=value"),
        ("=3", "--set '=3': write section.key=value"),
        ("mask.width_hz=", "--set 'mask.width_hz=': the value is missing; null and '' are values"),
        ("mask.width_hz=[", "--set 'mask.width_hz=.': .*<stream end>.*"),
        ("mask.width_hz=*a", "--set 'mask.width_hz=.a': tags, anchors and aliases .*"),
        ("mask=3", "--set: mask is a section .*; it cannot be 3"),
        ("mask.width=3", "--set: mask: unknown key 'width'; did you mean 'width_hz'."),
        ("mask.width_hz.x=3", "--set: mask.width_hz must be a finite number, not a mapping"),
        ("mask..x=3", "--set: mask: unknown key ''; .*"),
    ],
)
def test_an_invalid_override_is_rejected(load, override, line):
    assert re.fullmatch(line, fault(load, "", [override]))


def test_every_setting_is_described_with_its_unit_and_origin(load):
    rows = {row.key: row for row in describe(*load("mask:\n  floor_db: -60\n", ["gate.hold_s=1"]))}
    assert list(rows) == [f"mask.{name}" for name in Mask.__annotations__] + ["gate.attack_ms", "gate.hold_s"]
    units = {key.partition(".")[2]: row.unit for key, row in rows.items()}
    assert units == {
        **dict.fromkeys(("kind", "n_partials", "n_passes", "enabled", "note", "weights"), ""),
        **{
            "width_hz": "Hz",
            "top_hz": "Hz",
            "floor_db": "dB",
            "range_cents": "cents",
            "attack_ms": "ms",
            "hold_s": "s",
        },
    }
    assert rows["mask.floor_db"].origin.endswith("song.yaml:2")
    assert (rows["gate.hold_s"].origin, rows["mask.width_hz"].origin) == ("--set", "default")
    assert (rows["gate.hold_s"].value, rows["mask.enabled"].value, rows["mask.weights"].value) == (
        "1.0",
        "true",
        "[1.0, 0.5]",
    )


# A text that a file name can hold: no NUL, and no surrogate that stands for no byte.
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
