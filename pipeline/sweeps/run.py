"""A sweep from its command to its end: its jobs, each once, whatever was run before; one that fails is told at once, the others go on.

Hydra composes the configs and walks the grid; the trials train together in this process.  Other launchers of Hydra are noted and not
used, other sweepers are refused.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, cast

from pipeline import files
from pipeline.config.arms import ARM, ARMS, check_name
from pipeline.config.compose import run_hydra
from pipeline.config.jobs import Configs, check_folders, chosen_folder, jobs_of, launcher, save_whole
from pipeline.config.overrides import without_several
from pipeline.config.search import Tried, at_the_end
from pipeline.errors import ConfigError
from pipeline.sweeps.jobs import Job, JobResult, SweepResult
from pipeline.sweeps.journal import FILE, SweepJournal, is_sweep
from pipeline.sweeps.work import Worker
from pipeline.tasks.context import Senders

SOME_FAILED = 3
SWEEPS = Path("runs/sweeps")
HOW = ("sweep.", "hydra/launcher=", "hydra.launcher.")  # overrides that say how the trials of a sweep are run, not which
OVER = ("hydra", "tracking", "output", "resume", "sweep")  # what may be another when a sweep goes on


def run_sweep(flags: list[str], overrides: list[str]) -> int:
    """One run for each combination of values -> exit code.  Raises PipelineError for a mistake that they share."""
    gone_on = sweep_to_resume(overrides)
    if gone_on is not None:
        flags, overrides = _asked_then(gone_on, overrides)
    results: list[int] = []
    failures: list[BaseException] = []

    def work(config: object) -> None:
        try:
            results.append(_Sweep(config, flags, overrides, gone_on).run())
        except BaseException as error:  # kept from Hydra, which would print its own lines
            failures.append(error)

    alone = [flag for flag in flags if flag not in ("-m", "--multirun")]
    common = [text for text in without_several(overrides) if not text.startswith("hydra.mode=")]
    code = run_hydra([*alone, *common, "hydra.mode=RUN"], work)
    if failures:
        raise failures[0]
    return results[0] if results else code


def sweep_to_resume(overrides: Sequence[str]) -> Path | None:
    """The folder of the sweep that `resume=FOLDER` asks to go on with; None where it is asked for none."""
    asked = [text.partition("=")[2].strip("'\"") for text in overrides if text.lstrip("+").startswith("resume=")]
    return Path(asked[-1]) if asked and is_sweep(Path(asked[-1])) else None


def _asked_then(folder: Path, overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """The flags and overrides that a sweep was begun with, and how it is run now.  Raises ConfigError where other values are given."""
    how = [text for text in overrides if text.lstrip("+").startswith(HOW)]
    for text in overrides:
        path, _, value = text.lstrip("+").partition("=")
        if path != "resume" and text not in how:
            raise ConfigError(at=path, got=value, rule="a sweep goes on with the values that it was begun with", hint="leave it out")
    with closing(SweepJournal(folder, project=Path.cwd())) as journal:
        return list(journal.head.get("flags", ())), [*journal.head.get("overrides", ()), *how]


class _Sweep:
    """One command's work on a sweep, begun while Hydra has composed what its jobs have in common; `id` is that of a new one."""

    def __init__(self, config: object, flags: list[str], overrides: list[str], folder: Path | None) -> None:
        self.flags, self.overrides = flags, overrides
        check_folders()
        self.planned = _plan(config, overrides)
        if (other := launcher()) != "basic":
            print(f"note: hydra/launcher = {other}: trials train together in this process, the launcher is not used", flush=True)
        self.configs = Configs()
        self.configs.check([job.texts for job in self.planned])
        chosen = folder or chosen_folder(f"{SWEEPS}/${{now:")
        self.folder = chosen or _new_folder()
        self.id = self.folder.name if chosen is None else f"{chosen.name}-{secrets.token_hex(3)}"
        self.new = not self.folder.exists()
        self.results: list[JobResult] = []
        self.senders = Senders()

    def run(self) -> int:
        """Runs what is left -> exit code.  Raises PipelineError, KeyboardInterrupt."""
        with closing(SweepJournal(self.folder, project=Path.cwd())) as journal:
            self._begin(journal)
            from pipeline.tasks.shelf import Shelf  # noqa: PLC0415  # the command line starts without it

            worker = Worker(journal=journal, planned=self.planned, senders=self.senders, shelf=Shelf())
            stop = None
            try:
                self._work(worker)
            except KeyboardInterrupt as interrupt:
                stop = interrupt
            started = any(result.experiment is not None for result in self.results)
            if self.new and not started:  # every job was refused: nothing stays behind
                _remove(self.folder)
            try:
                if started:
                    self._end(journal, stopped=stop is not None)
                for note in _notes(worker.tried):
                    print(f"note: {note}", flush=True)
            finally:
                self.senders.close()
        if stop is not None:
            raise stop
        done = sum(result.error is None for result in self.results)
        return 0 if done == len(self.results) else SOME_FAILED if done else 1

    def _begin(self, journal: SweepJournal) -> None:
        """Takes up the sweep of the folder, or begins one there; the first line on the screen."""
        count, before = len(self.planned), ""
        if journal.head:
            from pipeline.sweeps.adopt import adopt  # noqa: PLC0415  # the command line starts without it

            _check_space(self.folder, journal.head["jobs"], [job.values for job in self.planned])
            adopt(journal, Path.cwd())
            over = sum(end["status"] in ("finished", "diverged") for trial, end in journal.ends.items() if trial in journal.runs)
            before = f", {over} of them over" if over else ", goes on"
        else:
            save_whole(self.folder / "multirun.yaml")
            journal.begin(id=self.id, flags=self.flags, overrides=self.overrides, jobs=[job.values for job in self.planned])
        print(f"sweep {self.folder.name}: {count} job{'s' if count > 1 else ''}{before}", flush=True)

    def _work(self, worker: Worker) -> None:
        stop: KeyboardInterrupt | None = None
        for result in worker.work(self.planned, self.configs):
            self.results.append(result)
            if isinstance(result.error, KeyboardInterrupt):  # meant for the sweep, not for the job
                stop = result.error
        if stop is not None:
            raise stop

    def _end(self, journal: SweepJournal, *, stopped: bool) -> None:
        sweep_finished(
            SweepResult(
                id=str(journal.head["id"]),
                folder=self.folder,
                jobs=tuple(self.results),
                planned=self.planned,
                journal=journal,
                stopped=stopped,
                senders=self.senders,
            )
        )


