"""task=fork: a new run that begins with the state of another one's checkpoint.

Where a step of the fork is a step of its origin (the same rows, batches and optimizer) it goes on as if it were the origin: the state is
taken to the bit, and epochs, clocks and early stopping count on.  Else only the network is taken, and the training begins anew.
Whatever is taken is said, and stands in run.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline import files
from pipeline.compiler.loss_weights import CLASS_WEIGHTS
from pipeline.config.experiment import Experiment
from pipeline.config.spec import to_plain
from pipeline.data import Dataset
from pipeline.errors import ConfigError, RunError
from pipeline.program.program import Program
from pipeline.recipe.averaging import average_name
from pipeline.recipe.plateau import Plateau
from pipeline.recipe.schedules import SCHEDULES, needs_total
from pipeline.screen.wording import counted
from pipeline.tasks import trained
from pipeline.tasks.resume import Beginning, check_config
from pipeline.tracking.delivery import read_sent
from pipeline.tracking.folder import Origin, read_info
from pipeline.tracking.provenance import flatten
from pipeline.training import budget, checkpoint
from pipeline.training.checkpoint import Checkpoint, Progress, State

NAMED = 8  # values that are said to have changed
TRIES = 3  # a run that goes on may replace a checkpoint while it is read


def beginning(experiment: Experiment) -> Beginning:
    """Of a fork of the run `experiment.run`.  Raises RunError."""
    assert experiment.run is not None
    folder = trained.find(experiment.run, experiment)
    check_config(folder)
    info, found = read_info(folder), _found(experiment, folder / trained.CHECKPOINTS)
    step = int(np.max(found.state.get("step", 0)))
    origin = Origin(folder=files.shown(folder), uid=info.uid, step=step, taken="", run_id=read_sent(folder).run_id)
    asked = replace(experiment, task="train", run=None, step=None)
    return Beginning(experiment=asked, found=found, origin=origin, before=trained.stored_experiment(folder))


def _found(experiment: Experiment, folder: Any) -> Checkpoint:
    for _ in range(TRIES - 1):
        try:
            return checkpoint.load(folder, step=experiment.step)
        except RunError as error:
            if "is missing" not in str(error):
                raise
    return checkpoint.load(folder, step=experiment.step)


def check(begun: Beginning, dataset: Dataset) -> None:
    """Whether its rows are parted as those of its origin, where they are the same rows.  Raises ConfigError."""
    if begun.origin is None or begun.found is None or begun.before is None or begun.found.stored.facts.fingerprint != dataset.fingerprint:
        return
    now, before = begun.experiment, begun.before
    for at, got, was in (("seed", now.seed, before.seed), ("data.split", now.data.split, before.data.split)):
        if got != was:
            rule = "would part the rows anew, so that validation and test hold rows that the origin was trained on"
            hint = f"leave it out: the origin has {at} = {was}" if at == "seed" else "leave it out"
            raise ConfigError(at=at, got=got if at == "seed" else "other than the origin's", rule=rule, hint=hint)


def taken(begun: Beginning, program: Program, dataset: Dataset) -> Beginning:
    """With the state that `program`, on `dataset`, begins with, and what was taken.  Raises RunError, ConfigError."""
    origin, found, before = begun.origin, begun.found, begun.before
    assert origin is not None and found is not None and before is not None
    own = program.state()
    network = {p.name for p in program.structure.network.parameters}
    _check_shapes(begun, found.state, own, network)
    other = list(_other_steps(begun, found, own, network, dataset))
    changed = _changed(before, begun.experiment)
    values = f"; {changed}" if changed else ""
    head = f"fork of {origin.folder} at step {origin.step}"
    if other:
        state = {name: found.state[name] if name in network else value for name, value in own.items()}
        state |= {average_name(p.name): state[p.name] for p in program.structure.averaged}
        text = f"{head}: the weights and statistics of the network are taken, nothing else, as {', '.join(other)}: epochs count from 1"
        text += _other_meaning(found, dataset) + values
        start = replace(found, state={**state, "step": np.asarray(0)}, best_state=None, progress=Progress())
        return replace(begun, found=start, origin=replace(origin, taken=text))
    start, more = _going_on(begun, found, own, dataset)
    start = replace(start, progress=replace(start.progress, stopped=""))  # what a callback ended there goes on here
    where = f"epoch {start.progress.epoch}" + (f" and {counted(start.progress.step, 'step')}" if start.progress.step else "")
    text = f"{head} ({where}): the whole state is taken, the optimizer's too, and epochs count on{more}{values}"
    return replace(begun, found=start, origin=replace(origin, taken=text))


def _check_shapes(begun: Beginning, given: State, own: State, network: set[str]) -> None:
    """Whether the network is that of the origin, tensor by tensor."""
    there = {name for name in given if "/" not in name}  # adam.m/fc1.weight is the optimizer's
    wrong = [
        f"{name} is {_shape(given, name)} there and {_shape(own, name)} here"
        for name in sorted(network | there - {"step", CLASS_WEIGHTS})
        if _shape(given, name) != _shape(own, name)
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        hint = "a fork has the network of its origin: leave out what changes it, or train a new one"
        raise RunError(f"run = {begun.origin.folder if begun.origin else ''}: {'; '.join(wrong[:3])}{more}; {hint}")


def _shape(state: State, name: str) -> str:
    return str(list(np.shape(state[name]))) if name in state else "missing"


def _other_steps(begun: Beginning, found: Checkpoint, own: State, network: set[str], dataset: Dataset) -> Iterator[str]:
    """Why a step of the fork is no step of its origin."""
    now, before = begun.experiment, begun.before
    assert before is not None
    if found.stored.facts.fingerprint != dataset.fingerprint:
        yield "its rows are others"
    if now.training.rows != before.training.rows:
        yield f"a batch is {now.training.rows} rows and was {before.training.rows}"
    slots, former = ({n: np.shape(value) for n, value in state.items() if _is_slot(n, network)} for state in (own, found.state))
    if slots != former or type(now.optimizer) is not type(before.optimizer):
        yield "its optimizer is another"
    if type(now.averaging) is not type(before.averaging):
        yield "its averages of the weights are others"


def _is_slot(name: str, network: set[str]) -> bool:
    """Whether a tensor of a state is the optimizer's: neither of the network nor an average of it, nor a weight of the loss."""
    return name not in network and name != CLASS_WEIGHTS and not name.startswith(average_name(""))


