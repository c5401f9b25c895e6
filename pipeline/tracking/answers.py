"""Pictures of what a network answered to the test part: ROC, precision over recall, reliability; true against predicted; mistakes.

Matplotlib is imported inside the functions: only the sender and a report draw.
"""

# N rows, C classes, T targets, M rows shown
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.records import record
from pipeline.screen.wording import significant
from pipeline.tracking.rates import BINS, Curve, Reliability, precision_recall, reliability, roc
from pipeline.tracking.style import COLOURS, LINES, PALE, SOFT, panels, quiet, shortened
from pipeline.tracking.tested import Answered

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]
MOST_NAMED = 6  # classes that each have a colour: of more, those with the least area
MOST_TARGETS = 4
MOST_DOTS = 4000  # of a scatter plot; of more rows the density is shown


@record
class Rates:
    """The curves of a classifier, each class or label against the rest, of two classes the second against the first.

    named   those in colour: all, or of many those with the least area below the ROC curve
    sure    of the probabilities, of more than two classes that of the predicted one
    """

    roc: Mapping[str, Curve]
    precision: Mapping[str, Curve]
    named: tuple[str, ...]
    sure: Reliability
    of: str


def rates(found: Answered) -> Rates:
    """The curves of a classification, or of labels."""
    p, y = found.prediction, found.y
    if found.task == "multilabel":
        kinds = {name: (p[:, place], y[:, place] == 1) for place, name in enumerate(found.names)}
        sure, of = reliability(p.reshape(-1), y.reshape(-1) == 1), "probability of a label"
    elif p.shape[1] == 2:
        kinds = {found.names[1]: (p[:, 1], y == 1)}
        sure, of = reliability(p[:, 1], y == 1), f"probability of {shortened(found.names[1])}"
    else:
        kinds = {name: (p[:, place], y == place) for place, name in enumerate(found.names)}
        sure, of = reliability(p.max(axis=1), p.argmax(axis=1) == y), "probability of the predicted class"
    made = {name: (roc(*kind), precision_recall(*kind)) for name, kind in kinds.items()}
    first = {name: curve for name, (curve, _) in made.items() if curve is not None}
    second = {name: curve for name, (_, curve) in made.items() if curve is not None and name in first}
    named = sorted(first, key=lambda name: first[name].area)[:MOST_NAMED] if len(first) > MOST_NAMED else list(first)
    return Rates(roc=first, precision=second, named=tuple(named), sure=sure, of=of)


def rates_figure(found: Answered, *, title: str) -> Figure | None:
    """ROC, precision over recall and reliability side by side; None where no class can be told from another."""
    of = rates(found)
    if not of.roc:
        return None
    figure, (left, middle, right) = panels(3, title=f"{title}\ntest part, {found.rows:,} rows{_against(found, of)}", width=4.4, height=4.7)
    _curves(left, of.roc, of.named, "AUC", "default")
    left.plot([0, 1], [0, 1], color=SOFT, linewidth=0.9, linestyle=":")
    left.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC")
    _curves(middle, of.precision, of.named, "AP", "steps-pre")
    if len(of.precision) == 1:
        middle.axhline(float(next(iter(of.precision.values())).y[-1]), color=SOFT, linewidth=0.9, linestyle=":")  # of all rows
    middle.set(xlabel="recall", ylabel="precision", title="precision and recall")
    _reliability(right, of)
    for axes in (left, middle, right):
        quiet(axes).set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.set_aspect("equal")
    return figure


def _against(found: Answered, of: Rates) -> str:
    if found.task == "classification" and len(found.names) == 2:
        return f"; {shortened(found.names[1])} against {shortened(found.names[0])}"
    what = "label" if found.task == "multilabel" else "class"
    lowest = f", the {len(of.named)} of {len(of.roc)} with the least area are named" if len(of.named) < len(of.roc) else ""
    return f"; each {what} against the rest{lowest}"


def _curves(axes: Axes, curves: Mapping[str, Curve], named: tuple[str, ...], area: str, steps: Any) -> None:
    for name, curve in curves.items():
        if name not in named:
            axes.plot(curve.x, curve.y, color=PALE, linewidth=0.8, zorder=1, drawstyle=steps)
    for place, name in enumerate(name for name in named if name in curves):
        curve = curves[name]
        axes.plot(curve.x, curve.y, color=COLOURS[place % 7], linestyle=LINES[place % 4], linewidth=1.7, drawstyle=steps,
                  label=f"{shortened(name, 18)}  {area} {curve.area:.3f}")  # fmt: skip
    axes.legend(frameon=False, fontsize=7, loc="lower right" if area == "AUC" else "lower left")


