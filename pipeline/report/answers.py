"""Charts of what a run answered to its test part: ROC, precision over recall, reliability; true against predicted, residuals; mistakes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.report.charts import COLOURS, Rows, Spec
from pipeline.report.parts import Chart, Picture
from pipeline.tracking.answers import MOST_TARGETS, Rates, mistakes_figure, rates
from pipeline.tracking.health import Health
from pipeline.tracking.inside import drawn
from pipeline.tracking.rates import Curve
from pipeline.tracking.tested import Answered

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_DOTS, MOST_STEPS = 1500, 150


def of(found: Answered, title: str) -> list[Chart | Picture]:
    """The charts of a task, and the most mistaken images as a picture."""
    if found.task == "regression":
        return [chart for target in range(min(found.prediction.shape[1], MOST_TARGETS)) for chart in _values(found, target)]
    curves = rates(found)
    if not curves.roc:
        return []
    said = f"Each {'label' if found.task == 'multilabel' else 'class'} against the rest"
    if found.task == "classification" and len(found.names) == 2:
        said = f"{found.names[1]} against {found.names[0]}"
    if len(curves.named) < len(curves.roc):
        said += f", the {len(curves.named)} of {len(curves.roc)} with the least area below the ROC curve in colour"
    made: list[Chart | Picture] = [
        _curves(curves.roc, curves.named, "false positive rate", "true positive rate", "AUC", f"ROC. {said}."),
        _curves(
            curves.precision, curves.named, "recall", "precision", "AP", f"Precision over recall. {said}; AP is the average precision."
        ),
        _reliability(curves),
    ]
    figure = mistakes_figure(found, title=title)
    if figure is not None:
        made.append(_picture(figure, f"The {len(found.mistaken)} images whose class got the least probability."))
    return made


def inside(looks: Sequence[Health], title: str) -> list[Picture]:
    """The network over time, where it was looked at."""
    said = {
        "health": "Gradients of the weights, what a step changes of them; dead units and saturated values of each layer, as shares.",
        "histograms": "The values of layers and of weights; each line is a moment, the first at the top.",
    }
    return [_picture(figure, said[name]) for name, figure in drawn(looks, title=title).items()]


def _picture(figure: Figure, caption: str) -> Picture:
    buffer = io.BytesIO()
    options: dict[str, Any] = {"format": "png", "metadata": {"Software": None}}
    figure.savefig(buffer, **options)
    return Picture(png=buffer.getvalue(), caption=caption)


def _axis(name: str, field: str) -> Spec:
    return {"field": field, "type": "quantitative", "title": name, "scale": {"domain": [0, 1]}}


def _curves(curves: Mapping[str, Curve], named: tuple[str, ...], x: str, y: str, area: str, caption: str) -> Chart:
    rows: Rows = []
    order = [f"{name}: {area} {curves[name].area:.3f}" for name in named if name in curves]
    for name, curve in curves.items():
        label = f"{name}: {area} {curve.area:.3f}" if name in named else ""
        thin = max(1, -(-len(curve.x) // MOST_STEPS))
        places = [*range(0, len(curve.x) - 1, thin), len(curve.x) - 1]
        rows += [
            {"class": name, "shown": label, "x": round(float(curve.x[i]), 4), "y": round(float(curve.y[i]), 4), "at": i} for i in places
        ]
    encoding = {"x": _axis(x, "x"), "y": _axis(y, "y"), "order": {"field": "at"}, "detail": {"field": "class"}}
    colour = {"field": "shown", "type": "nominal", "sort": order, "title": None, "scale": {"domain": order, "range": list(COLOURS)}}
    tips = [{"field": "class"}, {"field": "x", "title": x, "format": ".3f"}, {"field": "y", "title": y, "format": ".3f"}]
    line = {"type": "line", "interpolate": "step-before" if area == "AP" else "linear"}
    dash = {"field": "shown", "type": "nominal", "sort": order, "title": None, "scale": {"domain": order}}
    layers: list[Spec] = [
        {"transform": [{"filter": "datum.shown === ''"}], "mark": line | {"color": "#999", "opacity": 0.5, "strokeWidth": 1}},
        {
            "transform": [{"filter": "datum.shown !== ''"}],
            "mark": line,
            "encoding": {"color": colour, "strokeDash": dash, "tooltip": tips},
        },
    ]
    return Chart(spec={"data": {"values": rows}, "encoding": encoding, "layer": layers, "height": 260}, caption=caption)


def _reliability(curves: Rates) -> Chart:
    sure = curves.sure
    columns = zip(sure.confidence.tolist(), sure.right.tolist(), sure.rows.tolist(), strict=True)
    rows = [{"confidence": round(c, 4), "right": round(r, 4), "rows": n} for c, r, n in columns]
    both = {"x": _axis(curves.of, "confidence"), "y": _axis("share that is right", "right")}
    tips = [{"field": "confidence", "format": ".1%"}, {"field": "right", "format": ".1%"}, {"field": "rows"}]
    layers: list[Spec] = [
        {"data": {"values": [{"confidence": 0, "right": 0}, {"confidence": 1, "right": 1}]},
         "mark": {"type": "line", "color": "#888", "strokeDash": [4, 3]}, "encoding": both},
        {"mark": {"type": "line", "color": COLOURS[0]}, "encoding": both},
        {"mark": {"type": "circle", "color": COLOURS[0], "opacity": 0.9},
         "encoding": {**both, "size": {"field": "rows", "type": "quantitative"}, "tooltip": tips}},
    ]  # fmt: skip
    caption = "Reliability: how often those are right that are so sure; a circle grows with its rows, the dashed line is as sure as right."
    return Chart(spec={"data": {"values": rows}, "layer": layers, "height": 260}, caption=caption)


def _values(found: Answered, target: int) -> list[Chart]:
    """True against predicted, and residuals, of at most MOST_DOTS rows."""
    name = found.names[target] if target < len(found.names) else "target" if found.prediction.shape[1] == 1 else f"target {target + 1}"
    places = np.linspace(0, len(found.y) - 1, min(len(found.y), MOST_DOTS)).astype(np.int64)
    rows = [
        {"true": _short(t), "predicted": _short(p), "residual": _short(t - p)}
        for t, p in zip(found.y[places, target].tolist(), found.prediction[places, target].tolist(), strict=True)
    ]
    ends = [min(row["true"] for row in rows), max(row["true"] for row in rows)]
    some = f" {len(rows):,} of {found.rows:,} rows are drawn." if len(rows) < found.rows else ""
    dots = {"type": "circle", "opacity": 0.5, "color": COLOURS[0]}
    tips = [{"field": word, "format": ",.5~g"} for word in ("true", "predicted", "residual")]

    def axis(word: str) -> Spec:
        return {"field": word, "type": "quantitative", "title": f"{word} {name}", "scale": {"zero": False}}

    def chart(x: str, y: str, line: Rows, caption: str) -> Chart:
        dashed = {"type": "line", "color": "#888", "strokeDash": [4, 3]}
        both = {"x": axis(x), "y": axis(y)}
        layers: list[Spec] = [
            {"data": {"values": line}, "mark": dashed, "encoding": both},
            {"mark": dots, "encoding": {**both, "tooltip": tips}},
        ]
        return Chart(spec={"data": {"values": rows}, "layer": layers, "height": 260}, caption=caption)

    said = [{"predicted": value, "residual": 0.0} for value in (min(r["predicted"] for r in rows), max(r["predicted"] for r in rows))]
    bars = {
        "x": {"field": "residual", "bin": {"maxbins": 40}, "title": f"residual of {name}"},
        "y": {"aggregate": "count", "title": "rows"},
    }
    return [
        chart("true", "predicted", [{"true": end, "predicted": end} for end in ends], f"Predicted against true {name}.{some}"),
        chart("predicted", "residual", said, f"Residuals of {name}, true less predicted, against what was predicted."),
        Chart(spec={"data": {"values": rows}, "mark": {"type": "bar", "color": COLOURS[0]}, "encoding": bars, "height": 180},
              caption=f"How the residuals of {name} are distributed."),
    ]  # fmt: skip


def _short(value: Any) -> float:
    return float(f"{value:.6g}")
