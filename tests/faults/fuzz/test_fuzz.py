"""Damaged input of every reader is read or refused by an error of ours, soon, in little memory, and nothing is written elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.fuzz.__main__ import fuzz, lost
from tests.faults.fuzz.readers import READERS

MANY = int(os.environ.get("FUZZ_INPUTS", 100_000))


def test_a_few_damaged_inputs_of_each(tmp_path: Path) -> None:
    assert not lost(",".join(READERS), tmp_path / "fuzz", 15)


def test_names_of_a_damaged_database_that_are_no_utf_8(tmp_path: Path) -> None:
    assert not lost("sqlite", tmp_path / "fuzz", 1, first=6457)


@pytest.mark.soak
def test_many_damaged_inputs(tmp_path: Path) -> None:
    assert fuzz(tmp_path / "fuzz", list(READERS), MANY, jobs=2) == 0, (tmp_path / "fuzz" / "lost.txt").read_text()[:5000]
