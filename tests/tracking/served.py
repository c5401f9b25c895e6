"""Processes of MLflow for tests: a tracking server, a model served; ended with all their children."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # MLflow starts its server by name
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": PATH, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONWARNINGS": "ignore"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def running(words: Sequence[str], folder: Path, *, alive: str, environment: dict[str, str] | None = None) -> Iterator[None]:
    """A command of MLflow while its address `alive` answers."""
    log = folder / f"{words[0]}.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "mlflow", *words]
        own = {**ENVIRONMENT, **(environment or {})}
        server = subprocess.Popen(command, cwd=folder, env=own, stdout=output, stderr=output, start_new_session=True)
        try:
            for _ in range(240):
                assert server.poll() is None, log.read_text()[-2000:]
                try:
                    urllib.request.urlopen(alive, timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.5)
            yield
        finally:
            os.killpg(server.pid, 9)
            server.wait()


def pipeline(folder: Path, *words: str) -> str:
    """What a command prints."""
    done = subprocess.run([sys.executable, "-m", "pipeline", *words], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def asked(address: str, body: str, kind: str) -> Any:
    """What a served model answers to a request, of a refusal its message."""
    request = urllib.request.Request(address, data=body.encode(), headers={"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())["predictions"]
    except urllib.error.HTTPError as error:
        return json.loads(error.read())["message"]
