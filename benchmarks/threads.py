"""`python -m benchmarks.threads`: 1,000 predictions from 8 threads at once, beside the same with a lock around each call.

For rows of some numbers and 1 and 2 native threads; both take turns, the ratio is the median of the turns.  Every answer is compared with
a single thread's, bit for bit.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import pipeline

CALLS, THREADS, TURNS = 1000, 8, 7


def seconds(predict: Callable[[np.ndarray], np.ndarray], given: list[np.ndarray], expected: list[bytes]) -> float:
    """How long CALLS predictions from THREADS threads take."""
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(predict, given[:THREADS]))  # the threads are there
        start = time.perf_counter()
        found = list(pool.map(lambda number: predict(given[number % len(given)]), range(CALLS)))
        took = time.perf_counter() - start
    assert all(answer.tobytes() == expected[number % len(given)] for number, answer in enumerate(found)), "an answer has other bits"
    return took


def with_lock(predict: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """One call after the other."""
    lock = threading.Lock()

    def alone(x: np.ndarray) -> np.ndarray:
        with lock:
            return predict(x)

    return alone


def main() -> None:
    """Prints a line for each number of rows and of native threads."""
    for native in (1, 2):
        made = pipeline.compile(pipeline.compose(["architecture=mlp", "data=digits", f"backend.threads={native}"]))
        for count in (1, 20, 200):
            shape = (count, *made.structure.network.input_shape)
            given = [np.random.default_rng(number).standard_normal(shape).astype(np.float32) for number in range(16)]
            expected = [made.predict(x).tobytes() for x in given]
            locked = with_lock(made.predict)
            taken = [(seconds(made.predict, given, expected), seconds(locked, given, expected)) for _ in range(TURNS)]
            free, one = (statistics.median(times) for times in zip(*taken, strict=True))
            ratio = statistics.median(b / a for a, b in taken)
            shown = f"{count:4} rows, {native} native: {CALLS / free:8,.0f} a second, {CALLS / one:8,.0f} with a lock, ratio {ratio:.2f}"
            print(shown, flush=True)


if __name__ == "__main__":
    main()
