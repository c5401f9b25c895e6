"""Tables and arrays in memory: a trained model takes them by their columns, and training does."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipeline
from pipeline import files
from pipeline.config.spec import experiment
from pipeline.data.sources.frames import Given
from pipeline.errors import ConfigError, DataError, RunError
from pipeline.tasks.context import RunContext
from pipeline.tasks.train import run
from tests.end_to_end.conftest import Command
from tests.refusal import refused

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

SMALL = ["architecture=mlp_small", "training.epochs=3", "training.batch_size=16", "tracking=none"]
FRAMES: dict[str, Callable[[Any], Any]] = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "objects": lambda frame: frame.astype(object),
    "reversed": lambda frame: frame[frame.columns[::-1]],
}


@pytest.fixture
def houses() -> Any:
    """A number with gaps, a word, a whole number, and a number to predict."""
    rng = np.random.default_rng(0)
    size, rooms = rng.normal(size=120).round(3), rng.integers(1, 9, 120)
    town = np.array(["Bern", "Basel", "Genf"])[rng.integers(0, 3, 120)]
    price = (3 * size + rooms + (town == "Bern")).round(3)
    size[7] = np.nan
    return pd.DataFrame({"size": size, "town": town, "rooms": rooms, "price": price})


def test_a_loaded_run_takes_tables_by_their_columns(work: Path, houses: Any, pipeline_command: Command) -> None:
    houses.to_csv("houses.csv", index=False)
    result = pipeline.train(pipeline.compose([*SMALL, "data=table", "data.path=houses.csv", "data.target=price"]), quiet=True)
    model = pipeline.load(result.folder)
    assert model.feature_names == ("size", "town", "rooms") and model.classes == ()
    assert pipeline_command("task=predict", f"run={result.folder}", "data.path=houses.csv", "output=p.npz").returncode == 0
    wanted = np.load("p.npz")["price"]
    for frame in (made(houses) for made in FRAMES.values()):
        with pytest.warns(UserWarning, match="column size: 1 missing value filled with"):
            np.testing.assert_array_equal(model.predict(frame)[:, 0], wanted)
    whole = houses.dropna().drop(columns="price")
    np.testing.assert_array_equal(model.predict(whole)[:, 0], np.delete(wanted, 7))
    np.testing.assert_array_equal(result.program.predict(whole), model.predict(whole))
    loss = model.evaluate(whole, houses.dropna()["price"])[1]
    assert loss.shape == (119,)
    with refused("x: has no columns town, rooms, which the model was trained on; its columns are size, price", DataError):
        model.predict(houses[["size", "price"]])
    with refused("predict_proba: the model predicts numbers; use predict", DataError):
        model.predict_proba(whole)


def test_classes_are_told_by_their_names(work: Path, houses: Any) -> None:
    houses = houses.dropna()
    result = pipeline.train(pipeline.compose(SMALL), houses, target="town", quiet=True)
    model = pipeline.load(result.folder)
    assert model.classes == ("Basel", "Bern", "Genf") and model.feature_names == ("size", "rooms", "price")
    probability = model.predict_proba(houses)
    np.testing.assert_array_equal(probability, model.predict(houses))
    told = model.predict_classes(houses)
    assert told.tolist() == [model.classes[place] for place in probability.argmax(axis=1)]
    np.testing.assert_array_equal(
        model.evaluate(houses, houses["town"])[1],
        model.evaluate(houses, probability.argmax(axis=1) * 0 + [model.classes.index(town) for town in houses["town"]])[1],
    )
    text = houses.assign(price=houses["price"].astype(str))  # its cells are parsed, by what no pickle holds
    np.testing.assert_array_equal(model.predict(text), probability)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(text), probability)  # our own
    with refused("y[1] = Chur: is none of the classes Basel, Bern, Genf", DataError):
        model.loss(houses[:2], ["Bern", "Chur"])


def test_an_unseen_word_is_a_warning(work: Path, houses: Any) -> None:
    model = pipeline.train(pipeline.compose(SMALL), houses.dropna(), target="price", quiet=True).program
    with pytest.warns(UserWarning, match=r"column town: 1 row with a category that the training part does not have \('Chur', row 0\)"):
        model.predict(pd.DataFrame({"rooms": [3], "size": [1.5], "town": ["Chur"]}))


@pytest.mark.parametrize("made", FRAMES.values(), ids=FRAMES)
def test_training_on_a_table_is_that_on_its_file(work: Path, houses: Any, made: Callable[[Any], Any]) -> None:
    houses.to_csv("houses.csv", index=False)
    filed = pipeline.train(pipeline.compose([*SMALL, "data=table", "data.path=houses.csv", "data.target=price"]), quiet=True)
    frame = made(houses)
    result = pipeline.train(pipeline.compose(SMALL), frame, target="price", quiet=True)
    if made is not FRAMES["reversed"]:
        assert result.metrics["rmse/test"] == filed.metrics["rmse/test"]
    beside = pipeline.train(pipeline.compose(SMALL), houses[["size", "town", "rooms"]], houses["price"], quiet=True)
    assert beside.metrics["rmse/test"] == filed.metrics["rmse/test"]


def test_arrays_are_trained_on_and_gone_on_with(work: Path, pipeline_command: Command) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    y = np.array(["no", "yes"], dtype=object)[(x[:, 0] > 0).astype(int)]
    config = pipeline.compose(SMALL)
    result = pipeline.train(config, x, y, quiet=True)
    assert result.program.classes == ("no", "yes")
    np.savez("rows.npz", x=x.astype(np.float64), y=y.astype(str))
    filed = pipeline.train(pipeline.compose([*SMALL, "data=npz", "data.path=rows.npz"]), quiet=True)
    same = {name: value for name, value in filed.metrics.items() if not name.startswith("time/")}
    assert {name: value for name, value in result.metrics.items() if not name.startswith("time/")} == same
    weighted = pipeline.train(config, x.tolist(), y.tolist(), sample_weight=np.ones(200), quiet=True)
    assert weighted.metrics["loss/test"] == result.metrics["loss/test"]

    asked = [f"resume={result.folder}", "training.epochs=5"]
    refusal = pipeline_command(*asked)
    rule = "the rows are those in memory that pipeline.train(cfg, x, y) was given; give them again from Python, or use files"
    assert (refusal.returncode, refusal.stderr) == (2, f"error: data = arrays: {rule}\n")
    longer, context = pipeline.compose(asked), RunContext(overrides=tuple(asked))
    with refused(
        f"resume = {files.shown(result.folder)}: the data has changed since the run began; restore it, or start a new run", RunError
    ):
        run(experiment(longer), longer, context, quiet=True, given=Given(x=x + 1, y=y))
    assert len(run(experiment(longer), longer, context, quiet=True, given=Given(x=x, y=y)).epochs) == 5


def test_a_table_in_memory_is_divided_by_its_columns_and_an_array_has_none(work: Path, houses: Any) -> None:
    asked = pipeline.compose([*SMALL, "data=arrays", "data.split.group=rooms"])
    result = pipeline.train(asked, houses, target="price", quiet=True)
    assert "rmse/test" in result.metrics
    rule = "x is an array, without named columns; give a table of pandas, Polars or Arrow"
    with refused(f"data.split.group = rooms: {rule}", ConfigError):
        pipeline.train(asked, np.zeros((9, 2)), np.arange(9) % 2, quiet=True)
    with refused(f"data.ignore = ['a']: {rule}", ConfigError):
        pipeline.train(pipeline.compose([*SMALL, "data=arrays", "data.ignore=[a]"]), np.zeros((9, 2)), np.arange(9) % 2, quiet=True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"y": [1]}, "data = arrays: x is missing; give pipeline.train(cfg, x, y), or a table and target=COLUMN"),
        ({"x": np.zeros((3, 2))}, "data = arrays: y is missing; give pipeline.train(cfg, x, y), or a table and target=COLUMN"),
        (
            {"x": np.zeros((3, 2)), "target": "a"},
            "data = arrays: target = a names a column, and x is an array; give y, or a table with named columns",
        ),
        ({"x": np.array([[0.0], [np.nan]]), "y": [0, 1]}, "data = arrays, x: row 1, column 0 is nan; every number must be finite"),
        ({"x": np.zeros((3, 2)), "y": [0, 1]}, "data = arrays: x has 3 rows and y has shape (2,); give one y per row"),
        ({"x": pd.DataFrame({"y": [1.0], "a": [2.0]}), "y": [1]}, None),
        ({"x": pd.DataFrame({"a": [1.0, 2.0]}), "y": [1]}, "data = arrays: x has 2 rows and y 1; give one for each row"),
        ({"x": pd.DataFrame({"a": [1.0, 2.0]}), "target": "b"}, "data.target = b: arrays has no such column; use one of a"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_one_sentence(work: Path, arguments: dict[str, Any], sentence: str | None) -> None:
    with pytest.raises((DataError, ConfigError)) as caught:
        pipeline.train(pipeline.compose(SMALL), **arguments, quiet=True)
    rule = "data = arrays: the table has a column y and y is given beside it; name the column with target=y"
    assert str(caught.value) == (sentence or rule)
    assert list(work.iterdir()) == []
