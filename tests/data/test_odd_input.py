"""Input that is legal but odd, or damaged at an awkward place: each gives a data set or one sentence, never a traceback."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data import Data, DataShape, Split, load, read_new
from pipeline.errors import PipelineError
from tests.data.arrays.test_idx import contents, idx

WHOLE = Split(validation=0.0, test=0.0)
AGAIN = "get the file again, this one is cut short or damaged"
X = np.arange(40.0).reshape(20, 2)
Y = np.arange(20) % 2


def refusal(config: Data) -> str:
    with pytest.raises(PipelineError) as error:
        load(config, seed=0)
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)
    return str(error.value)


def table(folder: Path, text: str, **changes: object) -> Data:
    (folder / "t.csv").write_text(text)
    options: dict[str, object] = {"target": "y", "split": WHOLE, **changes}
    return Data(kind="csv", path=str(folder / "t.csv"), **options)  # type: ignore[arg-type]  # fields of Data


def archive(folder: Path, **arrays: np.ndarray) -> Data:
    np.savez(folder / "a.npz", **arrays)  # type: ignore[arg-type]  # names of arrays, not of options
    return Data(kind="npz", path=str(folder / "a.npz"), split=WHOLE)


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """The training images, packed, in a folder with the three other idx files."""
    for name, content in contents().items():
        (tmp_path / name).write_bytes(content)
    plain = tmp_path / "train-images-idx3-ubyte"
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    return path


def test_every_cut_of_a_packed_file_is_noticed(packed: Path) -> None:
    content = packed.read_bytes()
    config = Data(kind="mnist", root=str(packed.parent))
    for length in range(1, len(content)):
        packed.write_bytes(content[:length])
        assert refusal(config).startswith(f"data.root = {packed}: "), length
        assert refusal(config).endswith(f"; {AGAIN}"), length
    packed.write_bytes(content)
    assert len(load(config, seed=0).train) == 36


def test_a_packed_file_cut_within_its_header_or_its_checksum_is_said_to_be(packed: Path) -> None:
    content = packed.read_bytes()
    config = Data(kind="mnist", root=str(packed.parent))
    packed.write_bytes(content[:12])
    assert refusal(config) == f"data.root = {packed}: ends within its header, after 0 bytes; {AGAIN}"
    packed.write_bytes(content[:-4])
    assert refusal(config) == f"data.root = {packed}: its gzip stream ends before its checksum; {AGAIN}"


def test_a_plain_file_cut_within_its_header_is_said_to_be(packed: Path) -> None:
    labels = packed.parent / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:6])
    assert refusal(Data(kind="mnist", root=str(packed.parent))) == f"data.root = {labels}: ends within its header, after 6 bytes; {AGAIN}"


def test_idx_files_without_images_are_refused(packed: Path) -> None:
    packed.write_bytes(idx(np.zeros((0, 28, 28))))
    (packed.parent / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(0)))
    sentence = f"data.root = {packed}: holds no images; give the files of a data set"
    assert refusal(Data(kind="mnist", root=str(packed.parent))) == sentence


@pytest.mark.parametrize(
    ("x", "y"),
    [(X[:0], Y[:0]), (X[:0], Y[:0].astype(float)), (X[:, :0], Y), (X, np.zeros((20, 0)))],
    ids=["no rows, classes", "no rows, numbers", "no features", "no targets"],
)
def test_arrays_without_a_value_are_refused(tmp_path: Path, x: np.ndarray, y: np.ndarray) -> None:
    config = archive(tmp_path, x=x, y=y)
    rule = f"x has shape {x.shape} and y {y.shape}, which is no value at all"
    assert refusal(config) == f"data.path = {config.path}: {rule}; leave empty arrays out"


def test_labels_of_bytes_are_words(tmp_path: Path) -> None:
    assert load(archive(tmp_path, x=X, y=np.array(["è".encode(), b"e"] * 10)), seed=0).class_names == ("e", "è")


def test_the_home_folder_of_nobody_is_a_missing_file() -> None:
    config = Data(kind="csv", path="~nobody-of-this-name/a.csv", target="y")
    hint = "its folder does not exist either; check the path (it is relative to the current folder)"
    assert refusal(config) == f"data.path = ~nobody-of-this-name/a.csv: no such file; {hint}"


def test_two_parquet_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table([pa.array([1.0]), pa.array([2.0]), pa.array([0])], names=["a", "a", "y"]), path)
    config = Data(kind="parquet", path=str(path), target="y")
    assert refusal(config) == f"data.path = {path}: two columns are named a; rename one"


def test_a_target_of_words_is_no_quantity(tmp_path: Path) -> None:
    config = table(tmp_path, "a,y\n1,p\n2,q\n", task="regression")
    assert refusal(config) == "data.task = regression: the target y holds words; give data.task=classification"


def test_a_word_in_a_target_of_numbers_is_named_and_the_hint_leads_on(tmp_path: Path) -> None:
    text = "a,y\n1,5\n2,6\n3,x\n"
    config = table(tmp_path, text)
    where, rule = "column y, line 4 is 'x'", "it must be a number like 2 of the 3 cells"
    hint = "mend it, leave the line out with data.skip=[4], or give data.task=classification if the cells are names of classes"
    assert refusal(config) == f"data.path = {config.path}: {where}; {rule}; {hint}"
    assert load(table(tmp_path, text, task="classification"), seed=0).class_names == ("5", "6", "x")


def test_a_missing_target_in_a_wide_table_lists_the_first_columns(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(500)]
    config = table(tmp_path, ",".join(names) + "\n" + ",".join("1" for _ in names) + "\n", target="price")
    first = ", ".join(names[:20])
    assert refusal(config) == f"data.target = price: {config.path} has no such column; use one of {first} and 480 more"


def test_a_new_file_with_words_or_no_dates_where_the_model_has_numbers_or_dates_is_refused(tmp_path: Path) -> None:
    dataset = load(table(tmp_path, "a,d,y\n1,2020-01-01,p\n2,2020-01-02,q\n"), seed=0)
    new = tmp_path / "new.csv"
    for text, sentence in (
        (
            "a,d\nx,2020-01-01\nz,2020-01-01\n",
            "column a, line 2 is 'x'; it must be a number; mend it, the model was trained on numbers here",
        ),
        (
            "a,d\n1,soon\n",
            "column d, line 2 is 'soon'; it must be a date; mend it, the model was trained on dates here",
        ),
        (
            "a,d\n1,day 7/2020\n",
            "column d, line 2 is 'day 7/2020'; it must be a date; mend it, the model was trained on dates here; "
            "a format as of strptime in data.columns says how the dates of this file are written",
        ),
    ):
        new.write_text(text)
        with pytest.raises(PipelineError) as error:
            read_new(Data(kind="csv", path=str(new)), dataset.encoder, dataset.shape)
        assert str(error.value) == f"data.path = {new}: {sentence}"


def test_a_word_for_a_model_of_arrays_is_refused(tmp_path: Path) -> None:
    new = tmp_path / "new.csv"
    new.write_text("a,b\n1,2\n3,x\n4,5\n")
    with pytest.raises(PipelineError) as error:
        read_new(Data(kind="csv", path=str(new)), None, DataShape(input_shape=(2,), classes=2))
    assert str(error.value) == f"data.path = {new}: column b, line 3 is 'x'; it must be a number like 2 of the 3 cells; mend it"


def test_what_pandas_writes_as_parquet_gives_what_it_writes_as_csv(tmp_path: Path) -> None:
    count = 40
    frame = pd.DataFrame(
        {
            "number": np.arange(count) / 8,
            "text": ["u", "v"] * 20,
            "gaps": pd.array([1, None, 3, 4] * 10, "Int64"),
            "truth": [True, False] * 20,
            "maybe": pd.array([True, None, False, True] * 10, "boolean"),
            "words": pd.Categorical(["p", "q", None, "p"] * 10),
            "day": pd.date_range("2020-01-01", periods=count),
            "zone": pd.date_range("2020-01-01", periods=count, tz="Europe/Berlin"),
            "y": ["k", "l"] * 20,
        }
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    from_csv = load(Data(kind="csv", path=str(tmp_path / "t.csv"), target="y"), seed=3)
    from_parquet = load(Data(kind="parquet", path=str(tmp_path / "t.parquet"), target="y"), seed=3)
    assert from_parquet.encoder == from_csv.encoder
    np.testing.assert_array_equal(from_parquet.train.x, from_csv.train.x)
    assert from_parquet.fingerprint == from_csv.fingerprint


def test_free_text_is_one_category_a_row_where_it_is_declared_and_else_asked_about(tmp_path: Path) -> None:
    text = "a,t,y\n" + "".join(f'{i},"some, text {i}",{i % 2}\n' for i in range(50))
    ways = [f"'data.columns={{t: {{kind: {kind}}}}}'" for kind in ("category", "hash", "id")]
    rule = "50 of the 50 cells differ, so they may be names and no categories"
    where = "column t, line 2 is 'some, text 0' (also 'some, text 1', 'some, text 2' and 47 more)"
    assert refusal(table(tmp_path, text)) == f"data.path = {tmp_path}/t.csv: {where}; {rule}; give {' or '.join(ways)}"
    assert load(table(tmp_path, text, categorical=("t",)), seed=0).shape.input_shape == (51,)


def test_angles_and_noise_of_generated_points_have_their_distributions() -> None:
    clean = load(Data(kind="rings", samples=4096, noise=0.0, split=WHOLE), seed=0).train.x
    turns = np.sort(np.arctan2(clean[:, 1], clean[:, 0]) / (2 * np.pi) % 1.0)
    assert np.abs(turns - np.arange(4096) / 4096).max() < 1.95 / 64  # Kolmogorov and Smirnov's distance at one in a thousand
    noise = load(Data(kind="rings", samples=4096, noise=1.0, split=WHOLE), seed=0).train.x - clean
    assert np.abs(noise.mean(axis=0)).max() < 4 / 64
    assert np.abs(noise.std(axis=0) - 1).max() < 4 / 64 / np.sqrt(2)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 4 / 64
    assert abs(np.mean(np.abs(noise) < 0.6745) - 0.5) < 4 * 0.5 / np.sqrt(noise.size)
