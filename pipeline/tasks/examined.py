"""What the doctor makes of a training that is over: looks at what was kept of it, and what is wrong with it, into its journal."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from pipeline import data, files
from pipeline.checks.material import Material
from pipeline.config import automatic
from pipeline.config.experiment import Experiment
from pipeline.data.prepared import Prepared, Rows, prepared
from pipeline.doctor import told
from pipeline.doctor.case import Case, Course
from pipeline.doctor.diagnose import diagnose
from pipeline.doctor.kept import Kept, Moment
from pipeline.doctor.looks import looks
from pipeline.errors import PipelineError
from pipeline.program.make import compile_experiment
from pipeline.screen.console import say
from pipeline.tasks import trained
from pipeline.tasks.context import RunContext
from pipeline.tracking.folder import read_info
from pipeline.tracking.health import Diagnosed, Diagnosis, Health
from pipeline.tracking.journal import end_of, last_values, read_journal
from pipeline.tracking.tracker import Tracker
from pipeline.training import checkpoint
from pipeline.training.settings import Training

TAG = "pipeline.doctor"
LIMIT = re.compile(r"trained [^;]*, to the end of (budget\.\w+ = [^;]+)")
WHOLE = re.compile(r"trained [^;]*(; the weights are those of epoch .*)?")


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


def of_folder(folder: Path) -> tuple[Diagnosis, ...]:
    """What is wrong with the run of a folder: as its journal has it, else by a look at its checkpoint.  Raises PipelineError."""
    events = read_journal(folder)
    stored = next((event for event in reversed(events) if isinstance(event, Diagnosed)), None)
    if stored is not None:
        return stored.found
    config, found = trained.stored_experiment(folder), checkpoint.load(folder / trained.CHECKPOINTS)
    dataset = data.load(config.data, seed=config.seed)
    config, _ = automatic.settled(config, dataset)
    ready = prepared(dataset, config.preprocessing, precision=config.precision)
    program, done = compile_experiment(config, ready.shape), found.progress
    program.balance(dataset.train.y)
    moments = [Moment(epoch=0, state=program.state(), course=program.tables.course)]
    moments.append(Moment(epoch=max(1, done.epoch), state=found.state, course=program.tables.course))
    seen = looks(program, ready.train, moments, seconds=0.0, always=True)
    anew = read_info(folder).origin is None and config.initialization.from_run is None
    course = Course(
        history=tuple(done.history), steps=int(np.max(found.state["step"])), held=done.epoch, anew=anew, tested=tested(last_values(events))
    )
    end = end_of(events)
    course = ended(course, "" if end is None else end.message)
    return diagnose(Case(material_of(config, ready), program.structure.network, course, seen, class_names=dataset.class_names))


def before_training(config: Experiment, rows: Material) -> tuple[Diagnosis, ...]:
    """What is wrong before the first step.  Raises PipelineError."""
    program = rows.program(config)
    part = Rows(x=rows.x, targets=rows.y, y=np.asarray(rows.y), weight=rows.weight)
    moments = [Moment(epoch=0, state=program.state(), course=program.tables.course)]
    seen = looks(program, part, moments, seconds=0.0, always=True)
    return diagnose(Case(rows, program.structure.network, Course(), seen))


def ended(course: Course, message: str) -> Course:
    """`course` with what ended it, by the message of its end: training.epochs, a limit of the budget, or something before these."""
    found = LIMIT.match(message)
    return replace(course, ended_early=WHOLE.fullmatch(message) is None, limit="" if found is None else found[1])


def tell(console: Console, tracker: Tracker, context: RunContext, found: tuple[Diagnosis, ...]) -> None:
    """At most three lines; of a trial of a sweep one."""
    lines = told.lines(found, more=f"task=doctor run={files.shown(tracker.folder)}")
    for line in lines if context.sweep is None else lines[:1]:
        say(console, line if context.sweep is None else f"{context.label}: {line}")
        tracker.log(line)


def tested(values: Mapping[str, float]) -> dict[str, float]:
    """The metrics of the test part."""
    return {name: value for name, value in values.items() if name.endswith("/test")}
