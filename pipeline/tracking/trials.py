"""The pictures of a sweep, of all its trials: curves, arms as mean and band, the metric against each parameter, two parameters together.

Matplotlib is imported inside the functions: only the sender draws.
"""

# A trials of an arm
from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.records import record
from pipeline.screen.wording import grows, number
from pipeline.tracking.curves import percent, plot, styled
from pipeline.tracking.journal import Compare
from pipeline.tracking.style import COLOURS, MARKS, PALE, panels, quiet, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LINES = 12  # trials that each have a colour and a name
MOST_NAMED = 7  # the best of more than that
MOST_PARAMETERS, MOST_WORDS = 9, 20
LOG_RANGE = 20.0  # a parameter that spans more is drawn on a logarithmic axis
Curves = Mapping[str, Mapping[int, float]]


@record
class Trial:
    """A finished trial with a finite value."""

    label: str
    value: float
    params: Mapping[str, str]
    arm: str


@record
class Trials:
    """What the pictures of a sweep are drawn of: finished trials in their order, `begun` of all; names: the parameters but repeats."""

    what: str
    quantity: str
    grows: bool
    names: tuple[str, ...]
    done: tuple[Trial, ...]
    begun: int
    curves: Curves


def trials_of(event: Compare) -> Trials:
    """As the journal has them."""
    paths = dict.fromkeys(name for trial in event.trials for name in trial.params if name not in event.repeats)
    names = [name for name in paths if len({trial.params.get(name) for trial in event.trials}) > 1]
    done = [
        Trial(label=trial.label, value=float(trial.value), params=trial.params, arm=_arm(trial.params, names))
        for trial in event.trials
        if trial.done and math.isfinite(float(trial.value))
    ]
    curves = {label: {int(step): float(value) for step, value in values.items()} for label, values in event.curves.items()}
    return Trials(
        what=event.what,
        quantity=event.quantity,
        grows=event.grows,
        names=tuple(names),
        done=tuple(done),
        begun=len(event.curves),
        curves=curves,
    )


def drawn(trials: Trials, *, title: str) -> dict[str, Figure]:
    """The pictures of a sweep by name: those for which it has enough."""
    over = ", ".join(map(_last, trials.names[:MOST_PARAMETERS]))
    title = f"{trials.what}{f' over {over}' if over else ''} ({title})" if trials.what else title
    found = {
        "trials": compare(trials.curves, quantity=trials.quantity, title=title),
        "arms": arms(trials, title=title),
        "parameters": parameters(trials, title=title),
        "together": together(trials, title=title),
        "best_so_far": best_so_far(trials, title=title),
    }
    return {name: figure for name, figure in found.items() if figure is not None}


