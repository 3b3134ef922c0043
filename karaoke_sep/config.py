"""Settings: one YAML section for each method file, read strictly.

Every method file holds a frozen dataclass ``Params``, with units in the names and range checks in
``__post_init__``; this file only assembles them. Later wins: defaults, then the YAML file (or a nested
dict), then ``section.key=value`` overrides.

YAML is read by the type that a setting declares, not by what a value looks like. So ``1e-4`` is a number, and
``no`` is a word, not ``false``. A key that is unknown or given twice, a value of another type, NaN and infinities,
tags, anchors and aliases are errors that name the line.
"""

import difflib
import hashlib
import json
import math
import os
import pkgutil
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, make_dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import yaml

from . import accompaniment, pitch
from .activity.song import Params as VocalActivity
from .dsp.stft import Params as Stft
from .errors import ConfigError
from .parts import Params as Parts
from .steps.accompaniment_views import Params as AccompanimentViews
from .steps.consonants import Params as Consonants
from .steps.harmonic_mask import Params as HarmonicMask
from .steps.joint_model import Params as JointModel
from .steps.melody_enhancement import Params as MelodyEnhancement
from .steps.pitch_refinement import Params as PitchRefinement
from .steps.whitening import Params as Whitening
from .steps.wiener import Params as Wiener

_MAX_BYTES = 100_000  # ten times a file of every setting; takes PyYAML under 2 s whatever it holds
_MAX_DEPTH = 10  # section, backend, setting and list make 4
_FLOAT = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_NULLS = ("", "~", "null")
_UNITS = {"hz": "Hz", "s": "s", "ms": "ms", "db": "dB", "cents": "cents", "bins": "bins", "frames": "frames"}


def backend_section(name: str, package: types.ModuleType, default: str) -> type:
    """Dataclass of a section that chooses one of the modules of a package.

    It holds ``backend``, the name of a module, and for each module that is not private its ``Params``.
    """
    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))
    params = {n: import_module(f"{package.__name__}.{n}").Params for n in names}
    return make_dataclass(
        name,
        [
            ("backend", Literal[tuple(names)], default),
            *((n, cls, field(default_factory=cls)) for n, cls in params.items()),
        ],
        frozen=True,
        namespace={"__module__": __name__},  # where pickle looks for it
    )


if TYPE_CHECKING:  # their fields are known when they are made
    Pitch: TypeAlias = Any
    Accompaniment: TypeAlias = Any
else:
    Pitch = backend_section("Pitch", pitch, default="hmm")
    Accompaniment = backend_section("Accompaniment", accompaniment, default="masked_nmf")


@dataclass(frozen=True)
class Config:
    """Every setting, one section for each method file, in the order of the data."""

    stft: Stft = field(default_factory=Stft)
    melody_enhancement: MelodyEnhancement = field(default_factory=MelodyEnhancement)
    pitch: Pitch = field(default_factory=Pitch)
    whitening: Whitening = field(default_factory=Whitening)
    pitch_refinement: PitchRefinement = field(default_factory=PitchRefinement)
    harmonic_mask: HarmonicMask = field(default_factory=HarmonicMask)
    accompaniment: Accompaniment = field(default_factory=Accompaniment)
    joint_model: JointModel = field(default_factory=JointModel)
    accompaniment_views: AccompanimentViews = field(default_factory=AccompanimentViews)
    wiener: Wiener = field(default_factory=Wiener)
    consonants: Consonants = field(default_factory=Consonants)
    vocal_activity: VocalActivity = field(default_factory=VocalActivity)
    parts: Parts = field(default_factory=Parts)


class Row(NamedTuple):
    """One setting, as it is shown to the user."""

    key: str
    value: str
    unit: str
    origin: str


