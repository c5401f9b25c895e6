"""What explain prints: short by default, any part on demand; and the variances that it expects."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline import cli
from pipeline.config import compose, spec
from pipeline.errors import ConfigError
from pipeline.program.make import compile_experiment
from pipeline.program.program import Program
from pipeline.program.variance import Expected, predicted


def program(*overrides: str) -> Program:
    return compile_experiment(spec.experiment(compose.compose(["backend.threads=1", *overrides])))


def expected(*overrides: str) -> dict[str, Expected]:
    made = program("backend=reference", *overrides)
    return {row.layer: row for row in predicted(made.structure.network, made.seed)}


def titles(text: str) -> list[str]:
    return re.findall(r"^== (.*) ==$", text, re.MULTILINE)


def test_the_default_is_short_and_says_how_to_see_more() -> None:
    text = program("architecture=mlp_small").explain()
    assert titles(text) == ["layers", "decay", "variance", "compilation", "memory"]
    assert len(text.splitlines()) < 50
    assert text.endswith("the whole graphs, plan and program: explain.parts=[graphs,plan,program], or [all]")
    assert re.search(r"^train, batch 64: \d+ nodes -> \d+ calls in \d+ phases$", text, re.MULTILINE)
    assert re.search(
        r"^train,    batch   64: state [\d,]+ bytes; work [\d,]+ bytes \([\d,]+ without reuse, \d+ % saved\)$", text, re.MULTILINE
    )
    row = r"beside it the data: 256 bytes a row \(64 where they are stored as bytes\)"
    assert re.search(rf"^peak:     [\d,]+ bytes in training and evaluation; {row}$", text, re.MULTILINE)


def test_the_peak_is_the_state_and_the_largest_room_of_a_form() -> None:
    made = program("architecture=mlp_small", "normalization=batch").structure
    plans = [made.compiled(form, batch).plan for form, batch in (("train", 64), ("fold", 1), ("evaluate", made.evaluation_batch))]
    scratch = [made.backend.scratch_bytes(plan) or 0 for plan in plans]
    assert made.peak() == plans[0].state_bytes + max(plan.work_bytes for plan in plans) + max(scratch)
    oracle = program("architecture=mlp_small", "backend=reference")
    assert oracle.explain(["memory"]).endswith("peak:     not planned: the reference backend makes arrays as it goes")


def test_parts_come_in_their_order_and_only_those() -> None:
    made = program("architecture=mlp_small", "normalization=batch")
    assert titles(made.explain(["memory", "layers"])) == ["layers", "layer pass bias", "layer pass fold, for evaluation", "memory"]
    assert titles(made.explain(["plan"])) == ["train: plan", "fold: plan", "evaluate: plan"]
    whole = titles(made.explain(["all", "layers"]))
    assert {"layers", "variance", "train: op graph, batch 64", "train: plan", "evaluate: program"} <= set(whole)
    assert len(whole) == len(set(whole))


def test_an_unknown_part_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        program("architecture=mlp_small").explain(["layer"])
    assert str(caught.value) == "explain.parts[0] = layer: unknown choice; did you mean layers?"


def test_the_command_prints_the_parts_that_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["task=explain", "architecture=mlp_small", "explain.parts=[decay]"]) == 0
    out = capsys.readouterr().out
    assert titles(out) == ["decay"] and "no decay, as for every bias, gamma, beta and alpha: fc1.bias, fc2.bias, fc3.bias" in out
    assert cli.main(["explain.parts=[layers]"]) == 2
    assert capsys.readouterr().err == "error: explain.parts = ['layers']: only task=explain reads it; give task=explain, or leave it out\n"
    assert list(tmp_path.iterdir()) == []


DEPTH = "architecture.layers=[" + ", ".join(["{kind: dense, units: 500}"] * 10) + "]"
WIDE = ("data.input_shape=[1000]", "data.classes=10", "data.kind=npz", DEPTH)


def test_he_keeps_the_variance_of_a_deep_relu_network_and_lecun_halves_it() -> None:
    he, lecun = expected(*WIDE), expected(*WIDE, "initialization=lecun")
    for depth in range(1, 11):
        assert he[f"fc{depth}"].variance == pytest.approx(2.0, rel=0.02 * depth)
        assert lecun[f"fc{depth}"].variance == pytest.approx(0.5 ** (depth - 1), rel=0.02 * depth)
    assert he["relu1"].mean == pytest.approx(1 / np.sqrt(np.pi), rel=0.02)


def test_tanh_layers_have_the_deviations_measured_on_a_real_network() -> None:
    """10 x 500 tanh on 1000 standard normal inputs, weights of variance 1 / fan_in: deviations 0.627, 0.319, 0.227."""
    found = expected(*WIDE, "activation=tanh", "initialization=lecun")
    for depth, deviation in ((1, 0.627), (5, 0.319), (10, 0.227)):
        assert np.sqrt(found[f"tanh{depth}"].variance) == pytest.approx(deviation, rel=0.03)


def test_the_prediction_is_what_a_wide_network_does() -> None:
    overrides = (*WIDE, "normalization=layer", "regularization=dropout", "activation=elu", "initialization.bias_init=0.1")
    found = expected(*overrides)
    made = program("backend=reference", *overrides)
    x = np.random.default_rng(0).standard_normal((64, 1000))
    values = made.layer_values(x)
    for name in ("fc1", "elu1"):  # dropout is not in evaluation, so what follows it differs
        assert found[name].variance == pytest.approx(float(values[name].var()), rel=0.05)
        assert found[name].mean == pytest.approx(float(values[name].mean()), abs=0.03)
    kept = found["elu1"]
    square = kept.variance + kept.mean**2
    assert found["dropout1"].variance + found["dropout1"].mean ** 2 == pytest.approx(square / 0.8, rel=0.03)


@pytest.mark.parametrize(
    "overrides",
    [("architecture=resnet20",), ("architecture=cnn_small", "activation=prelu"), ("architecture=maxout_mlp", "normalization=batch")],
    ids=lambda o: o[0],
)
def test_every_layer_of_the_larger_architectures_has_a_finite_prediction(overrides: tuple[str, ...]) -> None:
    made = program("backend=reference", *overrides)
    rows = predicted(made.structure.network, made.seed)
    assert [row.layer for row in rows] == [name for name, *_ in made.layers]
    assert all(np.isfinite(row.mean) and row.variance > 0 for row in rows)


def test_zeros_are_predicted_to_stay_zero() -> None:
    found = expected("architecture=mlp_small", "initialization=zeros")
    assert (found["fc2"].mean, found["fc2"].variance) == (0.0, 0.0)
