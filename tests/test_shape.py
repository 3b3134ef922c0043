"""The code stays readable: short files, short functions, few files in the top folder."""

import ast
from pathlib import Path

import pytest

import karaoke_sep

PACKAGE = Path(karaoke_sep.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted(Path(__file__).parent.glob("*.py"))
MAX_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_TOP_FILES = 15
LONGER = {"demo_song.py"}  # a score: most of its lines are notes


def functions(path):
    """Name and number of lines of each function of a file, without its decorators."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("path", FILES + TESTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_file_has_at_most_400_lines_and_a_function_at_most_60(path):
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert n_lines <= MAX_LINES or path.name in LONGER
    assert [(name, n) for name, n in functions(path) if n > MAX_FUNCTION_LINES] == []


def test_the_top_folder_holds_few_files():
    assert "pipeline.py" in {path.name for path in FILES}
    assert len(list(PACKAGE.glob("*.py"))) <= MAX_TOP_FILES