def sweep_finished(sweep: SweepResult) -> None:
    """Called once when a sweep is over: its table of results and its summary run.  Raises PipelineError."""
    from pipeline.sweeps.finish import finished  # noqa: PLC0415  # the command line starts without it

    finished(sweep)


def _plan(config: object, overrides: Sequence[str]) -> tuple[Job, ...]:
    """The jobs of a sweep.  Raises ConfigError for an arm that the experiment has not."""
    jobs = tuple(Job(number=number, texts=texts) for number, texts in enumerate(jobs_of(overrides)))
    values = [job.values for job in jobs]
    if len({own.get("experiment") for own in values}) == 1:  # else each has arms of its own
        arms = cast(Any, config).get(ARMS)
        for name in dict.fromkeys(own[ARM] for own in values if own.get(ARM, "null") != "null"):
            check_name(arms, name)
    return jobs


def _new_folder() -> Path:
    return SWEEPS / f"{time.strftime('%Y-%m-%d_%H-%M-%S')}-{secrets.token_hex(2)}"


def _check_space(folder: Path, before: Sequence[Mapping[str, str]], now: Sequence[Mapping[str, str]]) -> None:
    """Whether the jobs of a sweep are those that it was begun with.  Raises ConfigError with the difference."""
    then, asked = ([{k: v for k, v in job.items() if k.split(".")[0] not in OVER} for job in jobs] for jobs in (before, now))
    if then == asked:
        return
    paths = dict.fromkeys(path for job in (*then, *asked) for path in job)
    told = [f"{path} {a} -> {b}" for path in paths if (a := _said(path, then)) != (b := _said(path, asked))]
    rule = f"holds a sweep of other values ({'; '.join(told) or 'in another order'})"
    hint = f"give another folder, or go on with resume={files.shown(folder)}"
    raise ConfigError(at="hydra.sweep.dir", got=files.shown(folder), rule=rule, hint=hint)


def _said(path: str, jobs: Sequence[Mapping[str, str]]) -> str:
    values = list(dict.fromkeys(job[path] for job in jobs if path in job))
    return ",".join(values) if values else "(not given)"


def _notes(tried: Sequence[tuple[Any, Tried]]) -> list[str]:
    """What is to be said of the best of a search."""
    return at_the_end(tried[-1][0], [each for _, each in tried]) if tried else []


def _remove(folder: Path) -> None:
    """Takes back what was written for a sweep that cannot start, and the folders that are empty then."""
    for name in ("multirun.yaml", FILE):
        (folder / name).unlink(missing_ok=True)
    for place in (folder, SWEEPS, SWEEPS.parent):
        with suppress(OSError):
            place.rmdir()
