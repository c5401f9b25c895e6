"""A run folder of somebody else: a pipe, a device or a file of a terabyte in place of one of its files is refused in a line, at once."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from pipeline.errors import RunError
from pipeline.sweeps.journal import SweepJournal, is_sweep
from pipeline.tracking.folder import read_info
from pipeline.tracking.run import find_run
from pipeline.tracking.tracker import take_up
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


KINDS = {"pipe": "it is a pipe or a device", "folder": "it is a folder", "link": "it is a link out of the folder"}
NAMES = ("journal.jsonl", "run.json", "config.yaml", "mlflow.json", ".lock", "log.txt", "checkpoints/history.jsonl", "checkpoints/x")


def put(path: Path, kind: str, outside: Path) -> None:
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        outside.touch()
        path.symlink_to(outside)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_each_file_of_a_run_folder_is_one(tmp_path: Path, name: str, kind: str) -> None:
    run = tmp_path / "r"
    run.mkdir()
    put(run / name, kind, tmp_path / "outside")
    for ask in (lambda: find_run("r", project=tmp_path), lambda: read_info(run), lambda: take_up(run)):
        with pytest.raises(RunError, match=f"{re.escape(name)}: {KINDS[kind]}, and no file; remove it, or put the file of a copy"):
            ask()


@pytest.mark.parametrize("kind", KINDS)
def test_the_journal_of_a_sweep_is_a_file(tmp_path: Path, kind: str) -> None:
    put(tmp_path / "s" / "sweep.jsonl", kind, tmp_path / "outside")
    for ask in (lambda: is_sweep(tmp_path / "s"), lambda: SweepJournal(tmp_path / "s", project=tmp_path)):
        with pytest.raises(RunError, match=rf"sweep\.jsonl: {KINDS[kind]}, and no file"):
            ask()


def test_commands_that_find_no_file_say_so(work: Path, pipeline_command: Command) -> None:
    assert pipeline_command("data=iris", "architecture=mlp_small", "training.epochs=1", "output=runs/r").returncode == 0
    put(work / "runs" / "r" / "journal.jsonl", "pipe", work)
    for words in (["task=sync"], ["task=sync", "run=runs/r"], ["resume=runs/r", "training.epochs=2"], ["task=report", "run=runs/r"]):
        done = pipeline_command(*words)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
        assert "runs/r/journal.jsonl: it is a pipe or a device, and no file; remove it" in done.stderr
