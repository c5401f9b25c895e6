"""Values made again for the backward half: less memory, the same bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backends.cupy import CupyBackend
from pipeline.compiler.structure import Structure
from pipeline.config.experiment import Experiment
from pipeline.config.spec import experiment
from pipeline.data import DataShape
from pipeline.errors import ConfigError
from pipeline.program.make import compile_experiment
from pipeline.program.program import Program
from tests.cuda.shim import ShimDevice, compiler

DENSE = {"kind": "dense", "units": 48, "normalization": {"kind": "batch"}, "regularization": {"dropout": "inverted", "keep_prob": 0.8}}
CONV = {"kind": "conv", "channels": 8, "kernel": 3, "normalization": {"kind": "batch"}}
NETWORKS = {
    "dense": ([DENSE, DENSE], (20,)),
    "convolutions": ([CONV, CONV, {"kind": "max_pool", "kernel": 2}, CONV, DENSE], (12, 12, 2)),
    "tanh": ([{**DENSE, "activation": {"kind": "tanh"}, "regularization": {}}] * 2, (20,)),
}


def _config(layers: object, **backend: object) -> Experiment:
    plain = {"architecture": {"layers": layers}, "training": {"batch_size": 32}, "optimizer": {"kind": "adam"}}
    return experiment({**plain, "backend": {"kind": "numpy", "threads": 1, **backend}})


def _trained(program: Program, shape: tuple[int, ...]) -> tuple[bytes, ...]:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, *shape)), rng.integers(0, 3, 100)
    losses = program.run(x, y, rng.integers(0, 100, (6, 32)))
    return (losses.tobytes(), *(value.tobytes() for value in program.state().values()))


@pytest.mark.parametrize("name", list(NETWORKS))
def test_the_bits_are_the_same(name: str) -> None:
    layers, shape = NETWORKS[name]
    kept, again = (compile_experiment(_config(layers, recompute=on), DataShape(input_shape=shape, classes=3)) for on in (False, True))
    assert _trained(kept, shape) == _trained(again, shape)


@pytest.mark.parametrize(("name", "share"), [("dense", 0.9), ("convolutions", 0.8)])
def test_a_step_takes_less_memory(name: str, share: float) -> None:
    layers, shape = NETWORKS[name]
    kept, again = (_structure(_config(layers, recompute=on), shape).compiled("train", 32) for on in (False, True))
    assert again.plan.work_bytes < share * kept.plan.work_bytes
    (reason,) = again.reports[-1].reasons
    assert reason.startswith(f"{len(layers) if name == 'dense' else 4} values are made again for the backward half: ")


def test_what_is_dear_is_kept() -> None:
    layers, shape = NETWORKS["tanh"]
    assert _structure(_config(layers, recompute=True), shape).compiled("train", 32).reports[-1].reasons == ()


@pytest.mark.integration
@pytest.mark.skipif(not compiler(), reason="no C++ compiler")
def test_the_same_bits_as_cuda() -> None:
    layers, shape = NETWORKS["convolutions"]
    config, data = _config(layers, recompute=True), DataShape(input_shape=shape, classes=3)
    losses = []
    for backend in (CupyBackend(ShimDevice()), None):
        structure = Structure(config, data, backend) if backend else compile_experiment(config, data).structure
        program = Program(structure, config, structure.allocate(1))
        rng = np.random.default_rng(0)
        losses.append(program.run(rng.normal(size=(64, *shape)), rng.integers(0, 3, 64), np.arange(64).reshape(2, 32)))
    assert losses[0].tobytes() == losses[1].tobytes()


def test_the_oracle_keeps_every_value() -> None:
    config = _config(NETWORKS["dense"][0])
    config = replace(config, backend=replace(config.backend, kind="reference", recompute=True))
    with pytest.raises(ConfigError) as caught:
        compile_experiment(config, DataShape(input_shape=(20,), classes=3))
    assert str(caught.value) == "backend.recompute = true: the reference backend keeps every value; use numpy, or leave it out"


def _structure(config: Experiment, shape: tuple[int, ...]) -> Structure:
    return compile_experiment(config, DataShape(input_shape=shape, classes=3)).structure
