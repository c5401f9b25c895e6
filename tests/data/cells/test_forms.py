"""How numbers are written: a form takes what it was found in, and what no other form could mean."""

from __future__ import annotations

import pytest

from pipeline.data.cells.forms import Number, parser


@pytest.mark.parametrize(
    ("form", "text", "value"),
    [
        (Number(decimal=","), "1.234,5", 1234.5),  # the training rows held no value above 999
        (Number(decimal=","), "1.234.567,5", 1234567.5),
        (Number(decimal=","), "1.234", None),  # 1234 here, 1.234 of an English file: it is asked
        (Number(decimal=","), "1.23,5", None),
        (Number(prefix="$"), "$1,030.50", 1030.5),
        (Number(prefix="$"), "$1,030", None),
        (Number(), "1,234.5", 1234.5),
        (Number(), "1.234,5", None),
        (Number(decimal=",", thousands="'"), "1.234,5", None),
    ],
)
def test_both_marks_in_one_number_say_which_is_which(form: Number, text: str, value: float | None) -> None:
    assert parser(form)(text) == value
