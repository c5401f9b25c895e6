"""Pictures of the inside of a network over time: dead units, saturation, gradients, steps; the values of its layers and of its weights.

Matplotlib is imported inside the functions: only the sender and a report draw.
"""

# B bins, E looks
from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.tracking.health import Health, Histogram, LayerHealth, TensorHealth
from pipeline.tracking.style import COLOURS, LINES, MARKS, SOFT, panels, quiet, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 8  # lines, and histograms of each kind: of deeper networks evenly chosen ones
MOST_LOOKS = 9


def drawn(looks: Sequence[Health], *, title: str) -> dict[str, Figure]:
    """The pictures by name; of one look there is no course.  A later look at the same step takes the place of the one before."""
    found = [look for _, look in sorted({look.step: look for look in looks}.items())]
    if len(found) < 2:
        return {}
    figures = {"health": courses(found, title=title), "histograms": histograms(found, title=title)}
    return {name: figure for name, figure in figures.items() if figure is not None}


def courses(looks: Sequence[Health], *, title: str) -> Figure:
    """Over the steps: gradients and the ratio of a step to the weights, of each weight; dead and saturated shares of each layer."""
    weights = _chosen([tensor.name for tensor in looks[-1].tensors if tensor.gradient is not None and _is_weight(tensor)])
    layers = [layer.name for layer in looks[-1].layers]
    tensors = [{tensor.name: tensor for tensor in look.tensors} for look in looks]
    values = [{layer.name: layer for layer in look.layers} for look in looks]
    dead = {name: [_share(found.get(name), lambda one: one.dead / max(1, one.units)) for found in values] for name in layers}
    full = {name: [_share(found.get(name), lambda one: float(one.saturated)) for found in values] for name in layers}
    figure, (first, second, third, fourth) = panels(
        4, title=f"{title}\nthe network over {looks[0].rows:,} training rows at {len(looks)} moments", across=2, width=5.6, height=3.5
    )
    _lines(first, looks, {name: [_of(found.get(name), "gradient") for found in tensors] for name in weights}, log=True)
    first.set(ylabel="gradient, root mean square", title="gradients of the weights")
    ratios = {name: [_ratio(found.get(name)) for found in tensors] for name in weights}
    _lines(second, looks, ratios, log=True)
    second.axhline(1e-3, color=SOFT, linewidth=0.9, linestyle=":")
    second.set(ylabel="step / weight", title="what a step changes (dotted: one thousandth)")
    for axes, shares, what in ((third, dead, "dead units"), (fourth, full, "saturated values")):
        told = {name: values for name, values in shares.items() if any(value > 0 for value in values)}
        _lines(axes, looks, {name: told[name] for name in _chosen(list(told))}, log=False)
        axes.set(ylabel=f"share of {what}", title=what if told else f"{what}: none", ylim=(-0.02, 1.02))
    return figure


def histograms(looks: Sequence[Health], *, title: str) -> Figure | None:
    """The values of layers and of weights as one line for each look, the last in front."""
    last, some = looks[-1], [looks[place] for place in np.unique(np.linspace(0, len(looks) - 1, min(len(looks), MOST_LOOKS)).astype(int))]
    layers = _chosen([layer.name for layer in last.layers])
    weights = _chosen([tensor.name for tensor in last.tensors if _is_weight(tensor)])
    if not layers and not weights:
        return None
    at = f"epochs {', '.join(str(look.epoch) for look in some)}, dark to light"
    count = len(layers) + len(weights)
    figure, places = panels(count, title=f"{title}\nvalues of layers and weights: {at}", across=4, width=3.5, height=2.6)
    for axes, name in zip(places[: len(layers)], layers, strict=True):
        _ridge(axes, [found.values for look in some for found in look.layers if found.name == name])
        axes.set_title(f"layer {shortened(name)}", fontsize=9)
    for axes, name in zip(places[len(layers) :], weights, strict=True):
        _ridge(axes, [found.values for look in some for found in look.tensors if found.name == name])
        axes.set_title(shortened(name), fontsize=9)
    return figure


