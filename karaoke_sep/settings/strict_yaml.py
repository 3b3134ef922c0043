"""YAML nodes to typed values, and back.

A scalar is read as the declared type of its setting, whatever it looks like: ``1e-4`` is a number, and ``no`` is text,
not ``false``. Tags, anchors, aliases, deep nesting, NaN and infinities are errors. Nodes keep their line numbers, so
that a message can name the line.
"""

import json
import math
import os
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import yaml

from ..errors import ConfigError

MAX_DEPTH = 10  # section, backend, setting and list make 4
_FLOAT = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_PLAIN = re.compile(r"[a-z][a-z_]*")
_NULLS = ("", "~", "null")


class WrongType(Exception):
    """A node cannot be read as the type of its setting.

    Attributes
    ----------
    node : yaml.Node
        The node, or the item of a list, that is of another type.
    """

    def __init__(self, node: yaml.Node):
        self.node = node


class _Loader(yaml.SafeLoader):
    """Composes nodes of plain and shallow YAML only."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node, unless it holds more than plain values."""
        event = self.peek_event()
        if event.anchor is not None or getattr(event, "tag", None) is not None:
            problem = "tags, anchors and aliases are not accepted; write the value out"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        if self.depth == MAX_DEPTH:
            problem = f"more than {MAX_DEPTH} levels of nesting; sections hold settings, two or three levels deep"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def compose(text: str, name: str, has_lines: bool = True) -> yaml.Node | None:
    """Return the root node of a YAML text, or None for an empty one.

    Parameters
    ----------
    text : str
    name : str
        Name of the source in messages.
    has_lines : bool
        Whether messages give the line as well.

    Raises
    ------
    ConfigError
        If the text is not plain YAML.
    """
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        what = " ".join(", ".join(filter(None, (error.context, error.problem))).split())
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if has_lines and mark else ""
        raise ConfigError(f"{name}{line}: {what}") from error
    except yaml.reader.ReaderError as error:
        raise ConfigError(f"{name}: character {error.position} is not printable; remove it") from error
    except (ValueError, OverflowError) as error:  # an escape such as "\UFFFFFFFF"
        raise ConfigError(f"{name}: not valid YAML ({error})") from error


def as_node(value: Any) -> yaml.Node:
    """Return the YAML node of a Python value.

    Text becomes a quoted scalar, so that a dict passes the same checks as a file.

    Raises
    ------
    ConfigError
        If a value is of a type that YAML does not have.
    """
    mark = yaml.Mark("", 0, 0, 0, None, None)
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        value = value.tolist()
    if isinstance(value, Mapping):
        pairs = [(yaml.ScalarNode("", str(key), mark), as_node(item)) for key, item in value.items()]
        return yaml.MappingNode("", pairs, mark)
    if isinstance(value, list | tuple):
        return yaml.SequenceNode("", [as_node(item) for item in value], mark)
    if isinstance(value, str | os.PathLike):
        return yaml.ScalarNode("", str(value), mark, style='"')
    if value is None or isinstance(value, bool | int | float):
        return yaml.ScalarNode("", json.dumps(value), mark)
    raise ConfigError(f"config: a value is of type {type(value).__name__}; numbers, text, lists and dicts are accepted")


def read_value(node: yaml.Node, kind: Any) -> Any:
    """Return the value of a node, read as the type that its setting declares.

    Raises
    ------
    WrongType
        If the node cannot be read so.
    """
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return None if is_null(node) else read_value(node, _without_none(args))
    if origin is tuple and isinstance(node, yaml.SequenceNode):
        kinds = (args[0],) * len(node.value) if args[-1] is Ellipsis else args
        if len(kinds) == len(node.value):
            return tuple(read_value(item, k) for item, k in zip(node.value, kinds, strict=True))
    elif isinstance(node, yaml.ScalarNode):
        for value in _scalar_values(node, kind, args):
            return value
    raise WrongType(node)


