"""The plot and the table of a learning-rate range test."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from pipeline.checks.learning_rates import RangeTest
from pipeline.text import comma_separated

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(test: RangeTest, *, title: str) -> Figure:
    """Loss over the learning rate: every step pale, the average in front of it, a line at each suggestion."""
    from matplotlib.figure import Figure  # noqa: PLC0415  # half a second that only this task needs

    result = Figure(figsize=(6.4, 4.2), dpi=130, layout="constrained")
    axes = result.subplots()
    axes.plot(test.rates, test.losses, color="#0072B2", alpha=0.25, linewidth=1, label="each step")
    axes.plot(test.rates, test.smoothed, color="#0072B2", linewidth=1.8, label="smoothed")
    for rate, line, name in ((test.steepest, "--", "steepest descent"), (test.tenth, ":", "minimum / 10")):
        if rate is not None:
            axes.axvline(rate, color="#D55E00", linestyle=line, label=f"{name}: {rate:.2g}")
    low, high = float(np.min(test.smoothed)), float(np.max(test.smoothed[: test.reach]))
    axes.set_ylim(low - 0.1 * (high - low), high + 0.5 * (high - low) + 1e-12)  # what diverges would flatten the rest
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss")
    axes.set_title(title, fontsize=11)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return result


def png(test: RangeTest, *, title: str) -> bytes:
    """The figure as a PNG file, the same bytes for the same test."""
    buffer = io.BytesIO()
    figure(test, title=title).savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def table(test: RangeTest) -> str:
    """CSV with the columns step, learning_rate, loss, smoothed_loss."""
    rows = zip(range(1, len(test.losses) + 1), *(a.tolist() for a in (test.rates, test.losses, test.smoothed)), strict=True)
    return comma_separated([("step", "learning_rate", "loss", "smoothed_loss"), *rows])
