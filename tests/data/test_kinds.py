"""Columns as people write them: each is read to the cell, or asked about in one sentence whose overrides work when they are pasted."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pipeline
from pipeline.config.spec import experiment
from pipeline.data import Data, Dataset, Split, load, read_new
from pipeline.data.settings import Declared
from pipeline.data.tables.table import Table, read_table
from pipeline.errors import PipelineError

WHOLE = Split(validation=0.0, test=0.0)


def file(folder: Path, text: str, name: str = "a.csv", encoding: str = "utf-8") -> Path:
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def column(folder: Path, *cells: str, **settings: object) -> Table:
    """A table of one column `c` beside a column of numbers."""
    text = "c;n\n" + "".join(f"{cell};{row}.5\n" for row, cell in enumerate(cells))
    return table(folder, text, **settings)


def table(folder: Path, text: str, **settings: object) -> Table:
    path = file(folder, text)
    return read_table(path, Data(kind="table", path=str(path), **settings))  # type: ignore[arg-type]  # fields of Data


def refusal(folder: Path, text: str, **settings: object) -> str:
    path = file(folder, text)
    with pytest.raises(PipelineError) as error:
        load(Data(kind="table", path=str(path), **settings), seed=0)  # type: ignore[arg-type]  # fields of Data
    assert error.value.exit_code == 2 and "\n" not in str(error.value)
    return str(error.value)


def loaded(folder: Path, text: str, **settings: object) -> Dataset:
    path = file(folder, text)
    return load(Data(kind="table", path=str(path), split=WHOLE, **settings), seed=0)  # type: ignore[arg-type]  # fields of Data


def notes(found: Table) -> tuple[str, ...]:
    return found.column("c").notes


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


DOUBTS = {
    "thousands or decimals": (
        ("128,553", "73,883"),
        "column c, line 2 is '128,553' (also '73,883'); it may be 128553 or 128.553",
        ('thousands: ","', 'decimal: ","'),
        ([128553.0, 73883.0], [128.553, 73.883]),
    ),
    "points in a file of decimal commas": (
        ("1.234", "73"),
        "column c, line 2 is '1.234'; it may be 1234 or 1.234, as in files like this a comma may be the decimal mark",
        ('thousands: "."', 'decimal: "."'),
        ([1234.0, 73.0], [1.234, 73.0]),
    ),
    "day or month": (
        ("5/9/2023", "7/3/2023"),
        "column c, line 2 is '5/9/2023' (also '7/3/2023'); it may be a date written %m/%d/%Y or %d/%m/%Y",
        ('kind: date, format: "%m/%d/%Y"', 'kind: date, format: "%d/%m/%Y"'),
        ([19486.0, 19541.0], [19605.0, 19423.0]),
    ),
    "dates or times": (
        ("07.05.14", "06.02.17"),
        "column c, line 2 is '07.05.14' (also '06.02.17'); it may be a time of the day or a date written %d.%m.%y",
        ("kind: time", 'kind: date, format: "%d.%m.%y"'),
        ([7 + 5 / 60 + 14 / 3600, 6 + 2 / 60 + 17 / 3600], [16197.0, 17203.0]),
    ),
    "powers or codes": (
        ("3E7", "12"),
        "column c, line 2 is '3E7'; it may be 3e+07, or a code in which E is a letter",
        ("kind: category", "kind: number"),
        (["3E7", "12"], [3e7, 12.0]),
    ),
    "a sentinel among numbers with a decimal comma": (
        ("-9999", "-9999", "3,5", "4,5"),
        "column c, line 2 is '-9999'; it stands 2 times, apart from all others (3.5 to 4.5), and may mean a missing value",
        ("missing: [-9999]", "kind: number"),
        ([np.nan, np.nan, 3.5, 4.5], [-9999.0, -9999.0, 3.5, 4.5]),
    ),
    "a sentinel": (
        ("-9999", "-9999", "3", "4.5"),
        "column c, line 2 is '-9999'; it stands 2 times, apart from all others (3 to 4.5), and may mean a missing value",
        ("missing: [-9999]", "kind: number"),
        ([np.nan, np.nan, 3.0, 4.5], [-9999.0, -9999.0, 3.0, 4.5]),
    ),
    "-200 among positive numbers": (
        ("-200", "-200", "-200", "7", "1189", "500"),
        "column c, line 2 is '-200'; it stands 3 times, apart from all others (7 to 1189), and may mean a missing value",
        ("missing: [-200]", "kind: number"),
        ([np.nan, np.nan, np.nan, 7.0, 1189.0, 500.0], [-200.0, -200.0, -200.0, 7.0, 1189.0, 500.0]),
    ),
    "a word among numbers": (
        ("1", "2", "it's big", "4"),
        'column c, line 4 is "it\'s big"; it must be a number like 3 of the 4 cells; mend it, leave the line out with data.skip=[4]',
        ('missing: ["it\'s big"]', "kind: category", "kind: ignore"),
        ([1.0, 2.0, np.nan, 4.0], ["1", "2", "it's big", "4"], None),
    ),
    "a slip among numbers": (
        (*map(str, range(9)), "2O"),
        "column c, line 11 is '2O'; it must be a number like 9 of the 10 cells; mend it, leave the line out with data.skip=[11]",
        ('missing: ["2O"]', "kind: category", "kind: ignore"),
        ([*map(float, range(9)), np.nan], [*map(str, range(9)), "2O"], None),
    ),
    "a number without the unit of the others": (
        (*(f"{row} kg" for row in range(9)), "7"),
        "column c, line 11 is '7' (also '0 kg'); its unit differs from those of the others ('none', 'kg')",
        ("kind: category", "kind: ignore"),
        ([*(f"{row} kg" for row in range(9)), "7"], None),
    ),
    "units that differ": (
        ("12 km", "3 m"),
        "column c, line 3 is '3 m' (also '12 km'); its unit differs from those of the others ('m', 'km')",
        ("kind: category", "kind: ignore"),
        (["12 km", "3 m"], None),
    ),
    "infinity": (
        ("1", "inf"),
        "column c, line 3 is inf; numbers must be finite, leave the cell empty if unknown",
        ('missing: ["inf"]',),
        ([1.0, np.nan],),
    ),
}


def given(setting: str, name: str = "c") -> str:
    return "'" + f"data.columns={{{name}: {{{setting}}}}}".replace("'", "'\\''") + "'"


@pytest.mark.parametrize("kind", DOUBTS)
def test_two_readings_are_asked_about_and_each_override_works_when_it_is_pasted(tmp_path: Path, kind: str) -> None:
    cells, sentence, settings, answers = DOUBTS[kind]
    with pytest.raises(PipelineError) as error:
        column(tmp_path, *cells)
    ways = " or ".join(given(setting) for setting in settings)
    joined = ", or give " if sentence.endswith(("mend it", "unknown", "]")) else "; give "
    assert str(error.value) == f"data.path = {tmp_path}/a.csv: {sentence}{joined}{ways}"
    for setting, answer in zip(settings, answers, strict=True):
        (override,) = shlex.split(given(setting))
        config = experiment(pipeline.compose(["data=table", f"data.path={tmp_path}/a.csv", override])).data
        found = read_table(tmp_path / "a.csv", config)
        if answer is None:
            assert "c" not in found.index
        elif isinstance(answer[0], str):
            assert found.texts("c") == answer
        else:
            np.testing.assert_allclose(found.values("c"), answer)


def test_a_declared_mark_that_the_cells_do_not_have_is_told(tmp_path: Path) -> None:
    rule = """'1,5' (also '2,25'); the cells contradict the declared decimal: ".": they are numbers with a decimal comma"""
    with pytest.raises(PipelineError) as error:
        column(tmp_path, "1,5", "7", "2,25", columns={"c": Declared(decimal=".")})
    assert str(error.value).endswith(f"line 2 is {rule}; give " + given('decimal: ","'))


@pytest.mark.parametrize(
    "name", ["size, m2", "speed [rpm]", "temp (C)", "größe", "a:b=c", "50 %", "it's", "x{1}", " a ", "null", "1", "1.50"]
)
def test_an_override_for_a_column_of_any_name_works(tmp_path: Path, name: str) -> None:
    file(tmp_path, f'"{name}"\ty\n"128,553"\t1\n"73,883"\t2\n')
    name = name.strip()
    config = Data(kind="table", path=str(tmp_path / "a.csv"), header=True)
    with pytest.raises(PipelineError) as error:
        read_table(tmp_path / "a.csv", config)
    way = re.search(r"give ('data\.columns.*?') or ", str(error.value))
    assert way is not None
    (override,) = shlex.split(way[1])
    found = experiment(pipeline.compose(["data=table", f"data.path={tmp_path}/a.csv", "data.header=true", override])).data
    np.testing.assert_array_equal(read_table(tmp_path / "a.csv", found).values(name), [128553.0, 73883.0])


def test_names_are_asked_about_and_may_share_columns(tmp_path: Path) -> None:
    text = "user,y\n" + "".join(f"u{row},{row % 2}\n" for row in range(40))
    ways = " or ".join(given(f"kind: {kind}", "user") for kind in ("category", "hash", "ignore"))
    rule = "40 of the 40 cells differ, so they may be names and no categories"
    where = "column user, line 2 is 'u0' (also 'u1', 'u2' and 37 more)"
    assert refusal(tmp_path, text, target="y") == f"data.path = {tmp_path}/a.csv: {where}; {rule}; give {ways}"
    config = experiment(
        pipeline.compose(["data=table", f"data.path={tmp_path}/a.csv", "data.target=y", "data.columns={user: {kind: hash}}"])
    )
    dataset = load(config.data, seed=0)
    assert dataset.shape.input_shape == (64,) and (dataset.train.x.sum(axis=1) == 1).all()


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
    lines = [",".join([*("xyz"[(row + i) % 3] for i in range(50)), "pq"[row % 2], "ab"[row % 2]]) for row in range(30)]
    dataset = loaded(tmp_path, "\n".join([head, *lines]) + "\n", target="y")
    shown = ", ".join(names[:20])
    assert dataset.notes == (
        f"columns {shown} and 30 more: one column for each of 3 categories",
        "column odd: one column for each of 2 categories",
    )


def test_a_target_of_one_value_is_refused(tmp_path: Path) -> None:
    text = "x,y\n" + "".join(f"{row},14.62\n" for row in range(30))
    assert refusal(tmp_path, text, target="y") == "data = a: all rows have the target 14.62; nothing can be learned from one value"


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
