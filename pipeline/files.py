"""Files that are either whole or absent: written under a temporary name, synced, renamed."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import RunError
from pipeline.text import without_credentials

TEMPORARY = ".writing-"
MOST, LONGEST = 2**26, 2**31  # bytes of a file of a run folder, and of its journal or its arrays
_KINDS = (
    (lambda mode: stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode), "it is a pipe or a device"),
    (stat.S_ISSOCK, "it is a socket"),
    (stat.S_ISDIR, "it is a folder"),
    (stat.S_ISLNK, "it is a link to nothing"),
)
_waiting: ContextVar[dict[int, int] | None] = ContextVar("waiting", default=None)  # device -> a descriptor on it, within `synced_together`


@contextmanager
def synced_together() -> Iterator[None]:
    """What is written within it is waited for at its end, all at once; before that a killed process loses nothing, a power cut may.

    Raises OSError where the disk refuses.
    """
    waiting: dict[int, int] = {}
    before = _waiting.set(waiting)
    try:
        yield
    finally:
        _waiting.reset(before)
        try:
            for descriptor in waiting.values():
                _sync_system(descriptor)
        finally:
            for descriptor in waiting.values():
                os.close(descriptor)


def sync(descriptor: int) -> None:
    """Waits until what was written to a file is on the disk, unless that is waited for later."""
    waiting = _waiting.get()
    if waiting is None:
        os.fsync(descriptor)
        return
    device = os.fstat(descriptor).st_dev
    if device not in waiting:
        waiting[device] = os.dup(descriptor)


def _sync_system(descriptor: int) -> None:
    """syncfs(2) where there is one, else sync(2)."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
    elif syncfs(descriptor) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def write(path: Path, data: bytes | str) -> None:
    """Writes `data` (text as UTF-8) to `path` in one step that a crash cannot split.  Raises RunError when the disk refuses."""
    content = without_credentials(data).encode() if isinstance(data, str) else data
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            sync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(
            f"{shown(path)}: cannot be written ({_reason(error)}); free space or choose another folder, then try again"
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_new(path: Path, data: bytes | str) -> None:
    """Writes a file that a task is asked for, and makes the folders it shall lie in.  Raises RunError."""
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{shown(path.parent)}: cannot be made ({_reason(error)}); give another folder") from error
    write(path, data)


def opened(path: Path, *, most: int = MOST) -> BinaryIO:
    """A file to be read, at most so many bytes.  Raises OSError where it is larger, a pipe or a device, whose end may never come."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # to open a pipe waits for nobody
    status = os.fstat(descriptor)
    regular = stat.S_ISREG(status.st_mode)
    if regular and status.st_size <= most:
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    why = f"it has {status.st_size / 2**20:,.0f} MiB, more than any that is written here" if regular else "it is a pipe or a device"
    raise OSError(errno.EINVAL, why, str(path))


def content(path: Path, *, most: int = MOST) -> bytes:
    """What a file holds; raises as `opened` does."""
    with opened(path, most=most) as file:
        return file.read()


def check_kept(path: Path, *, inside: Path | None = None) -> None:
    """Raises RunError where `path` is there and is no file, or a link out of the folder `inside`, so that what is written would go there.

    A pipe or a device may have no end, and who opens it may wait for ever.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        mode = stat.S_IFLNK if path.is_symlink() else stat.S_IFREG  # a link to nothing would make a file elsewhere
    kind = next((name for holds, name in _KINDS if holds(mode)), None)
    if kind is None and inside is not None and not path.resolve().is_relative_to(inside.resolve()):
        kind = "it is a link out of the folder"
    if kind is not None:
        raise RunError(f"{shown(path)}: {kind}, and no file; remove it, or put the file of a copy of the folder there")


def check_new(output: Path) -> None:
    """Whether a file that a task is asked to write can be written, before anything is computed.  Raises RunError."""
    if output.exists():
        raise RunError(f"output = {shown(output)}: exists already and is not overwritten; give another name or remove it")
    there = next(folder for folder in output.absolute().parents if folder.exists())
    if not there.is_dir():
        raise RunError(f"output = {shown(output)}: {shown(there)} is a file, no folder; give another name")


def shown(path: Path) -> str:
    """The path as a user would type it: from the current folder where it lies below it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _sync_folder(folder: Path) -> None:
    """Makes the rename itself durable."""
    if _waiting.get():
        return  # a file in it waits already
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
