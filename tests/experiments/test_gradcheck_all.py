"""The experiment that checks the gradient of every kind of layer at once."""

from __future__ import annotations

import numpy as np

from pipeline.checks.gradients import GOOD, check_tensor
from pipeline.checks.material import material
from pipeline.checks.probe import Probe
from pipeline.config import spec
from pipeline.config.compose import compose
from pipeline.layers import LAYERS
from pipeline.layers.activation import ACTIVATIONS
from pipeline.layers.normalization import NORMALIZATIONS

# tests/layers/test_catalogue.py checks the gradients of the later ones
ELSEWHERE = ("reshape", "maxout", "activation", "normalization", "dropout", "upsample")


def test_every_parameter_of_every_kind_of_layer_is_below_1e_7() -> None:
    config = spec.experiment(compose(["+experiment=gradcheck_all"]))
    kinds = {type(layer) for layer in config.architecture.layers}
    assert kinds >= {LAYERS[kind] for kind in LAYERS if kind not in ELSEWHERE}
    used = {
        type(getattr(layer, slot))
        for layer in config.architecture.layers
        for slot in ("activation", "normalization")
        if hasattr(layer, slot)
    }
    assert used >= {ACTIVATIONS[kind] for kind in ACTIVATIONS if kind not in ("identity", "formula")}
    assert used >= {NORMALIZATIONS[kind] for kind in NORMALIZATIONS if kind not in ("none", "rms")}
    rows = material(config)
    probe = Probe(config, rows, np.arange(8))
    for name, gradient in probe.gradients().items():
        found = check_tensor(probe, name, gradient.reshape(-1), 4, config.seed)
        assert found.checked and (found.error < GOOD or found.rounding), found