def load_config(source: str | os.PathLike | Mapping | None = None, overrides: Iterable[str] = ()) -> Config:
    """Settings from a file, with overrides.

    Parameters
    ----------
    source : path, name of a shipped config, nested dict or None
        What it leaves out keeps its default. A name without separator and extension that is shipped
        ("default", "fast", "classic") means the shipped one; ``./fast`` means a file.
    overrides : iterable of str
        Each "section.key=value", applied in order.

    Raises
    ------
    ConfigError
        Where a setting makes no sense: file and line, key, value and what is wanted.
    """
    return load_with_origins(source, overrides)[0]


def load_with_origins(
    source: str | os.PathLike | Mapping | None = None,
    overrides: Iterable[str] = (),
    schema: type = Config,
    options: Mapping[str, Iterable[str]] = types.MappingProxyType({}),
) -> tuple[Any, dict[str, str]]:
    """As `load_config`, and where each setting that is not a default came from.

    Parameters
    ----------
    source, overrides
        As for `load_config`.
    schema : type
        Any dataclass tree whose fields all have defaults.
    options : mapping
        Overrides that options of the command line stand for, such as {"--pitch": ["pitch.backend=peaks"]}, so that a
        fault names what was written. ``overrides`` win over them.

    Returns
    -------
    config : schema
    origins : dict
        From dotted key to "file:line", "--set", the name of an option or, for a dict, "config".
    """
    settings: dict[str, tuple[Any, str]] = {}
    if source is not None:
        node, place = _read_source(source)
        _collect(node, schema, "", place, settings)
    for option, texts in [*options.items(), ("--set", overrides)]:
        for text in texts:
            _collect(_read_override(text), schema, "", partial(_place_of_option, option), settings)
    return _build(schema(), "", settings), {key: origin for key, (_, origin) in settings.items()}


def describe(config: Any, origins: Mapping[str, str] = types.MappingProxyType({})) -> list[Row]:
    """Every effective setting with its unit and where it came from."""
    return [
        Row(
            key,
            value if isinstance(value, str) else json.dumps(value),
            _UNITS.get(key.rpartition("_")[2], ""),
            origins.get(key, "default"),
        )
        for key, value in _leaves(config)
    ]


def to_dict(config: Any) -> dict[str, Any]:
    """Nested dict of every setting; `load_config` reads it back."""
    return asdict(config)


def changes(config: Any) -> dict[str, str]:
    """Settings that are not as by default, with their values."""
    default = {row.key: row.value for row in describe(Config())}
    return {row.key: row.value for row in describe(config) if row.value != default[row.key]}


def to_yaml(config: Any) -> str:
    """YAML text of every setting; `load_config` reads it back from a file."""
    return yaml.safe_dump(to_dict(config), sort_keys=False)


def fingerprint(config: Any) -> str:
    """16 hexadecimal digits that equal configs share."""
    settings = json.loads(json.dumps(dict(_leaves(config))), parse_int=float)  # equal configs may hold 50 and 50.0
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def shipped_names() -> list[str]:
    """Names of the configs that come with the package."""
    return sorted(path.stem for path in _shipped_dir().glob("*.yaml"))


def _shipped_dir() -> Path:
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"  # beside the package in a checkout


def _leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for f in fields(config):
        value = getattr(config, f.name)
        if is_dataclass(value):
            yield from _leaves(value, f"{prefix}{f.name}.")
        else:
            yield prefix + f.name, value


# From sources to YAML nodes. `Place` names a place in the source for the user.

Place = Callable[[yaml.Mark], str]


class _Loader(yaml.SafeLoader):
    """Composes nodes, with marks, of plain and shallow YAML only."""

    depth = 0

    def compose_node(self, parent, index):
        event = self.peek_event()
        if event.anchor is not None or getattr(event, "tag", None) is not None:
            problem = "tags, anchors and aliases are not accepted; write the value out"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        if self.depth == _MAX_DEPTH:
            problem = f"more than {_MAX_DEPTH} levels of nesting; sections hold settings, two or three levels deep"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _place_of_option(option: str, mark: yaml.Mark) -> str:
    return option


