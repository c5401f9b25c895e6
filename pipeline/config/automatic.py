"""Values of a recipe that follow the data: what a config leaves to `auto`, until the data are known.

N is the number of training rows; a power of two is the largest one not above.

units of a dense layer   2 sqrt(N) as a power of two, from 64 to 512; 512 for images
batch_size               sqrt(N) as a power of two, from 8 to 256, at most N
epochs                   6,000 steps, of a network with convolutions 1,000, and 20 epochs at least; null where a budget counts epochs, steps
                         or samples
early_stopping           where epochs are automatic, of a dense network: as many steps as see 48,000 rows, from 1,200 to 3,000, without a
                         better validation loss, 5 epochs at least; null without a validation part, or where the schedule is planned over
                         the whole training
weight_decay             of a dense network with hidden layers, under Adam, AMSGrad and Nadam: 700 / N, from 0.3 to 3, as the fewer the
                         rows, the less they say against small weights; beyond 10,000 rows 3,000 / N, as a weight takes as many epochs to
                         forget; 0 where another regularization is given, and for a reconstruction

What a config gives is never changed.  An `Experiment` holds a plain value for each (FALLBACK: what `pipeline.compile` takes, which sees no
data) and names in `automatic` those that are to be settled.
"""

# N rows of the training part
from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from pipeline.config.experiment import Experiment
from pipeline.data import Dataset
from pipeline.errors import ConfigError
from pipeline.layers.activate import ActivationLayer
from pipeline.layers.dense import Dense
from pipeline.layers.dropout import DropoutLayer
from pipeline.layers.maxout import MaxoutLayer
from pipeline.layers.normalize import NormalizationLayer
from pipeline.layers.part import Merge
from pipeline.optimizers.adam import Adam
from pipeline.optimizers.amsgrad import AMSGrad
from pipeline.optimizers.nadam import NAdam
from pipeline.recipe.regularization import Regularization
from pipeline.recipe.schedules import needs_total
from pipeline.training.settings import EarlyStopping, Training

AUTO = "auto"
UNITS = 512
FALLBACK: dict[str, Any] = {
    "training.batch_size": Training().batch_size,
    "training.epochs": Training().epochs,
    "training.early_stopping": None,
    "regularization.weight_decay": 0.0,
}
STEPS, CONVOLUTION_STEPS, LEAST_EPOCHS = 6000, 1000, 20
PATIENCE_ROWS, LEAST_PATIENCE, MOST_PATIENCE, LEAST_PATIENCE_EPOCHS = 48_000, 1200, 3000, 5  # rows, steps, steps, epochs
DECAY_ROWS, LEAST_DECAY, MOST_DECAY, MANY_ROWS = 700, 0.3, 3.0, 10_000


