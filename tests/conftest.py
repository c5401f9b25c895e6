"""What holds for all tests."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import cli, tasks
from pipeline.sweeps import run as sweep
from tests import recorder

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell has this ignored in what it runs in the background, children included
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--minutes", type=float, default=120.0, help="how long tests that take hours go on")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """command("seed=1", ..., train="run") -> exit code: a command line whose train task is one of `recorder`, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep, "sweep_finished", recorder.finished)
    recorder.calls.clear()
    recorder.sweeps.clear()

    def run(*argv: str, train: str = "run") -> int:
        monkeypatch.setitem(tasks.TASKS, "train", tasks.Task(function=f"tests.recorder:{train}", takes_resume=True))
        return cli.main(list(argv))

    return run
