"""Damaged input of every reader is read or refused by an error of ours, soon, in little memory, and nothing is written elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.fuzz.readers import READERS

ROOT = Path(__file__).parents[3]
MANY = int(os.environ.get("FUZZ_INPUTS", 100_000))


def lost(name: str, folder: Path, count: int, first: int = 0) -> list[str]:
    """What is said of the samples of a reader that are lost; a crash costs one of them."""
    found, end = list[str](), first + count
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder), "HOME": str(folder),
        "OPENBLAS_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true",
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    while first < end:
        words = [sys.executable, "-m", "tests.faults.fuzz.child", name, str(folder), str(first), str(end - first)]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
        found += done.stdout.splitlines()
        now = (folder / "now").read_text() if (folder / "now").exists() else "before the first"
        if now == "done":
            break
        found.append(f"{now}: the process ended with {done.returncode}: {done.stderr[-500:]}")
        number = now.split()[-1]
        if "," in name or not number.isdigit():
            break
        first = int(number) + 1
    return found


def test_a_few_damaged_inputs_of_each(tmp_path: Path) -> None:
    assert not lost(",".join(READERS), tmp_path / "fuzz", 15)


@pytest.mark.soak
@pytest.mark.parametrize("name", READERS)
def test_many_damaged_inputs(tmp_path: Path, name: str) -> None:
    found = lost(name, tmp_path / "fuzz", MANY, first=1000)
    assert not found, f"{len(found)} of {MANY} lost: " + "\n".join(found[:20])
