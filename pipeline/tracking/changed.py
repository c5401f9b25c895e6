"""What a run that goes on is asked for besides: the event that says so, a name that tells it, and the words for MLflow's page.

MLflow keeps the first value of a parameter; so the page says in its name, its description and a tag what has changed since.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.text import leaving
from pipeline.tracking.delivery import NOTE
from pipeline.tracking.event import Event
from pipeline.tracking.folder import CONFIG
from pipeline.tracking.journal import Changed, Start, read_journal, series, start_of
from pipeline.tracking.provenance import LONGEST_TAG, flatten
from pipeline.tracking.tracker import Tracker, config_text

TAG = "pipeline.changed"
LONGEST, MOST = 100, 4000  # characters of a value that is told, of all of them


def changed(
    events: Sequence[Event],
    now: Mapping[str, str],
    *,
    paths: Iterable[str],
    usual: Mapping[str, str] | None = None,
    naming: Collection[str] = (),
    note: str | None = None,
) -> Changed | None:
    """What differs in `now`, path -> value, from what the journal says; None where nothing does.

    paths   those that may differ;  naming: those of them that the run's name tells
    usual   the value of a config that gives nothing, which the page does not show
    note    the new description; None: the one that the run began with
    """
    begun, first = start_of(events), next((event for event in events if isinstance(event, Start)), Start())
    values = {path: now.get(path) for path in paths if begun.params.get(path) != now.get(path)}
    if not values:
        return None
    name = begun.name
    for path, value in values.items():
        if path in naming and value is not None:
            name = _renamed(name, path, value)
    shown = {path: value for path, value in values.items() if path in (begun.shown or {}) or (usual or {}).get(path) != value}
    whole = {**begun.params, **values}
    other = {path: whole[path] for path in whole if whole[path] != first.params.get(path)}
    said = "; ".join(f"{path} = {_brief(value)} ({_brief(first.params.get(path))} when it began)" for path, value in other.items())
    text = str(first.tags.get(NOTE, "")).replace(f"**{first.name}**", f"**{name}**", 1) if note is None else note
    end = f"\n\nIt went on with {said[:MOST]}: the parameters are those that it began with, as MLflow changes none." if said else ""
    return Changed(
        name=name, params=values, shown=shown, tags={NOTE: text[: LONGEST_TAG - len(end)] + end, TAG: said[:LONGEST_TAG] or "nothing"}
    )


def change(tracker: Tracker, config: Mapping[str, Any], *, note: str) -> None:
    """A run that goes on has another config by now: config.yaml and the journal say so.  `note` is its new description."""
    events, now = read_journal(tracker.folder), {path: leaving(value) for path, value in flatten(config).items()}
    told = changed(events, now, paths={**start_of(events).params, **now}, note=note)
    if told is not None:
        files.write(tracker.folder / CONFIG, config_text(config))
        tracker.artifact(tracker.folder / CONFIG)
        tracker.journal.write(told)


def next_step(folder: Path) -> int:
    """The step after the last of a run that tells metrics once in each of its lives."""
    return 1 + max((max(told) for told in series(read_journal(folder)).values()), default=-1)


def _brief(value: object) -> str:
    return "none" if value is None else leaving(str(value))[:LONGEST]


def _renamed(name: str, path: str, value: str) -> str:
    """`cnn epochs=40 seed=0` -> `cnn epochs=20 seed=0`: the value takes the place of the one before, else it stands before the seed."""
    last, told = path.rpartition(".")[2], leaving(value.rpartition("/")[2])
    for word in (path, last):
        found = re.search(rf"(?<=[ ,]){re.escape(word)}=[^\s,]*", name)
        if found is not None:
            return f"{name[: found.start()]}{word}={told}{name[found.end() :]}"
    seed = re.search(r" seed=\S*$", name)
    place = len(name) if seed is None else seed.start()
    return f"{name[:place]} {last}={told}{name[place:]}"
