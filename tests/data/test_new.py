from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data import Data, Dataset, DataShape, Split, as_written, load, read_new
from pipeline.data.new import read_frame
from pipeline.data.settings import Declared
from pipeline.data.sources.frames import frame_source
from pipeline.data.tables.table import read_rows
from pipeline.errors import ConfigError, DataError
from tests.data.arrays.test_idx import idx

TRAINING = "size,town,new,id,y\n80,Bern,true,1,a\n60,Basel,false,2,b\n100,Bern,true,3,a\n60,Basel,false,4,b\n"
SHAPE = DataShape(input_shape=(8, 8, 1), classes=10)


@pytest.fixture
def trained(tmp_path: Path) -> Dataset:
    path = tmp_path / "training.csv"
    path.write_text(TRAINING)
    config = Data(kind="csv", path=str(path), target="y", ignore=("id",), split=Split(validation=0.0, test=0.0))
    return load(config, seed=0)


def written(folder: Path, text: str) -> Data:
    (folder / "new.csv").write_text(text)
    return Data(kind="csv", path=str(folder / "new.csv"), target="y")


def refusal(config: Data, trained: Dataset | None = None) -> str:
    with pytest.raises((DataError, ConfigError)) as error:
        read_new(config, trained.encoder if trained else None, trained.shape if trained else SHAPE)
    return str(error.value)


def test_the_training_file_itself_gives_the_training_rows_and_nothing_to_say(tmp_path: Path, trained: Dataset) -> None:
    said: list[str] = []
    x = read_new(written(tmp_path, TRAINING), trained.encoder, trained.shape, say=said.append)
    np.testing.assert_array_equal(x, trained.train.x)
    assert said == []


def test_what_is_filled_unknown_or_not_used_is_said(tmp_path: Path, trained: Dataset) -> None:
    said: list[str] = []
    config = written(tmp_path, "colour,town,new,size\nred,Genf,0,\nblue,,1,90\n")
    x = read_new(config, trained.encoder, trained.shape, say=said.append)
    np.testing.assert_array_equal(x, [[70, 0, 0, 0], [90, 0, 0, 1]])
    assert said == [
        "not used, as the model was not trained on them: colour",
        "column size: 1 missing value filled with 70, the median of the training part",
        "column town: 2 rows with a category that the training part does not have ('Genf', line 2); its columns are all 0 there",
    ]


