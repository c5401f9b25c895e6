"""How the columns of a table are read and become those of x: records that are kept as JSON with the model.

{"version": 2, "target": "price", "ignore": ["id"], "columns": [
    {"name": "size", "reading": {"kind": "number", "form": {"kind": "number", "decimal": ","}}, "fill": 80.0},
    {"name": "town", "reading": {"kind": "category"}, "values": ["Basel", "Bern"], "missing": false}]}
"""

# D columns of x
from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.data.cells.forms import TRUTHS, Clock, Form, Moment, Number, Parser, Truth, parser, plain, truth, zeros_behind
from pipeline.data.settings import DateFeature
from pipeline.records import record, setting

Floats = npt.NDArray[np.float64]
Spelling = Literal["written", "numbers", "lower", "truth"]
_DIGITS = re.compile(r"(?P<sign>[+-]?)(?P<whole>0|[1-9]\d*)(?:\.(?P<fraction>\d*))?", re.ASCII)
MISSING = frozenset(("na", "n/a", "#n/a", "nan", "<na>", "null", "?"))  # in lower case; `none` may well be a category
WEEKDAY_OF_DAY_0 = 3  # 1970-01-01 was a Thursday


@record
class Missing:
    """Which cells have no value, beside those that are empty.

    words  as they are written; a number among them stands for all its spellings
    usual  whether NA, N/A, NaN, null and ? do too
    """

    words: tuple[str, ...] = setting(())
    usual: bool = setting(True)

    def holds(self, text: str) -> bool:
        """Whether a cell without the blanks around it has no value."""
        return not text or (self.usual and text.casefold() in MISSING) or text in self.words or self._number(text)

    def _number(self, text: str) -> bool:
        return bool(self.values) and plain(text) in self.values

    @functools.cached_property
    def values(self) -> tuple[float, ...]:
        """The numbers among the words."""
        return tuple(value for word in self.words if (value := plain(word)) is not None)


@record
class Reading:
    """How the cells of a column are read, the same in the training file and in later ones.

    kind      category: words; ordinal: words that stand for their places in `order`; all others are numbers
    form      how the numbers are written
    spelling  of words: numbers, all of them are numbers and have one spelling each (8001.0 is 8001); lower, truth values that are spelled
              in several ways; truth, words of several languages for true and false; else as they are written
    """

    kind: Literal["number", "boolean", "date", "time", "ordinal", "category", "ignore"] = setting()
    form: Number | Truth | Moment | Clock | None = setting(None)
    missing: Missing = setting(Missing())
    spelling: Spelling = setting("written")
    order: tuple[str, ...] = setting(())

    @property
    def words(self) -> bool:
        """Whether the cells are kept as words."""
        return self.kind == "category"

    def spelled(self, text: str) -> str:
        """The word that a cell stands for."""
        if self.spelling == "lower":
            return text.casefold()
        if self.spelling == "truth":
            return truth_word(text)
        return canonical(text) if self.spelling == "numbers" else text

    def absent(self, text: str) -> bool:
        """Whether a cell has no value: by its word, or by its number in any spelling, as -999.0 hPa where -999 is missing."""
        if self.missing.holds(text):
            return True
        return self.kind == "number" and bool(self.missing.values) and self.value(text) in self.missing.values

    def value(self, text: str) -> float | None:
        """The number that a cell stands for; None where it stands for none."""
        if self.kind == "ordinal":
            return float(self.order.index(text)) if text in self.order else None
        return self._parser(text)

    def __getstate__(self) -> dict[str, object]:
        """What a pickle holds: the fields, and no parser made of them."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @functools.cached_property
    def _parser(self) -> Parser:
        return parser(self.form or Number())


def canonical(text: str) -> str:
    """8001 for 8001.0, 1.5 for 1.50: the shortest spelling of digits and a point; anything else, 007 and 3E7 too, as it is."""
    found = _DIGITS.fullmatch(text)
    if found is None:
        return text
    fraction = (found["fraction"] or "").rstrip("0")
    number = found["whole"] + (f".{fraction}" if fraction else "")
    return f"-{number}" if found["sign"] == "-" and number != "0" else number


def numbers_in_words(texts: Sequence[str]) -> bool:
    """Whether words are plain numbers, all of them, without leading zeros, none with a zero behind that others lack: 1.10, 1.1."""
    return bool(texts) and all(_DIGITS.fullmatch(text) for text in texts) and not zeros_behind(texts)[0]


def truth_word(text: str) -> str:
    """`true` or `false` of any word for it, or 1 and 0; others as they are."""
    value = truth(text)
    return text if value is None else "true" if value else "false"


def truths_in_words(texts: Sequence[str]) -> bool:
    """Whether words are truth values of which one is spelled in several ways, or true and false."""
    folded = {text.casefold() for text in texts}
    return folded <= TRUTHS.keys() and (len(folded) < len(set(texts)) or folded <= {"true", "false"})


@record
class Quantity:
    """A column of numbers, of true and false as 1 and 0, of dates, times or ordered words: a column of x, or one for each of `parts`.

    fill   what a missing cell becomes: the median of the training rows
    low, high  the least and the greatest value of the training rows; None where they have none
    parts  of a date
    """

    name: str = setting()
    reading: Reading = setting()
    fill: float = setting()
    low: float | None = setting(None)
    high: float | None = setting(None)
    parts: tuple[DateFeature, ...] = setting(("days",))

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its columns of x: `day`, or `day.weekday`."""
        return tuple(self.name if part == "days" else f"{self.name}.{part}" for part in self.parts)

    def columns(self, values: Floats) -> Floats:
        """Values of a block [n], NaN where one is missing -> its columns of x [n, d]."""
        filled = np.where(np.isnan(values), self.fill, values)
        return np.stack([_part(filled, part) for part in self.parts], axis=1)


