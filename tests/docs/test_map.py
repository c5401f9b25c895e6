"""ARCHITECTURE.md is the map of this code: its rooms, passes and ops are those that there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from pipeline import ops
from pipeline.passes import PASSES
from tests.contract.test_imports import MODULES, ORDER

ROOT = Path(__file__).parents[2]
MAP = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def _section(title: str) -> str:
    return MAP.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def _first_column(title: str) -> list[str]:
    """The words in code type that begin the rows of the section's table."""
    return re.findall(r"^\| `(\w+)` \|", _section(title), re.MULTILINE)


def test_the_rooms_are_those_of_the_order_of_imports() -> None:
    assert _first_column("The rooms") == list(ORDER)


def test_the_passes_are_those_that_run() -> None:
    assert _first_column("The passes") == [each.name for each in PASSES]


def _families() -> dict[str, str]:
    """family -> its entry in the list of ops."""
    entries = re.split(r"^- ", _section("The ops"), flags=re.MULTILINE)[1:]
    return {entry.split("`")[1]: entry for entry in entries}


def test_the_families_of_ops_are_the_files_of_their_folder() -> None:
    files = {module.split(".")[2] for module in MODULES if module.startswith("pipeline.ops.")}
    assert sorted(_families()) == sorted(files - {"table"})


@pytest.mark.parametrize("family", _families())
def test_a_family_has_the_ops_of_its_file(family: str) -> None:
    made = [op.name for op in ops.OPS.values() if op in getattr(getattr(ops, family), family.upper())]
    assert sorted(re.findall(r"`(\w+)`", _families()[family])[1:]) == sorted(made)


def test_what_the_map_points_to_is_there() -> None:
    """Folders, files and packages in code type; `conf/*.yaml` stands for many."""
    places = {word for word in re.findall(r"`([\w/.]+)`", MAP) if "/" in word}
    missing = [word for word in places if not any((ROOT / top / end).exists() for top in ("", "pipeline") for end in (word, f"{word}.py"))]
    assert places and not missing


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = re.findall(r"^[\w-]+", "\n".join(project["dependencies"]), re.MULTILINE)
    told = _section("Dependencies, and why")
    assert declared and not [name for name in declared if not re.search(rf"\b{name}\b", told)]
