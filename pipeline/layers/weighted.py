"""What layers with a weight and a bias share: the slots that the groups of a config fill."""

from __future__ import annotations

from pipeline.layers.activation import ACTIVATIONS
from pipeline.layers.normalization import NORMALIZATIONS
from pipeline.layers.part import Activation, Normalization, OneInput
from pipeline.recipe.initialization import INITIALIZATIONS, Initialization
from pipeline.recipe.regularization import Regularization
from pipeline.records import record, setting


@record
class Weighted(OneInput):
    """A layer of units or channels, each a weighted sum of the inputs.  Fields left null come from the groups of the same name.

    frozen: the optimizer leaves its tensors, and those of its slots, as they are, and nothing decays them; running statistics go on.
    """

    name: str | None = setting(None)
    input: str | None = setting(None)
    initialization: Initialization | None = setting(None, kinds=INITIALIZATIONS)
    normalization: Normalization | None = setting(None, kinds=NORMALIZATIONS)
    activation: Activation | None = setting(None, kinds=ACTIVATIONS)
    regularization: Regularization | None = setting(None)
    frozen: bool = setting(False)

    @property
    def start(self) -> Initialization:
        """What the weight is drawn from, once the slots are filled."""
        assert self.initialization is not None, "a slot is not filled"
        return self.initialization
