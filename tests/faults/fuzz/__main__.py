"""`python -m tests.faults.fuzz FOLDER [--inputs N] [--jobs N] [READER ...]`: N damaged inputs for each reader, CHUNK of each in turn.

FOLDER/read.json says how many of each have been read, so that a stopped one goes on; FOLDER/lost.txt has a line for each that was lost.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from tests.faults.fuzz.readers import READERS

ROOT = Path(__file__).parents[3]
CHUNK = 2500


def lost(name: str, folder: Path, count: int, first: int = 0) -> list[str]:
    """What is said of the samples of a reader that are lost; a crash costs one of them."""
    found, end = list[str](), first + count
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder), "HOME": str(folder),
        "OPENBLAS_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true",
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    while first < end:
        words = [sys.executable, "-m", "tests.faults.fuzz.child", name, str(folder), str(first), str(end - first)]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
        found += done.stdout.splitlines()
        now = (folder / "now").read_text() if (folder / "now").exists() else "before the first"
        if now == "done":
            break
        found.append(f"{now}: the process ended with {done.returncode}: {done.stderr[-500:]}")
        number = now.split()[-1]
        if "," in name or not number.isdigit():
            break
        first = int(number) + 1
    return found


def fuzz(folder: Path, readers: Sequence[str], inputs: int, jobs: int) -> int:
    """Reads chunks of the readers in turn until each has its inputs -> how many were lost now."""
    folder.mkdir(parents=True, exist_ok=True)
    told = folder / "read.json"
    read: dict[str, int] = dict.fromkeys(readers, 0) | (json.loads(told.read_text()) if told.exists() else {})
    busy: dict[Future[list[str]], tuple[str, int]] = {}
    fell, began = 0, time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        while True:
            free = [name for name in readers if read[name] < inputs and name not in {one for one, _ in busy.values()}]
            while free and len(busy) < jobs:
                name = min(free, key=read.__getitem__)
                free.remove(name)
                count = min(CHUNK, inputs - read[name])
                busy[pool.submit(lost, name, folder / name, count, read[name])] = (name, count)
            if not busy:
                break
            for done in wait(busy, return_when=FIRST_COMPLETED).done:
                name, count = busy.pop(done)
                read[name] += count
                told.write_text(json.dumps(read, indent=1))
                with (folder / "lost.txt").open("a") as file:
                    file.writelines(f"{line[:2000]}\n" for line in done.result())
                fell += len(done.result())
                shutil.rmtree(folder / name / "cache", ignore_errors=True)
                print(
                    f"{time.monotonic() - began:6.0f} s  {name:12} {read[name]:7}  {sum(read.values()):8} of all, {fell} lost", flush=True
                )
    return fell


def main() -> int:
    """1 where one was lost."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("folder", type=Path)
    asked.add_argument("readers", nargs="*", default=list(READERS))
    asked.add_argument("--inputs", type=int, default=100_000)
    asked.add_argument("--jobs", type=int, default=1)
    given = asked.parse_args()
    return 1 if fuzz(given.folder.resolve(), given.readers, given.inputs, given.jobs) else 0


if __name__ == "__main__":
    sys.exit(main())
