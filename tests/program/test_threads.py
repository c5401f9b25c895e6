"""Programs in several threads: every answer has the bits of a single thread's, and the state is that of a whole number of steps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipeline
from pipeline.graph.values import Array
from pipeline.program.program import Program

ROOT = Path(__file__).parents[2]


def program(*overrides: str) -> Program:
    return pipeline.compile(pipeline.compose(["architecture=mlp_small", "data=digits", *overrides]))


def rows(made: Program, count: int, number: int) -> Array:
    return np.random.default_rng(number).standard_normal((count, *made.structure.network.input_shape)).astype(np.float32)


def in_threads(work: Callable[[int], object], calls: int, threads: int = 8) -> list[Any]:
    with ThreadPoolExecutor(threads) as pool:
        return [future.result(timeout=60) for future in [pool.submit(work, number) for number in range(calls)]]


@pytest.mark.parametrize("native", [1, 2])
@pytest.mark.parametrize("count", [1, 20, 200])
def test_a_thousand_predictions_at_once(native: int, count: int) -> None:
    made = program(f"backend.threads={native}")
    given = [rows(made, count, number) for number in range(16)]
    expected = [made.predict(x).tobytes() for x in given]
    found = in_threads(lambda number: made.predict(given[number % 16]).tobytes(), 1000)
    assert all(bits == expected[number % 16] for number, bits in enumerate(found))


@pytest.mark.parametrize("native", [1, 2])
def test_every_kind_of_call_at_once(native: int) -> None:
    made, other = program(f"backend.threads={native}", "normalization=batch"), program(f"backend.threads={native}")
    x, y = rows(made, 64, 0), np.arange(64) % 10
    calls: list[Callable[[], bytes]] = [
        lambda: made.predict(x[:1]).tobytes(),
        lambda: made.evaluate(x, y)[1].tobytes(),
        lambda: made.gradients(x, y)["head.weight" if "head.weight" in made.parameters() else next(iter(made.parameters()))].tobytes(),
        lambda: other.predict(x).tobytes(),
        lambda: np.float64(made.loss(x, y)).tobytes(),
    ]
    expected = [call() for call in calls]
    found = in_threads(lambda number: calls[number % 5](), 500)
    assert all(bits == expected[number % 5] for number, bits in enumerate(found))


def test_a_prediction_beside_a_training_is_that_of_a_whole_number_of_steps() -> None:
    made, alone = program("normalization=batch"), program("normalization=batch")
    x, y, order = rows(made, 64, 0), np.arange(64) % 10, np.arange(64)[None].repeat(30, axis=0)
    expected = [alone.predict(x[:5]).tobytes()]
    for step in range(30):
        alone.run(x, y, order[step : step + 1])
        expected.append(alone.predict(x[:5]).tobytes())
    found: list[bytes] = []
    training = threading.Thread(target=lambda: [made.run(x, y, order[step : step + 1]) for step in range(30)])
    training.start()
    while training.is_alive():
        found.append(made.predict(x[:5]).tobytes())
    training.join()
    assert set(found) <= set(expected) and made.predict(x[:5]).tobytes() == expected[-1]


def test_trainings_in_threads_take_every_step_once() -> None:
    made = program()
    x, y, order = rows(made, 64, 0), np.arange(64) % 10, np.arange(64).reshape(4, 16)
    in_threads(lambda number: made.run(x, y, order), 50)
    assert made.steps_done == 200 and int(made.state()["step"]) == 200


def test_compose_in_threads() -> None:
    found = in_threads(lambda number: pipeline.compose([f"seed={number}"])["seed"], 24)
    assert found == list(range(24))


def test_a_call_of_many_steps_has_the_bits_of_its_cuts() -> None:
    made, alone = program(), program()
    x, y, order = rows(made, 64, 0), np.arange(64) % 10, np.random.default_rng(1).integers(0, 64, (700, 16))
    losses = made.run(x, y, order)
    assert losses.tobytes() == np.concatenate([alone.run(x, y, order[:1]), alone.run(x, y, order[1:])]).tobytes()
    assert all(made.state()[name].tobytes() == value.tobytes() for name, value in alone.state().items())


LONG = """
    import os, signal, threading, time
    import numpy as np
    import pipeline

    main = time.pthread_getcpuclockid(threading.main_thread().ident)
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)  # written to as soon as the signal is there, whatever Python is doing
    struck = []
    watch = threading.Thread(target=lambda: struck.append((os.read(read, 1), time.clock_gettime(main))[1]), daemon=True)
    watch.start()
    config = ["architecture=mlp_small", "data=digits", "backend.threads=1"]
    made, other = pipeline.compile(pipeline.compose(config)), pipeline.compile(pipeline.compose(config))
    x, y = np.random.default_rng(0).standard_normal((64, 8, 8, 1)).astype(np.float32), np.arange(64) % 10
    order = np.arange(64)[None].repeat(1_000_000, axis=0)
    made.run(x, y, order[:2])
    print("ready", flush=True)
    try:
        made.run(x, y, order)
    except KeyboardInterrupt:
        heard = time.clock_gettime(main)
        watch.join()
        print(heard - struck[0], flush=True)
    state = made.state()
    other.run(x, y, order[: int(state["step"])])
    print(int(state["step"]), all(np.array_equal(state[name], value) for name, value in other.state().items()))
"""


def test_ctrl_c_in_a_long_call_is_heard_soon_and_the_state_says_its_step() -> None:
    code = [sys.executable, "-c", textwrap.dedent(LONG)]
    with subprocess.Popen(code, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(0.7)
        process.send_signal(signal.SIGINT)
        heard = float(process.stdout.readline())
        steps, same = process.stdout.readline().split()
    assert int(steps) > 2 and same == "True"
    assert heard < 0.2, f"{heard:.2f} s"  # of the thread's own processor time: how busy the machine is does not matter
