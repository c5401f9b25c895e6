"""Folders of images: what they become to the pixel, or one sentence that names the file and what mends it."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pillow

from pipeline.data import Data, Dataset, DataShape, Split, load, read_kept, read_new
from pipeline.data.images import folder as image_folder
from pipeline.data.images.report import image_report
from pipeline.data.settings import Image
from pipeline.errors import PipelineError
from pipeline.rows import Streamed
from tests.refusal import refused

WHOLE = Split(validation=0.0, test=0.0)
RNG = np.random.default_rng(3)
SKIP = "give data.image.skip=true, which leaves out what cannot be read"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "caviar" / "images"


def gray(height: int = 4, width: int = 6) -> np.ndarray:
    return RNG.integers(0, 256, (height, width)).astype(np.uint8)


def colour(height: int = 4, width: int = 6) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3)).astype(np.uint8)


def put(path: Path, values: np.ndarray, mode: str | None = None, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = pillow.fromarray(values)
    (picture if mode is None else picture.convert(mode)).save(path, **options)  # type: ignore[arg-type]  # of the format
    return path


def two(root: Path, make: Callable[[], np.ndarray] = gray) -> Path:
    """Two classes of two images."""
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        put(root / name, make())
    return root


def config(root: Path, split: Split = WHOLE, **image: object) -> Data:
    return Data(kind="image_folder", path=str(root), split=split, image=Image(**image))  # type: ignore[arg-type]  # fields of Image


def rows(root: Path, **image: object) -> np.ndarray:
    return np.asarray(load(config(root, **image), seed=0).train.x)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(pillow.open(path))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that promises many pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 50)) + chunk(b"IEND", b"")


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


def test_a_jpeg_is_what_its_decoder_gives(tmp_path: Path) -> None:
    root = two(tmp_path / "set", colour)
    path = put(root / "a" / "0.jpeg", colour(), quality=90)
    np.testing.assert_array_equal(rows(root)[0], pixels(path))


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


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: put(p, gray(5, 6)), "has 5 x 6 pixels (height x width) and a/1.png 4 x 6; give data.image.size=[4,6] to resize all, or another size"),  # noqa: E501
        (lambda p: put(p, colour()), "is in colour and a/1.png gray; give data.image.channels=1 to make all gray, or data.image.channels=3 to make all colour"),  # noqa: E501
        (lambda p: put(p, gray().astype(np.uint16) * 100), "has 16 bits a value and a/1.png 8; give data.image.bits=8, which keeps the upper 8 of 16"),  # noqa: E501
        (lambda p: put(p, np.dstack([gray(), gray()])), "has transparent pixels; give data.image.background=white or black, which is what stands behind them"),  # noqa: E501
        (lambda p: p.write_bytes(b""), f"is empty; get it again, or {SKIP}"),
        (lambda p: p.write_bytes(b"GIF89a.."), f"is no PNG or JPEG image, it begins with 47 49 46 38; convert it, or {SKIP}"),
        (lambda p: p.write_bytes(p.with_name("1.png").read_bytes()[:60]), f"is damaged or cut short; get it again, or {SKIP}"),
        (lambda p: p.write_bytes(bomb(60_000, 60_000)), f"has more than 64 million pixels, which are not read; make it smaller, or {SKIP}"),
        (lambda p: p.write_bytes(bomb(8000, 8000)), f"its header promises 8000 x 8000 pixels, more than {len(bomb(8000, 8000))} bytes can hold; get it again, or {SKIP}"),  # noqa: E501
        (lambda p: pillow.fromarray(gray()).save(p, save_all=True, append_images=[pillow.fromarray(gray())]), f"is animated, 2 pictures; give one picture, or {SKIP}"),  # noqa: E501
    ],
    ids=["size", "colour", "deep", "alpha", "empty", "gif", "cut", "bomb", "promise", "animated"],
)  # fmt: skip
def test_an_image_that_does_not_fit_is_refused_by_its_name(
    tmp_path: Path, make: Callable[[Path], object], sentence: str, cache: Path
) -> None:
    root = two(tmp_path / "set")
    make(root / "b" / "2.png")
    with refused(f"data.path = {root}/b/2.png: {sentence}", PipelineError):
        load(config(root), seed=0)
    assert not list(cache.glob("*-*"))
    if "skip=true" in sentence:
        found = load(config(root, skip=True), seed=0)
        assert len(found.train) == 3 and found.notes == ("1 file that cannot be read left out: b/2.png",)


def test_pictures_of_other_formats_are_refused_or_left_out(tmp_path: Path) -> None:
    root = two(tmp_path / "set")
    put(root / "a" / "3.webp", gray())
    put(root / "b" / "3.bmp", gray())
    rule = "is no PNG or JPEG image (2 files like it); convert it, or give data.image.skip=true to leave it out"
    with refused(f"data.path = {root}/a/3.webp: {rule}", PipelineError):
        load(config(root), seed=0)
    notes = load(config(root, skip=True), seed=0).notes
    assert notes == ("2 files that are no PNG or JPEG images left out: a/3.webp, b/3.bmp",)


def test_a_class_of_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    root = two(tmp_path / "set")
    for name in ("1.png", "2.png"):
        (root / "b" / name).write_bytes(b"")
    with refused(f"data.path = {root}: no image of the class b can be read; mend them, or move the folder away", PipelineError):
        load(config(root, skip=True), seed=0)


def test_sizes_are_made_one_by_option_and_told(tmp_path: Path) -> None:
    root = two(tmp_path / "set")
    path = put(root / "b" / "2.png", gray(9, 31))
    for fit, text in (("stretch", "stretched"), ("crop", "cropped at the sides"), ("pad", "padded with black")):
        found = load(config(root, size=(8, 12), fit=fit), seed=0)
        assert found.shape.input_shape == (8, 12, 1)
        assert found.notes == (f"4 of 4 images resized from 4x6 to 9x31 to 8x12 (height x width), {text}",)
    stretched = np.asarray(pillow.open(path).resize((12, 8), pillow.Resampling.BILINEAR))
    np.testing.assert_array_equal(rows(root, size=(8, 12))[3, ..., 0], stretched)


def test_gray_and_colour_are_made_one_by_option_and_told(tmp_path: Path) -> None:
    root = two(tmp_path / "set")
    path = put(root / "b" / "2.png", colour())
    as_gray = rows(root, channels=1)
    np.testing.assert_array_equal(as_gray[3, ..., 0], np.asarray(pillow.open(path).convert("L")))
    np.testing.assert_array_equal(as_gray[0, ..., 0], pixels(root / "a" / "1.png"))
    as_colour = rows(root, channels=3)
    np.testing.assert_array_equal(as_colour[3], pixels(path))
    np.testing.assert_array_equal(as_colour[0], np.repeat(pixels(root / "a" / "1.png")[..., None], 3, axis=2))
    assert load(config(root, channels=1), seed=0).notes == ("1 of 4 images made gray",)


def test_sixteen_bits_stay_sixteen_bits(tmp_path: Path) -> None:
    root = two(tmp_path / "set", lambda: RNG.integers(0, 2**16, (4, 6)).astype(np.uint16))
    found = rows(root)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[1, ..., 0], pixels(root / "a" / "2.png").astype(np.float32))
    np.testing.assert_array_equal(rows(root, bits=8)[1, ..., 0], pixels(root / "a" / "2.png") >> 8)
    put(root / "b" / "0.png", np.full((4, 6), 255, np.uint8))
    assert rows(root, bits=16)[2].max() == rows(root, bits=16)[2].min() == 2**16 - 1
    resized = rows(root, bits=16, size=(2, 3))
    assert resized.shape == (5, 2, 3, 1) and resized.max() > 255


def test_sixteen_bits_in_colour_are_not_cut_unasked(tmp_path: Path) -> None:
    root = tmp_path / "set"
    deep = RNG.integers(0, 2**16, (4, 6, 3)).astype(">u2")
    for name in ("a/1.png", "b/1.png"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes(colour16(deep))
    rule = "has 16 bits a value beside colour or transparency, of which only 8 can be read"
    with refused(f"data.path = {root}/a/1.png: {rule}; give data.image.bits=8, which keeps the upper 8 of 16", PipelineError):
        load(config(root), seed=0)
    np.testing.assert_array_equal(rows(root, bits=8)[0], deep >> 8)


def colour16(values: np.ndarray) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    lines = b"".join(b"\0" + line.tobytes() for line in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def test_transparent_pixels_show_the_background_and_opaque_ones_need_none(tmp_path: Path) -> None:
    root = two(tmp_path / "set", colour)
    opaque, clear = colour(), colour()
    put(root / "a" / "3.png", np.dstack([opaque, np.full((4, 6), 255, np.uint8)]))
    np.testing.assert_array_equal(rows(root)[2], opaque)
    put(root / "a" / "4.png", np.dstack([clear, np.zeros((4, 6), np.uint8)]))
    assert rows(root, background="white")[3].min() == 255
    assert rows(root, background="black")[3].max() == 0
    assert load(config(root, background="black"), seed=0).notes == ("1 of 6 images with transparent pixels, black behind them",)


def test_palettes_are_the_colours_that_they_stand_for(tmp_path: Path) -> None:
    root = two(tmp_path / "set", colour)
    path = put(root / "a" / "3.png", colour(), mode="P")
    np.testing.assert_array_equal(rows(root)[2], np.asarray(pillow.open(path).convert("RGB")))
    grays = two(tmp_path / "grays")
    path = put(grays / "a" / "3.png", gray(), mode="P")
    np.testing.assert_array_equal(rows(grays)[2, ..., 0], np.asarray(pillow.open(path).convert("L")))
    put(grays / "a" / "4.png", gray() > 99)
    assert set(np.unique(rows(grays)[3])) == {0, 255}


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_photograph_stands_upright(tmp_path: Path, orientation: int) -> None:
    root = two(tmp_path / "set", lambda: colour(4, 4))
    exif = pillow.Exif()
    exif[0x0112] = orientation
    path = put(root / "b" / "2.jpg", colour(4, 4), exif=exif)
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(pillow.open(path))
    np.testing.assert_array_equal(rows(root)[-2], np.asarray(upright))
    assert load(config(root), seed=0).notes == ("1 of 5 images turned as their Exif orientation says",)


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
