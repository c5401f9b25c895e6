"""The same rows from any source are the same run, bit for bit, and any of them can be predicted by any of the models."""

from __future__ import annotations

import csv
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pipeline
from tests.end_to_end.conftest import Command

pytestmark = pytest.mark.filterwarnings("ignore:column .* filled with:UserWarning")

COURSE = ["training.epochs=2", "training.batch_size=32", "architecture.layers=[{kind: dense, units: 16}]", "tracking=none"]
ROWS = 200
QUERY = "data.query='SELECT * FROM t ORDER BY rowid'"
FILES = {
    "csv": ["data=csv", "data.path=t.csv"],
    "tsv": ["data=table", "data.path=t.tsv"],
    "gzip": ["data=table", "data.path=t.csv.gz"],
    "parquet": ["data=table", "data.path=t.parquet"],
    "json lines": ["data=table", "data.path=t.jsonl"],
    "sqlite": ["data=sql", "data.path=t.sqlite", QUERY],
    "duckdb": ["data=sql", "data.path=t.duckdb", QUERY],
    "query of a file": ["data=sql", "data.query=\"SELECT * FROM 't.parquet'\""],
}


def frame() -> pd.DataFrame:
    """Numbers, decimals, whole ones with gaps, words, codes with leading zeros, truth values, days, moments and times."""
    rng = np.random.default_rng(5)
    size = np.round(rng.normal(3, 2, ROWS), 3)
    size[::17] = np.nan
    colour = np.array(["red", "green", "dark blue"], object)[rng.integers(0, 3, ROWS)]
    colour[::19] = None
    day = pd.Series(pd.to_datetime("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, ROWS), unit="D"))
    day[5] = pd.NaT
    start = pd.to_datetime("2024-01-01")
    return pd.DataFrame(
        {
            "size": size,
            "cost": [Decimal(int(value)) / 100 for value in rng.integers(-5000, 5000, ROWS)],
            "count": rng.integers(0, 50, ROWS),
            "gaps": pd.array([None if i % 13 == 0 else int(v) for i, v in enumerate(rng.integers(0, 9, ROWS))], "Int64"),
            "colour": colour,
            "code": np.array(["007", "010", "120"], object)[rng.integers(0, 3, ROWS)],
            "truth": rng.integers(0, 2, ROWS).astype(bool),
            "maybe": pd.array([None if i % 11 == 0 else bool(v) for i, v in enumerate(rng.integers(0, 2, ROWS))], "boolean"),
            "day": day,
            "moment": start + pd.to_timedelta(rng.integers(0, 300 * 86400, ROWS), unit="s"),
            "clock": [(start + pd.Timedelta(minutes=int(m))).time() for m in rng.integers(0, 1440, ROWS)],
            "large": 2**40 + rng.integers(0, 1000, ROWS),
            "price": np.round(np.nan_to_num(size) + rng.normal(size=ROWS), 2),
            "kind": np.where(rng.random(ROWS) < 0.4, "yes, it is", "no"),
        }
    )


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the frame, as each library writes it."""
    table, folder = frame(), tmp_path_factory.mktemp("rows")
    table.to_csv(folder / "t.csv", index=False)
    table.to_csv(folder / "t.csv.gz", index=False)
    table.to_csv(folder / "t.tsv", sep="\t", index=False)
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), folder / "t.parquet")
    plain = table.assign(cost=table["cost"].astype(float), clock=table["clock"].astype(str))  # neither JSON nor SQLite has such types
    plain.to_json(folder / "t.jsonl", orient="records", lines=True, date_format="iso")
    connection = sqlite3.connect(folder / "t.sqlite")
    plain.to_sql("t", connection, index=False)
    connection.close()
    with duckdb.connect(folder / "t.duckdb") as database:
        database.sql(f"CREATE TABLE t AS SELECT * FROM '{folder}/t.parquet'")
    return folder


def trained(target: str, *overrides: str, rows: Any = None) -> tuple[Any, list[dict[str, float]]]:
    other = "price" if target == "kind" else "kind"
    given = {} if rows is None else {"x": rows, "target": target}
    named = [f"data.target={target}"] if rows is None else []
    result = pipeline.train(pipeline.compose([*overrides, *COURSE, *named, f"data.ignore=[{other}]"]), quiet=True, **given)
    history = [{name: value for name, value in epoch.items() if not name.startswith("time")} for epoch in result.epochs]
    return pipeline.load(result.folder), history


@pytest.mark.parametrize("target", ["kind", pytest.param("price", marks=pytest.mark.slow)])
def test_the_same_rows_are_the_same_run(work: Path, rows: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(rows)
    table = frame()
    first, losses = trained(target, *FILES["csv"])
    assert len(first.feature_names) == 12
    predicted = first.predict(table)
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    sources = {**{name: (words, None) for name, words in FILES.items()}, "pandas": ([], table), "arrow": ([], arrow)}
    for name, (words, given) in sources.items():
        model, history = trained(target, *words, rows=given)
        assert history == losses, name
        assert model.classes == first.classes and model.feature_names == first.feature_names, name
        np.testing.assert_array_equal(model.predict(table), predicted, err_msg=name)
        np.testing.assert_array_equal(model.predict(arrow), predicted, err_msg=name)


def test_rows_of_any_source_are_predicted_by_a_model_of_any_other(
    work: Path, rows: Path, pipeline_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(rows)
    for source in ("csv", "sqlite"):
        run = pipeline.train(pipeline.compose([*FILES[source], *COURSE, "data.target=kind"]), quiet=True).folder
        told = []
        for number, words in enumerate(FILES.values()):
            output = work / f"{source}-{number}.csv"
            done = pipeline_command("task=predict", f"run={run}", *words, f"output={output}")
            assert done.returncode == 0, (source, words, done.stderr)
            told.append(output.read_bytes())
        alone = work / f"{source}-path-alone.csv"  # a file that is no database needs no query, whatever the model was trained on
        done = pipeline_command("task=predict", f"run={run}", "data.path=t.jsonl", f"output={alone}")
        assert done.returncode == 0, done.stderr
        assert {*told, alone.read_bytes()} == {told[0]}, source
        with output.open() as file:
            numbers = [float(row["probability_no"]) for row in csv.DictReader(file)]
        np.testing.assert_array_equal(numbers, pipeline.load(run).predict(frame())[:, 0])


@pytest.mark.integration
def test_a_polars_frame_is_the_same_run(work: Path, rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import polars

    monkeypatch.chdir(rows)
    table = polars.from_pandas(frame())
    for target in ("kind", "price"):
        first, losses = trained(target, *FILES["csv"])
        model, history = trained(target, rows=table)
        assert history == losses
        np.testing.assert_array_equal(model.predict(table), first.predict(frame()))
