"""A public function of arrays says in its docstring which shapes it takes and gives: [N, F], [trials, steps], [K, S, ...], [C]."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ARRAYS = re.compile(r"\b(Array|NDArray|ArrayLike)\b")
SHAPE = re.compile(r"\[[^\[\]]*[A-Za-z0-9.][^\[\]]*\]")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def _public(path: Path) -> Iterator[tuple[str, Function]]:
    """(name, function) of the functions and methods that a module offers; what `overload` declares has its words where it is defined."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        owner, body = (f"{node.name}.", node.body) if isinstance(node, ast.ClassDef) else ("", [node])
        for each in body:
            offered = isinstance(each, Function) and not owner.startswith("_") and not each.name.startswith("_")
            if offered and not any(ast.unparse(decorator) == "overload" for decorator in each.decorator_list):
                yield f"{owner}{each.name}", each


def _of_arrays(function: Function) -> bool:
    arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    annotations = (*(argument.annotation for argument in arguments), function.returns)
    return any(ARRAYS.search(ast.unparse(annotation)) for annotation in annotations if annotation is not None)


def _silent(top: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{function.lineno} {name}"
        for path in sorted((ROOT / top).rglob("*.py"))
        for name, function in _public(path)
        if _of_arrays(function) and not SHAPE.search(ast.get_docstring(function) or "")
    ]


@pytest.mark.parametrize("top", ["pipeline", "backends"])
def test_a_function_of_arrays_states_shapes(top: str) -> None:
    assert not _silent(top)
