"""Where compiled code is kept between processes, and who may have written what lies there: it is run."""

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