def compare(curves: Curves, *, quantity: str, title: str) -> Figure:
    """One line per trial of a sweep: `curves` maps what sets a trial apart to its values by epoch.

    Of many all are drawn, thin and gray, and the best by their last values stand out with their names.
    """
    shown = dict(curves)
    best: list[str] = []
    if len(curves) > MOST_LINES:
        last = {label: values[max(values)] for label, values in curves.items() if values}
        sound = [label for label, value in last.items() if math.isfinite(value)]
        best = sorted(sound, key=lambda label: last[label], reverse=grows(quantity.partition("/")[0]))[:MOST_NAMED]
        shown = {label: curves[label] for label in best}
        title = f"{title}: all {len(curves)} trials, the best {len(best)} named"
    figure, (axes,) = panels(1, title=title, width=8.4, height=4.6)
    for label, values in curves.items() if len(curves) > MOST_LINES else ():
        steps = sorted(values)
        if label not in best:
            axes.plot(steps, [values[step] for step in steps], color=PALE, linewidth=0.7, zorder=0)
    plot(axes, quantity, shown)
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def arms(trials: Trials, *, title: str) -> Figure | None:
    """The mean of each arm by epoch and a band of one standard deviation; None where no arm has several trials or two epochs."""
    groups: dict[str, list[Mapping[int, float]]] = {}
    for trial in trials.done:
        groups.setdefault(trial.arm, []).append(trials.curves.get(trial.label, {}))
    several = {arm: found for arm, found in groups.items() if len(found) > 1 and len(_shared(found)) > 1}
    if not several:
        return None

    def last(arm: str) -> float:
        values = [curve[_shared(several[arm])[-1]] for curve in several[arm]]
        return (-1 if trials.grows else 1) * float(np.mean(values))

    best = sorted(several, key=last)[:MOST_NAMED]
    count = "" if len(several) == len(best) else f", the best {len(best)} of {len(several)} arms in colour"
    figure, (axes,) = panels(1, title=f"{title}\nmean of each arm, band of one standard deviation{count}", width=8.4, height=4.6)
    for arm in sorted(several, key=last, reverse=True):
        epochs = _shared(several[arm])
        values = np.array([[curve[epoch] for epoch in epochs] for curve in several[arm]])
        mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1)
        if arm not in best:
            axes.plot(epochs, mean, color=PALE, linewidth=0.9, zorder=0)
            continue
        place = best.index(arm)
        axes.fill_between(epochs, mean - spread, mean + spread, color=COLOURS[place], alpha=0.15, linewidth=0)
        axes.plot(epochs, mean, color=COLOURS[place], marker=MARKS[place], markersize=4, linewidth=1.7, markevery=max(1, len(epochs) // 12),
                  label=f"{shortened(arm, 40)}  ({len(values)})", zorder=3)  # fmt: skip
    styled(axes, trials.quantity)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _shared(curves: Sequence[Mapping[int, float]]) -> list[int]:
    """The epochs of which all have a finite value."""
    return sorted(epoch for epoch in curves[0] if all(math.isfinite(curve.get(epoch, math.nan)) for curve in curves))


def parameters(trials: Trials, *, title: str) -> Figure | None:
    """The metric against each parameter on its scale, every finished trial a dot, a line through the means where values repeat."""
    names = trials.names[:MOST_PARAMETERS]
    if not names or len(trials.done) < 3:
        return None
    less = f", {len(names)} of {len(trials.names)} parameters" if len(names) < len(trials.names) else ""
    again = any(len({trial.params.get(name) for trial in trials.done}) < len(trials.done) for name in names)
    said = f"{len(trials.done)} finished of {trials.begun} trials, the best as a star{'; diamonds are means' if again else ''}{less}"
    figure, places = panels(len(names), title=f"{title}\n{said}", width=4.4, height=3.5)
    best = (max if trials.grows else min)(trials.done, key=lambda trial: trial.value)
    for axes, name in zip(places, names, strict=True):
        at = _places(axes, [trial.params.get(name, "") for trial in trials.done], "x")
        values = np.array([trial.value for trial in trials.done])
        axes.scatter(at, values, s=16, color=COLOURS[0], alpha=0.5, linewidths=0)
        distinct = np.unique(at)
        if len(distinct) < len(at):
            line = 1.4 if all(map(_is_number, (trial.params.get(name, "") for trial in trials.done))) else 0.0
            means = [values[at == one].mean() for one in distinct]
            axes.plot(distinct, means, color=COLOURS[1], marker="D", markersize=4, linewidth=line)
        axes.scatter([at[trials.done.index(best)]], [best.value], s=110, marker="*", color=COLOURS[4], edgecolors="black", linewidths=0.5,
                     zorder=4)  # fmt: skip
        quiet(axes).set(xlabel=_last(name), ylabel=trials.quantity)
        percent(axes, trials.quantity)
    return figure


def together(trials: Trials, *, title: str) -> Figure | None:
    """The mean metric for two parameters: those of the most values, as a heat map, or where values do not repeat as coloured dots."""
    if len(trials.names) < 2 or len(trials.done) < 4:
        return None
    kinds = {name: list(dict.fromkeys(trial.params.get(name, "") for trial in trials.done)) for name in trials.names}
    first, second = sorted(trials.names, key=lambda name: -len(kinds[name]))[:2]
    cells: dict[tuple[str, str], list[float]] = {}
    for trial in trials.done:
        cells.setdefault((trial.params.get(first, ""), trial.params.get(second, "")), []).append(trial.value)
    grid = len(kinds[first]) < len(trials.done) and len(kinds[first]) <= MOST_WORDS  # the values of a grid come again
    what = f"{_last(first)} and {_last(second)}: {'means of ' if len(cells) < len(trials.done) else ''}{len(trials.done)} trials"
    figure, (axes,) = panels(1, title=f"{title}\n{what}", width=7.2, height=4.6 if not grid else 1.8 + 0.42 * len(kinds[second]))
    if not grid:
        at = [_places(axes, [trial.params.get(name, "") for trial in trials.done], which) for name, which in ((first, "x"), (second, "y"))]
        values = [trial.value for trial in trials.done]
        dots = axes.scatter(at[0], at[1], c=values, cmap="cividis", s=55, edgecolors="0.3", linewidths=0.4)
        figure.colorbar(dots, ax=axes, label=trials.quantity)
        quiet(axes).set(xlabel=_last(first), ylabel=_last(second))
        return figure
    columns, rows = sorted(kinds[first], key=_numeric), sorted(kinds[second], key=_numeric)
    means = np.array([[np.mean(cells[column, row]) if (column, row) in cells else np.nan for column in columns] for row in rows])
    image = axes.imshow(means, cmap="cividis", aspect="auto", origin="lower")
    figure.colorbar(image, ax=axes, label=trials.quantity)
    axes.set_xticks(range(len(columns)), [shortened(text, 12) for text in columns], rotation=45 if len(columns) > 6 else 0)
    axes.set_yticks(range(len(rows)), [shortened(text, 18) for text in rows])
    axes.set(xlabel=_last(first), ylabel=_last(second))
    middle = np.nanmin(means) + (np.nanmax(means) - np.nanmin(means)) * 0.55
    for (row, column), mean in np.ndenumerate(means):
        if len(columns) <= 10 and math.isfinite(mean):
            text = number(trials.quantity, float(mean)).replace(" %", "")
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color="black" if mean > middle else "white")
    return figure


