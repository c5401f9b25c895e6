"""How each column of a table is read: as it is declared, or as its cells say; what is doubtful is told with the setting that settles it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

import numpy as np

from pipeline.data.cells.columns import Missing, Reading, Spelling, numbers_in_words, truths_in_words
from pipeline.data.cells.disguise import alike
from pipeline.data.cells.findings import Doubt, Found
from pipeline.data.cells.formats import infer_dates, other_format
from pipeline.data.cells.forms import Clock, Form, Moment, Number, Truth, said
from pipeline.data.cells.infer import Separators, bare, doubtful_points, infer, infer_numbers
from pipeline.data.cells.nothing import for_nothing
from pipeline.data.cells.packed import LEAST_DATE
from pipeline.data.cells.sentinels import among, date_sentinel, sentinel, typed_date_sentinel
from pipeline.data.hints import column_setting, listed, matching
from pipeline.data.settings import Data, Declared, target_columns
from pipeline.data.sources.batches import Source
from pipeline.data.sources.lines import skipping
from pipeline.data.tables.look import Evidence, look, recount
from pipeline.errors import ConfigError, DataError, nearest

WORDS = ("category", "hash", "ordinal")
UNUSED = ("id", "ignore")
LEFT_OUT = tuple(f"kind: {kind}" for kind in UNUSED)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """How a column is read, why, what is to be told of it, and what is doubtful."""

    name: str
    reading: Reading
    why: str
    notes: tuple[str, ...] = ()
    doubt: Doubt | None = None


class Named(Protocol):
    """What has columns: a source, or what is known of a table."""

    @property
    def label(self) -> str:
        """`data.path = FILE`, at the head of a sentence."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns, in their order."""


def declarations(source: Named, config: Data) -> dict[str, Declared]:
    """What the config says of each column.  Raises DataError for a name that no column has."""
    found = dict.fromkeys(source.names, Declared())
    for pattern, declared in config.columns.items():
        names = matching(pattern, source.names)
        if not names:
            hint = nearest(pattern, source.names) if len(source.names) <= 20 else nearest_column(pattern, source.names)
            raise DataError(f"data.columns.{pattern}: {source.label.partition(' = ')[2]} has no such column; {hint}")
        for name in names:
            found[name] = declared
    for at, kind, chosen in (("categorical", "category", config.categorical), ("ignore", "ignore", config.ignore)):
        for name in chosen:
            if name not in found:
                where = source.label.partition(" = ")[2]
                raise DataError(f"data.{at} = {name}: {where} has no such column; {nearest_column(name, source.names)}")
            if found[name].kind is None:
                found[name] = replace(found[name], kind=kind)  # type: ignore[arg-type]  # one of the kinds
    for name, declared in found.items():
        _check(name, declared)
        missing = config.missing if declared.missing is None else declared.missing
        decimal = config.decimal if declared.decimal is None else declared.decimal
        thousands = config.thousands if declared.thousands is None else declared.thousands
        found[name] = replace(declared, missing=missing, decimal=decimal, thousands=thousands)
    return found


def nearest_column(name: str, names: Sequence[str]) -> str:
    """The column that was probably meant, or the first of them all: a table may have thousands."""
    hint = nearest(name, list(names))
    return hint if hint.startswith("did you mean") else f"use one of {column_list(names)}"


def column_list(names: Sequence[str]) -> str:
    """`a, b, c`, or the first 20 and how many more."""
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _check(name: str, declared: Declared) -> None:
    at = f"data.columns.{name}"
    if declared.kind == "ordinal" and len(declared.order) < 2:
        hint = column_setting(name, "kind: ordinal, order: [low, high]")
        raise ConfigError(
            at=f"{at}.order", got=list(declared.order), rule="an ordinal column needs its words, lowest first", hint=f"give {hint}"
        )
    for field, value, kinds in (
        ("order", declared.order, ("ordinal",)),
        ("format", declared.format, ("date",)),
        ("features", declared.features != ("days",), ("date",)),
        ("decimal", declared.decimal, ("number", None)),
        ("thousands", declared.thousands, ("number", None)),
    ):
        if value and declared.kind not in kinds:
            got = getattr(declared, field)
            kind = "undeclared" if declared.kind is None else declared.kind
            raise ConfigError(
                at=f"{at}.{field}",
                got=list(got) if isinstance(got, tuple) else got,
                rule=f"the kind is {kind}",
                hint=f"give kind: {kinds[0]}",
            )
    if declared.decimal is not None and declared.decimal == declared.thousands:
        raise ConfigError(at=f"{at}.thousands", got=declared.thousands, rule="is the decimal mark", hint="give another")


