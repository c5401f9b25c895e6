"""task=evaluate run=...: metrics, per-class table and confusion matrix of a trained run, printed and kept in evaluation.json.

With data.path=FILE, which is not the run's own data, the run is measured on the labelled rows of FILE: evaluation-FILE.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipeline import data, files
from pipeline.config.experiment import Experiment
from pipeline.data.settings import READ, WRITTEN
from pipeline.errors import ConfigError, DataError, RunError
from pipeline.program.dead_units import dead_units, shown_rows
from pipeline.screen.console import console_for, say
from pipeline.screen.tables import classes_table, confusion_table, results_table
from pipeline.tasks import trained
from pipeline.tasks.context import RunContext
from pipeline.training import metrics
from pipeline.training.scores import confusion

# The path of an override -> what is taken over from it.
ALLOWED = {
    "task": "",
    "run": "",
    "tracking": "",
    "extensions": "",
    "data.root": "data.root",
    "data.path": "data.path",
    "data.query": "data.query",
    **{f"data.{name}": f"data.{name}" for name in (*WRITTEN, *READ, "missing_target")},
    "data.stream": "data.stream",
    "backend": "backend",
}


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> dict[str, Any]:
    """Evaluates the run on every part of its own data, or on a file -> what the JSON file holds.  Raises PipelineError."""
    assert experiment.run is not None, "the command line asks for run=..."
    folder = trained.find(experiment.run, experiment)
    asked = trained.with_overrides(trained.stored_experiment(folder), experiment, context.overrides, ALLOWED, task="task=evaluate")
    run_ = trained.load(folder, asked)
    dataset = _own_data(asked, run_, context.overrides)
    name = "evaluation.json"
    if dataset is None:
        skip = asked.data.skip if any(text.startswith("data.skip=") for text in context.overrides) else ()  # lines of another file
        encoder = None if run_.facts.encoder is None else data.as_written(run_.facts.encoder, experiment.data)
        dataset = data.other_rows(replace(asked.data, skip=skip), encoder, run_.facts.known)
        name = f"evaluation-{dataset.name}.json"
    result = evaluated(run_, dataset)
    if name != "evaluation.json":
        result["notes"] = [*dataset.notes, *result["notes"]]
    files.write(folder / name, json.dumps(result, indent=1) + "\n")
    _show(result, dataset.name)
    say(console_for(), f"written to {files.shown(folder / name)}")
    return result


def _own_data(asked: Experiment, run_: trained.Trained, overrides: Sequence[str]) -> data.Dataset | None:
    """The data that the run was trained on; None where a data.path is given that holds other rows.  Raises PipelineError."""
    given = any(text.startswith("data.path=") for text in overrides)
    try:
        dataset = data.load(asked.data, seed=asked.seed)
    except (ConfigError, DataError):
        if not given:
            raise
        return None
    if dataset.fingerprint == run_.facts.fingerprint:
        return dataset
    if given:
        return None
    rule = "the data has changed since the run was trained; restore it, or give data.path=FILE to measure it on other labelled rows"
    raise RunError(f"run = {files.shown(run_.folder)}: {rule}")


def evaluated(run_: trained.Trained, dataset: data.Dataset) -> dict[str, Any]:
    """What there is to say of the parts that have rows.

    {"metrics": {name: value}, "notes": what is left out, "classes": names, "dead_units": {layer: [dead, units]},
     part: {"confusion": [C, C], "by_class": [{...}]}}; of labels "classes" are their names and there is no confusion
    """
    result: dict[str, Any] = {"metrics": {}, "notes": [], "classes": list(dataset.class_names)}
    for name, part in (("train", dataset.train), ("validation", dataset.validation), ("test", dataset.test)):
        if not len(part.x):
            continue
        prediction, row_loss = run_.program.evaluate(part.x, part.y, part.weight)
        names = metrics.full(dataset.task, dataset.classes, run_.experiment.training.named)
        result["metrics"] |= metrics.measure(dataset.task, prediction, row_loss, part.y, name, names)
        result["notes"] += metrics.left_out(names, part.y, dataset.classes, name, dataset.class_names)
        if dataset.class_names:
            result[name] = {"by_class": metrics.class_table(prediction, part.y)}
        if dataset.task == "classification":
            counts = confusion(part.y, prediction.argmax(axis=1), len(dataset.class_names))
            result[name] = {"confusion": counts.tolist(), **result[name]}
    found = dead_units(run_.program, dataset.train.x) if len(dataset.train) else {}
    result["notes"] += [run_.program.measured] if run_.program.measured else []
    result["dead_units"] = {layer: list(counts) for layer, counts in found.items()}
    rows = shown_rows(len(dataset.train.x))
    result["notes"] += [
        f"{dead} of {units} units of {layer} are dead: one value for all of {rows:,} training rows"
        for layer, (dead, units) in found.items()
        if dead
    ]
    return result


def _show(result: Mapping[str, Any], name: str) -> None:
    console = console_for()
    console.print(results_table(name, result["metrics"]))
    for note in result["notes"]:
        say(console, f"note: {note}")
    part = next((part for part in ("test", "validation", "train") if part in result), None)
    if part is not None:
        names, counts = result["classes"], result[part].get("confusion")
        console.print(classes_table(names, result[part]["by_class"], part=part, labels=counts is None))
        if counts is not None:
            console.print(confusion_table(names, counts, part=part))
