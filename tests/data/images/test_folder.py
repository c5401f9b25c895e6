"""Folders of images: which are read, into which class and part, what is told of them, and that they are converted once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import Data, DataShape, Split, load
from pipeline.data.images import folder as image_folder
from pipeline.data.images.report import image_report
from pipeline.data.settings import Image
from pipeline.errors import PipelineError
from pipeline.rows import Streamed
from tests.data.images.pictures import SKIP, WHOLE, colour, config, gray, pixels, put, two
from tests.refusal import refused


def test_pixels_stay_bytes_in_the_order_of_class_and_path(tmp_path: Path) -> None:
    root = tmp_path / "set"
    written = {name: gray() for name in ("b/z.png", "a/10.png", "a/deep/er/0.PNG", "a/2.png", "Ä b/x.png", "007/q.png")}
    for name, values in written.items():
        put(root / name, values)
    found = load(config(root), seed=0)
    order = ["007/q.png", "a/10.png", "a/2.png", "a/deep/er/0.PNG", "b/z.png", "Ä b/x.png"]
    assert found.class_names == ("007", "a", "b", "Ä b") and found.name == "set"
    assert found.train.x.dtype == np.uint8 and found.shape == DataShape(input_shape=(4, 6, 1), classes=4)
    np.testing.assert_array_equal(np.asarray(found.train.x)[..., 0], [written[name] for name in order])
    assert found.train.y.tolist() == [0, 1, 1, 1, 2, 3]


def test_classes_that_are_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    for name in ("10", "9", "1", "07"):
        put(tmp_path / "set" / name / "x.png", gray())
    assert load(config(tmp_path / "set"), seed=0).class_names == ("1", "07", "9", "10")


def test_folders_of_parts_are_the_parts(tmp_path: Path) -> None:
    root = tmp_path / "set"
    two(root / "Train")
    put(root / "test" / "b" / "1.png", gray())
    put(root / "val" / "a" / "1.png", gray())
    found = load(config(root, split=Split(validation=0.3, test=0.3)), seed=0)
    assert [len(part) for part in (found.train, found.validation, found.test)] == [4, 1, 1]
    assert found.test.y.tolist() == [1] and found.validation.y.tolist() == [0]
    np.testing.assert_array_equal(np.asarray(found.test.x)[0, ..., 0], pixels(root / "test" / "b" / "1.png"))
    assert "the test part is the 1 images of its folder; data.split.test is not used" in found.notes


def test_an_image_that_is_in_two_parts_is_told(tmp_path: Path) -> None:
    root = tmp_path / "set"
    two(root / "train")
    put(root / "test" / "a" / "7.png", pixels(root / "train" / "a" / "1.png"))
    assert "1 image of the parts train and test are the same" in load(config(root), seed=0).notes


def test_classes_may_be_called_like_parts(tmp_path: Path) -> None:
    for name in ("train", "bus", "car"):
        put(tmp_path / "set" / name / "x.png", gray())
    assert load(config(tmp_path / "set"), seed=0).class_names == ("bus", "car", "train")


@pytest.mark.parametrize(
    ("layout", "sentence"),
    [
        (["train/a/1.png", "train/b/1.png", "labels/x/1.png"], "{root}: holds the parts train and also the folder labels; move it away, or give data.path={root}/train, of which parts are drawn"),  # noqa: E501
        (["train/a/1.png", "train/b/1.png", "test/1.png"], "{root}/test: is a part and holds no folder for each class; give it these, or give data.path={root}/train, of which parts are drawn"),  # noqa: E501
        (["train/1.png", "test/1.png"], "{root}/test: is a part and holds no folder for each class; give it these, or give data.path={root}/train, of which parts are drawn"),  # noqa: E501
        (["train/a/1.png", "train/b/1.png", "val/a/1.png", "validation/a/1.png"], "{root}: has two folders for the validation part, train, val, validation; leave one of them"),  # noqa: E501
        (["train/cat/1.png", "train/dog/1.png", "test/Cat/1.png"], "{root}/test/Cat: is the folder of a class that train does not have; did you mean cat?"),  # noqa: E501
        (["1.png", "2.png"], "{root}: has no images in a folder for each class (it holds no folders); give PNG or JPEG files there"),
        ([], "{root}: has no images in a folder for each class (it holds no folders); give PNG or JPEG files there"),
    ],
    ids=range(7),
)  # fmt: skip
def test_a_layout_that_may_mean_two_things_is_refused(tmp_path: Path, layout: list[str], sentence: str) -> None:
    root = tmp_path / "set"
    root.mkdir()
    for name in layout:
        put(root / name, gray())
    with refused(f"data.path = {sentence.format(root=root)}", PipelineError):
        load(config(root), seed=0)


def test_what_is_no_image_is_told_and_hidden_files_too(tmp_path: Path) -> None:
    root = two(tmp_path / "set")
    (root / "a" / ".DS_Store").write_bytes(b"x")
    put(root / "a" / "._1.png", gray())
    (root / "a" / "notes.txt").write_text("x")
    (root / "empty").mkdir()
    (root / ".git").mkdir()
    put(root / "loose.png", gray())
    os.mkfifo(root / "b" / "pipe.png")
    (root / "b" / "gone.png").symlink_to("nowhere")
    put(root / "b" / "image without ending", gray(), format="PNG")
    (root / "b" / "loop").symlink_to(root / "b")
    found = load(config(root), seed=0)
    assert len(found.train) == 5
    assert found.notes == (
        "3 files hidden left out: .git, a/.DS_Store, a/._1.png",
        "3 files that are no images left out: a/notes.txt, b/gone.png, b/pipe.png",
        "1 file with images outside of the folders of classes left out: loose.png",
        "without an image, and no class: empty",
    )


def test_a_class_of_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    root = two(tmp_path / "set")
    for name in ("1.png", "2.png"):
        (root / "b" / name).write_bytes(b"")
    with refused(f"data.path = {root}: no image of the class b can be read; mend them, or move the folder away", PipelineError):
        load(config(root, skip=True), seed=0)


def test_a_class_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    root = two(tmp_path / "set")
    os.mkdir(os.fsencode(root) + b"/caf\xe9")
    with refused(f"data.path = {root}: the folder caf\\xe9 is not named in UTF-8, and names a class; rename it", PipelineError):
        load(config(root), seed=0)


def test_a_folder_is_converted_once_and_again_when_it_has_changed(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = two(tmp_path / "set")
    calls: list[Path] = []
    real = image_folder._write
    monkeypatch.setattr(image_folder, "_write", lambda *given: calls.append(given[2]) or real(*given))
    first = [load(config(root), seed=seed) for seed in range(3)]
    assert len(calls) == 1 and len({one.fingerprint for one in first}) == 1
    assert isinstance(load(Data(kind="image_folder", path=str(root), split=WHOLE, stream=True), seed=0).train.x, Streamed)
    (place,) = (path for path in cache.iterdir() if path.name != "seen")
    assert sorted(path.name for path in place.iterdir()) == ["cells", "images.json"]
    assert (place / "cells").stat().st_size == 4 * 4 * 6
    put(root / "b" / "2.png", gray())
    os.utime(root / "b" / "2.png", ns=(1, 1))
    assert load(config(root), seed=0).fingerprint != first[0].fingerprint
    assert len(calls) == 2 and len(list(cache.glob("*-*"))) == 1
    (next(cache.glob("*-*")) / "cells").write_bytes(b"\0" * 96)
    assert "was damaged and has been made again" in load(config(root), seed=0).notes[0]
    assert len(calls) == 3


def test_labels_exchanged_in_the_cache_are_noticed(tmp_path: Path, cache: Path) -> None:
    root = two(tmp_path / "set")
    put(root / "b" / "3.png", gray())
    first = load(config(root), seed=0)
    facts = next(cache.glob("*-*")) / "images.json"
    facts.write_text(facts.read_text().replace('"a": 2, "b": 3', '"a": 3, "b": 2'))
    again = load(config(root), seed=0)
    assert again.train.y.tolist() == first.train.y.tolist() and "damaged" in again.notes[0]


def test_the_report_counts_classes_and_names_what_mends_them(tmp_path: Path) -> None:
    root = two(tmp_path / "set")
    put(root / "a" / "3.png", colour())
    put(root / "a" / "4.png", gray(8, 9))
    put(root / "a" / "5.png", np.dstack([gray(), gray()]))
    (root / "b" / "3.png").write_bytes(b"x")
    found = image_report(config(root))
    assert found.title == f"{root}: 7 images, 2 classes" and found.rows == [("a", [5]), ("b", [2])]
    assert found.becomes == "each becomes uint8 [4, 6, 1] (height, width, gray), once what is named below is settled"
    assert found.wrong == [
        "sizes differ, 4x6 to 8x9 (height x width), most often 4x6 (6 of 7); give data.image.size=[4,6], or another",
        "6 images are gray and 1 in colour; give data.image.channels=1 to make all gray, or data.image.channels=3 to make all colour",
        "1 images have transparent pixels; give data.image.background=white or black",
        f"{root}/b/3.png: is no PNG or JPEG image, it begins with 78; convert it, or {SKIP}",
    ]
    settled = image_report(config(root, size=(4, 6), channels=1, background="white", skip=True))
    assert settled.becomes == "each becomes uint8 [4, 6, 1] (height, width, gray)" and settled.wrong == []
    assert len(load(config(root, size=(4, 6), channels=1, background="white", skip=True), seed=0).train) == 7


def test_settings_of_images_are_for_images(tmp_path: Path) -> None:
    two(tmp_path / "set")
    for data, sentence in (
        (Data(kind="digits", image=Image(channels=1)), "data.image = given: data=digits does not read it; it is for image_folder"),
        (Data(kind="image_folder", root="x"), "data.root = x: data=image_folder does not read it; give data.path=x"),
        (Data(kind="image_folder"), "data.path = null: data=image_folder needs the folder that holds a folder of images for each class; give data.path=FOLDER"),  # noqa: E501
        (Data(kind="image_folder", path="x", task="regression"), "data.task = regression: the folders of data=image_folder are classes; use auto, classification or reconstruction"),  # noqa: E501
        (Data(kind="image_folder", path="x", image=Image(size=(10**5, 10**5))), "data.image.size = [100000, 100000]: an image has at most 64 million pixels; give fewer"),  # noqa: E501
    ):  # fmt: skip
        with refused(sentence, PipelineError):
            load(data, seed=0)
