"""A labelled table beside the one that a model was trained on, its columns read as that one's were and its classes those of the model."""

# N rows
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.columns import Encoder, canonical
from pipeline.data.dataset import Task
from pipeline.data.encoder import encode, read_weight, target_rows
from pipeline.data.files import located
from pipeline.data.new import match_columns
from pipeline.data.origin import source
from pipeline.data.settings import Data
from pipeline.data.table import Table, read_new_table, read_table
from pipeline.errors import DataError
from pipeline.records import record

Array = npt.NDArray[Any]


@record
class Labelled:
    """x [N, D], y int32 [N] or float64 [N, 1], weight [N] where the config asks for it, and the digest of the inputs."""

    x: Array
    y: Array
    weight: npt.NDArray[np.float64] | None
    digest: str

    @property
    def pair(self) -> tuple[Array, Array]:
        """x and y."""
        return self.x, self.y


def labelled(
    text: str, config: Data, encoder: Encoder, task: Task, class_names: Sequence[str], *, at: str, say: Callable[[str], None]
) -> Labelled:
    """The rows of the table in `text`, the value of the config's `at`, that have a target; `say` is told what is odd.  Raises DataError."""
    try:
        return _read(text, replace(config, kind="table", path=text, task="auto"), encoder, task, class_names, say)
    except DataError as error:
        raise DataError(str(error).replace("data.path = ", f"{at} = ", 1)) from None


def _read(text: str, config: Data, encoder: Encoder, task: Task, class_names: Sequence[str], say: Callable[[str], None]) -> Labelled:
    path = located(text)
    rows = source(path, config)
    match_columns(rows, encoder, say)
    readings = {column.name: column.reading for column in encoder.columns}
    table = read_new_table(rows, readings, hint="mend it, the model was trained on {} here")
    x, notes = encode(table, encoder)
    if encoder.target not in rows.names:
        raise DataError(f"data.path = {path}: has no column {encoder.target}, the target of the model; give a labelled table")
    used = [name for name in (encoder.target, config.sample_weight) if name in rows.names]
    others = tuple(name for name in rows.names if name not in used)
    beside = read_table(
        path, replace(config, columns={k: v for k, v in config.columns.items() if k in used}, categorical=(), ignore=others)
    )
    kept, kept_notes = target_rows(beside, replace(config, target=encoder.target))
    for note in (*kept_notes, *notes):
        say(f"{path.name}: {note}")
    y = _labels(beside, encoder.target, kept, class_names) if task == "classification" else _numbers(beside, encoder.target, kept)
    weight = None if config.sample_weight is None else read_weight(beside, config.sample_weight)[kept]
    return Labelled(x=np.asarray(x[:])[kept], y=y, weight=weight, digest=table.digest(readings))


def _numbers(table: Table, name: str, rows: npt.NDArray[np.int64]) -> Array:
    if table.column(name).words is not None:
        raise DataError(f"{table.label}: the target {name} holds words, and the model predicts numbers; mend it")
    return table.values(name, rows)[:, None]


def _labels(table: Table, name: str, rows: npt.NDArray[np.int64], class_names: Sequence[str]) -> Array:
    """Numbers of classes by their names: as written, as the number that they are, or in other capitals."""
    words, values = table.column(name).words, table.values(name, rows)
    written = [_number(value) for value in values.tolist()] if words is None else [words[int(value)] for value in values]
    spellings: tuple[Callable[[str], str], ...] = (str, canonical, str.casefold)
    spelled = [{known: n for n, known in enumerate(map(how, class_names))} for how in spellings]

    def label(word: str) -> int:
        found = (known.get(how(word)) for known, how in zip(spelled, spellings, strict=True))
        return next((number for number in found if number is not None), -1)

    labels = np.array([label(word) for word in written], np.int32)
    odd = np.flatnonzero(labels < 0)
    if len(odd):
        classes = ", ".join(class_names[:20]) + (" ..." if len(class_names) > 20 else "")
        where = f"{table.label}: target column {name}, {table.place(int(rows[odd[0]]))} is {written[odd[0]]!r}"
        raise DataError(f"{where}, a class that the model does not know, {len(odd)} of {len(rows)} rows; its classes are {classes}")
    return labels


def _number(value: float) -> str:
    """The name of a class that is a number."""
    return str(int(value)) if value.is_integer() else str(value)
