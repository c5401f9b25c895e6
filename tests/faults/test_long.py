"""What is long on purpose: thousands of checkpoints and trials, hours of faults.  `make soak` runs it; `--minutes` says how long."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.training import checkpoint
from pipeline.training.checkpoint import Progress
from pipeline.training.saving import Checkpoints
from pipeline.training.settings import Saving
from tests.faults.disk import KINDS, ROOT, Commands
from tests.faults.rate import compared
from tests.faults.test_disk import commands, held, whole
from tests.training.softmax_program import stored

__all__ = ["commands", "whole"]
SWEEP = """
import contextlib, gc, io, sys
from pipeline import cli
with contextlib.redirect_stdout(io.StringIO()):
    words = ["data=iris", "architecture=mlp_small", "training=fixed", "training.epochs=2", "tracking=none"]
    assert cli.main(["-m", f"seed=range({sys.argv[1]})", *words]) == 0
gc.collect()
print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""


@pytest.mark.soak
def test_faults_for_hours(commands: Commands, whole: Any, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    state, calls = whole
    seed = time.time_ns() // 10**9
    chosen, end = random.Random(seed), time.monotonic() + 60 * pytestconfig.getoption("minutes")
    done: Counter[str] = Counter()
    while time.monotonic() < end:
        done[held(commands, tmp_path / f"{done.total()}", chosen.choice(KINDS), chosen.randint(1, calls), state)] += 1
    print(f"seed {seed}: {done.total()} tried, {dict(done)}, 0 lost")
    assert done.total() > 0


@pytest.mark.soak
def test_ten_thousand_checkpoints(tmp_path: Path) -> None:
    made, progress, taken = Checkpoints(tmp_path, stored=stored(), settings=Saving(keep=3)), Progress(), []
    for step in range(1, 10_001):
        progress = Progress(epoch=step, history=progress.history.plus({"loss/train": 1 / step}), best=1.0, best_epoch=1)
        start = time.perf_counter()
        made.save({"weight": np.full(1000, step, np.float32), "step": np.array(step)}, progress, None)
        taken.append(time.perf_counter() - start)
        if step % 1000 == 0:
            for kept in (step, step - 1, step - 2):
                found = checkpoint.load(tmp_path, step=kept)
                assert (found.state["weight"] == kept).all() and len(found.progress.history) == kept
            assert len(list(tmp_path.iterdir())) == 5
    first, last = (float(np.median(part)) for part in (taken[:1000], taken[-1000:]))
    print(f"a checkpoint takes {1000 * first:.2f} ms among the first thousand and {1000 * last:.2f} ms among the last")
    assert last < 1.5 * first


@pytest.mark.soak
def test_a_thousand_trials_keep_no_memory(tmp_path: Path) -> None:
    kept = {}
    for trials in (192, 1024):
        folder = tmp_path / str(trials)
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", SWEEP, str(trials)], cwd=folder, env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        kept[trials] = int(done.stdout.split()[-1]) / 1024
    each = (kept[1024] - kept[192]) / (1024 - 192)
    print(f"{kept}: {each:.4f} MiB a trial")
    assert each < 0.05


@pytest.mark.slow
def test_an_epoch_costs_no_more_at_the_end() -> None:
    _, ratios = compared(30.0)  # `python -m tests.faults.rate` says it of ten minutes
    assert float(np.median(ratios)) < 1.05, ratios
