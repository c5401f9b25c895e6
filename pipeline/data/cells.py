"""The cells of a converted table -> x, block by block: what `encode` makes of a whole table."""

# N rows, C columns of the cells, D columns of x
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.columns import Category, Encoder
from pipeline.data.dataset import by_chunks
from pipeline.data.encoder import filled_note, unknown_note
from pipeline.data.table import Cells, Table
from pipeline.rows import Streamed

Array = npt.NDArray[Any]


def streamed(table: Table, encoder: Encoder) -> tuple[Streamed, list[str]]:
    """x [N, D] of every row of a converted `table`, made when it is asked for; notes on what is filled and what is unknown."""
    assert table.cells is not None
    cells, matrix = table.cells, table.cells.matrix
    width, row = len(encoder.features), matrix.shape[1:]
    x = Streamed(store=matrix, rows=None, stored_shape=row, row_shape=row, dtype=matrix.dtype)
    places = {e.name: _places(cells, e) for e in encoder.columns if isinstance(e, Category)}
    return x.then(lambda block: _encoded(block, cells, encoder, places, width), (width,), np.float64), _notes(table, encoder, places)


def _places(cells: Cells, entry: Category) -> npt.NDArray[np.int64]:
    """Number of a word -> its column among those of the entry, -1 for none; the last number stands for a missing cell."""
    index = {value: place for place, value in enumerate(entry.values)}
    known = [index.get(word, -1) for word in cells.words[entry.name]]
    return np.array([*known, len(index) if entry.missing else -1], np.int64)


def _chosen(column: Array, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The place of each cell of a column of words."""
    return places[np.where(np.isnan(column), len(places) - 1, column).astype(np.int64)]


def _encoded(block: Array, cells: Cells, encoder: Encoder, places: dict[str, npt.NDArray[np.int64]], width: int) -> Array:
    """Cells [n, C] -> x [n, D]."""
    x, start = np.zeros((len(block), width)), 0
    for entry in encoder.columns:
        column = block[:, cells.index[entry.name]]
        if not isinstance(entry, Category):
            x[:, start] = np.where(np.isnan(column), entry.fill, column)
            start += 1
            continue
        chosen = _chosen(column, places[entry.name])
        rows = np.flatnonzero(chosen >= 0)
        x[rows, start + chosen[rows]] = 1
        start += len(entry.features)
    return x


def _notes(table: Table, encoder: Encoder, places: dict[str, npt.NDArray[np.int64]]) -> list[str]:
    """In one pass over the cells."""
    assert table.cells is not None
    counts: dict[str, int] = dict.fromkeys((e.name for e in encoder.columns), 0)
    first: dict[str, int] = {}
    start = 0
    for block in by_chunks(table.cells.matrix):
        for name in counts:
            column = block[:, table.cells.index[name]]
            odd = np.flatnonzero(_chosen(column, places[name]) < 0 if name in places else np.isnan(column))
            counts[name] += len(odd)
            if len(odd):
                first.setdefault(name, start + int(odd[0]))
        start += len(block)
    return [
        unknown_note(table, table.columns[e.name], counts[e.name], first[e.name])
        if isinstance(e, Category)
        else filled_note(e, counts[e.name])
        for e in encoder.columns
        if counts[e.name]
    ]