def test_unless_told_otherwise_it_says_so_on_stderr(tmp_path: Path, trained: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    read_new(written(tmp_path, "size,town,new,more\n61,Bern,true,2\n"), trained.encoder, trained.shape)
    assert capsys.readouterr().err == "note: not used, as the model was not trained on them: more\n"


def test_a_parquet_file_serves_a_model_trained_on_csv(tmp_path: Path, trained: Dataset) -> None:
    pq.write_table(pa.table({"new": [True, False], "town": ["Bern", "Basel"], "size": [1.0, 2.0]}), tmp_path / "new.parquet")
    x = read_new(Data(kind="csv", path=str(tmp_path / "new.parquet")), trained.encoder, trained.shape)
    np.testing.assert_array_equal(x, [[1, 0, 1, 1], [2, 1, 0, 0]])


def test_a_missing_column_is_named(tmp_path: Path, trained: Dataset) -> None:
    config = written(tmp_path, "size,y\n1,a\n")
    assert refusal(config, trained) == (
        f"data.path = {config.path}: has no columns town, new, which the model was trained on; its columns are size, y"
    )


def test_a_word_where_the_model_takes_numbers_is_named(tmp_path: Path, trained: Dataset) -> None:
    config = written(tmp_path, "size,town,new\n1,Bern,true\nbig,Bern,true\n")
    rule = "it must be a number like 1 of the 2 cells; mend it, the model was trained on numbers here"
    assert refusal(config, trained) == f"data.path = {config.path}: column size, line 3 is 'big'; {rule}"


def test_arrays_cannot_be_read_for_a_model_of_named_columns(tmp_path: Path, trained: Dataset) -> None:
    path = tmp_path / "new.npz"
    rule = "the model was trained on named columns; give a CSV or Parquet file with them"
    assert refusal(Data(path=str(path)), trained) == f"data.path = {path}: {rule}"


@pytest.mark.parametrize("name", ["x.npz", "x.npy", "t10k-images-idx3-ubyte", "x.csv"])
def test_images_are_read_from_every_format(tmp_path: Path, name: str) -> None:
    x = np.random.default_rng(0).integers(0, 17, size=(5, 8, 8, 1))
    path = tmp_path / name
    if name.endswith(".npz"):
        np.savez(path, x=x)
    elif name.endswith(".npy"):
        np.save(path, x)
    elif name.endswith(".csv"):
        np.savetxt(path, x.reshape(5, 64), delimiter=",", fmt="%d", header=",".join(map(str, range(64))), comments="")
    else:
        path.write_bytes(idx(x[..., 0]))
    np.testing.assert_array_equal(read_new(Data(path=str(path)), None, SHAPE), x)


def test_rows_of_another_size_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x=np.zeros((3, 7, 8)))
    sentence = f"data.path = {path}: its rows have shape [7, 8] and the model takes [8, 8, 1]; give rows of 64 values"
    assert refusal(Data(path=str(path))) == sentence
    config = written(tmp_path, "a,b\n1,2\n")
    assert (
        refusal(config) == f"data.path = {config.path}: has 2 columns and the model takes 64 values a row; give one column for each value"
    )


def test_an_empty_cell_for_a_model_of_arrays_is_named(tmp_path: Path) -> None:
    header = ",".join(f"p{i}" for i in range(64))
    config = written(tmp_path, f"{header}\n{','.join(['1'] * 64)}\n{','.join(['1'] * 9 + [''] + ['1'] * 54)}\n")
    assert refusal(config) == f"data.path = {config.path}: column p9, line 3 has no value; fill it in"


def test_other_faults_of_the_file_are_named(tmp_path: Path) -> None:
    assert refusal(Data()) == "data.path = null: must be the file with the rows to predict; give data.path=FILE"
    path = tmp_path / "x.npz"
    np.savez(path, z=np.zeros(3))
    assert refusal(Data(path=str(path))) == f"data.path = {path}: has no array x but z; name the rows to predict x"
    path = tmp_path / "x.npy"
    path.write_bytes(b"\x93NUMPY")
    assert refusal(Data(path=str(path))) == f"data.path = {path}: is not a whole npy file of numbers; write it with numpy.save(path, x)"
    x = np.zeros((2, 64))
    x[1, 5] = np.nan
    np.save(path, x)
    assert refusal(Data(path=str(path))) == f"data.path = {path}: row 1, column 5 is nan; every number must be finite"


def test_words_for_nothing_and_values_beyond_those_of_the_training_are_said(tmp_path: Path, trained: Dataset) -> None:
    said: list[str] = []
    config = written(tmp_path, "size,town,new\n-,Bern,true\nunknown,Basel,-\n500,bern,false\n70,Bern,true\n")
    x = read_new(config, trained.encoder, trained.shape, say=said.append)
    np.testing.assert_array_equal(x[:, 0], [70, 70, 500, 70])
    assert said == [
        "column size: 2 cells, '-', 'unknown', taken as missing, though the training had none of the kind",
        "column new: 1 cell, '-', taken as missing, though the training had none of the kind",
        "column size: 2 missing values filled with 70, the median of the training part",
        "column new: 1 missing value filled with 0.5, the median of the training part",
        "column town: 1 row with a category that the training part does not have ('bern', line 4, and it has 'Bern': "
        "capitals may have changed); its columns are all 0 there",
        "column size: 1 row beyond the values of the training rows, 60 to 100 (500, line 4)",
    ]
    with pytest.raises(DataError, match="is 'soon'; it must be a number like 1 of the 2 cells"):
        read_new(written(tmp_path, "size,town,new\nsoon,Bern,true\n60,Bern,true\n"), trained.encoder, trained.shape)


