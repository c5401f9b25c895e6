"""One PNG or JPEG file -> its pixels, in the form that a data set or a model has; what does not fit is refused by the file's name.

Sizes are checked before anything is unpacked: the pixels that a header promises must be few enough, and so many as the file can hold.
"""

# H W pixels, C channels
from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.dataset import ImageForm
from pipeline.data.settings import MOST_PIXELS, Image
from pipeline.data.storage.files import read_bytes
from pipeline.errors import DataError
from pipeline.records import record, setting

Array = npt.NDArray[Any]
ENDINGS = (".png", ".jpg", ".jpeg", ".jpe", ".jfif")
OTHERS = (".gif", ".bmp", ".webp", ".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2", ".ppm", ".pgm", ".tga", ".ico", ".psd", ".svg")
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_LARGEST_FILE = 2**29  # bytes
_PACKED = 2**14  # values that a byte of a file can stand for: deflate packs 1,032 bytes into one, of eight pixels each
TOO_LARGE = f"has more than {MOST_PIXELS >> 20} million pixels, which are not read"
_GRAY = ("1", "L", "LA", "La", "I;16", "I;16B", "I")
_UPRIGHT = 1
_ORIENTATION = 0x0112  # of Exif
SKIP = "data.image.skip=true, which leaves out what cannot be read"


class UnreadableImage(DataError):
    """A file that is no image that can be read, which data.image.skip leaves out; `plain`: the sentence where nothing is left out."""

    def __init__(self, at: str, rule: str, mend: str = "get it again") -> None:
        self.plain = f"{at}: {rule}; {mend}"
        super().__init__(f"{self.plain}, or give {SKIP}")


class UnlikeImage(DataError):
    """An image that is not like the others; `plain`: the sentence without the setting that makes it so."""

    def __init__(self, at: str, rule: str, mend: str) -> None:
        self.plain = f"{at}: {rule}"
        super().__init__(f"{self.plain}; {mend}")


@record
class Seen:
    """An image as it is in its file: size (height, width), channels (1 gray, 3 colour), bits of a value.

    cut           whether only the upper 8 of 16 bits can be read
    turned        whether Exif says how the camera was held;  seen_through: whether a pixel is transparent, also in part
    """

    size: tuple[int, int] = setting()
    channels: int = setting()
    bits: int = setting()
    cut: bool = setting(False)
    turned: bool = setting(False)
    seen_through: bool = setting(False)


def is_image(path: Path) -> bool:
    """Whether a file is to be read as a PNG or JPEG image: by its ending, else by its first bytes."""
    if not path.is_file():
        return False
    if path.suffix.lower() in ENDINGS:
        return True
    try:
        with path.open("rb") as file:
            return file.read(8).startswith(_SIGNATURES)
    except OSError:
        return False


def form_of(settings: Image, first: Seen) -> ImageForm:
    """The form of a set: what the config asks for, else what the first image is."""
    return ImageForm(
        size=settings.size or first.size,
        channels=settings.channels or first.channels,
        bits=settings.bits or first.bits,
        resized=settings.size is not None,
        fit=settings.fit,
        background=settings.background,
        channels_asked=settings.channels is not None,
        bits_asked=settings.bits is not None,
    )


