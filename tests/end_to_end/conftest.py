"""Runs of the command line, each in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from pipeline import cli

ROOT = Path(__file__).parents[2]
Finished = subprocess.CompletedProcess[str]
Command = Callable[..., Finished]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pipeline_command(work: Path) -> Command:
    """What `python -m pipeline ARGUMENTS` does in the working directory, done in this process; without MLflow."""

    def call(*arguments: str) -> Finished:
        words = command(*arguments)[3:]
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as said:
            code = cli.main(words)
        return Finished(words, code, out.getvalue(), said.getvalue())

    return call


@pytest.fixture
def pipeline_process(work: Path) -> Command:
    """`python -m pipeline ARGUMENTS` in the working directory, a process of its own; without MLflow, unless `tracking` says otherwise."""

    def call(*arguments: str, tracking: str | None = "none") -> Finished:
        words = command(*arguments, tracking=tracking)
        return subprocess.run(words, cwd=work, env=environment(), capture_output=True, text=True, timeout=120)

    return call


def command(*arguments: str, tracking: str | None = "none") -> list[str]:
    chosen = [] if tracking is None or any(text.startswith(("task=", "resume=")) for text in arguments) else [f"tracking={tracking}"]
    return [sys.executable, "-m", "pipeline", *arguments, *chosen]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true"}


def only_run(work: Path) -> Path:
    """The one run folder of the working directory."""
    (folder,) = (path.parent for path in work.glob("runs/*/run.json"))
    return folder
