"""The figures of a run, drawn from its journal: learning curves and the confusion matrix.

Matplotlib is imported inside the functions: only the sender draws.  Colours are those of Okabe and Ito (2008), told apart by every kind of
colour vision, and lines differ in their marks as well.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.screen.wording import grows
from pipeline.tracking.journal import Compare, Confusion, end_of, read_journal, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")
UNITS = {"accuracy": "share of rows", "error": "share of rows", "rmse": "in units of the target", "mae": "in units of the target"}
ASIDE = ("time",)  # metrics that are no learning curve
RESTORED = re.compile(r"the weights are those of epoch (\d+)")  # in the message of a run's end
MOST_ACROSS = 3  # panels side by side
MOST_LINES = 12  # trials that each have a colour and a name
MOST_NAMED = 7  # the best of more than that
LOG_RANGE = 20.0  # a loss that spans more is drawn on a logarithmic axis
Series = Mapping[str, Mapping[int, float]]


def draw(folder: Path, *, title: str) -> list[Path]:
    """Draws what the journal has into figures/ of the run folder.  Returns the files."""
    events = read_journal(folder)
    target = folder / "figures"
    target.mkdir(exist_ok=True)
    if target.resolve() != folder.resolve() / "figures":
        return []  # a link to somewhere else, where nothing of ours is to be written
    end = end_of(events)
    if end is not None and end.status != "FINISHED":
        title = f"{title} ({end.status.lower()})"
    paths = []
    curves = {name: values for name, values in series(events).items() if len(values) > 1 and not name.endswith("/test")}
    if curves:
        kept = None if end is None else RESTORED.search(end.message)
        figure = learning_curves(curves, title=title, kept=None if kept is None else int(kept[1]))
        paths.append(_save(figure, target / "learning_curves.png"))
    confusions = {event.part: event for event in events if isinstance(event, Confusion)}  # told again, the last one counts
    for part, confusion in confusions.items():
        figure = confusion_matrix(confusion.counts, confusion.classes, title=title, part=part)
        paths.append(_save(figure, target / f"confusion_{re.sub(r'[^a-z_]', '', part)}.png"))
    for event in events:
        if isinstance(event, Compare):
            trials = {label: {int(step): float(value) for step, value in values.items()} for label, values in event.curves.items()}
            paths.append(_save(compare(trials, quantity=event.quantity, title=title), target / "trials.png"))
    return paths


def learning_curves(curves: Series, *, title: str, kept: int | None = None) -> Figure:
    """One panel per quantity: of `loss/train` and `loss/validation` the quantity is loss, the lines are train and validation.

    kept  the epoch whose weights the run ends with, where that is not the last
    """
    from matplotlib.figure import Figure  # noqa: PLC0415  # only the sender draws

    panels: dict[str, dict[str, Mapping[int, float]]] = {}
    for name, values in curves.items():
        quantity, _, line = name.rpartition("/")
        quantity, line = (quantity, line) if quantity else (line, "")
        varies = len(set(values.values())) > 1
        if quantity not in ASIDE and (line or varies):  # a constant learning rate is no curve
            panels.setdefault(quantity, {})[line] = values
    if not panels:
        panels = {name: {"": values} for name, values in curves.items()}
    across = min(MOST_ACROSS, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(4.9 * across + 0.4, 3.6 * down + 0.4), dpi=130, layout="constrained")
    figure.suptitle(_wrapped(title))
    places = figure.subplots(down, across, squeeze=False).flat
    for (quantity, lines), axes in zip(panels.items(), places, strict=False):
        _panel(axes, quantity, lines)
        if kept is not None:
            axes.axvline(kept, color="0.5", linestyle=":", linewidth=1.2, zorder=0)
            axes.annotate(f"weights of epoch {kept}", (kept, 1), (3, -3), xycoords=("data", "axes fraction"), textcoords="offset points",
                          rotation=90, va="top", fontsize=7, color="0.4")  # fmt: skip
    for axes in places:  # the places that are left over
        axes.set_visible(False)
    return figure


def _panel(axes: Axes, quantity: str, lines: Mapping[str, Mapping[int, float]]) -> None:
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
    _axes(axes, quantity)
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


def _axes(axes: Axes, quantity: str) -> None:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  # only the sender draws

    unit = UNITS.get(quantity, "")
    words = quantity.replace("_", " ")
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"{words} ({unit})" if unit else words)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


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
    axes.set_title(f"{_wrapped(title)}\n{part}: {accuracy:.2%} of {table.sum()} rows right", fontsize=10)
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


def compare(curves: Mapping[str, Mapping[int, float]], *, quantity: str, title: str) -> Figure:
    """One line per trial of a sweep: `curves` maps what sets a trial apart to its values by epoch.

    Of many all are drawn, thin and gray, and the best by their last values stand out with their names.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415  # only the sender draws

    figure = Figure(figsize=(8.4, 4.6), dpi=130, layout="constrained")
    axes = figure.subplots()
    shown = dict(curves)
    if len(curves) > MOST_LINES:
        last = {label: values[max(values)] for label, values in curves.items() if values}
        sound = [label for label, value in last.items() if math.isfinite(value)]
        best = sorted(sound, key=lambda label: last[label], reverse=grows(quantity.partition("/")[0]))[:MOST_NAMED]
        for label, values in curves.items():
            steps = sorted(values)
            if label not in best:
                axes.plot(steps, [values[step] for step in steps], color="0.75", linewidth=0.7, zorder=0)
        shown = {label: curves[label] for label in best}
        title = f"{title}: all {len(curves)} trials, the best {len(best)} named"
    _panel(axes, quantity, shown)
    axes.set_title(_wrapped(title), fontsize=11)
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _save(figure: Figure, path: Path) -> Path:
    """Written beside and renamed: a picture is whole or not there."""
    partial = path.with_name(f".{path.name}")
    options: dict[str, Any] = {"format": "png", "metadata": {"Software": None}}
    figure.savefig(partial, **options)
    partial.replace(path)
    return path


def _wrapped(title: str) -> str:
    return textwrap.shorten(title, 90, placeholder="...")
