"""The workloads in scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.workloads import LEARNING_RATE, Workload


def run_of(w: Workload, *, minibatches: bool = False) -> Callable[[int, int], None]:
    """Plain MLPs by MLPClassifier, minibatch by minibatch; logistic regression by SGDClassifier.

    SGDClassifier knows no minibatches: it updates the weights after every row.  It is given all rows in one call, the least that an epoch
    can cost it, or with `minibatches` a call for each of them.
    """
    from sklearn.linear_model import SGDClassifier
    from sklearn.neural_network import MLPClassifier

    x, y = w.data()
    if w.network == "logistic":
        rate = LEARNING_RATE["sgd"]
        model = SGDClassifier(loss="log_loss", penalty=None, learning_rate="constant", eta0=rate, shuffle=False, random_state=0)
    else:
        model = MLPClassifier((w.hidden,) * w.depth, batch_size=w.batch, alpha=0, solver="adam", shuffle=False)
    model.partial_fit(x[: w.batch], y[: w.batch], classes=np.arange(w.classes))

    def run(first: int, steps: int) -> None:
        for number in range(first, first + steps):
            rows = w.rows(number)
            model.partial_fit(x[rows], y[rows])

    def run_whole(first: int, steps: int) -> None:
        start = w.rows(first).start
        rows = slice(start, start + steps * w.batch)
        model.partial_fit(x[rows], y[rows])

    return run_whole if w.network == "logistic" and not minibatches else run
