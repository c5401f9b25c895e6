"""An ONNX file predicts what the program does, for every kind; tests/export/table.py writes the largest differences to docs/export.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pipeline
from pipeline.export.onnx_ops import OPS
from tests.export.cases import CASES, SHORT, trained

pytestmark = pytest.mark.integration


def _run(content: bytes, given: dict[str, Any]) -> dict[str, Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(content)
    names = [entry.name for entry in session.get_outputs()]
    return dict(zip(names, session.run(names, given), strict=True))


def difference(name: str) -> float:
    """The largest of a case, of values relative to their size."""
    from pipeline.export.onnx_file import onnx_bytes

    model, x = trained(name)
    got, wanted = _run(onnx_bytes(model), {"x": x}), model.predict(x)
    if model.classes:
        assert list(got["label"]) == list(model.predict_classes(x))
        return float(np.abs(got["probabilities"] - wanted).max())
    return float((np.abs(got["values"] - wanted) / (1 + np.abs(wanted))).max())


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", CASES)
def test_a_file_predicts_what_the_program_does(name: str) -> None:
    assert difference(name) < 1e-5


def test_a_table_has_an_input_for_each_column() -> None:
    """Words, missing cells, truth values, dates with their parts, ordered words."""
    from pipeline.export.onnx_file import onnx_bytes

    generator = np.random.default_rng(0)
    count = 200
    days = pd.to_datetime("1999-11-03") + pd.to_timedelta(generator.integers(0, 9000, count), "D")
    frame = pd.DataFrame(
        {
            "area": np.where(generator.random(count) < 0.1, np.nan, generator.normal(size=count)),
            "town": generator.choice(["Bern", "Zürich", None], count),
            "garden": generator.random(count) < 0.5,
            "day": days,
            "size": generator.choice(["S", "M", "L"], count),
            "sold": generator.choice(["yes", "no"], count),
        }
    )
    parts = "data.columns={day: {kind: date, features: [days, weekday, month]}, size: {kind: ordinal, order: [S, M, L]}}"
    cfg = pipeline.compose([*SHORT, "architecture=mlp_small", parts])
    model = pipeline.train(cfg, frame, target="sold", quiet=True).program
    rows = frame.drop(columns="sold")
    rows.loc[0, "town"] = "Genf"  # in no training row
    epoch = pd.to_datetime("1970-01-01")
    given = {
        "area": rows["area"].to_numpy()[:, None],
        "town": rows["town"].fillna("").to_numpy(object)[:, None],
        "garden": rows["garden"].to_numpy(float)[:, None],
        "day": ((rows["day"] - epoch) / pd.Timedelta(days=1)).to_numpy()[:, None],
        "size": rows["size"].to_numpy(object)[:, None],
    }
    got = _run(onnx_bytes(model), given)
    with pytest.warns(UserWarning):
        wanted = model.predict(rows)
    np.testing.assert_allclose(got["probabilities"], wanted, atol=1e-5)
    assert set(got["label"]) <= {"yes", "no"}


def test_labels_of_which_a_row_may_have_several() -> None:
    from pipeline.export.onnx_file import onnx_bytes

    generator = np.random.default_rng(0)
    x = generator.normal(size=(100, 3))
    y = (x[:, :2] > 0).astype(int)
    model = pipeline.train(pipeline.compose([*SHORT, "architecture=mlp_small"]), x, y, quiet=True).program
    got = _run(onnx_bytes(model), {"x": x})
    np.testing.assert_allclose(got["probabilities"], model.predict(x), atol=1e-6)
    np.testing.assert_array_equal(got["labels"], model.predict_classes(x))


def test_the_file_says_what_it_is() -> None:
    import onnx

    from pipeline.export.onnx_file import onnx_bytes

    model, _ = trained("activation relu")
    file = onnx.load_from_string(onnx_bytes(model))
    said = {entry.key: json.loads(entry.value) for entry in file.metadata_props}
    assert said["classes"] == ["setosa", "versicolor", "virginica"] and said["digest"] == model.digest
    assert [entry.name for entry in file.graph.output] == ["label", "probabilities"]
    assert file.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"


def test_every_op_that_a_prediction_needs_has_a_row() -> None:
    met = {node.op for name in CASES for node in _forward(name).nodes}
    assert met <= set(OPS)
    assert {"conv", "conv_data_gradient", "patches", "max_pool", "average_pool", "group_norm", "standardize", "concat"} <= met


def _forward(name: str) -> Any:
    from pipeline.export.forward import forward

    return forward(trained(name)[0])
