"""Where to look for a good value: on the right scale, at random rather than on a grid, and how many times."""

from __future__ import annotations

import math

import numpy as np

from pipeline.config.experiment import Experiment
from pipeline.demonstrations.figure import Figure, at_least, near
from pipeline.graph.values import Array
from pipeline.search.spaces import Linear, Log, LogRandn, OneMinus, draw, grid, zoom

DRAWS = 20_000
SEARCHES = 4_000


def log_scale(config: Experiment) -> list[Figure]:
    """Learning rates in [1e-4, 1] and momenta in [0.9, 0.999]: shares by decade; the notes' randn leaves the range two times in three."""
    right, linear, wrong = (
        draw(space, DRAWS, seed=config.seed, path="learning_rate") for space in (Log(low=1e-4, high=1), Linear(low=1e-4, high=1), _wrong())
    )
    figures = [_share(f"log: share in [1e{d}, 1e{d + 1}]", 0.25, (right >= 10.0**d) & (right < 10.0 ** (d + 1))) for d in range(-4, 0)]
    figures.append(_share("linear: share in [0.1, 1]", 0.9 / (1 - 1e-4), linear >= 0.1))
    within = (math.erf(1 / math.sqrt(2))) / 2  # 0 < -z < 1
    figures.append(_share("randn in place of rand: share in [1e-4, 1]", within, (wrong >= 1e-4) & (wrong <= 1)))
    figures.append(_share("randn in place of rand: share above 1", 0.5, wrong > 1))
    momentum = draw(OneMinus(low=0.9, high=0.999), DRAWS, seed=config.seed, path="momentum")
    return [*figures, _share("one minus log: share of momenta above 0.99", 0.5, momentum > 0.99)]


def random_vs_grid(config: Experiment) -> list[Figure]:
    """Nine trials of two values: a grid tries three of each, random search nine (Bergstra & Bengio 2012); 59 trials meet the best 5 %."""
    space = Log(low=1e-4, high=1)
    drawn = draw(space, 9, seed=config.seed, path="learning_rate")
    lattice = np.meshgrid(grid(space, 3), grid(space, 3))[0].reshape(-1)
    # where a trial stands among all there could be: the best 5 % lie below 0.05
    standing = draw(Linear(low=0, high=1), 59 * SEARCHES, seed=config.seed, path="standing").reshape(SEARCHES, 59)
    hits = standing < 0.05
    found = [float(np.mean(hits[:, :trials].any(axis=1))) for trials in (59, 30)]
    needed = math.ceil(math.log(0.05) / math.log(0.95))
    coarse = draw(space, 20, seed=config.seed, path="coarse")
    best = float(coarse[np.argmin(np.abs(np.log10(coarse) + 2))])  # what lies nearest to an optimum at 0.01
    fine = draw(zoom(space, best, share=0.25), 20, seed=config.seed, path="fine")
    return [
        near("grid of 9: values of each", 3, len(np.unique(lattice)), 0),
        near("random 9: values of each", 9, len(np.unique(drawn)), 0),
        near("trials to meet the best 5 % with 95 %", 59, needed, 0),
        near("share of searches of 59 that do", 1 - 0.95**59, found[0], 3 * _error(1 - 0.95**59, SEARCHES)),
        near("share of searches of 30 that do", 1 - 0.95**30, found[1], 3 * _error(1 - 0.95**30, SEARCHES)),
        at_least("coarse to fine: distance to the optimum in decades, 20 coarse over 20 fine", 1.0, _distance(coarse) / _distance(fine)),
    ]


def _wrong() -> LogRandn:
    return LogRandn(low=1e-4, high=1)


def _share(quantity: str, expected: float, found: Array) -> Figure:
    """Within three standard errors."""
    return near(quantity, expected, float(np.mean(found)), 3 * _error(expected, len(found)))


def _error(share: float, count: int) -> float:
    return math.sqrt(share * (1 - share) / count)


def _distance(values: Array) -> float:
    """The mean distance to 0.01, in decades."""
    return float(np.mean(np.abs(np.log10(values) + 2)))
