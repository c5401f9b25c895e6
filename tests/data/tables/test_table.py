from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data import Data, Dataset, Split, describe, load
from pipeline.data.cells.columns import Category, Encoder, Quantity
from pipeline.errors import ConfigError, DataError
from pipeline.records import plain, read

WHOLE = Split(validation=0.0, test=0.0)


def csv(folder: Path, text: str, **changes: object) -> Data:
    path = folder / "a.csv"
    path.write_text(text, encoding="utf-8")
    options: dict[str, object] = {"target": "y", "split": WHOLE, **changes}
    return Data(kind="csv", path=str(path), **options)  # type: ignore[arg-type]  # fields of Data


def loaded(folder: Path, text: str, **changes: object) -> Dataset:
    return load(csv(folder, text, **changes), seed=0)


def refusal(config: Data) -> str:
    with pytest.raises((DataError, ConfigError)) as error:
        load(config, seed=0)
    return str(error.value)


OWN_NUMBER = "column x: every row has a number of its own; if it names the row, give data.ignore=[x]"


def rows(*columns: list[object], header: str) -> str:
    return "\n".join([header, *(",".join(map(str, row)) for row in zip(*columns, strict=True))]) + "\n"


MIXED = """size,town,new,built,y
80,Bern,true,1970-01-02,a
,Basel,false,1970-01-03,b
60,,true,1970-01-01T12:00,a
100,Bern,false,,b
"""


def test_numbers_words_truth_and_dates_become_columns_and_it_is_said(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, MIXED)
    assert dataset.feature_names == ("size", "town=Basel", "town=Bern", "town=(missing)", "new", "built")
    np.testing.assert_array_equal(dataset.train.x, [[80, 0, 1, 0, 1, 1], [80, 1, 0, 0, 0, 2], [60, 0, 0, 1, 1, 0.5], [100, 0, 1, 0, 0, 1]])
    assert (dataset.class_names, dataset.train.y.tolist()) == (("a", "b"), [0, 1, 0, 1])
    assert dataset.name == "a"
    assert dataset.notes == (
        "column built: dates are taken as days since 1970-01-01",
        "column town: one column for each of 2 categories and one for missing cells",
        "column size: 1 missing value filled with 80, the median of the training part",
        "column built: 1 missing value filled with 1, the median of the training part",
    )


def test_the_encoder_is_json(tmp_path: Path) -> None:
    encoder = loaded(tmp_path, MIXED).encoder
    stored = json.loads(json.dumps(plain(encoder)))
    assert read(Encoder, stored, at="") == encoder
    assert list(stored) == ["version", "target", "ignore", "columns"] and stored["version"] == 2
    size, town = stored["columns"][:2]
    assert (size["name"], size["reading"]["kind"], size["reading"]["form"]["decimal"], size["fill"]) == ("size", "number", ".", 80.0)
    assert (town["name"], town["reading"]["kind"], town["values"], town["missing"]) == ("town", "category", ["Basel", "Bern"], True)


