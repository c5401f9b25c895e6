"""Output where not every letter has a place, and where a pipe is said to be a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "pipeline", "-m", "data=iris", "training.epochs=1", "tracking=none", "seed=0,1"]


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"PYTHONIOENCODING": "ascii"}, " +- "),
        ({"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}, "─"),  # a bar that is shown in a pipe would wait for itself
    ],
)
def test_a_sweep_comes_to_its_end_whatever_letters_and_colours_its_output_takes(tmp_path: Path, told: dict[str, str], shown: str) -> None:
    environment = {**os.environ, **told, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run([*COMMAND, "sweep.metric=loss/train"], cwd=tmp_path, env=environment, capture_output=True, timeout=100)
    out = done.stdout.decode()
    assert done.returncode == 0, done.stderr
    assert shown in out and b"\x1b" not in done.stdout and (" +- " in out) == ("─" not in out)
