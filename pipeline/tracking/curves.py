"""Learning curves and the confusion matrix.  Matplotlib is imported inside the functions: only the sender draws."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.screen.wording import grows, number, significant
from pipeline.tracking.style import COLOURS, LINES, MARKS, panels, quiet, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNITS = {"error": "share of rows", "rmse": "in units of the target", "mae": "in units of the target"}
ASIDE = ("time",)  # metrics that are no learning curve
LOG_RANGE = 20.0  # a loss that spans more is drawn on a logarithmic axis
Series = Mapping[str, Mapping[int, float]]


def learning_curves(curves: Series, *, title: str, kept: int | None = None) -> Figure:
    """One panel per quantity: of `loss/train` and `loss/validation` the quantity is loss, the lines are train and validation.

    kept  the epoch whose weights the run ends with, where that is not the last
    """
    found: dict[str, dict[str, Mapping[int, float]]] = {}
    for name, values in curves.items():
        quantity, _, line = name.rpartition("/")
        quantity, line = (quantity, line) if quantity else (line, "")
        varies = len(set(values.values())) > 1
        if quantity not in ASIDE and (line or varies):  # a constant learning rate is no curve
            found.setdefault(quantity, {})[line] = values
    if not found:
        found = {name: {"": values} for name, values in curves.items()}
    figure, places = panels(len(found), title=title)
    for (quantity, lines), axes in zip(found.items(), places, strict=True):
        plot(axes, quantity, lines)
        if kept is not None:
            axes.axvline(kept, color="0.5", linestyle=":", linewidth=1.2, zorder=0)
            axes.annotate(f"weights of epoch {kept}", (kept, 1), (3, -3), xycoords=("data", "axes fraction"), textcoords="offset points",
                          rotation=90, va="top", fontsize=7, color="0.4")  # fmt: skip
    return figure


def plot(axes: Axes, quantity: str, lines: Mapping[str, Mapping[int, float]]) -> None:
    """The lines of a quantity by epoch, the best of the validation part marked."""
    for index, (line, values) in enumerate(lines.items()):
        steps = sorted(values)
        axes.plot(
            steps,
            [values[step] for step in steps],
            label=line,
            color=COLOURS[index % len(COLOURS)],
            marker=MARKS[index % len(MARKS)],
            linestyle=LINES[index // len(COLOURS) % len(LINES)],
            markevery=max(1, len(steps) // 12),
            markersize=4,
            linewidth=1.6,
        )
        if line == "validation" and (best := _best(quantity, values)) is not None:
            axes.plot(
                [best], [values[best]], marker="*", markersize=11, linestyle="", color=COLOURS[index % len(COLOURS)], label=f"best, {best}"
            )
    styled(axes, quantity)
    if quantity == "loss" and _spans(lines.values()):
        axes.set_yscale("log")
    if any(lines):
        axes.legend(frameon=False)


def _best(quantity: str, values: Mapping[int, float]) -> int | None:
    """The epoch of the best value; None where there is none that is finite."""
    found = {epoch: value for epoch, value in values.items() if math.isfinite(value)}
    if not found:
        return None
    return (max if grows(quantity) else min)(found, key=lambda epoch: found[epoch])


def _spans(lines: Iterable[Mapping[int, float]]) -> bool:
    """Whether positive values span so much that a logarithmic axis shows them better."""
    found = [value for values in lines for value in values.values() if math.isfinite(value)]
    return bool(found) and min(found) > 0 and max(found) / min(found) > LOG_RANGE


def styled(axes: Axes, quantity: str) -> None:
    """Epochs across, the quantity and its unit up."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  # only the sender draws

    unit = UNITS.get(quantity, "")
    words = quantity.replace("_", " ")
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"{words} ({unit})" if unit else words)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    percent(quiet(axes), quantity)


def percent(axes: Axes, quantity: str) -> None:
    """Shares as everywhere."""
    from matplotlib.ticker import FuncFormatter  # noqa: PLC0415  # only who draws

    if number(quantity, 0.0).endswith("%"):
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{significant(100 * value, 4)} %"))


def confusion_matrix(counts: Sequence[Sequence[int]], classes: Sequence[str], *, title: str, part: str) -> Figure:
    """counts [true class, predicted class]; a cell's shade is its share of the true class, its number the rows."""
    from matplotlib.figure import Figure  # noqa: PLC0415  # only the sender draws

    table = np.asarray(counts, dtype=np.int64)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    accuracy = np.trace(table) / max(1, table.sum())
    size = min(14.0, 2.6 + 0.48 * len(classes))
    figure = Figure(figsize=(size + 0.9, size), dpi=130, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    axes.set_title(f"{wrapped(title)}\n{part}: {accuracy:.2%} of {table.sum()} rows right", fontsize=10)
    names = [str(name) for name in classes]
    turned = 45 if max(map(len, names)) > 3 else 0
    axes.set_xticks(range(len(names)), names, rotation=turned, ha="right" if turned else "center")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if len(names) <= 30:  # with more classes the numbers would be too small to read
        for (row, column), count in np.ndenumerate(table):
            if count:
                ink = "white" if share[row, column] > 0.5 else "black"
                axes.text(column, row, str(count), ha="center", va="center", fontsize=7, color=ink)
    return figure
