"""The model of a run as MLflow serves it: code in place of a pickle, signature, example, requirements, and the run with its result alone.

    model/MLmodel  model.py  requirements.txt  python_env.yaml  conda.yaml  input_example.json  serving_input_example.json
    model/artifacts/run/     config.yaml  run.json  checkpoints/

It answers with the table that task=predict writes.  A model of a table takes columns by their names, numbers and text, since its run knows
how they are read; one of arrays takes rows of numbers, an image as its pixels in a row.
"""

# N rows, D numbers of a row
from __future__ import annotations

import json
import math
import os
import platform
import shutil
import time
import uuid
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from pipeline.config.stored import stored_config
from pipeline.data.cells.columns import Category, Quantity
from pipeline.errors import DataError
from pipeline.extend.load import use
from pipeline.tasks import predict, trained
from pipeline.tracking.folder import CONFIG, INFO
from pipeline.tracking.models import FILE, NAME, NEEDED, RUN, flavor, texts
from pipeline.training import checkpoint
from pipeline.training.facts import Facts

LONGEST = 100_000  # numbers of an example


def load(folder: str, extensions: Sequence[str] = ()) -> trained.Trained:
    """The run within a model; `extensions` are those that the code of the model names, which whoever loads it has allowed to run."""
    use(extensions)
    return trained.load(Path(folder))


def answer(run: trained.Trained, rows: Any) -> Any:
    """A table, or rows of numbers [N, D] (also [N, *input_shape]) -> the table of their predictions.  Raises DataError."""
    import pandas as pd  # noqa: PLC0415  # only who serves needs it here

    facts = run.facts
    if not _columns(facts):
        rows = _numbers(rows, facts.input_shape)
    elif not isinstance(rows, pd.DataFrame):
        raise DataError(f"the rows have no names of columns; give a table with {', '.join(_columns(facts)[:20])}")
    return pd.DataFrame(predict.table(run.program.predict(rows), facts))


def _numbers(rows: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Rows [N, D] or [N, *shape] -> [N, *shape]."""
    try:
        values = np.asarray(rows, np.float64)
    except (ValueError, TypeError):
        raise DataError("a row holds what is no number") from None
    if values.ndim == 0 or values[:1].size != math.prod(shape):
        got = values[:1].size if values.ndim else 0
        raise DataError(f"a row holds {got} numbers: the model takes {math.prod(shape)} ({' x '.join(map(str, shape))})")
    return values.reshape(-1, *shape)


def write(folder: Path, example: npt.NDArray[Any] | None = None) -> Path:
    """Writes the model of a finished run -> its folder.  `example` is a row of arrays, [1, ...].  Raises RunError, OSError."""
    target, partial = folder / NAME, folder / f".{NAME}.{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    run = partial / RUN
    run.mkdir(parents=True)
    try:
        facts = checkpoint.result_alone(folder / trained.CHECKPOINTS, run / trained.CHECKPOINTS)
        for name in (CONFIG, INFO):
            shutil.copyfile(folder / name, run / name)
        for name, text in _files(facts, example, stored_config(folder).get("extensions", ())).items():
            (partial / name).write_text(text, encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return target


def _files(facts: Facts, example: npt.NDArray[Any] | None, extensions: Sequence[str]) -> dict[str, str]:
    needed = (*NEEDED, *_packages(extensions))
    pins = [f"{name}=={metadata.version(name)}" for name in needed if _installed(name)]
    python = platform.python_version()
    row = _example(facts, example)
    found = {FILE: yaml.safe_dump(_told(facts, python, with_example=row is not None), sort_keys=False), **texts(python, pins, extensions)}
    if row is not None:
        found |= {"input_example.json": json.dumps(row), "serving_input_example.json": json.dumps({"dataframe_split": row})}
    return found


def _told(facts: Facts, python: str, *, with_example: bool) -> dict[str, Any]:
    """MLmodel, but for what only a store can say."""
    example = {"artifact_path": "input_example.json", "pandas_orient": "split", "type": "dataframe"}
    classes = {"classes": list(facts.class_names)} if facts.class_names else {}
    return {
        "flavors": {"python_function": flavor(python)},
        "metadata": {"data": facts.name, "task": facts.task, "input_shape": list(facts.input_shape), **classes},
        "mlflow_version": metadata.version("mlflow"),
        "model_uuid": uuid.uuid4().hex,
        **({"saved_input_example_info": {**example, "serving_input_path": "serving_input_example.json"}} if with_example else {}),
        "signature": {"inputs": json.dumps(_inputs(facts)), "outputs": json.dumps(_outputs(facts)), "params": None},
        "utc_time_created": time.strftime("%Y-%m-%d %H:%M:%S.000000", time.gmtime()),
    }


def _inputs(facts: Facts) -> list[dict[str, Any]]:
    if facts.encoder is not None:
        return [{"type": _type(column), "name": column.name, "required": True} for column in facts.encoder.columns]
    if names := _columns(facts):
        return [{"type": "double", "name": name, "required": True} for name in names]
    return [{"type": "double", "required": True}] * math.prod(facts.input_shape)


def _outputs(facts: Facts) -> list[dict[str, Any]]:
    """The columns of task=predict: probabilities of no rows say which."""
    width = facts.classes or len(facts.class_names) or facts.targets or 1
    columns = predict.table(np.zeros((1, width)), facts)
    types = {"O": "string", "i": "long"}
    return [{"type": types.get(values.dtype.kind, "double"), "name": name, "required": True} for name, values in columns.items()]


def _type(column: object) -> str:
    """A number, or the cell as it is written."""
    return "double" if isinstance(column, Quantity) and column.reading.kind == "number" else "string"


def _columns(facts: Facts) -> tuple[str, ...]:
    """The names of the columns of a table; none for arrays."""
    return trained.known_of(facts).columns


def _example(facts: Facts, given: npt.NDArray[Any] | None) -> dict[str, Any] | None:
    """A row in the form of a data frame that is split."""
    if facts.encoder is not None:
        cells = [_cell(column) for column in facts.encoder.columns]
        return {"columns": [column.name for column in facts.encoder.columns], "data": [cells]}
    if given is None or not len(given) or given[:1].size > LONGEST:
        return None
    values: Sequence[float] = np.asarray(given[:1], np.float64).reshape(-1).tolist()
    return {**({"columns": list(facts.feature_names)} if _columns(facts) else {}), "data": [values]}


def _cell(column: object) -> object:
    """What a cell of the column may hold: the median, a word of the training; nothing where that depends on how it is written."""
    if isinstance(column, Quantity):
        return column.fill if column.reading.kind == "number" else None
    return column.values[0] if isinstance(column, Category) and column.values else None


def _packages(modules: Sequence[str]) -> list[str]:
    """The installed packages that these modules are of."""
    known = metadata.packages_distributions() if modules else {}
    return sorted({package for module in modules for package in known.get(module.partition(".")[0], ())})


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
