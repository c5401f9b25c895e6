"""What the doctor makes of a training that is over: looks at what was kept of it, and what is wrong with it, into its journal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress

import numpy as np
from rich.console import Console

from pipeline import files
from pipeline.checks.material import Material
from pipeline.config.experiment import Experiment
from pipeline.data.prepared import Prepared
from pipeline.doctor import told
from pipeline.doctor.case import Case, Course
from pipeline.doctor.diagnose import diagnose
from pipeline.doctor.kept import Kept
from pipeline.doctor.looks import looks
from pipeline.errors import PipelineError
from pipeline.screen.console import say
from pipeline.tasks.context import RunContext
from pipeline.tracking.health import Diagnosed, Diagnosis, Health
from pipeline.tracking.tracker import Tracker
from pipeline.training.settings import Training

TAG = "pipeline.doctor"


def wanted(settings: Training, context: RunContext) -> bool:
    """Whether the doctor is asked: auto is yes for a run alone."""
    return context.sweep is None if settings.doctor == "auto" else settings.doctor


def material_of(config: Experiment, ready: Prepared) -> Material:
    """The training rows as checks take them."""
    rows, y = ready.train, np.asarray(ready.train.targets)
    return Material(
        config=config,
        name=ready.dataset.name,
        shape=ready.shape,
        x=rows.x,
        y=y,
        seed=config.seed,
        weight=rows.weight,
    )


def examine(
    kept: Kept, config: Experiment, ready: Prepared, tracker: Tracker, context: RunContext, course: Course
) -> tuple[Diagnosis, ...]:
    """Looks at the training, whose program holds the weights of `course.held` now -> what is wrong; both also to the journal."""
    if not kept.wanted:
        return ()
    kept.keep(course.held)
    seen: tuple[Health, ...] = ()
    with suppress(PipelineError):  # a device without room for a second state, say: the training is whole all the same
        always, seconds = config.training.doctor is True, time.monotonic() - context.began
        seen = looks(kept.program, ready.train, kept.moments, seconds=seconds, always=always)
    for health in seen:
        tracker.journal.write(health)
    network = kept.program.structure.network
    found = diagnose(Case(material_of(config, ready), network, course, seen, class_names=ready.dataset.class_names))
    tracker.journal.write(Diagnosed(found=found))
    tracker.tags({TAG: "; ".join(f"{d.name} ({d.override})" for d in found) or "nothing found"})
    return found


def tell(console: Console, tracker: Tracker, context: RunContext, found: tuple[Diagnosis, ...]) -> None:
    """At most three lines; of a trial of a sweep one."""
    lines = told.lines(found, more=f"task=doctor run={files.shown(tracker.folder)}")
    for line in lines if context.sweep is None else lines[:1]:
        say(console, line if context.sweep is None else f"{context.label}: {line}")
        tracker.log(line)


def tested(values: Mapping[str, float]) -> dict[str, float]:
    """The metrics of the test part."""
    return {name: value for name, value in values.items() if name.endswith("/test")}
