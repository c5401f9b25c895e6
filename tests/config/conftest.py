"""A command line whose train task is one of `recorder`, in an empty working directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import cli, tasks
from tests.config import recorder


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """command("seed=1", ..., train="run") -> exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tasks, "SWEEP_FINISHED", "tests.config.recorder:finished")
    recorder.calls.clear()
    recorder.sweeps.clear()

    def run(*argv: str, train: str = "run") -> int:
        monkeypatch.setitem(tasks.TASKS, "train", tasks.Task(function=f"tests.config.recorder:{train}", takes_resume=True))
        return cli.main(list(argv))

    return run
