"""Columns that may be read in two ways: each is asked about in one sentence whose overrides work when they are pasted."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline.config.spec import experiment
from pipeline.data import Data, load
from pipeline.data.settings import Declared
from pipeline.data.tables.table import read_table
from pipeline.errors import PipelineError
from tests.data.cells.columns import column, file, given, refusal

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
        ("kind: number", "kind: category", "kind: ignore"),
        ([*map(float, range(9)), 7.0], [*(f"{row} kg" for row in range(9)), "7"], None),
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
    ways = " or ".join(given(f"kind: {kind}", "user") for kind in ("category", "hash", "id"))
    rule = "40 of the 40 cells differ, so they may be names and no categories"
    where = "column user, line 2 is 'u0' (also 'u1', 'u2' and 37 more)"
    assert refusal(tmp_path, text, target="y") == f"data.path = {tmp_path}/a.csv: {where}; {rule}; give {ways}"
    config = experiment(
        pipeline.compose(["data=table", f"data.path={tmp_path}/a.csv", "data.target=y", "data.columns={user: {kind: hash}}"])
    )
    dataset = load(config.data, seed=0)
    assert dataset.shape.input_shape == (64,) and (dataset.train.x.sum(axis=1) == 1).all()
