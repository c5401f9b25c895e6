"""Random tables in random dialects are read back to the cell, or refused in one sentence: never read as something else."""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import Data
from pipeline.data.tables.table import Table, read_table
from pipeline.errors import PipelineError

WORDS = (
    "red",
    "dark blue",
    "a,b",
    "x;y",
    'say "hi"',
    "é",
    "Straße",
    "two\nlines",
    "tab\there",
    "(none)",
    "A-1",
    "10 x 12 cm",
    "p|q",
    "#",
)
PAIRS = (("true", "false"), ("TRUE", "FALSE"), ("yes", "no"), ("Y", "N"), ("t", "f"))
DATES = ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d-%b-%Y", "%b %d, %Y", "%Y%m%d", "%d.%m.%y")


@dataclass(frozen=True)
class Column:
    """What stands in the file, and what it means: numbers (NaN: missing) or words (None: missing)."""

    cells: list[str]
    numbers: list[float] | None
    words: list[str | None] | None


@dataclass(frozen=True)
class Dialect:
    delimiter: str
    decimal: str
    thousands: str
    prefix: str
    suffix: str
    blank: str
    date: str


def grouped(digits: str, mark: str) -> str:
    head = len(digits) % 3 or 3
    return mark.join([digits[:head], *(digits[i : i + 3] for i in range(head, len(digits), 3))])


def number(value: float, decimals: int, dialect: Dialect) -> str:
    whole, _, rest = f"{abs(value):.{decimals}f}".partition(".")
    text = grouped(whole, dialect.thousands) + (dialect.decimal + rest if rest else "")
    sign = "-" if value < 0 else ""
    return f"{sign}{dialect.prefix}{text}{dialect.suffix}"


def column(rng: random.Random, kind: str, rows: int, dialect: Dialect) -> Column:
    gaps = [rng.random() < 0.15 for _ in range(rows)] if rng.random() < 0.4 else [False] * rows
    blank = dialect.blank if kind not in ("word", "code", "truth") or dialect.blank in ("", "NA") else "NA"
    if kind in ("whole", "fraction"):
        decimals = 0 if kind == "whole" else rng.choice((1, 2, 2, 3, 4))
        top = 10 ** rng.randint(1, 6)
        values = [round(rng.uniform(-top / 4 if rng.random() < 0.3 else 0, top), decimals) for _ in range(rows)]
        cells = [number(value, decimals, dialect) for value in values]
        numbers = values
    elif kind == "date":
        first = date(1990, 1, 1) + timedelta(rng.randrange(9000))
        moments = [first + timedelta(rng.randrange(rng.choice((5, 4000)))) for _ in range(rows)]
        cells = [moment.strftime(dialect.date) for moment in moments]
        numbers = [float((moment - date(1970, 1, 1)).days) for moment in moments]
    elif kind == "truth":
        pair = rng.choice(PAIRS)
        truths = [rng.random() < 0.5 for _ in range(rows)]
        cells = [pair[0] if value else pair[1] for value in truths]
        numbers = [float(value) for value in truths]
    else:
        known = rng.sample(WORDS, 4) if kind == "word" else [f"{rng.randrange(100):04d}" for _ in range(4)]
        cells = [rng.choice(known) for _ in range(rows)]
        words = [None if gap else text for text, gap in zip(cells, gaps, strict=True)]
        return Column([blank if gap else text for text, gap in zip(cells, gaps, strict=True)], None, words)
    there = [np.nan if gap else value for value, gap in zip(numbers, gaps, strict=True)]
    return Column([blank if gap else text for text, gap in zip(cells, gaps, strict=True)], there, None)


def dialect_of(rng: random.Random) -> Dialect:
    delimiter, decimal = rng.choice(",;\t|"), rng.choice(".,")
    marks = {".": ("", ",", " ", "'"), ",": ("", ".", " ", "'")}[decimal]
    if delimiter != ";" and "." in marks:  # 1.234 in a file that is no sign of decimal commas is the number that it looks like
        marks = ("", " ", "'")
    return Dialect(
        delimiter=delimiter,
        decimal=decimal,
        thousands=rng.choice(marks),
        prefix=rng.choice(("", "", "", "$", "€ ")),
        suffix=rng.choice(("", "", "", " %", " km")),
        blank=rng.choice(("", "", "NA", "-", "?", "null")),
        date=rng.choice(DATES),
    )


def written(rng: random.Random, names: list[str], columns: list[Column], dialect: Dialect, *, header: bool) -> str:
    ends, text = rng.choice(("\n", "\r\n")), io.StringIO()
    quoting = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    writer = csv.writer(text, delimiter=dialect.delimiter, lineterminator=ends, quoting=quoting)
    if header:
        writer.writerow(names)
    writer.writerows(zip(*(each.cells for each in columns), strict=True))
    return text.getvalue() + rng.choice(("", ends))


def table_of(seed: int, folder: Path) -> tuple[Data, list[str], list[Column]]:
    rng = random.Random(seed)
    dialect, rows = dialect_of(rng), rng.randint(24, 40)
    kinds = ["whole", "fraction", *rng.choices(("whole", "fraction", "word", "truth", "date", "code"), k=rng.randint(1, 4))]
    rng.shuffle(kinds)
    columns = [column(rng, kind, rows, dialect) for kind in kinds]
    header = rng.random() < 0.8
    names = [rng.choice((f"c{i}", f"name {i}", f"größe {i}", f"a,{i}")) for i in range(len(kinds))]
    content = written(rng, names, columns, dialect, header=header)
    encoding = rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))
    try:
        content.encode(encoding)
    except UnicodeEncodeError:
        encoding = "utf-8"
    path = folder / "t.csv"
    path.write_bytes(content.encode(encoding))
    told = encoding if encoding == "latin-1" and rng.random() < 0.7 else None
    said = None if header else rng.choice((False, None))
    return (
        Data(kind="table", path=str(path), encoding=told, header=said),
        names if header else [f"column_{i + 1}" for i in range(len(kinds))],
        columns,
    )


def assert_same(table: Table, names: list[str], columns: list[Column]) -> None:
    assert list(table.facts.names) == names
    for name, each in zip(names, columns, strict=True):
        if each.numbers is not None and np.isnan(each.numbers).all():
            continue
        found = table.column(name)
        if each.words is not None:
            assert found.words is not None, f"{name}: {each.cells} read as numbers"
            assert table.texts(name) == [None if word is None else word.strip() for word in each.words]
        else:
            assert found.words is None, f"{name}: {each.cells} read as words"
            np.testing.assert_allclose(table.values(name), each.numbers, rtol=1e-12, atol=1e-12, err_msg=f"{name}: {each.cells}")


def read_back(seeds: range, folder: Path) -> int:
    """How many of the tables are refused."""
    refused = 0
    for seed in seeds:
        config, names, columns = table_of(seed, folder)
        try:
            table = read_table(Path(str(config.path)), config)
        except PipelineError as error:
            assert error.exit_code == 2 and "\n" not in str(error)
            refused += 1
            continue
        try:
            assert_same(table, names, columns)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    return refused


def test_random_tables_are_read_back_or_refused(tmp_path: Path) -> None:
    assert read_back(range(150), tmp_path) < 75


@pytest.mark.slow
def test_ten_thousand_random_tables_are_read_back_or_refused(tmp_path: Path) -> None:
    assert read_back(range(10_000), tmp_path) < 5_000
