"""What differs between runs, as parts of a document: settings, data, code, bits, curves, results.  Only what differs is shown."""

# R runs
from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from pipeline import files
from pipeline.errors import PipelineError
from pipeline.graph.values import Array
from pipeline.recipe.averaging import average_name
from pipeline.records import record
from pipeline.report.parts import Heading, Part, Table, Text
from pipeline.report.read import Run
from pipeline.screen.wording import number, significant
from pipeline.tasks.trained import CHECKPOINTS
from pipeline.training import checkpoint

CODE = {
    "commit": "pipeline.commit",
    "uncommitted changes": "pipeline.dirty",
    "version": "pipeline.version",
    "Python": "pipeline.python",
    "NumPy": "pipeline.numpy",
    "platform": "pipeline.platform",
}
BESIDE = {"host": "pipeline.host", "command": "pipeline.command"}  # told, and no difference of the code
DATA = {"fingerprint": "pipeline.data_fingerprint", "division": "pipeline.data_split"}
ASIDE = ("time", "system")  # of curves: no two runs agree in these
BRIEF = 12  # digits of a digest
MOST = 20  # tensors and columns that are named


@record
class Bits:
    """What a run predicts with, its weights or their averages: the digest, and that of each tensor; `why` there is no checkpoint.

    trained  the digest of the weights themselves, where the run predicts with averages
    """

    digest: str
    trained: str
    tensors: Mapping[str, str]
    values: Mapping[str, Array]
    structure: str
    why: str = ""


def bits_of(run: Run) -> Bits:
    """The bits of the result of a run."""
    try:
        found = checkpoint.load(run.folder / CHECKPOINTS)
    except PipelineError as error:
        return Bits(digest="", trained="", tensors={}, values={}, structure=run.tags.get("pipeline.digest", ""), why=str(error))
    own = {name: value for name, value in found.result.items() if "/" not in name and name != "step"}  # not the optimizer's
    weights = {name: np.ascontiguousarray(value) for name, value in sorted(own.items())}
    state = {name: np.ascontiguousarray(found.result.get(average_name(name), value)) for name, value in weights.items()}
    each = {name: _digest(value) for name, value in state.items()}
    trained = _whole({name: _digest(value) for name, value in weights.items()})
    return Bits(digest=_whole(each), trained=trained, tensors=each, values=state, structure=found.stored.facts.digest)


def _whole(each: Mapping[str, str]) -> str:
    """The digest of digests of tensors."""
    return hashlib.sha256(json.dumps(each).encode()).hexdigest()


def _digest(value: Array) -> str:
    """Of the type, the shape and the bytes of value [...]."""
    return hashlib.sha256(f"{value.dtype.str} {value.shape};".encode() + value.tobytes()).hexdigest()


def labels_of(runs: Sequence[Run]) -> list[str]:
    """What tells the runs apart: their names, their folders where these are the same."""
    names = [run.name for run in runs]
    return [name if names.count(name) == 1 else f"{name} ({files.shown(run.folder)})" for name, run in zip(names, runs, strict=True)]


def settings(runs: Sequence[Run], labels: Sequence[str]) -> list[Part]:
    """The settings that differ."""
    names = dict.fromkeys(name for run in runs for name in run.params)
    return _table("Settings", "setting", labels, {name: [run.params.get(name, "") for run in runs] for name in names}, "the same settings")


def data(runs: Sequence[Run], labels: Sequence[str]) -> list[Part]:
    """The data sets: fingerprint, division, rows, columns; beside these names and notes."""
    rows = {what: [run.tags.get(tag, "") for run in runs] for what, tag in DATA.items()}
    profiles = [_json(run.data.profile if run.data else "") for run in runs]
    for name in dict.fromkeys(key for profile in profiles for key in profile):
        if name != "split":
            rows[str(name)] = [str(profile.get(name, "")) for profile in profiles]
    columns = [_columns(run) for run in runs]
    shared = set.intersection(*map(set, columns))
    alone = [sorted(name for name in own if name not in shared) for own in columns]
    rows["columns of its own"] = [", ".join(own[:MOST]) + (f" and {len(own) - MOST} more" if len(own) > MOST else "") for own in alone]
    beside = {"name": "pipeline.data", "notes": "pipeline.data_notes"}
    return [*_table("Data", "", labels, rows, "the same rows, divided alike"), *_beside(runs, labels, beside)]


def code(runs: Sequence[Run], labels: Sequence[str]) -> list[Part]:
    """Commit, versions, platform; beside these host and command."""
    rows = {what: [run.tags.get(tag, "") for run in runs] for what, tag in CODE.items()}
    return [*_table("Code", "", labels, rows, "the same code and versions"), *_beside(runs, labels, BESIDE)]