def _compose(text: str, name: str, place: Place) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        what = " ".join(", ".join(filter(None, (error.context, error.problem))).split())
        raise ConfigError(f"{place(error.problem_mark or error.context_mark)}: {what}") from error
    except yaml.reader.ReaderError as error:
        raise ConfigError(f"{name}: character {error.position} is not printable") from error
    except (ValueError, OverflowError) as error:  # an escape such as "\UFFFFFFFF"
        raise ConfigError(f"{name}: not valid YAML ({error})") from error


def _read_source(source: str | os.PathLike | Mapping) -> tuple[yaml.Node | None, Place]:
    if isinstance(source, Mapping):
        return _node(source), lambda mark: "config"
    path, name = _find(source)

    def place(mark: yaml.Mark) -> str:
        return f"{name}:{mark.line + 1}"

    return _compose(_read_text(path, name), name, place), place


def _node(value: Any) -> yaml.Node:
    """YAML node of a Python value; text is as if in quotes, so a dict passes the same checks as a file."""
    mark = yaml.Mark("", 0, 0, 0, None, None)
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        value = value.tolist()
    if isinstance(value, Mapping):
        pairs = [(yaml.ScalarNode("", str(key), mark), _node(item)) for key, item in value.items()]
        return yaml.MappingNode("", pairs, mark)
    if isinstance(value, list | tuple):
        return yaml.SequenceNode("", [_node(item) for item in value], mark)
    if isinstance(value, str | os.PathLike):
        return yaml.ScalarNode("", str(value), mark, style='"')
    if value is None or isinstance(value, bool | int | float):
        return yaml.ScalarNode("", json.dumps(value), mark)
    raise ConfigError(f"config: a value is of type {type(value).__name__}; numbers, text, lists and dicts are wanted")


def _find(source: str | os.PathLike) -> tuple[Path, str]:
    """The file, and what to call it in messages."""
    if isinstance(source, str) and source in shipped_names():
        return _shipped_dir() / f"{source}.yaml", f"configs/{source}.yaml"
    path = Path(source)
    if os.path.isfile(path):  # unlike Path.is_file, it gives False for a name that the system refuses
        return path, str(path)
    if os.path.exists(path):
        raise ConfigError(f"{path}: not a regular file; a config is a YAML file")
    raise ConfigError(f"{path}: no such config file; shipped configs are {', '.join(shipped_names())}")


def _read_text(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read ({error.strerror})") from error
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{name}: larger than {_MAX_BYTES} bytes; this is not a config")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: byte {error.start} is not UTF-8; save the file as UTF-8") from error


def _read_override(text: str) -> yaml.Node:
    key, equals, value = text.partition("=")
    if not (key.strip() and equals):
        raise ConfigError(f"--set {text!r}: write section.key=value")
    node = _compose(value, f"--set {text!r}", lambda mark: f"--set {text!r}")
    if node is None:
        raise ConfigError(f"--set {text!r}: the value is missing; null and '' are values")
    for name in reversed(key.strip().split(".")):
        mark = node.start_mark
        node = yaml.MappingNode("", [(yaml.ScalarNode("", name, mark), node)], mark)
    return node


# From YAML nodes to checked values.


def _collect(node: yaml.Node | None, schema: type, prefix: str, place: Place, settings: dict) -> None:
    """Add what a mapping sets to ``settings``: from dotted key to value and origin."""
    if node is None or _is_null(node):  # a section whose settings are all commented out
        return
    kinds = typing.get_type_hints(schema)
    if not isinstance(node, yaml.MappingNode):
        what = f"{prefix[:-1]} is a section" if prefix else "a config holds sections"
        names = ", ".join(kinds)
        raise ConfigError(f"{place(node.start_mark)}: {what} ({names}); it cannot be {_shown(node)}")
    first: dict[str, int] = {}
    for key_node, value in node.value:
        name = key_node.value if isinstance(key_node, yaml.ScalarNode) else _shown(key_node)
        where = place(key_node.start_mark)
        if name not in kinds:
            raise ConfigError(f"{where}: {_unknown(name, prefix, list(kinds))}")
        if name in first:
            raise ConfigError(f"{where}: {prefix}{name} is given twice, first on line {first[name]}")
        first[name] = key_node.start_mark.line + 1
        if is_dataclass(kinds[name]):
            _collect(value, kinds[name], f"{prefix}{name}.", place, settings)
            continue
        try:
            settings[prefix + name] = _value(value, kinds[name]), where
        except _Refused as error:
            where = place(error.node.start_mark)
            wanted = _wanted(kinds[name])
            raise ConfigError(f"{where}: {prefix}{name} must be {wanted}, not {_shown(error.node)}") from None


