"""sweep.engine=ray: a task of a Ray cluster for each stack, with the cores, memory and devices that its plan asks for.

Where a node sees the folder of the project, a trial is in its run folder from its first line on, and one whose node dies goes on from its
checkpoint.  Where it does not, a task works in a folder of its own, and sends home what it comes to as it does (letters.py), by a mailbox
on the machine of the driver: one whose node dies goes on from the last checkpoint that was sent.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.config.sweep_settings import SweepSettings
from pipeline.errors import ConfigError
from pipeline.sweeps.doing import Doing
from pipeline.sweeps.engines import driver
from pipeline.sweeps.engines.cores import taken
from pipeline.sweeps.engines.letters import Correspondent, Letter, Received, extract, packed
from pipeline.sweeps.engines.orders import Order, do, order_of
from pipeline.sweeps.engines.processes import CODE
from pipeline.sweeps.jobs import JobResult, Trial
from pipeline.sweeps.journal import SweepJournal

PATIENCE = 5.0  # seconds that a cluster has to answer


def run(doing: Doing, trials: Sequence[Trial], settings: SweepSettings) -> Iterator[JobResult]:
    """Trains the trials on the cluster at `sweep.address`, or on one of this machine alone."""
    return driver.run(Cluster(settings, gpus=max((driver.gpus_of(trial) for trial in trials), default=0)), doing, trials, settings)


class Cluster:
    """As many orders at once as the cluster has cores, or GPUs where each needs `gpus`, or as are asked for.

    Raises ConfigError where there is no cluster.
    """

    def __init__(self, settings: SweepSettings, *, gpus: int = 0) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray  # noqa: PLC0415  # an extra, which takes a second to load
        except ImportError:
            hint = "pip install 'caviar-pipeline[ray]', or give another engine"
            raise ConfigError(at="sweep.engine", got="ray", rule="Ray is not installed", hint=hint) from None
        address = settings.address
        path = os.pathsep.join(filter(None, (str(CODE), os.environ.get("PYTHONPATH", ""))))
        before = signal.getsignal(signal.SIGTERM)
        try:
            if not ray.is_initialized():
                _knock(address)
                env = {"env_vars": {"PYTHONPATH": path}}
                # "local" where none is named: without a word Ray would take, and wait for, any that it finds, also one that was killed
                ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", runtime_env=env, configure_logging=False)
        except (OSError, RuntimeError, ValueError) as error:
            rule = f"no Ray cluster answers there ({str(error).strip().splitlines()[0]})"
            hint = "start one with `ray start --head`, or leave the address out for one of this machine"
            raise ConfigError(at="sweep.address", got=address, rule=rule, hint=hint) from None
        finally:
            signal.signal(signal.SIGTERM, before)  # Ray sets its own, which would end the sweep without a word
        self._ray, self._settings = ray, settings
        there = ray.cluster_resources()
        places = int(there.get("CPU", 1)) // int(settings.options.get("num_cpus", 1))
        if gpus:
            places = min(places, int(there.get("GPU", 0) / float(settings.options.get("num_gpus", gpus))))
        self.slots = self.among = settings.workers or max(1, places)
        self._going: dict[str, Task] = {}
        self._mailbox: Any = None
        self._taking: Any = None  # what the mailbox was asked for and has not given yet

    def begin(self, orders: Sequence[Order]) -> Sequence[Task]:
        """A task each."""
        tasks = [Task(self._ray, order, self._settings, self) for order in orders]
        self._going.update({order.file: task for order, task in zip(orders, tasks, strict=True)})
        return tasks

    @property
    def mailbox(self) -> Any:
        """Where nodes that do not see the project's folder send what they come to, on the driver's machine; None: not needed so far."""
        return self._mailbox

    def open_mailbox(self) -> None:
        """From now on there is one."""
        if self._mailbox is None:
            here = self._ray.get_runtime_context().get_node_id()
            near = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node_id=here, soft=False)
            self._mailbox = self._ray.remote(num_cpus=0, scheduling_strategy=near)(Mailbox).remote()

    def collect(self, *, wait: bool = False) -> None:
        """Hands letters that have come to the tasks they are about; wait: those that come meanwhile too."""
        if self._mailbox is None:
            return
        self._taking = self._taking or self._mailbox.take.remote()
        while wait or self._ray.wait([self._taking], timeout=0)[0]:
            letters, self._taking = self._ray.get(self._taking), self._mailbox.take.remote()
            for file, letter in letters:
                self._going[file].receive(letter)
            if not letters:
                return

    def close(self) -> None:
        """Nothing: the next batch of a search finds the cluster as it is, and Ray leaves it, or ends its own, with this process."""


def _knock(address: str | None) -> None:
    """Raises OSError where nobody listens at host:port: Ray itself would try for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()


