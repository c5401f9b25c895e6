"""Rows that are read when asked for: the same rows and bits as in memory, in bounded memory."""

from __future__ import annotations

import importlib
import tracemalloc
from mmap import PAGESIZE
from pathlib import Path

import numpy as np
import pytest

from pipeline import preprocessing, rows
from pipeline.data import Data, Dataset, Split, load
from pipeline.data.dataset import by_chunks, gathered
from pipeline.data.prepared import prepared
from pipeline.errors import ConfigError, DataError
from pipeline.preprocessing import Preprocessing
from pipeline.rows import Streamed
from tests.data.arrays.test_idx import contents

GENERATOR = np.random.default_rng(2)


def folder(path: Path, **arrays: np.ndarray) -> Data:
    for name, array in arrays.items():
        np.save(path / f"{name}.npy", array)
    return Data(kind="npy", root=str(path), split=Split(validation=0.2, test=0.1))


def both(config: Data) -> tuple[Dataset, Dataset]:
    """In memory, and streamed."""
    return tuple(load(Data(**{**vars(config), "stream": stream}), seed=3) for stream in (False, True))  # type: ignore[return-value]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "float32", "float64"])
def test_streamed_rows_are_those_in_memory(tmp_path: Path, dtype: str) -> None:
    x = (100 * GENERATOR.random((90, 4, 3))).astype(dtype)
    memory, streamed = both(folder(tmp_path, x=x, y=np.arange(90) % 3))
    assert memory.fingerprint == streamed.fingerprint and memory.shape == streamed.shape
    for name in ("train", "validation", "test"):
        one, other = getattr(memory, name), getattr(streamed, name)
        assert isinstance(other.x, Streamed) and isinstance(one.x, np.ndarray)
        assert (other.x.shape, other.x.dtype, other.x.ndim, other.x.size) == (one.x.shape, one.x.dtype, one.x.ndim, one.x.size)
        order = GENERATOR.permutation(len(one.x))
        np.testing.assert_array_equal(other.x[order], one.x[order])
        np.testing.assert_array_equal(other.x[2:7], one.x[2:7])
        np.testing.assert_array_equal(np.asarray(other.x), one.x)
        np.testing.assert_array_equal(other.y, one.y)


@pytest.mark.parametrize("steps", [(), ("standardize",), ("scale", "center"), ("standardize", "pca"), ("zca",)])
def test_preprocessing_of_streamed_rows_has_the_same_bits(tmp_path: Path, steps: tuple[str, ...]) -> None:
    memory, streamed = both(folder(tmp_path, x=GENERATOR.integers(0, 255, (300, 5, 5, 1), np.uint8), y=np.arange(300) % 2))
    config = Preprocessing(steps=steps)
    fitted = [preprocessing.fit(config, dataset.train.x) for dataset in (memory, streamed)]
    for name, value in fitted[0].arrays().items():
        np.testing.assert_array_equal(fitted[1].arrays()[name], value)
    for name in ("train", "validation", "test"):
        whole = fitted[0].apply(getattr(memory, name).x)
        view = fitted[1].apply(getattr(streamed, name).x)
        assert isinstance(view, Streamed) and view.shape == whole.shape
        order = GENERATOR.permutation(len(whole))
        np.testing.assert_array_equal(view[order], whole[order])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "int16", "float64", ">f4"])
@pytest.mark.parametrize("steps", [(), ("standardize",), ("center", "scale"), ("pca",)])
def test_rows_are_left_where_a_program_can_gather_them(tmp_path: Path, order: str, dtype: str, steps: tuple[str, ...]) -> None:
    x = np.asarray(GENERATOR.integers(0, 255, (90, 6)), dtype, order=order)  # type: ignore[call-overload]
    loaded = load(Data(**{**vars(folder(tmp_path, x=x, y=np.arange(90) % 2)), "stream": True}), seed=3).train.x
    view = preprocessing.fit(Preprocessing(steps=steps), loaded).apply(loaded)
    assert isinstance(view, Streamed) and view.mapped
    assert view.raw == (dtype in ("uint8", "float32") and steps != ("pca",) and order == "C")
    wanted = GENERATOR.permutation(len(view))[:20]
    for key in (wanted, slice(3, 23)):
        part = view.part(key)
        np.testing.assert_array_equal(part[:], view[key])
        assert isinstance(part, Streamed) == view.raw
        if isinstance(part, Streamed):
            assert np.shares_memory(part.store, view.store)
            part.touch()
            np.testing.assert_array_equal(part.part(slice(2, 5))[:], view[key][2:5])
            np.testing.assert_array_equal(part.part(np.array([4, 0]))[:], view[key][[4, 0]])