def missing_of(declared: Declared) -> Missing:
    """What is missing in a column."""
    if declared.missing is None:
        return Missing()
    return Missing(words=missing_words(declared.missing), usual=bool(declared.missing))


def missing_words(missing: Iterable[float | str]) -> tuple[str, ...]:
    """What stands for a missing cell as words, a number with all its digits."""
    return tuple(word if isinstance(word, str) else repr(float(word)).removesuffix(".0") for word in missing)


def decide(source: Source, config: Data, declared: Mapping[str, Declared]) -> tuple[dict[str, Evidence], dict[str, Decision]]:
    """What is found in the columns that are used, and how each is read.  Raises DataError."""
    used = {name: missing_of(said) for name, said in declared.items() if said.kind not in UNUSED}
    if not used:
        raise DataError(f"{source.label}: no column is left; leave out less with data.ignore")
    words = [name for name in used if declared[name].kind not in (None, "number")]
    comma = [name for name in used if declared[name].decimal == "," or declared[name].thousands == "."]
    found = look(source, used, words=words, whole_only=comma)
    _as_words(source, found, [name for name in used if declared[name].kind is None])
    decisions = {name: _decided(found[name], declared[name], config, european=source.european) for name in used}
    commas = any(isinstance(each.reading.form, Number) and each.reading.form.decimal == "," for each in decisions.values())
    if commas and not source.european:
        decisions = {name: _decided(found[name], declared[name], config, european=True) for name in used}
    if commas or source.european:
        fractions = [name for name in used if found[name].plain and found[name].kind is None]
        fractions = [name for name in fractions if found[name].pointed or not found[name].whole]
        fractions = [name for name in fractions if found[name].low > -np.inf and declared[name].decimal is None]
        recount(source, found, fractions)
        for name in fractions:
            if (doubt := doubtful_points(found[name].counts)) is not None:
                decisions[name] = replace(decisions[name], doubt=doubt)
    return found, decisions


def _as_words(source: Source, found: dict[str, Evidence], names: Sequence[str]) -> None:
    """Counts the cells of numbers that may be dates, and of a single number beside blanks, of columns with a type too."""
    numbers = [found[name] for name in names if found[name].kind in (None, "number", "boolean") and found[name].low <= found[name].high]
    dates = {seen.name: seen for seen in numbers if seen.plain and seen.packed and seen.high >= LEAST_DATE and seen.kind != "boolean"}
    flags = [seen.name for seen in numbers if seen.low == seen.high and 0 < seen.absent < seen.rows - 1]
    recount(source, found, list(dict.fromkeys((*dates, *flags))), typed=True)
    for name, seen in dates.items():
        result = infer(found[name].counts)
        if name not in flags and isinstance(result, Found) and result.kind != "date" and not result.notes:
            found[name] = seen


def _decided(seen: Evidence, declared: Declared, config: Data, *, european: bool) -> Decision:
    """How a column is read: by what is declared or found, but a single value beside blanks is told from them."""
    decision = _read(seen, declared, config, european=european)
    if decision.doubt is not None:
        return decision
    if not decision.reading.words:
        present = {text: count for text, count in seen.counts.items() if not decision.reading.missing.holds(text)}
        blank, beside = seen.rows - sum(present.values()), (*target_columns(config.target), config.sample_weight)
        if len(present) != 1 or sum(present.values()) < 2 or not blank or declared.kind is not None or seen.name in beside:
            return decision
        reading = replace(_spelled(seen, decision.reading), form=None)
        rule = f"{listed(list(present))} is its only value and {blank} cells have none, so both are categories"
        setting = column_setting(seen.name, f"kind: {decision.reading.kind}")
        return replace(decision, reading=reading, why="one value and blanks", notes=(f"{rule}; {setting} fills the blank ones with it",))
    note = alike(map(decision.reading.spelled, (text for text in seen.counts if not decision.reading.missing.holds(text))))
    return replace(decision, notes=(*decision.notes, *([note] if note else [])))


