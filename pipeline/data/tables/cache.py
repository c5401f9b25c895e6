"""Tables converted once and mapped into memory ever after; see storage/cache.py.

<cache>/caviar/tables/<content>-<settings>/
    cells         [N, C], plain bytes
    table.json
"""

# N rows, C columns
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from backends.folder import cache_folder
from pipeline import records
from pipeline.data.cells.columns import Reading
from pipeline.data.settings import Data
from pipeline.data.sources.origin import source
from pipeline.data.storage.cache import Conversion, converted, digest_of, digest_of_file, mapped_cells, write_cells
from pipeline.data.tables.table import Column, Facts, Table, read_table, rows_of
from pipeline.errors import PipelineError

VERSION = 4
LARGE = 2**20  # bytes of a file from which on it is converted without being asked
_NEITHER = ("root", "path", "input_shape", "classes", "targets", "split", "image", "stream", "samples", "noise", "seed", "missing_target")


def open_table(path: Path, config: Data, *, say: Callable[[str], None]) -> Table:
    """The table in `path`: by the cache where its rows are streamed or it is large, else read anew.  Raises DataError."""
    if config.kind == "sql" or not path.is_file() or not path.stat().st_size:
        return read_table(path, config)
    if config.stream is True or (config.stream == "auto" and path.stat().st_size >= LARGE):
        return cached_table(path, config, cache_folder("tables"), say=say)
    return read_table(path, config)


def cached_table(path: Path, config: Data, folder: Path, *, say: Callable[[str], None]) -> Table:
    """The table in `path`, its cells on disk; converted when it is not there or damaged.  Raises DataError."""
    status = path.stat()
    chosen = {name: value for name, value in records.plain(config).items() if name not in _NEITHER}
    return converted(
        Conversion(
            noun="table",
            path=path,
            state={"size": status.st_size, "time": status.st_mtime_ns},
            content=lambda: digest_of_file(path),
            settings=digest_of(json.dumps([VERSION, chosen], sort_keys=True)),
            write=lambda place: _write(path, config, place),
            read=lambda place: _opened(place, path, config),
        ),
        folder,
        say=say,
    )


def _write(path: Path, config: Data, place: Path) -> None:
    facts, blocks = rows_of(source(path, config), config)
    digest = write_cells(place, blocks)
    (place / "table.json").write_text(json.dumps({"facts": _packed(facts()), "cells": digest}))


def _opened(place: Path, path: Path, config: Data) -> Table | None:
    """The table, or None where its files are not those that were written."""
    try:
        known = json.loads((place / "table.json").read_text())
        facts = _unpacked(known["facts"], f"data.path = {path}")
        cells = mapped_cells(place, np.dtype(facts.storage), (-1, len(facts.columns)), known["cells"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError, PipelineError):
        return None
    return None if cells is None else Table(facts=facts, cells=cells, origin=lambda: source(path, config))


def _packed(facts: Facts) -> dict[str, Any]:
    """As JSON, with one of all readings that are the same: a table may have thousands of columns."""
    readings = list(dict.fromkeys(column.reading for column in facts.columns))
    number = {reading: place for place, reading in enumerate(readings)}
    columns = [[c.name, number[c.reading], c.words, c.digest, c.absent, c.why, c.notes] for c in facts.columns]
    known = {"names": facts.names, "storage": facts.storage, "notes": facts.notes}
    return {**known, "readings": [records.plain(reading) for reading in readings], "columns": columns}


def _unpacked(known: dict[str, Any], label: str) -> Facts:
    readings = [records.read(Reading, reading, at="reading") for reading in known["readings"]]
    columns = tuple(
        Column(
            name=name, reading=readings[number], words=None if words is None else tuple(words), digest=digest, absent=absent, why=why,
            notes=tuple(notes),
        )
        for name, number, words, digest, absent, why, notes in known["columns"]
    )  # fmt: skip
    return Facts(label=label, names=tuple(known["names"]), columns=columns, storage=known["storage"], notes=tuple(known["notes"]))
