"""Trials that somebody let train on after their sweep: what they came to then is that of another training, and no row of this table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pipeline.tracking.event import Event
from pipeline.tracking.journal import Changed, Resume, end_of


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


def gone_on_with(told: Iterable[tuple[str, Sequence[Event]]]) -> Iterator[str]:
    """What is said of each job that was stopped and trained on for another length, of `told` job and events."""
    for job, events in told:
        values = {path: value for event in events if isinstance(event, Changed) for path, value in event.params.items()}
        length = [f"{path}={value}" for path, value in values.items() if path.startswith(("training.", "budget."))]
        if length:
            yield f"job {job} was stopped, and went on by resume= with {', '.join(length)}: it stands beside trials without that"