def _reliability(axes: Axes, of: Rates) -> None:
    """The share that is right by confidence, with its 95 % interval (Wilson 1927), above how many rows are so sure."""
    sure = of.sure
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.9, linestyle=":", label="as sure as right")
    z, n = 1.96, sure.rows
    middle = (sure.right + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(sure.right * (1 - sure.right) / n + z**2 / (4 * n**2))
    error = np.maximum([sure.right - middle + half, middle + half - sure.right], 0)
    axes.errorbar(sure.confidence, sure.right, yerr=error, color=COLOURS[0], marker="o", markersize=4, linewidth=1.5, capsize=2,
                  label="share that is right, 95 % interval")  # fmt: skip
    share = sure.rows / sure.rows.sum()
    places = np.minimum(np.ceil(sure.confidence * BINS), BINS) / BINS - 0.5 / BINS
    axes.bar(places, share * 0.3, width=0.9 / BINS, color=PALE, zorder=0, label=f"rows (highest {share.max():.0%})")
    axes.set(xlabel=of.of, ylabel="share that is right", title="reliability")
    axes.legend(frameon=False, fontsize=7, loc="upper left")


def values_figure(found: Answered, *, title: str) -> Figure:
    """Predicted against true, residuals against predicted, and their distribution: a row of three for each target."""
    count = min(found.prediction.shape[1], MOST_TARGETS)
    left_out = f", the first {count} of {found.prediction.shape[1]} targets" if count < found.prediction.shape[1] else ""
    figure, places = panels(3 * count, title=f"{title}\ntest part, {found.rows:,} rows{left_out}", width=4.2, height=3.7)
    for target in range(count):
        name = shortened(found.names[target] if target < len(found.names) else "target" if count == 1 else f"target {target + 1}", 30)
        predicted, true = (values[:, target].astype(np.float64) for values in (found.prediction, found.y))
        first, second, third = places[3 * target : 3 * target + 3]
        low, high = float(min(predicted.min(), true.min())), float(max(predicted.max(), true.max()))
        _cloud(first, true, predicted)
        first.plot([low, high], [low, high], color=SOFT, linewidth=1, linestyle=":")
        first.set(xlabel=f"true {name}", ylabel=f"predicted {name}")
        residual = true - predicted
        _cloud(second, predicted, residual)
        second.axhline(0, color=SOFT, linewidth=1, linestyle=":")
        second.set(xlabel=f"predicted {name}", ylabel="residual (true - predicted)")
        third.hist(residual, bins="auto" if len(residual) < 2000 else 60, color=COLOURS[0], alpha=0.75)
        third.axvline(0, color=SOFT, linewidth=1, linestyle=":")
        third.axvline(float(residual.mean()), color=COLOURS[1], linewidth=1.4, label=f"mean {significant(float(residual.mean()), 3)}")
        third.set(xlabel="residual", ylabel="rows")
        third.legend(frameon=False, fontsize=8)
        for axes in (first, second, third):
            _thousands(quiet(axes))
    return figure


def _cloud(axes: Axes, x: Array, y: Array) -> None:
    if len(x) > MOST_DOTS:
        axes.hexbin(x, y, gridsize=45, bins="log", mincnt=1, cmap="Blues", linewidths=0.1)
    else:
        axes.scatter(x, y, s=14 if len(x) < 500 else 6, color=COLOURS[0], alpha=0.5, linewidths=0)


def _thousands(axes: Axes) -> None:
    """13,230 and not 1.323e4."""
    from matplotlib.ticker import FuncFormatter  # noqa: PLC0415  # only who draws

    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        if max(abs(low), abs(high)) >= 1000:
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    for label in axes.get_xticklabels():
        label.set(rotation=20, ha="right") if max(map(abs, axes.get_xlim())) >= 10_000 else None


def mistakes_figure(found: Answered, *, title: str) -> Figure | None:
    """The images whose class got the least probability; None where there are none."""
    if found.images is None or not len(found.images):
        return None
    count = len(found.images)
    figure, places = panels(count, title=f"{title}\nthe {count} most mistaken images of the test part", across=8 if count > 4 else 4,
                            width=1.45, height=2.05)  # fmt: skip
    for axes, image, (place, true, said, sure) in zip(places, found.images, found.mistaken, strict=True):
        picture, low, high = np.asarray(image, np.float64), float(image.min()), float(image.max())
        shown = (picture - low) / (high - low) if high > low else np.zeros_like(picture)
        gray = shown.shape[-1] != 3
        axes.imshow(shown[..., 0] if gray else shown, cmap="gray" if gray else None, interpolation="nearest")
        names = [shortened(found.names[int(which)], 16) for which in (true, said)]
        axes.set_title(f"{names[0]}\nsaid {names[1]} {sure:.0%}", fontsize=7)
        axes.set_xlabel(f"row {int(place):,}", fontsize=6, color=SOFT)
        axes.set_xticks([])
        axes.set_yticks([])
    return figure


PICTURES: Mapping[str, Callable[..., Figure | None]] = {"test_curves": rates_figure, "test_mistakes": mistakes_figure}


def drawn(found: Answered, *, title: str) -> dict[str, Figure]:
    """The pictures of the part by name."""
    if found.task == "regression":
        return {"test_values": values_figure(found, title=title)}
    return {name: figure for name, picture in PICTURES.items() if (figure := picture(found, title=title)) is not None}
