"""Imports follow the order of the rooms, and libraries are imported in few files."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import karaoke_sep

PACKAGE = Path(karaoke_sep.__file__).parent

# From bottom to top: a room is a folder or a file of the package, and imports from itself and from the rooms above it
# in this list. Rooms on one line do not import each other.
ROOMS = [
    ("errors", "types"),
    ("settings",),
    ("dsp", "processes"),
    ("files",),
    ("steps",),
    ("trained",),
    ("recording",),
    ("pitch", "accompaniment"),
    ("activity",),
    ("parts",),
    ("config",),
    ("song_pitch", "segment"),
    ("pipeline",),
    ("correction", "notes", "backing", "demo_song"),
    ("datasets", "plots"),
    ("evaluation",),
    ("training", "batch"),
    ("report",),
    ("cli",),
    ("__main__",),
]

# Who may import a library; nobody else may.
HOMES = {
    "yaml": {"config", "settings"},
    "soundfile": {"files"},
    "click": {"cli"},
    "tqdm": {"cli"},
    "sklearn": {"training", "evaluation"},
    "matplotlib": {"plots"},
    "python_stretch": {"backing"},
}


def module_name(path: Path) -> str:
    """Dotted name below the package, '' for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported_names(name: str) -> set[str]:
    """Absolute dotted names that a module imports, anywhere in its text."""
    path = MODULES[name]
    package = ["karaoke_sep", *path.relative_to(PACKAGE).parent.parts]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            found |= {".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names}
    return found


def own_modules(name: str) -> set[str]:
    """Modules of this package that a module imports."""
    own = {n.partition(".")[2] for n in imported_names(name) if n.startswith("karaoke_sep.")}
    # `from .stft import istft` names stft.istft; the module is the longest part that is a file.
    return {n if n in MODULES else n.rpartition(".")[0] for n in own} - {""}


def room(name: str) -> str:
    return name.partition(".")[0]


FLOOR = {name: floor for floor, names in enumerate(ROOMS) for name in names}


def test_every_module_has_a_room_in_the_order():
    assert {room(name) for name in MODULES if name} == set(FLOOR)
    assert {"errors", "config", "pitch.hmm", "evaluation.run", ""} <= set(MODULES)
    assert {"errors", "pitch", "dsp.stft", "steps.harmonic_mask"} <= own_modules("config")


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_a_module_imports_only_from_its_room_and_from_those_before_it(name):
    others = {room(other) for other in own_modules(name)} - {room(name)}
    assert {other for other in others if FLOOR[other] >= FLOOR[room(name)]} == set()


def test_no_modules_import_each_other_in_a_circle():
    order = list(TopologicalSorter({name: own_modules(name) for name in MODULES}).static_order())
    assert set(order) == set(MODULES)


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_only_where_it_belongs(library):
    users = {room(name) for name in MODULES if library in {n.partition(".")[0] for n in imported_names(name)}}
    assert users <= HOMES[library]


def test_help_does_not_wait_for_the_numerical_libraries():
    command = [sys.executable, "-X", "importtime", "-m", "karaoke_sep", "--help"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if line.startswith("import time:")}
    assert run.stdout.startswith("Usage:")
    assert {"click", "karaoke_sep.cli.main"} <= imported
    assert imported & {"librosa", "numba", "numpy", "scipy", "scipy.signal", "sklearn", "soundfile", "yaml"} == set()


def test_the_planning_of_a_batch_imports_no_package_of_scipy():
    code = "import sys; before = set(sys.modules); import karaoke_sep.batch; print(*(set(sys.modules) - before))"
    imported = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert {"numpy", "scipy", "karaoke_sep.pipeline"} <= imported
    assert imported & {f"scipy.{name}" for name in ("fft", "linalg", "ndimage", "signal", "sparse", "special")} == set()
