"""What is told of a training that has ended: the metrics of the test part, its classes as a table, and what the terminal shows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from pipeline import files
from pipeline.data import Dataset
from pipeline.data.prepared import Prepared
from pipeline.data.settings import target_columns
from pipeline.program.model import Model
from pipeline.program.program import Program
from pipeline.records import record
from pipeline.screen.console import say, say_once
from pipeline.screen.page import table as page_table
from pipeline.screen.tables import results_table
from pipeline.screen.wording import in_words, newest, number
from pipeline.tasks import page
from pipeline.tasks.context import RunContext
from pipeline.text import comma_separated
from pipeline.tracking import tested
from pipeline.tracking.delivery import NOTE
from pipeline.tracking.journal import read_journal, start_of
from pipeline.tracking.tracker import Receipt, Tracker
from pipeline.training import metrics
from pipeline.training.events import Outcome
from pipeline.training.scores import confusion
from pipeline.training.settings import Training

if TYPE_CHECKING:
    import pandas as pd

LOOK = 0.1  # seconds between two looks whether MLflow has a run


@record
class Result:
    """What came of a training.

    metrics  name -> value, of the epoch whose weights the program holds, and of the test part
    epochs   the same of each epoch, in order
    message  how it went: `20 epochs; the weights are those of epoch 12, the best`
    run_id   of MLflow; None without tracking or when the store did not answer in time
    """

    metrics: Mapping[str, float]
    epochs: tuple[Mapping[str, float], ...]
    message: str
    run_id: str | None
    folder: Path
    program: Model

    @property
    def history(self) -> pd.DataFrame:
        """A row an epoch, counted from 1, a column a metric: `result.history[["loss/train", "loss/validation"]].plot()`."""
        import pandas as pd  # noqa: PLC0415  # slow to load

        return pd.DataFrame(list(self.epochs), index=pd.RangeIndex(1, len(self.epochs) + 1, name="epoch"))

    def __repr__(self) -> str:
        return f"<Result {self.folder.name}: {in_words(newest(self.metrics))}; {self.message}>"

    def _repr_html_(self) -> str:
        parts = [part for part in ("train", "validation", "test") if any(name.endswith(f"/{part}") for name in self.metrics)]
        quantities = dict.fromkeys(name.partition("/")[0] for name in self.metrics if name.rpartition("/")[2] in parts)
        rows = [
            [quantity, *(number(name, self.metrics[name]) if (name := f"{quantity}/{part}") in self.metrics else "" for part in parts)]
            for quantity in quantities
        ]
        return page_table(self.folder.name, ("", *parts), rows, after=f"{self.message}; {files.shown(self.folder)}")


def test(program: Program, ready: Prepared, tracker: Tracker, epoch: int, settings: Training) -> dict[str, float]:
    """Every metric of the test part, also to the journal, and its classes as a table in classes.csv; nothing without a test part."""
    part, dataset = ready.test, ready.dataset
    if not len(part):
        return {}
    made, row_loss = program.evaluate(part.x, part.targets, part.weight)
    prediction = ready.own_units(made)
    names = metrics.full(dataset.task, dataset.classes, settings.named)
    values = metrics.measure(dataset.task, prediction, row_loss, part.y, "test", names)
    tracker.metrics(epoch, values)
    if dataset.class_names:
        tracker.text("classes.csv", _class_csv(dataset.class_names, metrics.class_table(prediction, part.y)))
    if dataset.task == "classification":
        classes = dataset.class_names
        tracker.confusion(classes, confusion(part.y, prediction.argmax(axis=1), len(classes)), part="test")
    _keep(dataset, prediction, part.y, tracker)
    return values


def _keep(dataset: Dataset, prediction: Any, y: Any, tracker: Tracker) -> None:
    """What was answered, for pictures; a disk that refuses it is no reason to end a training that is done."""
    shape, x = dataset.shape.input_shape, dataset.test.x
    images = (lambda places: np.asarray(x[places])) if len(shape) == 3 and shape[-1] in (1, 3) else None
    names = dataset.class_names or (() if dataset.encoder is None else target_columns(dataset.encoder.target))
    found = tested.kept(dataset.task, names, prediction, y, images=images)
    if found is not None:
        with suppress(OSError):
            tested.write(tracker.folder, found)


class LinkAtStart:
    """Tells the link of a run alone once, as soon as MLflow has the run; looks for it now and then, and waits for nothing."""

    def __init__(self, console: Console, context: RunContext, tracker: Tracker) -> None:
        self._console, self._tracker, self._again = console, tracker, 0.0
        self._told = context.sweep is not None or tracker.store is None

    def look(self) -> None:
        """Between two steps of the training."""
        now = time.monotonic()
        if self._told or now < self._again:
            return
        self._again = now + LOOK
        link = self._tracker.link()
        if link is not None:
            self._told = True
            say(self._console, f"MLflow      {link}")


def note(tracker: Tracker, message: str, values: Mapping[str, float]) -> None:
    """The results, put into the description of the run."""
    before = tracker.note
    if before is None:
        before = str(start_of(read_journal(tracker.folder)).tags.get(NOTE, ""))
    shown = {name: value for name, value in values.items() if not name.startswith("time/")}
    tracker.tags({NOTE: page.result_note(before, shown, message)})


def parameter_count(program: Program) -> int:
    """How many numbers are trained."""
    return sum(value.size for value in program.parameters().values())


def tell(
    console: Console,
    context: RunContext,
    dataset: Dataset,
    program: Program,
    outcome: Outcome,
    values: Mapping[str, float],
    tracker: Tracker,
) -> None:
    """Shows the metrics `values` and how the training went; of a job of a sweep in one line.  All of it is in the log."""
    seconds = sum(epoch["time/epoch_s"] for epoch in outcome.history)
    tracker.log(f"results: {in_words({name: value for name, value in values.items() if not name.startswith('time/')})}")
    if context.said is not None:
        say(console, f"{context.label}: {in_words(newest(values))}; {outcome.message}; {seconds:.2f} s")
        return
    console.print()
    console.print(results_table(dataset.name, {key: value for key, value in values.items() if not key.startswith("time/")}))
    names = metrics.full(dataset.task, dataset.classes)
    for note in (
        *metrics.left_out(names, dataset.test.y, dataset.classes, "test", dataset.class_names),
        _of_training(values),
    ):
        say(console, f"note: {note}")
    say(console, f"{outcome.message}; {seconds:.2f} s, {parameter_count(program):,} parameters")
    say(console, f"run folder  {files.shown(tracker.folder)}")


def _of_training(values: Mapping[str, float]) -> str:
    """What the values of the training part are."""
    others = any(name.endswith("/train") and name != "loss/train" for name in values)
    rest = "; the other values of the training part are of some of its rows" if others else ""
    return (
        f"loss/train is the mean over the steps of the epoch, while it was trained{rest}; task=evaluate measures all with the final weights"
    )


def tell_receipt(console: Console, context: RunContext, receipt: Receipt) -> None:
    """Where MLflow shows the run, and what it has not got yet; a sweep prints the link to all its runs."""
    if receipt.link is not None and context.sweep is None:
        say(console, f"MLflow      {receipt.link}")
    if receipt.note and not (context.sweep is not None and receipt.note.startswith("tracking=none")):
        say_once(console, receipt.note, context.said or set())


def _class_csv(names: Sequence[str], rows: Sequence[Mapping[str, float]]) -> str:
    """One line a class of the test part; an empty cell where a metric has no value."""
    columns = ("precision", "recall", "f1", "roc_auc", "rows")
    cells = ([name, *(row.get(column, "") for column in columns)] for name, row in zip(names, rows, strict=True))
    return comma_separated([("class", *columns), *cells])
