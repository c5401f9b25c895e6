"""The giver of orders: hands trials out to other processes, reads what becomes of them, and gives out again what was lost.

An order whose process died is done again, and goes on where its journal ends; if that one dies too, its trials are given out one by one,
so that one that takes its process with it fails alone.  The journal of the sweep, the screen and MLflow are this process's alone.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Protocol

from pipeline.config.sweep_settings import SweepSettings
from pipeline.errors import DivergedError, Paused, PipelineError, RunError, Stopped, complain
from pipeline.extend.load import paths
from pipeline.sweeps.doing import Doing, result_of
from pipeline.sweeps.engines.orders import Order, asked_of
from pipeline.sweeps.expected import Expected, in_all
from pipeline.sweeps.jobs import JobResult, Trial
from pipeline.sweeps.journal import ORDERS, SweepJournal
from pipeline.sweeps.together import Share, shares
from pipeline.tracking.repair import mark_killed
from pipeline.tracking.store import locate
from pipeline.training.interrupt import Interrupt

TICK = 0.05  # seconds between two looks
PATIENCE = 30.0  # seconds that those who train get to save, when the sweep is stopped
LOST = 3  # deaths of its process after which a trial is let be


class LostError(RunError):
    """The process that trained a trial died, again and again."""


class Going(Protocol):
    """An order that somebody has."""

    def state(self) -> str | None:
        """None while it is worked on; empty when its process has ended by itself; else how it died."""

    def stop(self) -> None:
        """Asks for an early end, with what is done saved."""


class Place(Protocol):
    """Where orders are done.

    slots  how many orders are given out at once
    among  how many processes share a structure
    """

    slots: int
    among: int

    def begin(self, orders: Sequence[Order]) -> Sequence[Going]:
        """Gives them out."""

    def close(self) -> None:
        """Nothing more is given out."""


def run(place: Place, doing: Doing, trials: Sequence[Trial], settings: SweepSettings) -> Iterator[JobResult]:
    """Has the trials trained at `place`, whatever becomes of each."""
    with Interrupt() as interrupt, doing.asked_by(interrupt), closing(place):
        left, refused = with_senders(trials, doing)
        yield from refused
        waiting: deque[Given] = deque()
        times: list[Expected] = []
        for share in shares(doing, left, among=place.among) if settings.stack else (Share(trials=(trial,)) for trial in left):
            if isinstance(share, JobResult):
                yield share
            else:
                times.append(share.expected)
                waiting.append(given(doing, share, settings))
        if times and (whole := in_all(times)).seconds is not None:
            doing.tell_time(f"time        {whole} of one machine like this one, in {len(times)} part{'s' if len(times) > 1 else ''}")
        going: dict[Given, Going] = {}
        while (waiting or going) and not interrupt():
            out = [waiting.popleft() for _ in range(min(len(waiting), place.slots - len(going)))]
            if out:
                going.update(zip(out, place.begin([one.order for one in out]), strict=True))
            yield from _looked(going, waiting)
            time.sleep(TICK)
        if interrupt():
            yield from _stopped(going, interrupt, [*going, *waiting])
        for left_over in waiting:
            left_over.close()
        no_more_orders(doing.journal.folder)


def no_more_orders(folder: Path) -> None:
    """Removes the place of the orders of the sweep in `folder`, unless somebody still has one."""
    with suppress(OSError):
        (folder / ORDERS).rmdir()


def _looked(going: dict[Given, Going], waiting: deque[Given]) -> Iterator[JobResult]:
    """What came of the orders since the last look; what was lost waits again."""
    for order, process in list(going.items()):
        state = process.state()  # asked first: what an ended process wrote is there by now
        yield from order.look()
        if state is None:
            continue
        del going[order]
        order.close()
        if order.left:
            if state:
                complain(f"note: the process of {order.label} was lost ({state})")
            for again in order.again(lost=bool(state)):
                if isinstance(again, JobResult):
                    yield again
                else:
                    waiting.append(again)


def _stopped(going: Mapping[Given, Going], interrupt: Interrupt, every: Sequence[Given]) -> Iterator[JobResult]:
    """The early end: those who train save what they have, and one result says that the sweep was stopped."""
    for process in going.values():
        process.stop()
    end = time.monotonic() + PATIENCE
    while any(process.state() is None for process in going.values()) and time.monotonic() < end:
        time.sleep(TICK)
    for order in going:
        yield from order.look()
        order.close()
    assert interrupt.signal is not None
    trial = next((trial for order in every for trial in order.left.values()), None)
    if trial is not None:
        yield result_of(trial, None, Stopped(interrupt.signal, "stopped; what was trained is saved"))


def with_senders(trials: Sequence[Trial], doing: Doing) -> tuple[list[Trial], list[JobResult]]:
    """The trials whose store takes runs, and what is said of the others."""
    left, refused = list[Trial](), list[JobResult]()
    for trial in trials:
        try:
            if trial.context.senders is not None:
                trial.context.senders.get(trial.experiment.tracking, Path.cwd())
            left.append(trial)
        except PipelineError as error:
            refused.append(doing.over(trial, None, error))
    return left, refused


def new_order(folder: Path, sweep: str, trials: Sequence[Trial], *, stack: bool, memory: int = 0) -> Order:
    """An order of the sweep in `folder`, whose journal is not there yet."""
    return Order(
        project=str(Path.cwd()),
        folder=str(folder.absolute()),
        file=f"{ORDERS}/{trials[0].context.job}-{secrets.token_hex(3)}.jsonl",
        sweep=sweep,
        stack=stack,
        trials=tuple(asked_of(trial) for trial in trials),
        memory=memory,
        gpus=gpus_of(trials[0]),
        modules=(modules := tuple(dict.fromkeys(name for trial in trials for name in trial.experiment.extensions))),
        paths=paths(modules),
    )


def gpus_of(trial: Trial) -> int:
    """The devices that a stack with this trial needs."""
    return int(trial.experiment.backend.kind == "cupy")


def given(doing: Doing, share: Share, settings: SweepSettings, *, losses: int = 0) -> Given:
    """An order for a share of the trials; its journal says which of them go on."""
    sweep = str(doing.journal.head["id"])
    order = new_order(doing.journal.folder, sweep, share.trials, stack=settings.stack, memory=share.memory)
    with closing(SweepJournal(Path(order.folder), project=Path.cwd(), file=order.file)) as journal:
        journal.write("sweep", id=sweep)
        for trial in share.trials:
            if trial.name in doing.journal.runs and doing.asked(trial)[0].resume is not None:
                journal.run(trial.name, trial.context.job or 0, doing.journal.runs[trial.name])
    return Given(doing, order, share.trials, losses=losses)


class Given:
    """An order as its giver knows it.

    left    its trials that are not over
    begun   whether it was seen to train
    losses  how many processes have died of it
    """

    def __init__(self, doing: Doing, order: Order, trials: Sequence[Trial], *, losses: int = 0, read: int | None = None) -> None:
        self._doing, self.order, self.losses, self.begun = doing, order, losses, False
        self.left = {trial.name: trial for trial in trials}
        self._count = len(trials)
        self._read = order.path.stat().st_size if read is None else read

    @property
    def label(self) -> str:
        """Its jobs."""
        numbers = [str(trial.context.job) for trial in self.left.values()]
        return f"job{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"

    def look(self) -> list[JobResult]:
        """What its journal says since the last look."""
        with self.order.path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        results = []
        for line in whole.splitlines():
            try:
                event = json.loads(line)
            except ValueError:  # the torn line of a killed process, closed by the one after it
                continue
            result = self._noted(event)
            results += [result] if result is not None else []
        return results

    def close(self) -> None:
        """Its journal has been read."""
        self.order.path.unlink(missing_ok=True)

    def again(self, *, lost: bool = True) -> list[Given | JobResult]:
        """What is given out when its process was lost: all that is left, or, the second time, each by itself.

        lost  else it was asked to stop, and has saved what it trained
        """
        losses = self.losses + lost
        if losses >= LOST and self._count == 1:
            return [self.lost(losses)]
        trials = tuple(self.left.values())
        parts = [trials] if losses <= 1 else [(trial,) for trial in trials]
        settings = SweepSettings(stack=self.order.stack)
        return [given(self._doing, Share(trials=part, memory=self.order.memory), settings, losses=losses) for part in parts]

    def lost(self, times: int) -> JobResult:
        """Its one trial fails, because its process died."""
        (trial,) = self.left.values()
        folder = self._doing.journal.runs.get(trial.name)
        if folder is not None and folder.is_dir():
            mark_killed(folder)
        how = f"{times} times; " if times > 1 else ""
        error = LostError(f"the process that trained it died {how}give it more memory, or a machine of its own")
        return self._doing.over(trial, None, error)

    def _noted(self, event: Mapping[str, Any]) -> JobResult | None:
        match event["event"]:
            case "run":
                self._began(event)
            case "end" if event["status"] != "killed" and event["trial"] in self.left:
                trial = self.left.pop(event["trial"])
                metrics = {name: float(value) for name, value in event["metrics"].items()}
                return self._doing.over(trial, metrics, _error(event, trial, metrics))
            case "found" if event["trial"] in self.left:
                trial, end = self.left.pop(event["trial"]), self._doing.journal.ends[event["trial"]]
                return result_of(trial, end["metrics"], _error(end, trial, end["metrics"]), found=True)
            case "said":
                self._say(event)
        return None

    def _began(self, event: Mapping[str, Any]) -> None:
        self.begun, folder = True, Path.cwd() / event["folder"]
        self._doing.journal.run(event["trial"], event["job"], folder)
        trial = self.left.get(event["trial"])
        if trial is None or trial.context.senders is None:
            return
        store = locate(trial.experiment.tracking, Path.cwd())
        if store is not None:
            trial.context.senders.get(trial.experiment.tracking, Path.cwd()).add(folder, store)

    def _say(self, event: Mapping[str, Any]) -> None:
        """What its process said; a note once for all."""
        text = event["text"]
        if text.startswith("note: "):
            if text in self._doing.said:
                return
            self._doing.said.add(text)
        if event.get("error"):
            complain(text)
        else:
            print(text, flush=True)


def _error(event: Mapping[str, Any], trial: Trial, metrics: Mapping[str, float]) -> PipelineError | Paused | None:
    match event["status"]:
        case "paused":
            assert trial.until is not None
            return Paused(trial.until, metrics)
        case "finished":
            return None
        case "diverged":
            return DivergedError(event["message"])
    return PipelineError(event["message"])
