"""Charts as Vega-Lite specifications; colours are those of Okabe and Ito (2008), told apart by every kind of colour vision."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.report.parts import Chart
from pipeline.report.read import Run, Swept
from pipeline.screen.wording import number
from pipeline.search.settings import REPEATS
from pipeline.sweeps.table import Sweep

Spec = dict[str, Any]
Rows = list[dict[str, Any]]
ASIDE = ("time",)
MOST_POINTS = 4000  # of one chart: longer curves are thinned, which is said
LOG_RANGE = 20.0  # a parameter or a loss that spans more is drawn on a logarithmic axis


def curves(run: Run) -> list[Chart]:
    """A chart for each quantity with a line for each part, the epoch whose weights are kept marked."""
    quantities: dict[str, dict[str, Mapping[int, float]]] = {}
    for name, values in run.curves.items():
        quantity, _, part = name.partition("/")
        if quantity not in ASIDE and len(values) > 1 and (part != "test"):
            quantities.setdefault(quantity, {})[part or quantity] = values
    made = []
    for quantity, parts in quantities.items():
        rows, step = _thin({part: sorted(values.items()) for part, values in parts.items()})
        if not rows or len({row["value"] for row in rows}) < 2:
            continue
        layers: list[Spec] = [_line(rows, quantity, color=_colour("part", list(parts)))]
        kept = ""
        if run.restored is not None:
            mark = {"type": "rule", "strokeDash": [4, 3], "color": "#888"}
            layers.append(
                {"data": {"values": [{"epoch": run.restored}]}, "mark": mark, "encoding": {"x": {"field": "epoch", "type": "quantitative"}}}
            )
            kept = f" The dashed line is epoch {run.restored}, whose weights are kept."
        every = f" Every {step} epochs are drawn." if step > 1 else ""
        made.append(Chart(spec={"layer": layers, "height": 220}, caption=f"{quantity} by epoch.{kept}{every}"))
    return made


def compared(runs: Sequence[Run], metric: str, labels: Sequence[str]) -> Chart | None:
    """One metric of several runs."""
    given = {label: sorted(run.curves.get(metric, {}).items()) for label, run in zip(labels, runs, strict=True)}
    rows, _ = _thin({label: points for label, points in given.items() if len(points) > 1})
    if not rows:
        return None
    return Chart(spec={**_line(rows, metric, color=_colour("part", list(given))), "height": 260}, caption=f"{metric} by epoch.")


def confusion(run: Run) -> Chart | None:
    """Counts, shaded by the share of the true class."""
    found = run.confusion
    if found is None or len(found.classes) > 30:
        return None
    rows = [
        {"true": true, "predicted": predicted, "rows": count, "share": count / max(1, sum(line))}
        for true, line in zip(found.classes, found.counts, strict=True)
        for predicted, count in zip(found.classes, line, strict=True)
    ]
    order = list(found.classes)
    base = {
        "x": {"field": "predicted", "type": "nominal", "sort": order, "axis": {"orient": "top", "labelAngle": 0}},
        "y": {"field": "true", "type": "nominal", "sort": order},
    }
    shade = {"field": "share", "type": "quantitative", "scale": {"scheme": "blues", "domain": [0, 1]}, "legend": None}
    ink = {"condition": {"test": "datum.share > 0.5", "value": "white"}, "value": "black"}
    layers = [
        {"mark": "rect", "encoding": {"color": shade, "tooltip": _tips("true", "predicted", "rows")}},
        {"mark": "text", "encoding": {"text": {"field": "rows"}, "color": ink}},
    ]
    spec: Spec = {"data": {"values": rows}, "encoding": base, "layer": layers, "height": {"step": 28}}
    wide = len(found.classes) > 6
    return Chart(spec=spec, caption=f"The {found.part} part: true classes down, predicted ones across.", wide=wide)


def of_sweep(swept: Swept, importance: Mapping[str, float]) -> list[Chart]:
    """The metric against each parameter, two parameters together, arms over epochs, the best so far, what mattered."""
    table = swept.table
    names = [name for name in table.params if name not in REPEATS]
    rows = _trials(table)
    made = [_against(table, name, rows) for name in names if len({row[name] for row in rows}) > 1]
    if len(names) >= 2:
        made.append(_heat(table, _widest(names, rows), rows))
    if len(names) >= 2 and len(rows) > 4:
        made.append(_parallel(table, names, rows))
    made += filter(None, [_arms(swept, names)])
    if len(rows) > 2:
        made.append(_best_so_far(table, rows))
    if importance:
        values = [{"parameter": name, "share": share} for name, share in importance.items()]
        x = {"field": "share", "type": "quantitative", "axis": {"format": "%"}}
        spec = {
            "data": {"values": values}, "mark": {"type": "bar", "color": COLOURS[0]},
            "encoding": {"x": x, "y": {"field": "parameter", "type": "nominal", "sort": "-x"}}, "height": {"step": 24},
        }  # fmt: skip
        made.append(Chart(spec=spec, caption="How much each parameter explains of the rank, by permutation in a random forest."))
    return made


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")


def _colour(field: str, order: Sequence[str]) -> Spec:
    return {"field": field, "type": "nominal", "sort": list(order), "scale": {"range": list(COLOURS)}, "title": None}


def _line(rows: Rows, quantity: str, *, color: Spec) -> Spec:
    log = quantity.startswith("loss") and _spans([row["value"] for row in rows])
    y = {
        "field": "value",
        "type": "quantitative",
        "title": quantity,
        **_share(quantity),
        "scale": {"type": "log"} if log else {"zero": False},
    }
    x = {"field": "epoch", "type": "quantitative", "title": "epoch", "axis": {"tickMinStep": 1}}
    return {
        "data": {"values": rows},
        "mark": {"type": "line", "point": len(rows) < 120},
        "encoding": {
            "x": x,
            "y": y,
            "color": color,
            "strokeDash": {"field": color["field"], "sort": color["sort"], "legend": None},
            "tooltip": _tips("part", "epoch", "value"),
        },
    }


def _tips(*fields: str) -> list[Spec]:
    return [{"field": field, **({"format": ".5g"} if field in ("value", "share") else {})} for field in fields]


def _spans(values: Iterable[float]) -> bool:
    """Whether positive numbers span so much that a logarithmic axis shows them better."""
    found = [value for value in values if math.isfinite(value)]
    return bool(found) and min(found) > 0 and max(found) / min(found) > LOG_RANGE


def _thin(lines: Mapping[str, Sequence[tuple[int, float]]]) -> tuple[Rows, int]:
    """Rows of at most MOST_POINTS points, and the step between their epochs."""
    total = sum(map(len, lines.values()))
    step = max(1, math.ceil(total / MOST_POINTS))
    return [
        {"part": name, "epoch": epoch, "value": value}
        for name, points in lines.items()
        for place, (epoch, value) in enumerate(points)
        if math.isfinite(value) and (place % step == 0 or place == len(points) - 1)
    ], step


def _trials(table: Sweep) -> Rows:
    """The finished trials with a finite value, numbers as numbers."""
    rows = []
    for place, trial in enumerate(table.trials):
        value = table.value(trial)
        if math.isfinite(value) and trial.status in ("FINISHED", "PRUNED"):
            params = {name: _number(trial.params.get(name, "")) for name in table.params}
            rows.append({"trial": trial.label, "number": place, "value": value, "status": trial.status.lower(), **params})
    return rows


def _number(text: str) -> float | str:
    try:
        found = float(text)
    except ValueError:
        return text
    return found if math.isfinite(found) else text


def _axis(name: str, rows: Rows, channel: str = "quantitative") -> Spec:
    """A parameter on its scale: numbers as such, logarithmic where they span much; words side by side."""
    values = [row[name] for row in rows]
    title = name.rpartition(".")[2]
    if all(isinstance(value, float) for value in values) and len(set(values)) > 1:
        log = _spans(values)
        return {"field": _field(name), "type": channel, "title": title, "scale": {"type": "log"} if log else {"zero": False}}
    return {"field": _field(name), "type": "nominal", "title": title}


def _field(name: str) -> str:
    """Dots and brackets are paths to Vega."""
    return name.replace(".", "\\.").replace("[", "\\[").replace("]", "\\]")


def _metric(table: Sweep) -> Spec:
    return {"field": "value", "type": "quantitative", "title": table.metric, **_share(table.metric), "scale": {"zero": False}}


def _share(metric: str) -> Spec:
    """Shares in percent, as everywhere."""
    return {"axis": {"format": ".1%"}} if number(metric, 0.0).endswith("%") else {}


def _against(table: Sweep, name: str, rows: Rows) -> Chart:
    axis = _axis(name, rows)
    points = {"mark": {"type": "circle", "size": 50, "opacity": 0.6}, "encoding": {"tooltip": [{"field": "trial"}, *_tips("value")]}}
    mean = {"mark": {"type": "line", "color": COLOURS[1]}, "encoding": {"y": {**_metric(table), "aggregate": "mean"}}}
    layers = [points, *([mean] if axis["type"] == "quantitative" and len({row[name] for row in rows}) < len(rows) else [])]
    spec = {"data": {"values": rows}, "encoding": {"x": axis, "y": _metric(table)}, "layer": layers, "height": 220}
    line = "; the line goes through the means" if len(layers) > 1 else ""
    return Chart(spec=spec, caption=f"{table.metric} against {name}: all {len(rows)} finished trials{line}.")


def _widest(names: Sequence[str], rows: Rows) -> tuple[str, str]:
    """The two parameters with the most values."""
    first, second = sorted(names, key=lambda name: -len({row[name] for row in rows}))[:2]
    return first, second


def _heat(table: Sweep, names: tuple[str, str], rows: Rows) -> Chart:
    x, y = ({"field": _field(name), "type": "ordinal", "title": name.rpartition(".")[2]} for name in names)
    several = {name: len({row[name] for row in rows}) for name in names}
    cells = len({(row[names[0]], row[names[1]]) for row in rows})
    grid = max(several.values()) <= 12 or (max(several.values()) <= 20 and cells * 4 < len(rows) * 5)
    colour: Spec = {"field": "value", "type": "quantitative", "title": table.metric, "scale": {"scheme": "viridis"}}
    if grid:
        together = {"x": x, "y": y, "color": {**colour, "aggregate": "mean"}}
        spec: Spec = {"data": {"values": rows}, "mark": "rect", "encoding": together, "height": {"step": 26}}
        return Chart(spec=spec, caption=f"The mean {table.metric} for {names[0]} and {names[1]} together.")
    encoding: Spec = {
        "x": _axis(names[0], rows),
        "y": _axis(names[1], rows),
        "color": colour,
        "tooltip": [{"field": "trial"}, *_tips("value")],
    }
    spec = {"data": {"values": rows}, "mark": {"type": "circle", "size": 90}, "encoding": encoding, "height": 260}
    return Chart(spec=spec, caption=f"{table.metric}, as colour, for {names[0]} and {names[1]} together.")


def _parallel(table: Sweep, names: Sequence[str], rows: Rows) -> Chart:
    """A line for each trial over the parameters and the metric, each on its own scale from its least to its most."""
    columns, made = [*names, "value"], []
    for column in columns:
        values = [row[column] for row in rows]
        words = {value: place for place, value in enumerate(dict.fromkeys(map(str, values)))}
        numbers = all(isinstance(value, float | int) for value in values)
        log = numbers and _spans(values) and column != "value"
        places = [(math.log(v) if log else float(v)) if numbers else float(words[str(v)]) for v in values]
        low, high = min(places), max(places)
        for row, place in zip(rows, places, strict=True):
            at = (place - low) / (high - low) if high > low else 0.5
            title = table.metric if column == "value" else column.rpartition(".")[2]
            made.append(
                {
                    "number": row["number"],
                    "trial": row["trial"],
                    "axis": title,
                    "place": at,
                    "shown": str(row[column]),
                    "value": row["value"],
                }
            )
    encoding: Spec = {
        "x": {"field": "axis", "type": "nominal", "sort": None, "title": None, "axis": {"labelAngle": 0}},
        "y": {"field": "place", "type": "quantitative", "title": "least to most", "axis": {"labels": False, "ticks": False}},
        "detail": {"field": "number"},
        "color": {"field": "value", "type": "quantitative", "title": table.metric, "scale": {"scheme": "viridis"}},
        "tooltip": [{"field": "trial"}, {"field": "axis"}, {"field": "shown"}],
    }
    spec = {"data": {"values": made}, "mark": {"type": "line", "opacity": 0.6}, "encoding": encoding, "height": 240}
    return Chart(spec=spec, caption="Each line is a trial; each axis goes from its least to its largest value.", wide=True)


def _arms(swept: Swept, names: Sequence[str]) -> Chart | None:
    """The mean of the metric over the seeds of an arm by epoch, and a band of one standard deviation."""
    table, rows = swept.table, []
    arms = {_arm(trial.params, names) for trial in table.trials}
    if len(arms) == len(table.trials):
        return None
    found: dict[str, list[float]] = {arm: [] for arm in arms}
    for trial in table.trials:
        found[_arm(trial.params, names)].append(table.score(trial))
    shown = sorted(found, key=lambda arm: math.fsum(found[arm]) / len(found[arm]))[: len(COLOURS)]
    for trial in table.trials:
        arm = _arm(trial.params, names) or "all trials"
        if arm not in shown and arm != "all trials":
            continue
        rows += [{"arm": arm, "epoch": epoch, "value": value} for epoch, value in trial.curve.items() if math.isfinite(value)]
    if len({row["epoch"] for row in rows}) < 2 or len(rows) > 4 * MOST_POINTS:
        return None
    order = [arm for arm in shown if arm] or ["all trials"]
    base = {"x": {"field": "epoch", "type": "quantitative", "axis": {"tickMinStep": 1}}, "color": _colour("arm", order)}
    band = {"mark": {"type": "errorband", "extent": "stdev"}, "encoding": {"y": _metric(table)}}
    line = {
        "mark": {"type": "line"},
        "encoding": {"y": {**_metric(table), "aggregate": "mean"}, "strokeDash": {"field": "arm", "sort": order, "legend": None}},
    }
    spec = {"data": {"values": rows}, "encoding": base, "layer": [band, line], "height": 260}
    some = f" The best {len(shown)} of {len(arms)} arms." if len(shown) < len(arms) else ""
    said = f"{table.metric} by epoch: the mean of each arm over its seeds, with a band of one standard deviation.{some}"
    return Chart(spec=spec, caption=said)


def _arm(params: Mapping[str, str], names: Sequence[str]) -> str:
    return ", ".join(f"{name.rpartition('.')[2]}={params.get(name, '')}" for name in names)


def _best_so_far(table: Sweep, rows: Rows) -> Chart:
    best, made = None, []
    for count, row in enumerate(rows, 1):
        value = float(row["value"])
        better = best is None or (value > best if table.objective.grows else value < best)
        best = value if better else best
        made.append({"trial": row["trial"], "number": count, "value": value, "best": best})
    points = {"y": _metric(table), "tooltip": [{"field": "trial"}, *_tips("value")]}
    stairs = {"type": "line", "interpolate": "step-after", "color": COLOURS[1]}
    layers = [
        {"mark": {"type": "circle", "opacity": 0.5}, "encoding": points},
        {"mark": stairs, "encoding": {"y": {**_metric(table), "field": "best"}}},
    ]
    x = {"field": "number", "type": "quantitative", "title": "trials", "axis": {"tickMinStep": 1}}
    spec = {"data": {"values": made}, "encoding": {"x": x}, "layer": layers, "height": 200}
    return Chart(spec=spec, caption="Each trial, and the best so far.")
