"""Tables converted once and mapped into memory ever after.

    <cache>/caviar/tables/<path>-<state>/    path: digest of where the file lies; state: of its size, its time and the settings that
        cells    float64 [N, C]                  decide what its cells become
        places   int64 [N]
        table.json

A conversion is written beside its place and renamed: whenever the process dies, what is there is whole. A newer state of a file takes
the place of the older ones.
"""

# N rows, C columns
from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from pipeline.data.convert import convert
from pipeline.data.dataset import by_chunks
from pipeline.data.settings import Data
from pipeline.data.table import Cells, Column, Table, read_table
from pipeline.errors import DataError

VERSION = 1
LARGE = 2**26  # bytes of a file that is converted without being asked


def default_folder() -> Path:
    """The user's cache folder, by the XDG convention."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "caviar" / "tables"


def is_cached(path: Path, config: Data) -> bool:
    """Whether the table is read through the cache: where its rows are streamed, or where it is large."""
    return config.stream is True or (config.stream == "auto" and path.is_file() and path.stat().st_size >= LARGE)


def cached_table(path: Path, config: Data, folder: Path | None = None, *, say: Callable[[str], None]) -> Table:
    """The table in `path`, its cells on disk; converted when it is not there or damaged.  Raises DataError."""
    if not path.is_file() or not path.stat().st_size:
        return read_table(path, parquet=config.kind == "parquet")  # which says what is wrong
    place = _place(path, config, folder or default_folder())
    damaged = place.exists()
    found = _opened(place, path, config.kind) if damaged else None
    if found is not None:
        return found
    if damaged:
        say(f"the converted table in {place} was damaged and has been made again")
        shutil.rmtree(place, ignore_errors=True)
    try:
        _make(path, config, place)
    except OSError as error:
        rule = f"cannot be converted in {place.parent} ({(error.strerror or type(error).__name__).lower()})"
        raise DataError(f"data.path = {path}: {rule}; make room there, or set XDG_CACHE_HOME to another folder") from error
    made = _opened(place, path, config.kind)
    assert made is not None, f"{place} was damaged as soon as it was written"
    return made


def _place(path: Path, config: Data, folder: Path) -> Path:
    status = path.stat()
    state = [VERSION, status.st_size, status.st_mtime_ns, config.kind, config.target, sorted(config.categorical), sorted(config.ignore)]
    return folder / f"{_digest(str(path.resolve()))}-{_digest(json.dumps(state))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _make(path: Path, config: Data, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=place.parent, prefix="making-"))
    try:
        status = path.stat()
        made = convert(path, config, temporary)
        entries = [
            {"name": c.name, "kind": c.kind, "words": None if c.words is None else list(c.words), "digest": c.digest.hexdigest()}
            for c in made.columns
        ]
        source = {"size": status.st_size, "time": status.st_mtime_ns}
        facts = {"columns": entries, "ignored": made.ignored, "digests": made.digests, "source": source}
        (temporary / "table.json").write_text(json.dumps(facts))
        for older in place.parent.glob(f"{place.name.split('-')[0]}-*"):
            if _source(older) != source:
                shutil.rmtree(older, ignore_errors=True)
        try:
            temporary.rename(place)
        except OSError:
            if not place.exists():  # it does where another process was faster
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _source(place: Path) -> Any:
    try:
        return json.loads((place / "table.json").read_text())["source"]
    except (OSError, ValueError, KeyError):
        return None


def _opened(place: Path, path: Path, kind: str) -> Table | None:
    """The table, or None where its files are not those that were written."""
    try:
        facts = json.loads((place / "table.json").read_text())
        entries = facts["columns"]
        places = np.memmap(place / "places", np.int64, mode="r").view(np.ndarray)
        matrix = np.memmap(place / "cells", np.float64, mode="r", shape=(len(places), len(entries))).view(np.ndarray)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if {name: _digest_of(array) for name, array in (("cells", matrix), ("places", places))} != facts["digests"]:
        return None
    columns = {name: Column(name=name, kind="other") for name in facts["ignored"]}
    for number, entry in enumerate(entries):
        cells, words = matrix[:, number], entry["words"]
        texts = None if words is None else Words(cells, words)
        columns[entry["name"]] = Column(name=entry["name"], kind=entry["kind"], texts=texts, numbers=cells if words is None else None)
    return Table(
        path=path,
        columns=columns,
        places=places,
        unit="row" if kind == "parquet" else "line",
        cells=Cells(
            matrix=matrix,
            index={entry["name"]: number for number, entry in enumerate(entries)},
            words={entry["name"]: entry["words"] for entry in entries if entry["words"] is not None},
            digests={entry["name"]: entry["digest"] for entry in entries},
        ),
    )


def _digest_of(array: npt.NDArray[Any]) -> str:
    made = hashlib.sha256()
    for chunk in by_chunks(array):
        made.update(np.ascontiguousarray(chunk).data)
    return made.hexdigest()


class Words(Sequence[str | None]):
    """A column of words by their places in a list; None where a cell is missing."""

    def __init__(self, cells: npt.NDArray[np.float64], words: Sequence[str]) -> None:
        self._cells, self._words = cells, words

    def __len__(self) -> int:
        return len(self._cells)

    @overload
    def __getitem__(self, row: int) -> str | None: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[str | None]: ...

    def __getitem__(self, row: int | slice) -> str | Sequence[str | None] | None:
        if isinstance(row, slice):
            return Words(self._cells[row], self._words)
        place = float(self._cells[row])
        return None if place != place else self._words[int(place)]

    def __iter__(self) -> Iterator[str | None]:
        for chunk in by_chunks(self._cells):
            for place in chunk.tolist():
                yield None if place != place else self._words[int(place)]
