"""What is told of the inside of a network while it is trained: the values of its layers, its tensors, their gradients and steps.

`pipeline.program.health` measures it; the journal keeps it as the event `health`, a few of them in a training.
"""

from __future__ import annotations

from pipeline.records import record, setting
from pipeline.tracking.event import Event

Number = float | str  # nan, inf and -inf are words in the journal: `float` reads them back


@record
class Histogram:
    """How many values lie in each of equal bins from low to high; of many values a fixed sample is counted."""

    low: Number
    high: Number
    counts: tuple[int, ...]


@record
class LayerHealth:
    """The values of a layer over the rows that were looked at.

    units      columns of the last axis: units of a dense layer, channels of an image
    dead       units with one value for all rows, and all places of an image
    alike      whether all units of a row have one value, in every row: they were never told apart
    saturated  share of values at an end of the activation's range (see RANGES in program/health.py); 0 for others
    mean, deviation  of the values
    """

    name: str
    kind: str
    units: int
    dead: int
    alike: bool
    saturated: Number
    mean: Number
    deviation: Number
    values: Histogram


@record
class TensorHealth:
    """A trained tensor: the roots of the mean squares of its values, of the loss's gradient, and of what one step of training changes.

    gradient, update   None where it is frozen
    """

    name: str
    size: int
    scale: Number
    gradient: Number | None
    update: Number | None
    values: Histogram


@record
class Diagnosis:
    """What is wrong with a training.

    name      what it is called in docs/doctor.md
    evidence  what was measured, with its numbers
    reason    why that is wrong, in a sentence
    override  the one value that is to be another: `optimizer.learning_rate=0.001`
    weight    how much it matters, from 0 to 1
    """

    name: str
    evidence: str
    reason: str
    override: str
    weight: float


@record
class Health(Event):
    """The inside of the network after `epoch` epochs, `step` steps, on `rows` rows of the training part.

    loss       the training loss on them, with dropout masks and the statistics of these rows;  data_loss, without penalties
    """

    epoch: int = setting()
    step: int = setting()
    rows: int = setting()
    loss: Number = setting()
    data_loss: Number = setting()
    layers: tuple[LayerHealth, ...] = setting()
    tensors: tuple[TensorHealth, ...] = setting()


@record
class Diagnosed(Event):
    """What the doctor found, what matters most first; nothing where nothing was wrong."""

    found: tuple[Diagnosis, ...] = setting()
