"""Points about which a model has an opinion.  The model is made anew from all that was told, and the seed of a point is that of its number.

So nothing of a sampler needs to be kept: a search that goes on, or is replayed, has the same points.  Both come with the extra `search`.
"""

# P parameters that vary by themselves
from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from pipeline.errors import ConfigError
from pipeline.search.parameters import Parameter, axes
from pipeline.search.settings import AT
from pipeline.search.spaces import Choice, at, count, share_of
from pipeline.search.told import Told

LIBRARIES = {"tpe": "optuna", "cma_es": "cmaes"}
Shares = dict[str, float]  # axis -> share


def tpe(seed: int, parameters: Sequence[Parameter], many: int, told: Sequence[Told]) -> list[Shares]:
    """`many` points by the tree-structured Parzen estimator of Optuna (Bergstra et al. 2011): the joint one, that knows conditions.

    Those of one batch are kept apart by counting the ones before them as bad (the constant liar of Ginsbourger et al. 2010).
    """
    optuna = _library("tpe")
    found = axes(parameters)
    distributions = {name: _distribution(optuna, own) for name, own in found.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Optuna calls experimental
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(directions=["minimize"] * len(told[0].scores))
        study.add_trials([_trial(optuna, each, found, distributions) for each in told])
        made = []
        for number in range(len(told), len(told) + many):
            study.sampler = optuna.samplers.TPESampler(
                seed=word(seed, number), n_startup_trials=1, multivariate=True, group=True, constant_liar=True
            )
            made.append(_asked(study.ask(), parameters, found, distributions))
    return made


def cma_es(seed: int, parameters: Sequence[Parameter], many: int, told: Sequence[Told]) -> list[Shares]:
    """The next generation of `many` points by the covariance matrix adaptation evolution strategy (Hansen 2016), on the unit cube [P].

    The generations before it are replayed.  Raises ConfigError for choices, between which there is no distance, and for conditions.
    """
    for each in parameters:
        if isinstance(each.space, Choice) or each.when:
            rule = "cma_es steps through ranges, and this is " + ("a choice" if isinstance(each.space, Choice) else "under a condition")
            raise ConfigError(at=f"{AT}.method", got="cma_es", rule=f"{rule}: {each.path}", hint=f"give {AT}.method=tpe")
    if many < 2 or len(told[0].scores if told else (0,)) > 1:
        got, rule = (many, "a generation has two points or more") if many < 2 else ("cma_es", "it knows one metric")
        raise ConfigError(at=f"{AT}.{'batch' if many < 2 else 'method'}", got=got, rule=rule, hint=f"give {AT}.method=tpe")
    library = _library("cma_es")
    names = [each.path for each in parameters]
    size = max(2, len(names))  # the library knows no single dimension: the second one is there and changes nothing
    strategy = library.CMA(mean=np.full(size, 0.5), sigma=0.25, bounds=np.tile([0.0, 1.0], (size, 1)), population_size=many)
    for first in range(0, len(told) + 1, many):
        rows = []
        for number in range(first, first + many):
            strategy.reseed_rng(word(seed, number))
            rows.append(strategy.ask())
        if first + many > len(told):
            break
        generation = told[first : first + many]
        worst = max((each.scores[0] for each in generation if math.isfinite(each.scores[0])), default=0.0)
        strategy.tell(
            [(row, each.scores[0] if math.isfinite(each.scores[0]) else worst + 1.0) for row, each in zip(rows, generation, strict=True)]
        )
    left = rows[len(told) % many :]  # of a generation that a search of fewer points cut off, what it lacks
    return [{name: min(float(share), 1 - 2**-24) for name, share in zip(names, row, strict=False)} for row in left]


def word(seed: int, number: int) -> int:
    """32 bits that stand for point `number` of a search."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {number}".encode(), digest_size=4).digest(), "little")


def check_library(method: str) -> None:
    """Whether the package of a method is there, before any trial is run.  Raises ConfigError."""
    if method in LIBRARIES:
        _library(method)


def _library(method: str) -> ModuleType:
    """Loaded where a method is asked for that needs it: both are slow to load, and an extra."""
    import importlib  # noqa: PLC0415  # see above

    name = LIBRARIES[method]
    try:
        return importlib.import_module(name)
    except ImportError:
        hint = "pip install 'caviar-pipeline[search]', or use hydra.sweeper.method=sobol"
        raise ConfigError(at=f"{AT}.method", got=method, rule=f"needs the package {name}", hint=hint) from None


def _distribution(optuna: Any, own: Sequence[Parameter]) -> Any:
    """Of an axis: a share, a number on a line, or one of several without an order."""
    whole = count(own[0].space)
    if whole is None:
        return optuna.distributions.FloatDistribution(0.0, 1.0)
    if len(own) > 1 or isinstance(own[0].space, Choice):
        return optuna.distributions.CategoricalDistribution(range(whole))
    return optuna.distributions.IntDistribution(0, whole - 1)


def _trial(optuna: Any, told: Told, found: Mapping[str, Sequence[Parameter]], distributions: Mapping[str, Any]) -> Any:
    """A point that is over, as Optuna knows it."""
    states, scores = optuna.trial.TrialState, told.scores
    state = states.COMPLETE if told.rung is None else states.PRUNED
    if not all(map(math.isfinite, scores)):
        state = states.FAIL
    params = {}
    for name, own in found.items():
        here = next((each for each in own if each.path in told.point), None)
        if here is not None:
            share, whole = share_of(here.space, told.point[here.path]), count(here.space)
            params[name] = min(max(share, 0.0), 1.0) if whole is None else min(int(share * whole), whole - 1)
    return optuna.trial.create_trial(
        state=state,
        params=params,
        distributions={name: distributions[name] for name in params},
        values=list(scores) if state == states.COMPLETE else None,
        intermediate_values=dict(told.rungs) if state == states.PRUNED else None,
    )


def _asked(
    trial: Any, parameters: Sequence[Parameter], found: Mapping[str, Sequence[Parameter]], distributions: Mapping[str, Any]
) -> Shares:
    """A point of Optuna's, axis by axis, so that what depends on a value is asked for only where it exists; others stand at 0."""
    shares: Shares = {}
    point: dict[str, Any] = {}
    for name, own in found.items():
        if not any(each.exists(point) for each in own):
            shares[name] = 0.0
            continue
        made, whole = trial._suggest(name, distributions[name]), count(own[0].space)
        shares[name] = min(float(made), 1 - 2**-24) if whole is None else (made + 0.5) / whole
        point |= {each.path: at(each.space, shares[name]) for each in own if each.exists(point)}
    return shares
