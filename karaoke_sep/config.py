"""Settings: one YAML section for each file of the method.

Every file of the method holds a frozen dataclass ``Params``, with units in the names of its fields and their ranges
beside their defaults; this file only assembles them. Later sources win: the defaults, then the YAML file (or a nested
dict), then ``section.key=value`` overrides. All errors of a source are reported at once, each with its line.
"""

import difflib
import hashlib
import json
import os
import pkgutil
import stat
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, is_dataclass, make_dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import yaml

from . import accompaniment, activity, pitch
from .dsp.stft import Params as Stft
from .errors import ConfigError
from .parts import Params as Parts
from .settings import catalogue, strict_yaml
from .settings.ranges import range_error
from .steps.accompaniment_views import Params as AccompanimentViews
from .steps.consonants import Params as Consonants
from .steps.dense_mixture import Params as DenseMixture
from .steps.harmonic_mask import Params as HarmonicMask
from .steps.joint_model import Params as JointModel
from .steps.melody_enhancement import Params as MelodyEnhancement
from .steps.pitch_refinement import Params as PitchRefinement
from .steps.singing_presence import Params as SingingPresence
from .steps.whitening import Params as Whitening
from .steps.wiener import Params as Wiener

_MAX_BYTES = 100_000  # ten times the size of a complete config; PyYAML reads any file of this size in less than 2 s
_MAX_ERRORS = 20  # in one message
_UNITS = {"hz": "Hz", "s": "s", "ms": "ms", "db": "dB", "cents": "cents", "bins": "bins", "frames": "frames"}


def backend_section(name: str, package: types.ModuleType, default: str) -> type:
    """Return the dataclass of a section that chooses one of the modules of a package.

    It holds ``backend``, the name of a module, and the ``Params`` of each module that is not private. ``method``
    is the chosen module, ``params`` its settings.
    """
    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))
    params = {n: import_module(f"{package.__name__}.{n}").Params for n in names}
    namespace = {
        "__module__": __name__,  # so that pickle finds the class
        "method": property(lambda self: import_module(f"{package.__name__}.{self.backend}")),
        "params": property(lambda self: getattr(self, self.backend)),
    }
    sections = [(n, cls, field(default_factory=cls)) for n, cls in params.items()]
    return make_dataclass(
        name, [("backend", Literal[tuple(names)], default), *sections], frozen=True, namespace=namespace
    )


if TYPE_CHECKING:  # their fields are only known at run time
    Pitch: TypeAlias = Any
    Accompaniment: TypeAlias = Any
    Activity: TypeAlias = Any
else:
    Pitch = backend_section("Pitch", pitch, default="hmm")
    Accompaniment = backend_section("Accompaniment", accompaniment, default="masked_nmf")
    Activity = backend_section("Activity", activity, default="song")


@dataclass(frozen=True)
class Config:
    """Every setting, one section for each file of the method, in the order of the data."""

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
    dense_mixture: DenseMixture = field(default_factory=DenseMixture)
    activity: Activity = field(default_factory=Activity)
    singing_presence: SingingPresence = field(default_factory=SingingPresence)
    parts: Parts = field(default_factory=Parts)


class Row(NamedTuple):
    """One setting, as it is shown to the user."""

    key: str
    value: str
    unit: str
    origin: str


def load_config(source: str | os.PathLike | Mapping | None = None, overrides: Iterable[str] | str = ()) -> Config:
    """Return the settings of a file, with overrides.

    Parameters
    ----------
    source : path, name of a shipped config, nested dict or None
        Settings that it leaves out keep their defaults. The name of a shipped config, such as "fast", means that
        config; ``./fast`` means a file.
    overrides : iterable of str, or str
        Each is "section.key=value"; they are applied in order.

    Raises
    ------
    ConfigError
        If a setting is unknown, of another type or out of range. The text has a line for each error: file and line,
        key, value and the accepted values.
    """
    return load_with_origins(source, [overrides] if isinstance(overrides, str) else overrides)[0]


def as_config(config: Config | str | os.PathLike | Mapping | None) -> Config:
    """Return a config as it is, and everything else as `load_config` reads it."""
    return config if isinstance(config, Config) else load_config(config)


