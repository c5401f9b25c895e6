"""`python -m benchmarks.doctor`: ill trainings and sound ones, and what the doctor says of each; writes the tables of docs/doctor.md.

An ill training is told where one of the names that it is listed with is among the diagnoses.  A sound one should be told nothing: each
diagnosis of one is a false alarm.  Names of trainings choose some: `python -m benchmarks.doctor sigmoid`, which prints and writes nothing.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import pipeline
from pipeline.doctor.told import brief
from pipeline.errors import DivergedError
from pipeline.tracking.health import Diagnosed, Diagnosis
from pipeline.tracking.journal import read_journal

DOCS = Path(__file__).parents[1] / "docs" / "doctor.md"
MARK = "<!-- written by python -m benchmarks.doctor -->"
DEEP = "architecture.layers=[{}]".format(",".join(["{kind: dense, units: 64}"] * 10))
NARROW = "architecture.layers=[{kind: dense, units: 32},{kind: dense, units: 1},{kind: dense, units: 32}]"
OUTPUT = "architecture.layers=[{kind: dense, units: 64},{kind: dense, units: 1, activation: {kind: sigmoid}}]"
SHORT = "training.epochs=20"
SMALL = "architecture=mlp_small"
TABLE = ("data=table", "data.path=rows.csv", "data.target=y", "data.task=classification")

ILL: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # what is wrong -> (names that are right, overrides)
    "a rate of 30 for sgd": (("learning rate too high",), ("optimizer=sgd", "optimizer.learning_rate=30", SMALL, SHORT)),
    "a rate of 3 for Adam": (("learning rate too high",), ("optimizer.learning_rate=3", SMALL, SHORT)),
    "a rate of 2 for momentum, wine": (
        ("learning rate too high", "dead units"),
        ("data=wine", "optimizer=momentum", "optimizer.learning_rate=2", "training.epochs=50"),
    ),
    "a rate of 1e-5 for sgd, wine": (
        ("learning rate too low",),
        ("data=wine", "optimizer=sgd", "optimizer.learning_rate=1e-5", "training.epochs=50"),
    ),
    "a rate of 1e-7 for Adam": (("learning rate too low",), ("optimizer.learning_rate=1e-7", SMALL, SHORT)),
    "gradients clipped to 1e-5": (
        ("learning rate too low",),
        ("optimizer=sgd", "optimizer.learning_rate=0.1", "regularization=clip_norm", "regularization.clip_norm=1e-5", SMALL, SHORT),
    ),
    "weights of 0": (("units alike",), ("initialization=zeros", SMALL, SHORT)),
    "weights of one constant": (("units alike",), ("initialization=constant", SMALL, SHORT)),
    "weights of 1 and tanh": (
        ("saturation", "start loss"),
        ("initialization=normal", "initialization.std=1", "activation=tanh", SMALL, SHORT),
    ),
    "weights of 1 in ten layers": (
        ("exploding gradients", "start loss"),
        (DEEP, "initialization=normal", "initialization.std=1", SHORT),
    ),
    "weights of 0.01 in ten layers": (("vanishing gradients",), (DEEP, "initialization=normal", "activation=tanh", SHORT)),
    "ten layers of sigmoid": (("vanishing gradients",), (DEEP, "activation=sigmoid", SHORT)),
    "biases of -20": (("dead units",), ("initialization.bias_init=-20", SMALL, SHORT)),
    "batch norm over batches of 2, iris": (
        ("batch norm with tiny batches",),
        ("data=iris", "normalization=batch", "training.batch_size=2", SHORT),
    ),
    "300 epochs on moons with much noise": (
        ("overfitting",),
        ("data=two_moons", "data.noise=0.5", "data.samples=300", "training.epochs=300", "regularization=none"),
    ),
    "labels at random": (("learned by heart", "overfitting"), ("random", *TABLE, "training.epochs=200", "regularization=none")),
    "raw inputs, wine": (("uncentred inputs",), ("data=wine", "preprocessing=none", "training.epochs=50")),
    "inputs about 1,000": (("uncentred inputs",), ("far", *TABLE, "preprocessing=none", "training.epochs=50")),
    "one row of 30 is of the rare class": (("unbalanced classes",), ("rare", *TABLE, "training.epochs=40")),
    "l2 of 10": (("penalty too strong",), ("regularization=l2", "regularization.l2=10", SMALL, SHORT)),
    "weight decay of 300 in AdamW": (("penalty too strong",), ("optimizer=adamw", "optimizer.weight_decay=300", SMALL, SHORT)),
    "targets of 150 as they are, diabetes": (
        ("unscaled targets",),
        ("data=diabetes", "preprocessing.targets=none", "training.epochs=50"),
    ),
    "a sigmoid after the last layer of a regression": (
        ("saturated output",),
        ("data=diabetes", OUTPUT, "architecture.head=none", "preprocessing.targets=none", "training.epochs=50"),
    ),
    "dropout of 97 %": (
        ("dropout too strong",),
        ("architecture=mlp_small", "regularization=dropout", "regularization.keep_prob=0.03", SHORT),
    ),
    "a schedule that is over at once": (
        ("schedule too fast",),
        ("optimizer=sgd", "schedule=exponential", "schedule.every=5", "schedule.factor=0.2", SMALL, "training.epochs=30"),
    ),
    "rings without a hidden layer": (("underfitting", "nothing learned"), ("data=rings", "architecture=linear", "training.epochs=40")),
    "a layer of one unit": (
        ("underfitting", "nothing learned", "dead units"),
        (NARROW, "training.epochs=40"),
    ),
    "ten epochs of slow sgd": (
        ("ended too early",),
        ("optimizer=sgd", "optimizer.learning_rate=0.003", "training.epochs=10", "training.batch_size=64", SMALL),
    ),
}
SOUND: Mapping[str, tuple[str, ...]] = {
    "digits, the defaults": (),
    "digits, batch norm": (
        "+experiment=bn",
        "training.epochs=10",
    ),
    "digits, dropout": (
        "+experiment=dropout",
        "training.epochs=10",
    ),
    "digits, small CNN": ("architecture=cnn_small", "training.epochs=2"),
    "digits, small CNN with group norm": ("architecture=cnn_small", "normalization=group", "normalization.groups=4", "training.epochs=2"),
    "digits, ResNet-20": ("architecture=resnet20", "training.epochs=1"),
    "digits, tanh and Xavier": (SMALL, SHORT, "activation=tanh", "initialization=xavier"),
    "digits, sigmoid": (SMALL, "activation=sigmoid", "initialization=xavier"),
    "digits, gelu and layer norm": (SMALL, SHORT, "activation=gelu", "normalization=layer"),
    "digits, elu": (
        SMALL,
        SHORT,
        "activation=elu",
    ),
    "digits, maxout": ("architecture=maxout_mlp", "training.epochs=5"),
    "digits, softmax regression": ("architecture=softmax_regression", SHORT),
    "digits, momentum and cosine": (SMALL, "optimizer=momentum", "schedule=cosine", "training.epochs=30"),
    "digits, AdamW": (SMALL, "optimizer=adamw", SHORT),
    "digits, RMSprop": (SMALL, "optimizer=rmsprop", SHORT),
    "digits, one cycle": (SMALL, "optimizer=sgd", "optimizer.learning_rate=0.5", "schedule=one_cycle", SHORT),
    "digits, label smoothing": (SMALL, "regularization=label_smoothing", SHORT),
    "digits, l2": (SMALL, "regularization=l2", SHORT),
    "digits, selu and alpha dropout": (SMALL, "activation=selu", "regularization=alpha_dropout", "initialization=lecun", SHORT),
    "digits, autoencoder": ("+experiment=autoencoder",),
    "iris": ("data=iris",),
    "wine": ("data=wine",),
    "breast cancer": ("data=breast_cancer",),
    "breast cancer, logistic regression": ("data=breast_cancer", "architecture=logistic_regression"),
    "diabetes": ("data=diabetes",),
    "diabetes, linear regression": ("data=diabetes", "architecture=linear_regression"),
    "moons": ("data=two_moons",),
    "rings": ("data=rings",),
    "moons, early stopping": ("data=two_moons", "training=early_stopping"),
    "wine, batch norm in batches of 16": ("data=wine", "normalization=batch", "training.batch_size=16"),
}


def _tables() -> Mapping[str, str]:
    """Tables of numbers with a class y: labels at random, inputs far from 0, a rare class."""
    draw = np.random.default_rng(0)
    x = draw.standard_normal((900, 8))
    rare = (x[:, 0] + 0.8 * draw.standard_normal(900) > 2.3).astype(int)
    made = {"random": (x[:300], draw.integers(0, 2, 300)), "rare": (x, rare), "far": (1000 + x, (x[:, 0] + x[:, 1] > 0).astype(int))}
    head = ",".join(f"x{k}" for k in range(8)) + ",y"
    return {
        name: "\n".join([head, *(",".join([*map("{:.6g}".format, row), f"c{label}"]) for row, label in zip(*pair, strict=True))])
        for name, pair in made.items()
    }


def told(overrides: Sequence[str]) -> tuple[Diagnosis, ...]:
    """What the doctor says of a training."""
    tables = _tables()
    asked = [text for text in overrides if text not in tables]
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place), contextlib.redirect_stdout(io.StringIO()):
        for name in set(overrides) & set(tables):
            Path("rows.csv").write_text(tables[name] + "\n", encoding="utf-8")
        config = pipeline.compose([*asked, "tracking=none", "training.doctor=true", "output=run"])
        with contextlib.suppress(DivergedError):
            pipeline.train(config, quiet=True)
        events = read_journal(Path("run"))
    return next(event.found for event in reversed(events) if isinstance(event, Diagnosed))


def main(chosen: Sequence[str]) -> None:
    """Runs the trainings, prints and writes the tables."""

    def wanted(name: str) -> bool:
        return not chosen or any(word in name for word in chosen)

    ill: dict[str, tuple[Diagnosis, ...]] = {}
    for name in filter(wanted, ILL):
        ill[name] = told(ILL[name][1])
        print("told " if _right(name, ill[name]) else "MISSED", name, *map(brief, ill[name]), sep="\n    ", flush=True)
    sound: dict[str, tuple[Diagnosis, ...]] = {}
    for name in filter(wanted, SOUND):
        sound[name] = told(SOUND[name])
        print("ALARM" if sound[name] else "quiet", name, *map(brief, sound[name]), sep="\n    ", flush=True)
    if not chosen:
        head = DOCS.read_text(encoding="utf-8").partition(MARK)[0]
        DOCS.write_text(head + MARK + "\n\n" + _page(ill, sound), encoding="utf-8")


def _right(name: str, found: Sequence[Diagnosis]) -> bool:
    return any(diagnosis.name in ILL[name][0] for diagnosis in found)


def _page(ill: Mapping[str, Sequence[Diagnosis]], sound: Mapping[str, Sequence[Diagnosis]]) -> str:
    """Both tables in Markdown."""
    right = sum(_right(name, found) for name, found in ill.items())
    first = sum(bool(found) and found[0].name in ILL[name][0] for name, found in ill.items())
    alarms = sum(bool(found) for found in sound.values())
    lines = [
        f"Told: {right} of {len(ill)} ill trainings, {first} of them as the first line. False alarms: {alarms} of {len(sound)} sound ones.",
        "",
        "| what is wrong | told | what is said first | suggested | also said |",
        "|---|---|---|---|---|",
    ]
    for name, found in ill.items():
        mark = "yes" if _right(name, found) else "**no**"
        said, override = (f"{found[0].name}: {_cell(found[0].evidence)}", f"`{found[0].override}`") if found else ("", "")
        lines.append(f"| {name} | {mark} | {said} | {override} | {', '.join(d.name for d in found[1:])} |")
    lines += ["", "| sound training | false alarms |", "|---|---|"]
    for name, found in sound.items():
        alarms_of = "; ".join(_cell(brief(d).removeprefix("doctor: ")) for d in found)
        lines.append(f"| {name} | {alarms_of or 'none'} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text in a cell of a table."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    main(sys.argv[1:])