def _unknown(name: str, prefix: str, names: list[str]) -> str:
    section = f"{prefix[:-1]}: " if prefix else ""
    near = difflib.get_close_matches(name[:80], names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the keys here are {', '.join(names)}"
    return f"{section}unknown key {_short(name)!r}; {hint}"


class _Refused(Exception):
    """A node is not what its setting wants."""

    def __init__(self, node: yaml.Node):
        self.node = node


def _value(node: yaml.Node, kind: Any) -> Any:
    """Value of a node, read as its setting's type."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return None if _is_null(node) else _value(node, _without_none(args))
    if origin is tuple and isinstance(node, yaml.SequenceNode):
        kinds = (args[0],) * len(node.value) if args[-1] is Ellipsis else args
        if len(kinds) == len(node.value):
            return tuple(_value(item, k) for item, k in zip(node.value, kinds, strict=True))
    elif isinstance(node, yaml.ScalarNode):
        for value in _scalar_values(node, kind, args):
            return value
    raise _Refused(node)


def _scalar_values(node: yaml.ScalarNode, kind: Any, choices: tuple) -> Iterator[Any]:
    """What a scalar means as ``kind``: one value, or none if it cannot mean any."""
    text, plain = node.value, node.style is None
    if typing.get_origin(kind) is Literal:
        yield from (c for c in choices if text == str(c) and (plain or isinstance(c, str)))
    elif kind is str:
        # Words such as `no` are booleans to YAML 1.1 only.
        if not plain or node.tag.endswith(":str") or (node.tag.endswith(":bool") and text not in ("true", "false")):
            yield text
    elif not plain:
        return
    elif kind is bool and text in ("true", "false"):
        yield text == "true"
    elif kind is int and _INT.fullmatch(text):
        yield int(text)
    elif kind is float and _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        yield float(text)


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.value in _NULLS


def _without_none(args: tuple) -> Any:
    (kind,) = (a for a in args if a is not type(None))
    return kind


def _wanted(kind: Any) -> str:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(map(str, args))}"
    if origin in (typing.Union, types.UnionType):
        return f"{_wanted(_without_none(args))} or null"
    if origin is tuple:
        return f"[{', '.join('...' if a is Ellipsis else _wanted(a) for a in args)}]"
    return {
        bool: "true or false",
        int: "a whole number",
        float: "a finite number",
        str: "text, in quotes if it looks like something else",
    }[kind]


def _shown(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return f"a list of {len(node.value)}"
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if _is_null(node):
        return "empty"
    return _short(node.value) if node.style is None else f"the text {_short(node.value)!r}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."


def _build(defaults: Any, prefix: str, settings: dict) -> Any:
    """The defaults of a section, with the settings put in their places and checked together."""
    changes = {}
    for f in fields(defaults):
        key, value = prefix + f.name, getattr(defaults, f.name)
        if is_dataclass(value):
            changes[f.name] = _build(value, f"{key}.", settings)
        elif key in settings:
            changes[f.name] = settings[key][0]
    try:
        return replace(defaults, **changes)
    except ValueError as error:
        # The text begins with a field's name. If that one is a default, what clashes with it was set nearby.
        culprit = prefix + str(error).partition(" ")[0]
        nearby = (origin for key, (_, origin) in settings.items() if key.startswith(prefix))
        origin = settings[culprit][1] if culprit in settings else next(nearby, "default")
        raise ConfigError(f"{origin}: {prefix}{error}") from error