def test_a_code_that_lost_its_zeros_is_told(tmp_path: Path) -> None:
    path = tmp_path / "codes.csv"
    path.write_text("branch,day,y\n007,2023-01-01,a\n010,2023-01-02,b\n007,2023-01-03,a\n010,2023-01-04,b\n")
    found = load(Data(kind="csv", path=str(path), target="y", split=Split(validation=0.0, test=0.0)), seed=0)
    said: list[str] = []
    read_new(written(tmp_path, "branch,day\n7,2023-01-02\n010,2024-05-01\n"), found.encoder, found.shape, say=said.append)
    assert said == [
        "column branch: 1 row with a category that the training part does not have ('7', line 2, and it has '007': "
        "leading zeros may have changed); its columns are all 0 there",
        "column day: 1 row beyond the values of the training rows, 2023-01-01 to 2023-01-04 (2024-05-01, line 3)",
    ]


def test_what_lies_beyond_in_many_columns_is_one_line(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(8)]
    path = tmp_path / "wide.csv"
    path.write_text("\n".join([",".join([*names, "y"]), *(",".join([str(row + 0.5)] * 8 + ["ab"[row % 2]]) for row in range(9))]))
    found = load(Data(kind="csv", path=str(path), target="y", split=Split(validation=0.0, test=0.0)), seed=0)
    said: list[str] = []
    read_new(written(tmp_path, f"{','.join(names)}\n{','.join(['77'] * 8)}\n"), found.encoder, found.shape, say=said.append)
    assert said == [f"columns {', '.join(names)}: 8 values beyond those of the training rows"]


def test_a_new_file_may_be_written_otherwise_when_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "training.csv").write_text("size;day;town;y\n1,5;2023-05-19;Bern;1\n7;2023-05-20;Basel;2\n2,25;2023-05-21;Bern;3\n")
    config = Data(kind="csv", path=str(tmp_path / "training.csv"), target="y", split=Split(validation=0.0, test=0.0))
    encoder = load(config, seed=0).encoder
    assert encoder is not None
    text = 'size,day,town\n"1,234.5",19.05.2023,-\n-1,20.05.2023,Basel\n'
    columns = {"day": Declared(format="%d.%m.%Y"), "s*": Declared(missing=(-1,))}
    said = Data(decimal=".", missing=("-",), columns=columns)
    notes: list[str] = []
    x = read_new(written(tmp_path, text), as_written(encoder, said), DataShape(input_shape=(4,), targets=1), say=notes.append)
    days = np.array(["2023-05-19", "2023-05-20"], "M8[D]").astype(int)
    np.testing.assert_array_equal(x, [[1234.5, days[0], 0, 0], [2.25, days[1], 1, 0]])


def test_a_table_in_memory_is_told_of_values_beyond_those_of_the_training_as_a_file_is(trained: Dataset) -> None:
    frame = pa.table({"size": [90.0, 1e6], "town": ["Bern", "Bern"], "new": [True, False]})
    with pytest.warns(UserWarning, match=r"^column size: 1 row beyond the values of the training rows, 60 to 100 \(1e\+06, row 1\)$"):
        read_frame(frame, trained.encoder, (), trained.shape)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"siz": Declared(decimal=",")}, "data.columns.siz = given: the model has no such column; did you mean size?"),
        (
            {"size": Declared(kind="category")},
            "data.columns.size.kind = category: the model was trained with kind number; "
            "leave it out; decimal, thousands, format and missing say how the file is written",
        ),
        ({"town": Declared(decimal=",")}, "data.columns.town.decimal = ,: the model was trained with kind category; it is for number"),
        ({"town": Declared(order=("a", "b"))}, "data.columns.town.order = ['a', 'b']: is decided at the training; leave it out"),
    ],
)
def test_what_a_new_file_cannot_change_is_refused(trained: Dataset, columns: dict[str, Declared], sentence: str) -> None:
    assert trained.encoder is not None
    with pytest.raises(ConfigError) as error:
        as_written(trained.encoder, Data(columns=columns))
    assert str(error.value) == sentence


