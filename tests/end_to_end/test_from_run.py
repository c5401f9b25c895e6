"""A network that begins with the tensors of another run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline import cli
from pipeline.tasks.trained import CHECKPOINTS
from pipeline.training import checkpoint

SMALL = ("data=iris", "training=fixed", "training.epochs=1", "tracking=none", "architecture.head=none")


def layers(*names: str, units: int = 6, frozen: str = "false") -> str:
    first, last = names
    return (
        f"architecture.layers=[{{kind: dense, units: {units}, name: {first}, frozen: {frozen}}}, {{kind: dense, units: 3, name: {last}}}]"
    )


def test_tensors_of_one_name_are_taken_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([*SMALL, layers("body", "head"), "output=first"]) == 0
    capsys.readouterr()
    again = (*SMALL, "initialization.from_run=first")
    assert cli.main([*again, layers("body", "other", frozen="true"), "seed=1", "output=second"]) == 0
    said = "initialization: 2 of 4 tensors are those of first at step 1; drawn anew: other.weight, other.bias"
    told = capsys.readouterr()
    assert said in " ".join((told.out + told.err).split())
    first, second = (checkpoint.load(tmp_path / run / CHECKPOINTS).state for run in ("first", "second"))
    for name in ("body.weight", "body.bias"):
        np.testing.assert_array_equal(first[name], second[name])
    assert cli.main(["task=evaluate", "run=second", "tracking=none"]) == 0
    capsys.readouterr()
    assert cli.main([*again, layers("body", "head", units=5)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: initialization.from_run = first: body.weight is [4, 6] there and [4, 5] here; body.bias is [6] there and [5] here; "
        "head.weight is [6, 3] there and [5, 3] here; give a layer that shall be drawn anew a name that the run does not have"
    )
    assert cli.main([*SMALL, "initialization.from_run=nowhere", layers("body", "head")]) == 2
    assert capsys.readouterr().err.startswith("error: initialization.from_run = nowhere: ")
