"""Every public object has a docstring, and those of the interface describe every parameter."""

import ast
import inspect
from pathlib import Path

import pytest

import karaoke_sep

PACKAGE = Path(karaoke_sep.__file__).parent


def public(node, prefix=""):
    """Public functions, classes, methods and properties of a module or class, with their dotted names."""
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.ClassDef) and not child.name.startswith("_"):
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{prefix}{child.name}.")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_everything_public_is_described(path):
    module = ast.parse(path.read_text("utf-8"))
    assert [name for name, node in public(module) if not ast.get_docstring(node)] == []
    assert ast.get_docstring(module) or not module.body


@pytest.mark.parametrize("name", sorted(set(karaoke_sep.__all__) - {"__version__"}))
def test_every_parameter_of_the_interface_is_described(name):
    thing = getattr(karaoke_sep, name)
    names = inspect.signature(thing).parameters if inspect.isfunction(thing) else vars(thing).get("__annotations__", {})
    text = inspect.getdoc(thing)
    if "As for `separate`" in text:
        text += inspect.getdoc(karaoke_sep.separate)
    assert [parameter for parameter in names if parameter not in text] == []
