"""Which kind of column the cells of a text column are: read right, or a doubt that names what settles it.

`infer` looks at the distinct cells, each with how often it occurs, and never guesses between two readings that differ: a column that
could be 128,553 or 128.553, 3 April or 4 March, a code or a power of ten, is a `Doubt` with the settings that choose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from pipeline.data.forms import (
    CURRENCIES,
    PLAIN,
    SIGN,
    TRUTHS,
    Clock,
    Form,
    Moment,
    Number,
    Truth,
    clock,
    common_blanks,
    days_of_iso,
    parser,
    plain,
    said,
)
from pipeline.data.hints import listed, written
from pipeline.records import record

Kind = Literal["number", "boolean", "date", "time", "category", "empty"]
Decimal = Literal[".", ","]
Thousands = Literal["", ",", ".", " ", "'"]

WORDS_FOR_NOTHING = frozenset(("none", "nil", "missing", "unknown"))  # among numbers; among words each may be a word
SIGNS_FOR_NOTHING = frozenset(("-", "--", "---", "–", "—", ".", "..", "n.a.", "k.a.", "#null!", "#value!", "#ref!", "#div/0!"))
EXACT = 2**53  # whole numbers up to here are float64 numbers of their own
LEAST_NAMES = 20  # cells of a column of words from which on most of them may not differ
INFINITE = frozenset(("inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"))
FORMATS = (
    *("%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d.%m.%Y", "%m.%d.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d", "%Y%m%d"),
    *("%m/%d/%y", "%d/%m/%y", "%y/%m/%d", "%d.%m.%y", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d"),
    *("%b %d %Y", "%b %d, %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d. %b %Y", "%a %b %d %Y", "%a, %d %b %Y"),
    *("%B %d %Y", "%B %d, %Y", "%d %B %Y", "%d-%B-%Y", "%d. %B %Y", "%b %Y", "%B %Y", "%b-%Y", "%Y-%m", "%m/%Y"),
)
TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", " %H.%M.%S")
MOST_UNITS = 5  # more different ones behind or before numbers are no units but parts of names: 12A, 13B
_WRITTEN = re.compile(
    rf"\(?(?:<=|>=|<|>|≤|≥|~)?\s*{SIGN}?\s*(?P<prefix>{'|'.join(map(re.escape, CURRENCIES.split('|')))})?\s*{SIGN}?\s*"
    r"(?P<digits>\d[\d.,'’ ]*|[.,]\d+)(?:[eE][+-]?\d+)?\s*(?P<suffix>[^\d\s.,()<>+-][^\d()<>+]{0,11})?\)?",
    re.ASCII,
)


@record
class Found:
    """What a column is: `form` of its numbers (None for words), the cells that stand for missing ones, and what is to be told.

    why  the rule that the cells keep
    """

    kind: Kind
    form: Form | None = None
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    why: str = ""


@record
class Doubt:
    """Why the cells are not taken for anything: up to three of them, and the settings of the column that would settle it."""

    rule: str
    cells: tuple[str, ...]
    settings: tuple[str, ...]


@record
class Separators:
    """What the config says of numbers; null: what the cells say.

    european  whether a comma may be the decimal mark, so that 1.234 may have a point between thousands
    """

    decimal: Decimal | None = None
    thousands: Thousands | None = None
    european: bool = False


NOTHING = Separators()


def infer(cells: Mapping[str, int], given: Separators = NOTHING, *, names: bool = False) -> Found | Doubt:
    """What the present cells of a column are: text without blanks around it -> how often it occurs, missing ones left out.

    names  whether nearly each row may have a word of its own, as in a target
    """
    for blank in (SIGNS_FOR_NOTHING | WORDS_FOR_NOTHING, SIGNS_FOR_NOTHING):
        blanks = tuple(text for text in cells if text.casefold() in blank)
        present = {text: count for text, count in cells.items() if text not in blanks}
        found = _numeric(present, given) if present else None
        if isinstance(found, Found) and blanks and not (found.kind == "boolean" and blank > SIGNS_FOR_NOTHING):
            how = f"{listed(blanks)} taken as missing"
            return Found(kind=found.kind, form=found.form, missing=blanks, notes=(*found.notes, how), why=found.why)
        if found is not None and not blanks:
            return found
        if isinstance(found, Doubt):
            return found
    return _words(cells, names=names) if cells else Found(kind="empty", why="no cell has a value")


def infer_numbers(cells: Mapping[str, int], given: Separators) -> Number | Doubt:
    """The form of a column that is declared to hold numbers; what is not in that form is a fault of the cell, told by the reader."""
    present = {text: count for text, count in cells.items() if _WRITTEN.fullmatch(common_blanks(text))}
    found = _written(present, given) if present else None
    if isinstance(found, Doubt) and found.settings[0].startswith(("thousands", "decimal")):
        return found
    if isinstance(found, Found) and isinstance(found.form, Number):
        return found.form
    return Number(decimal=given.decimal or ".", thousands=given.thousands or "")


def infer_dates(cells: Mapping[str, int]) -> Moment | Doubt:
    """The format of a column that is declared to hold dates."""
    texts = [text for text in cells if text.casefold() not in SIGNS_FOR_NOTHING]
    found = _moments(dict.fromkeys(texts, 1))
    if isinstance(found, Found) and isinstance(found.form, Moment):
        return found.form
    return found if isinstance(found, Doubt) else Moment()


def _numeric(cells: Mapping[str, int], given: Separators) -> Found | Doubt | None:
    for look in (_truths, _clocks, _moments):
        found = look(cells)
        if found is not None:
            return found
    return _plain(cells, given) or _written(cells, given)


def _plain(cells: Mapping[str, int], given: Separators) -> Found | Doubt | None:
    values = {text: plain(text) for text in cells}
    if None in values.values():
        return None
    if codes := [text for text in cells if re.fullmatch(r"[+-]?0\d+", text)]:
        note = f"{listed(codes)}: leading zeros, so the cells are codes and stay as written"
        return Found(kind="category", notes=(note,), why="leading zeros")
    if long := [text for text in cells if re.fullmatch(r"[+-]?\d{16,}", text) and abs(int(text)) > EXACT]:
        note = f"{listed(long)}: whole numbers of more digits than a number keeps; taken as names"
        return Found(kind="category", notes=(note,), why="whole numbers above 2^53")
    powers = [text for text in cells if re.fullmatch(r"\d+[eE]\d+", text)]
    if powers and not any("." in text or re.search(r"[eE][+-]", text) for text in cells):
        rule = f"it may be {float(powers[0]):g}, or a code in which E is a letter"
        return Doubt(rule=rule, cells=tuple(powers), settings=("kind: category", "kind: number"))
    points = [text for text in cells if "." in text]
    if (given.decimal == "," or given.thousands == ".") and points:
        return None  # another form has to read them
    if given.european and (doubt := doubtful_points(cells)) is not None:
        return doubt
    return Found(kind="number", form=PLAIN, why="plain numbers")


def _truths(cells: Mapping[str, int]) -> Found | None:
    """true and false (or 1 and 0 beside them), or both words of another pair."""
    words = {text.casefold() for text in cells}
    named = words - {"0", "1", "0.0", "1.0"}
    if not named or not (named <= {"true", "false"} or (words == named and len(words) == 2 and words in _PAIRS)):
        return None
    return Found(kind="boolean", form=Truth(), why=" and ".join(sorted(words)))


_PAIRS = [{*pair} for pair in zip(*[iter(TRUTHS)] * 2, strict=True)]


def _clocks(cells: Mapping[str, int]) -> Found | Doubt | None:
    """Times of the day; 07.05.14 may be a date as well."""
    if any(clock(text) is None for text in cells):
        return None
    date = _moments(cells) if all("." in text for text in cells) else None
    if isinstance(date, Found) and isinstance(date.form, Moment):
        rule = f"it may be a time of the day or a date written {date.form.format}"
        return Doubt(rule=rule, cells=tuple(cells), settings=("kind: time", f'kind: date, format: "{date.form.format}"'))
    if date is not None:
        return date
    return Found(kind="time", form=Clock(), notes=(said(Clock()),), why="times of the day")


def _moments(cells: Mapping[str, int]) -> Found | Doubt | None:
    """Dates of one format; a doubt where two formats read all of them, to different days."""
    texts = list(cells)
    if all(days_of_iso(text) is not None for text in texts):
        return Found(kind="date", form=Moment(), notes=(said(Moment()),), why="ISO dates")
    sample = max(texts, key=len)
    if not re.search(r"\d", sample) or not (re.search(r"[/.\-\s]", sample) or _as_digits(texts)):
        return None
    fitting = [form for day in FORMATS for time in TIMES if parser(form := Moment(format=day + time))(sample) is not None]
    fitting = [form for form in fitting if all(_dated(form, text) for text in texts)]
    if not fitting:
        return None
    first = parser(fitting[0])
    for other in fitting[1:]:
        second = parser(other)
        unlike = [text for text in texts if second(text) != first(text)]
        if unlike:
            rule = f"it may be a date written {fitting[0].format} or {other.format}"
            settings = tuple(f'kind: date, format: "{form.format}"' for form in (fitting[0], other))
            return Doubt(rule=rule, cells=tuple(unlike), settings=settings)
    short = ("years of two digits are taken as 1969 to 2068",) if "%y" in str(fitting[0].format) else ()
    return Found(kind="date", form=fitting[0], notes=(said(fitting[0]), *short), why=f"dates written {fitting[0].format}")


def _as_digits(texts: Sequence[str]) -> bool:
    """20230519: eight digits each, more than two different dates and none before 1900."""
    return len(texts) > 2 and all(re.fullmatch(r"(19|20)\d{6}", text) for text in texts)


def _dated(form: Moment, text: str) -> bool:
    if form.format == "%Y%m%d" and not re.fullmatch(r"\d{8}", text):
        return False  # strptime takes fewer digits too
    days = parser(form)(text)
    return days is not None and -200_000 < days < 100_000  # from about 1422 to 2243


def _written(cells: Mapping[str, int], given: Separators) -> Found | Doubt | None:
    """Numbers with separators, currencies, units, bounds or brackets; None where most cells are something else."""
    found = {text: match for text in cells if (match := _WRITTEN.fullmatch(common_blanks(text))) and not _code(text)}
    share = sum(cells[text] for text in found) / sum(cells.values())
    if not found or (share < 0.5 and not _numbers_in_disguise(found, cells)):
        return None
    if len(_units(found)) > MOST_UNITS:
        return None
    if others := [text for text in cells if text not in found]:
        return None if len(found) == 1 and plain(next(iter(found))) is None else _words_among(others, cells)
    prefixes = {match["prefix"] or "" for match in found.values()}
    suffixes = {(match["suffix"] or "").strip() for match in found.values()}
    if len(prefixes) > 1 or len(suffixes) > 1:
        each = {_unit(match): text for text, match in reversed(found.items())}
        rule = f"its unit differs from those of the others ({listed([unit or 'none' for unit in each])})"
        return Doubt(rule=rule, cells=tuple(each.values()), settings=("kind: category", "kind: ignore"))
    separators = _separators([match["digits"].strip() for match in found.values()], given)
    if isinstance(separators, Doubt):
        whole = {found[text]["digits"].strip(): text for text in reversed(found)}
        return Doubt(rule=separators.rule, cells=tuple(whole[cell] for cell in separators.cells), settings=separators.settings)
    form = Number(decimal=separators[0], thousands=separators[1], prefix=prefixes.pop(), suffix=suffixes.pop())
    number = parser(form)
    if wrong := [text for text in cells if number(text) is None]:
        rule = f"it is not written like the others ({said(form)})"
        return Doubt(rule=rule, cells=tuple(wrong), settings=("kind: category", "kind: ignore"))
    bounds = [text for text in cells if text.lstrip("(")[0] in "<>≤≥~"]
    more: tuple[str, ...] = (f"{listed(bounds)}: a bound is taken as its number",) if bounds else ()
    brackets = [text for text in cells if text.startswith("(")]
    more += (f"{listed(brackets)}: brackets are taken as a minus",) if brackets else ()
    told = () if form == PLAIN else (said(form),)
    return Found(kind="number", form=form, notes=(*told, *more), why=said(form))


def _words_among(others: Sequence[str], cells: Mapping[str, int]) -> Doubt:
    """Words among numbers: neither numbers nor categories, until somebody says which."""
    if all(text.casefold() in INFINITE for text in others):
        rule = "numbers must be finite, leave the cell empty if unknown"
        return Doubt(rule=rule, cells=tuple(others), settings=(f"missing: [{', '.join(map(written, others[:3]))}]",))
    total = sum(cells.values())
    numbers = total - sum(cells[text] for text in others)
    rule = f"it must be a number like {numbers} of the {total} cells"
    settings = (f"missing: [{', '.join(map(written, others[:3]))}]", "kind: category") if len(others) <= 3 else ("kind: category",)
    return Doubt(rule=rule, cells=tuple(others), settings=(*settings, "kind: ignore"))


def _numbers_in_disguise(found: Mapping[str, object], cells: Mapping[str, int]) -> bool:
    """Many different numbers beside a few words that stand often: measurements, not categories."""
    share = sum(cells[text] for text in found) / sum(cells.values())
    return len(found) >= 10 and 2 * len(found) > len(cells) and share >= 0.1


def _code(text: str) -> bool:
    """0A1, 7b3 and the like are no numbers with a unit."""
    return bool(re.fullmatch(r"0\d*[A-Za-z].*|\d+[A-Za-z]\d.*", text))


def _unit(match: re.Match[str]) -> str:
    return ((match["prefix"] or "") + (match["suffix"] or "")).strip()


def _units(found: Mapping[str, re.Match[str]]) -> list[str]:
    return list(dict.fromkeys(_unit(match) for match in found.values()))


def _separators(digits: Sequence[str], given: Separators) -> tuple[Decimal, Thousands] | Doubt:
    """(decimal, thousands) of numbers that all agree with it, or a doubt where a comma may be either."""
    blank = any(re.search(r"\d \d", text) for text in digits)
    quote = any("'" in text or "’" in text for text in digits)
    beside: Thousands = " " if blank else "'" if quote else ""
    if given.decimal is not None or given.thousands is not None:
        return _completed(digits, given, beside)
    both = [text for text in digits if "," in text and "." in text]
    if both:
        return (",", ".") if both[0].rindex(",") > both[0].rindex(".") else (".", ",")
    commas = [text for text in digits if "," in text]
    points = [text for text in digits if "." in text]
    if any(text.count(".") > 1 for text in points):
        return ",", "."
    if any(text.count(",") > 1 for text in commas):
        return ".", ","
    if not commas and not beside and given.european and (doubt := doubtful_points(dict.fromkeys(digits, 1))):
        return doubt
    if not commas or beside:
        return ("," if commas else "."), beside
    if all(re.fullmatch(r"[1-9]\d{0,2}[,.]\d{3}", text) for text in (*commas, *points)):
        rule = f"it may be {commas[0].replace(',', '')} or {commas[0].replace(',', '.')}"
        return Doubt(rule=rule, cells=tuple(commas), settings=('thousands: ","', 'decimal: ","'))
    return (".", ",") if points else (",", "")


def _completed(digits: Sequence[str], given: Separators, beside: Thousands) -> tuple[Decimal, Thousands]:
    """What is given, and what is left for the other mark."""
    if given.thousands is not None:
        other: Decimal = "," if given.thousands == "." else "."
        return given.decimal or other, given.thousands
    assert given.decimal is not None
    mark: Thousands = "." if given.decimal == "," else ","
    return given.decimal, beside or (mark if any(mark in text for text in digits) else "")


def doubtful_points(cells: Mapping[str, int]) -> Doubt | None:
    """Numbers like 1.234 throughout, in a file where they may be written with a decimal comma."""
    points = [text for text in cells if "." in text]
    if not points or not all(re.fullmatch(r"[+-]?[1-9]\d{0,2}\.\d{3}", text) for text in points):
        return None
    rule = f"it may be {points[0].replace('.', '')} or {points[0]}, as in files like this a comma may be the decimal mark"
    return Doubt(rule=rule, cells=tuple(points), settings=('thousands: "."', 'decimal: "."'))


def _words(cells: Mapping[str, int], *, names: bool) -> Found | Doubt:
    total = sum(cells.values())
    if not names and total >= LEAST_NAMES and 2 * len(cells) > total:
        rule = f"{len(cells)} of the {total} cells differ, so they may be names and no categories"
        return Doubt(rule=rule, cells=tuple(cells), settings=("kind: category", "kind: hash", "kind: ignore"))
    return Found(kind="category", why="words")
