"""All that the rules are told of a training."""

# N rows, F numbers of a row, C classes
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pipeline.checks.material import Material
from pipeline.checks.start_loss import expected
from pipeline.config.experiment import Experiment
from pipeline.layers.graph import LayerGraph, LayerNode
from pipeline.layers.part import Activation
from pipeline.recipe.losses import class_weights
from pipeline.records import record, setting
from pipeline.tracking.health import Health, LayerHealth, TensorHealth

ROWS = 1024  # of the inputs whose means and deviations are taken
CONSTANT = 1e-9
EVEN = 0.01


@record
class Course:
    """How the training went.

    history  the metrics of each epoch
    first    losses of its first steps, those of this command [S]
    steps    all steps taken;  held, the epoch whose weights are the result;  ended_early, whether something else ended it
    limit    of its budget what ended it, `budget.steps = 500`; empty where training.epochs did
    anew     whether it began with initial weights, and not with those of another run or of a checkpoint
    failed   what was said where it diverged
    tested   metrics of the test part
    """

    history: Sequence[Mapping[str, float]] = ()
    first: tuple[float, ...] = ()
    steps: int = 0
    held: int = 0
    ended_early: bool = False
    limit: str = ""
    anew: bool = True
    failed: str = ""
    tested: Mapping[str, float] = setting({})


class Case:
    """A training as the rules see it: `config` and `network`, its rows, how it went, and the looks at its inside."""

    def __init__(
        self, material: Material, network: LayerGraph, course: Course, looks: Sequence[Health], *, class_names: Sequence[str] = ()
    ) -> None:
        self.config: Experiment = material.config
        self.material, self.network, self.course, self.class_names = material, network, course, class_names
        self.looks = tuple(looks)

    @property
    def start(self) -> Health | None:
        """The look before the first step, where the weights are the initial ones."""
        return next((look for look in self.looks if look.epoch == 0 and self.course.anew), None)

    @property
    def early(self) -> Health | None:
        """The first look after some steps, the one before them where there is no other."""
        return next((look for look in self.looks if look.epoch > 0), self.start)

    @property
    def end(self) -> Health | None:
        """The last look."""
        return self.looks[-1] if self.looks else None

    @cached_property
    def chance(self) -> tuple[float, str]:
        """The loss of a network that knows nothing, with the weights of rows and classes, and what it is called."""
        value, words = expected(self.network.loss, self.material)
        weight = self.weight
        return value * weight, words if abs(weight - 1) < EVEN else f"{words} times {weight:.3g}, the mean weight of a row"

    @cached_property
    def weight(self) -> float:
        """What a row of the training part counts in its loss, on average: the weight of its class times its own."""
        of_rows = np.ones(1) if self.material.weight is None else np.asarray(self.material.weight, np.float64)
        of_classes = class_weights(self.network.loss)
        if of_classes is None or isinstance(of_classes, str):  # balanced: 1 on average
            return float(of_rows.mean())
        return float((np.asarray(of_classes)[np.asarray(self.material.y, np.int64).reshape(-1)] * of_rows).mean())

    @property
    def numbers(self) -> bool:
        """Whether numbers are predicted."""
        return self.material.shape.classes is None and not self.material.shape.labels

    def curve(self, name: str) -> list[float]:
        """The values of a metric by epoch, those that are finite."""
        found = [values.get(name, float("nan")) for values in self.course.history]
        return [value for value in found if np.isfinite(value)]

    @cached_property
    def penalty(self) -> float:
        """What penalties add to the training loss in the end."""
        return 0.0 if self.end is None else float(self.end.loss) - float(self.end.data_loss)

    @cached_property
    def losses(self) -> list[float]:
        """The training loss by epoch, without penalties as they are in the end."""
        return [value - self.penalty for value in self.curve("loss/train")]

    @property
    def learned(self) -> float:
        """The share of the loss of chance that is gone: 1 is all of it, 0 nothing."""
        losses = self.losses
        return 1 - min(losses) / self.chance[0] if losses and self.chance[0] > 0 else 0.0

    @cached_property
    def inputs(self) -> npt.NDArray[np.float64]:
        """Some rows as the network sees them, without columns that are constant [n, F]."""
        x = self.material.x
        rows = np.linspace(0, len(x) - 1, min(len(x), ROWS)).astype(np.int64)
        flat = np.asarray(x[rows], np.float64).reshape(len(rows), -1)
        return flat[:, flat.std(axis=0) > CONSTANT]

    @cached_property
    def class_rows(self) -> npt.NDArray[np.int64] | None:
        """Rows of each class in the training part [C]; None where classes are not what is predicted."""
        classes, y = self.material.shape.classes, self.material.y
        return np.bincount(np.asarray(y, np.int64), minlength=classes) if classes is not None and np.ndim(y) == 1 else None

    @property
    def hidden(self) -> list[LayerNode]:
        """The activations between the layers."""
        return [node for node in self.network.nodes if isinstance(node.record, Activation) and node is not self.network.output]

    def layers(self, look: Health | None, *, hidden: bool = True) -> Iterator[LayerHealth]:
        """What a look tells of the hidden activations, or of all layers."""
        names = {node.name for node in (self.hidden if hidden else self.network.nodes)}
        return (layer for layer in (look.layers if look is not None else ()) if layer.name in names)

    def weights(self, look: Health | None) -> list[TensorHealth]:
        """What a look tells of the weights that learn, in the order of the layers."""
        return [t for t in (look.tensors if look is not None else ()) if t.name.endswith(".weight") and t.gradient is not None]

    def ratio(self, look: Health | None) -> float | None:
        """The median over the weights of what a step changes, relative to what is there; None where it was not measured."""
        found = [float(t.update) / float(t.scale) for t in self.weights(look) if t.update is not None and float(t.scale) > 0]
        return float(np.median(found)) if found else None