def load_with_origins(
    source: str | os.PathLike | Mapping | None = None,
    overrides: Iterable[str] = (),
    schema: type = Config,
    options: Mapping[str, Iterable[str]] = types.MappingProxyType({}),
) -> tuple[Any, dict[str, str]]:
    """Return the settings as `load_config` does, and the origin of each setting that is not a default.

    Parameters
    ----------
    source, overrides
        As for `load_config`.
    schema : type
        Any dataclass tree whose fields all have defaults.
    options : mapping
        Overrides that options of the command line stand for, such as {"--pitch": ["pitch.backend=peaks"]}, so that an
        error names the option. ``overrides`` win over them.

    Returns
    -------
    config : schema
    origins : dict
        From dotted key to "file:line", "--set", the name of an option or, for a dict, "config".
    """
    reading = _Reading({}, [], set())
    if source is not None:
        with reading.collecting_errors():
            node, place = _read_source(source)
            _collect(node, schema, "", place, reading)
    for option, texts in [*options.items(), ("--set", overrides)]:
        for text in texts:
            with reading.collecting_errors():
                _collect(_read_override(text), schema, "", _Place(option, has_lines=False), reading)
    config = _build(schema(), "", reading)
    if reading.errors:
        raise ConfigError("\n".join(_at_most(_MAX_ERRORS, list(dict.fromkeys(reading.errors)))))
    return config, {key: origin for key, (_, origin) in reading.settings.items()}


def describe(config: Any, origins: Mapping[str, str] = types.MappingProxyType({})) -> list[Row]:
    """Return every effective setting with its unit and origin."""
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
    """Return every setting as a nested dict, which `load_config` reads back."""
    return asdict(config)


def changes(config: Any) -> dict[str, str]:
    """Return the settings that differ from the default config, with their values."""
    default = {row.key: row.value for row in describe(Config())}
    return {row.key: row.value for row in describe(config) if row.value != default[row.key]}


def to_yaml(config: Config) -> str:
    """Return every setting as YAML text with the comments of the default config; `load_config` reads it from a file."""
    template = (catalogue.config_folder() / "default.yaml").read_text(encoding="utf-8")
    return strict_yaml.fill(template, dict(_leaves(config)))


def setting_choices(schema: type = Config, prefix: str = "") -> dict[str, tuple[str, ...]]:
    """Return the dotted key of every setting, with its values where these are few."""
    found: dict[str, tuple[str, ...]] = {}
    for name, kind in typing.get_type_hints(schema).items():
        if isinstance(kind, type) and is_dataclass(kind):
            found |= setting_choices(kind, f"{prefix}{name}.")
        else:
            words = ("true", "false") if kind is bool else typing.get_args(kind)
            found[prefix + name] = tuple(map(str, words)) if typing.get_origin(kind) is Literal or kind is bool else ()
    return found


def fingerprint(config: Any) -> str:
    """Return 16 hexadecimal digits that are the same for equal configs."""
    settings = json.loads(json.dumps(dict(_leaves(config))), parse_int=float)  # 50 and 50.0 are equal settings
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def _leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for f in fields(config):
        value = getattr(config, f.name)
        if is_dataclass(value):
            yield from _leaves(value, f"{prefix}{f.name}.")
        else:
            yield prefix + f.name, value


# From sources to YAML nodes.


class _Place(NamedTuple):
    """Name of a source in messages, with line numbers if it is a file."""

    name: str
    has_lines: bool

    def of(self, node: yaml.Node) -> str:
        return f"{self.name}:{node.start_mark.line + 1}" if self.has_lines else self.name


def _read_source(source: str | os.PathLike | Mapping) -> tuple[yaml.Node | None, _Place]:
    if isinstance(source, Mapping):
        return strict_yaml.as_node(source), _Place("config", has_lines=False)
    path, name = _find(source)
    return strict_yaml.compose(_read_text(path, name), name), _Place(name, has_lines=True)


def _find(source: str | os.PathLike) -> tuple[Path, str]:
    """Return the path of a config file, and its name in messages."""
    names = catalogue.configs()
    if isinstance(source, str) and source in names:
        return catalogue.config_folder() / f"{source}.yaml", f"configs/{source}.yaml"
    path = Path(source)
    try:
        mode = os.stat(path).st_mode
    except PermissionError:  # a parent folder is not accessible
        raise ConfigError(f"{path}: cannot be read (permission denied); change its permissions") from None
    except (OSError, ValueError):  # also a name that the system rejects
        raise ConfigError(f"{path}: no such config file; shipped configs are {', '.join(names)}") from None
    if not stat.S_ISREG(mode):
        raise ConfigError(f"{path}: not a regular file; a config is a YAML file")
    return path, str(path)


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
    node = strict_yaml.compose(value, f"--set {text!r}", has_lines=False)
    if node is None:
        raise ConfigError(f"--set {text!r}: the value is missing; null and '' are values")
    for name in reversed(key.strip().split(".")):
        mark = node.start_mark
        node = yaml.MappingNode("", [(yaml.ScalarNode("", name, mark), node)], mark)
    return node


