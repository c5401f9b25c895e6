"""The `preprocessing` group."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, cast

from pipeline.errors import ConfigError, nearest
from pipeline.preprocessing.rotation import Components, check_components, components_of
from pipeline.preprocessing.steps import STEPS, Shape
from pipeline.records import read, record, setting


@record
class Preprocessing:
    """The steps in the order in which they are applied, each fitted on what the one before it gives.

    targets     of a regression: standardize brings them to mean 0 and deviation 1 in training; predictions come back in their own units
    axes        what shares a statistic: each feature (pixel) has its own, each channel of an image, or all values one (global)
    components  of pca and whiten: how many (a whole number), the share of the variance they hold (0.99), or null for all
    settings    of steps of extensions, each by its name
    epsilon     of whiten and zca, added to each variance before the root, in the units of x squared
    """

    steps: tuple[str, ...] = setting(("standardize",))
    targets: Literal["standardize", "none"] = setting("standardize")
    axes: Literal["feature", "channel", "global"] = setting("feature")
    components: Any = setting(None)
    epsilon: float = setting(1e-5, least=0)
    settings: Mapping[str, Any] = setting({})

    def __post_init__(self) -> None:
        for index, step in enumerate(self.steps):
            if step not in STEPS:
                raise ConfigError(at=f"preprocessing.steps[{index}]", got=step, rule="unknown step", hint=nearest(step, STEPS))
        for name, given in self.settings.items():
            own = STEPS[name].own if name in self.steps else None
            if own is None:
                owners = [step for step in self.steps if STEPS[step].own is not None]
                hint = f"it is for {', '.join(owners)}" if owners else "leave it out"
                raise ConfigError(at=f"preprocessing.settings.{name}", got=given, rule="no step reads it", hint=hint)
            read(own, given, at=f"preprocessing.settings.{name}")
        check_components(self.components)
        values = (("axes", self.axes, "feature"), ("components", self.components, None), ("epsilon", self.epsilon, 1e-5))
        for name, got, default in values:
            if got != default and not any(name in STEPS[step].reads for step in self.steps):
                readers = ", ".join(step for step, entry in STEPS.items() if name in entry.reads)
                raise ConfigError(at=f"preprocessing.{name}", got=got, rule="no step reads it", hint=f"it is for {readers}")


def shape_without_data(config: Preprocessing, shape: Shape) -> Shape | None:
    """What the steps make of rows of `shape`; None where that depends on the data.  Raises ConfigError."""
    for step in config.steps:
        if STEPS[step].own is not None:
            return None
        if STEPS[step].flattens:
            count = components_of(cast(Components, config.components), math.prod(shape))
            if count is None:
                return None
            shape = (count,)
    return shape
