"""Runs comparisons as the command does, in an empty folder, and gives what they compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.sweeps import finish
from pipeline.sweeps.comparison import Arm

Compared = Callable[..., dict[str, Arm]]


@pytest.fixture
def compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compared:
    """compared("init_rings", "seed=0,1", code=0) -> its arms by their parameters, joined by a blank, best first."""
    monkeypatch.chdir(tmp_path)
    found: list[tuple[Arm, ...]] = []
    compare = finish.comparison.compare
    monkeypatch.setattr(finish.comparison, "compare", lambda summary: found.append(compare(summary)) or found[-1])

    def run(experiment: str, *overrides: str, code: int = 0) -> dict[str, Arm]:
        assert cli.main([f"+experiment={experiment}", "tracking=none", *overrides]) == code
        return {" ".join(arm.params.values()): arm for arm in found[-1]}

    return run