def _read(seen: Evidence, declared: Declared, config: Data, *, european: bool) -> Decision:
    target = seen.name == config.target
    if declared.kind is not None:
        return _declared(seen, declared, target=target, config=config)
    made = Reading(kind="number", missing=seen.missing)
    if seen.kind is not None and seen.kind != "number":
        if seen.kind == "boolean" and target and config.task != "regression":
            return Decision(name=seen.name, reading=_spelled(seen, made), why="a column of truth values")
        form: Form = {"boolean": Truth(), "date": Moment(), "time": Clock()}[seen.kind]  # type: ignore[assignment]  # each is a form
        told = () if seen.kind == "boolean" else (said(form),)
        doubt = typed_date_sentinel(seen.suspects, seen.rest) if seen.kind == "date" and declared.missing is None else None
        reading = replace(made, kind=seen.kind, form=form)
        return Decision(name=seen.name, reading=reading, why=f"a column of {seen.kind}s", notes=told, doubt=doubt)
    if seen.plain:
        doubt, notes = sentinel(seen.name, seen.suspects, seen.rest) if declared.missing is None else (None, ())
        doubt = doubt or (seen.uneven if declared.decimal is None else None)
        if declared.missing is None:
            notes += seen.zeros.told(seen.name)
        why = "no cell has a value" if seen.absent == seen.rows else "plain numbers"
        return Decision(name=seen.name, reading=replace(made, form=Number()), why=why, notes=notes, doubt=doubt)
    given = Separators(decimal=declared.decimal, thousands=declared.thousands, european=european)
    result = infer(seen.counts, given, names=target or seen.many)
    if isinstance(result, Doubt):
        if (
            target
            and config.task == "classification"
            and result.settings[-1] in ("kind: id", "kind: ignore", "kind: category", "kind: number")
        ):
            return Decision(name=seen.name, reading=_spelled(seen, made), why="data.task=classification")
        return Decision(name=seen.name, reading=replace(made, kind="category"), why="", doubt=result)
    decision = _inferred(seen, result, made, target=target, config=config)
    if declared.missing is not None or not isinstance(decision.reading.form, Number | Moment):
        return decision
    if isinstance(decision.reading.form, Moment):
        return replace(decision, doubt=date_sentinel(seen.counts, decision.reading))
    doubt, notes = sentinel(seen.name, *among(seen.counts, decision.reading))
    if doubt is not None:  # the cells as they are written
        texts = {cell: text for text in reversed(seen.counts) for cell in doubt.cells if decision.reading.value(text) == float(cell)}
        doubt = replace(doubt, cells=tuple(texts[cell] for cell in doubt.cells))
    return replace(decision, doubt=doubt, notes=(*decision.notes, *notes))


def _inferred(seen: Evidence, result: Found, made: Reading, *, target: bool, config: Data) -> Decision:
    missing = replace(made.missing, words=(*made.missing.words, *result.missing))
    if result.kind == "category":
        reading = _spelled(seen, made) if target else replace(made, kind="category")
        words = sorted(seen.nothing.difference(seen.missing.words))
        gone = (f"{listed(words)} taken as missing; missing: [] in data.columns keeps it as a word",) if words and not target else ()
        return Decision(name=seen.name, reading=reading, why=result.why, notes=(*result.notes, *gone))
    if result.kind == "boolean" and target and config.task != "regression":
        notes = tuple(note for note in result.notes if not note.endswith("are taken as 1 and 0"))  # they are classes here
        return Decision(name=seen.name, reading=replace(_spelled(seen, made), missing=missing), why=result.why, notes=notes)
    kind = "number" if result.kind == "empty" else result.kind
    reading = replace(made, kind=kind, form=result.form, missing=missing)
    return Decision(name=seen.name, reading=reading, why=result.why, notes=result.notes)


def _spelled(seen: Evidence, made: Reading) -> Reading:
    """Words, with one spelling for each number or truth value."""
    texts = list(seen.counts) or (["true", "false"] if seen.kind == "boolean" else [])
    spelling: Spelling = "numbers" if numbers_in_words(texts) else "lower" if truths_in_words(texts) else "written"
    return replace(made, kind="category", spelling=spelling)


