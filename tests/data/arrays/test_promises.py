"""What a file promises is checked before it is allocated or unpacked, and what is no file is not waited for."""

from __future__ import annotations

import gzip
import io
import os
import socket
import sqlite3
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import Data, DataShape, load, read_new
from pipeline.data.arrays import archive
from pipeline.data.arrays.idx import AGAIN, read_idx
from pipeline.errors import DataError
from tests.refusal import refused

NO_FILE = "and no file; write what it gives into a file first"


@contextmanager
def at_once(megabytes: int = 150) -> Iterator[None]:
    """Holds where little time and memory is taken."""
    began = time.monotonic()
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * 1e6
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < 5


def npy(shape: tuple[int, ...], there: int = 0, kind: str = "<f8") -> bytes:
    """An npy file whose header promises `shape`."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    return file.getvalue() + bytes(there)


def packed(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


LABELS = npy((10,), 10, "|u1")


@pytest.mark.parametrize("shape", [(2**37,), (2**40, 2**40), (2**62, 4), (3, 5)], ids=str)
def test_an_array_that_is_not_there_in_full_is_not_allocated(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = packed(tmp_path / "a.npz", x=npy(shape, 80), y=LABELS)
    with at_once(), refused(f"data.path = {path}: is not a whole npz file of plain arrays; write it with numpy.savez", DataError):
        load(Data(kind="npz", path=str(path)), seed=0)
    alone = tmp_path / "a.npy"
    alone.write_bytes(npy(shape, 80))
    with at_once(), refused(f"data.path = {alone}: is not a whole npy file of numbers; write it with numpy.save(path, x)", DataError):
        read_new(Data(path=str(alone)), None, DataShape(input_shape=(4,), classes=2))


def test_an_archive_that_unpacks_to_more_than_the_memory_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "a.npz", x=npy((10**6, 4), 8 * 4 * 10**6), y=LABELS)
    assert path.stat().st_size < 10**5
    monkeypatch.setattr(archive, "memory_bytes", lambda: 5 * 10**7)
    rule = "its arrays take 0.032 GB, more than half of the memory"
    hint = "save each with numpy.save and give data=npy data.root=FOLDER, which maps them"
    with at_once(), refused(f"data.path = {path}: {rule}; {hint}", DataError):
        load(Data(kind="npz", path=str(path)), seed=0)


def test_a_member_that_is_no_array_is_not_unpacked(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.npz", x=npy((10, 4), 320), y=LABELS)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("notes.txt", bytes(10**8))
    with at_once():
        assert set(archive.read_npz(path)) == {"x", "y"}


def test_no_more_of_a_packed_idx_file_is_unpacked_than_its_header_promises(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    header = b"\0\0\x08\x03" + struct.pack(">III", 2, 28, 28)
    path.write_bytes(gzip.compress(header + bytes(10**8), 1))
    with at_once(), refused(f"data.path = {path}: its header promises 1584 bytes and more are there; {AGAIN}", DataError):
        read_idx(path, at="data.path")
    path.write_bytes(gzip.compress(b"\0\0\x08\x03" + struct.pack(">III", 2**31, 2**31, 2**31) + bytes(100)))
    rule = "its header promises 9.9e+18 GB, more than half of the memory; unpack it with gunzip"
    with at_once(), refused(f"data.path = {path}: {rule}", DataError):
        read_idx(path, at="data.path")


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("zeros.csv.gz", lambda: bytes(10**8), 1),
        ("cell.csv.gz", lambda: b"a,y\n1," + b"a" * 10**8, 2),
        ("cells.csv.gz", lambda: b"," * 10**8, 1),
        ("word.jsonl.gz", lambda: b'{"a":1,"y":2}\n{"a":"' + b"a" * 10**8, 2),
    ],
    ids=["zeros", "cell", "cells", "json"],
)
def test_a_line_without_an_end_is_refused(tmp_path: Path, name: str, content: Callable[[], bytes], line: int) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(content(), 1))
    rule = f"line {line} is longer than 32 MB, which no row of a table is; mend it"
    with at_once(), refused(f"data.path = {path}: {rule}", DataError):
        load(Data(kind="table", path=str(path), target="y"), seed=0)


@pytest.mark.parametrize("text", ['{"a":' + "[" * 10**5, '{"a":' * 10**5 + "1" + "}" * 10**5], ids=["lists", "objects"])
def test_what_is_nested_without_end_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1, "y": 2}\n' + text + "\n")
    rule = "line 2 is nested too deeply; give objects of numbers, words and truth values"
    with at_once(), refused(f"data.path = {path}: {rule}", DataError):
        load(Data(kind="table", path=str(path), target="y"), seed=0)


@pytest.mark.parametrize("name", ["a.csv", "a.npz", "a.npy", "a.png", "a.parquet", "a.jsonl", "train-images-idx3-ubyte"])
def test_what_is_no_file_is_told_and_not_waited_for(tmp_path: Path, name: str) -> None:
    pipe, plug = tmp_path / name, tmp_path / f"other.{name}"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(plug))
        for path, what in ((pipe, "pipe"), (plug, "socket"), (Path("/dev/zero"), "device")):
            with refused(f"data.path = {path}: is a {what} {NO_FILE}", DataError):
                read_new(Data(path=str(path)), None, DataShape(input_shape=(4,), classes=2))
            for kind in ("table", "csv", "parquet", "npz", "sql"):
                query = {"query": "SELECT 1"} if kind == "sql" else {}
                with refused(f"data.path = {path}: is a {what} {NO_FILE}", DataError):
                    load(Data(kind=kind, path=str(path), **query), seed=0)  # type: ignore[arg-type]  # a kind


def test_a_damaged_database_makes_nobody_ask_the_network(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a REAL, y TEXT)")
    connection.commit()
    connection.close()
    path.write_bytes(b"SQLite format 3\1" + path.read_bytes()[16:])
    with pytest.raises(DataError) as error, at_once():
        load(Data(kind="sql", path=str(path), query="SELECT * FROM t", target="y"), seed=0)
    assert str(error.value).startswith("data.query = SELECT * FROM t: cannot be answered (")
    assert "download" not in str(error.value) and "http" not in str(error.value)


def test_a_header_whose_names_are_of_two_kinds(tmp_path: Path) -> None:
    whole = npy((10,), 10, "|u1")
    path = tmp_path / "a.npy"
    path.write_bytes(whole.replace(b"{'descr'", b"{b'desc'", 1))
    with refused(f"data.path = {path}: is not a whole npy file of numbers; write it with numpy.save(path, x)", DataError):
        read_new(Data(path=str(path)), None, DataShape(input_shape=(4,), classes=2))
