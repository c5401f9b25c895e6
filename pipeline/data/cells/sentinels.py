"""Numbers and dates that stand for a missing value: -9999 among temperatures, 9999-12-31 among days.

One of those that people write so, and that stands apart from all others, is a doubt; one that might well be a value is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.cells.columns import Reading
from pipeline.data.cells.findings import Doubt
from pipeline.data.hints import column_setting, listed, written

Ends = tuple[float, float]

FAR = 3.0  # a sentinel lies further from the other numbers than so many times their range
ALONE = 30.0  # one that stands once only
HUGE = 1e19
NEAR = 0.2  # a 0 nearer to the least of the others than this part of their range may be one of them
LEAST_OTHERS = 10
MOST_DIFFERENT = 2**16
SUSPECTS = frozenset(
    [sign * (float("9" * n) + part) for n in range(2, 10) for part in (0, 0.9, 0.99) for sign in (1, -1)]
    + [-1.0, -7.0, -8.0, -9.0, 9.0, 77.0, 88.0, 97.0, 98.0, -200.0, -777.0, -888.0, -8888.0, 8888.0, -999.25, -6999.0, 6999.0]
    + [-32768.0, 32767.0, -2147483648.0, 2147483647.0]
)  # what people write for missing among numbers, beside those of at least HUGE
DAYS = frozenset((-719162.0, -79258.0, -25569.0, -25568.0, -25567.0, -24107.0, 0.0, 47481.0, 47482.0))
# 0001, 1753, two of 1899, 1900, 1904, 1970, the last of 2099, 2100
LAST_DAY = 339_714.0  # from 2900-02-06 on


def suspect(value: float) -> bool:
    """Whether people write this number for a missing one."""
    return value in SUSPECTS or abs(value) >= HUGE


def suspects(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """The same of each of `values` [n]."""
    return np.isin(values, list(SUSPECTS)) | (np.abs(values) >= HUGE)


def suspect_days(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which of these days [n] people write for a missing one."""
    return np.isin(values, list(DAYS)) | (values >= LAST_DAY)


def among(counts: Mapping[str, int], reading: Reading) -> tuple[dict[float, int], Ends]:
    """Of counted cells that are numbers in the form of `reading`: those that may stand for a missing value, and the ends of the rest."""
    often = _values(counts, reading)
    rest = [value for value in often if not suspect(value)]
    return {value: count for value, count in often.items() if suspect(value)}, (min(rest, default=np.inf), max(rest, default=-np.inf))


def _values(counts: Mapping[str, int], reading: Reading) -> dict[float, int]:
    often: dict[float, int] = {}
    for text, count in counts.items():
        value = None if reading.absent(text) else reading.value(text)
        if value is not None:
            often[value] = often.get(value, 0) + count
    return often


def sentinel(name: str, found: Mapping[float, int], rest: Ends) -> tuple[Doubt | None, tuple[str, ...]]:
    """Numbers that look like what people write for missing and stand apart: far from all others, or the only negative ones."""
    low, high = rest
    if not found or low > high:
        return None, ()
    often = {value: count for value, count in found.items() if not low <= value <= high}
    far = [value for value, count in often.items() if _gap(value, rest) > (FAR if count > 1 else ALONE) * (high - low) > 0]
    far += [value for value in often if value not in far and value < -50 and low >= 0 and often[value] >= 3]
    if far:
        words = [_shown(value) for value in far]
        times = sum(often[value] for value in far)
        rule = (
            f"it stands {times} time{'s' if times > 1 else ''}, apart from all others ({low:g} to {high:g}), and may mean a missing value"
        )
        return Doubt(rule=rule, cells=tuple(words), settings=(f"missing: [{', '.join(map(written, words))}]", "kind: number")), ()
    negative = {value for value in often if value < 0 <= low and high - low > 1}
    apart = [value for value, count in often.items() if count >= 3 and (value in negative or _gap(value, rest) > 0.1 * (high - low) > 0)]
    apart = [value for value in apart if value in negative or value != -1]
    if not apart:
        return None, ()
    words = [_shown(value) for value in apart]
    hint = column_setting(name, f"missing: [{', '.join(map(written, words))}]")
    times = sum(often[value] for value in apart)
    return None, (f"{listed(words)} stands {times} times apart from the others; if it means a missing value, give {hint}",)


