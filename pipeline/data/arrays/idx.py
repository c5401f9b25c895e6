"""MNIST and Fashion-MNIST: four idx files, gzip or plain, in one folder (LeCun, Cortes & Burges; Xiao, Rasul & Vollgraf 2017).

An idx file is 0 0 type dimensions, then each dimension as a big-endian uint32, then the values; the type here is 8, unsigned bytes.
"""

# N images, H W pixels
from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.dataset import Raw
from pipeline.data.settings import Data
from pipeline.data.storage.files import located, map_bytes, unreadable
from pipeline.data.storage.memory import memory_bytes
from pipeline.errors import DataError

CLASS_NAMES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
}

AGAIN = "get the file again, this one is cut short or damaged"
Bytes = npt.NDArray[np.uint8]


def idx_images(config: Data) -> Raw:
    """The training files, with the test files as the test part: x uint8 [N, H, W, 1], y int32 [N].  Raises DataError."""
    root = located(str(config.root))
    x, y = _pair(config, root, "train")
    test = _pair(config, root, "t10k")
    if test[0].shape[1:] != x.shape[1:]:
        sizes = " and ".join("x".join(map(str, images.shape[1:3])) for images in (x, test[0]))
        raise DataError(f"data.root = {root}: training and test images have different sizes, {sizes}; give the files of one data set")
    notes = [f"the test part is the {len(test[0])} images of the t10k files; data.split.test is not used"]
    return Raw(x=x, y=y, task="classification", class_names=CLASS_NAMES[config.kind], test=test, notes=notes)


def read_idx(path: Path, *, at: str) -> Bytes:
    """The array of one idx file -> uint8 [N, ...], read-only; of a plain file only what is used is read.  Raises DataError."""
    content, whole = _unpacked(map_bytes(path, at=at), path, at=at)
    head = bytes(content[:4])
    if len(content) < 4 or (head[:3] == b"\x00\x00\x08" and len(content) < 4 + 4 * content[3]):
        raise DataError(f"{at} = {path}: ends within its header, after {len(content)} bytes; {AGAIN}")
    shape = _shape(head, content)
    if shape is None:
        raise DataError(f"{at} = {path}: starts with {head.hex(' ')}, not 00 00 08; give an idx file of unsigned bytes")
    start = 4 + 4 * len(shape)
    expected = start + math.prod(shape)
    if len(content) != expected:
        there = f"{len(content)} are" if len(content) < expected or content.obj.__class__ is not bytes else "more are"
        raise DataError(f"{at} = {path}: its header promises {expected} bytes and {there} there; {AGAIN}")
    if not whole:
        raise DataError(f"{at} = {path}: its gzip stream ends before its checksum; {AGAIN}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _shape(head: bytes, content: memoryview) -> tuple[int, ...] | None:
    """What a whole header promises; None for another file."""
    if head[:3] != b"\x00\x00\x08" or not 1 <= head[3] <= 4:
        return None
    return struct.unpack(f">{head[3]}I", content[4 : 4 + 4 * head[3]])


def _unpacked(content: memoryview, path: Path, *, at: str) -> tuple[memoryview, bool]:
    """The content of a gzip stream, or as much as one that is cut short still holds, and whether it is whole; other bytes as they are.

    Unpacked is no more than the header promises and a byte.
    """
    if bytes(content[:2]) != b"\x1f\x8b":
        return content, True
    stream = zlib.decompressobj(wbits=31)
    try:
        head = stream.decompress(content, 4 + 4 * 4)
        shape = _shape(head[:4], memoryview(head)) if len(head) >= 4 and len(head) >= 4 + 4 * head[3] else None
        if shape is None:
            return memoryview(head), stream.eof
        promised = math.prod(shape)
        if promised > memory_bytes() // 2:
            raise DataError(
                f"{at} = {path}: its header promises {promised / 1e9:.3g} GB, more than half of the memory; unpack it with gunzip"
            )
        return memoryview(head + stream.decompress(stream.unconsumed_tail, promised + 1)), stream.eof
    except zlib.error as error:
        raise DataError(f"{at} = {path}: the gzip stream is damaged; get the file again") from error


def _pair(config: Data, root: Path, part: str) -> tuple[Bytes, npt.NDArray[Any]]:
    """Images [N, H, W, 1] and labels [N] of `train` or `t10k`."""
    images_path, labels_path = _find(root, f"{part}-images", 3), _find(root, f"{part}-labels", 1)
    images, labels = read_idx(images_path, at="data.root"), read_idx(labels_path, at="data.root")
    for path, array, dimensions in ((images_path, images, 3), (labels_path, labels, 1)):
        if array.ndim != dimensions:
            raise DataError(f"data.root = {path}: has {array.ndim} dimensions, not {dimensions}; images and labels may be exchanged")
    if not images.size:
        raise DataError(f"data.root = {images_path}: holds no images; give the files of a data set")
    if len(images) != len(labels):
        raise DataError(f"data.root = {labels_path}: {len(labels)} labels for {len(images)} images; give the files of one data set")
    classes = len(CLASS_NAMES[config.kind])
    if len(labels) and labels.max() >= classes:
        row = int(np.argmax(labels >= classes))
        rule = f"label {labels[row]} of row {row} is not below {classes}"
        raise DataError(f"data.root = {labels_path}: {rule}; give the files of {config.kind}")
    return images[..., None], labels.astype(np.int32)


def _find(root: Path, stem: str, dimensions: int) -> Path:
    """The file `train-images` -> train-images-idx3-ubyte or train-images.idx3-ubyte, .gz or plain."""
    names = [f"{stem}{separator}idx{dimensions}-ubyte{ending}" for ending in ("", ".gz") for separator in "-."]
    try:
        present = {entry.name for entry in root.iterdir()}
    except FileNotFoundError as error:
        raise DataError(f"data.root = {root}: no such folder; give the folder that holds {names[2]}") from error
    except NotADirectoryError as error:
        raise DataError(f"data.root = {root}: is not a folder; give the folder that holds {names[2]}") from error
    except OSError as error:
        raise unreadable(root, error, at="data.root") from error
    for name in names:
        if name in present:
            return root / name
    raise DataError(f"data.root = {root}: holds no {names[2]} (nor {names[0]}); give the folder with the four idx files")