def _part(days: Floats, part: DateFeature) -> Floats:
    """Days since 1970-01-01 [n] -> what `part` names of each."""
    whole = np.floor(days)
    match part:
        case "days":
            return days
        case "weekday":
            return (whole + WEEKDAY_OF_DAY_0) % 7
        case "month":
            return np.asarray(whole.astype("M8[D]").astype("M8[M]").astype(np.int64) % 12 + 1, np.float64)
        case "hour":
            return (days - whole) * 24


@record
class Category:
    """A column of words: a column of x for each of `values`, the words of the training rows, and one for missing cells if these have any.

    A word that the training rows do not have is all zeros.
    """

    name: str = setting()
    reading: Reading = setting()
    values: tuple[str, ...] = setting()
    missing: bool = setting()

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its columns of x: `town=Basel`, `town=(missing)`."""
        return tuple(f"{self.name}={value}" for value in (*self.values, *(("(missing)",) if self.missing else ())))

    def place(self, word: str | None) -> int:
        """The column of a word among those of the category, -1 for none."""
        return self._places.get(word, -1)

    @functools.cached_property
    def _places(self) -> dict[str | None, int]:
        index: dict[str | None, int] = {value: place for place, value in enumerate(self.values)}
        return index | ({None: len(index)} if self.missing else {})


@record
class Hashed:
    """A column of words that share `buckets` columns of x, each word by its digest; a missing cell is all zeros."""

    name: str = setting()
    reading: Reading = setting()
    buckets: int = setting(64)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its columns of x."""
        return tuple(f"{self.name}#{bucket}" for bucket in range(self.buckets))

    def place(self, word: str | None) -> int:
        """The column of a word among those of the column."""
        import zlib  # noqa: PLC0415

        return -1 if word is None else zlib.crc32(word.encode()) % self.buckets


@record
class Encoder:
    """What is learned of a table from its training rows: its columns but the target and those that are ignored."""

    version: Literal[2] = setting(2)
    target: str | tuple[str, ...] = setting()
    ignore: tuple[str, ...] = setting()
    columns: tuple[Quantity | Category | Hashed, ...] = setting()

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the D columns of x."""
        return tuple(name for column in self.columns for name in column.features)


__all__ = ["Category", "Encoder", "Form", "Hashed", "Missing", "Quantity", "Reading"]
