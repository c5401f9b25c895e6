"""A layer of an extension is one like the others: read strictly, compiled, checked, trained alone and in stacks, on each backend."""

from __future__ import annotations

import re

import numpy as np
import pytest

import pipeline
from pipeline.errors import ExtensionError
from pipeline.sklearn import Classifier
from tests.extend.conftest import Write
from tests.extend.kinds import KINDS, SLOTS
from tests.refusal import refused

LAYERS = "architecture.layers=[{kind: dense, units: 6}, {kind: gate, slope: 2}]"
SMALL = ("data=wine", "training.batch_size=16", "training.epochs=2", "tracking=none", LAYERS)


def test_it_trains_to_the_same_losses_on_both_backends(module: Write) -> None:
    asked = (*SMALL, f"extensions=[{module('gates_a')}]", "precision=float64")
    native, oracle = (pipeline.train(pipeline.compose([*asked, f"backend={name}"]), quiet=True) for name in ("numpy", "reference"))
    assert list(native.program.parameters()) == ["fc1.weight", "fc1.bias", "gate1.weight", "gate1.bias", "fc2.weight", "fc2.bias"]
    for ours, theirs in zip(native.epochs, oracle.epochs, strict=True):
        assert ours["loss/train"] == pytest.approx(theirs["loss/train"], rel=1e-12)
    x = np.linspace(0, 1, 26).reshape(2, 13)
    np.testing.assert_allclose(pipeline.load(native.folder).predict(x), oracle.program.predict(x), rtol=1e-12)


def test_trials_that_differ_in_a_value_of_it_train_in_one_stack(module: Write) -> None:
    configs = [
        pipeline.compose([*SMALL, f"extensions=[{module('gates_b')}]", f"architecture.layers.1.slope={slope}"]) for slope in (1, 2.5)
    ]
    alone = [pipeline.compile(cfg) for cfg in configs]
    stack = pipeline.stack(configs)
    x, y, order = np.random.default_rng(0).normal(size=(16, 13)), np.arange(16) % 3, np.arange(16).reshape(2, 8)
    for program in alone:
        program.run(x, y, order)
    stack.run(x, y, np.stack([order, order]))
    for program, member in zip(alone, stack.programs, strict=True):
        for name, value in program.state().items():
            np.testing.assert_array_equal(value, member.state()[name])


def test_its_settings_are_read_as_strictly_as_those_of_any_layer(module: Write) -> None:
    asked = ["data=wine", f"extensions=[{module('gates_c')}]"]
    for layer, sentence in {
        "{kind: gate, slop: 2}": "architecture.layers[0].slop = 2: unknown key; did you mean slope?",
        "{kind: gate, slope: 0}": "architecture.layers[0].slope = 0: must be above 0",
        "{kind: gate, slope: wide}": "architecture.layers[0].slope = wide: must be a number, not a word",
        "{kind: gats}": "architecture.layers[0].kind = gats: unknown kind; did you mean gate?",
    }.items():
        with refused(sentence):
            pipeline.compose([*asked, f"architecture.layers=[{layer}]"])
    with refused("architecture.layers[0].input = [8, 8, 1]: must be rows of numbers; put a flatten layer before it"):
        pipeline.compile(pipeline.compose(["data=digits", asked[1], "architecture.layers=[{kind: gate}]"]))


BROKEN = """
from pipeline import extend

@extend.layer("thin")
class Thin(extend.Layer):
    def lower(self, b, inputs, given, *, training):
        {body}
"""
PLACES = {
    "return 1 / 0": r"layer thin: thin_\w, line 7: ZeroDivisionError: division by zero; the traceback is in \S+\.log",
    'return b.add("nope", inputs[0])': r"layer thin: thin_\w, line 7: KeyError: 'nope'; the traceback is in \S+\.log",
    'return b.add("sum", inputs[0], axes=(1,))': (
        r"layer thin: shape\(\) says \[16, 13\] and lower\(\) gives \[16\], for inputs \[16, 13\]"
    ),
    "raise SystemExit(3)": r"layer thin: thin_\w, line 7: SystemExit: 3; the traceback is in \S+\.log",
}  # fmt: skip


