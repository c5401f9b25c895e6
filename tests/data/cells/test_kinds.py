"""Columns as people write them: each is read to the cell, in the kind that its cells or the config say, and told."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pipeline
from pipeline.config.spec import experiment
from pipeline.data import Data, load, read_new
from pipeline.data.hints import column_setting
from pipeline.data.settings import Declared
from pipeline.data.tables.table import read_table
from pipeline.errors import PipelineError
from tests.data.cells.columns import WHOLE, column, file, given, loaded, notes, refusal, table

NUMBERS = {
    "decimal commas": (("68,9", "128,6", "7"), [68.9, 128.6, 7.0], ("numbers with a decimal comma",)),
    "thousands and decimals": (("1.234,5", "12,25"), [1234.5, 12.25], ("numbers with a decimal comma and points between thousands",)),
    "english thousands": (("1,234.5", "12.25"), [1234.5, 12.25], ("numbers with commas between thousands",)),
    "millions": (("1,234,567", "1,000"), [1234567.0, 1000.0], ("numbers with commas between thousands",)),
    "apostrophes": (("1'234.5", "12"), [1234.5, 12.0], ("numbers with apostrophes between thousands",)),
    "blanks": (("1 234,5", "12"), [1234.5, 12.0], ("numbers with a decimal comma and blanks between thousands",)),
    "narrow blanks": (("1\u202f234", "12"), [1234.0, 12.0], ("numbers with blanks between thousands",)),
    "dollars": (("$1,234.50", "-$3.00"), [1234.5, -3.0], ("numbers with commas between thousands and $ before them",)),
    "euros": (("12,50 €", "3,75 €"), [12.5, 3.75], ("numbers with a decimal comma and € after them",)),
    "per cent": (("12 %", "3.5%"), [12.0, 3.5], ("numbers with % after them",)),
    "units": (("12 km", "3 km"), [12.0, 3.0], ("numbers with km after them",)),
    "brackets": (("(3.5)", "4"), [-3.5, 4.0], ("'(3.5)': brackets are taken as a minus",)),
    "bounds": (("<5", "7"), [5.0, 7.0], ("'<5': a bound is taken as its number",)),
    "a true minus": (("−3", "4"), [-3.0, 4.0], ()),
    "powers": (("1.5e-3", "2E+2"), [0.0015, 200.0], ()),
    "dashes for nothing": (("-", "3", "4.5"), [np.nan, 3.0, 4.5], ("'-' taken as missing",)),
    "None for nothing": (("None", "3", "4.5"), [np.nan, 3.0, 4.5], ("'None' taken as missing",)),
    "the usual words for nothing": (("NA", "n/a", "NaN", "null", "?", "", "#N/A", "7"), [np.nan] * 7 + [7.0], ()),
    "blanks around": ((" 3 ", "4"), [3.0, 4.0], ()),
    "US dates": (("5/19/2023", "12/1/2023"), [19496.0, 19692.0], ("dates written %m/%d/%Y are taken as days since 1970-01-01",)),
    "German dates": (("19.05.2023", "01.12.2023"), [19496.0, 19692.0], ("dates written %d.%m.%Y are taken as days since 1970-01-01",)),
    "English dates": (("May 19 2023", "Dec 1 2023"), [19496.0, 19692.0], ("dates written %b %d %Y are taken as days since 1970-01-01",)),
    "dates of digits": (
        ("20230519", "20231201", "20230520"), [19496.0, 19692.0, 19497.0], ("dates written %Y%m%d are taken as days since 1970-01-01",)
    ),
    "dates with times": (
        ("19.05.2023 12:00", "01.12.2023 06:00"), [19496.5, 19692.25],
        ("dates written %d.%m.%Y %H:%M are taken as days since 1970-01-01",),
    ),
    "ISO dates": (("2023-05-19", "2023-12-01T06:00Z"), [19496.0, 19692.25], ("dates are taken as days since 1970-01-01",)),
    "clock times": (("18:30", "6:15"), [18.5, 6.25], ("times of the day are taken as hours since midnight",)),
    "clock times with points": (("18.30.00", "06.15.00"), [18.5, 6.25], ("times of the day are taken as hours since midnight",)),
    "half days": (("6:30 pm", "12:15 AM"), [18.5, 0.25], ("times of the day are taken as hours since midnight",)),
    "truth values": (("true", "FALSE", "False", "True"), [1.0, 0.0, 0.0, 1.0], ()),
    "yes and no": (("Yes", "no", "NO"), [1.0, 0.0, 0.0], ("'yes' and 'no' are taken as 1 and 0",)),
}  # fmt: skip


@pytest.mark.parametrize("kind", NUMBERS)
def test_cells_are_read_to_their_numbers_and_it_is_told(tmp_path: Path, kind: str) -> None:
    cells, numbers, told = NUMBERS[kind]
    found = column(tmp_path, *cells)
    np.testing.assert_allclose(found.values("c"), numbers, rtol=1e-15)
    assert notes(found) == told


WORDS = {
    "leading zeros": (("007", "07", "7"), ("'007', '07': leading zeros, so the cells are codes and stay as written",)),
    "underscores": (("2020_05", "2019_10"), ()),
    "ids above 2^53": (
        ("9007199254740993", "9007199254740992"),
        ("'9007199254740993': whole numbers of more digits than a number keeps; taken as names",),
    ),
    "yes, no and unknown": (
        ("yes", "no", "unknown"), ("'unknown' is a category of its own; data.missing=[unknown] takes it as missing",)
    ),
    "versions": (("1.2.3-a", "1.2.4-b"), ()),
    "house numbers": (("12A", "7b", "9C", "9D", "1E", "1F", "1G"), ()),
}  # fmt: skip


@pytest.mark.parametrize("kind", WORDS)
def test_names_stay_as_they_are_written(tmp_path: Path, kind: str) -> None:
    cells, told = WORDS[kind]
    found = column(tmp_path, *cells)
    assert found.texts("c") == list(cells)
    assert notes(found) == told


def test_a_class_that_is_called_na_can_be_kept(tmp_path: Path) -> None:
    text = "x,country\n1,DE\n2,NA\n3,NA\n4,DE\n"
    rule = "which is taken as missing (2 of the 4 rows have none); if it is a name give"
    drop = "data.missing_target=drop leaves these rows out"
    where = f"data.path = {tmp_path}/a.csv: target column country, line 3 is 'NA'"
    assert refusal(tmp_path, text, target="country") == f"{where}, {rule} {given('missing: []', 'country')}, or {drop}"
    (override,) = shlex.split(given("missing: []", "country"))
    config = experiment(pipeline.compose(["data=table", f"data.path={tmp_path}/a.csv", "data.target=country", override])).data
    assert load(config, seed=0).class_names == ("DE", "NA")


def test_rows_without_a_target_can_be_left_out(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, "x,y\n1,a\n2,\n3,b\n4,\n5,a\n", target="y", missing_target="drop")
    assert dataset.train.rows.tolist() == [0, 2, 4] and dataset.train.y.tolist() == [0, 1, 0]
    assert dataset.notes[0] == "2 of 5 rows have no y and are left out"


def test_what_is_missing_can_be_said_for_all_columns(tmp_path: Path) -> None:
    found = column(tmp_path, "-9999", "-9999.0", "none of it", "3", missing=(-9999.0, "none of it"))
    np.testing.assert_array_equal(found.values("c"), [np.nan, np.nan, np.nan, 3.0])
    found = column(tmp_path, "99999999", "100000000", "0.1", "0.10000000001", missing=(99999999.0, 0.1))
    np.testing.assert_array_equal(found.values("c"), [np.nan, 1e8, np.nan, 0.10000000001])


def test_decimal_marks_can_be_said_for_all_columns(tmp_path: Path) -> None:
    found = table(tmp_path, "a;b;c\n1,234;5;1,5\n2,345;6;2,5\n", decimal=",")
    np.testing.assert_array_equal(np.stack([found.values(name) for name in "abc"], axis=1), [[1.234, 5, 1.5], [2.345, 6, 2.5]])
    found = table(tmp_path, "a;b\n1,234;5\n2,345;6\n", thousands=",")
    np.testing.assert_array_equal(found.values("a"), [1234, 2345])


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (("true", "True", "TRUE", "false", "False"), ("false", "true")),
        (("yes", "YES", "no"), ("no", "yes")),
        (("Y", "N", "Y"), ("N", "Y")),
        (("01", "02", "10"), ("01", "02", "10")),
        (("007", "07", "7"), ("007", "07", "7")),
    ],
)
def test_classes_are_called_as_they_are_written_and_truth_values_have_one_spelling(
    tmp_path: Path, cells: tuple[str, ...], classes: tuple[str, ...]
) -> None:
    assert loaded(tmp_path, "x,y\n" + "".join(f"{row},{cell}\n" for row, cell in enumerate(cells)), target="y").class_names == classes


def test_a_declared_target_is_a_class_and_numbers_are_in_their_order(tmp_path: Path) -> None:
    text = "x,y\n" + "".join(f"{row},{row % 11}.0\n" for row in range(40))
    assert loaded(tmp_path, text, target="y", categorical=("y",)).class_names == tuple(str(i) for i in range(11))


def test_a_category_of_numbers_is_the_same_from_every_format_and_at_prediction(tmp_path: Path) -> None:
    frame = pd.DataFrame({"zip": [8001, 8002, 3001, 8001], "y": ["a", "b", "a", "b"]})
    frame.to_parquet(tmp_path / "whole.parquet")
    frame.assign(zip=[8001.0, 8002.0, 3001.0, 8001.0]).to_parquet(tmp_path / "float.parquet")
    frame.assign(zip=["8001", "8002", "3001", "8001"]).to_parquet(tmp_path / "text.parquet")
    frame.to_csv(tmp_path / "whole.csv", index=False)
    frame.assign(zip=[8001.0, 8002.0, 3001.0, 8001.0]).to_csv(tmp_path / "float.csv", index=False)
    found = [
        load(Data(kind="table", path=str(tmp_path / name), target="y", categorical=("zip",), split=WHOLE), seed=0)
        for name in ("whole.csv", "float.csv", "whole.parquet", "float.parquet", "text.parquet")
    ]
    for each in found:
        assert each.feature_names == ("zip=3001", "zip=8001", "zip=8002")
        assert (each.encoder, each.fingerprint) == (found[0].encoder, found[0].fingerprint)
        new = file(tmp_path, "zip\n8001.0\n3001.0\n", "new.csv")
        x = read_new(Data(path=str(new)), each.encoder, each.shape, say=lambda note: pytest.fail(note))
        np.testing.assert_array_equal(x, [[0, 1, 0], [1, 0, 0]])


def test_a_new_file_is_read_in_the_forms_of_the_training(tmp_path: Path) -> None:
    text = "size;day;open;y\n1.234,5;19.05.2023;yes;a\n12,5;01.12.2023;no;b\n-;02.12.2023;no;b\n"
    dataset = loaded(tmp_path, text, target="y")
    new = file(tmp_path, "day;size;open\n03.12.2023;7;YES\n04.12.2023;-;no\n", "new.csv")
    x = read_new(Data(path=str(new)), dataset.encoder, dataset.shape, say=lambda note: None)
    np.testing.assert_array_equal(x, [[7, 19694, 1], [623.5, 19695, 0]])
    new = file(tmp_path, "day;size;open\n2023-12-03;1.5;yes\n", "new.csv")
    with pytest.raises(PipelineError) as error:
        read_new(Data(path=str(new)), dataset.encoder, dataset.shape)
    written = "a number with a decimal comma and points between thousands"
    way = """'data.columns={size: {decimal: "."}}' reads it as 1.5"""
    rule = f"it must be {written}; mend it, the model was trained on numbers here; {way}"
    assert str(error.value) == f"data.path = {new}: column size, line 2 is '1.5'; {rule}"


@pytest.mark.parametrize(
    "cells", [("2,1", "-9999", "3,0"), ("2,1", "-9999,0", "3,0"), ("2.1", "-9999", "3.0"), ("$ 2.1", "$ -9999", "$ 3")]
)
def test_a_number_that_stands_for_a_missing_cell_does_so_in_every_form(cells: tuple[str, ...], tmp_path: Path) -> None:
    found = column(tmp_path, *cells, columns={"c": Declared(missing=(-9999.0,))})
    np.testing.assert_array_equal(found.values("c"), [2.1, np.nan, 3.0])
    text = "c;y\n" + "".join(f"{cell};{'ab'[row % 2]}\n" for row, cell in enumerate(cells))
    dataset = loaded(tmp_path, text, target="y", columns={"c": Declared(missing=(-9999.0,))})
    new = file(tmp_path, f"c;y\n{cells[1]};\n{cells[0]};\n", "new.csv")
    x = read_new(Data(path=str(new)), dataset.encoder, dataset.shape, say=lambda note: None)
    np.testing.assert_allclose(x[:, 0], [2.55, 2.1])  # the median of the training rows


def test_years_of_two_digits_are_told(tmp_path: Path) -> None:
    assert "years of two digits are taken as 1969 to 2068" in notes(column(tmp_path, "5/19/43", "12/31/99", "1/2/68"))


def test_a_date_may_become_several_columns_and_words_an_order(tmp_path: Path) -> None:
    file(tmp_path, "day,size,y\n2023-05-19T06:00,low,a\n2023-12-31T18:00,high,b\n")
    columns = "data.columns={day: {kind: date, features: [days, weekday, month, hour]}, size: {kind: ordinal, order: [low, mid, high]}}"
    config = experiment(pipeline.compose(["data=table", f"data.path={tmp_path}/a.csv", "data.target=y", columns, "data.split.test=0"])).data
    dataset = load(config, seed=0)
    assert dataset.feature_names == ("day", "day.weekday", "day.month", "day.hour", "size")
    np.testing.assert_array_equal(dataset.train.x, [[19496.25, 4, 5, 6, 0], [19722.75, 6, 12, 18, 2]])


def test_a_word_outside_the_order_is_named(tmp_path: Path) -> None:
    file(tmp_path, "size,y\nlow,1\nhuge,2\n")
    config = experiment(
        pipeline.compose(["data=table", f"data.path={tmp_path}/a.csv", "data.columns={size: {kind: ordinal, order: [low, high]}}"])
    ).data
    with pytest.raises(PipelineError) as error:
        read_table(tmp_path / "a.csv", config)
    hint = f"mend it, or give {given('kind: category', 'size')} if the cells are names"
    rule = "it must be one of low, high like 1 of the 2 cells"
    assert str(error.value) == f"data.path = {tmp_path}/a.csv: column size, line 3 is 'huge'; {rule}; {hint}"


def test_row_numbers_are_told(tmp_path: Path) -> None:
    text = "Id,kind,y\n" + "".join(f"{row + 1},{'ab'[row % 2]},{row % 3 / 2}\n" for row in range(30))
    told = "column Id: every row has a number of its own; if it names the row, give data.ignore=[Id]"
    assert told in loaded(tmp_path, text, target="y").notes


def test_what_is_told_of_many_columns_alike_is_one_line(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(50)]
    head = ",".join([*names, "odd", "y"])
    lines = [",".join([*("xyz"[(row + i) % 3] for i in range(50)), "pq"[row // 2 % 2], "ab"[row % 2]]) for row in range(30)]
    dataset = loaded(tmp_path, "\n".join([head, *lines]) + "\n", target="y")
    shown = ", ".join(names[:20])
    assert dataset.notes == (
        f"columns {shown} and 30 more: one column for each of 3 categories",
        "column odd: one column for each of 2 categories",
    )


def test_a_target_of_one_value_is_refused(tmp_path: Path) -> None:
    text = "x,y\n" + "".join(f"{row},14.62\n" for row in range(30))
    assert refusal(tmp_path, text, target="y") == "data = a: all rows have the target 14.62; nothing can be learned from one value"


@pytest.mark.parametrize("name", ["Wohnfläche (m²)", "prix en €", "größe"])
def test_a_column_of_odd_letters_is_declared_by_its_own_name_quoted_or_not(tmp_path: Path, name: str) -> None:
    file(tmp_path, f"{name}\ty\n" + "".join(f"{row + 1},{100 + row}\t{'ab'[row % 2]}\n" for row in range(9)))
    (override,) = shlex.split(column_setting(name, 'thousands: ","'))
    assert override == f'data.columns={{{name}: {{thousands: ","}}}}'
    for said in (override, override.replace(name, f'"{name}"')):
        overrides = ["data=table", f"data.path={tmp_path}/a.csv", "data.target=y", said]
        assert read_table(tmp_path / "a.csv", experiment(pipeline.compose(overrides)).data).values(name)[0] == 1100


@pytest.mark.parametrize("name", ["a (b) [c]", "x (", "näme: a", "50 %", "(m²)", "ü{", "NULL", "1²"])
def test_what_is_suggested_for_a_column_can_be_pasted_whatever_its_name(tmp_path: Path, name: str) -> None:
    file(tmp_path, f"{name}\ty\n" + "".join(f"{row + 1},{100 + row}\t{'ab'[row % 2]}\n" for row in range(9)))
    said = shlex.split(column_setting(name, 'thousands: ","'))
    overrides = ["data=table", f"data.path={tmp_path}/a.csv", "data.target=y", "data.header=true", *said]
    assert read_table(tmp_path / "a.csv", experiment(pipeline.compose(overrides)).data).values(name)[0] == 1100


def test_a_pattern_declares_many_columns_and_an_unknown_name_is_refused(tmp_path: Path) -> None:
    text = 'price_a\tprice_b\ty\n"1,234"\t"2,345"\t1\n'
    file(tmp_path, text)
    overrides = ["data=table", f"data.path={tmp_path}/a.csv", 'data.columns={price_*: {thousands: ","}}']
    found = read_table(tmp_path / "a.csv", experiment(pipeline.compose(overrides)).data)
    np.testing.assert_array_equal([found.values("price_a")[0], found.values("price_b")[0]], [1234, 2345])
    overrides[-1] = "data.columns={prise_a: {kind: number}}"
    with pytest.raises(PipelineError) as error:
        read_table(tmp_path / "a.csv", experiment(pipeline.compose(overrides)).data)
    assert str(error.value) == f"data.columns.prise_a: {tmp_path}/a.csv has no such column; did you mean price_a?"