def date_sentinel(counts: Mapping[str, int], reading: Reading) -> Doubt | None:
    """Days that people write for none and that stand apart: 9999-12-31, and 1900-01-01 where all others are of later years."""
    values = _values(counts, reading)
    rest = [value for value in values if value not in DAYS and value < LAST_DAY]
    far = _far_days(values, (min(rest, default=np.inf), max(rest, default=-np.inf)))
    texts = {text: counts[text] for text in counts if not reading.absent(text) and reading.value(text) in far}
    return _doubtful_days(texts, rest) if texts else None


def typed_date_sentinel(found: Mapping[float, int], rest: Ends) -> Doubt | None:
    """The same of a column of dates that has a type: suspect days -> how often, and the ends of the others."""
    texts = {_shown_day(value): found[value] for value in sorted(_far_days(found, rest))}
    return _doubtful_days(texts, rest) if texts else None


def _shown_day(value: float) -> str:
    """2023-05-19 of days since 1970-01-01."""
    return str(np.datetime64(0, "D") + int(np.floor(value)))


def _far_days(found: Mapping[float, int], rest: Ends) -> set[float]:
    if rest[0] > rest[1]:
        return set()
    far = FAR * (rest[1] - rest[0])
    return {value for value, count in found.items() if value >= LAST_DAY or (value in DAYS and count > 1 and _gap(value, rest) > far)}


def _doubtful_days(texts: Mapping[str, int], rest: Sequence[float]) -> Doubt:
    span = " to ".join(_shown_day(end) for end in (min(rest), max(rest)))
    times = sum(texts.values())
    rule = f"it stands {times} time{'s' if times > 1 else ''}, apart from all others ({span}), and may mean a missing value"
    return Doubt(rule=rule, cells=tuple(texts), settings=(f"missing: [{', '.join(map(written, list(texts)[:3]))}]", "kind: date"))


@dataclass
class Zeros:
    """The zeros of a column of numbers that are positive and far from 0, block by block: blood pressures of 60 to 180, no counts, no doses.

    times, others   how many are 0, and how many are not;  apart: whether the others are that far from it, so far
    different       the others, sorted; more than MOST_DIFFERENT are thinned out between the ends
    """

    times: int = 0
    others: int = 0
    apart: bool = True
    different: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def see(self, values: npt.NDArray[Any], low: float, high: float) -> None:
        """Takes in numbers [n] from `low` to `high`."""
        high = max(high, float(self.different[-1]) if len(self.different) else 0.0)
        near = NEAR / (1 + NEAR) * high
        self.apart = self.apart and low >= 0 and not bool(((values > 0) & (values < near)).any())
        self.apart = self.apart and (not len(self.different) or float(self.different[0]) >= near)
        if self.apart:
            positive = values[values > 0]
            self.times, self.others = self.times + len(values) - len(positive), self.others + len(positive)
            found = np.union1d(self.different, positive.astype(np.float64))
            self.different = found if len(found) <= MOST_DIFFERENT else np.append(found[:-1:2], found[-1:])

    def told(self, name: str) -> tuple[str, ...]:
        """A note: the zeros are three at least and no more than half of all, and the others lie nearer to each other than to 0."""
        if not self.apart or not 3 <= self.times <= self.others or len(self.different) < LEAST_OTHERS:
            return ()
        low, high = float(self.different[0]), float(self.different[-1])
        if low < 2 * float(np.diff(self.different).max()):
            return ()
        hint = column_setting(name, "missing: [0]")
        return (f"0 stands {self.times} times apart from the others ({low:g} to {high:g}); if it means a missing value, give {hint}",)


def _gap(value: float, rest: Ends) -> float:
    return max(rest[0] - value, value - rest[1])


def _shown(value: float) -> str:
    """-9999 and 1e+20: the shortest text that is this number."""
    return f"{value:.0f}" if value.is_integer() and abs(value) < HUGE else repr(value)
