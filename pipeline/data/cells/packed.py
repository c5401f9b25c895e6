"""Dates that are written as numbers: 202401, 240131, 31012024, 01312024, 20240131, 202401311830, without a zero before them too (1022024).

Which forms all numbers of a column keep is known block by block (`narrowed`); the cells then say which one it is (`packed`). Numbers that
people write where there is no date (0, -1, 999999, 99991231) are left out of both, and asked about with the dates.
"""

# n rows of a block
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.cells.dates import PACKED, days_of
from pipeline.data.cells.findings import Doubt, Found
from pipeline.data.cells.forms import PLAIN, Moment, plain, said
from pipeline.data.hints import written

FORMS = tuple(PACKED)
LEAST = {"%Y%m": 4, "%y%m%d": 6}  # distinct cells from which on it is no chance that all of them fit; 3 of eight digits
FIRST_YEAR, LAST_YEAR = 1900, 2100
_ENDS = {"Y": (FIRST_YEAR, LAST_YEAR), "y": (0, 99), "m": (1, 12), "d": (1, 31), "H": (0, 23), "M": (0, 59), "S": (0, 59)}
FIRST_DAY, LAST_DAY = -25567, 47846  # of these years
LEAST_DATE = 10**4  # numbers below are no dates
NO_DATE = frozenset(
    [sign * float("9" * digits) for digits in range(1, 10) for sign in (1, -1)]
    + [0.0, -1.0, 999_912.0, 99_991_231.0, 99_990_101.0, 31_129_999.0, 12_319_999.0, 1_019_999.0]
)  # what people write where there is no date
MOST_BLANKS = 3  # more different ones are no signs for nothing


def narrowed(forms: tuple[str, ...], values: npt.NDArray[Any], low: float, high: float) -> tuple[str, ...]:
    """Those of `forms` that all whole numbers [n], from `low` to `high`, keep, but for those that may stand where there is no date."""
    if high >= LEAST_DATE or high in NO_DATE:
        values = values[~np.isin(values, list(NO_DATE))]
        if not len(values):
            return forms
        low, high = float(values.min()), float(values.max())
    return tuple(form for form in forms if _between(form, low, high) and _keep(form, values))


def _between(form: str, low: float, high: float) -> bool:
    width = PACKED[form]
    return bool(high < 10**width and low >= 10 ** (width - (1 if form.startswith("%Y") else 2)))


def _keep(form: str, values: npt.NDArray[Any]) -> bool:
    left, there = values.astype(np.int64), np.ones(len(values), bool)
    for part in reversed(form.split("%")[1:]):
        left, each = np.divmod(left, 10 ** (4 if part == "Y" else 2))
        low, high = _ENDS[part]
        there &= (each >= low) & (each <= high)
    return bool(there.all())


def packed(cells: Mapping[str, int]) -> Found | Doubt | None:
    """What cells of digits alone are, where all of them are dates in one of the forms, or all but a few that may stand for none."""
    blanks = tuple(text for text in cells if plain(text) in NO_DATE)
    return _beside(blanks, cells) if 0 < len(blanks) <= MOST_BLANKS else _dates(cells)


def _beside(blanks: tuple[str, ...], cells: Mapping[str, int]) -> Doubt | None:
    """What is to be asked where cells that may stand for no date are among dates."""
    others = {text: count for text, count in cells.items() if text not in blanks}
    dates = _dates(others)
    if dates is None:
        return None
    if isinstance(dates, Doubt):
        ways, keeps = dates.settings[:-1], dates.settings[-1]
    else:
        form = dates.form.format if isinstance(dates.form, Moment) else "%Y%m"
        ways, keeps = (f'kind: date, format: "{form}"',), f"kind: {_otherwise(others)}"
    missing = f"missing: [{', '.join(map(written, blanks))}]"
    formats = " or ".join(way.partition('format: "')[2].rstrip('"') for way in ways)
    rule = f"the others may be dates written {formats}, and it may stand where there is none"
    return Doubt(rule=rule, cells=blanks, settings=(*(f"{way}, {missing}" for way in ways), keeps))


def _dates(cells: Mapping[str, int]) -> Found | Doubt | None:
    if len(cells) < 3 or not all(text[:1].isdigit() and text.isascii() for text in cells):
        return None
    forms = [form for form in FORMS if _fits(form, cells)]
    if not forms:
        return _of_one_year(cells)
    unlike = [text for text in cells if len({days_of(text, form) for form in forms}) > 1]
    if unlike or "%y%m%d" in forms:
        kind = _otherwise(cells)
        rule = f"it may be a date written {' or '.join(forms)}, or a {'code' if kind == 'category' else kind}"
        settings = (*(f'kind: date, format: "{form}"' for form in forms), f"kind: {kind}")
        return Doubt(rule=rule, cells=tuple(unlike or cells), settings=settings)
    form = Moment(format=forms[0])
    keeps = f"the cells are digits alone; kind: {_otherwise(cells)} in data.columns keeps them"
    return Found(kind="date", form=form, notes=(said(form), keeps), why=said(form).partition(" are")[0])


def _otherwise(cells: Iterable[str]) -> str:
    """What digits are that are no dates: codes where they have zeros before them."""
    return "category" if any(text.startswith("0") for text in cells) else "number"


def _of_one_year(cells: Mapping[str, int]) -> Found | None:
    """202401 to 202412 may be running numbers, and are in their order either way."""
    read = [days_of(text, "%Y%m") for text in cells]
    if len(cells) < LEAST["%Y%m"] or any(days is None or not FIRST_DAY <= days <= LAST_DAY for days in read):
        return None
    note = 'the cells look like months written as numbers; kind: date, format: "%Y%m" in data.columns reads them so'
    return Found(kind="number", form=PLAIN, notes=(note,), why="plain numbers")


def _fits(form: str, cells: Mapping[str, int]) -> bool:
    if len(cells) < LEAST.get(form, 3):
        return False
    for text in cells:
        days = days_of(text, form)
        if days is None or not FIRST_DAY <= days <= LAST_DAY:
            return False
    return form != "%Y%m" or len({text[:4] for text in cells}) > 1
