"""Trials that somebody let train on after their sweep: what they came to then is that of another training, and no row of this table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.tracking.event import Event
from pipeline.tracking.journal import Resume, end_of


def to_its_end(events: Sequence[Event]) -> Sequence[Event]:
    """The events of a trial up to the first end that it came to; one that was stopped before it, and went on, has all of them."""
    for place, event in enumerate(events):
        if isinstance(event, Resume) and (end := end_of(events[:place])) is not None and end.status == "FINISHED":
            return events[:place]
    return events


def trained_on(jobs: Sequence[str]) -> Iterator[str]:
    """What is said of the jobs that had more than that."""
    if jobs:
        are, them = ("s", "them") if len(jobs) > 1 else ("", "it")
        yield f"job{are} {', '.join(jobs)} trained on since, by resume=: the table has {them} as the sweep trained {them}"