class Mailbox:
    """An actor that keeps letters until the driver takes them: what was sent is not lost with its node."""

    def __init__(self) -> None:
        self._letters: list[tuple[str, Letter]] = []

    def put(self, file: str, letter: Letter) -> None:
        """A letter about the order whose journal is `file`."""
        self._letters.append((file, letter))

    def take(self) -> list[tuple[str, Letter]]:
        """Those that have come, in their order."""
        letters, self._letters = self._letters, []
        return letters


class Task:
    """A task of Ray that does one order; `over`: how it ended."""

    def __init__(self, ray: Any, order: Order, settings: SweepSettings, cluster: Cluster) -> None:
        self.over: str | None = None
        self._ray, self._order, self._settings, self._cluster = ray, order, settings, cluster
        going_on = _going_on(order)
        self._received = Received(order, [folder.name for folder in going_on])
        self._sent = order.text(), order.path.read_bytes(), packed(Path(order.project), going_on)
        if settings.shared is False:
            cluster.open_mailbox()
        self._ref = self._begun()

    def _begun(self) -> Any:
        asked = {
            "num_cpus": 1,
            "num_gpus": self._order.gpus,
            "memory": self._order.memory or None,
            **self._settings.options,
            "max_retries": 0,
        }
        work = self._ray.remote(**{name: value for name, value in asked.items() if value is not None})(task)
        return work.remote(*self._sent, int(asked["num_cpus"] or 1), self._settings.shared, self._cluster.mailbox)

    def state(self) -> str | None:
        """None while it runs; empty when it has ended; else what became of it."""
        if self.over is not None:
            return self.over
        ready, _ = self._ray.wait([self._ref], timeout=0)
        self._cluster.collect(wait=bool(ready))
        if not ready:
            return None
        try:
            if not self._ray.get(self._ref):
                self._cluster.open_mailbox()
                self._ref = self._begun()
                return None
            self.over = ""
        except self._ray.exceptions.RayError as error:
            self.over = f"Ray says {type(error).__name__}"
        return self.over

    def receive(self, letter: Letter) -> None:
        """Puts in place what was sent home; what comes late, from a node that was given up, belongs to nobody."""
        if self.over is None:
            self._received.take(letter)

    def stop(self) -> None:
        """As Ctrl-C would: it saves and ends."""
        self._ray.cancel(self._ref, force=False)


def task(text: str, journal: bytes, runs: bytes, cores: int, shared: bool | None, mailbox: Any) -> bool:
    """Does an order on a node, in the folder of the project where that is seen, else in one of its own, whose runs go to the mailbox.

    False: it would need a mailbox, and has none.
    """
    order = order_of(text)
    with taken(cores):
        if shared if shared is not None else order.path.exists():
            with suppress(KeyboardInterrupt):  # asked to stop: what is not over goes on another time
                do(order)
            return True
        if mailbox is None:
            return False
        with tempfile.TemporaryDirectory(prefix="caviar-") as name:
            own = replace(order, project=name, folder=f"{name}/sweep")
            own.path.parent.mkdir(parents=True)
            own.path.write_bytes(journal)
            extract(runs, Path(name))
            with Correspondent(own, lambda letter: _posted(mailbox, order.file, letter), begun=len(journal)), suppress(KeyboardInterrupt):
                do(own)
            return True


def _posted(mailbox: Any, file: str, letter: Letter) -> None:
    """Sends a letter, and waits until it has come."""
    import ray  # noqa: PLC0415  # an extra

    ray.get(mailbox.put.remote(file, letter))


def _going_on(order: Order) -> list[Path]:
    """The run folders, from the project's, that the journal of an order begins with."""
    with closing(SweepJournal(Path(order.folder), project=Path(order.project), file=order.file)) as journal:
        return [folder.relative_to(order.project) for folder in journal.runs.values() if folder.is_dir()]
