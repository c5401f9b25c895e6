"""What the code of an extension raises, as one line that says where, and a file with the rest."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import files
from pipeline.errors import ExtensionError, PipelineError
from pipeline.text import leaving

LOG = "extension.log"
_OURS = {"pipeline", "backends", "numpy", *sys.stdlib_module_names}  # and what a mistake only passes through


@contextmanager
def guarded(what: str, folder: Path | None = None) -> Iterator[None]:
    """While entered, what is raised becomes an ExtensionError about `what`, but for the errors that say their own sentence.

    folder   where the traceback is kept; None: in a file of the system's folder for such
    """
    try:
        yield
    except PipelineError:
        raise
    except (Exception, SystemExit) as error:
        raise ExtensionError(f"{what}: {place(error)}{_said(error)}{_kept(error, folder)}") from error


def place(error: BaseException) -> str:
    """`my_package.layers, line 12: ` of the innermost line that is not ours."""
    frames = [(str(frame.f_globals.get("__name__", "")), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    theirs = [(module, line) for module, line in frames if module.partition(".")[0] not in _OURS]
    return f"{theirs[-1][0]}, line {theirs[-1][1]}: " if theirs else ""


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _kept(error: BaseException, folder: Path | None) -> str:
    text = leaving("".join(traceback.format_exception(error)))
    try:
        if folder is not None:
            path = folder / LOG
            with path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(text)
        else:
            handle, name = tempfile.mkstemp(prefix="caviar-", suffix=".log")
            path = Path(name)
            with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
                file.write(text)
    except OSError:
        return ""
    return f"; the traceback is in {files.shown(path)}"