@contextmanager
def quiet_decoder() -> Iterator[None]:
    """What Pillow warns of (odd metadata, large images) is looked at here, or changes no pixel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_image(path: Path, form: Callable[[Seen], ImageForm] | ImageForm, at: str, like: str = "the first image") -> tuple[Array, Seen]:
    """The pixels [H, W, C] of a file in a form, and what it is like in the file; `form` may wait for that.  Raises DataError.

    at    names the file in a sentence;  like: what the form was taken from
    """
    picture, seen = _decoded(path, at)
    wanted = form if isinstance(form, ImageForm) else form(seen)
    _check(seen, wanted, at, like)
    values: Array = _values(picture, seen, wanted, at)
    return values, seen


def seen_in(path: Path, at: str) -> Seen:
    """What the image in a file is like.  Raises UnreadableImage."""
    return _decoded(path, at)[1]


def _decoded(path: Path, at: str) -> tuple[Any, Seen]:
    """The image as Pillow has it, upright."""
    from PIL import Image as pillow  # noqa: PLC0415  # 0.05 s that only images need

    content = _content(path, at)
    try:
        image = pillow.open(io.BytesIO(content), formats=("PNG", "JPEG"))
        _check_promise(image.size, len(image.getbands()), len(content), at)
        if image.format == "PNG" and getattr(image, "is_animated", False):
            raise UnreadableImage(at, f"is animated, {image.n_frames} pictures", "give one picture")
        deep = any("16B" in str(tile[3]) for tile in image.tile)
        image.load()
        return _upright(image, deep)
    except DataError:
        raise
    except pillow.DecompressionBombError as error:
        raise UnreadableImage(at, TOO_LARGE, "make it smaller") from error
    except Exception as error:  # a decoder raises whatever a damaged file makes it stumble over
        raise UnreadableImage(at, "is damaged or cut short") from error


def _upright(image: Any, deep: bool) -> tuple[Any, Seen]:
    orientation = _orientation(image)
    size = (image.height, image.width) if orientation < 5 else (image.width, image.height)
    gray = image.mode in _GRAY or (image.mode in ("P", "PA") and _gray_palette(image))
    whole = image.mode.startswith("I")
    seen = Seen(size=size, channels=1 if gray else 3, bits=16 if deep or whole else 8, cut=deep and not whole)
    return _turned(image, orientation), replace(seen, turned=orientation != _UPRIGHT, seen_through=_seen_through(image))


def _content(path: Path, at: str) -> bytes:
    """The bytes of the file, which is a PNG or JPEG by them."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UnreadableImage(
            at, f"cannot be read ({(error.strerror or type(error).__name__).lower()})", "check its permissions"
        ) from error
    if size > _LARGEST_FILE:
        raise UnreadableImage(at, f"is larger than {_LARGEST_FILE >> 20} MB, which no image is", "leave it out")
    content = read_bytes(path, at=at) if size else b""
    if not content:
        raise UnreadableImage(at, "is empty")
    if not content.startswith(_SIGNATURES):
        raise UnreadableImage(at, f"is no PNG or JPEG image, it begins with {content[:4].hex(' ')}", "convert it")
    return content


def _check_promise(size: tuple[int, int], bands: int, there: int, at: str) -> None:
    pixels = math.prod(size)
    if pixels > MOST_PIXELS:
        raise UnreadableImage(at, TOO_LARGE, "make it smaller")
    if pixels * bands > _PACKED * there:
        raise UnreadableImage(at, f"its header promises {size[1]} x {size[0]} pixels, more than {there} bytes can hold")


def _orientation(image: Any) -> int:
    """How a camera was held, 1 to 8; upright where nothing says so."""
    try:
        found = image.getexif().get(_ORIENTATION, _UPRIGHT)
    except Exception:  # damaged metadata of a whole picture
        return _UPRIGHT
    return found if isinstance(found, int) and 1 <= found <= 8 else _UPRIGHT


def _turned(image: Any, orientation: int) -> Any:
    from PIL.Image import Transpose  # noqa: PLC0415

    how = {
        2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
    }  # fmt: skip
    if orientation == _UPRIGHT:
        return image
    turned = image.transpose(how[orientation])
    turned.info = image.info  # a transparent colour stays one
    return turned


def _gray_palette(image: Any) -> bool:
    values = np.asarray(image.convert("RGB"))
    return bool((values[..., 0] == values[..., 1]).all() and (values[..., 0] == values[..., 2]).all())


