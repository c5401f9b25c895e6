"""Commands of the pipeline whose n-th call to the disk fails.

`python -m tests.faults.disk` reads a JSON line for each command, {"folder", "argv", "kind", "at"}, forks, and lets the child fail at call
number `at` below `folder`: kind KILL kills it there, before the call; KILL_AFTER, after half of what it would write; ENOSPC and EIO raise.
It answers with a JSON line {"code", "calls", "said"}.  The calls are those that change the disk: write, fsync, replace, rename, mkdir,
unlink, ftruncate.
"""

from __future__ import annotations

import builtins
import errno
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
KINDS = ("KILL", "KILL_AFTER", "ENOSPC", "EIO")


class Disk:
    """Counts the calls, and fails at one of them."""

    def __init__(self, folder: str, kind: str, at: int) -> None:
        self.folder, self.kind, self.at, self.calls = os.path.realpath(folder), kind, at, 0

    def call(self, half: Callable[[], object] = lambda: None) -> None:
        """One more call; `half` does the half of it."""
        self.calls += 1
        if self.calls != self.at:
            return
        if self.kind.startswith("KILL"):
            if self.kind == "KILL_AFTER":
                half()
            os.kill(os.getpid(), signal.SIGKILL)
        number = getattr(errno, self.kind)
        raise OSError(number, os.strerror(number))

    def holds(self, place: Any) -> bool:
        """Whether a path, or a descriptor, lies below the folder."""
        try:
            path = os.readlink(f"/proc/self/fd/{place}") if isinstance(place, int) else os.path.abspath(os.fspath(place))
        except (OSError, TypeError, ValueError):
            return False
        return path.startswith(self.folder)


class File:
    """A file that is written to, whose writes may fail."""

    def __init__(self, file: Any, disk: Disk) -> None:
        self._file, self._disk = file, disk

    def write(self, content: Any) -> Any:
        self._disk.call(lambda: (self._file.write(content[: len(content) // 2]), self._file.flush()))
        return self._file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> File:
        self._file.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._file.__exit__(*error)

    def __iter__(self) -> Any:
        return iter(self._file)


def fail(disk: Disk) -> None:
    """From now on the calls of this process go through `disk`."""
    for name in ("fsync", "replace", "rename", "mkdir", "unlink", "ftruncate"):
        setattr(os, name, _counted(disk, getattr(os, name)))
    real_write, real_open = os.write, io.open

    def write(descriptor: int, content: Any) -> int:
        if disk.holds(descriptor):
            disk.call(lambda: real_write(descriptor, content[: len(content) // 2]))
        return real_write(descriptor, content)

    def opened(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        made = real_open(file, mode, *rest, **named)
        return File(made, disk) if set(mode) & set("wax+") and disk.holds(file) else made

    os.write = write
    io.open = builtins.open = opened  # type: ignore[assignment]  # with the parts that are used


def _counted(disk: Disk, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(place: Any, *rest: Any, **named: Any) -> Any:
        if disk.holds(place):
            disk.call()
        return real(place, *rest, **named)

    return call


def _child(asked: dict[str, Any], said: int) -> None:
    """Does the command, and does not come back."""
    os.dup2(said, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stderr, sys.stdout = os.fdopen(2, "w", buffering=1), os.fdopen(1, "w")
    os.chdir(asked["folder"])
    from pipeline.__main__ import run  # loaded by the parent

    disk = Disk(asked["folder"], asked["kind"], asked["at"])
    fail(disk)
    sys.argv[1:] = asked["argv"]
    code = run()
    sys.stderr.flush()
    print(f"calls {disk.calls}", file=sys.stderr, flush=True)
    os._exit(code)


def main() -> None:
    """Serves commands until its input ends."""
    for name in ("pipeline.cli", "pipeline.tasks.train", "backends.numpy.listing", "backends.numpy.executor"):
        importlib.import_module(name)  # once for all children

    for line in sys.stdin:
        asked = json.loads(line)
        with tempfile.TemporaryFile() as said:
            child = os.fork()
            if child == 0:
                try:
                    _child(asked, said.fileno())
                finally:
                    os._exit(99)
            status = os.waitpid(child, 0)[1]
            said.seek(0)
            lines = said.read().decode(errors="replace").splitlines()
        calls = int(lines.pop().split()[1]) if lines and lines[-1].startswith("calls ") else 0
        code = os.waitstatus_to_exitcode(status)
        print(json.dumps({"code": code, "calls": calls, "said": "\n".join(lines)}), flush=True)


class Commands:
    """The process from the side of a test."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.faults.disk"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, folder: Path, *argv: str, kind: str = "", at: int = 0) -> dict[str, Any]:
        """What became of a command in `folder`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"folder": str(folder), "argv": argv, "kind": kind, "at": at}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """Ends it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


if __name__ == "__main__":
    main()
