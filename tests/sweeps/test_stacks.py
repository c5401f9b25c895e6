"""A trial of a stack is the trial alone, bit for bit: its journal, its checkpoint, its end."""

from __future__ import annotations

import contextlib
import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import cli
from pipeline.rows import Streamed
from pipeline.sweeps import stacks
from pipeline.tasks.trained import CHECKPOINTS
from pipeline.tracking.folder import read_info, run_folders
from pipeline.tracking.journal import end_of, read_journal, series, start_of
from pipeline.training import checkpoint

SMALL = ("architecture.layers=[{kind: dense, units: 24}, {kind: dense, units: 16}]", "training.epochs=3")
CNN = (
    "architecture.layers=[{kind: conv, channels: 4, kernel: 3}, {kind: max_pool, kernel: 2}, {kind: dense, units: 12}]",
    "training.epochs=2",
    "training.batch_size=128",
)
SWEEPS = {
    "one": (*SMALL, "seed=3"),
    "two seeds": (*SMALL, "seed=0,1"),
    "seven seeds": (*SMALL, "seed=range(0,7)"),
    "values": (
        *SMALL,
        "regularization=dropout",
        "regularization.keep_prob=0.5,0.9",
        "optimizer.learning_rate=0.1,0.003",
        "optimizer.beta1=0.9,0.5",
        "optimizer.beta2=0.999,0.9",
    ),
    "decay": (*SMALL, "optimizer=adamw", "optimizer.weight_decay=0,0.01,0.1", "regularization.label_smoothing=0.05,0.1"),
    "schedules": (*SMALL, "schedule=constant,cosine,exponential,reduce_on_plateau", "optimizer.learning_rate=0.05,0.005"),
    "initializations": (*SMALL, "initialization=he,xavier,zeros", "normalization=batch"),
    "early stopping": (
        *SMALL,
        "training.epochs=12",
        "training=early_stopping",
        "training.early_stopping.patience=1,2",
        "optimizer.learning_rate=0.3,0.01,0.001",
    ),
    "one diverges": (*SMALL, "optimizer=sgd", "optimizer.learning_rate=0.1,1e30,0.01", "seed=0,1"),
    "a budget that ends within an epoch": (*SMALL, "training.epochs=null", "budget.steps=37,25", "seed=0,1"),
    "averages": (
        *SMALL,
        "normalization=batch",
        "averaging=ema,swa",
        "averaging.batch_norm=reestimated",
        "seed=0,1",
    ),
    "balanced classes": (
        *SMALL,
        "data=wine",
        "training.batch_size=16",
        "loss=softmax_cross_entropy",
        "loss.class_weights=balanced",
        "seed=0,1,2",
    ),
    "regression": (*SMALL, "data=diabetes", "seed=0,1,2", "optimizer.learning_rate=0.1,0.01"),
    "two structures": (*SMALL, "activation=relu,tanh", "seed=0,1"),
    "cnn": (*CNN, "seed=0,1,2", "optimizer.learning_rate=0.1,0.01"),
    "cnn with batch norm and augmentation": (*CNN, "normalization=batch", "augmentation.shift=1", "seed=0,1"),
    "from coarse to fine": (*SMALL, "experiment=random_search", "hydra.sweeper.stages=2", "seed=0,1", "hydra.sweeper.trials=6"),
    "numbers of formulas": (
        *SMALL,
        "activation=selu",
        "activation.values.alpha=1.6,1.2",
        "optimizer=lion",
        "optimizer.values.beta1=0.9,0.5",
        "schedule=wsd",
        "schedule.values.share=0.1,0.5",
        "loss=focal",
        "regularization=log_penalty",
    ),
    "float64": (*SMALL, "precision=float64", "seed=0,1", "backend.threads=1"),
}


