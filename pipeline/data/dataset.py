"""What a data set is once loaded: three parts, names, a fingerprint, and what was done to it."""

# N rows, T targets
from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipeline.data.cells.columns import Encoder
from pipeline.records import record, setting
from pipeline.rows import Streamed, give_back

Array = npt.NDArray[Any]
Task = Literal["classification", "regression", "multilabel", "reconstruction"]
CHUNK_BYTES = 2**24  # of what is read at a time where all of it is looked at once


@record
class ImageForm:
    """What all images of a set are like, or are made: `size` (height, width), `channels` (1 gray, 3 colour), `bits` of a value.

    resized            whether others are resized, by `fit`;  background: what stands behind transparent pixels
    channels_asked, bits_asked   whether others are made so
    """

    size: tuple[int, int] = setting()
    channels: int = setting()
    bits: int = setting()
    resized: bool = setting(False)
    fit: Literal["stretch", "crop", "pad"] = setting("stretch")
    background: Literal["white", "black"] | None = setting(None)
    channels_asked: bool = setting(False)
    bits_asked: bool = setting(False)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a value."""
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return (*self.size, self.channels)


@dataclass(frozen=True, kw_only=True)
class DataShape:
    """Shape of one row without N, images as (H, W, C); the number of classes, or of predicted values: exactly one of the two.

    labels   whether the predicted values are labels, each 0 or 1 for itself
    """

    input_shape: tuple[int, ...]
    classes: int | None = None
    targets: int | None = None
    labels: bool = False

    def __post_init__(self) -> None:
        assert (self.classes is None) != (self.targets is None), "exactly one of classes and targets"


@dataclass(frozen=True, kw_only=True)
class Part:
    """x [N, *input_shape]; y int32 [N] for classes, float64 [N, T] for numbers; rows int64 [N], places in the source.

    x        float32, float64 or bytes, in memory or streamed from where it is stored
    weight   what each row counts in the loss, float64 [N]; None: every row counts once
    """

    x: Array | Streamed
    y: Array
    rows: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A loaded data set; validation and test may have 0 rows.

    rows         of a set with test files of its own, `test.rows` are places in those files
    encoder      how the columns of a table become x; None for arrays
    images       what images were made; None for all else
    notes        sentences about what was done to the data, to print and to record
    fingerprint  of the source, whatever its rows are divided into; see `fingerprint`
    division     what says which rows are held out: shares and seed
    """

    name: str
    task: Task
    shape: DataShape
    train: Part
    validation: Part
    test: Part
    fingerprint: str
    division: str = ""
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    encoder: Encoder | None = None
    images: ImageForm | None = None
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> int | None:
        """Number of classes; None where numbers are predicted."""
        return self.shape.classes


@dataclass(frozen=True, kw_only=True)
class Raw:
    """What a source gives: its rows, and its own validation and test rows where it has them.  x [N, *], y int32 [N] or float64 [N, T].

    x        any numeric type, or a file mapped into memory
    digest   of what the source holds, where x is not that but made of it for this split (a table); None: of x, y and the rest
    weights  of the rows (`train`) and of its own parts (`validation`, `test`), float64 [N]; empty where the config asks for none
    """

    x: Array | Streamed
    y: Array
    task: Task
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    validation: tuple[Array, Array] | None = None
    test: tuple[Array, Array] | None = None
    notes: list[str] = field(default_factory=list)
    weights: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    digest: str | None = None
    images: ImageForm | None = None

    @cached_property
    def fingerprint(self) -> str:
        """See `fingerprint`; of many splits it is made once."""
        return fingerprint(self)


def fingerprint(raw: Raw) -> str:
    """SHA-256 (hex) over names, shapes, types and bytes of all that a source gives, in its own order: the split has no part in it."""
    digest = hashlib.sha256()
    own = {"validation": raw.validation, "test": raw.test}
    assert raw.digest is not None or isinstance(raw.x, np.ndarray), "streamed rows have a digest of their source"
    arrays = {"y": raw.y} if raw.digest is not None else {"x": np.asarray(raw.x), "y": raw.y}
    arrays |= {
        f"{name}.{part}": array
        for part, pair in own.items()
        if pair is not None
        for name, array in zip("xy", pair, strict=True)
        if name == "y" or raw.digest is None
    }
    arrays |= {f"weight.{part}": array for part, array in raw.weights.items()}
    for name, array in arrays.items():
        digest.update(f"{name} {array.shape} {array.dtype.str};".encode())
        for part in by_chunks(array):
            digest.update(np.ascontiguousarray(part).data)
    digest.update((raw.digest or "").encode())
    return digest.hexdigest()


def by_chunks(array: Array) -> Iterator[Array]:
    """[N, ...] -> [n, ...] at most CHUNK_BYTES at a time, but at least one row: what is mapped from a file need not fit in memory."""
    size = max(1, CHUNK_BYTES * len(array) // max(array.nbytes, 1))
    for start in range(0, len(array), size):
        yield array[start : start + size]
        give_back(array)


def gathered(array: Array, rows: npt.NDArray[np.int64], columns: slice) -> Array:
    """array [N, C] -> those rows and columns [n, c], some rows at a time for the same reason."""
    made = np.empty((len(rows), len(range(*columns.indices(array.shape[1])))), array.dtype)
    size = max(1, CHUNK_BYTES * len(array) // max(array.nbytes, 1))
    for start in range(0, len(rows), size):
        made[start : start + size] = array[rows[start : start + size], columns]
        give_back(array)
    return made