def without_auto(config: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A plain config with a plain value for each `auto`, and the paths of these.  What is left out is automatic.  Raises ConfigError."""
    if "automatic" in config:
        raise ConfigError(at="automatic", got=config["automatic"], rule="unknown key", hint="give auto where the value would stand")
    made, found = deepcopy(dict(config)), []
    architecture = made.setdefault("architecture", {})
    if isinstance(architecture, dict):
        layers = architecture.setdefault("layers", [{"kind": "dense", "units": AUTO}, {"kind": "dense", "units": AUTO}])
        for index, layer in enumerate(layers if isinstance(layers, list) else ()):
            if isinstance(layer, dict) and layer.get("kind") == "dense" and layer.get("units") == AUTO:
                layer["units"] = UNITS
                found.append(_units(index))
    for path, value in FALLBACK.items():
        group, name = path.split(".")
        part = made.setdefault(group, {})
        if isinstance(part, dict) and part.get(name, AUTO) == AUTO:
            part[name] = value
            found.append(path)
    return made, tuple(found)


def with_auto(written: dict[str, Any], automatic: tuple[str, ...]) -> dict[str, Any]:
    """The way back, in place: `auto` at the paths that are not settled."""
    for path in automatic:
        if path in FALLBACK:
            group, name = path.split(".")
            written[group][name] = AUTO
    for index, layer in enumerate(written["architecture"]["layers"]):
        if _units(index) in automatic:
            layer["units"] = AUTO
    return written


def settled(config: Experiment, dataset: Dataset, *, whole: bool = True) -> tuple[Experiment, list[str]]:
    """`config` with a value for each that follows the rows of `dataset`, and a note that says which.

    `whole`: these are all rows; where more are to come, few of them are no reason for a large weight decay.
    """
    if not config.automatic:
        return config, []
    rows, row = len(dataset.train), dataset.shape.input_shape
    told: list[str] = []
    config = _with_units(config, rows, row, told)
    dense = _is_dense(config)
    if "training.batch_size" in config.automatic:
        batch = min(power_of_two(math.sqrt(rows), 8, 256), max(rows, 1))
        config = replace(config, training=replace(config.training, batch_size=batch))
        told.append(f"batches of {batch}")
    steps = max(1, rows // config.training.rows)
    if "training.epochs" in config.automatic:
        training = _with_epochs(config, steps, dense, watched=len(dataset.validation) > 0)
        if training.epochs is not None:
            told.append(f"{training.epochs} epochs ({training.epochs * steps:,} steps)")
        if training.early_stopping is not None and "training.early_stopping" in config.automatic:
            told.append(f"ended after {training.early_stopping.patience} without a better loss/validation, the best weights kept")
        config = replace(config, training=training)
    if "regularization.weight_decay" in config.automatic:
        decay = _weight_decay(config, rows if whole else max(rows, MANY_ROWS)) if dense and dataset.task != "reconstruction" else 0.0
        config = replace(config, regularization=replace(config.regularization, weight_decay=decay))
        told += [f"weight decay {decay:g}"] if decay else []
    note = f"automatic for {rows:,} training rows: {', '.join(told)}"
    return replace(config, automatic=()), [note] if told else []


def fallback(config: Experiment) -> str:
    """What is taken where there are no data, in words."""
    training = config.training
    return f"batches of {training.batch_size}, {training.epochs} epochs, weight decay {config.regularization.weight_decay:g}"


def power_of_two(number: float, least: int, most: int) -> int:
    """The largest power of two not above `number`, from `least` to `most`."""
    return min(max(1 << math.floor(math.log2(max(number, 1))), least), most)


def _units(index: int) -> str:
    return f"architecture.layers[{index}].units"


def _with_units(config: Experiment, rows: int, row: tuple[int, ...], told: list[str]) -> Experiment:
    units = UNITS if len(row) == 3 else power_of_two(2 * math.sqrt(rows), 64, UNITS)
    layers = [
        replace(layer, units=units) if isinstance(layer, Dense) and _units(index) in config.automatic else layer
        for index, layer in enumerate(config.architecture.layers)
    ]
    if any(path.startswith("architecture.") for path in config.automatic):
        told.append(f"{units} units a layer")
    return replace(config, architecture=replace(config.architecture, layers=tuple(layers)))


def _is_dense(config: Experiment) -> bool:
    return all(
        isinstance(layer, Dense | MaxoutLayer | ActivationLayer | NormalizationLayer | DropoutLayer | Merge)
        for layer in config.architecture.layers
    )


def _with_epochs(config: Experiment, steps: int, dense: bool, *, watched: bool) -> Training:
    """`steps`: of an epoch; `watched`: there is a validation part."""
    training, budget = config.training, config.budget
    if any(limit is not None for limit in (budget.epochs, budget.steps, budget.samples)):
        return replace(training, epochs=None)
    planned = needs_total(config.schedule)
    if budget.seconds is not None and not planned:
        return replace(training, epochs=None)
    training = replace(training, epochs=max(LEAST_EPOCHS, math.ceil((STEPS if dense else CONVOLUTION_STEPS) / steps)))
    if "training.early_stopping" not in config.automatic or planned or not watched or not dense:
        return training
    patience = min(max(PATIENCE_ROWS // training.rows, LEAST_PATIENCE), MOST_PATIENCE)
    return replace(training, early_stopping=EarlyStopping(patience=max(LEAST_PATIENCE_EPOCHS, math.ceil(patience / steps))))


def _weight_decay(config: Experiment, rows: int) -> float:
    given = replace(config.regularization, weight_decay=0.0) != Regularization()
    if given or not isinstance(config.optimizer, Adam | AMSGrad | NAdam) or not config.architecture.layers:
        return 0.0
    decay = min(max(DECAY_ROWS / rows, LEAST_DECAY), MOST_DECAY)
    return float(f"{decay * min(1.0, MANY_ROWS / rows):.3g}")