def best_so_far(trials: Trials, *, title: str) -> Figure | None:
    """Each finished trial in its order, and the best up to it."""
    if len(trials.done) < 3:
        return None
    values = np.array([trial.value for trial in trials.done])
    best = (np.maximum if trials.grows else np.minimum).accumulate(values)
    figure, (axes,) = panels(1, title=f"{title}\neach of {len(values)} finished trials, and the best so far", width=7.2, height=3.6)
    axes.scatter(range(1, len(values) + 1), values, s=16, color=COLOURS[0], alpha=0.55, linewidths=0, label="trial")
    axes.step(range(1, len(values) + 1), best, where="post", color=COLOURS[1], linewidth=1.8, label="best so far")
    low, high = np.percentile(values, [5, 95]) if len(values) > 20 else (values.min(), values.max())
    low, high = min(low, best.min()), max(high, best.max())
    axes.set_ylim(low - 0.08 * (high - low) - 1e-12, high + 0.08 * (high - low) + 1e-12)  # one trial that failed would flatten the rest
    outside = int(np.sum((values < axes.get_ylim()[0]) | (values > axes.get_ylim()[1])))
    axes.set_xlabel("trial" + (f" ({outside} lie outside the picture)" if outside else ""))
    axes.set_ylabel(trials.quantity)
    axes.legend(frameon=False, fontsize=8)
    percent(quiet(axes), trials.quantity)
    return figure


def _places(axes: Axes, texts: Sequence[str], which: str) -> npt.NDArray[np.float64]:
    """Where the values of a parameter stand on axis `which`: numbers on their scale, words side by side."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    try:
        numbers = np.array([float(text) for text in texts])
    except ValueError:
        numbers = np.array([math.nan])
    if np.isfinite(numbers).all():
        if numbers.min() > 0 and numbers.max() > LOG_RANGE * numbers.min():
            (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        return numbers
    words = sorted(dict.fromkeys(texts))
    axis.set_ticks(range(len(words)), [shortened(word, 14) for word in words], fontsize=7)
    if which == "x" and sum(map(len, words)) > 30:
        axes.tick_params(axis="x", rotation=30)
    return np.array([float(words.index(text)) for text in texts])


def _is_number(text: str) -> bool:
    return _numeric(text)[0] < math.inf


def _numeric(text: str) -> tuple[float, str]:
    """Numbers by their size, then words."""
    try:
        return float(text), ""
    except ValueError:
        return math.inf, text


def _arm(params: Mapping[str, str], names: Iterable[str]) -> str:
    return ", ".join(f"{_last(name)}={params.get(name, '')}" for name in names) or "all trials"


def _last(name: str) -> str:
    return name.rpartition(".")[2]
