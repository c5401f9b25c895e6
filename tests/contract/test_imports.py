"""Imports run in the direction of the data: no circles, and each part knows only what stands below it."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("pipeline", "backends")


def _modules() -> dict[str, Path]:
    names = {}
    for top in OURS:
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


MODULES = _modules()


def _imports(module: str, *, deep: bool = False) -> set[str]:
    """What `module` imports when it is loaded; `deep`: inside functions too.  Imports for the type checker do not count."""
    tree = ast.parse(MODULES[module].read_text())
    nodes = list(ast.walk(tree)) if deep else list(tree.body)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in MODULES else node.module for a in node.names)
    return found - {module}


def _under(*parts: str) -> tuple[str, ...]:
    return tuple(f"pipeline.{part}" for part in parts)


def _inside(module: str, *parts: str) -> bool:
    return any(module == part or module.startswith(f"{part}.") for part in parts)


def test_no_import_closes_a_circle() -> None:
    graph = {module: {i for i in _imports(module) if i in MODULES} for module in MODULES}
    tuple(graphlib.TopologicalSorter(graph).static_order())


_ABOVE = ("layers", "optimizers", "spec", "training", "tracking", "data", "tasks")
# parts -> what they may not import
FORBIDDEN = {
    ("backends",): ("pipeline",),
    ("pipeline.graph",): _under("ops", "passes", "plan", *_ABOVE),
    ("pipeline.ops",): _under("passes", "plan", *_ABOVE),
    ("pipeline.passes", "pipeline.plan"): _under(*_ABOVE),
    ("pipeline.layers", "pipeline.optimizers", "pipeline.lower"): _under("training", "tracking", "tasks", "cli", "plan"),
    ("pipeline.checks",): _under("tracking", "tasks", "cli", "config"),
    ("pipeline.training",): _under("spec", "tracking", "tasks", "cli", "config"),
    ("pipeline.tracking",): _under("spec", "training", "tasks", "cli", "config", "program"),
    ("pipeline.demonstrations",): _under("tracking", "tasks", "cli", "config"),
    ("pipeline.data",): _under("spec", "training", "tracking", "tasks", "cli", "graph", "program"),
}


@pytest.mark.parametrize("parts", FORBIDDEN, ids=lambda parts: " ".join(parts))
def test_each_part_knows_only_what_stands_below_it(parts: tuple[str, ...]) -> None:
    for module in MODULES:
        if _inside(module, *parts):
            wrong = [i for i in _imports(module) if _inside(i, *FORBIDDEN[parts])]
            assert not wrong, f"{module} imports {wrong}"


def test_hydra_dies_at_the_gate() -> None:
    users = {m for m in MODULES if any(_inside(i, "hydra", "omegaconf") for i in _imports(m, deep=True))}
    assert users <= {"pipeline.cli", "pipeline.config", "pipeline.overrides"}, users


def test_only_the_sender_side_of_tracking_imports_mlflow() -> None:
    users = {m for m in MODULES if any(_inside(i, "mlflow") for i in _imports(m, deep=True))}
    assert all(_inside(m, "pipeline.tracking") for m in users), users
    assert not any(_inside(i, "mlflow") for m in MODULES for i in _imports(m))


def test_reference_and_other_backends_share_no_kernel() -> None:
    for module in MODULES:
        for one in ("reference", "numpy", "cupy"):
            if _inside(module, f"backends.{one}"):
                others = tuple(f"backends.{o}" for o in ("reference", "numpy", "cupy") if o != one)
                assert not [i for i in _imports(module, deep=True) if _inside(i, *others)], module
