"""A CSV or Parquet file -> one matrix of numbers on disk, chunk by chunk: the file need not fit in memory.

A number, a date (days since 1970-01-01) or a truth value (1, 0) is itself; a word is its place in the column's list of words; a
missing cell is NaN. The kind of a CSV column is what all its cells share, so a CSV is read twice.
"""

# N rows, C columns
from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.settings import Data
from pipeline.data.table import (
    Column,
    Kind,
    Numbers,
    Table,
    arrow_column,
    as_numbers,
    as_texts,
    cell,
    cell_bytes,
    csv_chunks,
    days,
    number,
    read_table,
    truth,
)
from pipeline.errors import DataError

CHUNK_ROWS = 2**14
MOST_WORDS = 100_000  # of one column: they are kept in memory


@dataclass
class Converted:
    """What a column became: its kind, its words in order of first mention (None for numbers), and the digest of its cells."""

    name: str
    kind: Kind
    words: dict[str, int] | None
    digest: Any = field(default_factory=hashlib.sha256)


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """The columns in their order, those left out by data.ignore, and the SHA-256 of each file written."""

    columns: Sequence[Converted]
    ignored: Sequence[str]
    digests: Mapping[str, str]


def convert(path: Path, config: Data, folder: Path) -> Conversion:
    """Writes `cells` float64 [N, C] and `places` (line or row numbers) int64 [N] into `folder`, as plain bytes.

    Raises DataError as `read_table` does.
    """
    columns: list[Converted] = []
    ignored: list[str] = []
    written = {"cells": hashlib.sha256(), "places": hashlib.sha256()}
    try:
        with (folder / "cells").open("xb") as cells, (folder / "places").open("xb") as places:
            for table in _csv(path, config) if config.kind == "csv" else _parquet(path, config):
                if not columns:
                    ignored = [name for name in table.columns if name in config.ignore]
                    columns = [_converted(column, config) for name, column in table.columns.items() if name not in ignored]
                made = [_numbers(table, table.columns[entry.name], entry) for entry in columns]
                for name, file, array in (("cells", cells, np.stack(made, axis=1)), ("places", places, table.places)):
                    file.write(array.data)
                    written[name].update(array.data)
    except _Unreadable as error:
        read_table(path, parquet=config.kind == "parquet")  # says what is wrong
        raise AssertionError(f"{path} can be read as a whole and not by chunks") from error
    digests = {name: digest.hexdigest() for name, digest in written.items()}
    return Conversion(columns=columns, ignored=ignored, digests=digests)


class _Unreadable(Exception):
    """Something that `read_table` has a sentence for."""


def _converted(column: Column, config: Data) -> Converted:
    """Words where the cells may be wanted as they are written."""
    words = (
        column.kind in ("text", "mixed") or column.name in config.categorical or (column.kind == "bool" and column.name == config.target)
    )
    return Converted(name=column.name, kind=column.kind, words={} if words else None)


def _numbers(table: Table, column: Column, entry: Converted) -> Numbers:
    """The cells of a chunk as numbers; new words get the next places."""
    if entry.words is None:
        values = as_numbers(table, column)
        entry.digest.update(cell_bytes(values))
        return values
    texts, words = as_texts(table, column), entry.words
    entry.digest.update(cell_bytes(texts))
    places = [np.nan if text is None else words.setdefault(text, len(words)) for text in texts]
    if len(words) > MOST_WORDS:
        rule = f"column {column.name} has more than {MOST_WORDS} different words"
        raise DataError(f"data.path = {table.path}: {rule}; leave it out with data.ignore=[{column.name}]")
    return np.array(places, np.float64)


def _csv(path: Path, config: Data) -> Iterator[Table]:
    """Chunks of the columns that are not ignored, each with the kind that holds for the whole file."""
    found: dict[str, _Kinds] = {}
    for names, _, rows in _csv_chunks(path):
        for name, texts in zip(names, zip(*rows, strict=True), strict=True):
            if name not in config.ignore:
                found.setdefault(name, _Kinds()).see([cell(text) for text in texts])
    for names, lines, rows in _csv_chunks(path):
        columns = {
            name: _column(name, found[name].kind, texts) if name in found else Column(name=name, kind="other")
            for name, texts in zip(names, zip(*rows, strict=True), strict=True)
        }
        yield Table(path=path, columns=columns, places=np.array(lines, np.int64), unit="line")


def _column(name: str, kind: Kind, written: Sequence[str]) -> Column:
    texts, numbers = [cell(text) for text in written], None
    if kind == "number":  # all cells at once, which is fast
        numbers = np.array(["nan" if text is None else text for text in texts], np.float64)
    return Column(name=name, kind=kind, texts=texts, numbers=numbers)


def _csv_chunks(path: Path) -> Iterator[tuple[list[str], list[int], list[list[str]]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from csv_chunks(path, file, CHUNK_ROWS)
    except (OSError, UnicodeDecodeError) as error:
        raise _Unreadable from error


@dataclass
class _Kinds:
    """What the cells of a CSV column are so far; the rules of `typed`, chunk by chunk."""

    numbers: bool = True
    truths: bool = True
    dates: bool = True
    parsed: int = 0
    present: int = 0

    def see(self, texts: Sequence[str | None]) -> None:
        """Takes in a chunk."""
        there = [text for text in texts if text is not None]
        self.present += len(there)
        try:
            values = np.array(there, np.float64)
            self.truths &= bool(np.isin(values, (0.0, 1.0)).all())
            self.dates &= not there
            self.parsed += len(there)
        except ValueError:
            self.numbers = False
            self.truths = self.truths and all(truth(text) is not None for text in there)
            self.dates = self.dates and all(days(text) is not None for text in there)
            self.parsed += sum(number(text) is not None for text in there)

    @property
    def kind(self) -> Kind:
        """Of all that was seen."""
        if self.numbers or self.truths or self.dates:
            return "number" if self.numbers else "bool" if self.truths else "date"
        return "mixed" if 2 * self.parsed > self.present else "text"


def _parquet(path: Path, config: Data) -> Iterator[Table]:
    """Chunks of the columns that are not ignored."""
    import pyarrow as pa  # noqa: PLC0415  # 0.1 s that only this kind of file needs
    import pyarrow.parquet  # noqa: PLC0415

    try:
        file = pyarrow.parquet.ParquetFile(path)
        names = file.schema_arrow.names
        used = [name for name in names if name not in config.ignore and name != "__index_level_0__"]
        if not file.metadata.num_rows or not used or len(set(names)) < len(names):
            raise _Unreadable
        start = 0
        for batch in file.iter_batches(batch_size=CHUNK_ROWS, columns=used):
            table = pa.Table.from_batches([batch])
            columns = {name: arrow_column(pa, name, table.column(name)) for name in used}
            columns |= {name: Column(name=name, kind="other") for name in names if name in config.ignore}
            places = np.arange(start, start + len(batch), dtype=np.int64)
            start += len(batch)
            yield Table(path=path, columns=columns, places=places, unit="row")
    except (pa.ArrowException, OSError) as error:
        raise _Unreadable from error
