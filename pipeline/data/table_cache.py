"""Tables converted once and mapped into memory ever after, by all runs and all jobs of a sweep.

    <cache>/caviar/tables/<content>-<settings>/   content: digest of the file's bytes; settings: of what decides what its cells become
        cells         [N, C], plain bytes
        table.json
    <cache>/caviar/tables/seen/<path>.json        size, time and content of the file that lay there: a file is not read to be known again

A conversion is written beside its place and renamed: whenever the process dies, what is there is whole. A newer content of a file takes
the place of the older one.
"""

# N rows, C columns
from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import records
from pipeline.data.columns import Reading
from pipeline.data.origin import source
from pipeline.data.settings import Data
from pipeline.data.table import Column, Facts, Table, read_table, rows_of
from pipeline.errors import DataError, PipelineError

VERSION = 2
LARGE = 2**20  # bytes of a file from which on it is converted without being asked
_NEITHER = ("root", "path", "input_shape", "classes", "targets", "split", "stream", "samples", "noise", "seed", "missing_target")


def default_folder() -> Path:
    """The user's cache folder, by the XDG convention."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "caviar" / "tables"


def open_table(path: Path, config: Data, *, say: Callable[[str], None]) -> Table:
    """The table in `path`: by the cache where its rows are streamed or it is large, else read anew.  Raises DataError."""
    if config.kind == "sql" or not path.is_file() or not path.stat().st_size:
        return read_table(path, config)
    if config.stream is True or (config.stream == "auto" and path.stat().st_size >= LARGE):
        return cached_table(path, config, default_folder(), say=say)
    return read_table(path, config)


def cached_table(path: Path, config: Data, folder: Path, *, say: Callable[[str], None]) -> Table:
    """The table in `path`, its cells on disk; converted when it is not there or damaged.  Raises DataError."""
    try:
        place = folder / f"{_content(path, folder)}-{_settings(config)}"
        damaged = place.exists()
        found = _opened(place, path, config) if damaged else None
        if found is not None:
            return found
        if damaged:
            say(f"the converted table in {place} was damaged and has been made again")
            shutil.rmtree(place, ignore_errors=True)
        _make(path, config, place)
    except OSError as error:
        rule = f"cannot be converted in {folder} ({(error.strerror or type(error).__name__).lower()})"
        raise DataError(f"data.path = {path}: {rule}; make room there, or set XDG_CACHE_HOME to another folder") from error
    made = _opened(place, path, config)
    assert made is not None, f"{place} was damaged as soon as it was written"
    return made


def _content(path: Path, folder: Path) -> str:
    """The digest of the file's bytes; they are read where its size or time is another than when it was last seen."""
    status = path.stat()
    state = {"size": status.st_size, "time": status.st_mtime_ns}
    note = folder / "seen" / f"{_digest(str(path.resolve()))}.json"
    try:
        known = json.loads(note.read_text())
        if {name: known[name] for name in state} == state:
            return str(known["content"])
    except (OSError, ValueError, KeyError, TypeError):
        known = {}
    content = _digest_of_file(path)[:32]
    note.parent.mkdir(parents=True, exist_ok=True)
    temporary = note.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps({**state, "content": content}))
    temporary.rename(note)
    if known.get("content") not in (None, content):
        _forget(str(known["content"]), folder)
    return content


def _forget(content: str, folder: Path) -> None:
    """Removes the conversions of a content that no path has any more."""
    for note in (folder / "seen").glob("*.json"):
        try:
            if json.loads(note.read_text())["content"] == content:
                return
        except (OSError, ValueError, KeyError):
            continue
    for place in folder.glob(f"{content}-*"):
        shutil.rmtree(place, ignore_errors=True)


def _settings(config: Data) -> str:
    chosen = {name: value for name, value in records.plain(config).items() if name not in _NEITHER}
    return _digest(json.dumps([VERSION, chosen], sort_keys=True))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make(path: Path, config: Data, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=place.parent, prefix="making-"))
    try:
        facts, blocks = rows_of(source(path, config), config)
        digest = hashlib.sha256()
        with (temporary / "cells").open("xb") as file:
            for cells in blocks:
                file.write(cells.data)
                digest.update(cells.data)
        (temporary / "table.json").write_text(json.dumps({"facts": _packed(facts()), "cells": digest.hexdigest()}))
        try:
            temporary.rename(place)
        except OSError:
            if not place.exists():  # it does where another process was faster
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _opened(place: Path, path: Path, config: Data) -> Table | None:
    """The table, or None where its files are not those that were written."""
    try:
        known = json.loads((place / "table.json").read_text())
        facts = _unpacked(known["facts"], f"data.path = {path}")
        cells = np.memmap(place / "cells", np.dtype(facts.storage), mode="r").view(np.ndarray).reshape(-1, len(facts.columns))
        whole = _digest_of_file(place / "cells") == known["cells"]
    except (OSError, ValueError, KeyError, TypeError, PipelineError):
        return None
    return Table(facts=facts, cells=cells, origin=lambda: source(path, config)) if whole else None


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
