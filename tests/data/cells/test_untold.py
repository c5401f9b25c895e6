"""Columns that look like something else than what they are: dates of digits, codes, flags, spellings, a 0 for a missing value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.data import Data, load
from pipeline.data.cells.sentinels import Zeros
from pipeline.data.settings import Declared
from pipeline.data.tables.table import read_table
from pipeline.errors import DataError
from tests.data.cells.columns import column, given, notes, refusal

MONTHS = [f"{year}{month:02}" for year in (2023, 2024) for month in range(1, 13)]
DAYS = [f"{day:02}{month:02}2024" for month in (1, 2, 11) for day in (3, 17)]
KEEPS = "the cells are digits alone; kind: {} in data.columns keeps them"
DATES = {
    "months": (MONTHS, "%Y%m", "number", "2023-01-01"),
    "months of a column that had gaps": ([f"{month}.0" for month in MONTHS], "%Y%m", "number", "2023-01-01"),
    "days first": (DAYS, "%d%m%Y", "category", "2024-01-03"),
    "days first, as numbers": ([day.lstrip("0") for day in DAYS], "%d%m%Y", "number", "2024-01-03"),
    "months first": ([day[2:4] + day[:2] + day[4:] for day in DAYS], "%m%d%Y", "category", "2024-01-03"),
}


@pytest.mark.parametrize("kind", DATES)
def test_dates_written_as_numbers_are_read_and_it_is_told(tmp_path: Path, kind: str) -> None:
    cells, form, otherwise, first = DATES[kind]
    found = column(tmp_path, *cells)
    assert notes(found) == (f"dates written {form} are taken as days since 1970-01-01", KEEPS.format(otherwise))
    assert found.values("c")[0] == np.datetime64(first).astype(int)


def test_months_of_one_year_stay_numbers_and_it_is_told(tmp_path: Path) -> None:
    note = 'the cells look like months written as numbers; kind: date, format: "%Y%m" in data.columns reads them so'
    assert notes(column(tmp_path, *MONTHS[:12])) == (note,)
    assert notes(column(tmp_path, *(str(200_101 + row) for row in range(40)))) == ()


def test_numbers_in_a_typed_column_are_dates_as_in_a_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"c": [int(month) for month in MONTHS], "n": np.arange(24) / 2})
    frame.to_parquet(tmp_path / "a.parquet")
    path = tmp_path / "a.parquet"
    found = read_table(path, Data(kind="table", path=str(path)))
    np.testing.assert_array_equal(found.values("c"), column(tmp_path, *MONTHS).values("c"))


def test_dates_of_digits_that_may_be_others_are_asked_about(tmp_path: Path) -> None:
    short = [f"{24 + row % 2}{1 + row % 12:02}{1 + row % 28:02}" for row in range(12)]
    text = "c,y\n" + "".join(f"{cell},{row % 2}\n" for row, cell in enumerate(short))
    ways = " or ".join(given(setting, "c") for setting in ('kind: date, format: "%y%m%d"', "kind: number"))
    assert refusal(tmp_path, text, target="y").endswith(f"; it may be a date written %y%m%d, or a number; give {ways}")
    with pytest.raises(DataError, match="it may be a date written %d%m%Y or %m%d%Y, or a code"):
        column(tmp_path, "01042024", "02042024", "03052024")


@pytest.mark.parametrize("cells", [[f"0{3000 + row}" for row in range(40)], [str(2**60 + row) for row in range(40)]])
def test_codes_that_nearly_all_differ_are_asked_about_like_words(tmp_path: Path, cells: list[str]) -> None:
    rule = "40 of the 40 cells differ, so they may be names and no categories"
    with pytest.raises(DataError) as error:
        column(tmp_path, *cells)
    assert rule in str(error.value) and all(f"kind: {kind}" in str(error.value) for kind in ("category", "hash", "id"))


@pytest.mark.parametrize(("cell", "kind"), [("1", "number"), ("true", "boolean"), ("2024-01-03", "date")])
def test_a_single_value_is_told_from_blanks(tmp_path: Path, cell: str, kind: str) -> None:
    text = "c,y\n" + "".join(f"{(cell, '')[row % 2]},{row % 3}\n" for row in range(24))
    (tmp_path / "a.csv").write_text(text)
    found = load(Data(kind="table", path=str(tmp_path / "a.csv"), target="y"), seed=0)
    assert found.feature_names == (f"c={cell}", "c=(missing)")
    fills = f"{given(f'kind: {kind}', 'c')} fills the blank ones with it"
    assert f"column c: {cell!r} is its only value and 12 cells have none, so both are categories; {fills}" in found.notes


def test_words_that_differ_in_capitals_are_named(tmp_path: Path) -> None:
    note = "differ in capitals or blanks alone and are told apart; write them alike in the file if they are one"
    assert notes(column(tmp_path, "Red", "red", "RED", "red ", "blue")) == (f"'Red', 'red', 'RED' {note}",)
    assert notes(column(tmp_path, "New York", "New  York", "Bern")) == (f"'New York', 'New  York' {note}",)


def test_a_zero_among_numbers_far_from_it_is_told(tmp_path: Path) -> None:
    cells = [str(60 + row * 7 % 120) if row % 8 else "0" for row in range(80)]
    hint = given("missing: [0]", "c")
    told = f"0 stands 10 times apart from the others (63 to 179); if it means a missing value, give {hint}"
    assert notes(column(tmp_path, *cells)) == (told,)


def test_zeros_of_counts_doses_and_prices_are_not_told() -> None:
    rng = np.random.default_rng(0)
    for values in (rng.poisson(3, 500), 50 * rng.integers(0, 9, 500), rng.exponential(9, 500).round()):
        seen = Zeros()
        seen.see(values, values.min(), values.max())
        assert seen.told("c") == ()


def test_zeros_of_many_blocks_are_told_as_those_of_one() -> None:
    values = np.random.default_rng(0).integers(60, 180, 3000) * 1.0
    values[::9] = 0
    whole, parts = Zeros(), Zeros()
    whole.see(values, values.min(), values.max())
    for block in np.split(values, 300):
        parts.see(block, block.min(), block.max())
    assert len(whole.told("c")) == 1 and parts.told("c") == whole.told("c")


def test_numbers_of_books_are_said_to_name_the_row(tmp_path: Path) -> None:
    text = "isbn,y\n" + "".join(f"{9783161484100 + 37 * row},{row % 2}\n" for row in range(40))
    (tmp_path / "a.csv").write_text(text)
    found = load(Data(kind="table", path=str(tmp_path / "a.csv"), target="y"), seed=0)
    assert "column isbn: every row has a number of its own; if it names the row, give data.ignore=[isbn]" in found.notes


def test_a_test_file_in_utf_8_beside_a_training_file_in_latin_1(tmp_path: Path) -> None:
    rows = "".join(f"{('Zürich', 'Genève')[row % 2]},{row % 2}\n" for row in range(24))
    (tmp_path / "train.csv").write_bytes(f"town,y\n{rows}".encode("latin-1"))
    (tmp_path / "test.csv").write_bytes(f"town,y\n{rows}".encode())
    found = load(
        Data(kind="table", path=str(tmp_path / "train.csv"), test_path=str(tmp_path / "test.csv"), target="y", encoding="latin-1"), seed=0
    )
    assert found.feature_names == ("town=Genève", "town=Zürich")
    assert not any("does not have" in note for note in found.notes)


BLANK = "the others may be dates written {}, and it may stand where there is none"


@pytest.mark.parametrize("blank", ["0", "-1", "999999", "99991231"])
@pytest.mark.parametrize(("cells", "form"), [(MONTHS, "%Y%m"), (MONTHS[:12], "%Y%m"), ([day.lstrip("0") for day in DAYS], "%d%m%Y")])
def test_a_sign_for_none_among_dates_of_digits_is_asked_about(tmp_path: Path, cells: list[str], form: str, blank: str) -> None:
    with pytest.raises(DataError) as error:
        column(tmp_path, *cells[:3], blank, *cells[3:])
    ways = " or ".join(given(setting) for setting in (f'kind: date, format: "{form}", missing: [{blank}]', "kind: number"))
    assert str(error.value) == f"data.path = {tmp_path}/a.csv: column c, line 5 is {blank!r}; {BLANK.format(form)}; give {ways}"
    settled = {"c": Declared(kind="date", format=form, missing=(float(blank),))}
    found = column(tmp_path, *cells[:3], blank, *cells[3:], columns=settled).values("c")
    assert np.isnan(found[3]) and np.count_nonzero(np.isnan(found)) == 1


def test_a_declared_number_without_the_unit_of_the_others_is_told(tmp_path: Path) -> None:
    cells, declared = ["7", *(f"{row} kg" for row in range(9))], {"c": Declared(kind="number")}
    found = column(tmp_path, *cells, columns=declared)
    assert found.values("c")[0] == 7 and notes(found) == ("'7' without the kg of the others, taken as if it were there",)
    with pytest.raises(DataError, match=r"column c, line 12 is '3 m'; it must be a number with kg after it like 10 of the 11 cells"):
        column(tmp_path, *cells, "3 m", columns=declared)