def _declared(seen: Evidence, declared: Declared, *, target: bool, config: Data) -> Decision:
    made, doubt, notes = Reading(kind="number", missing=seen.missing), None, tuple[str, ...]()
    match declared.kind:
        case "category" | "hash":
            reading = _spelled(seen, made)
        case "ordinal":
            reading = replace(made, kind="ordinal", order=declared.order)
        case "boolean":
            reading = replace(made, kind="boolean", form=Truth())
            if target and config.task != "regression":
                words = {text.casefold() for text in seen.counts}
                reading = replace(made, kind="category", spelling="truth" if len(words) > 2 else "lower")
        case "time":
            reading = replace(made, kind="time", form=Clock())
        case "date":
            form = Moment(format=declared.format) if declared.format else infer_dates(_present(seen))
            form, doubt = (Moment(), form) if isinstance(form, Doubt) else (form, None)
            doubt = other_format(declared.format, _present(seen)) if declared.format else doubt
            reading = replace(made, kind="date", form=form)
        case _:
            number = (
                Number() if seen.plain else infer_numbers(seen.counts, Separators(decimal=declared.decimal, thousands=declared.thousands))
            )
            number, doubt = (Number(), number) if isinstance(number, Doubt) else (number, None)
            reading = replace(made, form=number)
            notes = bare((text for text in seen.counts if not seen.missing.holds(text)), number)
    return Decision(name=seen.name, reading=reading, why="declared", notes=notes, doubt=doubt)


def _present(seen: Evidence) -> dict[str, int]:
    """The counted cells but those that stand for nothing."""
    return {text: count for text, count in seen.counts.items() if not for_nothing(text, words=False)}


def row_of(source: Source, name: str, cell: str) -> int | None:
    """The first row whose cell is `cell`.  Raises DataError."""
    start = 0
    for batch in source.batches([name]):
        array = batch.column(0)
        for row, value in enumerate(array.to_pylist()):
            text = value.strip() if isinstance(value, str) else value
            if text == cell or _equal(text, cell):
                return start + row
        start += len(array)
    return None


def _equal(value: object, cell: str) -> bool:
    if isinstance(value, date):
        return value.isoformat()[:10] == cell
    try:
        return value is not None and bool(np.float64(value) == np.float64(cell))  # type: ignore[arg-type]  # else an error
    except (TypeError, ValueError):
        return False


def _leaving_out(source: Source, name: str, cells: Sequence[str], config: Data) -> str:
    """`leave the line out with data.skip=[7], or `; nothing of a source without lines."""
    rows = [row_of(source, name, cell) for cell in cells]
    places = [source.place(row) for row in rows if row is not None]
    lines = [int(place[5:]) for place in places if place.startswith("line ")]
    if not lines or len(lines) < len(cells):
        return ""
    return f"leave the line{'s' if len(lines) > 1 else ''} out with {skipping([*config.skip, *lines])}, or "


def doubted(source: Source, decision: Decision, config: Data, alike: Sequence[str] = ()) -> DataError:
    """The sentence that refuses a column of which two readings are possible; `alike`: others with the same doubt."""
    doubt, name = decision.doubt, decision.name
    assert doubt is not None
    row = row_of(source, name, doubt.cells[0])
    where = f"column {name}" + (f", {source.place(row)}" if row is not None else "")
    others = f" (also {listed(doubt.cells[1:], 2)})" if len(doubt.cells) > 1 else ""
    ways = [column_setting(name, setting) for setting in doubt.settings]
    skip = _leaving_out(source, name, doubt.cells, config) if doubt.alone else ""
    if doubt.rule.startswith("numbers must be finite"):
        return DataError(f"{source.label}: {where} is {doubt.cells[0]}; {doubt.rule}, or give {ways[0]}")
    if name in target_columns(config.target):
        ways = [way for way, setting in zip(ways, doubt.settings, strict=True) if setting not in LEFT_OUT]
    if name == config.target and doubt.rule.startswith("it must be a number"):
        ways = ["data.task=classification if the cells are names of classes"]
    mend = f"mend it, {skip or 'or '}" if doubt.rule.startswith("it must") else skip
    hint = f"{mend}give {' or '.join(ways)}"
    if alike:
        hint += f"; the same is asked of column{'s' if len(alike) > 1 else ''} {column_list(alike)}"
    return DataError(f"{source.label}: {where} is {doubt.cells[0]!r}{others}; {doubt.rule}; {hint}")
