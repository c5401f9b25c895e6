"""Cells of delimited text by Arrow: what its threads are given, and what they hold afterwards."""

from __future__ import annotations

import contextlib
import weakref
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.data.sources import batches
from pipeline.data.sources.batches import TextSource, _Counted, _let_go
from pipeline.data.sources.dialect import dialect
from pipeline.errors import DataError


@pytest.mark.parametrize("lines", ["1,2\n", "1,2,3\n1\n"])
@pytest.mark.parametrize("whole", [2**27, 10])
def test_threads_of_arrow_hold_nothing_of_python_after_a_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, whole: int
) -> None:
    """They would ask for the interpreter at its end, and break off the process."""
    told: list[tuple[int, int]] = []

    def look(held: list[weakref.ref[Any]]) -> None:
        _let_go(held)
        told.append((len(held), sum(one() is not None for one in held)))

    monkeypatch.setattr(batches, "_let_go", look)
    monkeypatch.setattr(batches, "WHOLE", whole)
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,2\n" * 20 + lines)
    table = TextSource(path, dialect(path, encoding=None, delimiter=None, header=None, names=()))
    for _ in range(20):
        with contextlib.suppress(DataError):
            list(table.batches(["a", "b"]))
    assert told == [(1 if whole > 10 else 2, 0)] * 20


def test_short_text_is_memory_of_arrow(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    text = TextSource(path, dialect(path, encoding=None, delimiter=None, header=None, names=()))._whole(pa, _Counted())
    assert isinstance(text, pa.Buffer) and text.to_pybytes() == path.read_bytes()
