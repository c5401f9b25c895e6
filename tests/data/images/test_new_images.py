"""Images for a trained model are read as those of its training were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pillow

from pipeline.data import Data, Dataset, DataShape, load, read_kept, read_new
from pipeline.errors import PipelineError
from tests.data.images.pictures import colour, config, gray, pixels, put, two
from tests.refusal import refused


def trained(tmp_path: Path, **image: object) -> Dataset:
    return load(config(two(tmp_path / "set"), **image), seed=0)


def test_new_images_are_read_as_those_of_the_training_were(tmp_path: Path) -> None:
    known = trained(tmp_path)
    root = tmp_path / "set"
    new = Data(path=str(root))
    x = read_new(new, None, known.shape, images=known.images)
    np.testing.assert_array_equal(x, known.train.x)
    kept = read_kept(new, ("row",), len(x))
    assert kept["file"].tolist() == ["a/1.png", "a/2.png", "b/1.png", "b/2.png"] and kept["row"].tolist() == [1, 2, 3, 4]
    one = Data(path=str(root / "b" / "1.png"))
    np.testing.assert_array_equal(read_new(one, None, known.shape, images=known.images), x[2:3])
    assert read_kept(one, (), 1)["file"].tolist() == ["1.png"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: put(p, gray(5, 6)), "has 5 x 6 pixels (height x width) and the model takes 4 x 6"),
        (lambda p: put(p, colour()), "is in colour and the model takes gray"),
        (lambda p: put(p, gray().astype(np.uint16) * 100), "has 16 bits a value and the model takes 8"),
    ],
    ids=["size", "colour", "deep"],
)
def test_a_new_image_that_is_unlike_those_of_the_training_is_refused(tmp_path: Path, make: Callable[[Path], object], sentence: str) -> None:
    known, path = trained(tmp_path), tmp_path / "new.png"
    make(path)
    with pytest.raises(PipelineError) as error:
        read_new(Data(path=str(path)), None, known.shape, images=known.images)
    assert str(error.value) == f"data.path = {path}: {sentence}; make it so, or train with data.image to have it made so"


def test_a_new_image_is_resized_where_those_of_the_training_were(tmp_path: Path) -> None:
    known, path = trained(tmp_path, size=(8, 8), channels=1), put(tmp_path / "new.png", colour(20, 9))
    x = read_new(Data(path=str(path)), None, known.shape, images=known.images)
    expected = np.asarray(pillow.open(path).convert("L").resize((8, 8), pillow.Resampling.BILINEAR))
    np.testing.assert_array_equal(x[0, ..., 0], expected)


def test_images_for_a_model_of_arrays_are_bytes_of_its_shape(tmp_path: Path) -> None:
    path = put(tmp_path / "x.png", gray())
    np.testing.assert_array_equal(
        read_new(Data(path=str(path)), None, DataShape(input_shape=(4, 6, 1), classes=2))[0, ..., 0], pixels(path)
    )
    with refused(f"data.path = {path}: holds images, and the model takes rows of shape [24]; give arrays or a table", PipelineError):
        read_new(Data(path=str(path)), None, DataShape(input_shape=(24,), classes=2))


def test_a_folder_without_images_to_predict_is_refused(tmp_path: Path) -> None:
    with refused(f"data.path = {tmp_path}: holds no PNG or JPEG image; give an image, a folder of images, or a table", PipelineError):
        read_new(Data(path=str(tmp_path)), None, DataShape(input_shape=(24,), classes=2))
