"""The figures of a run, drawn from its folder: learning curves, what it answered to the test part, the trials of a sweep.

Matplotlib is imported inside the functions: only the sender draws.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking import answers, inside, trials
from pipeline.tracking.curves import confusion_matrix, learning_curves
from pipeline.tracking.event import Event
from pipeline.tracking.health import Health
from pipeline.tracking.journal import Compare, Confusion, end_of, read_journal, restored, series, start_of
from pipeline.tracking.style import save
from pipeline.tracking.tested import read

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(folder: Path, *, title: str = "") -> Iterator[Path]:
    """Draws what the folder has into its figures/, if anything -> the files, one by one.  title: what was run, else by the journal."""
    events = read_journal(folder)
    target = folder / "figures"
    for name, figure in drawn(folder, events, title or named(events)):
        target.mkdir(exist_ok=True)
        if target.resolve() != folder.resolve() / "figures":
            return  # a link to somewhere else, where nothing of ours is to be written
        yield save(figure, target / f"{name}.png")


def drawn(folder: Path, events: Sequence[Event], title: str) -> Iterator[tuple[str, Figure]]:
    """The figures of a run by name, each when it is asked for."""
    end = end_of(events)
    if end is not None and end.status != "FINISHED":
        title = f"{title} ({end.status.lower()})"
    curves = {name: values for name, values in series(events).items() if len(values) > 1 and not name.endswith("/test")}
    if curves and start_of(events).tags.get("pipeline.kind") != "sweep":  # whose steps are the times that it was summed up
        yield "learning_curves", learning_curves(curves, title=title, kept=restored(events))
    confusions = {event.part: event for event in events if isinstance(event, Confusion)}  # told again, the last one counts
    for part, confusion in confusions.items():
        figure = confusion_matrix(confusion.counts, confusion.classes, title=title, part=part)
        yield f"confusion_{re.sub(r'[^a-z_]', '', part)[:40]}", figure
    found = read(folder)
    if found is not None:
        yield from answers.drawn(found, title=title).items()
    yield from inside.drawn([event for event in events if isinstance(event, Health)], title=title).items()
    compared = [event for event in events if isinstance(event, Compare)]
    if compared:
        with contextlib.suppress(ValueError, TypeError, KeyError, IndexError):  # curves that nobody here writes
            yield from trials.drawn(trials.trials_of(compared[-1]), title=title).items()


def named(events: Sequence[Event]) -> str:
    """What was run: the name that tells the run apart, and its data where that does not."""
    begun = start_of(events)
    data = str(begun.tags.get("pipeline.data", ""))
    return begun.name if not data or data in begun.name else f"{begun.name} ({data})"
