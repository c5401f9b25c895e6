"""Which process a run belongs to, and whether it still lives.

A process id alone is not enough, because ids are used again: the start time of the process goes with it where the system tells it.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from pipeline.records import record


@record
class Process:
    """A process of some machine.  `started` counts clock ticks since boot (Linux), 0 where unknown."""

    host: str
    pid: int
    started: int


def this_process() -> Process:
    """The process that asks."""
    return Process(host=socket.gethostname(), pid=os.getpid(), started=_started(os.getpid()))


def here(process: Process) -> bool:
    """Whether the process is one of this machine, so that `alive` can tell."""
    return process.host == socket.gethostname()


def alive(process: Process) -> bool:
    """Whether a process of this machine still runs.  One that has ended and is not yet waited for counts as dead."""
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    started = _started(process.pid)
    return started == process.started or 0 in (started, process.started)


def _started(pid: int) -> int:
    """Field 22 of /proc/PID/stat (proc(5)); -1 for a zombie, 0 where there is no /proc."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    # The name of the program, in parentheses, may itself hold spaces: what counts stands after the last parenthesis.
    rest = text[text.rindex(")") + 2 :].split()
    return -1 if rest[0] in "ZX" else int(rest[19])