def _scalar_values(node: yaml.ScalarNode, kind: Any, choices: tuple) -> Iterator[Any]:
    """Yield the value of a scalar as ``kind``; nothing if the text has no such value."""
    text, plain = node.value, node.style is None
    if typing.get_origin(kind) is Literal:
        yield from (c for c in choices if text == str(c) and (plain or isinstance(c, str)))
    elif kind is str:
        # Words such as `no` are booleans to YAML 1.1 only.
        is_word = (
            not plain or node.tag.endswith(":str") or (node.tag.endswith(":bool") and text not in ("true", "false"))
        )
        if is_word and _can_be_a_file_name(text):
            yield text
    elif not plain:
        return
    elif kind is bool and text in ("true", "false"):
        yield text == "true"
    elif kind is int and _INT.fullmatch(text):
        yield int(text)
    elif kind is float and _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        yield float(text)


def _can_be_a_file_name(text: str) -> bool:
    """Return whether a text can be a path, because every text setting is a path."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:  # a lone surrogate that represents no byte
        return False


def is_null(node: yaml.Node) -> bool:
    """Return whether a node is empty or null."""
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.value in _NULLS


def _without_none(args: tuple) -> Any:
    (kind,) = (a for a in args if a is not type(None))
    return kind


def wanted(kind: Any) -> str:
    """Return the accepted values of a type, in words."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(map(str, args))}"
    if origin in (typing.Union, types.UnionType):
        return f"{wanted(_without_none(args))} or null"
    if origin is tuple:
        return f"[{', '.join('...' if a is Ellipsis else wanted(a) for a in args)}]"
    return {
        bool: "true or false",
        int: "a whole number",
        float: "a finite number",
        str: "text, in quotes if it looks like something else",
    }[kind]


def shown(node: yaml.Node) -> str:
    """Return a short description of a node for a message."""
    if isinstance(node, yaml.SequenceNode):
        return f"a list of {len(node.value)}"
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if is_null(node):
        return "empty"
    if node.style is None:
        return short(node.value)
    fault = "" if _can_be_a_file_name(node.value) else ", which no file name can hold"
    return f"the text {short(node.value)!r}{fault}"


def short(text: str) -> str:
    """Return the first 60 characters of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."


def fill(template: str, values: Mapping[str, Any]) -> str:
    """Return a YAML text with other values and the same comments.

    Parameters
    ----------
    template : str
        Plain YAML of nested mappings.
    values : mapping
        From dotted key, which the template must hold, to value.
    """
    places = {key: (node.start_mark.index, node.end_mark.index) for key, node in _leaves(compose(template, ""), "")}
    for key in sorted(values, key=places.__getitem__, reverse=True):  # from the end: positions stay valid
        start, stop = places[key]
        text, old = _scalar_text(values[key]), template[start:stop]
        if text == old or read_value_is(old, values[key]):
            continue
        rest = template[stop:]
        margin = len(rest) - len(rest.lstrip(" "))
        if rest[margin : margin + 1] == "#":  # keep the column of the comment if there is room
            rest = " " * max(2, margin + len(old) - len(text)) + rest[margin:]
        template = template[:start] + text + rest
    return template


def read_value_is(text: str, value: Any) -> bool:
    """Return whether a text of the template is read as a value already, such as 50 for 50.0."""
    node = compose(text, "")
    kind = type(value) if not isinstance(value, tuple) else None
    if node is None or kind not in (bool, int, float, str):
        return False
    try:
        return read_value(node, kind) == value
    except WrongType:
        return False


def _leaves(node: yaml.Node | None, prefix: str) -> Iterator[tuple[str, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _leaves(value, f"{prefix}.{key.value}" if prefix else key.value)
    elif node is not None:
        yield prefix, node


def _scalar_text(value: Any) -> str:
    """Return a value as YAML on one line, which `read_value` reads back."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_scalar_text, value))}]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value not in ("true", "false", "null"):
        return value
    if value.isascii() and value.isprintable() and not set(value) & set("'\\"):
        return f"'{value}'"
    return yaml.safe_dump(value, default_style='"', width=math.inf).strip()
