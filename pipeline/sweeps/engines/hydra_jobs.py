"""hydra/launcher=basic, joblib, submitit_local, ray, ...: a launcher of Hydra runs each trial as a job of its own.

The job reads its order by its number and keeps the journal of it, so a launcher that loses what a job returns, or dies with it, loses
nothing of the sweep.  What had begun when a launcher failed is launched again by itself, the rest together.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from pipeline.config.compose import job_number
from pipeline.config.jobs import launcher
from pipeline.config.launchers import launch
from pipeline.config.sweep_settings import SweepSettings
from pipeline.errors import RunError, complain, sentence
from pipeline.records import record
from pipeline.sweeps.doing import Doing, result_of
from pipeline.sweeps.engines.driver import Given, given, no_more_orders, with_senders
from pipeline.sweeps.engines.orders import do, order_of
from pipeline.sweeps.jobs import JobResult, Trial
from pipeline.sweeps.together import Share

TICK = 0.2  # seconds between two looks at what the jobs say


@record
class Ordered:
    """The function that a launcher calls, here or elsewhere: it does the order at the place of its job's number.

    giver  the process that reads the journals: host and id
    """

    orders: tuple[str, ...]
    giver: tuple[str, int]

    def __call__(self, config: object) -> float:
        """Hydra wants a value; that of the trial is in its journal."""
        order = order_of(self.orders[job_number()])
        if order.path.exists():  # else nobody waits for it any more
            do(order, apart=self.giver != here())
        return 0.0


def here() -> tuple[str, int]:
    """This process among those of all machines."""
    return socket.gethostname(), os.getpid()


def run(doing: Doing, trials: Sequence[Trial], settings: SweepSettings) -> Iterator[JobResult]:
    """Has the trials launched, whatever becomes of each.  Raises RunError where the launcher does nothing at all."""
    left, refused = with_senders(trials, doing)
    yield from refused
    fresh = [given(doing, Share(trials=(trial,)), settings) for trial in left]
    suspects: list[Given] = []
    while fresh or suspects:
        batch, fresh = (fresh, []) if fresh else ([suspects.pop(0)], [])
        error = None
        with looked_at(batch) as results:
            try:
                _launch(batch, doing)
            except (Exception, KeyboardInterrupt) as failure:
                error = failure
        yield from results
        unfinished = [order for order in batch if order.left]
        for order in batch:
            order.close()
        if isinstance(error, KeyboardInterrupt):
            yield from [result_of(trial, None, error) for order in unfinished[:1] for trial in order.left.values()]
            return
        if error is not None or unfinished:
            told = "its jobs ended without a word" if error is None else sentence(error)
            if len(unfinished) == len(batch) and not any(order.begun for order in batch):
                no_more_orders(doing.journal.folder)
                raise RunError(f"hydra/launcher = {launcher()}: {told}; mend it, or leave it out")
            complain(f"note: hydra/launcher = {launcher()}: {told}")
        for order in unfinished:
            again = order.again() if order.begun else [given(doing, Share(trials=tuple(order.left.values())), settings)]
            for one in again:
                if isinstance(one, JobResult):
                    yield one
                else:
                    (suspects if order.begun else fresh).append(one)
    no_more_orders(doing.journal.folder)


def _launch(batch: Sequence[Given], doing: Doing) -> None:
    job = Ordered(orders=tuple(one.order.text() for one in batch), giver=here())
    texts = [trial.texts for one in batch for trial in one.left.values()]
    launch(job, texts, folder=doing.journal.folder)


@contextmanager
def looked_at(batch: Iterable[Given]) -> Iterator[list[JobResult]]:
    """While entered, what the jobs say is told, sent and collected: a launcher gives nothing back before its last job is over."""
    results: list[JobResult] = []
    failures: list[BaseException] = []
    over = threading.Event()

    def look() -> None:
        try:
            while not over.wait(TICK):
                for order in batch:
                    results.extend(order.look())
        except BaseException as error:  # told by the thread that waits
            failures.append(error)

    thread = threading.Thread(target=look, name="reads the journals of jobs")
    thread.start()
    try:
        yield results
    finally:
        over.set()
        thread.join()
    for order in batch:
        results.extend(order.look())
    if failures:
        raise failures[0]
