"""A room whose docstring lists its files and rooms lists each of them, and none that is gone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = [path.parent for top in ("pipeline", "backends") for path in sorted((ROOT / top).rglob("__init__.py"))]
MAPPED = {str(room.relative_to(ROOT)): room for room in ROOMS if re.search(r"^\w+\.py", (room / "__init__.py").read_text(), re.MULTILINE)}


@pytest.mark.parametrize("room", MAPPED)
def test_the_map_of_a_room_lists_its_files(room: str) -> None:
    folder = MAPPED[room]
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    listed = set(re.findall(r"\b(\w+\.py)\b", text)) - {"cli.py"}
    assert listed == {path.name for path in folder.glob("*.py")} - {"__init__.py"}


@pytest.mark.parametrize("room", MAPPED)
def test_the_map_of_a_room_lists_the_rooms_in_it(room: str) -> None:
    folder = MAPPED[room]
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    missing = {inner.parent.name for inner in folder.glob("*/__init__.py")} - set(re.findall(r"\b(\w+)/", text))
    assert not missing
