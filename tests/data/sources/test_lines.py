"""Lines of a file that are no rows: found and asked about, and left out by their numbers."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pipeline
from pipeline.config.spec import experiment
from pipeline.data import Data
from pipeline.data.tables.table import Table, read_table
from pipeline.errors import ConfigError, DataError
from pipeline.tasks import RunContext, run

ROWS = "".join(f"{i},{i * 2}.5,w{i % 3}\n" for i in range(30))
NUMBERS = [i * 2 + 0.5 for i in range(30)]


def read(folder: Path, text: str, *overrides: str, encoding: str = "utf-8") -> Table:
    (folder / "a.csv").write_bytes(text.encode(encoding))
    config = experiment(pipeline.compose(["data=table", f"data.path={folder}/a.csv", *overrides])).data
    return read_table(folder / "a.csv", config)


REFUSED = {
    "a title": ("My table\na,b,w\n" + ROWS, "line 1 has 1 cell and line 2 has 3; it may be a title; give {}", "data.skip=[1]"),
    "remarks": (
        "// by me\nat: noon\n\na,b,w\n" + ROWS,
        "line 1 has 1 cell and line 4 has 3; lines 1 to 2 may be a title or remarks; give {}", "data.skip=[1,2]",
    ),
    "units": (
        "a,b,w\nm,kg,-\n" + ROWS,
        "line 2 ('m', 'kg') stands among columns of numbers and may hold units, or a second line of names; "
        "give {}, or data.skip=[1] where line 1 is no line of names",
        "data.skip=[2]",
    ),
    "two lines of names": (
        "size,size,name\na,b,w\n" + ROWS,
        "line 2 ('a', 'b') stands among columns of numbers and may hold units, or a second line of names; "
        "give data.skip=[2], or {} where line 1 is no line of names",
        "data.skip=[1]",
    ),
    "a line of dashes": ("| a | b | w |\n|---|---|---|\n" + "".join(f"| {row.replace(',', ' | ')} |\n" for row in ROWS.splitlines()),
                         "line 2 is a line of dashes below the names; give {}", "data.skip=[2]"),
    "names that come again": ("a,b,w\n" + ROWS + "a,b,w\n", "line 32 repeats line 1, the names of the columns; give {}", "data.skip=[32]"),
    "a remark below": ("a,b,w\n" + ROWS + "\nSource: me\n", "line 33 has 1 cell and the header 3; mend the line, or leave it out with {}",
                       "data.skip=[33]"),
    "several remarks": (
        "a,b,w\n# x\n" + ROWS + "# y\n",
        "line 2 has 1 cell and the header 3 (lines 33 too); mend the lines, or leave them out with {}", "data.skip=[2,33]",
    ),
    "a sum": (
        "a,b,w\n" + ROWS + "Total,900,\n",
        "column a, line 32 is 'Total'; it must be a number like 30 of the 31 cells; mend it, leave the line out with {}, "
        "or give 'data.columns={{a: {{missing: [Total]}}}}' or 'data.columns={{a: {{kind: category}}}}' or "
        "'data.columns={{a: {{kind: ignore}}}}'",
        "data.skip=[32]",
    ),
    "a name too few": (
        "b,w\n" + ROWS,
        "line 1 has 2 cells and line 2 has 3; mend it, give data.skip=[1] if it is a title, or {} if the first column has no name",
        "data.skip=[1] data.header=false 'data.names=[column_1,b,w]'",
    ),
    "a name too many": (
        "a,b,w,x\n" + ROWS,
        "line 1 has 4 cells and line 2 has 3; mend it, give data.skip=[1] if it is a title, or {} if the last name is one too many",
        "data.skip=[1] data.header=false 'data.names=[a,b,w]'",
    ),
    "row names of R": (
        "b w\n" + "".join(f'"{i + 1}" {i * 2}.5 w{i % 3}\n' for i in range(30)),
        "line 1 has 2 cells and line 2 has 3; mend it, give data.skip=[1] if it is a title, or {} if the first column has no name",
        "data.skip=[1] data.header=false 'data.names=[column_1,b,w]'",
    ),
    "names that are twice there": (
        "b,b,w\nx,0.5,v\ny,2.5,v\n",
        "two columns of the header are named b; rename one, or give {}, or data.skip=[1] if line 1 is a title",
        "data.header=true 'data.names=[b_1,b_2,w]'",
    ),
    "names that are twice there below a remark": (
        "# remark\nb,b,w\nx,0.5,v\ny,2.5,v\n",
        "two columns of the header are named b; rename one, or give {}, or data.skip=[2] if line 2 is a title",
        "data.header=true 'data.names=[b_1,b_2,w]'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_a_line_that_is_no_row_is_named_and_the_override_works(tmp_path: Path, kind: str) -> None:
    text, sentence, override = REFUSED[kind]
    with pytest.raises(DataError) as error:
        read(tmp_path, text)
    assert str(error.value) == f"data.path = {tmp_path}/a.csv: {sentence.format(override)}"
    found = read(tmp_path, text, *shlex.split(override))
    name = "b_2" if "b_2" in override else "b"
    np.testing.assert_array_equal(found.values(name), NUMBERS[: len(found)])


def test_what_is_left_out_is_counted_in_the_lines_that_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, "My table\na,b,w\nm,kg,-\n" + ROWS + "end\n", "data.skip=[1,3]")
    assert str(error.value).endswith("line 34 has 1 cell and the header 3; mend the line, or leave it out with data.skip=[1,3,34]")
    found = read(tmp_path, "My table\na,b,w\nm,kg,-\n" + ROWS, "data.skip=[1,3]")
    assert found.place(0) == "line 4" and found.written(1, "b") == "2.5"


def test_lines_of_a_long_file_are_left_out_wherever_blocks_end(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i}.5\n" for i in range(200_000))
    lines = ["a,b\n", *rows.splitlines(keepends=True)]
    for number in (2, 70_000, 200_002):
        lines.insert(number - 1, f"remark {number}\n")
    found = read(tmp_path, "".join(lines), "data.skip=[2,70000,200002]")
    np.testing.assert_array_equal(found.values("a"), np.arange(200_000))


def test_row_names_of_pandas_are_left_out_with_a_note(tmp_path: Path) -> None:
    frame = pd.DataFrame({"b": NUMBERS, "w": [f"w{i % 3}" for i in range(30)]})
    for each, what in ((frame, "counts the rows"), (frame.sample(frac=1, random_state=0), "another cell in each row")):
        found = read(tmp_path, each.to_csv())
        assert found.facts.names == ("b", "w")
        keep = "data.header=true 'data.names=[row,b,w]'"
        told = (
            f"column 1 has no name and {what}: taken for the names of the rows, as pandas and R write them, and left out ({keep} keeps it)"
        )
        assert found.facts.notes == (told,)
        kept = read(tmp_path, each.to_csv(), *shlex.split(keep))
        assert kept.facts.names == ("row", "b", "w") and sorted(kept.values("row").tolist()) == list(range(30))
    with pytest.raises(DataError, match=r"column 1 of the header has no name; name it, or give"):
        read(tmp_path, ",b\n" + "".join(f"{i % 4},{i}.5\n" for i in range(30)))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32"])
def test_text_of_two_or_four_bytes_a_letter_is_known_without_its_mark(tmp_path: Path, encoding: str) -> None:
    np.testing.assert_array_equal(read(tmp_path, "a,b,w\n" + ROWS, encoding=encoding).values("b"), NUMBERS)
    if encoding != "utf-32":
        with pytest.raises(ConfigError) as error:
            read(tmp_path, "a,b,w\n" + ROWS, "data.skip=[1]", encoding=encoding)
        assert str(error.value).endswith("; save it as UTF-8")


def test_the_delimiter_that_excel_names_is_taken(tmp_path: Path) -> None:
    found = read(tmp_path, "sep=;\na;b;w\n" + ROWS.replace(",", ";"))
    assert found.facts.names == ("a", "b", "w") and found.place(0) == "line 3"


def test_a_page_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, "<!DOCTYPE html><table><tr><td>1</td></tr></table>")
    assert str(error.value) == f"data.path = {tmp_path}/a.csv: is a page of HTML or XML; save its table as CSV or Parquet"


def test_lines_left_out_of_the_training_file_are_rows_of_the_next(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("My table\na,b,y\n" + ROWS)
    (tmp_path / "new.csv").write_text("a,b\n1,2.5\n2,3.5\n")
    settings = ["data=table", f"data.path={tmp_path}/a.csv", "data.target=y", "tracking=none", "training.epochs=1", "data.skip=[1]"]
    result = pipeline.train(pipeline.compose([*settings, f"hydra.run.dir={tmp_path}/run"]))
    overrides = [f"run={result.folder}", f"data.path={tmp_path}/new.csv", f"output={tmp_path}/p.csv", "task=predict"]
    config = pipeline.compose(overrides)
    run(experiment(config), config, RunContext(overrides=tuple(overrides)))
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 3


def test_numbers_of_lines_are_checked() -> None:
    with pytest.raises(ConfigError):
        experiment(pipeline.compose(["data=csv", "data.path=a.csv", "data.skip=[0]"]))
    assert Data(kind="csv", skip=(3,)).skip == (3,)


def test_a_cell_of_several_lines_is_shown_on_one(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, '"size\nof it",b\n"1\n2",1\n3,2\n4,2\n')
    assert "column size\\nof it, line 3 is '1\\n2'" in str(error.value) and "\n" not in str(error.value)


def test_a_title_in_a_table_of_full_lines_is_seen(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, "My table,,\n,,\na,b,w\n" + ROWS)
    assert str(error.value).endswith("lines 1 to 2 have a cell at most; they may be a title; give data.skip=[1,2]")
    assert read(tmp_path, "My table,,\n,,\na,b,w\n" + ROWS, "data.skip=[1,2]").facts.names == ("a", "b", "w")
