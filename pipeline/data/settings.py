"""The `data` group: which data, from where, and how it is divided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pipeline.errors import ConfigError
from pipeline.records import read, record, setting

TEXTS = ("table", "csv")  # may be delimited text
TABLES = (*TEXTS, "parquet", "sql")  # read by column names
NAMED = (*TABLES, "arrays")  # have named columns, or may have
FILES = (*TEXTS, "parquet", "npz")  # given by data.path
PARTED = (*NAMED, "npz", "npy")  # may have their parts in files of their own
IMAGES = "image_folder"
IDX = ("mnist", "fashion_mnist")  # given by data.root
GENERATED = ("two_moons", "rings")

Kind = Literal[
    "digits", "breast_cancer", "wine", "iris", "diabetes", "two_moons", "rings", "mnist", "fashion_mnist",
    "table", "csv", "parquet", "sql", "npz", "npy", "arrays", "image_folder",
]  # fmt: skip
KINDS: dict[str, type | None] = dict.fromkeys(get_args(Kind))  # extensions add to them, each with the record of its settings
ColumnKind = Literal["number", "category", "hash", "boolean", "date", "time", "ordinal", "id", "ignore"]
DateFeature = Literal["days", "weekday", "month", "hour"]
MOST_PIXELS = 2**26  # of an image

WRITTEN = ("header", "names", "delimiter", "encoding", "skip")  # how a file of text is written
READ = ("columns", "decimal", "thousands", "missing")  # and its cells: at a prediction they are of the new file

# Fields that only some kinds read. Set for another kind, they would be silently ignored.
READ_BY: dict[str, tuple[str, ...]] = {
    "root": (*IDX, "npy"),
    "path": (*FILES, "sql", IMAGES),
    "test_path": PARTED,
    "validation_path": PARTED,
    "target": NAMED,
    "categorical": NAMED,
    "ignore": NAMED,
    "columns": NAMED,
    "missing": NAMED,
    "decimal": NAMED,
    "thousands": NAMED,
    "header": TEXTS,
    "names": TEXTS,
    "delimiter": TEXTS,
    "encoding": TEXTS,
    "skip": TEXTS,
    "query": ("sql",),
    "image": (IMAGES,),
    "sample_weight": (*NAMED, "npz", "npy"),
    "samples": GENERATED,
    "noise": GENERATED,
    "seed": GENERATED,
}


@record
class Split:
    """Shares of the rows held out; the rest is the training part. A set with test files of its own does not read `test`.

    folds  for cross-validation: so many parts of the rows that are not tested on, and fold number `fold` is the validation part in
           place of a share; one run for each fold uses every row once for validation (Stone 1974)

    and of a table, one of:

    by      a column of numbers or dates: the last rows in its order are the test part, those before them the validation part; a fold is
            trained on all that comes before it
    group   a column: its rows of one value are all in one part; no input
    column  a column that names the part of each row, train, validation or test; a part that it never names is drawn from the training rows
            by its share; no input
    """

    validation: float = setting(0.1, least=0, below=1)
    test: float = setting(0.1, least=0, below=1)
    folds: int | None = setting(None, least=2)
    fold: int = setting(0, least=0)
    by: str | None = setting(None)
    group: str | None = setting(None)
    column: str | None = setting(None)


@record
class Declared:
    """What the config says of one column of a table; what it leaves null is found by looking at the cells.

    kind       hash: words share 64 columns; ordinal: words in an `order`; id and ignore: no input
    decimal    the mark before a fraction, thousands: between groups of three digits; empty: none
    format     of dates, as for strptime: "%d.%m.%Y"; several with | between are tried in turn
    missing    cells that stand for a missing value, beside empty ones and NA, N/A, NaN, null, ?; an empty list: empty cells alone
    features   what becomes of a date: days since 1970-01-01, weekday (Monday is 0), month, hour
    order      the words of an ordinal column, lowest first
    """

    kind: ColumnKind | None = setting(None)
    decimal: Literal[".", ","] | None = setting(None)
    thousands: Literal["", ",", ".", " ", "'", "_"] | None = setting(None)
    format: str | None = setting(None)
    missing: tuple[str | float, ...] | None = setting(None)
    features: tuple[DateFeature, ...] = setting(("days",))
    order: tuple[str, ...] = setting(())


@record
class Image:
    """What images are made, where they are not all alike or not as they shall be; null: all must be as the first one is.

    size        [height, width] that all are resized to, bilinear and without aliasing
    fit         how: stretch; crop what is too much at the sides; pad with black
    channels    1: all gray (luma by ITU-R 601); 3: all in colour
    bits        of a value: 8 keeps the upper 8 of 16
    background  what stands behind transparent pixels
    skip        whether what cannot be read is left out, with a note, where it is refused else
    """

    size: tuple[int, int] | None = setting(None, least=1)
    fit: Literal["stretch", "crop", "pad"] = setting("stretch")
    channels: Literal[1, 3] | None = setting(None)
    bits: Literal[8, 16] | None = setting(None)
    background: Literal["white", "black"] | None = setting(None)
    skip: bool = setting(False)


@record
class Data:
    """The data set.

    kind          arrays: what is given to `pipeline.train` in memory
    root          folder of the idx files (mnist, fashion_mnist), or of x.npy and y.npy (npy)
    path          file of a table (table: CSV, TSV, Parquet or JSON lines, plain or gzip, by its content) and of npz, a database of sql,
                  the folder of image_folder, with a folder of PNG and JPEG files for each class, or train/ and test/ with these;
                  for task=predict, the file with the rows to predict, an image, or a folder of them
    image         what the images of image_folder are made
    test_path, validation_path  what these parts are, nothing of `path` is then: labelled tables of the same columns; of arrays an npz file
                  with x and y, or a folder with x.npy and y.npy
    query         the SELECT of data=sql: of tables of the database in `path` (DuckDB, SQLite), or of files: FROM 'a.csv'
    target        the column to predict, or a list of several: numbers, or labels of 0 and 1 (tables)
    task          auto: what the target holds decides (pipeline/data/told.py); multilabel: 0 or 1 for each of several labels;
                  reconstruction: each row is its own target
    input_shape   shape of one row, images as [H, W, C]; arrays are reshaped to it
    classes       number of classes, or targets: number of predicted values; with input_shape they let a program be compiled without data
    columns       what is declared of columns, by name, or by a pattern with * and ?: {price: {kind: number, decimal: ","}}
    categorical   columns whose numbers are names, such as postal codes: kind category
    ignore        columns left out: kind ignore
    missing, decimal, thousands  as in `columns`, for all columns that do not say otherwise
    missing_target  rows without a target: refuse the table, or drop them
    header        whether the first line holds names; names: of the columns, in their order
    delimiter     between cells (a blank: any number of blanks); encoding: of the text
    skip          numbers of lines of `path` that are left out, from 1: titles, units, remarks, sums
    sample_weight column (tables) or array (npz, npy) with what each row counts in the loss; see compiler/loss_weights.py
    stream        rows stay as they are stored, bytes as bytes and files on disk, and each block of steps is made ready while the one
                  before it trains; the bits are the same.  auto: where the rows would fill more than half of the memory
    samples       number of generated points, 1000 when null (two_moons, rings)
    noise         standard deviation of the normal noise on each coordinate, 0.1 when null (two_moons, rings)
    seed          of the generated points, 0 when null: the points stay the same while the seed of the run varies
    settings      of a source of an extension
    """

    kind: str = setting("digits", names=KINDS)
    root: str | None = setting(None)
    path: str | None = setting(None)
    test_path: str | None = setting(None)
    validation_path: str | None = setting(None)
    target: str | tuple[str, ...] | None = setting(None)
    task: Literal["auto", "classification", "regression", "multilabel", "reconstruction"] = setting("auto")
    input_shape: tuple[int, ...] | None = setting(None, least=1)
    classes: int | None = setting(None, least=2)
    targets: int | None = setting(None, least=1)
    split: Split = setting(Split())
    columns: Mapping[str, Declared] = setting({})
    categorical: tuple[str, ...] = setting(())
    ignore: tuple[str, ...] = setting(())
    missing: tuple[str | float, ...] | None = setting(None)
    missing_target: Literal["refuse", "drop"] = setting("refuse")
    decimal: Literal[".", ","] | None = setting(None)
    thousands: Literal["", ",", ".", " ", "'", "_"] | None = setting(None)
    header: bool | None = setting(None)
    names: tuple[str, ...] = setting(())
    delimiter: str | None = setting(None)
    encoding: str | None = setting(None)
    skip: tuple[int, ...] = setting((), least=1)
    query: str | None = setting(None)
    image: Image = setting(Image())
    sample_weight: str | None = setting(None)
    stream: bool | Literal["auto"] = setting("auto")
    samples: int | None = setting(None, least=4)
    noise: float | None = setting(None, least=0)
    seed: int | None = setting(None, least=0, most=2**32 - 1)
    settings: Mapping[str, Any] = setting({})


def own_settings(config: Data) -> Any:
    """The record of a source of an extension, its settings read; None for any other kind.  Raises ConfigError."""
    made = KINDS[config.kind]
    if made is not None:
        return read(made, config.settings, at="data.settings")
    if config.settings:
        rule = f"data={config.kind} has no settings of its own"
        raise ConfigError(at="data.settings", got=list(config.settings), rule=rule, hint="they are for a source of an extension")
    return None


def target_columns(target: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """The columns that data.target names."""
    return () if target is None else (target,) if isinstance(target, str) else target


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
        if value not in (None, (), {}, Image()) and config.kind not in kinds:
            got = list(value) if isinstance(value, (tuple, Mapping)) else "given" if name == "image" else value  # of columns their names
            other = {"path": "root", "root": "path"}.get(name, name)
            folder = other != name and config.kind in (*IDX, "npy", IMAGES)
            hint = f"give data.{other}={got}" if folder else f"it is for {', '.join(kinds)}"
            if config.kind == IMAGES and kinds == PARTED:
                hint = "put the images of the parts into folders train/, validation/ and test/ of data.path"
            raise ConfigError(at=f"data.{name}", got=got, rule=f"data={config.kind} does not read it", hint=hint)
    if config.kind in FILES and config.path is None:
        raise ConfigError(at="data.path", got="null", rule=f"data={config.kind} needs a file", hint=f"give data.path=FILE.{config.kind}")
    if config.kind == IMAGES:
        _check_images(config)
    if config.kind == "sql" and config.query is None:
        raise ConfigError(at="data.query", got="null", rule="data=sql needs a SELECT", hint="give data.query='SELECT * FROM name'")
    _check_columns_of_split(config)
    if config.sample_weight is not None and config.sample_weight in target_columns(config.target):
        raise ConfigError(at="data.sample_weight", got=config.sample_weight, rule="is the target", hint="give another column")
    if config.kind == "npy" and config.root is None:
        rule = "data=npy needs the folder that holds x.npy and y.npy"
        raise ConfigError(at="data.root", got="null", rule=rule, hint="give data.root=FOLDER")
    if config.kind in IDX and config.root is None:
        rule = f"data={config.kind} needs the folder that holds its four idx files"
        raise ConfigError(at="data.root", got="null", rule=rule, hint="give data.root=FOLDER")


def _check_images(config: Data) -> None:
    if config.path is None:
        rule = "data=image_folder needs the folder that holds a folder of images for each class"
        raise ConfigError(at="data.path", got="null", rule=rule, hint="give data.path=FOLDER")
    if config.task not in ("auto", "classification", "reconstruction"):
        rule = "the folders of data=image_folder are classes"
        raise ConfigError(at="data.task", got=config.task, rule=rule, hint="use auto, classification or reconstruction")
    if config.image.size is not None and config.image.size[0] * config.image.size[1] > MOST_PIXELS:
        rule = f"an image has at most {MOST_PIXELS >> 20} million pixels"
        raise ConfigError(at="data.image.size", got=list(config.image.size), rule=rule, hint="give fewer")


def check_no_columns(config: Data) -> None:
    """Whether nothing is asked of columns, where the rows in memory are an array.  Raises ConfigError."""
    named = {f"data.{name}": getattr(config, name) for name, kinds in READ_BY.items() if kinds == NAMED}
    named |= {f"data.split.{name}": getattr(config.split, name) for name in ("by", "group", "column")}
    for at, value in named.items():
        if value not in (None, (), {}):
            got = list(value) if isinstance(value, (tuple, Mapping)) else value
            raise ConfigError(at=at, got=got, rule="x is an array, without named columns", hint="give a table of pandas, Polars or Arrow")


def _check_columns_of_split(config: Data) -> None:
    """One column of a table divides its rows, and it is not the target."""
    given = {name: value for name in ("by", "group", "column") if (value := getattr(config.split, name)) is not None}
    for name, value in given.items():
        at = f"data.split.{name}"
        if config.kind not in NAMED:
            raise ConfigError(at=at, got=value, rule=f"data={config.kind} has no named columns", hint=f"it is for {', '.join(NAMED)}")
        if len(given) > 1:
            other = next(one for one in given if one != name)
            raise ConfigError(at=at, got=value, rule=f"data.split.{other} divides the rows too", hint="give one of them")
        if value in target_columns(config.target):
            raise ConfigError(at=at, got=value, rule="is the target", hint="give another column")
    if config.split.folds is not None and config.validation_path is not None:
        rule = "data.validation_path is the validation part"
        raise ConfigError(at="data.split.folds", got=config.split.folds, rule=rule, hint="leave it null")