def run(project: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> dict[str, Any]:
    project.mkdir()
    monkeypatch.chdir(project)
    code = cli.main(["-m", *words, "tracking=none"])
    return {"code": code, **told_of_runs(project)}


def told_of_runs(project: Path) -> dict[str, Any]:
    """What the runs of a project have come to: trial -> its journal, checkpoint, end."""
    return {what: told for folder in run_folders(project / "runs") for what, told in _told(folder)}


def _told(folder: Path) -> list[tuple[str, Any]]:
    events = read_journal(folder)
    tags = start_of(events).tags
    if tags["pipeline.kind"] == "sweep":
        return []
    trial, end = tags["pipeline.trial"], end_of(events)
    assert end is not None
    values = {name: told for name, told in series(events).items() if not name.startswith("time/")}
    found = []
    if checkpoint.exists(folder / CHECKPOINTS):
        kept = checkpoint.load(folder / CHECKPOINTS)
        found = [{name: np.asarray(array).tobytes() for name, array in (state or {}).items()} for state in (kept.state, kept.best_state)]
        found.append({"losses": kept.progress.losses.tobytes(), "plateau": repr(kept.progress.plateau).encode()})
    message = re.sub(r"runs/\S+", "RUN", end.message)
    return [(trial, {"values": repr(values), "end": (end.status, message), "states": found, "name": read_info(folder).name})]


@pytest.mark.parametrize("name", SWEEPS)
def test_each_trial_of_a_stack_is_the_trial_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    together = run(tmp_path / "together", monkeypatch, *SWEEPS[name])
    assert ("train together" in capsys.readouterr().out) == (name != "one")
    alone = run(tmp_path / "alone", monkeypatch, *SWEEPS[name], "sweep.stack=false")
    assert "train together" not in capsys.readouterr().out
    assert len(together) > 1
    assert together == alone


@pytest.mark.parametrize("kind", ["mnist", "npy"])  # read into memory, and mapped into it: the rows of each split are then copied
def test_bytes_of_several_splits_train_together_as_alone(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (300, 28, 28), np.uint8), (np.arange(300) % 10).astype(np.uint8)
    np.save(tmp_path / "x.npy", x[..., None])
    np.save(tmp_path / "y.npy", y.astype(int))
    for part in ("train", "t10k"):
        for name, array in ((f"{part}-images-idx3-ubyte", x), (f"{part}-labels-idx1-ubyte", y)):
            sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()))
    words = (*SMALL, f"data={kind}", f"data.root={tmp_path}", "normalization=batch", "seed=0,1,2")
    pools: list[stacks.Pool] = []
    monkeypatch.setattr(stacks, "pooled", lambda *given, made=stacks.pooled: pools.append(made(*given)) or pools[-1])
    together = run(tmp_path / "together", monkeypatch, *words)
    assert "3 trials train together" in capsys.readouterr().out
    stores = [x.store for x in pools[0].x if isinstance(x, Streamed)]
    assert len(stores) == 3 and all(store is stores[0] for store in stores), "they lie in memory once"
    assert stores[0].dtype == np.uint8 and len(stores[0]) == (300 if kind == "mnist" else sum({x.rows.size for x in pools[0].x}))
    assert together == run(tmp_path / "alone", monkeypatch, *words, "sweep.stack=false")


def test_more_trials_than_a_stack_takes_train_in_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stacks, "MOST", 3)
    together = run(tmp_path / "together", monkeypatch, *SMALL, "seed=range(0,7)")
    assert capsys.readouterr().out.count("train together") == 2  # three, three, and one alone
    assert together == run(tmp_path / "alone", monkeypatch, *SMALL, "seed=range(0,7)", "sweep.stack=false")


def test_what_cannot_be_stacked_runs_alone_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "a", monkeypatch, *SMALL, "seed=0,1", "backend=reference", "data=iris", "training.batch_size=16")
    out, err = capsys.readouterr()
    assert "note: trials run one by one: backend.kind = reference" in err and "train together" not in out
    with contextlib.chdir(tmp_path):
        assert len(list(run_folders(Path("a/runs")))) == 3
