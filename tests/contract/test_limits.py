"""What keeps the code readable: no long function, no long file, no page wider than a screen."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_FUNCTION = 60
LONGEST_FILE = {"pipeline": 400, "backends": 400, "tests": 450, "benchmarks": 450, "examples": 60}
PAGES = ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md")
WIDEST = 140


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(("top", "most"), LONGEST_FILE.items())
def test_no_file_is_long(top: str, most: int) -> None:
    lengths = {str(path.relative_to(ROOT)): len(_lines(path)) for path in (ROOT / top).rglob("*.py")}
    assert lengths and not {path: length for path, length in lengths.items() if length > most}


@pytest.mark.parametrize("top", ["pipeline", "backends"])
def test_no_function_is_long(top: str) -> None:
    """From its `def` to its last line, docstring included."""
    lengths = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path in (ROOT / top).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno is not None
    }
    assert lengths and not {place: length for place, length in lengths.items() if length > LONGEST_FUNCTION}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_a_screen(page: str) -> None:
    assert not [f"{page}:{number}" for number, line in enumerate(_lines(ROOT / page), 1) if len(line) > WIDEST]


CHANGE = {"setdefault", "pop", "popitem", "add", "append", "extend", "insert", "remove", "discard", "update", "clear", "write", "acquire"}


@pytest.mark.parametrize("top", ["pipeline", "backends"])
def test_nothing_is_done_in_an_assertion(top: str) -> None:
    """`python -O` leaves assertions out."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / top).rglob("*.py")
        for statement in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(statement, ast.Assert)
        for node in ast.walk(statement.test)
        if isinstance(node, ast.NamedExpr)
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGE)
    ]
    assert wrong == []
