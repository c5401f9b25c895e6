"""sweep.engine=slurm: the stacks as one array job, through submitit; sweep.address=local tries the same on this machine, without SLURM.

The folder of the project is seen by all nodes.  A job that is preempted, or whose time is over, saves what it trains and is queued again;
it goes on from there.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

from pipeline.config.sweep_settings import SweepSettings
from pipeline.errors import ConfigError
from pipeline.sweeps.doing import Doing
from pipeline.sweeps.engines import driver
from pipeline.sweeps.engines.orders import Order, do, order_of
from pipeline.sweeps.jobs import JobResult, Trial

OFTEN = 1000  # times that a job may be queued again because its time was over


def run(doing: Doing, trials: Sequence[Trial], settings: SweepSettings) -> Iterator[JobResult]:
    """Trains the trials as jobs of the cluster."""
    return driver.run(Queue(doing, settings), doing, trials, settings)


class Queue:
    """All orders are given out at once; how many run, the scheduler says.  Raises ConfigError for what it does not take."""

    def __init__(self, doing: Doing, settings: SweepSettings) -> None:
        try:
            import submitit  # noqa: PLC0415  # an extra
        except ImportError:
            hint = "pip install 'caviar-pipeline[slurm]', or give another engine"
            raise ConfigError(at="sweep.engine", got="slurm", rule="submitit is not installed", hint=hint) from None
        self.slots, self.among, self._settings = 2**31, settings.workers or 1, settings
        cluster, folder = settings.address or "slurm", doing.journal.folder.absolute() / ".submitit"
        try:
            self._executor = submitit.AutoExecutor(folder=folder, cluster=cluster, **{f"{cluster}_max_num_timeout": OFTEN})
            self._executor.update_parameters(**self._asked((), cluster))
        except (NameError, RuntimeError, ValueError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            told = str(error).strip().splitlines()[0]
            at, got = ("sweep.options", settings.options) if isinstance(error, NameError) else ("sweep.address", settings.address)
            hint = "sweep.address=local tries the sweep on this machine; sweep.options take what submitit's update_parameters takes"
            raise ConfigError(at=at, got=got, rule=f"submitit does not take it ({told})", hint=hint) from None
        self._cluster = cluster

    def begin(self, orders: Sequence[Order]) -> Sequence[Queued]:
        """One array job."""
        self._executor.update_parameters(**self._asked(orders, self._cluster))
        return [Queued(job) for job in self._executor.map_array(Work(), [order.text() for order in orders])]

    def close(self) -> None:
        """Nothing is kept."""

    def _asked(self, orders: Sequence[Order], cluster: str) -> dict[str, Any]:
        """What each job may have: by the memory plan, unless sweep.options say otherwise."""
        memory = max((order.memory for order in orders), default=0)
        by_plan: dict[str, Any] = {
            "timeout_min": 24 * 60,
            "cpus_per_task": 1,
            "mem_gb": 2 + -(-memory // 2**30),  # Python, the compiler and what a plan does not know
            "gpus_per_node": max((order.gpus for order in orders), default=0),
        }
        many = {"slurm_array_parallelism": self._settings.workers} if self._settings.workers and cluster == "slurm" else {}
        return {**by_plan, **many, **self._settings.options}


class Queued:
    """A job of the scheduler."""

    def __init__(self, job: Any) -> None:
        self._job = job

    def state(self) -> str | None:
        """None while it waits or runs; empty when it has ended; else what became of it."""
        if not self._job.done():
            return None
        with suppress(Exception):  # whatever submitit makes of a job that left no result
            self._job.result()
            return ""
        return f"job {self._job.job_id} ended as {self._job.state}"

    def stop(self) -> None:
        """scancel: it saves and ends."""
        self._job.cancel(check=False)


class Work:
    """What a job does; submitit queues it again, as it is, when it is told to (`checkpoint`)."""

    def __call__(self, text: str) -> None:
        """Does an order; the signal before a preemption has it saved first, and then heard by submitit."""
        number = signal.SIGUSR2
        submitits, heard = signal.getsignal(number), []

        def save(number: int, frame: FrameType | None) -> None:
            heard.append(number)
            os.kill(os.getpid(), signal.SIGTERM)

        signal.signal(number, save)
        try:
            with suppress(KeyboardInterrupt):  # asked to stop: what is not over goes on another time
                do(order_of(text))
        finally:
            signal.signal(number, submitits)
        if heard:
            os.kill(os.getpid(), number)

    def checkpoint(self, text: str) -> Any:
        """The same order again: its journal says where it stands."""
        import submitit  # noqa: PLC0415  # it calls this

        return submitit.helpers.DelayedSubmission(self, text)
