"""What is told of a table that is read in many blocks and counted up to a limit is what is told of a small one."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import Data
from pipeline.data.sources import batches
from pipeline.data.tables import look
from pipeline.data.tables.report import Row, report

ROWS = 600
NUMBERS = [str(number) for number in np.random.default_rng(0).integers(0, 500, ROWS)]
COLUMNS = {
    "slip": [*NUMBERS[:-5], "2O", *NUMBERS[-4:]],
    "word": [*NUMBERS[:-5], "unbelievable", *NUMBERS[-4:]],
    "infinite": [*NUMBERS[:-1], "inf"],
    "power": ["3E7" if row == 590 else str(row % 9) for row in range(ROWS)],
    "book": [str(9_783_161_484_100 + 37 * row) for row in range(ROWS)],
    "code": [f"0{3000 + row}" for row in range(ROWS)],
    "long": [str(2**60 + row) for row in range(ROWS)],
    "name": [f"u{row}" for row in range(ROWS)],
    "pressure": [str(60 + row * 7 % 120) if row % 8 else "0" for row in range(ROWS)],
    "month": [f"{2000 + row % 20}{1 + row % 12:02}" if row % 9 else "999999" for row in range(ROWS)],
    "sentinel": ["-9999" if row % 50 == 40 else f"{row % 17}.5" for row in range(ROWS)],
    "comma": [f"{row % 90},{row % 10}5" for row in range(ROWS)],
    "thousands": [f"{1 + row % 90},{100 + row % 800}" for row in range(ROWS)],
    "unit": [*(f"{row} kg" for row in range(ROWS - 1)), "7"],
    "day": [f"{1 + row % 12}/{1 + row % 11}/2023" for row in range(ROWS)],
    "never": ["9999-12-31" if row == 500 else f"2023-01-{1 + row % 28:02}" for row in range(ROWS)],
    "colour": [("Red", "red", "blue")[row % 3] for row in range(ROWS)],
    "flag": ["1" if row % 2 else "" for row in range(ROWS)],
    "constant": ["7.5"] * ROWS,
    "range": [f"{row % 9}-{row % 9 + 5}" for row in range(ROWS)],
    "truth": ["true" if row % 2 else "1" for row in range(ROWS)],
}


@pytest.mark.parametrize("most", [1000, 64])
def test_what_is_asked_and_told_of_a_large_file_is_that_of_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    path = tmp_path / "a.tsv"
    lines = zip(*COLUMNS.values(), strict=True)
    path.write_text("\n".join("\t".join(cells) for cells in (COLUMNS.keys(), *lines)) + "\n")
    small = {row.name: row for row in report(Data(kind="table", path=str(path)))[0]}
    for module, name, value in (
        (batches, "WHOLE", 0), (batches, "BLOCK", 2000), (look, "KEPT", 0), (look, "DISTINCT", most), (look, "LEAST_DISTINCT", most),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    large = {row.name: row for row in report(Data(kind="table", path=str(path)))[0]}
    for name in COLUMNS:
        assert _told(large[name]) == _told(small[name]), name
        assert large[name].examples == small[name].examples
        assert large[name].distinct == small[name].distinct or (large[name].distinct.endswith("+") and most == 64)


def _told(row: Row) -> tuple[str, int, int, str]:
    """Kind, missing cells, inputs and what looks wrong; but for how many more cells than those shown are like them."""
    return row.kind, row.missing, row.inputs, re.sub(r" and \d+ more\)", ")", row.wrong)


def test_the_last_code_among_numbers_is_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text("c,y\n" + "".join(f"{cell},1.5\n" for cell in [*(str(row % 200) for row in range(ROWS)), "007"]))
    monkeypatch.setattr(look, "LEAST_DISTINCT", 8)
    monkeypatch.setattr(look, "DISTINCT", 8)
    row = report(Data(kind="table", path=str(path)))[0][0]
    assert (row.kind, row.why) == ("category", "leading zeros")
