"""sweep.engine=ray: a task of a Ray cluster for each stack, with the cores, memory and devices that its plan asks for.

Where a node sees the folder of the project, a trial is in its run folder from its first line on, and one whose node dies goes on from its
checkpoint.  Where it does not, a task works in a folder of its own, and its runs come back through the object store when it ends.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import socket
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.config.sweep_settings import SweepSettings
from pipeline.errors import ConfigError
from pipeline.records import record
from pipeline.sweeps.doing import Doing
from pipeline.sweeps.engines import driver
from pipeline.sweeps.engines.cores import taken
from pipeline.sweeps.engines.orders import Order, do, order_of
from pipeline.sweeps.engines.processes import CODE
from pipeline.sweeps.jobs import JobResult, Trial
from pipeline.sweeps.journal import SweepJournal

PATIENCE = 5.0  # seconds that a cluster has to answer
OF_THE_SENDER = ("mlflow.json", "sender.log", ".lock")  # files of a run folder that only this machine writes


@record
class Came:
    """What a task gives back: whether it saw the project's folder; else the journal of its order, and its run folders as a tar file."""

    shared: bool
    journal: bytes = b""
    runs: bytes = b""


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
                ray.init(address=address, log_to_driver=False, logging_level="ERROR", runtime_env=env, configure_logging=False)
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

    def begin(self, orders: Sequence[Order]) -> Sequence[Task]:
        """A task each."""
        return [Task(self._ray, order, self._settings) for order in orders]

    def close(self) -> None:
        """Nothing: the next batch of a search finds the cluster as it is, and Ray leaves it, or ends its own, with this process."""


def _knock(address: str | None) -> None:
    """Raises OSError where nobody listens at host:port: Ray itself would try for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()


class Task:
    """A task of Ray that does one order."""

    def __init__(self, ray: Any, order: Order, settings: SweepSettings) -> None:
        self._ray, self._order = ray, order
        options = {"num_cpus": 1, "num_gpus": order.gpus, "memory": order.memory or None, **settings.options, "max_retries": 0}
        work = ray.remote(**{name: value for name, value in options.items() if value is not None})(task)
        runs = _packed(Path(order.project), _going_on(order))
        self._ref = work.remote(order.text(), order.path.read_bytes(), runs, int(options["num_cpus"] or 1), settings.shared)

    def state(self) -> str | None:
        """None while it runs; empty when it has ended; else what became of it."""
        ready, _ = self._ray.wait([self._ref], timeout=0)
        if not ready:
            return None
        try:
            came = self._ray.get(self._ref)
        except self._ray.exceptions.RayError as error:
            return f"Ray says {type(error).__name__}"
        if not came.shared:
            _unpack(self._order, came)
        return ""

    def stop(self) -> None:
        """As Ctrl-C would: it saves and ends."""
        self._ray.cancel(self._ref, force=False)


def task(text: str, journal: bytes, runs: bytes, cores: int, shared: bool | None) -> Came:
    """Does an order on a node, in the folder of the project where that is seen, else in one of its own."""
    order = order_of(text)
    with taken(cores):
        if shared if shared is not None else order.path.exists():
            with suppress(KeyboardInterrupt):  # asked to stop: what is not over goes on another time
                do(order)
            return Came(shared=True)
        with tempfile.TemporaryDirectory(prefix="caviar-") as name:
            own = replace(order, project=name, folder=f"{name}/sweep")
            own.path.parent.mkdir(parents=True)
            own.path.write_bytes(journal)
            _extract(runs, Path(name))
            with suppress(KeyboardInterrupt):
                do(own)
            return Came(shared=False, journal=own.path.read_bytes()[len(journal) :], runs=_packed(Path(name), [Path("runs")]))


def _going_on(order: Order) -> list[Path]:
    """The run folders, from the project's, that the journal of an order begins with."""
    with closing(SweepJournal(Path(order.folder), project=Path(order.project), file=order.file)) as journal:
        return [folder.relative_to(order.project) for folder in journal.runs.values() if folder.is_dir()]


def _packed(root: Path, paths: Sequence[Path]) -> bytes:
    """The files at `paths` below `root` as a tar file; empty without any."""
    if not any((root / path).exists() for path in paths):
        return b""
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w") as tar:
        for path in paths:
            tar.add(root / path, arcname=str(path), filter=lambda info: None if Path(info.name).name in OF_THE_SENDER else info)
    return text.getvalue()


def _extract(text: bytes, root: Path) -> None:
    if text:
        with tarfile.open(fileobj=io.BytesIO(text)) as tar:
            tar.extractall(root, filter="data")


def _unpack(order: Order, came: Came) -> None:
    """Puts the run folders that came back beside the others, and what the journal of their order says of them into ours.

    A folder that went out with the order is written over; a new one gets a name that is free here.
    """
    project, known = Path(order.project), {path.name for path in _going_on(order)}
    said = came.journal
    with _arrived(came.runs, project) as folders:
        for folder in folders:
            place = project / "runs" / folder.name
            if folder.name in known:
                shutil.copytree(folder, place, dirs_exist_ok=True)
                continue
            count = 1
            while place.exists():
                count += 1
                place = project / "runs" / f"{folder.name}_{count}"
            folder.rename(place)
            said = said.replace(f'"runs/{folder.name}"'.encode(), f'"runs/{place.name}"'.encode())
    with order.path.open("ab") as file:
        file.write(said)


@contextmanager
def _arrived(runs: bytes, project: Path) -> Iterator[list[Path]]:
    """The run folders of a tar file, on the disk of the project, gone afterwards."""
    (project / "runs").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".arriving-", dir=project / "runs") as name:
        _extract(runs, Path(name))
        yield sorted((Path(name) / "runs").glob("*"))
