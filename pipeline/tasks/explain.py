"""task=explain: the network as the compiler sees it; trains nothing and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline import trained
from pipeline.compiler import compile_experiment
from pipeline.preprocessing import Fitted
from pipeline.spec import Experiment
from pipeline.tasks.context import RunContext
from pipeline.training import checkpoint

ALLOWED = {"task": "", "run": "", "tracking": "", "backend": "backend", "precision": "precision"}


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> str:
    """Prints layers, graph, passes with their reasons, memory plan and generated program -> that text.  Raises PipelineError."""
    shape = None
    if experiment.run is not None:
        folder = trained.find(experiment.run, experiment)
        experiment = trained.with_overrides(trained.stored_experiment(folder), experiment, context.overrides, ALLOWED, task="task=explain")
        if checkpoint.exists(folder / trained.CHECKPOINTS):
            model = checkpoint.load(folder / trained.CHECKPOINTS).model
            fitted = Fitted.restore(model.arrays, experiment.preprocessing.steps)
            shape = trained.shape_of_program(trained.shape_of(model.facts), fitted)
    text = compile_experiment(experiment, shape).explain()
    print(text)
    return text
