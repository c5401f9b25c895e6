"""Files that are either whole or absent: written under a temporary name, synced, renamed."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import RunError
from pipeline.text import without_credentials

TEMPORARY = ".writing-"


def write(path: Path, data: bytes | str) -> None:
    """Writes `data` (text as UTF-8) to `path` in one step that a crash cannot split.  Raises RunError when the disk refuses."""
    content = without_credentials(data).encode() if isinstance(data, str) else data
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
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


def check_new(output: Path) -> None:
    """Whether a file that a task is asked to write can be written, before anything is computed.  Raises RunError."""
    if output.exists():
        raise RunError(f"output = {shown(output)}: exists already and is not overwritten; give another name or remove it")
    if not output.absolute().parent.is_dir():
        raise RunError(f"output = {shown(output)}: the folder {output.parent} does not exist; make it first")


def shown(path: Path) -> str:
    """The path as a user would type it: from the current folder where it lies below it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _sync_folder(folder: Path) -> None:
    """Makes the rename itself durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