@pytest.mark.parametrize("body", PLACES)
def test_what_its_code_raises_is_one_line_with_its_place(module: Write, body: str) -> None:
    name = module(f"thin_{'abcd'[list(PLACES).index(body)]}", BROKEN.format(body=body))
    cfg = pipeline.compose([f"extensions=[{name}]", *SMALL[:2], "architecture.layers=[{kind: thin}]"])
    with pytest.raises(ExtensionError, match=rf"\A{PLACES[body]}\Z"):
        pipeline.compile(cfg).predict(np.zeros((1, 13)))


def test_a_name_that_is_taken_is_refused(module: Write) -> None:
    text = BROKEN.format(body="return inputs[0]")
    with refused("taken_a: layer dense: the product has one of this name; use another", ExtensionError):
        pipeline.compose([f"extensions=[{module('taken_a', text.replace('thin', 'dense'))}]"])
    with refused("taken_b: layer 'Big one': a name is small letters, digits and _, a letter first", ExtensionError):
        pipeline.compose([f"extensions=[{module('taken_b', text.replace('thin', 'Big one'))}]"])
    pipeline.compose([f"extensions=[{module('taken_c', text)}]"])
    with refused("taken_d: layer thin: taken_c has one of this name; use another, or load one of the two", ExtensionError):
        pipeline.compose([f"extensions=[{module('taken_d', text)}]"])


def test_estimators_of_scikit_learn_take_it_and_its_callbacks(module: Write) -> None:
    asked = (f"extensions=[{module('gates_k', KINDS)}]", LAYERS, "callbacks=[{kind: enough, loss: 9}]", "training.epochs=5")
    x = np.random.default_rng(0).normal(size=(60, 4))
    found = Classifier(overrides=asked).fit(x, x[:, 0] > 0)
    assert "gate1.weight" in found.program_.parameters() and found.n_iter_ == 1  # the callback ends it after the first epoch
    assert found.predict(x).dtype == np.bool_


def test_explain_names_its_extension(module: Write) -> None:
    text = pipeline.compile(pipeline.compose([*SMALL, f"extensions=[{module('gates_l')}]"])).explain(["layers"])
    assert re.search(r"layer gate, of gates_l \(sha256 [0-9a-f]{12}\): y = x \* sigmoid\(slope \(x W \+ b\)\)", text)


def test_no_pass_takes_what_it_calls_a_bias_for_one(module: Write) -> None:
    """Batch norm behind it took the tensor out, as it takes the bias of a dense layer; an initialization wrote over its start."""
    layers = "architecture.layers=[{kind: rescaled, units: 6, normalization: batch}, {kind: dense, units: 6, name: a}, "
    layers += "{kind: product, inputs: [rs1, a]}, {kind: normalization, normalization: batch}]"
    asked = ["data=wine", f"extensions=[{module('slots_a', SLOTS)}]", layers, "precision=float64", "training.batch_size=16"]
    native, oracle = (pipeline.compile(pipeline.compose([*asked, f"backend={name}"])) for name in ("numpy", "reference"))
    np.testing.assert_array_equal(native.parameters()["rs1.bias"], np.full(6, 1.5))
    x, y, order = np.random.default_rng(0).normal(size=(16, 13)), np.arange(16) % 3, np.arange(32).reshape(2, 16) % 16
    for program in (native, oracle):
        program.run(x, y, order)
    np.testing.assert_allclose(native.predict(x), oracle.predict(x), rtol=1e-9)  # batch norm is folded into weights in one of the two


def test_the_variance_that_is_expected_is_that_of_its_own_ops(module: Write) -> None:
    layers = "architecture.layers=[{kind: rescaled, units: 400, activation: identity}]"
    cfg = pipeline.compose([f"extensions=[{module('slots_b', SLOTS)}]", layers, "data.input_shape=[400]", "data.classes=3"])
    program = pipeline.compile(cfg)
    (told,) = [line.split()[-1] for line in program.explain(["variance"]).splitlines() if line.startswith("rs1 ")]
    x = np.random.default_rng(0).normal(size=(2000, 400)).astype(np.float32)
    assert float(told) == pytest.approx(program.layer_values(x)["rs1"].var(), rel=0.1)
