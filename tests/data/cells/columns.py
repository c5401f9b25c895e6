"""Columns and tables of a few cells, written to a file and read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.data import Data, Dataset, Split, load
from pipeline.data.tables.table import Table, read_table
from pipeline.errors import PipelineError

WHOLE = Split(validation=0.0, test=0.0)


def file(folder: Path, text: str, name: str = "a.csv", encoding: str = "utf-8") -> Path:
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def column(folder: Path, *cells: str, **settings: object) -> Table:
    """A table of one column `c` beside a column of numbers."""
    text = "c;n\n" + "".join(f"{cell};{row}.5\n" for row, cell in enumerate(cells))
    return table(folder, text, **settings)


def table(folder: Path, text: str, **settings: object) -> Table:
    path = file(folder, text)
    return read_table(path, Data(kind="table", path=str(path), **settings))  # type: ignore[arg-type]  # fields of Data


def refusal(folder: Path, text: str, **settings: object) -> str:
    path = file(folder, text)
    with pytest.raises(PipelineError) as error:
        load(Data(kind="table", path=str(path), **settings), seed=0)  # type: ignore[arg-type]  # fields of Data
    assert error.value.exit_code == 2 and "\n" not in str(error.value)
    return str(error.value)


def loaded(folder: Path, text: str, **settings: object) -> Dataset:
    path = file(folder, text)
    return load(Data(kind="table", path=str(path), split=WHOLE, **settings), seed=0)  # type: ignore[arg-type]  # fields of Data


def notes(found: Table) -> tuple[str, ...]:
    return found.column("c").notes


def given(setting: str, name: str = "c") -> str:
    return "'" + f"data.columns={{{name}: {{{setting}}}}}".replace("'", "'\\''") + "'"
