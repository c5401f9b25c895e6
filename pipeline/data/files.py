"""The file that `data.path` names."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import ConfigError, DataError


def existing(path: str | None, kind: str) -> Path:
    """The file, sure to exist, to be readable and to hold something.  Raises ConfigError and DataError."""
    if path is None:
        raise ConfigError(at="data.path", got=None, rule=f"{kind} is read from a file", hint="give data.path=FILE")
    file = Path(path).expanduser()
    if file.is_dir():
        raise DataError(f"{file}: is a folder; give the file itself as data.path")
    try:
        size = file.stat().st_size
    except FileNotFoundError as error:
        raise DataError(f"{file}: no such file; give data.path=FILE") from error
    except PermissionError as error:
        raise DataError(f"{file}: its folder may not be read; change its permissions") from error
    if not os.access(file, os.R_OK):
        raise DataError(f"{file}: may not be read; change its permissions")
    if size == 0:
        raise DataError(f"{file}: is empty; give a file with rows")
    return file
