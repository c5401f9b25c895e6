"""Dense layer: y = x W + b."""

# N batch, I inputs, O units
from __future__ import annotations

from pipeline.initialization import INITIALIZATIONS
from pipeline.layers.activation import ACTIVATIONS
from pipeline.layers.normalization import NORMALIZATIONS
from pipeline.records import record, setting
from pipeline.regularization import Regularization


@record
class Dense:
    """y = x W + b, x [N, I] -> y [N, O]; W [I, O] is `NAME.weight`, b [O] is `NAME.bias`.

    An input of more than two axes is flattened to [N, I] first.  Fields left null come from the groups of the same name.
    """

    units: int = setting(least=1)
    name: str | None = setting(None)
    input: str | None = setting(None)
    initialization: object = setting(None, kinds=INITIALIZATIONS)
    normalization: object = setting(None, kinds=NORMALIZATIONS)
    activation: object = setting(None, kinds=ACTIVATIONS)
    regularization: Regularization | None = setting(None)
