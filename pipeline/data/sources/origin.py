"""Which source the rows of a table come from: by the content of its file, whatever it is called."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from pipeline.data.settings import Data
from pipeline.data.sources.batches import JsonSource, Source, TextSource, parquet_source
from pipeline.data.sources.dialect import dialect, opened
from pipeline.data.sources.sql import sql_source
from pipeline.data.storage.files import head_of
from pipeline.errors import DataError


def source(path: Path, config: Data) -> Source:
    """What `path` holds.  Raises DataError."""
    if config.kind == "sql":
        return sql_source(config)
    head = head_of(path, at="data.path")
    if head.startswith(b"PAR1") or config.kind == "parquet":
        return parquet_source(path)
    if head.startswith(b"PK\3\4"):
        raise DataError(f"data.path = {path}: is a zip or an Excel file; save the table as CSV or Parquet")
    if config.kind == "table" and _json(path):
        return JsonSource(path)
    if re.match(rb"\s*<(!doctype|\?xml|html|table)", head, re.IGNORECASE):
        raise DataError(f"data.path = {path}: is a page of HTML or XML; save its table as CSV or Parquet")
    written = dialect(
        path, encoding=config.encoding, delimiter=config.delimiter, header=config.header, names=config.names, skip=config.skip
    )
    return TextSource(path, written)


def _json(path: Path) -> bool:
    """Whether the file holds JSON objects, one a line."""
    with opened(path) as file, contextlib.suppress(EOFError, OSError):
        text = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
        if text[:1] == b"[" and text[1:].lstrip()[:1] == b"{":
            raise DataError(f"data.path = {path}: holds one JSON list; write its objects one a line")
        return text.startswith(b"{") or path.name.lower().removesuffix(".gz").endswith(".jsonl")
    return False
