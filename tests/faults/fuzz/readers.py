"""Each reader of what somebody else may have written: a whole sample, how it is damaged, and how it is read."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import random
import shutil
import sqlite3
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.json  # loaded before memory is measured
import pyarrow.parquet as pq
from PIL import Image

import pipeline
from pipeline.config import spec
from pipeline.data import Data, DataShape, load, read_new
from pipeline.data.arrays.idx import read_idx
from pipeline.sweeps.journal import SweepJournal
from pipeline.tracking.delivery import read_sent
from pipeline.tracking.folder import read_info
from pipeline.tracking.journal import read_journal
from pipeline.training import checkpoint
from tests.faults.fuzz import mutate

SHAPE = DataShape(input_shape=(3,), classes=2)
LINES = "number,word,day,flag,y\n" + "".join(
    f"{i * 1.25},{['red', 'green', 'blue'][i % 3]},2024-0{1 + i % 9}-1{i % 8},{'true' if i % 2 else 'false'},{'pq'[i % 2]}\n"
    for i in range(24)
)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """make writes whole samples into an empty folder; damage changes one of them; read reads what lies in the folder.

    file    the one that is damaged
    """

    file: str
    make: Callable[[Path], None]
    damage: mutate.Mutation
    read: Callable[[Path], object]


def text(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def frame() -> pa.Table:
    rows = [line.split(",") for line in LINES.splitlines()[1:]]
    columns = list(zip(*rows, strict=True))
    numbers = pa.array([float(cell) for cell in columns[0]])
    return pa.table([numbers, *map(pa.array, columns[1:])], names=LINES.splitlines()[0].split(","))


def table(name: str) -> Callable[[Path], object]:
    return lambda folder: load(Data(kind="table", path=str(folder / name), target="y"), seed=0)


def sql(name: str) -> Callable[[Path], object]:
    return lambda folder: load(Data(kind="sql", path=str(folder / name), query="SELECT * FROM t", target="y"), seed=0)


def _json_lines() -> bytes:
    return "".join(json.dumps(row) + "\n" for row in frame().to_pylist()).encode()


def _sqlite(folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / "t.sqlite")) as connection:
        connection.execute("CREATE TABLE t (number REAL, word TEXT, day TEXT, flag TEXT, y TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", [tuple(row.values()) for row in frame().to_pylist()])
        connection.commit()


def _duckdb(folder: Path) -> None:
    rows = frame()
    with duckdb.connect(str(folder / "t.duckdb")) as connection:
        connection.register("rows", rows)
        connection.sql("CREATE TABLE t AS SELECT * FROM rows")


def _arrays(folder: Path) -> None:
    x, y = np.arange(72.0).reshape(24, 3), np.arange(24) % 2
    np.savez_compressed(folder / "a.npz", x=x, y=y)
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)


def _mapped(folder: Path) -> object:
    with contextlib.suppress(pipeline.errors.PipelineError):
        read_new(Data(path=str(folder / "x.npy")), None, SHAPE)
    return load(Data(kind="npy", root=str(folder)), seed=0)


def _idx(folder: Path) -> None:
    values = np.arange(10 * 4 * 4, dtype=np.uint8)
    (folder / "t.idx3-ubyte.gz").write_bytes(gzip.compress(b"\0\0\x08\x03" + struct.pack(">III", 10, 4, 4) + values.tobytes()))


def _images(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a/1.png", "b/1.jpg"):
        (folder / name).parent.mkdir()
        Image.fromarray(rng.integers(0, 255, (12, 9, 3)).astype(np.uint8)).save(folder / name)


def _png(rng: random.Random, content: bytes) -> bytes:
    """Damage with the checksums of its chunks made right again, so that it is met behind them."""
    made = mutate.of_bytes(rng, content)
    if rng.random() < 0.4 or not made.startswith(b"\x89PNG\r\n\x1a\n"):
        return made
    place, parts = 8, [made[:8]]
    while place + 12 <= len(made):
        size = int.from_bytes(made[place : place + 4], "big")
        chunk = made[place + 4 : place + 8 + size]
        parts.append(made[place : place + 4] + chunk + zlib.crc32(chunk).to_bytes(4, "big"))
        place += 12 + size
    return b"".join(parts)


def _run(folder: Path) -> None:
    """A run that was trained, once for all readers of its files."""
    if TRAINED:
        shutil.copytree(TRAINED[0], folder / "run")
        return
    TRAINED.append(folder / "run")
    with contextlib.chdir(folder):
        cfg = pipeline.compose(["architecture.layers=[{kind: dense, units: 4}]", "training.epochs=2", "tracking=none", "output=run"])
        pipeline.train(cfg, quiet=True)


TRAINED: list[Path] = []


def _of_journal(rng: random.Random, content: bytes) -> bytes:
    """A line changed and signed again, or the bytes."""
    if rng.random() < 0.4:
        return mutate.of_bytes(rng, content)
    lines = content.splitlines()
    place = rng.randrange(len(lines))
    told = {name: value for name, value in json.loads(lines[place]).items() if name != "crc"}
    made = mutate.written(mutate.of_value(rng, told)).encode("utf-8", "surrogatepass")
    lines[place] = pipeline.tracking.journal._signed(made).rstrip(b"\n")
    return b"\n".join(lines) + b"\n"


def _of_manifest(rng: random.Random, content: bytes) -> bytes:
    """A value changed and the digest made right again, or the bytes."""
    if rng.random() < 0.3:
        return mutate.of_bytes(rng, content)
    manifest = json.loads(content)
    del manifest["sha256"]
    made = mutate.of_value(rng, manifest)
    try:
        return checkpoint.text(made).encode("utf-8", "surrogatepass")
    except (TypeError, RecursionError):
        return mutate.written(made).encode("utf-8", "surrogatepass")


def _overrides(folder: Path) -> object:
    """Each line is an override, or all of it a config as it is composed."""
    content = (folder / "overrides.txt").read_bytes().decode("utf-8", "replace")
    if content.startswith("{"):
        with contextlib.suppress(ValueError):  # else these are lines, the first of which begins so
            return spec.experiment(json.loads(content))
    return spec.experiment(pipeline.compose([line for line in content.splitlines() if line and not line.startswith("hydra")]))


OVERRIDES = """optimizer=adam
optimizer.learning_rate=1e-3
architecture.layers=[{kind: dense, units: 8}, {kind: dense, units: auto, activation: relu}]
regularization=dropout
schedule=cosine
data.split={validation: 0.2, folds: null}
training.early_stopping={patience: 3}
"""


def _of_overrides(rng: random.Random, content: bytes) -> bytes:
    if rng.random() < 0.6:
        lines = content.splitlines()
        place = rng.randrange(len(lines))
        lines[place] = mutate.of_bytes(rng, lines[place])
        return b"\n".join(lines)
    value = COMPOSED or COMPOSED.update(pipeline.compose()) or COMPOSED
    return mutate.written(mutate.of_value(rng, value)).encode("utf-8", "surrogatepass")


COMPOSED: dict[str, Any] = {}
ARRAYS = "step-00000001-arrays.safetensors"


def _with_arrays(folder: Path) -> None:
    """A run whose arrays lie in one file of a known name."""
    _run(folder)
    place = folder / "run" / "checkpoints"
    manifest = json.loads((place / "checkpoint.json").read_text())
    (place / manifest["last"]["file"]).rename(place / ARRAYS)


def _arrays_of_run(folder: Path) -> object:
    """The run with a manifest that is right for whatever the arrays are."""
    place = folder / "run" / "checkpoints"
    content = (place / ARRAYS).read_bytes()
    manifest = json.loads((place / "checkpoint.json").read_text())
    del manifest["sha256"]
    entry = {"file": ARRAYS, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (place / "checkpoint.json").write_text(checkpoint.text({**manifest, "last": entry, "best": entry}))
    return pipeline.load(str(folder / "run"))


def _sweep(folder: Path) -> None:
    journal = SweepJournal(folder, project=folder)
    journal.begin(id="s", flags=[], overrides=["seed=0,1"], jobs=[{"seed": "0"}, {"seed": "1"}])
    journal.asked_for(0, [{"seed": 1}])
    journal.run("a", 0, folder / "runs" / "a")
    journal.end("a", "finished", {"accuracy/validation": 0.5})
    journal.summed_up(folder / "runs" / "s")
    journal.close()


def _of_lines(rng: random.Random, content: bytes) -> bytes:
    lines = content.splitlines()
    place = rng.randrange(len(lines))
    lines[place] = mutate.of_json(rng, lines[place])
    return b"\n".join(lines) + b"\n"


def _read_sweep(folder: Path) -> object:
    journal = SweepJournal(folder, project=folder)
    journal.close()
    return journal.runs


def _sent(folder: Path) -> None:
    _run(folder)
    (folder / "run" / "mlflow.json").write_text(json.dumps({"uri": "sqlite:///x.db", "experiment_id": "1", "run_id": "2", "offset": 10}))


READERS = {
    "csv": Reader(file="t.csv", make=text("t.csv", LINES.encode()), damage=mutate.of_bytes, read=table("t.csv")),
    "tsv": Reader(file="t.tsv", make=text("t.tsv", LINES.replace(",", "\t").encode()), damage=mutate.of_bytes, read=table("t.tsv")),
    "gz": Reader(file="t.csv.gz", make=text("t.csv.gz", gzip.compress(LINES.encode())), damage=mutate.of_gzip, read=table("t.csv.gz")),
    "jsonl": Reader(file="t.jsonl", make=text("t.jsonl", _json_lines()), damage=mutate.of_bytes, read=table("t.jsonl")),
    "parquet": Reader(
        file="t.parquet", make=lambda at: pq.write_table(frame(), at / "t.parquet"), damage=mutate.of_bytes, read=table("t.parquet")
    ),
    "npz": Reader(file="a.npz", make=_arrays, damage=mutate.of_zip, read=lambda at: load(Data(kind="npz", path=str(at / "a.npz")), seed=0)),
    "npy": Reader(file="x.npy", make=_arrays, damage=mutate.of_bytes, read=_mapped),
    "idx": Reader(
        file="t.idx3-ubyte.gz", make=_idx, damage=mutate.of_gzip, read=lambda at: read_idx(at / "t.idx3-ubyte.gz", at="data.root")
    ),
    "sqlite": Reader(file="t.sqlite", make=_sqlite, damage=mutate.of_bytes, read=sql("t.sqlite")),
    "duckdb": Reader(file="t.duckdb", make=_duckdb, damage=mutate.of_bytes, read=sql("t.duckdb")),
    "png": Reader(file="a/1.png", make=_images, damage=_png, read=lambda at: load(Data(kind="image_folder", path=str(at)), seed=0)),
    "jpeg": Reader(
        file="b/1.jpg", make=_images, damage=mutate.of_bytes, read=lambda at: load(Data(kind="image_folder", path=str(at)), seed=0)
    ),
    "journal": Reader(file="run/journal.jsonl", make=_run, damage=_of_journal, read=lambda at: read_journal(at / "run")),
    "checkpoint": Reader(
        file="run/checkpoints/checkpoint.json", make=_run, damage=_of_manifest, read=lambda at: pipeline.load(str(at / "run"))
    ),
    "arrays": Reader(file=f"run/checkpoints/{ARRAYS}", make=_with_arrays, damage=mutate.of_bytes, read=_arrays_of_run),
    "config.yaml": Reader(file="run/config.yaml", make=_run, damage=mutate.of_bytes, read=lambda at: pipeline.load(str(at / "run"))),
    "run.json": Reader(file="run/run.json", make=_run, damage=mutate.of_json, read=lambda at: read_info(at / "run")),
    "mlflow.json": Reader(file="run/mlflow.json", make=_sent, damage=mutate.of_json, read=lambda at: read_sent(at / "run")),
    "sweep.jsonl": Reader(file="sweep.jsonl", make=_sweep, damage=_of_lines, read=_read_sweep),
    "config": Reader(file="overrides.txt", make=text("overrides.txt", OVERRIDES.encode()), damage=_of_overrides, read=_overrides),
}
