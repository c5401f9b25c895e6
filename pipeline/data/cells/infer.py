"""Which kind of column the cells of a text column are: read right, or a doubt that names what settles it.

`infer` looks at the distinct cells, each with how often it occurs, and never guesses between two readings that differ: a column that
could be 128,553 or 128.553, 3 April or 4 March, a code or a power of ten, is a `Doubt` with the settings that choose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from pipeline.data.cells.disguise import disguised
from pipeline.data.cells.findings import Doubt, Found, odd_among
from pipeline.data.cells.formats import clocks, moments
from pipeline.data.cells.forms import (
    BEHIND,
    CURRENCIES,
    PAIRS,
    PLAIN,
    PLURAL,
    SIGN,
    TRUTHS,
    Number,
    Truth,
    common,
    parser,
    plain,
    said,
    zeros_behind,
)
from pipeline.data.cells.nothing import for_nothing
from pipeline.data.cells.packed import packed
from pipeline.data.hints import listed, shell, written
from pipeline.records import record

Decimal = Literal[".", ","]
Thousands = Literal["", ",", ".", " ", "'", "_"]

EXACT = 2**53  # whole numbers up to here are float64 numbers of their own
LEAST_NAMES = 20  # cells of a column of words from which on most of them may not differ
INFINITE = frozenset(("inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"))
_ADDRESS = re.compile(r"(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}", re.ASCII)  # of a computer
_SUM = re.compile(r"(?:grand |sub)?total\.?:?|sum|summe|gesamt|insgesamt|somme|suma|totale|totaal|average|mean|mittelwert", re.IGNORECASE)
_GROUPED = re.compile(r"[1-9]\d{0,2}(?:[.,]\d{3})+")
MOST_VERSIONS = 64  # more different fractions are measurements
MOST_UNITS = 5  # more different ones behind or before numbers are no units but parts of names: 12A, 13B
_WRITTEN = re.compile(
    rf"\(?(?:<=|>=|<|>|≤|≥|~)?\s*{SIGN}?\s*(?P<prefix>{'|'.join(map(re.escape, CURRENCIES.split('|')))})?\s*{SIGN}?\s*"
    rf"(?P<digits>\d[\d.,'’ _]*|[.,]\d+)(?P<power>[eE][+-]?\d+)?(?P<behind>{BEHIND})?\s*"
    r"(?P<suffix>[^\d\s.,()<>+²³¹⁰-⁹_-][^\d()<>+]{0,11}(?:(?<=m)\^?[23](?:/[^\d()<>+]{1,6})?)?)?\)?",
    re.ASCII,
)


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
    for words in (True, False):
        blanks = tuple(text for text in cells if for_nothing(text, words=words))
        present = {text: count for text, count in cells.items() if text not in blanks}
        found = _numeric(present, given, names=names) if present else None
        if isinstance(found, Found) and blanks and not (found.kind == "boolean" and words):
            how = f"{listed(blanks)} taken as missing"
            return Found(kind=found.kind, form=found.form, missing=blanks, notes=(*found.notes, how), why=found.why)
        if found is not None and not blanks:
            return found
        if isinstance(found, Doubt):
            return found
    return _words(cells, names=names) if cells else Found(kind="empty", why="no cell has a value")


def infer_numbers(cells: Mapping[str, int], given: Separators) -> Number | Doubt:
    """The form of a column that is declared to hold numbers; what is not in that form is a fault of the cell, told by the reader."""
    written = {text: match for text in cells if (match := _WRITTEN.fullmatch(common(text)))}
    rows = _unit_rows(written, cells)
    unit = max(rows, key=lambda unit: rows[unit], default="")  # 7 among 8 kg, and 2O among 20, are the odd ones
    present = {text: cells[text] for text, match in written.items() if _unit(match) in (unit, f"{unit}s", unit.removesuffix("s"))}
    found = _written(present, given, names=True) if present else None
    if isinstance(found, Doubt) and found.settings[0].startswith(("thousands", "decimal")):
        return found
    if isinstance(found, Found) and isinstance(found.form, Number):
        return found.form
    return Number(decimal=given.decimal or ".", thousands=given.thousands or "")


def bare(cells: Iterable[str], form: Number) -> tuple[str, ...]:
    """What is to be told of declared numbers that lack the unit of the others: they are taken as if they had it."""
    unit, number = form.prefix + form.suffix, replace(form, prefix="", suffix="")
    without = [text for text in cells if parser(number)(text) is not None] if unit else []
    return (f"{listed(without)} without the {unit} of the others, taken as if it were there",) if without else ()


def _numeric(cells: Mapping[str, int], given: Separators, *, names: bool) -> Found | Doubt | None:
    for look in (_truths, clocks, moments, packed):
        found = look(cells)
        if found is not None:
            return found
    return _plain(cells, given, names=names) or _written(cells, given, names=names)


def _plain(cells: Mapping[str, int], given: Separators, *, names: bool) -> Found | Doubt | None:
    values = {text: plain(text) for text in cells}
    if None in values.values():
        return None
    doubt = None if names else _named(cells)
    if codes := [text for text in cells if re.fullmatch(r"[+-]?0\d+", text)]:
        note = f"{listed(codes)}: leading zeros, so the cells are codes and stay as written"
        return doubt or Found(kind="category", notes=(note,), why="leading zeros")
    if long := [text for text in cells if re.fullmatch(r"[+-]?\d{16,}", text) and abs(int(text)) > EXACT]:
        return doubt or _too_long(long)
    if padded := [text for text in cells if re.match(r"[+-]?0\d", text)]:
        rule = f"it may be {values[padded[0]]:g}, or a code with zeros before it"
        return Doubt(rule=rule, cells=tuple(padded), settings=("kind: category", "kind: number"))
    powers = [text for text in cells if re.fullmatch(r"\d+[eE]\d+", text)]
    if powers and not any("." in text or re.search(r"[eE][+-]", text) for text in cells):
        rule = f"it may be {float(powers[0]):g}, or a code in which E is a letter"
        finite = all(float(text) < float("inf") for text in powers)
        return Doubt(rule=rule, cells=tuple(powers), settings=("kind: category", "kind: number" if finite else "kind: ignore"))
    points = [text for text in cells if "." in text]
    if (given.decimal == "," or given.thousands == ".") and points:
        return None  # another form has to read them
    if given.european and (doubt := doubtful_points(cells)) is not None:
        return doubt
    return (given.decimal is None and not names and uneven(cells)) or Found(kind="number", form=PLAIN, why="plain numbers")


def uneven(cells: Iterable[str]) -> Doubt | None:
    """1.10 beside 1.9: the second number of a version, a chapter or a diagnosis perhaps, of which 1.1 is another one."""
    texts = list(cells)
    behind, short = zeros_behind(texts)
    if not behind or len(texts) > MOST_VERSIONS:
        return None
    rule = f"it may be {float(behind[0]):g} with a zero behind, where {short!r} has none, or the name of a version or a code"
    return Doubt(rule=rule, cells=tuple(behind), settings=("kind: number", "kind: category"))


def _too_long(cells: Sequence[str]) -> Found:
    note = f"{listed(cells)}: whole numbers of more digits than a number keeps; taken as names"
    return Found(kind="category", notes=(note,), why="whole numbers above 2^53")


def _truths(cells: Mapping[str, int]) -> Found | Doubt | None:
    """true and false (or 1 and 0 beside them), both words of another pair, or words of several pairs for the same."""
    words = {text.casefold() for text in cells}
    named = words - {"0", "1", "0.0", "1.0"}
    why = " and ".join(sorted(words))
    if named and named <= {"true", "false"}:
        return Found(kind="boolean", form=Truth(), why=why)
    if words == named and len(words) == 2 and words in PAIRS:
        no, yes = sorted(words, key=lambda word: TRUTHS[word])
        return Found(kind="boolean", form=Truth(), why=why, notes=(f"{yes!r} and {no!r} are taken as 1 and 0",))
    if len(words) > 2 and named and named <= TRUTHS.keys() and len({TRUTHS[word] for word in named}) == 2:
        rule = "it may be one of several words for true and false"
        return Doubt(rule=rule, cells=tuple(cells), settings=("kind: boolean", "kind: category"))
    return None


def _written(cells: Mapping[str, int], given: Separators, *, names: bool) -> Found | Doubt | None:
    """Numbers with separators, currencies, units, bounds or brackets; None where most cells are something else."""
    found = {text: match for text in cells if (match := _WRITTEN.fullmatch(common(text))) and not _code(text)}
    if given.thousands != "_":  # else 2020_05 would be a number
        found = {text: match for text, match in found.items() if "_" not in text}
    share = sum(cells[text] for text in found) / sum(cells.values())
    if not found or (share < 0.5 and not _numbers_in_disguise(found, cells)):
        return None
    odd = _odd_units(found, cells)
    if odd:
        return _words_among([text for text in cells if text in odd or text not in found], cells)
    if len(_units(found)) > MOST_UNITS:
        return None
    if others := [text for text in cells if text not in found]:
        return None if len(found) == 1 and plain(next(iter(found))) is None else _words_among(others, cells)
    prefixes = {match["prefix"] or "" for match in found.values()}
    suffixes = {(match["suffix"] or "").strip() for match in found.values()}
    suffixes = {each for each in suffixes if each + "s" not in suffixes or not PLURAL.fullmatch(each + "s")}  # 1 year, 2 years
    if len(prefixes) > 1 or len(suffixes) > 1:
        rows, each = _unit_rows(found, cells), {_unit(match): text for text, match in reversed(found.items())}
        each = {unit: each[unit] for unit in sorted(each, key=lambda unit: rows[unit])}  # the rarest is the odd one
        rule = f"its unit differs from those of the others ({listed([unit or 'none' for unit in each])})"
        numbers = ["kind: number"] if len(rows) == 2 and "" in rows else []
        return Doubt(rule=rule, cells=tuple(each.values()), settings=(*numbers, "kind: category", "kind: ignore"))
    separators = _separators([match["digits"].strip() for match in found.values()], given)
    if isinstance(separators, Doubt):
        whole = {found[text]["digits"].strip(): text for text in reversed(found)}
        return Doubt(rule=separators.rule, cells=tuple(whole[cell] for cell in separators.cells), settings=separators.settings)
    form = Number(decimal=separators[0], thousands=separators[1], prefix=prefixes.pop(), suffix=suffixes.pop())
    number = parser(form)
    if wrong := [text for text in cells if number(text) is None]:
        if (doubt := _contradicted(found, wrong, form, given)) is not None:
            return doubt
        few = sum(cells[text] for text in wrong) < sum(cells.values()) / 2
        rule = f"it is not written like the others ({said(form)})" if few else "it looks like a number and is written like none known here"
        return Doubt(rule=rule, cells=tuple(wrong), settings=("kind: category", "kind: ignore"))
    if (codes := _codes(found, form, given)) is not None:
        return codes
    whole = {text: match["digits"] for text, match in found.items() if not match["power"] and form.decimal not in match["digits"].strip()}
    if long := [text for text, digits in whole.items() if int(re.sub(r"\D", "", digits)) > EXACT]:
        return (None if names else _named(cells)) or _too_long(long)
    more = tuple(f"{listed(odd)}: {how}" for odd, how in _read_as(found) if odd)
    told = () if form == PLAIN else (said(form),)
    return Found(kind="number", form=form, notes=(*told, *more), why=said(form))


def _codes(found: Mapping[str, re.Match[str]], form: Number, given: Separators) -> Doubt | None:
    """What is to be said of digits in groups that are no thousands perhaps: 192.168.100.117, 030 123 456, +1 555 123."""
    if not form.thousands or given.thousands is not None:
        return None
    if all(_ADDRESS.fullmatch(text) for text in found):
        rule, cells = "it may be the address of a computer, or a number with points between thousands", list(found)
    elif all(text.startswith("+") for text in found):
        rule, cells = "it may be the number of a telephone, or one with a sign and groups of thousands", list(found)
    else:
        rule = "it has a zero before its groups of digits, and may be a code"
        cells = [text for text, match in found.items() if re.match(rf"0(?!{re.escape(form.decimal)})\D?\d", match["digits"])]
    ways = ("kind: category", f"thousands: {written(form.thousands)}")
    return Doubt(rule=rule, cells=tuple(cells), settings=ways) if cells else None


def _contradicted(found: Mapping[str, re.Match[str]], wrong: Sequence[str], form: Number, given: Separators) -> Doubt | None:
    """What is to be said of declared marks with which cells cannot be read, where all of them can by what they themselves say."""
    own = _separators([match["digits"].strip() for match in found.values()], NOTHING)
    if given == NOTHING or isinstance(own, Doubt):
        return None
    other = replace(form, decimal=own[0], thousands=own[1])
    if any(parser(other)(text) is None for text in found):
        return None
    said_so = {"decimal": given.decimal, "thousands": given.thousands}
    declared = " and ".join(f"{name}: {written(value)}" for name, value in said_so.items() if value is not None)
    marks = f"decimal: {written(own[0])}" + ("" if given.thousands is None else f", thousands: {written(own[1])}")
    rule = f"the cells contradict the declared {declared}: they are {said(replace(other, prefix='', suffix=''))}"
    return Doubt(rule=rule, cells=tuple(wrong), settings=(marks,))


def _read_as(found: Mapping[str, re.Match[str]]) -> list[tuple[list[str], str]]:
    """Cells that are read as something else than they say, and as what."""
    texts = {text: common(text) for text in found}
    foreign = [text for text in texts if any(letter.isdecimal() and not letter.isascii() for letter in text)]
    return [
        ([text for text, plainer in texts.items() if plainer.lstrip("(")[0] in "<>≤≥~"], "a bound is taken as its number"),
        ([text for text, plainer in texts.items() if plainer.startswith("(")], "brackets are taken as a minus"),
        ([text for text, match in found.items() if match["behind"]], "a minus behind is taken as a minus"),
        ([text for text in texts if re.search(r"\d[.,][-−–—]", text)], "a dash for the fraction is taken as none"),
        (foreign, "digits of another script are taken as 0 to 9"),
    ]


def _words_among(others: Sequence[str], cells: Mapping[str, int]) -> Doubt:
    """Words among numbers: neither numbers nor categories, until somebody says which."""
    if all(text.casefold() in INFINITE for text in others):
        rule = "numbers must be finite, leave the cell empty if unknown"
        return Doubt(rule=rule, cells=tuple(others), settings=(f"missing: [{', '.join(map(written, others[:3]))}]",))
    return odd_among(others, cells, "a number")


def _numbers_in_disguise(found: Mapping[str, object], cells: Mapping[str, int]) -> bool:
    """Many different numbers beside a few words that stand often: measurements, not categories."""
    share = sum(cells[text] for text in found) / sum(cells.values())
    return len(found) >= 10 and 2 * len(found) > len(cells) and share >= 0.1


def _code(text: str) -> bool:
    """0A1, 7b3 and the like are no numbers with a unit."""
    return bool(re.fullmatch(r"0\d*[A-Za-z].*|\d+(?!m[23](?:/|$))[A-Za-z]\d.*", text))


def _unit(match: re.Match[str]) -> str:
    return ((match["prefix"] or "") + (match["suffix"] or "")).strip()


def _unit_rows(found: Mapping[str, re.Match[str]], cells: Mapping[str, int]) -> dict[str, int]:
    """Unit -> in how many rows it stands."""
    rows: dict[str, int] = {}
    for text, match in found.items():
        rows[_unit(match)] = rows.get(_unit(match), 0) + cells[text]
    return rows


def _odd_units(found: Mapping[str, re.Match[str]], cells: Mapping[str, int]) -> frozenset[str]:
    """The few cells with something beside their number where nine in ten have nothing: slips (2O among numbers), and no units."""
    rows = _unit_rows(found, cells)
    few = 10 * rows.get("", 0) >= 9 * sum(rows.values())
    return frozenset(text for text, match in found.items() if _unit(match)) if few else frozenset()


def _units(found: Mapping[str, re.Match[str]]) -> list[str]:
    return list(dict.fromkeys(_unit(match) for match in found.values()))


def _separators(digits: Sequence[str], given: Separators) -> tuple[Decimal, Thousands] | Doubt:
    """(decimal, thousands) of numbers that all agree with it, or a doubt where a comma may be either."""
    quote = any("'" in text or "’" in text for text in digits)
    beside: Thousands = " " if any(re.search(r"\d \d", text) for text in digits) else "'" if quote else ""
    beside = "_" if any("_" in text for text in digits) else beside
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
    if not points:
        return ",", ""
    if all(_GROUPED.fullmatch(text) for text in commas):
        return ".", ","
    if all(_GROUPED.fullmatch(text) for text in points):
        return ",", "."
    rule = f"some of the numbers have a decimal comma and others a decimal point ({points[0]!r})"
    return Doubt(rule=rule, cells=tuple(commas), settings=("kind: category", "kind: ignore"))


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
    seen = disguised(cells)
    if isinstance(seen, Doubt):
        return seen
    if broken := [text for text in cells if "\0" in text]:
        return Doubt(
            rule="it holds the character NUL, which no text does", cells=tuple(broken), settings=("kind: category", "kind: ignore")
        )
    sums = [text for text, count in cells.items() if count == 1 and _SUM.fullmatch(text)]
    if len(sums) == 1 < len(cells):
        return Doubt(rule="it may name a line of sums", cells=tuple(sums), settings=("kind: category",), alone=True)
    if not names and (doubt := _named(cells)) is not None:
        return doubt
    blanks = [text for text in cells if for_nothing(text, words=True)]
    missing = shell(f"data.missing=[{','.join(map(written, blanks[:3]))}]")
    apart = (f"{listed(blanks)} is a category of its own; {missing} takes it as missing",) if blanks and not names else ()
    return Found(kind="category", why="words", notes=(*(() if seen is None else (seen,)), *apart))


def _named(cells: Mapping[str, int]) -> Doubt | None:
    """Words or codes of which most differ: names perhaps, and no categories."""
    total = sum(cells.values())
    if total < LEAST_NAMES or 2 * len(cells) <= total:
        return None
    rule = f"{len(cells)} of the {total} cells differ, so they may be names and no categories"
    return Doubt(rule=rule, cells=tuple(cells), settings=("kind: category", "kind: hash", "kind: id"))
