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
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "caviar" / "tables"
    except RuntimeError:  # a user without a home
        return Path(tempfile.gettempdir()) / f"caviar-{os.geteuid()}" / "tables"


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
        content = _content(path, folder)
        place = folder / f"{content}-{_settings(config)}"
        damaged = place.exists()
        found = _opened(place, path, config) if damaged else None
        if found is not None:
            _remember(path, folder, content)
            return found
        if damaged:
            say(f"the converted table in {place} was damaged and has been made again")
            shutil.rmtree(place, ignore_errors=True)
        _make(path, config, place)
        _remember(path, folder, content)
    except OSError as error:
        rule = f"cannot be converted in {folder} ({(error.strerror or type(error).__name__).lower()})"
        raise DataError(f"data.path = {path}: {rule}; make room there, or set XDG_CACHE_HOME to another folder") from error
    made = _opened(place, path, config)
    assert made is not None, f"{place} was damaged as soon as it was written"
    return made


def _content(path: Path, folder: Path) -> str:
    """The digest of the file's bytes; they are read where its size or time is another than when it was last seen."""
    known = _known(_note(path, folder))
    return known["content"] if known | _state(path) == known != {} else _digest_of_file(path)[:32]


def _remember(path: Path, folder: Path, content: str) -> None:
    """Notes which content lies at a path, once it is converted; what lay there before is forgotten."""
    note, state = _note(path, folder), {**_state(path), "content": content}
    known = _known(note)
    if known == state:
        return
    note.parent.mkdir(parents=True, exist_ok=True)
    temporary = note.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(state))
    temporary.rename(note)
    if known and known["content"] != content:
        _forget(known["content"], folder)


def _note(path: Path, folder: Path) -> Path:
    return folder / "seen" / f"{_digest(str(path.resolve()))}.json"


def _state(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {"size": status.st_size, "time": status.st_mtime_ns}


def _known(note: Path) -> dict[str, Any]:
    """What a note says, nothing where it is none."""
    try:
        known = json.loads(note.read_text())
        return known if isinstance(known, dict) and isinstance(known["content"], str) else {}
    except (OSError, ValueError, KeyError):
        return {}


def _forget(content: str, folder: Path) -> None:
    """Removes the conversions of a content that no path has any more."""
    for note in (folder / "seen").glob("*.json"):
        if _known(note).get("content") == content:
            return
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
    facts, blocks = rows_of(source(path, config), config)
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=place.parent, prefix="making-"))
    try:
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
