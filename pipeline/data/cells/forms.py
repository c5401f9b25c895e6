"""How people write numbers, truth values, dates and clock times: forms of a cell, each a rule from its text to a number.

A form is a frozen record, kept with a trained model so that new rows are read as the old ones were; `parser(form)` is its rule.

    Number   68.9   68,9   128,553   1'234.5   $ 12   12 km   12 %   (3.5)   <5      the number itself; a bound is taken as its number
    Truth    true, yes, y, t, on, 1 and their opposites, in any spelling             1 and 0
    Moment   2023-05-19   5/19/2023   19.05.23 18:30   1. Mai 2000   2023Q1          days since 1970-01-01, in UTC where no zone is named
    Clock    18:30   6:30 pm   18.30.00                                              hours since midnight
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Literal

from pipeline.data.cells.dates import clock, days_of_iso, moment
from pipeline.records import record, setting

Parser = Callable[[str], float | None]

MINUS = "-−–"
SIGN = r"[+\-−–]"
CURRENCIES = "$|€|£|¥|₹|₽|₩|US$|R$|C$|A$|USD|EUR|CHF|GBP|JPY|CNY|INR|CAD|AUD|SEK|NOK|DKK|kr|Fr.|Rs.|Rs"
BEHIND = r"(?<=\d)[\-−–](?=\s|$)"  # a minus behind its number, as accounts have it
_NO_FRACTION = re.compile(r"(?<=\d)[.,][-−–—]{1,2}(?=\s|$)")  # 12.- and 12,–, as prices have it
_BOUND = r"(?:<=|>=|<|>|≤|≥|~)"
PLURAL = re.compile(r"[^\W\d_]{3,}s")  # years: a number before it may be of one year
_TRUTHS = (
    *(("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"), ("on", "off"), ("ja", "nein"), ("j", "n"), ("wahr", "falsch")),
    *(("oui", "non"), ("vrai", "faux"), ("sí", "no"), ("si", "no"), ("verdadero", "falso"), ("sim", "não")),
    *(("ja", "nee"), ("ja", "nej"), ("tak", "nie"), ("evet", "hayır"), ("vero", "falso"), ("да", "нет"), ("是", "否"), ("はい", "いいえ")),
    *(("✓", "✗"), ("✔", "✘")),
)  # fmt: skip
PAIRS = tuple(frozenset(pair) for pair in _TRUTHS)
TRUTHS = {word: value for pair in _TRUTHS for word, value in zip(pair, (1.0, 0.0), strict=True)}


@record
class Number:
    """decimal    what stands before the fraction
    thousands  what stands between groups of three digits; empty: nothing does
    prefix, suffix  a currency or a unit that stands at every number, without the blanks between
    """

    kind: Literal["number"] = setting("number")
    decimal: Literal[".", ","] = setting(".")
    thousands: Literal["", ",", ".", " ", "'", "_"] = setting("")
    prefix: str = setting("")
    suffix: str = setting("")


@record
class Truth:
    """True and false, in any spelling."""

    kind: Literal["truth"] = setting("truth")


@record
class Moment:
    """A date, with or without a time: `format` as of strptime, or several with | between; None: ISO 8601."""

    kind: Literal["moment"] = setting("moment")
    format: str | None = setting(None)


@record
class Clock:
    """A time of the day."""

    kind: Literal["clock"] = setting("clock")


Form = Number | Truth | Moment | Clock
PLAIN = Number()
_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_GROUPS = {",": ",", ".": r"\.", " ": " ", "'": "['’]", "_": "_"}
_FRACTION = re.compile(r"\d+\.(\d+)", re.ASCII)
_WIDE = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # fullwidth forms
_NOTHING = dict.fromkeys((*range(0x200B, 0x2010), 0x2060, 0xFEFF, 0xAD))  # characters without a width
_COMMON = {
    **_WIDE,
    **_NOTHING,
    **dict.fromkeys((0xA0, 0x202F, 0x2007, 0x2009, 0x3000), " "),
    0x2010: "-",
    0x2011: "-",
    0x66B: ".",
    0xB5: "μ",
    0xFFE1: "£",
    0xFFE5: "¥",
    0x66C: ",",
}


def parser(form: Form) -> Parser:
    """Text of a cell -> its number, None where it is not written in this form."""
    match form:
        case Number():
            return _number(form)
        case Truth():
            return truth
        case Moment(format=None):
            return days_of_iso
        case Moment():
            return lambda text: moment(text, str(form.format))
        case Clock():
            return clock


def common(text: str) -> str:
    """`text` with common blanks, digits, marks and hyphens in place of narrow, wide and invisible ones and of digits of other scripts.

    A dash in place of a fraction (12.-) is left out.
    """
    if not text.isascii():
        text = "".join(str(unicodedata.decimal(letter, letter)) for letter in text.translate(_COMMON))
    return _NO_FRACTION.sub("", text)


def plain(text: str) -> float | None:
    """A number without anything beside it: digits, a point, a power of ten."""
    return float(text) if _PLAIN.fullmatch(text) else None


def _number(form: Number) -> Parser:
    """The rule for numbers with separators, currencies, units, bounds, and brackets for negative ones.

    Where nothing is known to stand between groups of digits, both marks in one number (1.234,5) still say which is which: later rows may
    hold larger numbers than those that the form was found in.
    """
    groups, point = _GROUPS.get(form.thousands, ""), re.escape(form.decimal)
    other = "" if groups else _GROUPS["," if form.decimal == "." else "."]
    whole = rf"\d{{1,3}}(?:{groups}\d{{2,3}})*{groups}\d{{3}}|\d+" if groups else rf"\d{{1,3}}(?:{other}\d{{3}})+(?={point}\d)|\d+"
    digits = rf"(?P<digits>(?:{whole})(?:{point}\d*)?|{point}\d+)(?P<power>[eE][+-]?\d+)?"
    before = rf"(?:{re.escape(form.prefix)}\s*)?" if form.prefix else ""
    unit = re.escape(form.suffix)
    after = rf"(?:\s*{unit[:-1] + 's?' if PLURAL.fullmatch(form.suffix) else unit})?" if form.suffix else ""
    sign = rf"(?P<{{}}>{SIGN})?\s*"
    written = (
        rf"(?P<open>\()?{_BOUND}?\s*{sign.format('sign')}{before}{sign.format('inner')}{digits}(?P<behind>{BEHIND})?{after}(?P<close>\))?"
    )
    pattern = re.compile(written, re.ASCII)

    def parse(text: str) -> float | None:
        found = pattern.fullmatch(common(text))
        if found is None or bool(found["open"]) != bool(found["close"]):
            return None
        signs = [s for s in (found["sign"], found["inner"], found["behind"]) if s]
        if len(signs) > 1 or (signs and found["open"]):
            return None
        clean = re.sub(groups or other, "", found["digits"])
        value = float(clean.replace(form.decimal, ".") + (found["power"] or ""))
        return -value if found["open"] or (signs and signs[0] in MINUS) else value

    return parse


def truth(text: str) -> float | None:
    """1 for true, 0 for false; 1 and 0 too, as another program may write them."""
    value = TRUTHS.get(text.casefold())
    return value if value is not None else {"1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}.get(text)


def zeros_behind(texts: Iterable[str]) -> tuple[list[str], str]:
    """Fractions with a zero behind, 1.10, and one that is shorter, 1.9; none and nothing where all are as long or end otherwise."""
    parts = {text: found[1] for text in texts if (found := _FRACTION.fullmatch(text))}
    behind = [text for text, part in parts.items() if len(part) > 1 and part[-1] == "0"]
    short = next((text for text, part in parts.items() if behind and len(part) < len(parts[behind[0]])), "")
    return (behind, short) if short else ([], "")


def said(form: Form) -> str:
    """What a reader is told of a form: `numbers with a decimal comma`."""
    match form:
        case Number():
            parts = [
                *(["a decimal comma"] if form.decimal == "," else []),
                *([f"{_NAMES[form.thousands]} between thousands"] if form.thousands else []),
                *([f"{form.prefix} before them"] if form.prefix else []),
                *([f"{form.suffix} after them"] if form.suffix else []),
            ]
            return "numbers" + (f" with {' and '.join(parts)}" if parts else "")
        case Truth():
            return "true and false are taken as 1 and 0"
        case Moment():
            ways = "" if form.format is None else f" written {form.format.replace('|', ' or ')}"
            return f"dates{ways} are taken as days since 1970-01-01"
        case Clock():
            return "times of the day are taken as hours since midnight"


_NAMES = {",": "commas", ".": "points", " ": "blanks", "'": "apostrophes", "_": "underscores"}
