"""Which parameters of a search mattered: what a random forest's guess of the rank loses when one of them is shuffled (Breiman 2001)."""

# n points, P parameters
from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.search.settings import REPEATS
from pipeline.sweeps.table import Sweep

LEAST, FOLDS, SHUFFLES, TREES = 20, 5, 5, 50
KNOWN = 0.1  # of the variance of the ranks, that a forest must explain for what it says to be told


def importance(sweep: Sweep) -> Mapping[str, float]:
    """Parameter -> its share of what they explain together, largest first.

    Empty with one parameter, with fewer than LEAST points, or where the forest explains next to nothing.  Seeds of one point are one row.
    """
    names = [name for name in sweep.params if name not in REPEATS]
    points: dict[tuple[str, ...], list[tuple[float, int, float]]] = {}
    for trial in sweep.trials:
        points.setdefault(tuple(trial.params.get(name, "") for name in names), []).append(sweep.rank(trial))
    if len(names) < 2 or len(points) < LEAST:
        return {}
    place = {rank: number for number, rank in enumerate(sorted({rank for ranks in points.values() for rank in ranks}))}
    y = np.array([np.mean([place[rank] for rank in ranks]) for ranks in points.values()])
    x = np.stack([_column([point[k] for point in points]) for k in range(len(names))], axis=1)
    lost = _lost(x, y)
    total = float(lost.sum())
    if total <= 0:
        return {}
    shares = dict(zip(names, (lost / total).tolist(), strict=True))
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _column(words: Sequence[str]) -> npt.NDArray[np.float64]:
    """Numbers as they are, words by their order of appearance [n]: a forest only asks what lies to which side."""
    try:
        return np.array([float(word) if word else np.nan for word in words])
    except ValueError:
        known = {word: number for number, word in enumerate(dict.fromkeys(words))}
        return np.array([float(known[word]) for word in words])


def _lost(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How much worse unseen rows are guessed with each column of x [n, P] shuffled -> [P], all 0 where the forest knows little."""
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415  # needed at the end of a search only
    from sklearn.inspection import permutation_importance  # noqa: PLC0415

    x = np.where(np.isnan(x), np.nanmin(x, axis=0, initial=0.0) - 1.0, x)  # a parameter that does not exist at a point
    order = np.random.default_rng(0).permutation(len(y))
    lost, explained = np.zeros(x.shape[1]), 0.0
    for fold in range(FOLDS):
        held = order[fold::FOLDS]
        rest = np.setdiff1d(order, held)
        forest = RandomForestRegressor(TREES, random_state=fold, n_jobs=1).fit(x[rest], y[rest])
        explained += 1 - float(np.mean((forest.predict(x[held]) - y[held]) ** 2) / np.var(y))
        found = permutation_importance(forest, x[held], y[held], scoring="neg_mean_squared_error", n_repeats=SHUFFLES, random_state=fold)
        lost += found.importances_mean
    if explained / FOLDS < KNOWN:
        return np.zeros(x.shape[1])
    return np.maximum(lost, 0.0)
