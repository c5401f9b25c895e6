"""Dates that are written as numbers: 202401, 240131, 31012024, 01312024, 20240131, also without a zero before them (1022024).

which forms all numbers of a column keep is known block by block (`narrowed`); the cells then say which one it is (`packed`)
"""

# n rows of a block
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.cells.dates import PACKED, days_of
from pipeline.data.cells.findings import Doubt, Found
from pipeline.data.cells.forms import PLAIN, Moment, said

FORMS = tuple(PACKED)
LEAST = {"%Y%m": 4, "%y%m%d": 6}  # distinct cells from which on it is no chance that all of them fit; 3 of eight digits
FIRST_YEAR, LAST_YEAR = 1900, 2100
FIRST_DAY, LAST_DAY = -25567, 47846  # of these years


def narrowed(forms: tuple[str, ...], values: npt.NDArray[Any], low: float, high: float) -> tuple[str, ...]:
    """Those of `forms` that all whole numbers [n], from `low` to `high`, keep."""
    return tuple(form for form in forms if _between(form, low, high) and _keep(form, values))


def _between(form: str, low: float, high: float) -> bool:
    width = PACKED[form]
    return bool(high < 10**width and low >= 10 ** (width - (1 if form.startswith("%Y") else 2)))


def _keep(form: str, values: npt.NDArray[Any]) -> bool:
    left, there = values.astype(np.int64), np.ones(len(values), bool)
    for part in reversed(form.split("%")[1:]):
        left, each = np.divmod(left, 10 ** (4 if part == "Y" else 2))
        low, high = {"Y": (FIRST_YEAR, LAST_YEAR), "y": (0, 99), "m": (1, 12), "d": (1, 31)}[part]
        there &= (each >= low) & (each <= high)
    return bool(there.all())


def packed(cells: Mapping[str, int]) -> Found | Doubt | None:
    """What cells of digits alone are, where all of them are dates in one of the forms."""
    if len(cells) < 3 or not all(text[:1].isdigit() and text.isascii() for text in cells):
        return None
    forms = [form for form in FORMS if _fits(form, cells)]
    if not forms:
        return _of_one_year(cells)
    unlike = [text for text in cells if len({days_of(text, form) for form in forms}) > 1]
    if unlike or "%y%m%d" in forms:
        number = any(text.startswith("0") for text in cells)
        rule = f"it may be a date written {' or '.join(forms)}, or a {'code' if number else 'number'}"
        settings = (*(f'kind: date, format: "{form}"' for form in forms), f"kind: {'category' if number else 'number'}")
        return Doubt(rule=rule, cells=tuple(unlike or cells), settings=settings)
    form = Moment(format=forms[0])
    keeps = f"the cells are digits alone; kind: {'category' if next(iter(cells)).startswith('0') else 'number'} in data.columns keeps them"
    return Found(kind="date", form=form, notes=(said(form), keeps), why=said(form).partition(" are")[0])


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