def _other_meaning(found: Checkpoint, dataset: Dataset) -> str:
    """That inputs or outputs stand for something else."""
    facts = found.stored.facts
    said = []
    if facts.class_names != dataset.class_names:
        said.append(f"classes {_few(facts.class_names)} are now {_few(dataset.class_names)}")
    if facts.feature_names != dataset.feature_names:
        said.append(f"columns {_few(facts.feature_names)} are now {_few(dataset.feature_names)}")
    if facts.fingerprint != dataset.fingerprint:
        said.append("the preprocessing is fitted to the new rows")
    return "".join(f"; {text}" for text in said)


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "") if names else "(none)"


def _going_on(begun: Beginning, found: Checkpoint, own: State, dataset: Dataset) -> tuple[Checkpoint, str]:
    """The checkpoint as the fork goes on from it, and what of its standing does not hold any more."""
    now, before, said = begun.experiment, begun.before, []
    assert before is not None
    progress = replace(found.progress, spent=0.0)
    if (now.schedule, now.optimizer) != (before.schedule, before.optimizer):
        if (progress.plateau.scale, progress.slowed) != (1.0, 1.0):
            said.append("the learning rate is the one that is given, no lowering of the origin's holds")
        progress = replace(progress, plateau=Plateau(), best_plateau=Plateau(), slowed=1.0, restored=0)
    best = found.best_state
    stopping, former = now.training.early_stopping, before.training.early_stopping
    if stopping is not None and (former is None or (stopping.metric, stopping.min_delta) != (former.metric, former.min_delta)):
        progress, best = replace(progress, best=None, best_epoch=0, waited=0), None
        said.append(f"the best epoch is looked for anew, by {stopping.metric}")
    elif stopping is not None and progress.waited >= stopping.patience:
        progress = replace(progress, waited=0)
        said.append("patience counts anew")
    _check_rest(begun, progress, dataset)
    if needs_total(now.schedule) and any(getattr(now, name) != getattr(before, name) for name in ("schedule", "budget", "optimizer")) | (
        (now.training.epochs) != before.training.epochs
    ):
        kind = SCHEDULES.kind_of(now.schedule)
        said.append(f"schedule {kind} is planned anew over the whole of the training: the rate may jump here")
    weights = {CLASS_WEIGHTS: own[CLASS_WEIGHTS]} if CLASS_WEIGHTS in own else {}
    kept = {name: value for name, value in found.state.items() if name != CLASS_WEIGHTS}
    best = None if best is None else {**{name: value for name, value in best.items() if name != CLASS_WEIGHTS}, **weights}
    return replace(found, state={**kept, **weights}, best_state=best, progress=progress), "".join(f"; {text}" for text in said)


def _check_rest(begun: Beginning, progress: Progress, dataset: Dataset) -> None:
    """Whether anything is left to train."""
    settings = begun.experiment.training
    steps = progress.steps(len(dataset.train) // settings.rows)
    end = budget.end(settings, begun.experiment.budget, len(dataset.train) // settings.rows)
    if end.steps is not None and steps >= end.steps:
        raise ConfigError(at=end.at, got=end.got, rule=f"the fork begins after {steps} steps, and this is {end.steps}", hint="give more")


def _changed(before: Experiment, now: Experiment) -> str:
    """The values that are others than the origin's: `optimizer.learning_rate 0.001 -> 0.01`."""
    apart = ("task", "run", "step", "output", "tracking", "resume")
    was, new = (flatten({key: value for key, value in to_plain(one).items() if key not in apart}, aside=()) for one in (before, now))
    paths = [path for path in {**new, **was} if was.get(path) != new.get(path)]
    said = [f"{path} {was.get(path, '(none)')} -> {new.get(path, '(none)')}" for path in paths[:NAMED]]
    return ", ".join(said) + (f" and {len(paths) - NAMED} more" if len(paths) > NAMED else "")
