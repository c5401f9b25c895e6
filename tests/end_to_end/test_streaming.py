"""A run over streamed rows is the run over rows in memory, to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline.errors import DivergedError
from pipeline.preprocessing import Fitted
from pipeline.training import blocks, checkpoint
from tests.end_to_end.conftest import Command
from tests.end_to_end.test_train import assert_same_run

SMALL = ["architecture=mlp_small", "+experiment=bn", "training.epochs=3", "training.batch_size=16", "tracking=none"]


def files(work: Path, dtype: str = "uint8") -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 400)
    np.save(work / "y.npy", y)
    np.save(work / "x.npy", (rng.normal(size=(400, 6, 5, 1)) * 20 + 30 * y[:, None, None, None] + 90).clip(0, 255).astype(dtype))


STEPS = "preprocessing.steps=[center,scale,standardize]"
EXTRA = [[], ["preprocessing=whiten"], ["augmentation=shift"], [STEPS, "preprocessing.axes=channel"], ["precision=float64"]]


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int16"])
@pytest.mark.parametrize("extra", EXTRA, ids=str)
def test_training_has_the_same_bits(work: Path, monkeypatch: pytest.MonkeyPatch, extra: list[str], dtype: str) -> None:
    """Rows prepared in advance, kept in memory as they are stored, and streamed."""
    files(work, dtype)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 7 * 16 * 30 * np.dtype(dtype).itemsize)
    found = {}
    for name, stream in (("advance", "false"), ("memory", "false"), ("streamed", "true")):
        cfg = pipeline.compose([*SMALL, "data=npy", f"data.root={work}", f"data.stream={stream}", f"output=run-{name}", *extra])
        with monkeypatch.context() as patch:
            if name == "advance":
                patch.setattr(Fitted, "pairs", lambda *_: None)
            found[name] = pipeline.train(cfg, quiet=True)
    for name in ("memory", "streamed"):
        assert_same_run(found["advance"].folder, found[name].folder)
        assert found["advance"].metrics["accuracy/test"] == found[name].metrics["accuracy/test"]


def test_a_weighted_regression_has_the_same_bits(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files(work)
    rng = np.random.default_rng(1)
    np.save(work / "y.npy", rng.normal(50, 9, 400))
    np.save(work / "w.npy", rng.random(400))
    found = {}
    for name, stream in (("advance", "false"), ("memory", "false"), ("streamed", "true")):
        arguments = [*SMALL, "data=npy", f"data.root={work}", "data.sample_weight=w", f"data.stream={stream}", f"output=run-{name}"]
        with monkeypatch.context() as patch:
            if name == "advance":
                patch.setattr(Fitted, "pairs", lambda *_: None)
            found[name] = pipeline.train(pipeline.compose(arguments), quiet=True)
    for name in ("memory", "streamed"):
        assert_same_run(found["advance"].folder, found[name].folder)
        assert found["advance"].metrics["loss/test"] == found[name].metrics["loss/test"]


def test_a_step_that_diverges_is_told_of_rows_as_they_are_stored(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files(work)
    told = set()
    for name, stream in (("advance", "false"), ("memory", "false"), ("streamed", "true")):
        arguments = [*SMALL, "data=npy", f"data.root={work}", f"data.stream={stream}", f"output=run-{name}"]
        with monkeypatch.context() as patch, pytest.raises(DivergedError) as error:
            if name == "advance":
                patch.setattr(Fitted, "pairs", lambda *_: None)
            pipeline.train(pipeline.compose([*arguments, "optimizer=sgd", "optimizer.learning_rate=1e30"]), quiet=True)
        told.add(str(error.value).replace(f"run-{name}", "FOLDER"))
    assert len(told) == 1 and "the first non-finite value is in" in told.pop()


def test_a_streamed_table_is_trained_evaluated_and_predicted_from_as_one_in_memory(
    work: Path, pipeline_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(work / "cache"))
    rng = np.random.default_rng(0)
    rows = [f"{x:.3f},{'red' if x > 0 else 'blue'},{3 * x + rng.normal():.3f}" for x in rng.normal(size=300)]
    (work / "table.csv").write_text("\n".join(["size,colour,price", *rows]) + "\n")
    found = {}
    for stream in ("false", "true"):
        arguments = [*SMALL, "data=csv", "data.path=table.csv", "data.target=price", f"data.stream={stream}", f"output=run-{stream}"]
        done = pipeline_command(*arguments)
        assert done.returncode == 0, done.stderr
        assert pipeline_command("task=evaluate", f"run=run-{stream}").returncode == 0
        done = pipeline_command("task=predict", f"run=run-{stream}", "data.path=table.csv", f"output={stream}.csv")
        assert done.returncode == 0, done.stderr
        found[stream] = (work / f"run-{stream}" / "evaluation.json").read_text(), (work / f"{stream}.csv").read_text()
    assert_same_run(work / "run-false", work / "run-true")
    assert found["false"] == found["true"]


def test_a_streamed_run_goes_on_bit_for_bit(work: Path, pipeline_command: Command) -> None:
    files(work)
    common = [*SMALL, "data=npy", f"data.root={work}", "data.stream=true"]
    for epochs, name in ((3, "whole"), (2, "part")):
        assert pipeline_command(*common, f"training.epochs={epochs}", f"output={name}").returncode == 0
    resumed = pipeline_command("resume=part", "training.epochs=3")
    assert resumed.returncode == 0, resumed.stderr
    whole, part = (checkpoint.load(work / name / "checkpoints").state for name in ("whole", "part"))
    assert all(np.array_equal(value, whole[name]) for name, value in part.items())


def test_evaluate_reads_streamed_rows(work: Path, pipeline_command: Command) -> None:
    files(work)
    arguments = [*SMALL, "data=npy", f"data.root={work}"]
    values = []
    for stream in ("false", "true"):
        assert pipeline_command(*arguments, f"data.stream={stream}", f"output=run-{stream}").returncode == 0
        done = pipeline_command("task=evaluate", f"run=run-{stream}", f"data.stream={'true' if stream == 'false' else 'false'}")
        assert done.returncode == 0, done.stderr
        values.append((work / f"run-{stream}" / "evaluation.json").read_text())
    assert values[0] == values[1]
