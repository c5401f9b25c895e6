"""Augmentation: what it draws, where it acts and where it does not, and that its bits repeat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pipeline
from pipeline import random
from pipeline.config.experiment import Experiment
from pipeline.config.spec import experiment
from pipeline.data import DataShape
from pipeline.graph.text import digest
from pipeline.graph.values import Array
from pipeline.program.make import compile_experiment, compile_stack
from pipeline.program.program import Program
from tests.refusal import refused

IMAGES = DataShape(input_shape=(8, 7, 2), classes=3)
EVERYTHING = {"shift": 2, "crop": 3, "flip": 0.5}
ROWS, BATCH = 20, 6


def config(augmentation: dict[str, Any] | None = None, **changes: Any) -> Experiment:
    plain = {
        "architecture": {"layers": [{"kind": "conv", "channels": 4}, {"kind": "dense", "units": 5}], "head": "auto"},
        "training": {"batch_size": BATCH},
        "augmentation": augmentation or {},
        **changes,
    }
    return experiment(plain)


def program(augmentation: dict[str, Any] | None = None, **changes: Any) -> Program:
    return compile_experiment(config(augmentation, **changes), IMAGES)


def data() -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, *IMAGES.input_shape)).astype(np.float32)
    return x, rng.integers(0, 3, ROWS), rng.integers(0, ROWS, (6, BATCH))


def by_hand(x: Array, settings: dict[str, Any], seed: int, step: int) -> Array:
    """The batch x after shift, crop and flip, from the numbers of the generator."""

    def draws(name: str, *shape: int) -> Array:
        count = int(np.prod(shape))
        return random.uniform(seed, random.AUGMENTATION, f"augmentation.{name}", step, count).reshape(shape)

    moved = []
    for n, image in enumerate(x):
        for name, mode in (("shift", "edge"), ("crop", "constant")):
            margin = settings.get(name, 0)
            top, left = np.floor(draws(name, len(x), 2)[n] * (2 * margin + 1)).astype(int)
            padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode=mode)
            image = padded[top : top + image.shape[0], left : left + image.shape[1]]
        moved.append(image[:, ::-1] if draws("flip", len(x))[n] < settings.get("flip", 0) else image)
    return np.stack(moved)


@pytest.mark.parametrize("backend", ["reference", "numpy"])
@pytest.mark.parametrize("settings", [{"shift": 2}, {"crop": 3}, {"flip": 0.5}, {"flip": 1.0}, EVERYTHING], ids=str)
def test_the_training_loss_is_that_of_the_moved_images(settings: dict[str, Any], backend: str) -> None:
    x, y, _ = data()
    kind = {"backend": {"kind": backend}, "precision": "float64", "seed": 5}
    augmented, plain = program(settings, **kind), program(**kind)
    augmented.steps_done = 3
    moved = by_hand(x, settings, 5, 3)
    assert not np.array_equal(moved, x)
    assert augmented.loss(x, y, training=True) == pytest.approx(plain.loss(moved, y), rel=1e-13)
    for name, gradient in plain.gradients(moved, y).items():
        np.testing.assert_allclose(augmented.gradients(x, y)[name], gradient, rtol=1e-9, atol=1e-13)


def test_evaluation_sees_the_images_as_they_are() -> None:
    x, y, _ = data()
    augmented, plain = program(EVERYTHING), program()
    np.testing.assert_array_equal(augmented.predict(x), plain.predict(x))
    assert augmented.loss(x, y) == plain.loss(x, y)
    graphs = [digest(p.structure.lowered("evaluate", 8)) for p in (augmented, plain)]
    assert graphs[0] == graphs[1] and augmented.digest != plain.digest


def test_without_augmentation_the_graph_has_nothing_of_it() -> None:
    graph = program({"flip": 0.0}).structure.lowered("train", BATCH)
    assert not {node.op for node in graph.nodes} & {"shift", "mirror", "uniform"}
    assert not [i.name for i in graph.inputs if "augmentation" in i.name]


def test_augmentation_leaves_the_initial_weights_alone() -> None:
    augmented, plain = program(EVERYTHING), program()
    assert all(np.array_equal(value, plain.parameters()[name]) for name, value in augmented.parameters().items())


def trained(runs: list[Array], **backend: Any) -> dict[str, Array]:
    x, y, _ = data()
    made = program(EVERYTHING, backend={"kind": "numpy", **backend})
    for order in runs:
        made.run(x, y, order)
    return made.state()


def test_bits_do_not_depend_on_threads_or_on_how_the_steps_are_cut() -> None:
    order = data()[2]
    whole = trained([order], threads=1)
    for other in (trained([order], threads=2), trained([order[:1], order[1:4], order[4:]], threads=1)):
        assert all(np.array_equal(value, other[name]) for name, value in whole.items())


def test_bits_are_the_same_after_a_state_is_loaded() -> None:
    x, y, order = data()
    first = program(EVERYTHING)
    first.run(x, y, order[:2])
    second = program(EVERYTHING)
    second.load_state(first.state())
    second.run(x, y, order[2:])
    whole = trained([order])
    assert all(np.array_equal(value, whole[name]) for name, value in second.state().items())


def test_a_trial_of_a_stack_draws_what_it_draws_alone() -> None:
    x, y, order = data()
    stack = compile_stack([config(EVERYTHING, seed=s) for s in (0, 1)], IMAGES)
    losses = stack.run(x, y, np.stack([order, order]))
    for seed in (0, 1):
        np.testing.assert_array_equal(losses[seed], program(EVERYTHING, seed=seed).run(x, y, order))


def test_draws_change_from_step_to_step_and_with_the_seed() -> None:
    x = data()[0]
    moved = [by_hand(x, EVERYTHING, seed, step) for seed, step in ((0, 0), (0, 1), (1, 0))]
    assert all(not np.array_equal(a, b) for i, a in enumerate(moved) for b in moved[:i])


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["data=iris", "augmentation=flip"],
            "augmentation.flip = 0.5: needs images [height, width, channels], and a row has shape [4]; use augmentation=none",
        ),
        (
            ["data=digits", "preprocessing=whiten", "augmentation=shift"],
            "augmentation.shift = 2: needs images [height, width, channels], and a row has shape [64]; use augmentation=none",
        ),
        (["data=digits", "augmentation.crop=8"], "augmentation.crop = 8: the images have 8 x 8 pixels; use at most 7"),
        (["data=digits", "augmentation.flip=1.5"], "augmentation.flip = 1.5: must be at most 1"),
        (["data=digits", "augmentation.shift=-1"], "augmentation.shift = -1: must be at least 0"),
    ],
)
def test_what_cannot_be_augmented_is_refused(overrides: list[str], sentence: str) -> None:
    with refused(sentence):
        pipeline.compile(pipeline.compose(overrides))
