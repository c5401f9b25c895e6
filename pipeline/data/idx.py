"""MNIST's idx files, plain or gzipped (LeCun, Cortes & Burges; the format is described with the set)."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from pipeline.data.dataset import Array, DataShape, Source
from pipeline.errors import ConfigError, DataError

SHAPE = DataShape(input_shape=(28, 28, 1), classes=10)
FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_IMAGES, _LABELS = 0x00000803, 0x00000801


def load(kind: str, root: str | None) -> Source:
    """The 60,000 training and 10,000 test images [28, 28, 1], values 0 to 255.  Raises ConfigError and DataError."""
    if root is None:
        raise ConfigError(at="data.root", got=None, rule=f"{kind} is read from idx files", hint="give data.root=FOLDER that holds them")
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise ConfigError(at="data.root", got=root, rule="is no folder", hint="give the folder that holds train-images-idx3-ubyte[.gz]")
    x, y = _pair(folder, "train")
    names = FASHION if kind == "fashion_mnist" else tuple("0123456789")
    return Source(x=x, y=y, class_names=names, test=_pair(folder, "t10k"))


def _pair(folder: Path, part: str) -> tuple[Array, Array]:
    images_path, labels_path = _find(folder, f"{part}-images", 3), _find(folder, f"{part}-labels", 1)
    images, labels = read(images_path, _IMAGES), read(labels_path, _LABELS)
    if len(images) != len(labels):
        raise DataError(f"{images_path}: {len(images)} images, but {labels_path.name} has {len(labels)} labels; fetch both files again")
    return images.astype(np.float32)[..., None], labels.astype(np.int32)


def _find(folder: Path, name: str, axes: int) -> Path:
    names = [f"{name}{dash}idx{axes}-ubyte{ending}" for dash in "-." for ending in ("", ".gz")]
    for candidate in names:
        if (folder / candidate).is_file():
            return folder / candidate
    raise DataError(f"{folder / names[0]}: no such file, nor with .gz; give the folder of the idx files as data.root")


def read(path: Path, magic: int) -> Array:
    """The array of one idx file of unsigned bytes: magic number, sizes (big-endian 32-bit), then the bytes.  Raises DataError."""
    try:
        raw = path.read_bytes()
        data = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except PermissionError as error:
        raise DataError(f"{path}: may not be read; change its permissions") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: is cut off or no gzip file; fetch it again") from error
    axes = magic & 0xFF
    header = 4 * (1 + axes)
    if not data:
        raise DataError(f"{path}: is empty; fetch it again")
    if len(data) < header or struct.unpack(">I", data[:4])[0] != magic:
        raise DataError(f"{path}: does not begin with the idx number {magic:#010x}; give the file that train-images or train-labels names")
    shape = struct.unpack(f">{axes}I", data[4:header])
    if len(data) != header + math.prod(shape):
        found, expected = len(data) - header, math.prod(shape)
        raise DataError(f"{path}: holds {found} of the {expected} bytes that its header promises; it is cut off, fetch it again")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)
