"""Where a training begins: a new run, or one that goes on: which, where it stands, what may be asked of it, and what it has left to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline import files
from pipeline.config import spec
from pipeline.config.experiment import Experiment
from pipeline.config.stored import written_config
from pipeline.data import Dataset
from pipeline.errors import ConfigError, RunError
from pipeline.extend.load import described
from pipeline.recipe.schedules import SCHEDULES, needs_total
from pipeline.records import record
from pipeline.screen.wording import counted
from pipeline.tasks import page, trained
from pipeline.text import leaving
from pipeline.tracking import tracker as tracking
from pipeline.tracking.changed import TAG, changed
from pipeline.tracking.folder import CONFIG, Origin, read_info
from pipeline.tracking.journal import Metric, end_of, read_journal, start_of
from pipeline.tracking.lock import Lock
from pipeline.tracking.outbox import Sender
from pipeline.tracking.provenance import flatten
from pipeline.tracking.run import own
from pipeline.tracking.settings import Tracking
from pipeline.tracking.tracker import Tracker
from pipeline.training import budget, checkpoint
from pipeline.training.checkpoint import Checkpoint

# What may be asked of a run that goes on, and what is taken over for it: the list of docs/trust.md.
RESUMABLE = {
    "resume": "",
    "task": "",
    "extensions": "",
    "tracking": "tracking",
    "training.epochs": "training.epochs",
    "training.early_stopping.patience": "training.early_stopping.patience",
    "training.checkpoints": "training.checkpoints",
    "training.doctor": "training.doctor",
    **{f"budget.{name}": f"budget.{name}" for name in ("epochs", "steps", "samples", "seconds")},
    "data.root": "data.root",
    "data.path": "data.path",
    "data.stream": "data.stream",
    "backend": "backend",
}


EXTENSIONS = "pipeline.extensions"  # the tag that names those of a run


@record
class Beginning:
    """What a training begins with.

    folder    of the run that goes on; None: a new one is made
    found     its checkpoint; None: from the first step, as also a run that never saved does
    longer    whether its end is another than before
    changed   whether other things are asked of it than before
    tracking  where its record goes on
    origin    of a fork, whose state `found` is; before, the experiment of that origin
    lock      of that folder: taken before its checkpoint is read, so that two cannot go on from the same one
    """

    experiment: Experiment
    folder: Path | None = None
    tracking: Tracking | None = None
    lock: Lock | None = None
    found: Checkpoint | None = None
    changed: bool = False
    longer: bool = False
    origin: Origin | None = None
    before: Experiment | None = None

    @property
    def where(self) -> str:
        """Where a run that was stopped is taken up, or what a fork begins with."""
        if self.origin is not None:
            return self.origin.taken
        if self.found is None:
            return "no checkpoint was saved yet: trains from the start"
        done = self.found.progress
        steps = f" and {counted(done.step, 'step')} of the next" if done.step else ""
        return f"goes on after the checkpoint of epoch {done.epoch}{steps}{self.replanned}"

    @property
    def replanned(self) -> str:
        """That a schedule over the whole training takes another course, where there is more of that than before."""
        if not (self.longer and needs_total(self.experiment.schedule)):
            return ""
        kind = SCHEDULES.kind_of(self.experiment.schedule)
        return f"; schedule {kind} is planned anew over the longer training: the rate jumps, and the result is not that of one training"


def beginning(experiment: Experiment, overrides: Sequence[str]) -> Beginning:
    """That of a new run, or of the one that `experiment.resume` names.  Raises RunError and ConfigError."""
    if experiment.resume is None:
        return Beginning(experiment=experiment)
    folder = trained.find(experiment.resume, experiment, at="resume")
    stored = trained.stored_experiment(folder)
    check_config(folder)
    asked = trained.with_overrides(stored, experiment, _values(overrides), RESUMABLE, task="resume")
    lock = tracking.take_up(folder)
    try:
        where = _tracking(folder, experiment, overrides)
        found = _found(asked, folder)
        longer = (asked.training.epochs, asked.budget) != (stored.training.epochs, stored.budget)
        return Beginning(experiment=asked, folder=folder, found=found, changed=asked != stored, longer=longer, tracking=where, lock=lock)
    except BaseException:
        lock.release()
        raise


def check_config(folder: Path) -> None:
    """Whether config.yaml says of what was trained what the journal says, in which a changed line is known.  Raises RunError."""
    told, now = start_of(read_journal(folder)).params, flatten(written_config(folder))
    for path, before in told.items():
        if not _free(path) and leaving(now.get(path, "nothing")) != before:
            rule = f"the run began with {before}, as its journal says, and the file was changed since"
            hint = "restore it from a copy, and ask for other values with task=fork"
            raise RunError(f"{files.shown(folder / CONFIG)}: {path} = {leaving(now.get(path, 'nothing'))[:200]}: {rule}; {hint}")


def _free(path: str) -> bool:
    """Whether a run that goes on may have another value there."""
    return any(path == name or path.startswith(f"{name}.") for name in RESUMABLE)


def _tell_changes(folder: Path, tracker: Tracker) -> None:
    """Tells in the journal what config.yaml says by now: the run is known by what it was trained with."""
    events, now = read_journal(folder), {path: leaving(value) for path, value in flatten(written_config(folder)).items()}
    paths = [path for path in {**start_of(events).params, **now} if _free(path)]
    naming = [path for path in paths if path.partition(".")[0] not in page.ASIDE]
    told = changed(events, now, paths=paths, usual=page.defaults(), naming=naming)
    if told is not None:
        tracker.journal.write(told)
        tracker.log(f"goes on with {told.tags[TAG]}")


def _values(overrides: Sequence[str]) -> list[str]:
    """The overrides without `training=early_stopping`, which stands before a patience so that Hydra knows one."""
    patience = any(text.startswith("training.early_stopping.patience=") for text in overrides)
    return [text for text in overrides if not (patience and text.startswith("training="))]


def check_rest(begun: Beginning, dataset: Dataset) -> None:
    """Whether the data are those of the run that goes on, and its budget leaves something to do.  Raises RunError and ConfigError."""
    if begun.folder is None or begun.found is None:
        return
    if begun.found.stored.facts.fingerprint != dataset.fingerprint:
        raise RunError(f"{_asked(begun.folder)}: the data has changed since the run began; restore it, or start a new run")
    settings, allowed, done = begun.experiment.training, begun.experiment.budget, begun.found.progress
    per_epoch = len(dataset.train) // settings.rows
    steps, end = done.steps(per_epoch), budget.end(settings, allowed, per_epoch)
    if end.steps is not None and steps > end.steps:
        raise ConfigError(
            at=end.at, got=end.got, rule=f"the run has taken {counted(steps, 'step')}, and this is {end.steps}", hint="give more"
        )
    spent = budget.spent(end, allowed, steps=steps, seconds=done.spent)
    if spent is not None and _finished(begun.folder):
        raise RunError(f"{_asked(begun.folder)}: the run has used up {spent}; give more to go on")


def _tracking(folder: Path, experiment: Experiment, overrides: Sequence[str]) -> Tracking:
    """Where the record goes on: where the command says, or where it was begun, if that is the project's own store.

    Raises TrackingError.
    """
    if any(text.startswith("tracking") for text in overrides):
        return experiment.tracking
    info = read_info(folder)
    own(info, experiment.tracking, Path.cwd(), at=_asked(folder))
    return replace(experiment.tracking, kind="none" if info.uri is None else "mlflow", experiment=info.experiment)


def tracker_of(folder: Path, begun: Beginning, sender: Sender, project: Path) -> Tracker:
    """Takes up the record of the run; tells what a crash kept from its journal, and what is asked of it now."""
    epoch = 0 if begun.found is None else begun.found.progress.epoch
    tracker = tracking.resume(folder, step=epoch, project=project, sender=sender, lock=begun.lock, settings=begun.tracking)
    if begun.changed:
        files.write(folder / "config.yaml", tracking.config_text(spec.to_plain(begun.experiment)))
        tracker.artifact(folder / "config.yaml")
    _tell_changes(folder, tracker)
    return tracker


def extensions_of(experiment: Experiment) -> str:
    """The extensions of a run with their versions, in words."""
    return ", ".join(map(described, experiment.extensions))


def other_extensions(begun: Beginning) -> str:
    """That a run goes on with other code of extensions than it began with; empty where it is the same."""
    if begun.folder is None:
        return ""
    was, now = str(start_of(read_journal(begun.folder)).tags.get(EXTENSIONS, "")), extensions_of(begun.experiment)
    return "" if was == now else f"the extensions have changed since the run began: {was or 'none'} then, {now or 'none'} now"


def tell_again(tracker: Tracker, found: Checkpoint) -> None:
    """Metrics that the checkpoint holds and a crash kept from the journal."""
    told = {event.step for event in read_journal(tracker.folder) if isinstance(event, Metric)}
    for epoch, values in enumerate(found.progress.history, start=1):
        if epoch not in told:
            tracker.metrics(epoch, values)


def _found(experiment: Experiment, folder: Path) -> Checkpoint | None:
    """The checkpoint of the run, if it has one and epochs are left."""
    if not checkpoint.exists(folder / trained.CHECKPOINTS):
        if (origin := read_info(folder).origin) is not None:
            again = f"task=fork run={origin.folder} step={origin.step}"
            raise RunError(f"{_asked(folder)}: the fork was stopped before its first checkpoint; make it again with {again}")
        return None
    found, settings = checkpoint.load(folder / trained.CHECKPOINTS), experiment.training
    done, at = found.progress, _asked(folder)
    if settings.epochs is not None and (done.epoch > settings.epochs or (done.epoch == settings.epochs and done.step)):
        raise ConfigError(
            at="training.epochs", got=settings.epochs, rule=f"the run has trained {counted(done.epoch, 'epoch')}", hint="give more"
        )
    if not _finished(folder):
        return found
    if done.epoch == settings.epochs:
        raise RunError(f"{at}: the run has finished its {counted(done.epoch, 'epoch')}; give training.epochs above {done.epoch} to go on")
    if done.stopped:
        raise RunError(f"{at}: the run has ended after epoch {done.epoch}: {done.stopped}; nothing is left to do")
    if settings.early_stopping is not None and done.waited >= settings.early_stopping.patience:
        best = f"its result is epoch {done.best_epoch}"
        raise RunError(f"{at}: the run stopped early after epoch {done.epoch}, {best}; nothing is left to do")
    return found


def _asked(folder: Path) -> str:
    """Which run shall go on."""
    return f"resume = {files.shown(folder)}"


def _finished(folder: Path) -> bool:
    """Whether the run came to its end, not to a stop before it."""
    end = end_of(read_journal(folder))
    return end is not None and end.status == "FINISHED"