def test_every_page_of_the_rows_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.zeros((8, 3 * PAGESIZE // 2), np.uint8)
    config = folder(tmp_path, x=x, y=np.arange(8) % 2)
    view = load(Data(**{**vars(config), "stream": True, "split": Split(validation=0.0, test=0.0)}), seed=3).train.x
    applied = preprocessing.fit(Preprocessing(steps=()), view).apply(view).part(np.array([5, 2]))
    assert isinstance(applied, Streamed) and applied.raw
    read: list[int] = []
    monkeypatch.setattr(np, "take", lambda array, places: read.extend(places.ravel().tolist()) or array)
    applied.touch()
    size = x.shape[1]
    assert read == [row * size + byte for row in (2, 5) for byte in (0, PAGESIZE, size - 1)]


def test_bytes_in_memory_stay_bytes_until_the_gather(tmp_path: Path) -> None:
    found = load(folder(tmp_path, x=GENERATOR.integers(0, 255, (90, 6), np.uint8), y=np.arange(90) % 2), seed=3)
    for steps, stays in ((("standardize",), True), (("pca",), False)):
        ready = prepared(found, Preprocessing(steps=steps))
        for part, raw in ((ready.train, found.train), (ready.validation, found.validation), (ready.test, found.test)):
            assert isinstance(part.x, Streamed) == stays
            if isinstance(part.x, Streamed):
                assert part.x.raw and not part.x.mapped and part.x.store is raw.x and raw.x.dtype == np.uint8


@pytest.mark.parametrize("kind", ["digits", "iris", "two_moons"])
def test_every_source_can_be_streamed(kind: str) -> None:
    memory, streamed = both(Data(kind=kind))
    np.testing.assert_array_equal(np.asarray(streamed.train.x), memory.train.x)


def test_plain_idx_files_are_mapped_and_stay_bytes(tmp_path: Path) -> None:
    for name, content in contents().items():
        (tmp_path / name).write_bytes(content)
    memory, streamed = both(Data(kind="mnist", root=str(tmp_path)))
    assert isinstance(streamed.train.x, Streamed) and streamed.train.x.store.dtype == np.uint8
    np.testing.assert_array_equal(np.asarray(streamed.test.x), memory.test.x)


def test_a_folder_may_have_its_own_parts_and_weights(tmp_path: Path) -> None:
    x, y, w = GENERATOR.normal(size=(40, 3)), np.arange(40) % 2, np.arange(40.0)
    config = folder(tmp_path, x_train=x[:30], y_train=y[:30], w_train=w[:30], x_test=x[30:], y_test=y[30:], w_test=w[30:])
    found = load(Data(**{**vars(config), "sample_weight": "w", "stream": True}), seed=0)
    np.testing.assert_array_equal(np.asarray(found.test.x), x[30:])
    np.testing.assert_array_equal(found.test.weight, w[30:])
    assert found.notes[0] == "the test part is that of the folder; data.split.test is not used"


def test_data_larger_than_the_memory_is_streamed_by_itself_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = folder(tmp_path, x=np.zeros((50, 100), np.uint8), y=np.arange(50) % 2)
    assert isinstance(load(config, seed=0).train.x, np.ndarray)
    monkeypatch.setattr(importlib.import_module("pipeline.data.load"), "memory_bytes", lambda: 70_000)
    found = load(config, seed=0)
    assert isinstance(found.train.x, Streamed)
    said = "the rows would fill more than half of the memory: they are streamed (data.stream=false loads them all)"
    assert said in found.notes


def test_loading_and_fitting_take_a_bounded_part_of_a_large_file(tmp_path: Path) -> None:
    rows = 60_000
    file = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=(rows, 500))
    for start in range(0, rows, 10_000):
        file[start : start + 10_000] = GENERATOR.normal(size=(10_000, 500))
    file.flush()
    np.save(tmp_path / "y.npy", np.arange(rows) % 2)
    tracemalloc.start()
    found = load(Data(kind="npy", root=str(tmp_path), stream=True), seed=0)
    fitted = preprocessing.fit(Preprocessing(), found.train.x)
    fitted.apply(found.train.x)[np.arange(0, 40_000, 10)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert file.nbytes == 120_000_000
    assert peak < 50_000_000


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"x": np.array([[1.0], [np.nan]] * 9), "y": np.arange(18) % 2}, "{0}, x: row 1, column 0 is nan; every number must be finite"),
        ({"x": np.ones((5, 2)), "y": np.arange(4)}, "{0}: x has 5 rows and y has shape (4,); give one y per row"),
        (
            {"x": np.ones((5, 2))},
            "{0}: has no array y, its arrays are x; name them x and y, or x_train, y_train, x_test, y_test",
        ),
        (
            {"x": np.array([["a"], ["b"]]), "y": np.arange(2)},
            "{0}, x: has type <U1, shape (2, 1); it must be an array of numbers with one row per example",
        ),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path: Path, arrays: dict[str, np.ndarray], sentence: str) -> None:
    with pytest.raises(DataError) as error:
        load(folder(tmp_path, **arrays), seed=0)
    assert str(error.value) == sentence.format(f"data.root = {tmp_path}")


