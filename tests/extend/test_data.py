"""Data sources and preprocessing steps of extensions: chosen, read, fitted and kept as those that are built in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline import cli
from pipeline.errors import DataError, ExtensionError
from tests.extend.conftest import Write
from tests.extend.kinds import KINDS
from tests.refusal import refused

SMALL = ("architecture.layers=[{kind: dense, units: 8}]", "training.batch_size=16", "training.epochs=2", "tracking=none", "output=run")


def test_a_source_and_a_step_are_options_with_settings(module: Write) -> None:
    asked = [*SMALL, f"extensions=[{module('data_a', KINDS)}]", "data=spirals", "data.settings.rows=80", "preprocessing=squash"]
    found = pipeline.train(pipeline.compose([*asked, "preprocessing.settings.squash.by=3"]), quiet=True)
    config = Path("run/config.yaml").read_text()
    assert "settings: {turns: 1.0, rows: 80}" in config and "squash: {by: 3.0}" in config  # with their defaults
    assert found.program.classes == ("in", "out")
    again = pipeline.load("run")
    x = np.array([[0.1, 0.2], [0.5, -0.3]])
    np.testing.assert_array_equal(again.predict(x), found.program.predict(x))
    np.testing.assert_array_equal(again.predict(x)[1:], again.predict(x[1:]))
    assert again.program.structure.network.input_shape == (4,)  # the step makes two numbers of each


def test_their_settings_are_read_strictly(module: Write) -> None:
    asked = [f"extensions=[{module('data_b', KINDS)}]"]
    for overrides, sentence in {
        ("data=spirals", "data.settings.row=8"): "data.settings.row = 8: unknown key; did you mean rows?",
        ("data=spirals", "data.settings.rows=3"): "data.settings.rows = 3: must be at least 4",
        ("data=iris", "data.settings.rows=8"): (
            "data.settings = ['rows']: data=iris has no settings of its own; they are for a source of an extension"
        ),
        ("data=spiral",): "data = spiral: unknown option; did you mean spirals?",
        ("data.kind=spiral",): "data.kind = spiral: unknown choice; did you mean spirals?",
        ("preprocessing=squash", "preprocessing.settings.squash.buy=1"): (
            "preprocessing.settings.squash.buy = 1: unknown key; did you mean by?"
        ),
        ("preprocessing.settings.squash.by=1",): "preprocessing.settings.squash = {'by': 1}: no step reads it; leave it out",
        ("data=spirals", "data.root=x"): "data.root = x: data=spirals does not read it; it is for mnist, fashion_mnist, npy",
    }.items():
        with refused(sentence):
            pipeline.compile(pipeline.compose([*asked, *overrides]))


SOURCES = {
    "return np.zeros((5, 2)), [0, 1, 0]": (DataError, r"data = spirals: x has 5 rows and y has shape \(3,\); give one y per row"),
    "return np.full((6, 2), np.nan), [0, 1] * 3": (DataError, r"data = spirals, x: row 0, column 0 is nan; every number must be finite"),
    'return "rows"': (ExtensionError, r"\Adata source spirals: ValueError: "),
    "raise OSError('the disk is gone')": (ExtensionError, r"\Adata source spirals: data_\w+, line 45: OSError: the disk is gone; "),
}  # fmt: skip


@pytest.mark.parametrize("body", SOURCES)
def test_a_source_that_breaks_is_one_line(module: Write, body: str) -> None:
    text = KINDS.replace("radius = np.linspace(0.1, 1, self.rows // 2)", body)
    cfg = pipeline.compose([*SMALL, f"extensions=[{module(f'data_c{list(SOURCES).index(body)}', text)}]", "data=spirals"])
    with pytest.raises(SOURCES[body][0], match=SOURCES[body][1]):
        pipeline.train(cfg, quiet=True)
    assert not Path("run").exists()


STEPS = {
    "return squashed[:1]": (ExtensionError, r"preprocessing step squash: apply\(\) gives float64 \[1, 2\]; give numbers \[\d+, 2\]"),
    "return squashed / 0": (DataError, r"preprocessing step squash: apply\(\) makes a number that is not finite of row 0 of a chunk"),
}


@pytest.mark.parametrize("body", STEPS)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_step_that_breaks_is_one_line(module: Write, body: str) -> None:
    text = KINDS.replace("return np.concatenate([squashed, squashed**2], axis=-1)", body)
    name = module(f"data_d{list(STEPS).index(body)}", text)
    cfg = pipeline.compose([*SMALL, f"extensions=[{name}]", "data=spirals", "preprocessing=squash"])
    with pytest.raises(STEPS[body][0], match=STEPS[body][1]):
        pipeline.train(cfg, quiet=True)


@pytest.mark.integration  # seconds of compilation
def test_what_an_export_cannot_say_is_refused_by_name(module: Write, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [f"extensions=[{module('data_e', KINDS)}]", "data=spirals"]
    layers = "architecture.layers=[{kind: dense, units: 8}, {kind: gate}]"
    assert cli.main([*SMALL, *asked, "preprocessing=squash"]) == 0
    assert cli.main(["task=export", "run=run", "format=torch", "output=a.py", asked[0]]) == 2
    line = "error: preprocessing: the step squash cannot be said in PyTorch; export the arrays with format=safetensors\n"
    assert capsys.readouterr().err == line
    assert cli.main([*SMALL[1:-1], *asked, layers, "output=gated"]) == 0
    assert cli.main(["task=export", "run=gated", "format=torch", "output=b.py", asked[0]]) == 0  # a layer as it lowers
    assert ".sigmoid()" in Path("b.py").read_text()
