"""Tables converted to mapped cells: what is loaded is what the whole file gives, once converted and ever after."""

from __future__ import annotations

import importlib
import json
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.data import Data, Dataset, load
from pipeline.data.sources import batches as sources
from pipeline.data.tables import cache as table_cache
from pipeline.data.tables import look as look_module
from pipeline.errors import PipelineError
from pipeline.rows import Streamed

ROWS = 300


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and chunks that a small table has many of."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "BLOCK", 2000)
    monkeypatch.setattr(sources, "BATCH_ROWS", 37)
    return tmp_path / "cache" / "caviar" / "tables"


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    number = rng.normal(size=ROWS)
    number[::7] = np.nan
    word = np.array(["red", "green", "dark blue"], object)[rng.integers(0, 3, ROWS)]
    word[::11] = None
    word[5] = "rare"
    return pd.DataFrame(
        {
            "id": [f"row-{i}" for i in range(ROWS)],
            "size": number,
            "count": rng.integers(0, 9, ROWS),
            "colour": word,
            "code": rng.integers(100, 104, ROWS),
            "open": rng.integers(0, 2, ROWS).astype(bool),
            "day": pd.to_datetime("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, ROWS), unit="D"),
            "weight": rng.random(ROWS),
            "kind": np.array(["yes", "no"])[rng.integers(0, 2, ROWS)],
        }
    )


def written(tmp_path: Path, kind: str, table: pd.DataFrame, **settings: object) -> Data:
    path = tmp_path / f"table.{kind}"
    if kind == "csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    return Data(kind=kind, path=str(path), **{"target": "kind", "categorical": ("code",), "ignore": ("id",), **settings})  # type: ignore[arg-type]


def conversions(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if path.name != "seen"]


def assert_same(one: Dataset, other: Dataset) -> None:
    assert (other.encoder, other.feature_names, other.class_names, other.notes) == (
        one.encoder, one.feature_names, one.class_names, one.notes,
    )  # fmt: skip
    assert (other.fingerprint, other.shape, other.name) == (one.fingerprint, one.shape, one.name)
    for name in ("train", "validation", "test"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert isinstance(mine.x, np.ndarray) and isinstance(theirs.x, Streamed)
        np.testing.assert_array_equal(np.asarray(theirs.x), mine.x)
        np.testing.assert_array_equal(theirs.x[np.arange(len(mine.x))[::-1]], mine.x[::-1])
        np.testing.assert_array_equal(theirs.y, mine.y)
        np.testing.assert_array_equal(theirs.rows, mine.rows)
        assert (mine.weight is None) == (theirs.weight is None)
        if mine.weight is not None:
            np.testing.assert_array_equal(theirs.weight, mine.weight)


SETTINGS = [
    {},
    {"sample_weight": "weight"},
    {"target": "open", "ignore": ("id", "day")},
    {"target": "size", "ignore": ("id", "size2")},
    {"target": "count", "task": "classification"},
    {"target": "code", "categorical": ()},
]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_converted_table_gives_what_the_whole_file_gives(tmp_path: Path, kind: str, settings: dict[str, object]) -> None:
    table = frame()
    if settings.get("target") == "size":
        table = table.assign(size2=table["size"], size=table["count"] * 1.5 + 0.25)
    config = written(tmp_path, kind, table, **settings)
    whole = load(replace(config, stream=False), seed=4)
    assert_same(whole, load(replace(config, stream=True), seed=4))
    assert_same(load(replace(config, stream=False), seed=5), load(replace(config, stream=True), seed=5))


def test_a_table_is_converted_once_and_again_when_it_has_changed(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = written(tmp_path, "csv", frame(), stream=True)
    calls: list[Path] = []
    real = table_cache.source
    monkeypatch.setattr(table_cache, "source", lambda path, *rest: calls.append(path) or real(path, *rest))
    for _ in range(3):
        first = load(config, seed=0)
    assert len(calls) == 1
    (place,) = conversions(cache)
    assert sorted(path.name for path in place.iterdir()) == ["cells", "table.json"]
    load(replace(config, categorical=()), seed=0)
    assert len(calls) == 2 and len(conversions(cache)) == 2
    written(tmp_path, "csv", frame().assign(size=1.5))
    os.utime(str(config.path), ns=(1, 1))
    assert load(config, seed=0).fingerprint != first.fingerprint
    assert len(calls) == 3 and len(conversions(cache)) == 1


def test_a_copy_of_a_file_is_known_by_its_content(tmp_path: Path, cache: Path) -> None:
    config = written(tmp_path, "csv", frame(), stream=True)
    first = load(config, seed=0)
    (tmp_path / "copy.csv").write_bytes(Path(str(config.path)).read_bytes())
    second = load(replace(config, path=str(tmp_path / "copy.csv")), seed=0)
    assert second.fingerprint == first.fingerprint and len(conversions(cache)) == 1
    os.utime(str(config.path), ns=(1, 1))
    assert load(config, seed=0).fingerprint == first.fingerprint and len(conversions(cache)) == 1


def spoil_cells(place: Path) -> None:
    content = bytearray((place / "cells").read_bytes())
    content[len(content) // 2] ^= 1
    (place / "cells").write_bytes(content)


def cut_cells(place: Path) -> None:
    (place / "cells").write_bytes((place / "cells").read_bytes()[:-8])


def cut_facts(place: Path) -> None:
    (place / "table.json").write_text((place / "table.json").read_text()[:-20])


def lose_cells(place: Path) -> None:
    (place / "cells").unlink()


@pytest.mark.parametrize("damage", [spoil_cells, cut_cells, cut_facts, lose_cells])
def test_a_damaged_conversion_is_made_again_and_said(tmp_path: Path, cache: Path, damage: object) -> None:
    config = written(tmp_path, "csv", frame(), stream=True)
    first = load(config, seed=0)
    x = np.asarray(first.train.x)
    (place,) = conversions(cache)
    assert callable(damage)
    damage(place)
    again = load(config, seed=0)
    assert again.notes == (f"the converted table in {place} was damaged and has been made again", *first.notes)
    np.testing.assert_array_equal(np.asarray(again.train.x), x)
    assert load(config, seed=0).notes == first.notes
    assert len(json.loads((place / "table.json").read_text())["facts"]["columns"]) == 8


BAD = {
    "nothing": "",
    "header": "a,b\n",
    "numbers": "1,2\n3,4\n",
    "ragged": "a,kind\n1,x\n2\n",
    "quotes": 'a,kind\n1,x\n"2,y\n',
    "twice": "a,a,kind\n1,2,x\n",
    "infinite": "a,kind\n" + "1,x\n2,y\n" * 50 + "inf,x\n",
    "mixed": "a,kind\n" + "1,x\n2,y\n" * 50 + "wat,x\n",
    "target": "a,b\n" + "1,2\n" * 10,
    "missing": "a,kind\n" + "1,x\n2,y\n" * 50 + "1,\n",
    "bytes": b"a,kind\n" + b"1,x\n2,y\n" * 50 + b"\xff,x\n",
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_told_in_the_same_words(tmp_path: Path, cache: Path, name: str) -> None:
    path, content = tmp_path / "bad.csv", BAD[name]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = []
    for stream in (False, True):
        with pytest.raises(PipelineError) as error:
            load(Data(kind="csv", path=str(path), target="kind", stream=stream), seed=0)
        said.append(str(error.value))
    assert said[0] == said[1]
    if name in ("target", "missing"):  # the table itself can be read
        assert not list(cache.glob("making-*"))
    else:
        assert not cache.exists() or not list(cache.iterdir())


def test_a_parquet_file_cut_short_is_told_in_the_same_words(tmp_path: Path) -> None:
    config = written(tmp_path, "parquet", frame())
    path = Path(str(config.path))
    path.write_bytes(path.read_bytes()[:1000])
    said = []
    for stream in (False, True):
        with pytest.raises(PipelineError) as error:
            load(replace(config, stream=stream), seed=0)
        said.append(str(error.value))
    assert said[0] == said[1]


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, cache: Path) -> None:
    config = written(tmp_path, "csv", frame(), stream=True)
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(PipelineError) as error:
        load(config, seed=0)
    rule = f"cannot be converted in {cache} (not a directory); make room there, or set XDG_CACHE_HOME to another folder"
    assert str(error.value) == f"data.path = {config.path}: {rule}"


def test_a_column_of_too_many_words_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_module, "LEAST_DISTINCT", 50)
    monkeypatch.setattr(look_module, "DISTINCT", 50)
    monkeypatch.setattr(importlib.import_module("pipeline.data.tables.convert"), "MOST_WORDS", 50)
    config = written(tmp_path, "csv", frame(), ignore=(), stream=True)
    with pytest.raises(PipelineError) as error:
        load(config, seed=0)
    rule = "column id has more than 50 different words; leave it out with data.ignore=[id]"
    assert str(error.value) == f"data.path = {config.path}: {rule}"


def test_a_large_file_is_converted_without_being_asked(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = written(tmp_path, "csv", frame())
    load(config, seed=0)
    assert not cache.exists()
    monkeypatch.setattr(importlib.import_module("pipeline.data.tables.cache"), "LARGE", 1000)
    found = load(config, seed=0)
    assert len(conversions(cache)) == 1 and isinstance(found.train.x, np.ndarray)


def test_converting_and_reading_take_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "BLOCK", 20_000)
    monkeypatch.setattr(look_module, "KEPT", 0)
    lines = (f"{i},{i % 97}.5,{i % 89},{i % 83},{'ab'[i % 2]},{'xy'[i % 2]}\n" for i in range(40_000))
    path = tmp_path / "long.csv"
    path.write_text("a,b,c,d,word,kind\n" + "".join(lines))
    peaks = []
    for stream in (True, False):
        tracemalloc.start()
        load(Data(kind="csv", path=str(path), target="kind", stream=stream), seed=0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < 8_000_000 < peaks[1]
