"""Reading a file or a folder that the user named, with every refusal of the system as one sentence."""

from __future__ import annotations

import mmap
import os
import stat
from pathlib import Path

from pipeline.errors import DataError, nearest

_NO_FILES = ((stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"), (stat.S_ISCHR, "device"), (stat.S_ISBLK, "device"))


def located(text: str) -> Path:
    """The path that the user wrote; ~ is the home folder, and stays as it is for a user that does not exist."""
    return Path(os.path.expanduser(text))


def read_bytes(path: Path, *, at: str) -> bytes:
    """The content of `path`, named by the config path `at`.  Raises DataError when it is missing, no file, unreadable or empty."""
    check_file(path, at=at)
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


def check_file(path: Path, *, at: str) -> None:
    """Raises DataError where `path` is a pipe, a socket or a device: to read it may take for ever, and it cannot be read twice."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # whoever reads it says why
    what = next((what for holds, what in _NO_FILES if holds(mode)), None)
    if what is not None:
        raise DataError(f"{at} = {path}: is a {what} and no file; write what it gives into a file first")


def head_of(path: Path, *, at: str) -> bytes:
    """The first bytes of `path`.  Raises DataError as `read_bytes` does."""
    check_file(path, at=at)
    try:
        with path.open("rb") as file:
            return file.read(16) or read_bytes(path, at=at)  # which says that it is empty
    except OSError:
        return read_bytes(path, at=at)  # which says why


def map_bytes(path: Path, *, at: str) -> memoryview:
    """The content of `path` mapped into memory: what is not looked at is not read.  Raises DataError as `read_bytes` does."""
    check_file(path, at=at)
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
    stems = {name.partition(".")[0]: name for name in sorted(names, reverse=True)}
    hint = nearest(path.name.partition(".")[0], stems)  # the ends of names are alike whatever was meant
    near = stems.get(hint.removeprefix("did you mean ").removesuffix("?"), "") if hint.startswith("did you mean") else ""
    if near:
        alike = [name for name in names if name.partition(".")[0] == near.partition(".")[0]]
        return nearest(path.name, alike) if len(alike) > 1 else f"did you mean {near}?"
    return "check the path (it is relative to the current folder)"
