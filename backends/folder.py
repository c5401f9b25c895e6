"""Where what is made once is kept between processes, and who may have written there: code is run, rows are trained on."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_folder(name: str) -> Path:
    """The folder `name` in the user's cache, by the XDG convention; among the temporary files for a user without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "caviar" / name
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"caviar-{os.geteuid()}" / name


def is_own(status: os.stat_result) -> bool:
    """Whether a file or folder is ours and nobody else may write it."""
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def is_private(folder: Path) -> bool:
    """Whether a folder of the cache is ours alone; it is made, or closed to others, where that can be.  Raises OSError where it is none."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid == os.geteuid() and status.st_mode & 0o022:
        folder.chmod(0o700)  # of an earlier version, or of an open umask
    return is_own(folder.stat())