# From YAML nodes to a checked config.


class _Reading(NamedTuple):
    """Settings that have been read so far.

    Attributes
    ----------
    settings : dict
        From dotted key to value and origin.
    errors : list of str
    faulty : set of str
        Prefixes of the sections that contain an error. Their other settings are not checked against each other.
    """

    settings: dict[str, tuple[Any, str]]
    errors: list[str]
    faulty: set[str]

    @contextmanager
    def collecting_errors(self) -> Iterator[None]:
        """Keep a ConfigError that ends the reading of a source, so that the next source is read too."""
        try:
            yield
        except ConfigError as error:
            self.errors.append(str(error))

    def reject(self, prefix: str, line: str) -> None:
        """Note an error of a section."""
        self.faulty.add(prefix)
        self.errors.append(line)


def _collect(node: yaml.Node | None, schema: type, prefix: str, place: _Place, reading: _Reading) -> None:
    """Add the settings of a mapping to those that have been read."""
    if node is None or strict_yaml.is_null(node):  # a section whose settings are all commented out
        return
    kinds = typing.get_type_hints(schema)
    if not isinstance(node, yaml.MappingNode):
        what = f"{prefix[:-1]} is a section" if prefix else "a config holds sections"
        line = f"{place.of(node)}: {what} ({', '.join(kinds)}); it cannot be {strict_yaml.shown(node)}"
        reading.reject(prefix, line)
        return
    first: dict[str, int] = {}
    for key_node, value in node.value:
        name = key_node.value if isinstance(key_node, yaml.ScalarNode) else strict_yaml.shown(key_node)
        where = place.of(key_node)
        if name not in kinds:
            reading.reject(prefix, f"{where}: {_unknown(name, prefix, list(kinds))}")
        elif name in first:
            reading.reject(prefix, f"{where}: {prefix}{name} is given twice, first on line {first[name]}")
        elif is_dataclass(kinds[name]):
            _collect(value, kinds[name], f"{prefix}{name}.", place, reading)
        else:
            try:
                reading.settings[prefix + name] = strict_yaml.read_value(value, kinds[name]), where
            except strict_yaml.WrongType as error:
                expected, found = strict_yaml.wanted(kinds[name]), strict_yaml.shown(error.node)
                reading.reject(prefix, f"{place.of(error.node)}: {prefix}{name} must be {expected}, not {found}")
        first.setdefault(name, key_node.start_mark.line + 1)


def _unknown(name: str, prefix: str, names: list[str]) -> str:
    section = f"{prefix[:-1]}: " if prefix else ""
    near = difflib.get_close_matches(name[:80], names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the keys here are {', '.join(names)}"
    return f"{section}unknown key {strict_yaml.short(name)!r}; {hint}"


def _build(defaults: Any, prefix: str, reading: _Reading) -> Any:
    """Return the defaults of a section with the settings put in their places and checked together."""
    changes = {}
    for f in fields(defaults):
        key, value = prefix + f.name, getattr(defaults, f.name)
        if is_dataclass(value):
            changes[f.name] = _build(value, f"{key}.", reading)
        elif key in reading.settings:
            changes[f.name] = reading.settings[key][0]
    if prefix in reading.faulty:
        for f in fields(defaults):
            value, origin = reading.settings.get(prefix + f.name, (getattr(defaults, f.name), ""))
            if line := range_error(f, value):
                reading.errors.append(f"{origin}: {prefix}{line}")
        return defaults
    try:
        return replace(defaults, **changes)
    except ValueError as error:
        for line in str(error).split("\n"):
            # The text begins with a field's name. If that field is a default, the value that clashes with it was set
            # nearby.
            culprit = prefix + line.partition(" ")[0]
            nearby = (origin for key, (_, origin) in reading.settings.items() if key.startswith(prefix))
            origin = reading.settings[culprit][1] if culprit in reading.settings else next(nearby, "default")
            reading.errors.append(f"{origin}: {prefix}{line}")
        return defaults


def _at_most(count: int, lines: list[str]) -> list[str]:
    """Return the first lines, and a last line with the number of further errors."""
    n_more = len(lines) - count
    return lines if n_more <= 0 else [*lines[:count], f"and {n_more} more {'error' if n_more == 1 else 'errors'}"]