def bits(runs: Sequence[Run], labels: Sequence[str]) -> list[Part]:
    """Digests of the weights, which tensors differ and by how much."""
    found = [bits_of(run) for run in runs]
    made: list[Part] = [Heading(text="Bits")]
    missing = [f"{label} has no weights to compare ({own.why})." for label, own in zip(labels, found, strict=True) if own.why]
    made += [Text(text=text) for text in missing]
    known = [own for own in found if not own.why]
    if len(known) < 2:
        return made
    if len({own.digest for own in known}) == 1:
        return [*made, Text(text=f"The weights are the same to the bit: sha256 {known[0].digest[:BRIEF]}.")]
    rows = [["weights (sha256)", *(own.digest[:BRIEF] for own in found)], ["network (digest)", *(own.structure for own in found)]]
    made.append(Table(heading=["", *labels], rows=[row for row in rows if len(set(row[1:])) > 1]))
    if len({own.trained for own in known}) == 1:
        named = ", ".join(label for label, own in zip(labels, found, strict=True) if own.trained != own.digest)
        same = f"The trained weights are the same to the bit (sha256 {known[0].trained[:BRIEF]})"
        made.append(Text(text=f"{same}; their averages, which are measured and predicted with in {named}, are not."))
    names = list(dict.fromkeys(name for own in known for name in own.tensors))
    differing = [name for name in names if len({own.tensors.get(name) for own in known}) > 1]
    lines = [[name, *(_shape(own, name) for own in found), _distance(known, name)] for name in differing[:MOST]]
    made.append(Text(text=f"{len(differing)} of {len(names)} tensors differ; the distance is relative to the first that has the tensor."))
    made.append(Table(heading=["tensor", *labels, "distance"], rows=lines))
    return made


def _shape(own: Bits, name: str) -> str:
    return str(list(np.shape(own.values[name]))) if name in own.values else "missing"


def _distance(known: Sequence[Bits], name: str) -> str:
    """The largest of ||w - w0|| / ||w0||; nothing where shapes differ."""
    values = [np.asarray(own.values[name], np.float64) for own in known if name in own.values]
    if len(values) < 2 or len({value.shape for value in values}) > 1:
        return ""
    first, size = values[0], float(np.linalg.norm(values[0]))
    largest = max(float(np.linalg.norm(value - first)) for value in values[1:])
    return significant(largest / size, 3) if size else significant(largest, 3)


def curves(runs: Sequence[Run], labels: Sequence[str]) -> list[Part]:
    """The epoch from which each metric is another, and how far apart the runs come."""
    rows, alike = [], 0
    for name in dict.fromkeys(name for run in runs for name in run.curves):
        if name.split("/")[0] in ASIDE or name.endswith("/test"):
            continue
        series = [run.curves.get(name, {}) for run in runs]
        shared = sorted(set.intersection(*map(set, series)))
        parted = next((epoch for epoch in shared if len({_key(values[epoch]) for values in series}) > 1), None)
        if parted is None and len({len(values) for values in series}) == 1:
            alike += 1
            continue
        spans = [max(values[epoch] for values in series) - min(values[epoch] for values in series) for epoch in shared]
        widest = max((span for span in spans if math.isfinite(span)), default=math.nan)
        where = "" if parted is None else str(parted)
        rows.append([name, where, number(name, widest) if shared else "", *(str(len(values)) for values in series)])
    made: list[Part] = [Heading(text="Curves")]
    if not rows:
        return [*made, Text(text=f"All {alike} curves are the same to the last digit.")]
    if alike:
        made.append(Text(text=f"{alike} further curves are the same to the last digit."))
    return [*made, Table(heading=["metric", "part at epoch", "furthest apart", *(f"epochs of {label}" for label in labels)], rows=rows)]


def _key(value: float) -> float | str:
    return "nan" if math.isnan(value) else value


def _table(title: str, what: str, labels: Sequence[str], rows: Mapping[str, Sequence[str]], same: str) -> list[Part]:
    differing = [[name, *values] for name, values in rows.items() if len(set(values)) > 1]
    body: Part = Table(heading=[what, *labels], rows=differing) if differing else Text(text=f"Nothing: {same}.")
    return [Heading(text=title), body]


def _beside(runs: Sequence[Run], labels: Sequence[str], tags: Mapping[str, str]) -> list[Part]:
    """A sentence a run for what differs and decides nothing."""
    told: list[Part] = []
    for what, tag in tags.items():
        values = ["; ".join(run.tags.get(tag, "").splitlines()) or "none" for run in runs]
        if len(set(values)) > 1:
            told += [Text(text=f"{what} of {label}: {value}") for label, value in zip(labels, values, strict=True)]
    return told


def _json(text: str) -> Mapping[str, object]:
    with suppress(ValueError):
        found = json.loads(text or "{}")
        return found if isinstance(found, dict) else {}
    return {}


def _columns(run: Run) -> list[str]:
    entries = _json(run.data.schema if run.data else "").get("mlflow_colspec", ())
    return [str(entry.get("name", "")) for entry in entries] if isinstance(entries, list) else []
