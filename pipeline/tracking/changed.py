"""What a run that goes on is asked for besides: the event that says so, a name that tells it, and the words for MLflow's page.

MLflow keeps the first value of a parameter; so the page says in its name, its description and a tag what has changed since.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from pipeline.text import leaving
from pipeline.tracking.delivery import NOTE
from pipeline.tracking.event import Event
from pipeline.tracking.journal import Changed, Start, start_of
from pipeline.tracking.provenance import LONGEST_TAG

TAG = "pipeline.changed"
LONGEST = 100  # characters of a value that is told


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
    if said:
        text += f"\n\nIt went on with {said}: the parameters are those that it began with, as MLflow changes none."
    return Changed(name=name, params=values, shown=shown, tags={NOTE: text[:LONGEST_TAG], TAG: said[:LONGEST_TAG] or "nothing"})


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
