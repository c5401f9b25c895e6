"""What is converted once and mapped into memory ever after, by all runs and all jobs of a sweep: a table, a folder of images.

    <cache>/caviar/<kind>/<content>-<settings>/   content: digest of what was read; settings: of what decides what its cells become
        cells         plain bytes
        <name>.json   what is known of them
    <cache>/caviar/<kind>/seen/<path>.json        state and content of what lay there: nothing is read to be known again

A conversion is written beside its place and renamed: whenever the process dies, what is there is whole. A newer content of a path takes
the place of the older one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from backends.folder import is_own, is_private
from pipeline.errors import DataError

Array = npt.NDArray[Any]
T = TypeVar("T")
CELLS = "cells"


@dataclass(frozen=True, kw_only=True)
class Conversion(Generic[T]):
    """How `path` is converted.

    noun      what is converted, for a sentence
    state     what changes where the source does, without a look into it: size and time
    content   reads the source -> the digest of its content
    settings  digest of what else decides the result
    write     writes the conversion into a new folder;  read: the conversion in a folder, None where it is damaged
    """

    noun: str
    path: Path
    state: dict[str, Any]
    content: Callable[[], str]
    settings: str
    write: Callable[[Path], None]
    read: Callable[[Path], T | None]


def converted(what: Conversion[T], folder: Path, *, say: Callable[[str], None]) -> T:
    """The conversion, made where it is not there or damaged.  Raises DataError."""
    hint = "make room there, or set XDG_CACHE_HOME to another folder"
    try:
        if not is_private(folder):
            raise PermissionError(0, "others can write there")
        known = _known(_note(what, folder))
        content = known["content"] if known | what.state == known != {} else what.content()[:32]
        place = folder / f"{content}-{what.settings}"
        damaged = place.exists() or place.is_symlink()
        found = what.read(place) if damaged and is_own(place.lstat()) else None
        if found is not None:
            _remember(what, folder, content)
            return found
        if damaged:
            say(f"the converted {what.noun} in {place} was damaged and has been made again")
            place.unlink() if place.is_symlink() else shutil.rmtree(place, ignore_errors=True)
        _make(what, place)
        _remember(what, folder, content)
    except OSError as error:
        rule = f"cannot be converted in {folder} ({(error.strerror or type(error).__name__).lower()})"
        raise DataError(f"data.path = {what.path}: {rule}; {hint}") from error
    made = what.read(place)
    assert made is not None, f"{place} was damaged as soon as it was written"
    return made


def write_cells(folder: Path, blocks: Iterable[Array]) -> str:
    """Writes blocks [n, ...] one after another -> the digest of all."""
    digest = hashlib.sha256()
    with (folder / CELLS).open("xb") as file:
        for cells in blocks:
            file.write(cells.data)
            digest.update(cells.data)
    return digest.hexdigest()


def mapped_cells(folder: Path, kind: np.dtype[Any], shape: tuple[int, ...], digest: str) -> Array | None:
    """The cells as an array [N, ...] of that shape, mapped; None where they are not those that were written."""
    cells = np.memmap(folder / CELLS, kind, mode="r").view(np.ndarray).reshape(shape)
    return cells if digest_of_file(folder / CELLS) == digest else None


def digest_of(text: str) -> str:
    """A short digest of a text, as it stands in names."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_of_file(path: Path) -> str:
    """SHA-256 (hex) of the content of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make(what: Conversion[T], place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=place.parent, prefix="making-"))
    try:
        what.write(temporary)
        try:
            temporary.rename(place)
        except OSError:
            if not place.exists():  # it does where another process was faster
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remember(what: Conversion[T], folder: Path, content: str) -> None:
    """Notes which content lies at a path, once it is converted; what lay there before is forgotten."""
    note, state = _note(what, folder), {**what.state, "content": content}
    known = _known(note)
    if known == state:
        return
    is_private(note.parent)
    temporary = note.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(state))
    temporary.chmod(0o600)
    temporary.rename(note)
    if known and known["content"] != content:
        _forget(known["content"], folder)


def _note(what: Conversion[T], folder: Path) -> Path:
    return folder / "seen" / f"{digest_of(str(what.path.resolve()))}.json"


def _known(note: Path) -> dict[str, Any]:
    """What a note says, nothing where it is none of ours: its content is a part of a path, and what lies there is trained on."""
    try:
        known = json.loads(note.read_text()) if is_own(note.lstat()) else {}
        return known if isinstance(known, dict) and re.fullmatch(r"[0-9a-f]+", known["content"]) else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _forget(content: str, folder: Path) -> None:
    """Removes the conversions of a content that no path has any more."""
    for note in (folder / "seen").glob("*.json"):
        if _known(note).get("content") == content:
            return
    for place in folder.glob(f"{content}-*"):
        shutil.rmtree(place, ignore_errors=True)
