"""The figures of a run, drawn from its journal: learning curves and the confusion matrix.

Matplotlib is imported inside the functions: only the sender draws.  Colours are those of Okabe and Ito (2008), told apart by every kind of
colour vision, and lines differ in their marks as well.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.tracking.journal import Compare, Confusion, end_of, read_journal, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")
UNITS = {"accuracy": "share of rows", "error": "share of rows", "rmse": "in units of the target", "mae": "in units of the target"}
ASIDE = ("time",)  # metrics that are no learning curve
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
    curves = {name: values for name, values in series(events).items() if len(values) > 1}
    if curves:
        paths.append(_save(learning_curves(curves, title=title), target / "learning_curves.png"))
    confusions = {event.part: event for event in events if isinstance(event, Confusion)}  # told again, the last one counts
    for part, confusion in confusions.items():
        figure = confusion_matrix(confusion.counts, confusion.classes, title=title, part=part)
        paths.append(_save(figure, target / f"confusion_{re.sub(r'[^a-z_]', '', part)}.png"))
    for event in events:
        if isinstance(event, Compare):
            trials = {label: {int(step): float(value) for step, value in values.items()} for label, values in event.curves.items()}
            paths.append(_save(compare(trials, quantity=event.quantity, title=title), target / "trials.png"))
    return paths


def learning_curves(curves: Series, *, title: str) -> Figure:
    """One panel per quantity: of `loss/train` and `loss/validation` the quantity is loss, the lines are train and validation."""
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
    figure = Figure(figsize=(5.2 * len(panels) + 0.4, 4.0), dpi=130, layout="constrained")
    figure.suptitle(_wrapped(title))
    for axes, (quantity, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        _panel(axes, quantity, lines)
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
    _axes(axes, quantity)
    if any(lines):
        axes.legend(frameon=False)


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
    """One line per trial of a sweep: `curves` maps what sets a trial apart to its values by epoch."""
    from matplotlib.figure import Figure  # noqa: PLC0415  # only the sender draws

    figure = Figure(figsize=(8.4, 4.6), dpi=130, layout="constrained")
    axes = figure.subplots()
    _panel(axes, quantity, dict(list(curves.items())[: len(COLOURS) * len(LINES)]))
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