def _ridge(axes: Axes, found: Sequence[Histogram]) -> None:
    """One above the other, the first at the top, each with its own height."""
    from matplotlib import colormaps  # noqa: PLC0415  # only who draws

    shades = colormaps["cividis"]
    for place, one in enumerate(found):
        counts = np.array(one.counts, np.float64)
        edges = np.linspace(float(one.low), float(one.high), len(counts) + 1)
        base, height = float(len(found) - place), counts / max(1.0, counts.max()) * 1.4
        colour = shades(place / max(1, len(found) - 1) * 0.9)
        axes.fill_between(np.repeat(edges, 2)[1:-1], base, base + np.repeat(height, 2), color=colour, alpha=0.85, linewidth=0, zorder=place)
        axes.plot(np.repeat(edges, 2)[1:-1], base + np.repeat(height, 2), color="white", linewidth=0.7, zorder=place)
    low, high = zip(*map(_bulk, found), strict=True)
    axes.set_xlim(min(low), max(high) + 1e-12)
    axes.set_yticks([])
    quiet(axes).spines["left"].set_visible(False)


def _bulk(one: Histogram) -> tuple[float, float]:
    """Where all but a few thousandths of the values lie: a single one far away would make a line of the rest."""
    counts = np.array(one.counts, np.float64)
    edges = np.linspace(float(one.low), float(one.high), len(counts) + 1)
    share = np.cumsum(counts) / max(1.0, counts.sum())
    first, last = int(np.searchsorted(share, 0.003)), int(np.searchsorted(share, 0.997))
    return float(edges[min(first, len(counts) - 1)]), float(edges[min(last, len(counts) - 1) + 1])


def _lines(axes: Axes, looks: Sequence[Health], lines: Mapping[str, Sequence[float]], *, log: bool) -> None:
    steps = [look.step for look in looks]
    for place, (name, values) in enumerate(lines.items()):
        axes.plot(steps, values, color=COLOURS[place % 7], marker=MARKS[place % 7], linestyle=LINES[place % 4], markersize=4, linewidth=1.4,
                  label=shortened(name))  # fmt: skip
    if log and any(value > 0 for values in lines.values() for value in values):
        axes.set_yscale("log")
    if steps[-1] > 50:
        axes.set_xscale("symlog", linthresh=max(1, steps[1] or 1))  # the looks stand at doubled distances
        axes.set_xticks(steps, [f"{step:,}" if place in _spread(len(steps)) else "" for place, step in enumerate(steps)], minor=False)
        axes.minorticks_off()
    axes.set_xlabel("step")
    quiet(axes)
    if lines:
        axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _spread(count: int) -> set[int]:
    """The places of ticks that get a number: they must not touch."""
    return {0, *range(count - 1, 0, -max(1, round(count / 6)))}


def _chosen(names: Sequence[str]) -> list[str]:
    if len(names) <= MOST_NAMED:
        return list(names)
    return [names[place] for place in np.unique(np.linspace(0, len(names) - 1, MOST_NAMED).astype(int))]


def _is_weight(tensor: TensorHealth) -> bool:
    """What multiplies: biases begin with 0, and no step is small beside that."""
    return tensor.name.endswith("weight") or (tensor.size > 256 and not tensor.name.endswith("bias"))


def _share(layer: LayerHealth | None, of: Callable[[LayerHealth], float]) -> float:
    return math.nan if layer is None else of(layer)


def _ratio(tensor: TensorHealth | None) -> float:
    scale = _of(tensor, "scale")
    return _of(tensor, "update") / scale if scale > 0 else math.nan


def _of(tensor: TensorHealth | None, what: str) -> float:
    value = None if tensor is None else getattr(tensor, what)
    return math.nan if value is None else float(value)
