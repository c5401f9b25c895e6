"""A metric of an extension is measured where it is asked for, and may stop a training or rank a sweep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline import cli
from pipeline.errors import ExtensionError
from tests.extend.conftest import GATES, Write
from tests.refusal import refused

SMALL = ("data=wine", "architecture=mlp_small", "training.batch_size=16", "training.epochs=3", "tracking=none")


def test_it_is_measured_after_each_epoch_and_on_the_test_part(module: Write) -> None:
    name = module("metric_a")
    found = pipeline.train(pipeline.compose([*SMALL, f"extensions=[{name}]", "training.metrics=[surprise]"]), quiet=True)
    assert {"surprise/validation", "loss/validation", "loss/train"} <= found.epochs[0].keys()
    assert found.metrics["surprise/test"] == pytest.approx(1 - np.exp(-found.metrics["log_loss/test"]), abs=0.2)
    without = pipeline.train(pipeline.compose([*SMALL]), quiet=True)  # it is loaded, and nobody asks for it
    assert "surprise/test" not in without.metrics
    assert f"extensions: [{name}]" in (found.folder / "config.yaml").read_text()
    assert "extensions" not in (without.folder / "config.yaml").read_text()


def test_it_may_stop_a_training_and_is_refused_where_it_is_for_other_data(module: Write, tmp_path: Path) -> None:
    asked = [*SMALL, f"extensions=[{module('metric_b')}]", "training=early_stopping"]
    found = pipeline.train(pipeline.compose([*asked, "training.early_stopping.metric=surprise/validation"]), quiet=True)
    values = [epoch["surprise/validation"] for epoch in found.epochs]
    assert found.metrics["surprise/validation"] == min(values)  # less of it is better
    with refused("training.metrics[0] = surprise: no metric of regression; use one of rmse, mae, r2"):
        pipeline.train(pipeline.compose([*asked, "data=diabetes", "training.metrics=[surprise]"]), quiet=True)


def test_a_metric_that_breaks_ends_the_run_in_one_line_and_the_record_stays_whole(
    module: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    text = GATES.replace("return 1 - np.mean(p[np.arange(len(y)), y])", "p[0] = 0")
    assert cli.main([*SMALL, f"extensions=[{module('metric_c', text)}]", "training.metrics=[surprise]", "output=run"]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(
        "error: metric surprise: metric_c, line 34: ValueError: assignment destination is read-only; the traceback is in "
    )
    assert "FAILED" in Path("run/journal.jsonl").read_text()


def test_what_is_no_number_is_refused(module: Write) -> None:
    text = GATES.replace("return 1 - np.mean(p[np.arange(len(y)), y])", 'return "much"')
    asked = [*SMALL, f"extensions=[{module('metric_d', text)}]", "training.metrics=[surprise]"]
    with pytest.raises(ExtensionError, match=r"\Ametric surprise: ValueError: could not convert string to float: 'much'"):
        pipeline.train(pipeline.compose(asked), quiet=True)
