"""task=data: the columns of a table, what becomes of each, and what looks wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pipeline
from pipeline.config.spec import experiment
from pipeline.data.load import load as load_data
from pipeline.data.tables.report import report
from pipeline.errors import ConfigError, DataError
from pipeline.tasks import RunContext, run
from tests.data.cells.columns import given

TABLE = """Id;price;income;day;town;zip;note;empty;kind
{rows}"""
ROW = '{0};{0},5;"{1},{2}";19.05.2023;{3};0{0};text {0};;{4}\n'


@pytest.fixture
def config(tmp_path: Path) -> dict[str, object]:
    """The config of task=data for a table of every kind of column."""
    rows = "".join(ROW.format(row, 10 + row % 50, 100 + row % 50, ("Bern", "Basel", "")[row % 3], "ab"[row % 2]) for row in range(40))
    (tmp_path / "t.csv").write_text(TABLE.format(rows=rows))
    settings = "data.columns={note: {kind: ignore}, day: {kind: date, features: [days, weekday]}}"
    return pipeline.compose(["task=data", "data=table", f"data.path={tmp_path}/t.csv", "data.target=kind", settings])


def test_each_column_is_told_with_what_becomes_of_it_and_what_looks_wrong(config: dict[str, object]) -> None:
    rows, count, notes = report(experiment(config).data)
    assert (count, notes) == (40, ())
    found = {row.name: row for row in rows}
    own = "every row has a number of its own; if it names the row, give data.ignore=[Id]"
    assert (found["Id"].kind, found["Id"].why, found["Id"].inputs, found["Id"].wrong) == ("number", "plain numbers", 1, own)
    assert (found["price"].span, found["price"].wrong) == ("0.5 to 39.5", "numbers with a decimal comma")
    ways = " or ".join(given(f'{mark}: ","', "income") for mark in ("thousands", "decimal"))
    sentence = "column income, line 2 is '10,100' (also '11,101', '12,102' and 37 more); it may be 10100 or 10.100"
    assert (found["income"].kind, found["income"].wrong) == ("?", f"{sentence}; give {ways}")
    assert (found["day"].kind, found["day"].why, found["day"].inputs, found["day"].distinct) == ("date", "declared", 2, "1")
    assert (found["town"].missing, found["town"].distinct, found["town"].inputs, found["town"].examples) == (13, "2", 3, "Bern, Basel")
    assert found["zip"].kind == "?" and "40 of the 40 cells differ, so they may be names and no categories" in found["zip"].wrong
    assert (found["note"].kind, found["note"].inputs) == ("ignore", 0)
    assert found["empty"].wrong == "no cell has a value; give data.ignore=[empty]"
    assert (found["kind"].kind, found["kind"].inputs) == ("category, target", -1)


def test_words_for_nothing_are_counted_as_missing_and_dates_are_shown_as_dates(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,day,y\n1.5,5/19/2023,a\n-,12/31/2023,b\n-,6/1/2023,a\n2,7/1/2023,b\n")
    settings = ["task=data", "data=table", f"data.path={tmp_path}/t.csv"]
    rows, _, _ = report(experiment(pipeline.compose([*settings, "data.target=y"])).data)
    found = {row.name: row for row in rows}
    assert (found["a"].missing, found["a"].distinct, found["a"].examples) == (2, "2", "1.5, 2")
    assert found["day"].span == "2023-05-19 to 2023-12-31"
    with pytest.raises(DataError, match=r"data\.target = yy: .*t\.csv has no such column; did you mean y\?"):
        report(experiment(pipeline.compose([*settings, "data.target=yy"])).data)


@pytest.mark.parametrize(
    "said", ["data.missing=[-999]", "data.columns={p: {missing: [-999]}}", "data.columns={p: {kind: number, missing: [-999]}}"]
)
@pytest.mark.parametrize("written", ["{} hPa", "$ {}", "{}"])
def test_a_missing_number_is_missing_in_every_spelling_as_the_training_reads_it(tmp_path: Path, said: str, written: str) -> None:
    cells = [written.format("-999.0" if row % 15 == 3 else f"{1000 + row % 40}.5") for row in range(60)]
    (tmp_path / "t.csv").write_text("p,y\n" + "".join(f"{cell},{'ab'[row % 2]}\n" for row, cell in enumerate(cells)))
    config = experiment(pipeline.compose(["task=data", "data=table", f"data.path={tmp_path}/t.csv", "data.target=y", said])).data
    row = {each.name: each for each in report(config)[0]}["p"]
    assert (row.missing, row.span, row.wrong.count("999")) == (4, "1000.5 to 1039.5", 0)
    assert any("column p: 4 missing values filled" in note for note in load_data(config, seed=0).notes)


def test_the_task_prints_the_table_and_writes_nothing(
    config: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.iterdir())
    run(experiment(config), config, RunContext())
    said = capsys.readouterr().out
    assert "t.csv: 40 rows, 9 columns" in said and "every row has a number of its own" in said
    assert sorted(tmp_path.iterdir()) == before


def test_it_looks_at_tables_alone() -> None:
    config = pipeline.compose(["task=data", "data=iris"])
    with pytest.raises(ConfigError) as error:
        run(experiment(config), config, RunContext())
    assert str(error.value) == "data = iris: task=data looks at a table; give data=table, csv, parquet, sql, image_folder"


@pytest.mark.parametrize("width", [60, 80, 140, 0])
def test_it_can_be_read_at_any_width(
    config: dict[str, object], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    if width:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    run(experiment(config), config, RunContext())
    said = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    lines = said.partition("\nId: ")[0].splitlines()[1:]  # the first is the path
    assert len(lines) <= 2 * 9 + 4 and (not width or max(map(len, lines)) <= width)
    if width in (60, 80):
        at = lines.index("price  number: numbers with a decimal comma -> 1 input")
        assert lines[at + 1].rstrip() == "    40 distinct, 0.5 to 39.5: 0,5, 1,5, 2,5"
    else:
        assert lines[1].split() == ["column", "kind", "why", "missing", "distinct", "range", "examples", "inputs"]
    assert width or not any(line.endswith(" ") for line in said.splitlines())


def test_explain_names_what_was_found(config: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["task=explain", "data=table", f"data.path={tmp_path}/t.csv", "data.target=kind", "data.ignore=[Id,note,empty,income,zip]"]
    found = pipeline.compose(settings)
    run(experiment(found), found, RunContext(overrides=tuple(settings)))
    lines = capsys.readouterr().out.splitlines()
    told = "target kind; number price; date day; category town (3 inputs); left out Id, income, zip, note, empty"
    assert lines[1] == f"data   {told}; task=data shows each column"
    assert lines[2] == "       column price: numbers with a decimal comma"


def test_a_column_is_shown_as_the_training_will_refuse_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,y\n" + "".join(f"{row if row != 20 else '2O'},{row}.5,{row}.25\n" for row in range(50)))
    settings = ["task=data", "data=table", f"data.path={tmp_path}/t.csv", "data.target=y", "data.columns={a: {kind: number}}"]
    rows, _, _ = report(experiment(pipeline.compose(settings)).data)
    assert [(row.kind, row.inputs) for row in rows] == [("?", -1), ("number", 1), ("number, target", -1)]
    names = f"mend it, or give {given('kind: category', 'a')} if the cells are names"
    blank = given('kind: number, missing: ["2O"]', "a")
    sentence = f"column a, line 22 is '2O'; it must be a number like 49 of the 50 cells; {names}; {blank} takes it as missing"
    assert rows[0].wrong == sentence