def _seen_through(image: Any) -> bool:
    """Whether a pixel is transparent, also in part."""
    if image.mode.startswith("I"):
        return "transparency" in image.info and bool((np.asarray(image) == image.info["transparency"]).any())
    return bool(image.has_transparency_data) and image.convert("RGBA").getextrema()[3][0] < 255


def _check(seen: Seen, form: ImageForm, at: str, like: str) -> None:
    """Raises UnlikeImage with the setting that makes the image fit."""
    upper = "give data.image.bits=8, which keeps the upper 8 of 16"
    if seen.size != form.size and not form.resized:
        rule = f"has {_by(seen.size)} pixels (height x width) and {like} {_by(form.size)}"
        raise UnlikeImage(at, rule, f"give data.image.size=[{form.size[0]},{form.size[1]}] to resize all, or another size")
    if seen.channels != form.channels and not form.channels_asked:
        kinds = {1: "gray", 3: "in colour"}
        mend = "give data.image.channels=1 to make all gray, or data.image.channels=3 to make all colour"
        raise UnlikeImage(at, f"is {kinds[seen.channels]} and {like} {kinds[form.channels]}", mend)
    if seen.bits != form.bits and not form.bits_asked:
        raise UnlikeImage(at, f"has {seen.bits} bits a value and {like} {form.bits}", upper)
    if seen.cut and form.bits == 16:
        raise UnlikeImage(at, "has 16 bits a value beside colour or transparency, of which only 8 can be read", upper)
    if seen.seen_through and form.background is None:
        mend = "give data.image.background=white or black, which is what stands behind them"
        raise UnlikeImage(at, "has transparent pixels", mend)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _values(picture: Any, seen: Seen, form: ImageForm, at: str) -> Array:
    """The pixels [H, W, C] of an upright image that fits the form."""
    if picture.mode.startswith("I"):
        picture = _deep(picture, seen, form)
    else:
        picture = _opaque(picture, seen, form)
        picture = picture.convert("L" if form.channels == 1 else "RGB")
    if seen.size != form.size:
        picture = _resized(picture, form)
    values = np.asarray(picture)
    if picture.mode == "I":
        values = values.clip(0, 2**16 - 1).astype(np.uint16)
        values = (values >> 8).astype(np.uint8) if form.bits == 8 else values
    elif form.bits == 16:
        values = values.astype(np.uint16) * 257  # 255 becomes 65,535
    values = values.reshape(*values.shape[:2], -1)
    values = np.repeat(values, form.channels, axis=2) if values.shape[2] < form.channels else values
    assert values.shape == form.shape and values.dtype == form.dtype, f"{at}: {values.shape} {values.dtype}"
    return np.ascontiguousarray(values)


def _deep(picture: Any, seen: Seen, form: ImageForm) -> Any:
    """Gray values of 16 bits, in Pillow's 32."""
    from PIL import Image as pillow  # noqa: PLC0415

    values = np.asarray(picture).astype(np.int32)
    if seen.seen_through:
        values[values == picture.info["transparency"]] = 2**16 - 1 if form.background == "white" else 0
    return pillow.fromarray(values)


def _opaque(picture: Any, seen: Seen, form: ImageForm) -> Any:
    from PIL import Image as pillow  # noqa: PLC0415

    if not seen.seen_through:
        return picture.convert("RGBA").convert("RGB") if picture.has_transparency_data else picture
    behind = pillow.new("RGBA", picture.size, form.background)
    return pillow.alpha_composite(behind, picture.convert("RGBA")).convert("RGB")


def _resized(picture: Any, form: ImageForm) -> Any:
    from PIL import ImageOps  # noqa: PLC0415
    from PIL.Image import Resampling  # noqa: PLC0415

    size = form.size[::-1]
    if form.fit == "stretch":
        return picture.resize(size, Resampling.BILINEAR)
    return (ImageOps.fit if form.fit == "crop" else ImageOps.pad)(picture, size, Resampling.BILINEAR)
