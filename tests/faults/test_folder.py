"""A run folder of somebody else: a pipe, a device or a file of a terabyte in place of one of its files is refused in a line, at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Command, pipeline_command, work

__all__ = ["pipeline_command", "work"]
PIPE, LARGE = "it is a pipe or a device", "it has 1,048,576 MiB, more than any that is written here"
ASKED = {
    "config.yaml": ("task=evaluate", "run=r"),
    "checkpoints/checkpoint.json": ("task=evaluate", "run=r"),
    "checkpoints/*.safetensors": ("task=evaluate", "run=r"),
}


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def large(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


@pytest.mark.parametrize("make", [pipe, device, large])
def test_what_is_no_file_of_a_run_is_refused(work: Path, pipeline_command: Command, make: object) -> None:
    assert pipeline_command("data=iris", "architecture=mlp_small", "training.epochs=1", "output=r").returncode == 0
    assert callable(make)
    for name, words in ASKED.items():
        for path in (work / "r").glob(name):
            kept = path.rename(path.with_name("kept"))
            make(path)
            done = pipeline_command(*words)
            path.unlink()
            kept.rename(path)
            said = (LARGE if make is large else PIPE).lower()
            assert done.returncode == 2 and said in done.stderr.lower() and done.stderr.count("\n") == 1, (name, done.stderr)
