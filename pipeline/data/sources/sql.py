"""data=sql: the answer of a SELECT, of the tables of a database file (DuckDB, SQLite) or of files that it names.

DuckDB asks both, reads SQLite through a copy of its own in Python, and gives Arrow batches; a query has an order only if it says so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.data.settings import Data
from pipeline.data.sources.batches import BATCH_ROWS, ArrowSource, Source
from pipeline.data.storage.files import head_of, located
from pipeline.errors import DataError

_SQLITE = b"SQLite format 3\0"
WIDE = ("HUGEINT", "UHUGEINT")  # whole numbers that would be rounded on their way to Arrow: taken as text
# what a query may not ask for: extensions (they fetch files from other machines, and are fetched themselves), variables of this program
_WITHOUT = {
    "autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "allow_community_extensions": "false",
    "python_enable_replacements": "false",
}  # fmt: skip


def is_database(path: Path) -> bool:
    """Whether a file is a database by its first bytes.  Raises DataError."""
    head = head_of(path, at="data.path")
    return head == _SQLITE or head[8:12] == b"DUCK"


def sql_source(config: Data) -> Source:
    """The rows that `data.query` asks for.  Raises DataError."""
    query = str(config.query).strip().rstrip(";")
    path = None if config.path is None else located(config.path)
    head = b"" if path is None else head_of(path, at="data.path")
    label = f"data.query = {' '.join(query.split())[:80]}"
    if head == _SQLITE:
        assert path is not None
        return _of_sqlite(path, query, label)
    return _of_duckdb(path, query, label)


def _of_duckdb(path: Path | None, query: str, label: str) -> Source:
    import duckdb  # noqa: PLC0415  # what only this kind of data needs

    def read(columns: Sequence[str] | None) -> Iterator[Any]:
        try:
            with duckdb.connect(str(path) if path else ":memory:", read_only=path is not None, config=_WITHOUT) as connection:
                if columns is None and not _selects(connection, query):
                    raise _no_select(label)
                found = connection.sql(query)
                if columns is not None:
                    types = dict(zip(found.columns, map(str, found.types), strict=True))
                    found = connection.sql(_chosen(query, columns, [name for name in columns if types[name] in WIDE]))
                reader = found.to_arrow_reader(BATCH_ROWS)
                if columns is None:
                    yield reader.schema
                    return
                yield from reader
        except duckdb.Error as error:
            raise _refused(label, error) from error

    return _source(label, next(read(None)).names, read)


def _of_sqlite(path: Path, query: str, label: str) -> Source:
    import pyarrow as pa  # noqa: PLC0415

    def read(columns: Sequence[str] | None) -> Iterator[Any]:
        try:
            connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
            try:
                connection.set_authorizer(_of_this_file)
                found = connection.execute(query if columns is None else _chosen(query, columns))
                if found.description is None:
                    raise _no_select(label)
                names = [column[0] for column in found.description]
                if columns is None:
                    yield names
                    return
                while rows := found.fetchmany(BATCH_ROWS):
                    arrays = [pa.array([_text(value) for value in values], pa.string()) for values in zip(*rows, strict=True)]
                    yield pa.RecordBatch.from_arrays(arrays, names=names)
            finally:
                connection.close()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter: names or messages of a damaged file
            raise _refused(label, error) from error

    return _source(label, next(read(None)), read)


def _source(label: str, names: Sequence[str], read: Any) -> Source:
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise DataError(f"{label}: two columns are named {twice}; name one anew with AS")
    return ArrowSource(label, tuple(names), read)


def _text(value: Any) -> str | None:
    """SQLite has a type for each cell: as they would stand in a text file."""
    if isinstance(value, float):
        return repr(value)
    return None if value is None else value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _selects(connection: Any, query: str) -> bool:
    """Whether DuckDB takes a query for one SELECT: others write files, attach databases, install extensions.  Raises its errors."""
    if len(connection.extract_statements(query)) != 1:
        return False
    import duckdb  # noqa: PLC0415

    try:
        return len(connection.extract_statements(f"SELECT * FROM (\n{query}\n) AS rows")) == 1
    except duckdb.Error:
        return False


def _of_this_file(action: int, *_: object) -> int:
    """SQLite may attach no other file, which would be made where there is none."""
    return sqlite3.SQLITE_DENY if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH) else sqlite3.SQLITE_OK


def _no_select(label: str) -> DataError:
    return DataError(f"{label}: is not one SELECT, and nothing else is asked of a database; write one")


def _chosen(query: str, columns: Sequence[str], wide: Sequence[str] = ()) -> str:
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in columns}
    names = ", ".join(f"CAST({each} AS VARCHAR) AS {each}" if name in wide else each for name, each in quoted.items())
    return f"SELECT {names} FROM (\n{query}\n) AS rows"


def _refused(label: str, error: Exception) -> DataError:
    return DataError(f"{label}: cannot be answered ({' '.join(str(error).split())[:300]}); mend the query")