def test_a_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    config = folder(tmp_path, x=np.ones((50, 2)), y=np.arange(50) % 2)
    path = tmp_path / "x.npy"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError) as error:
        load(config, seed=0)
    assert str(error.value) == f"data.root = {path}: is not a whole npy file of a plain array; write it with numpy.save"


def test_a_reconstruction_is_not_streamed() -> None:
    with pytest.raises(ConfigError) as error:
        load(Data(kind="digits", task="reconstruction", stream=True), seed=0)
    rule = "the targets of a reconstruction are its rows, and targets are kept in memory; leave it auto"
    assert str(error.value) == f"data.stream = true: {rule}"


def test_a_folder_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as missing:
        load(Data(kind="npy"), seed=0)
    rule = "data=npy needs the folder that holds x.npy and y.npy; give data.root=FOLDER"
    assert str(missing.value) == f"data.root = null: {rule}"
    with pytest.raises(DataError) as error:
        load(Data(kind="npy", root=str(tmp_path / "no")), seed=0)
    assert str(error.value) == f"data.root = {tmp_path / 'no'}: no such folder; give the folder that holds x.npy and y.npy"


def test_the_pages_of_a_large_file_are_given_back_as_soon_as_its_rows_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "LARGE", 2**20)
    x = np.arange(2**22, dtype=np.float64).reshape(-1, 64)  # 32 MB
    np.save(tmp_path / "x.npy", x)
    store = np.load(tmp_path / "x.npy", mmap_mode="r").view(np.ndarray)
    view = Streamed(store=store, rows=None, stored_shape=(64,), row_shape=(64,), dtype=x.dtype)

    def resident() -> int:
        """Bytes of the file that count as memory of this process."""
        text = Path("/proc/self/smaps").read_text().partition(f"{tmp_path / 'x.npy'}\n")[2]
        return int(text.partition("Rss:")[2].split()[0]) * 1024

    store.sum()
    assert resident() > 2**24, "somebody has read it all"
    chosen = np.random.default_rng(0).permutation(len(x))
    np.testing.assert_array_equal(view[chosen], x[chosen])
    assert resident() < 2**20
    raw = view.then(lambda made: made * 2, (64,), x.dtype, pairs=np.ones((1, 2, 64)))
    copied = raw.part(chosen[:100])
    assert isinstance(copied, Streamed) and not copied.mapped and resident() < 2**20
    np.testing.assert_array_equal(copied[:], 2 * x[chosen[:100]])
    np.testing.assert_array_equal(gathered(store, chosen, slice(3, 5)), x[chosen, 3:5])
    assert sum(float(block.sum()) for block in by_chunks(store)) == x.sum() and resident() < 2**20
