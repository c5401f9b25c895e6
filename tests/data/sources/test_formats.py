"""The same rows from every kind of file, and from databases, are the same to the bit."""

from __future__ import annotations

import datetime as dt
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data import Data, load
from pipeline.data.settings import Declared
from pipeline.errors import DataError, PipelineError

ROWS = 120


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size = np.round(rng.normal(size=ROWS), 4)
    size[::9] = np.nan
    return pd.DataFrame(
        {
            "size": size,
            "rooms": rng.integers(0, 5, ROWS),
            "word": np.array(["x", "y", "z"])[rng.integers(0, 3, ROWS)],
            "code": [f"{row % 7:03d}" for row in range(ROWS)],
            "long": [2**53 + 1 + row % 3 for row in range(ROWS)],
            "price": [f"{row % 50 + 1}.234,5" for row in range(ROWS)],
            "flag": rng.integers(0, 2, ROWS).astype(bool),
            "day": pd.to_datetime("2024-01-01") + pd.to_timedelta(rng.integers(0, 99, ROWS), unit="D"),
            "y": np.array(["p", "q"])[rng.integers(0, 2, ROWS)],
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The table as files and databases."""
    table = frame()
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_csv(tmp_path / "t.csv.gz", index=False)
    table.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    table.to_parquet(tmp_path / "t.parquet")
    table.to_json(tmp_path / "t.jsonl", orient="records", lines=True, date_format="iso")
    told = table.assign(day=table["day"].dt.strftime("%Y-%m-%d"), flag=table["flag"].map({True: "true", False: "false"}))
    with sqlite3.connect(tmp_path / "t.db") as connection:
        told.to_sql("t", connection, index=False)
    connection.close()
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(tmp_path / "t.duckdb")) as database:
        database.sql(f"CREATE TABLE t AS SELECT * FROM '{tmp_path}/t.parquet'")
    return tmp_path


def test_all_formats_give_the_same_rows(folder: Path) -> None:
    files = ("t.csv", "t.csv.gz", "t.tsv", "t.parquet", "t.jsonl")
    found = [load(Data(kind="table", path=str(folder / name), target="y"), seed=3) for name in files]
    found += [
        load(Data(kind="sql", path=str(folder / name), query="SELECT * FROM t;", target="y"), seed=3) for name in ("t.db", "t.duckdb")
    ]
    found += [load(Data(kind="sql", query=f"SELECT * FROM '{folder}/t.parquet'", target="y"), seed=3)]
    for each in found[1:]:
        assert (each.encoder, each.feature_names, each.fingerprint) == (found[0].encoder, found[0].feature_names, found[0].fingerprint)
        np.testing.assert_array_equal(each.train.x, found[0].train.x)
        np.testing.assert_array_equal(each.test.x, found[0].test.x)
        assert set(each.notes) == set(found[0].notes)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"query": "SELECT z FROM t", "path": "t.db"},
            "data.query = SELECT z FROM t: cannot be answered (no such column: z); mend the query",
        ),
        (
            {"query": "SELECT 1 AS y, 2 AS y"},
            "data.query = SELECT 1 AS y, 2 AS y: two columns are named y; name one anew with AS",
        ),
        ({}, "data.query = null: data=sql needs a SELECT; give data.query='SELECT * FROM name'"),
    ],
)
def test_a_query_that_cannot_be_answered_is_told(folder: Path, settings: dict[str, str], sentence: str) -> None:
    if "path" in settings:
        settings = {**settings, "path": str(folder / settings["path"])}
    with pytest.raises(PipelineError) as error:
        load(Data(kind="sql", target="y", **settings), seed=0)  # type: ignore[arg-type]  # fields of Data
    assert str(error.value) == sentence


@pytest.mark.parametrize("path", [None, "t.db", "t.duckdb"])
@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1 AS y) TO 'made'; SELECT 1 AS y",
        "SELECT 1 AS y; COPY (SELECT 1 AS y) TO 'made'",
        "COPY (SELECT 1 AS y) TO 'made'",
        "ATTACH 'made' AS other",
        "ATTACH 'made' AS other; CREATE TABLE other.t AS SELECT 1; SELECT 1 AS y",
        "VACUUM INTO 'made'",
        "INSTALL httpfs",
        "DELETE FROM t",
        "SELECT * FROM 'http://127.0.0.1:9/made.csv'",
        "SELECT * FROM columns",
        "-- nothing",
    ],
)
def test_a_query_asks_and_does_nothing_else(folder: Path, monkeypatch: pytest.MonkeyPatch, path: str | None, query: str) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    with pytest.raises(DataError, match=r"is not one SELECT, and nothing else is asked of a database|cannot be answered \("):
        load(Data(kind="sql", path=path, target="y", query=query), seed=0)
    assert sorted(folder.iterdir()) == before


def test_a_query_may_end_in_a_remark(folder: Path) -> None:
    for name in ("t.db", "t.duckdb"):
        assert load(Data(kind="sql", path=str(folder / name), query="SELECT * FROM t -- all; of it", target="y"), seed=3).task


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ('{"a": 1}\n{"a": 2\n', "line 2 is no JSON (Expecting ',' delimiter); give one object a line"),
        ('{"a": 1}\n[2]\n', "line 2 is no JSON object; give one object a line"),
        (
            '{"a": 1, "y": 0}\n{"a": [2], "y": 1}\n',
            "column a, line 2 holds neither a number, a word nor a truth value; leave it out with data.ignore=[a]",
        ),
    ],
)
def test_lines_that_are_no_objects_are_named(tmp_path: Path, lines: str, sentence: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(lines)
    with pytest.raises(PipelineError) as error:
        load(Data(kind="table", path=str(path), target="y"), seed=0)
    assert str(error.value) == f"data.path = {path}: {sentence}"


def test_newer_types_of_arrow_are_read(tmp_path: Path) -> None:
    columns = {
        "view": pa.array(["a", "b", "a", "b"], pa.string_view()),
        "large": pa.array(["a", "b", "a", "b"], pa.large_string()),
        "time": pa.array([3_600_000_000, 7_200_000_000, 0, 1_800_000_000], pa.time64("us")),
        "span": pa.array([1500, 2500, 3500, 500], pa.duration("ms")),
        "y": pa.array([0, 1, 0, 1]),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    from pipeline.data.tables.table import read_table

    table = read_table(tmp_path / "t.parquet", Data(kind="table", path=str(tmp_path / "t.parquet")))
    assert table.texts("view") == table.texts("large") == ["a", "b", "a", "b"]
    np.testing.assert_array_equal(table.values("time"), [1, 2, 0, 0.5])
    np.testing.assert_array_equal(table.values("span"), [1.5, 2.5, 3.5, 0.5])


def test_what_stands_for_no_day_in_a_column_of_dates_is_asked_about(tmp_path: Path) -> None:
    from pipeline.data.tables.table import read_table

    days = pa.array([dt.date(9999, 12, 31), dt.date(2021, 1, 1), dt.date(2021, 1, 2)])
    pq.write_table(pa.table({"c": days}), tmp_path / "t.parquet")
    config = Data(kind="table", path=str(tmp_path / "t.parquet"))
    with pytest.raises(PipelineError) as error:
        read_table(tmp_path / "t.parquet", config)
    rule = "it stands 1 time, apart from all others (2021-01-01 to 2021-01-02), and may mean a missing value"
    assert f"column c, row 0 is '9999-12-31'; {rule}; give " in str(error.value)
    given = replace(config, columns={"c": Declared(missing=("9999-12-31",))})
    np.testing.assert_array_equal(read_table(tmp_path / "t.parquet", given).values("c"), [np.nan, 18628, 18629])


def test_whole_numbers_of_duckdb_keep_their_digits(tmp_path: Path) -> None:
    from pipeline.data.tables.table import read_table

    query = "SELECT * FROM (VALUES (123456789012345678901::HUGEINT, INTERVAL 1 MONTH), (123456789012345678902, NULL)) rows (a, b)"
    config = Data(kind="sql", query=query, ignore=("b",))
    assert read_table(Path(), config).texts("a") == ["123456789012345678901", "123456789012345678902"]
    with pytest.raises(PipelineError, match="column b holds neither numbers, words nor dates"):
        read_table(Path(), replace(config, ignore=()))
