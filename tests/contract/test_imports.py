"""Imports run in the direction of the data: one order of rooms, no import upwards, no circle, those for the type checker included."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("pipeline", "backends")

# Each room knows only what stands before it. `backends` is a leaf; of it, `pipeline` sees the contract, the loader, and no kernel.
ORDER = (
    "backends",
    *("text", "errors", "files", "records", "random", "rows"),  # the ground
    "screen",
    *("graph", "ops", "formula", "plan", "passes"),  # graph -> graph -> plan
    *("preprocessing", "data"),
    *("recipe", "layers", "optimizers"),  # what can be declared
    *("training", "tracking", "search"),
    "extend",
    *("config", "compiler", "program"),  # the spine
    "export",
    *("checks", "doctor", "demonstrations", "tasks", "sweeps"),
    *("report", "plots", "sklearn"),
    *("api", "cli", "__init__", "__main__"),  # the doors
)

# The same inside the largest room.
DATA = (
    *("settings", "hints", "storage"),  # the ground
    *("cells", "sources"),  # the rows of a table, as they are written
    *("dataset", "told", "split"),
    *("arrays", "images", "tables"),  # the kinds of sets
    *("reconstruction", "new", "labelled", "load", "prepared", "__init__"),
)


def _modules() -> dict[str, Path]:
    names = {}
    for top in OURS:
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


MODULES = _modules()


def _imports(module: str) -> set[str]:
    """What `module` imports: when it is loaded, inside functions, and for the type checker."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in MODULES else node.module for a in node.names)
    return found - {module}


def _room(module: str) -> str:
    """The folder of `pipeline/` that a module lies in, or the module itself where it lies in none."""
    top, _, rest = module.partition(".")
    return top if top == "backends" else rest.partition(".")[0] or "__init__"


def _data_room(module: str) -> str:
    """The same for a module of `pipeline/data/`; empty for those of other rooms."""
    inside = module.removeprefix("pipeline.data")
    return "" if inside == module else inside.removeprefix(".").partition(".")[0] or "__init__"


def _inside(module: str, *parts: str) -> bool:
    return any(module == part or module.startswith(f"{part}.") for part in parts)


def test_the_order_names_every_room_once() -> None:
    assert sorted(ORDER) == sorted({_room(module) for module in MODULES})


@pytest.mark.parametrize("room", ORDER)
def test_a_room_knows_only_what_stands_before_it(room: str) -> None:
    below = ORDER[: ORDER.index(room) + 1]
    for module in MODULES:
        if _room(module) == room:
            wrong = sorted(i for i in _imports(module) if i in MODULES and _room(i) not in below)
            assert not wrong, f"{module} imports {', '.join(wrong)}"


def test_the_order_of_data_names_every_room_and_file_once() -> None:
    assert sorted(DATA) == sorted({_data_room(module) for module in MODULES if _data_room(module)})


@pytest.mark.parametrize("room", DATA)
def test_a_room_of_data_knows_only_what_stands_before_it(room: str) -> None:
    below = ("", *DATA[: DATA.index(room) + 1])
    for module in MODULES:
        if _data_room(module) == room:
            wrong = sorted(i for i in _imports(module) if i in MODULES and _data_room(i) not in below)
            assert not wrong, f"{module} imports {', '.join(wrong)}"


def test_no_import_closes_a_circle() -> None:
    graph = {module: {i for i in _imports(module) if i in MODULES and i not in ("pipeline", "backends")} for module in MODULES}
    tuple(graphlib.TopologicalSorter(graph).static_order())


def test_training_and_tracking_know_nothing_of_each_other() -> None:
    for one, other in (("training", "tracking"), ("tracking", "training")):
        for module in MODULES:
            if _room(module) == one:
                assert not [i for i in _imports(module) if _inside(i, f"pipeline.{other}")], module


def test_tracking_knows_runs_and_no_sweeps() -> None:
    assert not [m for m in MODULES if _room(m) == "tracking" and any("sweep" in i for i in _imports(m))]


def test_hydra_dies_at_the_gate() -> None:
    users = {m for m in MODULES if any(_inside(i, "hydra", "omegaconf") for i in _imports(m))}
    names = ("claims", "compose", "jobs", "launchers", "others", "overrides", "plain_jobs", "searched", "words")
    config = {f"pipeline.config.{name}" for name in names}
    assert users == config, users


def test_only_the_sender_side_of_tracking_imports_mlflow() -> None:
    users = {m for m in MODULES if any(_inside(i, "mlflow") for i in _imports(m))}
    assert users and all(_inside(m, "pipeline.tracking") for m in users), users
    for module in users:
        loaded = [node for node in ast.parse(MODULES[module].read_text()).body if isinstance(node, (ast.Import, ast.ImportFrom))]
        assert not any("mlflow" in ast.unparse(node) for node in loaded), f"{module} imports mlflow when it is loaded"


def test_reference_and_other_backends_share_no_kernel() -> None:
    for module in MODULES:
        for one in ("reference", "numpy", "cupy"):
            if _inside(module, f"backends.{one}"):
                others = tuple(f"backends.{o}" for o in ("reference", "numpy", "cupy") if o != one)
                assert not [i for i in _imports(module) if _inside(i, *others)], module
