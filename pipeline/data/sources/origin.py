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

OTHERS = {  # how files begin that are no tables, what they are and what to do
    b"PK\3\4": "a zip or an Excel file; save the table as CSV or Parquet",
    b"\xd0\xcf\x11\xe0": "an old Excel file; save the table as CSV or Parquet",
    b"%PDF": "a PDF; save its table as CSV or Parquet",
    b"\x89HDF": "an HDF5 file; save the table as CSV or Parquet",
    b"ARROW1": "an Arrow (Feather) file; save the table as Parquet",
    b"ORC": "an ORC file; save the table as Parquet",
    b"Obj\x01": "an Avro file; save the table as Parquet",
    b"SQLite format 3\0": "a database; give data=sql and data.query='SELECT ...'",
    b"BZh": "packed with bzip2; unpack it, or pack it with gzip",
    b"\xfd7zXZ": "packed with xz; unpack it, or pack it with gzip",
    b"\x28\xb5\x2f\xfd": "packed with zstd; unpack it, or pack it with gzip",
    b"7z\xbc\xaf": "packed with 7-Zip; unpack it, or pack it with gzip",
    b"Rar!": "packed with RAR; unpack it, or pack it with gzip",
}


def source(path: Path, config: Data) -> Source:
    """What `path` holds.  Raises DataError."""
    if config.kind == "sql":
        return sql_source(config)
    head = head_of(path, at="data.path")
    if head.startswith(b"PAR1") or config.kind == "parquet":
        return parquet_source(path)
    for start, what in OTHERS.items():
        if head.startswith(start):
            raise DataError(f"data.path = {path}: is {what}")
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
