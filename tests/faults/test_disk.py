"""Whatever call to the disk a training is killed at or refused, what is there can be gone on with, and comes to the same bits."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.training import checkpoint
from tests.faults.disk import KINDS, Commands

RUN = (
    "data=iris", "architecture=mlp_small", "training=fixed", "training.epochs=3", "training.batch_size=16", "tracking=none",
    "training.checkpoints.every_steps=3", "training.checkpoints.keep=2", "output=run",
)  # fmt: skip


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    made = Commands()
    yield made
    made.close()


@pytest.fixture(scope="module")
def whole(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], int]:
    """The state that the training comes to without a fault, and how many calls to the disk it takes."""
    folder = tmp_path_factory.mktemp("whole")
    done = commands(folder, *RUN)
    assert done["code"] == 0, done["said"]
    return dict(checkpoint.load(folder / "run" / "checkpoints").state), done["calls"]


def held(commands: Commands, folder: Path, kind: str, at: int, state: dict[str, Any]) -> str:
    """Lets a training fail at call `at`, goes on, compares -> what the fault did: killed, told, or went on."""
    folder.mkdir()
    done = commands(folder, *RUN, kind=kind, at=at)
    where = f"{kind} at call {at}: {done}"
    struck = done["code"] != 0 or done["calls"] >= at  # a training that waited for its writer less often has fewer calls
    assert done["code"] in ((-9,) if kind.startswith("KILL") and struck else (0, 2)), where
    assert "Traceback" not in done["said"] and len(done["said"].splitlines()) <= 2, where
    if done["code"]:
        again = commands(folder, "resume=run") if (folder / "run" / "run.json").exists() else commands(folder, *RUN)
        if "no run folder" in again["said"] or "has no journal" in again["said"] or "holds no line" in again["said"]:
            again = commands(folder, *RUN)
        if "has finished its" not in again["said"]:
            assert again["code"] == 0, f"{where}, and then {again}"
    found = checkpoint.load(folder / "run" / "checkpoints")
    assert all(np.array_equal(found.state[name], value) for name, value in state.items()), where
    assert not [path for path in (folder / "run" / "checkpoints").iterdir() if path.name.startswith(".writing")], where
    shutil.rmtree(folder)
    return "killed" if done["code"] == -9 else "told" if done["code"] else "went on"


def tried(commands: Commands, folder: Path, cases: list[tuple[str, int]], state: dict[str, Any]) -> Counter[str]:
    return Counter(held(commands, folder / f"{number}", kind, at, state) for number, (kind, at) in enumerate(cases))


def test_a_few_faults(commands: Commands, whole: Any, tmp_path: Path) -> None:
    state, calls = whole
    chosen = random.Random(time.time_ns() // 10**9)
    cases = [(kind, chosen.randint(1, calls)) for kind in KINDS for _ in range(2)]
    assert tried(commands, tmp_path, cases, state)["killed"] >= 3


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_each_call_fails_once(commands: Commands, whole: Any, tmp_path: Path, kind: str) -> None:
    state, calls = whole
    print(kind, dict(tried(commands, tmp_path, [(kind, at) for at in range(1, calls + 1)], state)))


@pytest.mark.soak
def test_two_hundred_kills(commands: Commands, whole: Any, tmp_path: Path) -> None:
    state, calls = whole
    chosen = random.Random(14)
    cases = [(chosen.choice(KINDS[:2]), chosen.randint(1, calls)) for _ in range(200)]
    assert tried(commands, tmp_path, cases, state)["killed"] > 150