def test_parquet_gives_what_csv_gives(tmp_path: Path) -> None:
    table = pa.table(
        {
            "size": pa.array([80, None, 60, 100], pa.int64()),
            "town": pa.array(["Bern", "Basel", None, "Bern"]).dictionary_encode(),
            "new": [True, False, True, False],
            "built": pa.array([datetime(1970, 1, 2), datetime(1970, 1, 3), datetime(1970, 1, 1, 12), None], pa.timestamp("ns")),
            "y": ["a", "b", "a", "b"],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    dataset = load(Data(kind="parquet", path=str(tmp_path / "a.parquet"), target="y", split=WHOLE), seed=0)
    from_csv = loaded(tmp_path, MIXED)
    np.testing.assert_array_equal(dataset.train.x, from_csv.train.x)
    assert (dataset.encoder, dataset.notes, dataset.fingerprint) == (from_csv.encoder, from_csv.notes, from_csv.fingerprint)


def test_parquet_columns_of_other_number_types_are_read(tmp_path: Path) -> None:
    columns = {
        "small": pa.array([1, 2, 3, 4], pa.int8()),
        "half": pa.array([0.5, 1.5, 2.5, 3.5], pa.float32()),
        "money": pa.array([1, 2, 3, 4], pa.decimal128(10, 2)),
        "day": pa.array([date(1970, 1, 2)] * 4),
        "empty": pa.nulls(4),
        "y": pa.array([0, 1, 0, 1]),
        "__index_level_0__": pa.array([9, 9, 9, 9]),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    dataset = load(Data(kind="parquet", path=str(tmp_path / "a.parquet"), target="y", split=WHOLE), seed=0)
    np.testing.assert_array_equal(dataset.train.x, [[1, 0.5, 1, 1, 0], [2, 1.5, 2, 1, 0], [3, 2.5, 3, 1, 0], [4, 3.5, 4, 1, 0]])
    assert "column empty: the training part has no value of it; taken as 0" in dataset.notes


def test_a_parquet_column_of_lists_is_refused_unless_ignored(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [1, 2, 3, 4], "tags": [["a"], [], ["b"], []], "y": [0, 1, 0, 1]}), path)
    config = Data(kind="parquet", path=str(path), target="y", split=WHOLE)
    rule = "column tags holds neither numbers, words nor dates; leave it out with data.ignore=[tags]"
    assert refusal(config) == f"data.path = {path}: {rule}"
    assert load(Data(kind="parquet", path=str(path), target="y", split=WHOLE, ignore=("tags",)), seed=0).feature_names == ("x",)


def test_medians_and_categories_come_from_the_training_rows_alone(tmp_path: Path) -> None:
    count = 200
    text = rows([i % 2 for i in range(count)], [f"t{i % 97}" for i in range(count)], [(i * 37) % 101 for i in range(count)], header="y,t,v")
    lines = text.splitlines()
    lines[5] = "0,t4,"
    config = csv(tmp_path, "\n".join(lines), split=Split(validation=0.2, test=0.3))
    dataset = load(config, seed=1)
    seen = dataset.train.rows
    values = [lines[1 + row].split(",") for row in seen]
    assert dataset.encoder is not None
    words, numbers = dataset.encoder.columns
    assert isinstance(words, Category) and isinstance(numbers, Quantity)
    assert words.values == tuple(sorted({word for _, word, _ in values}))
    assert numbers.fill == np.median([float(value) for *_, value in values if value])
    assert describe(config, seed=1) == dataset.shape


def test_a_category_that_training_does_not_have_is_all_zeros_and_said(tmp_path: Path) -> None:
    text = rows([i % 2 for i in range(40)], ["a"] * 40, [f"only{i}" for i in range(40)], header="y,t,v")
    dataset = loaded(tmp_path, text, ignore=("t",), categorical=("v",), split=Split(validation=0.25, test=0.0))
    assert (dataset.validation.x == 0).all()
    row = dataset.validation.rows[0]
    assert dataset.notes[-1:] == (
        "column v: 10 rows with a category that the training part does not have "
        f"('only{row}', line {row + 2}); its columns are all 0 there",
    )


def test_numbers_that_are_names_can_be_declared_categories(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, "zip,y\n3000,0\n4000,1\n3000,0\n4000,1\n", categorical=("zip",))
    assert dataset.feature_names == ("zip=3000", "zip=4000")


@pytest.mark.parametrize(
    ("values", "changes", "task", "note"),
    [
        (
            [i % 3 for i in range(30)],
            {},
            "classification",
            "3 different whole numbers, taken as classes; data.task=regression takes them as a quantity",
        ),
        (
            [i % 3 for i in range(30)],
            {"task": "regression"},
            "regression",
            None,
        ),
        (
            [i / 7 for i in range(30)],
            {},
            "regression",
            "30 different numbers, taken as a quantity; data.task=classification takes them as classes",
        ),
        (list(range(30)), {}, "regression", "30 different numbers, taken as a quantity; data.task=classification takes them as classes"),
        ([("no", "yes")[i % 2] for i in range(30)], {}, "classification", None),
        ([("false", "true")[i % 2] for i in range(30)], {}, "classification", None),
    ],
)
def test_the_task_follows_from_the_target_and_is_said(
    tmp_path: Path, values: list[object], changes: dict[str, object], task: str, note: str | None
) -> None:
    dataset = loaded(tmp_path, rows(values, list(range(30)), header="y,x"), **changes)
    assert dataset.task == task
    assert dataset.notes == (*(() if note is None else (f"target y: {note}",)), OWN_NUMBER)


def test_true_and_false_as_a_target_are_regressed_on_as_1_and_0(tmp_path: Path) -> None:
    dataset = loaded(tmp_path, "x,y\n1,true\n2,false\n3,true\n", task="regression")
    assert dataset.train.y.tolist() == [[1.0], [0.0], [1.0]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_quotes_blank_lines_and_a_byte_order_mark_are_read(tmp_path: Path, delimiter: str) -> None:
    text = '\ufeffa,b,y\r\n1,"two, ""2""\nlines",p\r\n\r\n2,w,q\r\n'
    quoted = text.replace('"two, ""2""', '"two@ ""2""').replace(",", delimiter).replace("@", ",")
    dataset = loaded(tmp_path, quoted)
    assert dataset.feature_names == ("a", 'b=two, "2"\nlines', "b=w")
    np.testing.assert_array_equal(dataset.train.x, [[1, 1, 0], [2, 0, 1]])


def test_a_cell_error_names_the_line_in_the_file_with_quoted_line_breaks_and_blank_lines_counted(tmp_path: Path) -> None:
    config = csv(tmp_path, 'a,b,y\n1,"two\nlines",p\n\n2,w,q\n3,w,q\nbig,w,q\n')
    where, rule = "column a, line 7 is 'big'", "it must be a number like 3 of the 4 cells"
    ways = [f"'data.columns={{a: {{{setting}}}}}'" for setting in ("missing: [big]", "kind: category", "kind: ignore")]
    hint = f"mend it, leave the line out with data.skip=[7], or give {' or '.join(ways)}"
    assert refusal(config) == f"data.path = {config.path}: {where}; {rule}; {hint}"


@pytest.mark.parametrize(
    ("text", "changes", "sentence"),
    [
        ("", {}, "data.path = {path}: the file is empty; give a file with data"),
        ("\n \n", {}, "data.path = {path}: the file is blank; give a CSV with a header line and rows"),
        ("a,y\n", {}, "data.path = {path}: has a header and no rows; give a CSV with data"),
        ("a,y\n1,p\n2\n", {}, "data.path = {path}: line 3 has 1 cell and the header 2; mend the line, or leave it out with data.skip=[3]"),
        (
            "a,,y\n1,2,p\n",
            {},
            "data.path = {path}: column 2 of the header has no name; name it, or give data.header=true 'data.names=[a,column_2,y]'",
        ),
        (
            "a,a,y\n1,2,p\n",
            {},
            "data.path = {path}: two columns of the header are named a; rename one, or give data.header=true 'data.names=[a_1,a_2,y]', "
            "or data.skip=[1] if line 1 is a title",
        ),
        (
            "1.5,2\n1,2\n",
            {},
            "data.path = {path}: line 1 (1.5, 2) may hold the names of the columns or the first row; give data.header=true, "
            "or data.header=false (and data.names=[...] for names of your own)",
        ),
        (
            'a,y\n1,p\n"2,p\n3,q\n',
            {},
            "data.path = {path}: the record at line 3 cannot be read (unexpected end of data); mend its quotes",
        ),
        (
            "a,price\n1,p\n",
            {"target": "prise"},
            "data.target = prise: {path} has no such column; did you mean price?",
        ),
        ("a,b\n1,p\n", {"target": "zzz"}, "data.target = zzz: {path} has no such column; use one of a, b"),
        ("a,b\n1,p\n", {"target": None}, "data.target = null: it must name the column of {path} to predict; use one of a, b"),
        (
            "a,y\n1,p\n2,\n",
            {},
            "data.path = {path}: target column y, line 3 has no value (the only one); "
            "fill it in, or data.missing_target=drop leaves the row out",
        ),
        (
            "a,y\n1,1.5\n2,NaN\n3,\n",
            {},
            "data.path = {path}: target column y, line 3 is 'NaN', which is taken as missing (2 of the 3 rows have none); "
            "if it is a name give 'data.columns={{y: {{missing: []}}}}', or data.missing_target=drop leaves these rows out",
        ),
        (
            "a,y\n1,2020-01-01\n",
            {},
            "data.target = y: holds dates; give a column of numbers or of classes, or data.task=regression to predict days",
        ),
        ("a,y\n1,p\n2,p\n", {}, "data = a: all rows are of class p; nothing can be learned from one class"),
        ("y\n1\n2\n", {}, "data.path = {path}: has no column beside the target y; give at least one input column"),
        (
            "a,y\n1,p\ninf,q\n",
            {},
            "data.path = {path}: column a, line 3 is inf; numbers must be finite, leave the cell empty if unknown, "
            "or give 'data.columns={{a: {{missing: [\"inf\"]}}}}'",
        ),
        ("a,y\n1,p\n2,q\n", {"ignore": ("b",)}, "data.ignore = b: {path} has no such column; use one of a, y"),
        ("age,y\n1,p\n2,q\n", {"categorical": ("agee",)}, "data.categorical = agee: {path} has no such column; did you mean age?"),
        (
            "a,y\n1,5\n2,6\n3,x\n",
            {"task": "regression"},
            "data.path = {path}: column y, line 4 is 'x'; it must be a number like 2 of the 3 cells; "
            "mend it, leave the line out with data.skip=[4], or give data.task=classification if the cells are names of classes",
        ),
    ],
)
def test_a_bad_table_is_refused_in_one_sentence(tmp_path: Path, text: str, changes: dict[str, object], sentence: str) -> None:
    config = csv(tmp_path, text, **changes)
    assert refusal(config) == sentence.format(path=config.path)


def test_a_column_of_many_words_is_refused(tmp_path: Path) -> None:
    config = csv(tmp_path, rows([f"w{i}" for i in range(1500)], [i % 2 for i in range(1500)], header="name,y"))
    ways = [f"'data.columns={{name: {{kind: {kind}}}}}'" for kind in ("category", "hash", "id")]
    rule = (
        "column name, line 2 is 'w0' (also 'w1', 'w2' and 1497 more); 1500 of the 1500 cells differ, so they may be names and no categories"
    )
    assert refusal(config) == f"data.path = {config.path}: {rule}; give {' or '.join(ways)}"
    rule = "column name has 1500 different words, more than the 1000 that get a column each"
    hint = f"leave it out with data.ignore=[name], or give {ways[1]}"
    assert refusal(replace(config, categorical=("name",))) == f"data.path = {config.path}: {rule}; {hint}"


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,y\n1,\xff\n")
    config = Data(kind="csv", path=str(path), target="y")
    hint = "give data.encoding=latin-1 (or cp1252, utf-16, ...)"
    assert refusal(config) == f"data.path = {path}: line 2 holds the byte 0xff, which is no UTF-8 text; {hint}"


@pytest.mark.parametrize("content", [b"PAR1 no", b"a,y\n1,2\n"])
def test_what_is_not_a_whole_parquet_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    config = Data(kind="parquet", path=str(path), target="y")
    assert refusal(config) == f"data.path = {path}: is not a whole Parquet file; write it again, or give data=csv"


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("a\n")
    config = Data(kind="csv", path=str(tmp_path / "price.csv"), target="y")
    assert refusal(config) == f"data.path = {config.path}: no such file; did you mean prices.csv?"
    config = Data(kind="csv", path=str(tmp_path / "prices.xlsx"), target="y")
    assert refusal(config) == f"data.path = {config.path}: no such file; did you mean prices.csv?"
    config = Data(kind="csv", path=str(tmp_path / "sprint.csv"), target="y")  # the ends alone are alike
    assert refusal(config) == f"data.path = {config.path}: no such file; check the path (it is relative to the current folder)"
    config = Data(kind="csv", path=str(tmp_path / "no" / "price.csv"), target="y")
    hint = "its folder does not exist either; check the path (it is relative to the current folder)"
    assert refusal(config) == f"data.path = {config.path}: no such file; {hint}"


def test_a_folder_or_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Data(kind="csv", path=str(tmp_path), target="y")
    assert refusal(config) == f"data.path = {tmp_path}: is a folder; give a file"

    def refuse(path: Path, *rest: object, **more: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    config = csv(tmp_path, "a,y\n1,p\n")
    monkeypatch.setattr(Path, "open", refuse)  # root, as in a container, may read every file
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert refusal(config) == f"data.path = {config.path}: cannot be read (permission denied); check the path and its permissions"


@pytest.mark.parametrize(
    ("cell", "task", "note"),
    [
        ("{row}", "classification", "target y: 60 classes for 60 rows; if it is a quantity, give data.task=regression"),
        ("town {row}", "auto", "target y: 60 classes for 60 rows; if it is a column of names, give another target"),
    ],
)
def test_a_target_of_nearly_as_many_classes_as_rows_is_told_and_so_are_the_parts_without_rows(
    tmp_path: Path, cell: str, task: str, note: str
) -> None:
    text = "x,y\n" + "".join(f"{row},{cell.format(row=row)}\n" for row in range(60))
    dataset = loaded(tmp_path, text, task=task, split=Split())
    assert (len(dataset.validation), len(dataset.test)) == (0, 0)
    assert dataset.notes == (
        note,
        OWN_NUMBER,
        "the validation part is empty: data.split.validation=0.1 of 60 rows, of which each class keeps one for training",
        "the test part is empty: data.split.test=0.1 of 60 rows, of which each class keeps one for training",
    )
