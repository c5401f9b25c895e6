"""The `data` group."""

from __future__ import annotations

from typing import Literal

from pipeline.records import record, setting

Kind = Literal[
    "digits", "breast_cancer", "wine", "iris", "diabetes", "two_moons", "rings", "mnist", "fashion_mnist", "csv", "parquet", "npz"
]  # fmt: skip


@record
class Split:
    """Shares of the rows held out: `validation` is looked at in training, `test` only at the end."""

    validation: float = setting(0.1, least=0, below=1)
    test: float = setting(0.1, least=0, below=1)


@record
class Data:
    """Where the rows come from.

    root     folder of the idx files (mnist, fashion_mnist)
    path     file (csv, parquet, npz)
    target   name of the column to predict (csv, parquet)
    task     auto takes regression for a target of many different numbers, else classification
    input_shape, classes, targets   declare the shape, so that a program can be compiled without data
    samples, noise                  size and spread of the generated sets (two_moons, rings)
    """

    kind: Kind = setting("digits")
    root: str | None = setting(None)
    path: str | None = setting(None)
    target: str | None = setting(None)
    task: Literal["auto", "classification", "regression"] = setting("auto")
    input_shape: tuple[int, ...] | None = setting(None, least=1)
    classes: int | None = setting(None, least=2)
    targets: int | None = setting(None, least=1)
    samples: int = setting(1000, least=10)
    noise: float = setting(0.1, least=0)
    split: Split = setting(Split())
