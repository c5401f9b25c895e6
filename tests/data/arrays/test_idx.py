from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import Data, Split, describe, load
from pipeline.data.arrays.idx import AGAIN, CLASS_NAMES
from pipeline.errors import DataError

FASHION = Path(__file__).parents[3].parent / "shared" / "data" / "fashion-mnist"


def idx(array: np.ndarray) -> bytes:
    return struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(np.uint8).tobytes()


def contents(train: int = 40, test: int = 20) -> dict[str, bytes]:
    """Four tiny files: image i is filled with the byte i, label i % 10."""
    result = {}
    for part, count in (("train", train), ("t10k", test)):
        number = np.arange(count)
        result[f"{part}-images-idx3-ubyte"] = idx(np.broadcast_to(number[:, None, None], (count, 28, 28)))
        result[f"{part}-labels-idx1-ubyte"] = idx(number % 10)
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in contents().items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def config(folder: Path, validation: float = 0.25) -> Data:
    return Data(kind="mnist", root=str(folder), split=Split(validation=validation, test=0.1))


def refusal(folder: Path) -> str:
    with pytest.raises(DataError) as error:
        load(config(folder), seed=0)
    return str(error.value)


def test_the_training_files_are_split_and_the_test_files_are_the_test_part(folder: Path) -> None:
    dataset = load(config(folder), seed=0)
    assert dataset.shape == describe(config(folder))
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (30, 10, 20)
    assert dataset.train.x.dtype == np.uint8
    for part in (dataset.train, dataset.validation, dataset.test):
        np.testing.assert_array_equal(part.x[:, 3, 5, 0], part.rows)
        np.testing.assert_array_equal(part.y, part.rows % 10)
    assert dataset.notes == ("the test part is the 20 images of the t10k files; data.split.test is not used",)


def test_a_validation_share_of_0_trains_on_every_row(folder: Path) -> None:
    dataset = load(config(folder, validation=0.0), seed=0)
    assert (len(dataset.train), len(dataset.validation)) == (40, 0)
    assert dataset.validation.x.shape == (0, 28, 28, 1)


@pytest.mark.parametrize(("dots", "packed"), [(True, False), (False, True), (True, True)])
def test_files_may_be_packed_and_may_have_a_dot_in_the_name(folder: Path, dots: bool, packed: bool) -> None:
    plain = load(config(folder), seed=0)
    for path in list(folder.iterdir()):
        content, name = path.read_bytes(), path.name.replace("-idx", ".idx") if dots else path.name
        path.unlink()
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    assert load(config(folder), seed=0).fingerprint == plain.fingerprint


def test_a_truncated_plain_file_gives_both_byte_counts(folder: Path) -> None:
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:1000])
    assert refusal(folder) == (
        f"data.root = {path}: its header promises 31376 bytes and 1000 are there; get the file again, this one is cut short or damaged"
    )


def test_a_truncated_packed_file_gives_both_byte_counts(folder: Path) -> None:
    path = folder / "train-images-idx3-ubyte"
    content = path.read_bytes()
    path.unlink()
    packed = folder / "train-images-idx3-ubyte.gz"
    packed.write_bytes(gzip.compress(content, compresslevel=0)[:5000])
    sentence = refusal(folder)
    found = int(sentence.split(" bytes and ")[1].split()[0])
    assert 4900 <= found < 5000
    assert sentence == (
        f"data.root = {packed}: its header promises 31376 bytes and {found} are there; get the file again, this one is cut short or damaged"
    )


def test_a_damaged_packed_file_is_refused(folder: Path) -> None:
    path = folder / "t10k-images-idx3-ubyte"
    packed = folder / "t10k-images-idx3-ubyte.gz"
    content = bytearray(gzip.compress(path.read_bytes()))
    content[len(content) // 2] ^= 0xFF
    path.unlink()
    packed.write_bytes(content)
    ways = ("the gzip stream is damaged; get the file again", f"its header promises 15696 bytes and more are there; {AGAIN}")
    assert refusal(folder) in [f"data.root = {packed}: {way}" for way in ways]


def test_a_file_of_another_format_is_refused(folder: Path) -> None:
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(b"\x89PNG\r\n")
    assert refusal(folder) == f"data.root = {path}: starts with 89 50 4e 47, not 00 00 08; give an idx file of unsigned bytes"


def test_an_empty_file_is_refused(folder: Path) -> None:
    path = folder / "train-labels-idx1-ubyte"
    path.write_bytes(b"")
    assert refusal(folder) == f"data.root = {path}: the file is empty; give a file with data"


def test_labels_and_images_must_be_as_many(folder: Path) -> None:
    path = folder / "train-labels-idx1-ubyte"
    path.write_bytes(idx(np.zeros(39)))
    assert refusal(folder) == f"data.root = {path}: 39 labels for 40 images; give the files of one data set"


def test_exchanged_files_are_refused(folder: Path) -> None:
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes((folder / "train-labels-idx1-ubyte").read_bytes())
    assert refusal(folder) == f"data.root = {path}: has 1 dimensions, not 3; images and labels may be exchanged"


def test_a_label_beyond_the_classes_is_refused(folder: Path) -> None:
    path = folder / "train-labels-idx1-ubyte"
    labels = np.arange(40) % 10
    labels[7] = 12
    path.write_bytes(idx(labels))
    assert refusal(folder) == f"data.root = {path}: label 12 of row 7 is not below 10; give the files of mnist"


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte").unlink()
    assert refusal(folder) == (
        f"data.root = {folder}: holds no t10k-labels-idx1-ubyte.gz (nor t10k-labels-idx1-ubyte); give the folder with the four idx files"
    )


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    sentence = f"data.root = {tmp_path / 'no'}: no such folder; give the folder that holds train-images-idx3-ubyte.gz"
    assert refusal(tmp_path / "no") == sentence


def test_a_file_in_place_of_the_folder_is_refused(folder: Path) -> None:
    path = folder / "train-labels-idx1-ubyte"
    assert refusal(path) == f"data.root = {path}: is not a folder; give the folder that holds train-images-idx3-ubyte.gz"


def test_an_unreadable_folder_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)  # root, as in a container, may read every folder
    assert refusal(folder) == f"data.root = {folder}: cannot be read (permission denied); check the path and its permissions"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_read_permission_is_refused(folder: Path) -> None:
    path = folder / "train-images-idx3-ubyte"
    path.chmod(0)
    assert refusal(folder) == f"data.root = {path}: cannot be read (permission denied); check the path and its permissions"


@pytest.mark.skipif(not FASHION.is_dir(), reason="the Fashion-MNIST files do not lie beside this checkout")
def test_fashion_mnist_loads_whole() -> None:
    dataset = load(Data(kind="fashion_mnist", root=str(FASHION), split=Split(validation=0.1, test=0.0)), seed=0)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (54_000, 6_000, 10_000)
    assert dataset.class_names == CLASS_NAMES["fashion_mnist"]
    assert np.bincount(dataset.validation.y).tolist() == [600] * 10
    pixels = np.asarray(dataset.train.x)
    assert (pixels.min(), pixels.max()) == (0, 255)
