"""What MLflow's page of a training says beside its curves: a name that tells it apart, its parameters, its description, its data."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from pipeline.config import spec
from pipeline.config.arms import ARM
from pipeline.config.claims import claim
from pipeline.data import Dataset
from pipeline.screen.wording import MACRO, number
from pipeline.search.settings import REPEATS
from pipeline.tasks.context import RunContext
from pipeline.text import leaving
from pipeline.tracking.journal import Data
from pipeline.tracking.page import Page
from pipeline.tracking.provenance import flatten

LONGEST_NAME = 100  # characters; what does not fit is in the parameters
MOST_PARAMS, LONGEST_PARAM, MOST_COLUMNS = 60, 250, 100
ASIDE = ("task", "experiment", "run", "resume", "output", "tracking", "backend", "sweep", "hydra", "trial")  # no part of a name
ALWAYS = (
    "activation.kind", "normalization.kind", "initialization.kind", "optimizer.kind", "optimizer.learning_rate", "schedule.kind",
    "loss.kind", "data.kind", "training.epochs", "training.batch_size", "seed", "precision",
)  # fmt: skip
LOGARITHMIC = ("learning_rate", "weight_decay", "l1", "l2")  # last words of what is searched on a logarithmic scale
DEFAULT = "Runs without an experiment of their own; the description of each says what was run."


def page(
    config: Mapping[str, Any],
    dataset: Dataset,
    context: RunContext,
    *,
    base: str,
    parameters: int,
    notes: Sequence[str],
    source: str | None,
) -> Page:
    """The page of a training that begins.

    base        what it is called without the values that set it apart: its experiment, or its data
    parameters  how many numbers it trains
    source      the file of the data, where it is one
    """
    name, about = named(base, config, context), leaving(claim(context.overrides))
    return Page(
        name=name,
        params=params(config, context) | {"parameters": str(parameters)},
        note=_note(name, about, config, dataset, parameters, notes),
        about=about or DEFAULT,
        data=data_of(dataset, source),
    )


def named(base: str, config: Mapping[str, Any], context: RunContext) -> str:
    """`bn learning_rate=0.01 seed=3`: what was asked for beside the experiment; of a job of a sweep, what sets it apart in that."""
    if context.job is not None:
        return leaving(f"{base} {context.own or context.job}")[:LONGEST_NAME]
    asked = dict(text.partition("=")[::2] for text in context.overrides)
    pairs = [(path, value) for path, value in asked.items() if path.partition(".")[0] not in ASIDE and path != "seed" and value != base]
    short = [path.rpartition(".")[2] for path, _ in pairs]
    words = [f"{word if short.count(word) == 1 else path}={_brief(value)}" for word, (path, value) in zip(short, pairs, strict=True)]
    end = f" seed={config.get('seed', 0)}"
    return leaving(f"{' '.join([base, *words])[: LONGEST_NAME - len(end)]}{end}")


def _brief(value: str) -> str:
    """A path by its last part."""
    return Path(value).name if "/" in value else value


def params(config: Mapping[str, Any], context: RunContext) -> dict[str, str]:
    """What differs from the defaults, the few that always matter, and what varies in the sweep; layers in one line; log10 of some."""
    whole, usual = flatten(config), defaults()
    varied = [text.partition("=")[0] for text in context.varied]
    asked = [*ALWAYS, *varied, *(name for name, value in whole.items() if usual.get(name) != value)]
    wanted = [name for name in dict.fromkeys(asked) if name in whole and whole[name] not in ("null", "[]", "{}", "")]
    layers = "architecture.layers."
    kept = [name for name in wanted if name in varied or not name.startswith((layers, "data.columns.", "backend.", "sweep."))]
    found = {"architecture": _layers(config)} | {name: whole[name][:LONGEST_PARAM] for name in kept[:MOST_PARAMS]}
    chosen = dict(text.partition("=")[::2] for text in context.varied)
    found |= {path: value[:LONGEST_PARAM] for path, value in chosen.items() if path not in found and path != "trial"}  # options of groups
    found |= _arm(chosen)
    scaled = [name for name in found if (name in chosen and name != "seed") or name.rpartition(".")[2] in LOGARITHMIC]
    return found | {f"log10.{name}": f"{math.log10(value):.4g}" for name in scaled if (value := _positive(found[name]))}


def _arm(chosen: Mapping[str, str]) -> dict[str, str]:
    """What sets the arms of a sweep apart as one short word, `.01,relu`: MLflow groups by it, its list has room for six letters."""
    values = [re.sub(r"^(-?)0\.(?=\d)", r"\1.", value) for path, value in chosen.items() if path not in REPEATS]
    return {ARM: ",".join(values)[:LONGEST_PARAM]} if len(values) > 1 and ARM not in chosen else {}


def _positive(text: str) -> float:
    """The number that `text` is, 0 where it is none or has no logarithm."""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 < value < math.inf else 0.0


@cache
def defaults() -> Mapping[str, str]:
    """The values of a config that gives nothing, by path; its layers in one line."""
    usual = spec.to_plain(spec.experiment({}))
    return flatten(usual) | {"architecture": _layers(usual)}


def _layers(config: Mapping[str, Any]) -> str:
    """`dense 512, dense 512`; layers that repeat are counted: `3 x (residual 16)`."""
    layers = config.get("architecture", {}).get("layers", ())
    said = [" ".join(str(one) for one in (layer.get("kind"), layer.get("units") or layer.get("channels")) if one) for layer in layers]
    text = ", ".join(name if (count := len(list(same))) == 1 else f"{count} x {name}" for name, same in groupby(said))
    return (text or "no hidden layer")[:LONGEST_PARAM]


def _note(name: str, about: str, config: Mapping[str, Any], dataset: Dataset, parameters: int, notes: Sequence[str]) -> str:
    rows = ", ".join(f"{len(part):,} {word}" for word, part in _parts(dataset).items() if len(part))
    told = [about, f"{parameters:,} parameters: {_layers(config)}.  \nData: {leaving(dataset.name)}, rows: {rows} ({dataset.division})."]
    return "\n\n".join(filter(None, [f"**{name}**", *told, "\n".join(f"- {leaving(note)}" for note in notes)]))


def result_note(before: str, metrics: Mapping[str, float], message: str) -> str:
    """The description of a run that is over: its results, how it went, then what was said at its start."""
    parts = [part for part in ("train", "validation", "test") if any(name.endswith(f"/{part}") for name in metrics)]
    lines = ["| | " + " | ".join(parts) + " |", "|---" * (len(parts) + 1) + "|"]
    for quantity in dict.fromkeys(name.rpartition("/")[0] for name in metrics if name.rpartition("/")[2] in parts):
        cells = [number(name, metrics[name]) if (name := f"{quantity}/{part}") in metrics else "" for part in parts]
        lines.append(f"| {quantity}{' (macro)' if quantity in MACRO else ''} | " + " | ".join(cells) + " |")
    title, _, rest = before.partition("\n\n")
    return "\n\n".join(filter(None, [title, "\n".join(lines) if parts else "", message, rest]))


def _parts(dataset: Dataset) -> dict[str, Any]:
    return {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}


def data_of(dataset: Dataset, source: str | None) -> Data:
    """The data set in MLflow's terms: fingerprint, columns and their types (of wide tables and of arrays the shape), rows of each part."""
    profile: dict[str, Any] = {f"{word} rows": len(part) for word, part in _parts(dataset).items()}
    profile |= {"task": dataset.task, "split": dataset.division}
    if dataset.classes is not None:
        profile["classes"] = dataset.classes
    names = dataset.feature_names
    if names and len(names) <= MOST_COLUMNS:
        schema: dict[str, Any] = {"mlflow_colspec": [{"type": "double", "name": str(name), "required": True} for name in names]}
    else:
        spec_ = {"dtype": str(dataset.train.x.dtype), "shape": [-1, *dataset.shape.input_shape]}
        schema = {"mlflow_tensorspec": {"features": json.dumps([{"type": "tensor", "tensor-spec": spec_}]), "targets": None}}
    return Data(
        name=leaving(dataset.name)[:500],
        digest=dataset.fingerprint[:36],
        kind="code" if source is None else "local",
        source=json.dumps({"tags": {"name": dataset.name}} if source is None else {"uri": leaving(source)}),
        schema=json.dumps(schema),
        profile=json.dumps(profile),
    )
