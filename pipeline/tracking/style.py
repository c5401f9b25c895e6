"""How figures look: colours told apart by every kind of colour vision (Okabe and Ito 2008), lines that differ in their marks as well.

The ground is white in a light page and in a dark one.
"""

from __future__ import annotations

import textwrap
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")
PALE, SOFT = "0.8", "0.45"  # what stands behind, and what is said beside


def panels(count: int, *, title: str, across: int = 3, width: float = 4.9, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels, at most `across` side by side, and these."""
    from matplotlib.figure import Figure  # noqa: PLC0415  # only the sender draws

    side = min(across, count)
    down = -(-count // side)
    figure = Figure(figsize=(width * side + 0.4, height * down + 0.5), dpi=130, layout="constrained", facecolor="white")
    figure.suptitle(wrapped(title, 34 * side + 20), fontsize=11)
    places = list(figure.subplots(down, side, squeeze=False).flat)
    for axes in places[count:]:
        axes.set_visible(False)
    return figure, places[:count]


def quiet(axes: Axes) -> Axes:
    """A grid that does not shout, no frame above and beside."""
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def save(figure: Figure, path: Path) -> Path:
    """Written beside and renamed: a picture is whole or not there."""
    partial = path.with_name(f".{path.name}")
    options: dict[str, Any] = {"format": "png", "metadata": {"Software": None}, "pil_kwargs": {"compress_level": 1}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name may have letters that the font has not
        if (engine := figure.get_layout_engine()) is not None:  # else all is drawn twice, the first time for the layout alone
            engine.execute(figure)
            figure.set_layout_engine("none")
        figure.savefig(partial, **options)
    partial.replace(path)
    return path


def wrapped(title: str, width: int = 90) -> str:
    """A title, each of its lines in at most two."""
    return "\n".join(part for line in title.split("\n") for part in textwrap.wrap(line, width, max_lines=2, placeholder="..."))


def shortened(name: str, most: int = 24) -> str:
    """A name for a legend."""
    return name if len(name) <= most else f"{name[: most - 3]}..."
