"""Which of two copies of a run folder a run of the store was written from.

A run that is stopped and goes on has several lives, one for each `Resume` of its journal.  A folder may be copied, and both copies go on:
they share an id and a beginning, and are two runs from there on.  The store has the lives of what it was sent, in a tag.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from pipeline.tracking.event import Event
from pipeline.tracking.journal import End, Resume

TAG = "pipeline.lives"
MOST = 400  # that the tag has room for


def lives(events: Iterable[Event]) -> list[str]:
    """The lives after the first, each by when it began and in which process."""
    return [f"{event.time:x}.{event.pid:x}" for event in events if isinstance(event, Resume)][:MOST]


def text(own: Sequence[str]) -> str:
    """The lives as the tag has them."""
    return " ".join(own)


def contained(events: Sequence[Event], tags: Mapping[str, str]) -> bool:
    """Whether the run with these tags went on after all that `events` tell: they are of a copy made before."""
    own, theirs = lives(events), tags.get(TAG, "").split()
    if len(theirs) <= len(own) or theirs[: len(own)] != own:
        return False
    told = [event.time for event in events if not isinstance(event, End)]
    return max(told, default=0) <= _begun(theirs[len(own)])


def apart(uid: str, events: Sequence[Event], tags: Mapping[str, str]) -> str:
    """The id of the run that `events` tell of, where the run with these tags is that of another copy; "" where it is the same."""
    own, theirs = lives(events), tags.get(TAG, "").split()
    if theirs == own[: len(theirs)]:
        return ""
    shared = next((place for place, (one, other) in enumerate(zip(own, theirs, strict=False)) if one != other), len(own))
    return hashlib.sha256(" ".join([uid, *own[: shared + 1]]).encode()).hexdigest()[:32]


def _begun(life: str) -> int:
    """Milliseconds since 1970; 0 for what is no life."""
    try:
        return int(life.partition(".")[0], 16)
    except ValueError:
        return 0
