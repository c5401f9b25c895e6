"""Which source the rows of a table come from: by the content of its file, whatever it is called."""

from __future__ import annotations

import contextlib
from pathlib import Path

from pipeline.data.dialect import dialect, opened
from pipeline.data.files import head_of
from pipeline.data.settings import Data
from pipeline.data.sources import JsonSource, Source, TextSource, parquet_source
from pipeline.data.sql import sql_source


def source(path: Path, config: Data) -> Source:
    """What `path` holds.  Raises DataError."""
    if config.kind == "sql":
        return sql_source(config)
    head = head_of(path, at="data.path")
    if head.startswith(b"PAR1") or config.kind == "parquet":
        return parquet_source(path)
    if config.kind == "table" and _json(path):
        return JsonSource(path)
    return TextSource(path, dialect(path, encoding=config.encoding, delimiter=config.delimiter, header=config.header, names=config.names))


def _json(path: Path) -> bool:
    """Whether the file holds JSON objects, one a line."""
    with opened(path) as file, contextlib.suppress(EOFError, OSError):
        return file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") or path.name.lower().removesuffix(".gz").endswith(".jsonl")
    return False
