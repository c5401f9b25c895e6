"""The training process's handle of the sender (pipeline/tracking/sender.py).

Nothing waits here except `wait_for` and `close`, and these with a bound.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.tracking.delivery import Sent, read_sent
from pipeline.tracking.settings import Tracking
from pipeline.tracking.store import Store, check, locate

# Of a server that is away, the sender must hear soon: MLflow's own defaults try for minutes.  What the user has set stands.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "GIT_PYTHON_REFRESH": "quiet",
}
REPLACEMENTS = 5  # senders that may die under one training
WAIT = 15.0  # seconds that the status may take to reach MLflow before the training process goes on without the news


def open_sender(settings: Tracking, project: Path) -> Sender:
    """Asks the store whether it takes runs and starts a sender.  Writes no run.  Raises TrackingError."""
    store = locate(settings, project)
    if store is not None:
        check(store)
    return Sender(project, store)


class Sender:
    """One serves any number of runs of the process that started it.

    `store` is made ready at once: MLflow takes two seconds to load, and they pass beside the reading of data and the compiling.
    None gives a handle without a process, for tracking=none.
    """

    def __init__(self, project: Path, store: Store | None) -> None:
        self._project = project
        self._runs: list[dict[str, object]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._writing = threading.Lock()
        self._closed = False
        if store is not None:
            self._open()
            self._tell(uri=store.uri)

    def add(self, folder: Path, store: Store) -> None:
        """Gives a run folder into its care, to be sent to `store`."""
        if self._process is None:
            self._open()
        with self._writing:
            self._runs.append({"folder": str(folder), "store": asdict(store)})
            self._write(**self._runs[-1])

    def describe(self, store: Store, tags: Mapping[str, str]) -> None:
        """Has something noted of the experiment of `store`."""
        if self._process is None:
            self._open()
        with self._writing:
            self._runs.append({"described": dict(tags), "store": asdict(store)})
            self._write(**self._runs[-1])

    def wait_for(self, folder: Path, seconds: float = WAIT) -> Sent:
        """Waits until the run's status is in MLflow, not for its figures.  Returns what was reached."""
        if seconds > 0:
            self._tell()
        end = time.monotonic() + seconds
        while not (sent := read_sent(folder)).ended and time.monotonic() < end and not self._given_up():
            time.sleep(0.005)
        return sent

    def close(self, seconds: float = WAIT) -> None:
        """Lets it end when all is sent, and waits for that at most `seconds`; after them it goes on by itself."""
        with self._writing:
            self._closed = True  # nobody replaces it now
            process = self._process
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.returncode = 0  # it outlives us by design: no warning that a process was left running

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close(WAIT if error is None else 0.0)

    def _open(self) -> None:
        """Starts the process, and a thread that sees to it that there is one."""
        self._process = self._start()
        self._keeper = threading.Thread(target=self._keep, name="keeps the sender", daemon=True)
        self._keeper.start()

    def _given_up(self) -> bool:
        """Whether nobody sends any more."""
        return self._process is None or not self._keeper.is_alive()

    def _keep(self) -> None:
        """Replaces a sender that something killed: the journals are whole, another takes over.  One that dies again and again is let be."""
        for _ in range(REPLACEMENTS):
            process = self._process
            assert process is not None
            process.wait()
            with self._writing:
                if self._closed:
                    return
                assert process.stdin is not None
                with contextlib.suppress(OSError):
                    process.stdin.close()
                self._process = self._start("again")
                for run in self._runs:
                    self._write(**run)

    def _tell(self, **message: object) -> None:
        with self._writing:
            self._write(**message)

    def _write(self, **message: object) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):  # a dead sender is replaced, and told again
                self._process.stdin.write((json.dumps(message) if message else "").encode() + b"\n")
                self._process.stdin.flush()

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        code = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (code, os.environ.get("PYTHONPATH", ""))))
        # -P: the folder a user works in is no place to import from.  A session of its own: Ctrl-C in the terminal is for the training,
        # which then still has a status to tell.
        return subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-m", "pipeline.tracking.sender", str(os.getpid()), *words],
            cwd=self._project,
            env={**ENVIRONMENT, **os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
