"""Automatic values that differ between the trials of a sweep: they follow from what is compared, so they are compared with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.tracking.journal import Start

SAID = {"regularization.weight_decay": "weight decay ", "training.batch_size": "batches of ", "training.epochs": " epochs ("}
NOTES, AUTOMATIC = "pipeline.data_notes", "automatic for "


def apart(starts: Sequence[Start], params: Sequence[str]) -> Iterator[str]:
    """A sentence for each such value of the trials that began so; `params` are what they were asked to differ in."""
    for path, words in SAID.items():
        group = path.partition(".")[0]
        if group in params or path in params or not any(words in _automatic(begun) for begun in starts):
            continue
        values = [str(begun.params.get(path)) for begun in starts]
        if len(set(values)) > 1:
            hint = f"give {path}=... to compare the rest alone"
            yield f"automatic {path} is not the same for all: {_by(starts, params, values)}; {hint}"


def _automatic(begun: Start) -> str:
    """What was settled for a trial, as it was told."""
    lines = str(begun.tags.get(NOTES, "")).splitlines()
    return next((line for line in lines if line.startswith(AUTOMATIC)), "")


def _by(starts: Sequence[Start], params: Sequence[str], values: Sequence[str]) -> str:
    """`0.3 with optimizer=adam, 0.0 with optimizer=sgd`, or the values alone where no single parameter decides."""
    for name in params:
        found: dict[str, set[str]] = {}
        for begun, value in zip(starts, values, strict=True):
            found.setdefault(str(begun.params.get(name, begun.params.get(f"{name}.kind"))), set()).add(value)
        if len(found) > 1 and all(len(own) == 1 for own in found.values()):
            told = {value: [which for which, (own,) in ((w, tuple(o)) for w, o in found.items()) if own == value] for value in values}
            return ", ".join(f"{value} with {name.rpartition('.')[2]}={','.join(which)}" for value, which in told.items())
    return ", ".join(dict.fromkeys(values))
