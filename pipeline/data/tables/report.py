"""What is found in the columns of a table, before anything is trained: a row a column, with what looks wrong and what mends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from pipeline.data.cells.columns import Category, Encoder, Hashed, Quantity
from pipeline.data.cells.dates import EPOCH
from pipeline.data.hints import ignoring
from pipeline.data.settings import Data, Declared, target_columns
from pipeline.data.sources.origin import source
from pipeline.data.storage.files import located
from pipeline.data.tables.decide import UNUSED, Decision, column_list, decide, declarations, doubted, nearest_column
from pipeline.data.tables.look import Evidence, recount
from pipeline.data.tables.table import faults
from pipeline.errors import DataError

EXAMPLES = 3


@dataclass(frozen=True, kw_only=True)
class Row:
    """A column of the file.

    kind      and why it is of that kind: declared, or the rule that its cells keep
    inputs    how many columns of x it becomes; -1: none, or not known
    examples  the first cells, as they are written
    wrong     what looks wrong, with the override that mends it
    """

    name: str
    kind: str
    why: str
    missing: int
    distinct: str
    span: str
    examples: str
    inputs: int
    wrong: str


def summary(encoder: Encoder) -> str:
    """Which columns of a table are of which kind, and how many inputs they become: `number size, price; category town (3 inputs)`."""
    kinds: dict[str, list[Quantity | Category | Hashed]] = {}
    for column in encoder.columns:
        kinds.setdefault("hash" if isinstance(column, Hashed) else column.reading.kind, []).append(column)
    parts = [f"target {column_list(target_columns(encoder.target))}"]
    for kind, columns in kinds.items():
        inputs = sum(len(column.features) for column in columns)
        more = f" ({inputs} inputs)" if inputs != len(columns) else ""
        parts.append(f"{kind} {column_list([column.name for column in columns])}{more}")
    parts += [f"left out {column_list(encoder.ignore)}"] if encoder.ignore else []
    return "; ".join(parts)


def report(config: Data) -> tuple[list[Row], int, tuple[str, ...]]:
    """(a row for each column, number of rows of the file, notes on how it is read).  Raises DataError."""
    rows = source(located(str(config.path)), config)
    lacking = next((name for name in target_columns(config.target) if name not in rows.names), None)
    if lacking is not None:
        rule = f"{rows.label.partition(' = ')[2]} has no such column; {nearest_column(lacking, rows.names)}"
        raise DataError(f"data.target = {lacking}: {rule}")
    declared = declarations(rows, config)
    found, decisions = decide(rows, config, declared)
    count = next(iter(found.values())).rows
    sure = {name: each for name, each in decisions.items() if each.doubt is None}
    refused = {name: str(error) for name, error in faults(rows, found, sure, config).items()}
    refused |= {name: str(doubted(rows, each, config)) for name, each in decisions.items() if each.doubt is not None}
    apart = {name: found[name] for name in sure if found[name].plain and found[name].kept is None}  # numbers of a file that is not kept
    counted = dict(apart)
    recount(rows, counted, list(apart), typed=True)
    found |= {name: replace(seen, counts=counted[name].counts, many=counted[name].many) for name, seen in apart.items()}
    made = []
    for name in rows.names:
        if declared[name].kind in UNUSED:
            made.append(_unused(name, str(declared[name].kind)))
            continue
        doubt = refused.get(name, "").partition(": ")[2]
        made.append(_row(found[name], decisions[name], declared[name], doubt, config, count))
    return made, count, rows.notes


def _unused(name: str, kind: str) -> Row:
    return Row(name=name, kind=kind, why="declared", missing=0, distinct="", span="", examples="", inputs=0, wrong="")


def _row(seen: Evidence, decision: Decision, declared: Declared, doubt: str, config: Data, rows: int) -> Row:
    values = _values(seen)
    gone = sum(count for text, count in seen.counts.items() if decision.reading.absent(text))
    counts = {text: count for text, count in seen.counts.items() if not decision.reading.absent(text)}
    seen = replace(seen, counts=counts, absent=seen.absent + gone)
    distinct = len(values) if values is not None else len(seen.counts)
    inputs = _inputs(decision, declared, len(set(map(decision.reading.spelled, seen.counts))), seen)
    kind = declared.kind if declared.kind is not None else decision.reading.kind
    target = seen.name in target_columns(config.target)
    return Row(
        name=seen.name,
        kind="?" if doubt else f"{kind}, target" if target else str(kind),
        why=decision.why,
        missing=seen.absent,
        distinct=f"{distinct}{'+' if seen.many else ''}",
        span="" if doubt else _span(seen, decision),
        examples=", ".join(_examples(seen, values)),
        inputs=-1 if target or doubt else 0 if seen.name == config.sample_weight else inputs,
        wrong=doubt or "; ".join(_odd(seen, decision, values, rows, target=target)),
    )


def _values(seen: Evidence) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    """The distinct numbers of a column that was read as numbers, where its cells are kept."""
    if not seen.plain or seen.kept is None:
        return None
    values = np.unique(np.concatenate([np.asarray(block, np.float64) for block in seen.kept]))
    return np.asarray(values[~np.isnan(values)])


def _inputs(decision: Decision, declared: Declared, words: int, seen: Evidence) -> int:
    if declared.kind == "hash":
        return 64
    if decision.reading.words:
        return words + bool(seen.absent)
    return len(Quantity(name="", reading=decision.reading, fill=0.0, parts=declared.features).features)


def _span(seen: Evidence, decision: Decision) -> str:
    if decision.reading.words:
        return ""
    if seen.plain:
        low, high = seen.low, seen.high
    else:
        values = [value for text in seen.counts if (value := decision.reading.value(text)) is not None]
        low, high = min(values, default=np.inf), max(values, default=-np.inf)
    if low > high:
        return ""
    if decision.reading.kind == "date":
        return f"{EPOCH + timedelta(days=low):%Y-%m-%d} to {EPOCH + timedelta(days=high):%Y-%m-%d}"
    return f"{low:g} to {high:g}"


def _examples(seen: Evidence, values: np.ndarray[tuple[int], np.dtype[np.float64]] | None) -> Iterator[str]:
    if seen.counts:
        yield from (text if len(text) <= 20 else f"{text[:19]}…" for text in list(seen.counts)[:EXAMPLES])
    elif values is not None and seen.kept:
        first = np.asarray(seen.kept[0], np.float64)
        yield from (f"{value:.15g}" for value in list(dict.fromkeys(first[~np.isnan(first)].tolist()))[:EXAMPLES])


def _odd(
    seen: Evidence, decision: Decision, values: np.ndarray[tuple[int], np.dtype[np.float64]] | None, rows: int, *, target: bool
) -> Iterator[str]:
    """What is told of a column, and what else looks wrong."""
    yield from decision.notes
    if seen.absent == rows:
        yield f"no cell has a value; give {ignoring(seen.name)}"
    elif target and seen.absent:
        yield f"{seen.absent} of {rows} rows have no target; data.missing_target=drop leaves them out"
    elif 2 * seen.absent > rows:
        yield f"{100 * seen.absent // rows} % of the cells have no value"
    distinct = len(values) if values is not None else len(seen.counts)
    if distinct == 1 and seen.absent == 0:
        yield "all rows have one value" if target else f"all rows have one value; give {ignoring(seen.name)}"
    if values is not None and not target and seen.whole and len(values) == rows >= 20 and values[-1] - values[0] < 4 * rows:
        yield f"every row has a number of its own; if it names the row, give {ignoring(seen.name)}"
