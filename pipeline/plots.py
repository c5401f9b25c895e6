"""The pictures of a run and of a sweep as matplotlib's axes: a notebook shows them, and more may be drawn into them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import RunError, nearest
from pipeline.sweeps.python import Swept
from pipeline.sweeps.table import compared
from pipeline.tasks import trained
from pipeline.tasks.results import Result
from pipeline.tracking import curves, figures, trials
from pipeline.tracking.journal import read_journal, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Panels(list["Axes"]):
    """The axes of one figure."""

    @property
    def figure(self) -> Figure:
        """What they stand in: `.figure.savefig("curves.pdf")`."""
        found = self[0].get_figure(root=True)
        assert found is not None
        return found

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.figure.savefig(file, format="png")
        return file.getvalue()


def plot(of: Result | Swept | str | Path, what: str | None = None, *, axes: Axes | None = None) -> Panels:
    """Draws a picture of a run or a sweep -> its axes, one a panel.

    of     what `pipeline.train` or `pipeline.sweep` gave, or a run: its folder or MLflow run id
    what   the name of a picture, as its file in figures/ is called: of a run "learning_curves", "confusion_test", "roc", ..., of a sweep
           "trials", "arms", "parameters", ...; by default the first.  Of a run also a quantity, "loss" or "accuracy": its curves alone
    axes   where the curves of a quantity are drawn; by default in a new figure
    Raises RunError where there is no such picture.
    """
    if what is not None and not isinstance(of, Swept) and (lines := _lines(_folder(of), what)):
        place = axes if axes is not None else _blank()
        curves.plot(place, what, lines)
        return Panels([place])
    names = []
    for name, figure in _pictures(of):
        if what in (name, None):
            return Panels(each for each in figure.axes if each.get_visible())
        names.append(name)
    whose = of.folder.name if isinstance(of, Result | Swept) else str(of)
    hint = nearest(what or "", names) if names else "it has too few epochs or trials for one"
    raise RunError(f"{whose}: has no picture {what or 'at all'}; {hint}")


def _folder(of: Result | str | Path) -> Path:
    return of.folder if isinstance(of, Result) else trained.find(str(of))


def _lines(folder: Path, quantity: str) -> Mapping[str, Mapping[int, float]]:
    """train, validation -> values by epoch; none where it is no quantity."""
    told = series(read_journal(folder))
    return {name.rpartition("/")[2]: values for name, values in told.items() if name.rpartition("/")[0] == quantity and len(values) > 1}


def _blank() -> Axes:
    from matplotlib.figure import Figure  # noqa: PLC0415  # who asks for a picture waits for it

    made: Axes = Figure(figsize=(6.0, 4.0), dpi=110, layout="constrained").subplots()
    return made


def _pictures(of: Result | Swept | str | Path) -> Iterator[tuple[str, Figure]]:
    if isinstance(of, Swept):
        return iter(trials.drawn(trials.trials_of(compared(of.summary)), title=of.folder.name).items())
    folder = _folder(of)
    events = read_journal(folder)
    return figures.drawn(folder, events, figures.named(events))
