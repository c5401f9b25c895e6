"""Words that look like numbers and are read as none: they do not become categories unasked.

5±1   1/2   12 (30 %)   1.5x10^3   0x1F   1.5D+03   5'11"   1h 30m   25:30:00   ="007"      a doubt
1_234                                                                                   a doubt: thousands, or a code
10-20   18+   <18                                                                       categories, with a note: ranges have an order
13 helmikuuta 2021   2021-02-13 10:00 PST                                               a doubt: dates
Red   red   RED                                                                         categories, with a note: one word perhaps
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from pipeline.data.cells.findings import Doubt
from pipeline.data.cells.forms import common
from pipeline.data.hints import listed

_NUMBER = r"\d+(?:[.,]\d+)?"
_UNIT = (
    r"(?:h|hrs?|hours?|std|stunden?|m|mins?|minutes?|minuten?|s|secs?|seconds?|sekunden?|d|days?|tage?|w|weeks?|y|yrs?|years?|months?|mo"
    r"|ft|in|lbs?|oz|st|°|'|\"|′|″)"
)
RANGE = re.compile(rf"[<>≤≥]=?\s*{_NUMBER}|(?P<low>{_NUMBER})\s*(?:[-–—]|to|bis)\s*(?P<high>{_NUMBER})|{_NUMBER}\s*\+", re.ASCII)
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:_\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?", re.ASCII)
CODE = re.compile(r"\d+(?:[-_.]\d+)+", re.ASCII)  # 978-3-16, 2020_05, 10.0.0.1
KINDS = (
    re.compile(r"[^A-Za-z]*[\d¼-¾⅐-⅞][^A-Za-z]*", re.ASCII),  # digits and marks
    re.compile(rf"[+-]?(?:{_NUMBER}\s*{_UNIT}\.?[\s,]*)+(?:\d+:\d\d(?::\d\d(?:\.\d+)?)?)?", re.ASCII | re.IGNORECASE),
    re.compile(r"P(?:\d+[YMWD])*(?:T(?:[\d.]+[HMS])+)?", re.ASCII),
    re.compile(r"0[xX][0-9a-fA-F]+|0[bB][01]+|[+-]?\d+(?:\.\d*)?[dD][+-]?\d+", re.ASCII),
    re.compile(rf"[+-]?{_NUMBER}\s*[x×*·]\s*10\s*\^?\s*[+−-]?\d+", re.ASCII),
    re.compile(rf"[+-]?{_NUMBER}\s*[+-]\s*{_NUMBER}[ij]", re.ASCII),
    re.compile(rf"[+-]?{_NUMBER}\s*[(\[].*[)\]]", re.ASCII),
    re.compile(r"\d+°.*", re.ASCII),
    re.compile(rf"{_NUMBER}\s*(?:out of|of|von|sur|x|by)\s*{_NUMBER}", re.ASCII),
    re.compile(rf"(?:ca|circa|approx|approximately|about|around|roughly|etwa|env)\b\.?\s*{_NUMBER}.*", re.ASCII | re.IGNORECASE),
)
DATES = (
    re.compile(
        r"\d{1,2}(?:\.|[^\W\d_]{2})?[\s-]+(?:[^\W\d_]{2} )?[^\W\d_]{3,}\.?,?[\s-]+(?:[^\W\d_]{2} )?[12]\d{3}(?!\d).*"
    ),  # 13 lutego 2021
    re.compile(r"(?=.*\b[12]\d{3}\b).*\b\d{1,2}:\d\d(?::\d\d)?(?:\b|[A-Z]).*"),  # 2021-02-13 10:00 PST
)


def disguised(cells: Mapping[str, int]) -> Doubt | str | None:
    """What is to be said of a column of words of which half are numbers in disguise: a doubt, or a note on ranges."""
    total = sum(cells.values())
    plainer = {text: common(text) for text in cells}
    ranges = [text for text, each in plainer.items() if _is_range(each)]
    if ranges and 2 * sum(cells[text] for text in ranges) > total:
        return f"{listed(ranges)}: ranges are taken as words; kind: ordinal with their order in data.columns keeps it"
    grouped = [text for text, each in plainer.items() if GROUPED.fullmatch(each)]
    if len(grouped) == len(cells):
        first = next(text for text in grouped if "_" in text)
        rule = f"it may be {first.replace('_', '')} with _ between thousands, or a name"
        return Doubt(rule=rule, cells=tuple(text for text in cells if "_" in text), settings=('thousands: "_"', "kind: category"))
    dates = [text for text, each in plainer.items() if any(kind.fullmatch(each) for kind in DATES)]
    if dates and 2 * sum(cells[text] for text in dates) > total:
        rule = "it looks like a date and is written like none known here"
        return Doubt(rule=rule, cells=tuple(dates), settings=("kind: category", "kind: ignore"))
    odd = [text for text, each in plainer.items() if not CODE.fullmatch(each) and _looks(each)]
    if odd and 2 * sum(cells[text] for text in odd) > total:
        rule = "it looks like a number and is written like none known here"
        return Doubt(rule=rule, cells=tuple(odd), settings=("kind: category", "kind: ignore"))
    return None


def _is_range(text: str) -> bool:
    found = RANGE.fullmatch(text)
    if found is None or found["low"] is None:
        return found is not None
    low, high = (float(found[end].replace(",", ".")) for end in ("low", "high"))
    return low <= high


def _looks(text: str) -> bool:
    return not any(letter.isalpha() and not letter.isascii() for letter in text) and any(kind.fullmatch(text) for kind in KINDS)


def alike(words: Iterable[str]) -> str:
    """What is to be said of words that differ in capitals or in the blanks within them alone; nothing where none do."""
    groups: dict[str, list[str]] = {}
    for word in dict.fromkeys(words):
        plainer = word if word.isascii() else common(unicodedata.normalize("NFKC", word))
        groups.setdefault(" ".join(plainer.casefold().split()), []).append(word)
    same = [group for group in groups.values() if len(group) > 1]
    if not same:
        return ""
    more = f" (and {len(same) - 1} more words)" if len(same) > 1 else ""
    seen = len({" ".join(word.casefold().split()) for word in same[0]}) == 1
    how = "capitals or blanks" if seen else "characters that look alike, or that nobody sees,"
    return f"{listed(same[0])} differ in {how} alone{more} and are told apart; write them alike in the file if they are one"
