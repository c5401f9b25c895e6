"""The `data` group: which data, from where, and how it is divided."""

from __future__ import annotations

from typing import Literal

from pipeline.errors import ConfigError
from pipeline.records import record, setting

TABLES = ("csv", "parquet")  # read by column names
FILES = (*TABLES, "npz")  # given by data.path
IDX = ("mnist", "fashion_mnist")  # given by data.root
GENERATED = ("two_moons", "rings")

Kind = Literal[
    "digits", "breast_cancer", "wine", "iris", "diabetes", "two_moons", "rings", "mnist", "fashion_mnist", "csv", "parquet", "npz", "npy"
]

# Fields that only some kinds read. Set for another kind, they would be silently ignored.
READ_BY: dict[str, tuple[str, ...]] = {
    "root": (*IDX, "npy"),
    "path": FILES,
    "target": TABLES,
    "categorical": TABLES,
    "ignore": TABLES,
    "sample_weight": (*FILES, "npy"),
    "samples": GENERATED,
    "noise": GENERATED,
    "seed": GENERATED,
}


@record
class Split:
    """Shares of the rows held out; the rest is the training part. A set with test files of its own does not read `test`.

    folds  for cross-validation: so many parts of the rows that are not tested on, and fold number `fold` is the validation part in
           place of a share; one run for each fold uses every row once for validation (Stone 1974)
    """

    validation: float = setting(0.1, least=0, below=1)
    test: float = setting(0.1, least=0, below=1)
    folds: int | None = setting(None, least=2)
    fold: int = setting(0, least=0)


@record
class Data:
    """The data set.

    root          folder of the idx files (mnist, fashion_mnist), or of x.npy and y.npy (npy)
    path          file of csv, parquet and npz; for task=predict, the file with the rows to predict
    target        the column to predict (csv, parquet)
    task          auto: what the target holds decides (pipeline/data/told.py); multilabel: 0 or 1 for each of several labels;
                  reconstruction: each row is its own target
    input_shape   shape of one row, images as [H, W, C]; arrays are reshaped to it
    classes       number of classes, or targets: number of predicted values; with input_shape they let a program be compiled without data
    categorical   columns whose numbers are names, such as postal codes (csv, parquet)
    ignore        columns left out (csv, parquet)
    sample_weight column (csv, parquet) or array (npz, npy) with what each row counts in the loss; see compiler/loss_weights.py
    stream        rows stay as they are stored, bytes as bytes and files on disk, and each block of steps is made ready while the one
                  before it trains; the bits are the same.  auto: where the rows would fill more than half of the memory
    samples       number of generated points, 1000 when null (two_moons, rings)
    noise         standard deviation of the normal noise on each coordinate, 0.1 when null (two_moons, rings)
    seed          of the generated points, 0 when null: the points stay the same while the seed of the run varies
    """

    kind: Kind = setting("digits")
    root: str | None = setting(None)
    path: str | None = setting(None)
    target: str | None = setting(None)
    task: Literal["auto", "classification", "regression", "multilabel", "reconstruction"] = setting("auto")
    input_shape: tuple[int, ...] | None = setting(None, least=1)
    classes: int | None = setting(None, least=2)
    targets: int | None = setting(None, least=1)
    split: Split = setting(Split())
    categorical: tuple[str, ...] = setting(())
    ignore: tuple[str, ...] = setting(())
    sample_weight: str | None = setting(None)
    stream: bool | Literal["auto"] = setting("auto")
    samples: int | None = setting(None, least=4)
    noise: float | None = setting(None, least=0)
    seed: int | None = setting(None, least=0, most=2**32 - 1)


def check_shape(config: Data) -> None:
    """The rules that join the declared shape, task and split.  Raises ConfigError."""
    split = config.split
    if split.fold >= (split.folds or 1):
        rule = "there are no folds" if split.folds is None else f"the {split.folds} folds are numbered from 0"
        hint = "give data.split.folds=5" if split.folds is None else f"use one up to {split.folds - 1}"
        raise ConfigError(at="data.split.fold", got=split.fold, rule=rule, hint=hint)
    if split.folds is None and split.validation + split.test >= 1:
        rule = f"validation and test together must leave rows to train on, and test is {split.test}"
        raise ConfigError(at="data.split.validation", got=split.validation, rule=rule, hint="make their sum less than 1")
    if config.classes is not None and config.targets is not None:
        raise ConfigError(at="data.targets", got=config.targets, rule="data has classes or targets, not both", hint="leave one out")
    for name, count in (("classes", config.classes), ("targets", config.targets)):
        if config.task == "reconstruction" and count is not None:
            rule = "data.task is reconstruction, each row is its own target"
            raise ConfigError(at=f"data.{name}", got=count, rule=rule, hint="leave it null")
    if config.task in ("regression", "multilabel") and config.classes is not None:
        raise ConfigError(at="data.classes", got=config.classes, rule=f"data.task is {config.task}", hint="give data.targets instead")
    if config.task == "classification" and config.targets is not None:
        raise ConfigError(at="data.targets", got=config.targets, rule="data.task is classification", hint="give data.classes instead")


def check_source(config: Data) -> None:
    """Whether the data can be loaded from what the config gives: fields that are needed, fields that nobody reads.  Raises ConfigError."""
    check_shape(config)
    for name, kinds in READ_BY.items():
        value = getattr(config, name)
        if value not in (None, ()) and config.kind not in kinds:
            got = list(value) if isinstance(value, tuple) else value
            folder = name == "path" and config.kind in READ_BY["root"]
            hint = f"give data.root={got}" if folder else f"it is for {', '.join(kinds)}"
            raise ConfigError(at=f"data.{name}", got=got, rule=f"data={config.kind} does not read it", hint=hint)
    if config.kind in FILES and config.path is None:
        raise ConfigError(at="data.path", got="null", rule=f"data={config.kind} needs a file", hint=f"give data.path=FILE.{config.kind}")
    if config.sample_weight is not None and config.sample_weight == config.target:
        raise ConfigError(at="data.sample_weight", got=config.sample_weight, rule="is the target", hint="give another column")
    if config.kind == "npy" and config.root is None:
        rule = "data=npy needs the folder that holds x.npy and y.npy"
        raise ConfigError(at="data.root", got="null", rule=rule, hint="give data.root=FOLDER")
    if config.kind in IDX and config.root is None:
        rule = f"data={config.kind} needs the folder that holds its four idx files"
        raise ConfigError(at="data.root", got="null", rule=rule, hint="give data.root=FOLDER")
