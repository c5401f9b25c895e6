"""Folders of small pictures, and a data set of them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image as pillow

from pipeline.data import Data, Split, load
from pipeline.data.settings import Image

WHOLE = Split(validation=0.0, test=0.0)
RNG = np.random.default_rng(3)
SKIP = "give data.image.skip=true, which leaves out what cannot be read"


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


def colour16(values: np.ndarray) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    lines = b"".join(b"\0" + line.tobytes() for line in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
