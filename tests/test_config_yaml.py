"""Settings from YAML text: types, errors with their lines, and overrides."""

import re

import pytest
from config_trees import Mask, Tree, fault

from karaoke_sep.config import (
    Config,
    describe,
    load_config,
    load_with_origins,
)
from karaoke_sep.errors import ConfigError


@pytest.fixture
def load(tmp_path):
    """Loads YAML text, or bytes, as a Tree."""

    def load(text, overrides=()):
        path = tmp_path / "song.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_with_origins(path, overrides, schema=Tree)

    return load


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


def test_a_byte_order_mark_is_no_part_of_the_first_key(load):
    assert load(b"\xef\xbb\xbfgate:\n  hold_s: 3\n")[0].gate.hold_s == 3


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
