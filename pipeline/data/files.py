"""Reading a file or a folder that the user named, with every refusal of the system as one sentence."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from pipeline.errors import DataError, nearest


def located(text: str) -> Path:
    """The path that the user wrote; ~ is the home folder, and stays as it is for a user that does not exist."""
    return Path(os.path.expanduser(text))


def read_bytes(path: Path, *, at: str) -> bytes:
    """The content of `path`, named by the config path `at`.  Raises DataError when it is missing, a folder, unreadable or empty."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{at} = {path}: no such file; {_neighbours(path)}") from error
    except IsADirectoryError as error:
        raise DataError(f"{at} = {path}: is a folder; give a file") from error
    except OSError as error:
        raise unreadable(path, error, at=at) from error
    if not content:
        raise DataError(f"{at} = {path}: the file is empty; give a file with data")
    return content


def head_of(path: Path, *, at: str) -> bytes:
    """The first bytes of `path`.  Raises DataError as `read_bytes` does."""
    try:
        with path.open("rb") as file:
            return file.read(16) or read_bytes(path, at=at)  # which says that it is empty
    except OSError:
        return read_bytes(path, at=at)  # which says why


def map_bytes(path: Path, *, at: str) -> memoryview:
    """The content of `path` mapped into memory: what is not looked at is not read.  Raises DataError as `read_bytes` does."""
    try:
        with path.open("rb") as file:
            if not file.seek(0, os.SEEK_END):
                return memoryview(read_bytes(path, at=at))  # which says that it is empty
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError:
        return memoryview(read_bytes(path, at=at))  # which says why, or reads what cannot be mapped


def unreadable(path: Path, error: OSError, *, at: str) -> DataError:
    """What the system said about `path`, as our sentence."""
    reason = (error.strerror or type(error).__name__).lower()
    return DataError(f"{at} = {path}: cannot be read ({reason}); check the path and its permissions")


def _neighbours(path: Path) -> str:
    """The file of the same folder that was probably meant."""
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file() and not entry.name.startswith(".")]
    except OSError:
        return "its folder does not exist either; check the path (it is relative to the current folder)"
    if not names:
        return "its folder holds no files; check the path (it is relative to the current folder)"
    hint = nearest(path.name, names)
    return hint if hint.startswith("did you mean") else "check the path (it is relative to the current folder)"