def test_a_cell_that_may_be_either_number_names_both_overrides(tmp_path: Path) -> None:
    (tmp_path / "training.csv").write_text("size;y\n1,5;1\n7,25;2\n2,5;3\n")
    dataset = load(Data(kind="csv", path=str(tmp_path / "training.csv"), target="y", split=Split(validation=0.0, test=0.0)), seed=0)
    config = written(tmp_path, "size;y\n1.234;1\n7,5;2\n")
    ways = """'data.columns={size: {decimal: "."}}' reads it as 1.234 and 'data.columns={size: {decimal: ","}}' reads it as 1234"""
    rule = "it must be a number with a decimal comma like 1 of the 2 cells; mend it, the model was trained on numbers here"
    assert refusal(config, dataset) == f"data.path = {config.path}: column size, line 2 is '1.234'; {rule}; {ways}"
    said = as_written(dataset.encoder, Data(columns={"size": Declared(decimal=",")}))  # type: ignore[arg-type]  # a table has one
    np.testing.assert_array_equal(read_new(config, said, dataset.shape), [[1234], [7.5]])


def test_a_file_of_other_dates_and_numbers_is_told_what_reads_it(tmp_path: Path) -> None:
    (tmp_path / "training.csv").write_text("day;size;price;y\n13.05.2023;1,5;1.000,5;1\n14.05.2023;7,25;2.000,5;2\n15.05.2023;2,5;3,5;3\n")
    dataset = load(Data(kind="csv", path=str(tmp_path / "training.csv"), target="y", split=Split(validation=0.0, test=0.0)), seed=0)
    said = refusal(written(tmp_path, 'day,size,price\n03/01/2023,0.55,"1,000.5"\n'), dataset)
    first = """'data.columns={day: {format: "%m/%d/%Y"}}' reads it as 2023-03-01"""
    second = """'data.columns={day: {format: "%d/%m/%Y"}}' reads it as 2023-01-03"""
    both = "size, price are all written otherwise than in the training, and data.decimal=. reads the whole file"
    assert said.endswith(f"; {first} and {second}; {both}")
    sure = refusal(written(tmp_path, 'day,size,price\n03/01/2023,"1,5","1"\n03/14/2023,"1,5","2"\n'), dataset)
    assert sure.endswith(f"; {first}")


def test_numbers_without_the_unit_of_the_training_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("w,y\n" + "".join(f"{row}.5 kg,{'ab'[row % 2]}\n" for row in range(20)))
    dataset = load(Data(kind="table", path=str(tmp_path / "a.csv"), target="y"), seed=0)
    (tmp_path / "b.csv").write_text("w\n3.5 kg\n4\n")
    told: list[str] = []
    x = read_new(Data(path=str(tmp_path / "b.csv")), dataset.encoder, dataset.shape, say=told.append)
    assert x.tolist() == [[3.5], [4.0]] and told == ["column w: '4' without the kg of the others, taken as if it were there"]


def test_columns_of_pandas_that_are_sparse_or_have_a_zone_are_read(tmp_path: Path) -> None:
    zoned = pd.to_datetime(["2021-02-13 01:00", "2021-02-14 01:00"]).tz_localize("Europe/Berlin")
    frame = pd.DataFrame({"s": pd.arrays.SparseArray([0.0, 1.5]), "d": zoned})
    found = read_rows(lambda: frame_source(frame), Data(kind="arrays"))
    np.testing.assert_array_equal(found.values("s"), [0, 1.5])
    np.testing.assert_array_equal(found.values("d"), [18671, 18672])
