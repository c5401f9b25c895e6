"""A sweep from its command to its end: its jobs, each once, whatever was run before; one that fails is told at once, the others go on.

Hydra composes the configs; the trials go to an engine (pipeline/sweeps/engines/), or to another launcher of Hydra where one is asked for.
The jobs are those of a grid or of a search, unless another sweeper of Hydra chooses them (chosen.py).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from pipeline import files
from pipeline.config.arms import ARM, ARMS, check_name
from pipeline.config.compose import of_ours, run_hydra
from pipeline.config.jobs import Composing, Configs, asked_search, check_folders, chosen_folder, jobs_of, save_whole, sweeper
from pipeline.config.overrides import values_of, without_several
from pipeline.config.sweep_settings import SweepSettings
from pipeline.errors import ConfigError, Stopped
from pipeline.extend.load import shut
from pipeline.sweeps.jobs import Job, JobResult, SweepResult, going_on
from pipeline.sweeps.journal import FILE, SweepJournal, called, seen
from pipeline.sweeps.objective import check as check_objectives
from pipeline.sweeps.resumed import asked_then, check_resumed, sweep_to_resume
from pipeline.sweeps.searching import Searching
from pipeline.sweeps.source import Grid, Source
from pipeline.sweeps.work import Worker
from pipeline.tasks.context import Senders
from pipeline.tasks.job import described

SOME_FAILED = 3
SWEEPS = Path("runs/sweeps")
WHOLE = "multirun.yaml"  # of the folder of a sweep: what its jobs have in common
OVER = ("hydra", "hydra/launcher", "tracking", "output", "resume", "sweep")  # what may be another when a sweep goes on


def run_sweep(flags: list[str], overrides: list[str]) -> int:
    """One run for each combination of values -> exit code.  Raises PipelineError for a mistake that they share."""
    gone_on = sweep_to_resume(overrides)
    if gone_on is not None:
        flags, overrides = asked_then(gone_on, overrides)
    else:
        check_resumed(overrides)
    results: list[int] = []
    failures: list[BaseException] = []

    def work(config: object) -> None:
        try:
            results.append(_asked(config, flags, overrides, gone_on).run())
        except BaseException as error:  # kept from Hydra, which would print its own lines
            failures.append(error)

    alone = [flag for flag in flags if flag not in ("-m", "--multirun")]
    common = [text for text in without_several(overrides) if not text.startswith("hydra.mode=")]
    with shut() if gone_on is not None else nullcontext():  # the folder of a sweep may come from anybody
        code = run_hydra([*alone, *common, "hydra.mode=RUN"], work)
    if failures:
        raise of_ours(failures[0])
    return results[0] if results else code


@dataclass(eq=False)
class SweepRun:
    """One command's work on a sweep; `chosen` is the folder that was asked for, None for a new one.

    source    where its jobs come from
    settings  how they are run and judged
    save      told the folder of a new sweep, to write there what its jobs have in common
    """

    source: Source
    configs: Composing
    settings: SweepSettings
    flags: Sequence[str]
    overrides: Sequence[str] | None
    chosen: Path | None
    save: Callable[[Path], None] = lambda folder: None
    results: list[JobResult] = field(default_factory=list)
    senders: Senders = field(default_factory=Senders)
    finished: SweepResult | None = None
    twice: int = 0  # jobs that have the values of others

    def run(self) -> int:
        """Runs what is left -> exit code.  Raises PipelineError, KeyboardInterrupt."""
        folder = self.chosen or _new_folder()
        new = not folder.exists()
        with closing(SweepJournal(folder, project=Path.cwd())) as journal:
            try:
                self._begin(journal)
                stop = self._work(journal)
            finally:
                started = not self.settings.dry_run and any(result.experiment is not None for result in self.results)
                if new and not started and not journal.runs:  # every job was refused: nothing stays behind
                    _remove(folder)
            try:
                if started:
                    self._end(journal, stopped=stop is not None)
            finally:
                self.senders.close()
        if isinstance(stop, Stopped):  # what it says is of one of the trials
            raise Stopped(stop.exit_code - 128, f"the sweep was stopped; go on with -m {going_on(folder)}")
        if stop is not None:
            raise stop
        done = sum(result.error is None for result in self.results)
        if done == 0 and self.results and not started and all(isinstance(result.error, ConfigError) for result in self.results):
            return ConfigError.exit_code  # no value of them is one
        return 0 if done == len(self.results) else SOME_FAILED if done else 1

    def _begin(self, journal: SweepJournal) -> None:
        """Takes up the sweep of the folder, or begins one there; the first lines on the screen."""
        folder, before = journal.folder, ""
        jobs, search = [job.values for job in self.source.planned], self.source.described()
        if journal.head:
            from pipeline.sweeps.adopt import adopt  # noqa: PLC0415  # the command line starts without it

            _check_space(folder, journal.head["jobs"], list(map(seen, jobs)))
            if more := _check_search(folder, journal.head.get("search"), search):
                journal.begin(id=journal.head["id"], flags=self.flags, overrides=self.overrides, jobs=jobs, search=search)
            adopt(journal, Path.cwd())
            ended = ("finished", "diverged", "pruned")
            over = sum(end["status"] in ended for trial, end in journal.ends.items() if trial in journal.runs)
            before = f", {over} of them over{more}" if over else f", goes on{more}"
        else:
            self.save(folder / WHOLE)
            id = folder.name if self.chosen is None else f"{called(folder)}-{secrets.token_hex(3)}"
            journal.begin(id=id, flags=self.flags, overrides=self.overrides, jobs=jobs, search=search)
        journal.judge(self.settings)
        count = self.source.count
        what = f"{count} job{'s' if count > 1 else ''}" if count else "its jobs are chosen one batch after another"
        print(f"sweep {called(folder)}: {what}{before}", flush=True)
        for line in self.source.said():
            print(line, flush=True)

    def _work(self, journal: SweepJournal) -> KeyboardInterrupt | None:
        """Does the jobs -> what stopped them before their end."""
        from pipeline.sweeps.page import AtTheStart  # noqa: PLC0415  # the command line starts without it
        from pipeline.tasks.shelf import Shelf  # noqa: PLC0415  # as above

        link = AtTheStart(journal, self.source.planned, self.senders, self.settings)
        stop: KeyboardInterrupt | None = None
        try:
            worker = Worker(journal=journal, senders=self.senders, shelf=Shelf(), count=self.source.count)
            worker.doing.judged = self.settings
            for result in self.source.results(worker, self.configs):
                self.results.append(result)
                if isinstance(result.error, KeyboardInterrupt):  # meant for the sweep, not for the job
                    stop = result.error
            self.twice = len(worker.first)
        except KeyboardInterrupt as interrupt:
            stop = interrupt
        finally:
            link.close()
        return stop

    def _end(self, journal: SweepJournal, *, stopped: bool) -> None:
        self.finished = SweepResult(
            id=str(journal.head["id"]),
            folder=journal.folder,
            jobs=tuple(self.results),
            planned=tuple(self.source.planned),
            count=self.source.count,
            twice=self.twice,
            journal=journal,
            notes=() if stopped else self.source.notes(),
            settings=self.settings,
            stopped=stopped,
            senders=self.senders,
        )
        sweep_finished(self.finished)


def sweep_finished(sweep: SweepResult) -> None:
    """Called once when a sweep is over: its table of results and its summary run.  Raises PipelineError."""
    from pipeline.sweeps.finish import finished  # noqa: PLC0415  # the command line starts without it

    finished(sweep)


def _asked(config: object, flags: list[str], overrides: list[str], folder: Path | None) -> SweepRun:
    """A sweep of the command line, while Hydra has composed what its jobs have in common.  Raises ConfigError."""
    check_folders()
    search = asked_search(config, overrides)
    asks = next((text for text in overrides if text.startswith(("+sweep=", "hydra/sweeper="))), None)
    if asks is not None and not any(flag in ("-m", "--multirun") for flag in flags):
        print(f"note: {asks.lstrip('+')} asks for several runs: this is a sweep, as with -m", flush=True)
    configs = Configs(config)
    source = _source(config, overrides) if search is None else Searching(search)
    tried = search.corners() if search is not None else [job.texts for job in source.planned] or [tuple(without_several(overrides))]
    _check_arms(config, [values_of(texts) for texts in tried])
    settings = configs.check(tried)
    if search is not None:
        _check_paths(configs, tried[0])
    check_objectives(settings)
    source.settings = settings
    return SweepRun(
        source=source,
        configs=configs,
        settings=settings,
        flags=flags,
        overrides=overrides,
        chosen=folder or chosen_folder(f"{SWEEPS}/${{now:"),
        save=partial(save_whole, cast(Any, config)),
    )


def _source(config: object, overrides: Sequence[str]) -> Source:
    """Where the jobs come from that are not searched for.  Raises ConfigError."""
    if sweeper() == "basic":
        return Grid([Job(number=k, texts=texts) for k, texts in enumerate(jobs_of(config, overrides))])
    from pipeline.sweeps.chosen import Chosen  # noqa: PLC0415  # the command line starts without it

    return Chosen(overrides, {path: value for path, value in values_of(overrides).items() if path.split(".")[0] not in OVER})


def _check_paths(configs: Composing, texts: Sequence[str]) -> None:
    """Raises ConfigError where a search would put its values at a path that no config has: each job would say so of its own value."""
    try:
        described(configs.of(texts).plain())
    except ConfigError as error:
        if error.rule == "unknown key":
            raise


def _check_arms(config: object, values: Sequence[Mapping[str, str]]) -> None:
    """Raises ConfigError for an arm that the experiment has not."""
    if len({own.get("experiment") for own in values}) == 1:  # else each has arms of its own
        arms = cast(Any, config).get(ARMS)
        for name in dict.fromkeys(own[ARM] for own in values if own.get(ARM, "null") != "null"):
            check_name(arms, name)


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
    hint = f"give another folder, or go on with {going_on(folder)}"
    raise ConfigError(at="hydra.sweep.dir", got=files.shown(folder), rule=rule, hint=hint)


def _check_search(folder: Path, before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str:
    """Whether a search is the one that was begun -> how many more points it asks for, in words.  Raises ConfigError with the difference."""
    if before == now:
        return ""
    if before is not None and now is not None and _is_longer(before, now):
        return f"; {now['trials']} points in place of {before['trials']}"
    then, asked = before or {}, now or {}
    told = [
        f"{name} {_listed(then.get(name))} -> {_listed(asked.get(name))}" for name in {**then, **asked} if then.get(name) != asked.get(name)
    ]
    rule = f"holds another search ({'; '.join(told)})"
    hint = f"give another folder, or go on with {going_on(folder)}"
    raise ConfigError(at="hydra.sweep.dir", got=files.shown(folder), rule=rule, hint=hint)


def _is_longer(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a search differs from one before in more points alone, of which the first are those that there are.

    Stages share out their number, and points that are pruned are compared with all of theirs.  A sweeper of others tells no number.
    """
    (then, one), (asked, other) = ((each.get("trials"), {**each, "trials": None}) for each in (before, now))
    more = isinstance(then, int) and isinstance(asked, int) and asked > then
    return more and one == other and now["stages"] == 1 and now["prune"] == "none"


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "(not given)" if value is None else str(value)


def _said(path: str, jobs: Sequence[Mapping[str, str]]) -> str:
    values = list(dict.fromkeys(job[path] for job in jobs if path in job))
    return ",".join(values) if values else "(not given)"


def _remove(folder: Path) -> None:
    """Takes back what was written for a sweep that cannot start, and the folders that are empty then."""
    for name in (WHOLE, FILE):
        (folder / name).unlink(missing_ok=True)
    for place in (folder, SWEEPS, SWEEPS.parent):
        with suppress(OSError):
            place.rmdir()
