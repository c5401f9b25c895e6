"""Whether the settings of a training fit its data, and what is to be known of how they fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.data import Dataset
from pipeline.errors import ConfigError, DataError
from pipeline.training import budget as budgets
from pipeline.training import metrics
from pipeline.training.budget import Budget
from pipeline.training.scores import SCORES, undefined
from pipeline.training.settings import Training


def check(dataset: Dataset, settings: Training, budget: Budget = Budget()) -> None:  # noqa: B008  # frozen
    """Whether `settings` fit the data.  Raises DataError or ConfigError."""
    budgets.check(settings, budget)
    rows = len(dataset.train.x)
    if settings.rows > rows >= settings.batch_size:
        rule = f"{settings.accumulate} micro-batches of {settings.batch_size} rows are more than the {rows} rows of the training part"
        raise DataError(f"training.accumulate = {settings.accumulate}: {rule}; use at most {rows // settings.batch_size}")
    if settings.batch_size > rows:
        rule = f"larger than the {rows} rows of the training part; use at most {rows}"
        raise DataError(f"training.batch_size = {settings.batch_size}: {rule}")
    metrics.check_names(settings.metrics or (), dataset.task, dataset.classes, at="training.metrics")
    if settings.early_stopping is not None:
        _check_watched(dataset, settings.early_stopping.metric)


def _check_watched(dataset: Dataset, metric: str) -> None:
    """Whether early stopping can watch `metric`: a loss, or what can be measured on the validation part."""
    at, (name, _, part) = "training.early_stopping.metric", metric.partition("/")
    known = ("loss/train", *(f"{n}/validation" for n in ("loss", *metrics.full(dataset.task, dataset.classes, SCORES[dataset.task]))))
    if metric == "loss/train":
        return
    if metric != "loss/validation":
        metrics.check_name(name if part == "validation" else metric, dataset.task, dataset.classes, at=at, got=metric, known=known)
    if len(dataset.validation.x) == 0:
        hint = "set data.split.validation above 0 or use loss/train"
        raise ConfigError(at=at, got=metric, rule="the validation part is empty", hint=hint)
    reason = undefined(name, dataset.validation.y, dataset.classes, dataset.class_names)
    if reason is not None:
        hint = "use another metric, or a larger data.split.validation"
        raise ConfigError(at=at, got=metric, rule=f"has no value on the validation part, as {reason}", hint=hint)


def notes(dataset: Dataset, settings: Training, budget: Budget, measured: Sequence[str]) -> Iterator[str]:
    """Rows that fill no batch, a budget that ends nothing, and those of the metrics that have no value on the validation part."""
    rows, batch = len(dataset.train), settings.rows
    if rows % batch:
        yield f"each epoch leaves out {rows % batch:,} of {rows:,} rows, others each time: they fill no batch of {batch}"
    end = budgets.end(settings, budget, rows // batch)
    counted = any(limit is not None for limit in (budget.epochs, budget.steps, budget.samples))
    if counted and end.at == "training.epochs":
        text = f"{end.text} ends the training before the budget does, after {end.steps} steps"
        yield f"{text}; training.epochs=null leaves the end to the budget"
    yield from metrics.left_out(measured, dataset.validation.y, dataset.classes, "validation", dataset.class_names)
