"""A process that reads damaged samples: python -m tests.faults.fuzz.child READER[,...] FOLDER FIRST COUNT -> a line for each that is lost.

A sample is lost where its reader raises what is no error of ours, takes more than SECONDS of the processor or MEGABYTES, or writes outside
of the folder; it is given up after HARD seconds of the processor or ASLEEP by the clock (a busy machine takes nothing from the first).
The reader and the number of the sample stand in FOLDER/now before it is read: a crash is known by it.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

from pipeline.errors import PipelineError
from tests.faults.fuzz.readers import READERS

SECONDS, MEGABYTES = 2.0, 500
HARD, ASLEEP = 20, 900


class TooLong(BaseException):
    """A sample that is still read after HARD seconds of the processor, or ASLEEP ones by the clock."""


def _give_up(*_: object) -> None:
    raise TooLong


def _peak() -> int:
    """The most memory held since the mark was set, in bytes."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1])


def _held() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _inside(folder: Path, outside: list[str]) -> None:
    """Whatever Python opens to write elsewhere is noted."""
    top = str(folder)

    def look(event: str, given: tuple[object, ...]) -> None:
        if event == "open" and isinstance(given[0], str | bytes):
            mode, flags, path = given[1], given[2], os.path.abspath(os.fsdecode(given[0]))
            writes = (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR))
            if writes and not path.startswith((top, "/dev/null", "/proc/self")):
                outside.append(path)

    sys.addaudithook(look)


def fuzz(name: str, folder: Path, now: Path, first: int, count: int, outside: list[str]) -> None:
    """Reads samples number `first` and following; `now` is told which."""
    reader = READERS[name]
    whole, work = folder / "whole", folder / "work"
    if not whole.exists():
        whole.mkdir(parents=True)
        reader.make(whole)
        reader.read(whole)  # the whole sample is right; what is loaded late is loaded now
    content = (whole / reader.file).read_bytes()
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(whole, work)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            reader.read(work)
        for number in range(first, first + count):
            now.write_text(f"{name} {number}")
            (work / reader.file).write_bytes(reader.damage(random.Random(f"{name} {number}"), content))
            Path("/proc/self/clear_refs").write_text("5")
            before, began = _held(), time.process_time()
            signal.setitimer(signal.ITIMER_PROF, HARD)
            signal.alarm(ASLEEP)
            try:
                reader.read(work)
                fault = ""
            except PipelineError as error:
                fault = "more than a line" if "\n" in str(error) else ""
            except BaseException as error:
                fault = "".join(traceback.format_exception(error)[-3:]).replace("\n", " | ")
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.alarm(0)
            took, memory = time.process_time() - began, (_peak() - before) / 1e6
            fault = fault or (f"{took:.1f} s" if took > SECONDS else f"{memory:.0f} MB" if memory > MEGABYTES else "")
            if fault or outside:
                print(f"{name} {number}: {fault or f'wrote {outside}'}", flush=True)
                outside.clear()


def main(names: str, top: str, first: str, count: str) -> None:
    """Reads samples of each reader."""
    folder, outside = Path(top).resolve(), list[str]()
    _inside(folder, outside)
    signal.signal(signal.SIGALRM, _give_up)
    signal.signal(signal.SIGPROF, _give_up)
    for name in names.split(","):
        fuzz(name, folder / name, folder / "now", int(first), int(count), outside)
    (folder / "now").write_text("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
