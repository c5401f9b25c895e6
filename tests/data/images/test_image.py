"""One image: what it becomes to the pixel, or one sentence that names the file and what mends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pillow

from pipeline.data import load
from pipeline.errors import PipelineError
from tests.data.images.pictures import RNG, SKIP, bomb, colour, colour16, config, gray, pixels, put, rows, two
from tests.refusal import refused


def test_a_jpeg_is_what_its_decoder_gives(tmp_path: Path) -> None:
    root = two(tmp_path / "set", colour)
    path = put(root / "a" / "0.jpeg", colour(), quality=90)
    np.testing.assert_array_equal(rows(root)[0], pixels(path))


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
