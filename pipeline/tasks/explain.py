"""task=explain: the network as the compiler sees it; trains nothing and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline import data
from pipeline.config import automatic
from pipeline.config.experiment import Experiment
from pipeline.config.task_settings import Explain, chosen
from pipeline.data.prepared import shape_after
from pipeline.data.settings import TABLES, check_source
from pipeline.data.tables.report import summary
from pipeline.errors import ConfigError
from pipeline.preprocessing import Fitted
from pipeline.program.make import compile_experiment
from pipeline.tasks import trained
from pipeline.tasks.context import RunContext
from pipeline.tracking.folder import read_info
from pipeline.training import checkpoint

ALLOWED = {"task": "", "run": "", "tracking": "", "extensions": "", "explain": "", "backend": "backend", "precision": "precision"}


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> str:
    """Prints the parts that `explain.parts` asks for -> that text.  Raises PipelineError."""
    shape, asked, told = None, experiment.explain or Explain(), ""
    if experiment.run is not None:
        folder = trained.find(experiment.run, experiment)
        origin = read_info(folder).origin
        told = "" if origin is None or not origin.taken else f"recipe {origin.taken}"
        experiment = trained.with_overrides(trained.stored_experiment(folder), experiment, context.overrides, ALLOWED, task="task=explain")
        if checkpoint.exists(folder / trained.CHECKPOINTS):
            stored = checkpoint.load(folder / trained.CHECKPOINTS).stored
            shape = shape_after(stored.facts.shape, Fitted.restore(stored.arrays, experiment.preprocessing.steps))
    elif experiment.automatic or experiment.data.kind in TABLES:
        experiment, told = _settled(experiment)
    text: str = compile_experiment(experiment, shape, reads=True).explain(asked.parts)
    if "recipe" in chosen(asked.parts) and told:
        text = f"{told}\n\n{text}"
    print(text)
    return text


def _settled(experiment: Experiment) -> tuple[Experiment, str]:
    """With what follows the rows of the data, and that in words; where there are no data, as `pipeline.compile` takes it."""
    try:
        check_source(experiment.data)
    except ConfigError:
        if not experiment.automatic:
            return experiment, ""
        return experiment, f"recipe without data: {automatic.fallback(experiment)}; training settles by the rows what is automatic"
    dataset = data.load(experiment.data, seed=experiment.seed)
    settled, notes = automatic.settled(experiment, dataset)
    lines = [f"recipe {'; '.join(notes)}"] if notes else []
    if dataset.encoder is not None:
        lines += [f"data   {summary(dataset.encoder)}; task=data shows each column", *(f"       {note}" for note in dataset.notes)]
    return settled, "\n".join(lines)
