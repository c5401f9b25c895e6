"""task=predict run=... data.path=new.csv output=predictions.csv: classes and probabilities, or values, one row for each row read.

keep=[id] puts columns of the file before them as they are written, keep=[row] the number of each row, from 1. Of an image, or a folder of
them, the name of the file stands there.
"""

# N rows, C classes, T targets, L labels
from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import data, files
from pipeline.config.experiment import Experiment
from pipeline.data.settings import READ, WRITTEN, target_columns
from pipeline.data.sources.sql import is_database
from pipeline.data.storage.files import located
from pipeline.errors import ConfigError
from pipeline.screen.console import console_for, say
from pipeline.screen.wording import counted
from pipeline.tasks import trained
from pipeline.tasks.context import RunContext
from pipeline.text import comma_separated
from pipeline.training.facts import Facts

Columns = dict[str, npt.NDArray[Any]]
ALLOWED = {
    "task": "",
    "run": "",
    "output": "",
    "keep": "",
    "tracking": "",
    "extensions": "",
    "data.path": "data.path",
    "data.root": "data.root",
    "data.kind": "data.kind",
    **{f"data.{name}": f"data.{name}" for name in (*WRITTEN, *READ, "query")},
    "data": "data",
    "backend": "backend",
}


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> Path:
    """Predicts for the rows of `data.path` -> the file written.  Raises PipelineError; an existing file is never overwritten."""
    assert experiment.run is not None, "the command line asks for run=..."
    output = _output(experiment.output)
    folder = trained.find(experiment.run, experiment)
    stored = trained.stored_experiment(folder)
    asked = trained.with_overrides(stored, experiment, context.overrides, _allowed(context.overrides), task="task=predict")
    asked = replace(asked, data=_rows_to_predict(asked.data, context.overrides))
    if asked.data.path is None and asked.data.kind != "sql":
        raise ConfigError(at="data.path", got=None, rule="task=predict reads the rows to predict from it", hint="give data.path=new.csv")
    asked = _in_its_encoding(asked, context.overrides)
    run_ = trained.load(folder, replace(asked, data=stored.data))
    if not any(text.startswith("data.skip=") for text in context.overrides):
        asked = replace(asked, data=replace(asked.data, skip=()))  # those were lines of the training's file
    encoder = None if run_.facts.encoder is None else data.as_written(run_.facts.encoder, experiment.data)
    x = data.read_new(asked.data, encoder, run_.facts.shape, images=run_.facts.images)
    columns = _beside(data.read_kept(asked.data, experiment.keep, len(x)), table(run_.program.predict(x), run_.facts))
    files.write_new(output, encoded(columns, output.suffix))
    say(console_for(), f"{counted(len(x), 'row')} predicted, written to {output}")
    return output


def _rows_to_predict(given: data.Data, overrides: tuple[str, ...]) -> data.Data:
    """Where the rows lie: not where those of the training did, and no query is of them, unless that is said again."""
    there = {text.partition("=")[0] for text in overrides}
    path = given.path if "data.path" in there else None
    asked = given.kind != "sql" or there & {"data", "data.kind", "data.query"} or (path is not None and is_database(located(path)))
    return replace(given, path=path, kind=given.kind if asked else "table")


def _in_its_encoding(asked: Experiment, overrides: tuple[str, ...]) -> Experiment:
    """`asked`, where the encoding is not given, with that of the file."""
    if any(text.startswith("data.encoding=") for text in overrides):
        return asked
    found, note = data.in_its_encoding(asked.data)
    if note is not None:
        say(console_for(), f"note: {note}; data.encoding={asked.data.encoding} insists")
    return replace(asked, data=found)


def _beside(kept: Columns, predicted: Columns) -> Columns:
    """What is kept, then what is predicted."""
    for name in kept:
        if name in predicted:
            raise ConfigError(at="keep", got=name, rule="a column of the predictions has this name", hint="leave it out")
    return kept | predicted


def _allowed(overrides: tuple[str, ...]) -> dict[str, str]:
    """The data kind may follow the file (`data=csv`): only what says where the rows lie is taken over."""
    allowed = {name: taken for name, taken in ALLOWED.items() if name != "data"}
    return allowed | ({"data": "data.kind"} if any(text.startswith("data=") for text in overrides) else {})


def table(prediction: npt.NDArray[Any], facts: Facts) -> Columns:
    """Columns `class` and `probability_<class>` from probabilities [N, C], or those of `value_names` from values [N, T].

    Of labels, probabilities [N, L]: `label_<label>`, 1 from a probability of 1/2 on, and `probability_<label>`.
    """
    if facts.task == "classification":
        names = np.array(facts.class_names, dtype=object)
        columns = {"class": names[prediction.argmax(axis=1)]}
        return columns | {f"probability_{name}": prediction[:, index] for index, name in enumerate(names)}
    if facts.task == "multilabel":
        columns = {f"label_{name}": (prediction[:, index] >= 0.5).astype(np.int64) for index, name in enumerate(facts.class_names)}
        return columns | {f"probability_{name}": prediction[:, index] for index, name in enumerate(facts.class_names)}
    values = prediction.reshape(len(prediction), -1)
    return {name: values[:, index] for index, name in enumerate(value_names(facts, values.shape[1]))}


def value_names(facts: Facts, count: int) -> tuple[str, ...]:
    """The target's column in the table of the training, or the inputs' that were to be reconstructed; else `value`, or `value_1`, ..."""
    if facts.task == "reconstruction" and len(facts.feature_names) == count:
        return facts.feature_names
    if facts.task == "regression" and facts.encoder is not None:
        return target_columns(facts.encoder.target)
    return ("value",) if count == 1 else tuple(f"value_{index + 1}" for index in range(count))


def encoded(columns: Columns, suffix: str) -> bytes:
    """The columns as the bytes of a .csv, .parquet or .npz file."""
    buffer = io.BytesIO()
    if suffix == ".parquet":
        import pandas as pd  # noqa: PLC0415  # half a second that only this format needs

        pd.DataFrame(columns).to_parquet(buffer, index=False)
    elif suffix == ".npz":
        with zipfile.ZipFile(buffer, "w") as archive:  # numpy.savez takes a column called file for its own option
            for name, values in columns.items():
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, values.astype(str) if values.dtype == object else values, allow_pickle=False)
    else:
        rows = zip(*(values.tolist() for values in columns.values()), strict=True)
        return comma_separated(itertools.chain([columns], rows)).encode()
    return buffer.getvalue()


def _output(text: str | None) -> Path:
    """The file to write, checked before anything is computed."""
    if text is None:
        raise ConfigError(at="output", got=None, rule="task=predict writes a file", hint="give output=predictions.csv")
    path = Path(text)
    if path.suffix not in (".csv", ".parquet", ".npz"):
        raise ConfigError(at="output", got=text, rule="must end in .csv, .parquet or .npz")
    files.check_new(path)
    return path
