"""What a data set is once loaded: three parts, names, a fingerprint, and what was done to it."""

# N rows, T targets
from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Task = Literal["classification", "regression", "reconstruction"]


@dataclass(frozen=True, kw_only=True)
class DataShape:
    """Shape of one row without N, images as (H, W, C); the number of classes, or of predicted values: exactly one of the two."""

    input_shape: tuple[int, ...]
    classes: int | None = None
    targets: int | None = None

    def __post_init__(self) -> None:
        assert (self.classes is None) != (self.targets is None), "exactly one of classes and targets"


@dataclass(frozen=True, kw_only=True)
class Part:
    """x float32 or float64 [N, *input_shape]; y int32 [N] for classes, float64 [N, T] for numbers; rows int64 [N], places in the source.

    weight   what each row counts in the loss, float64 [N]; None: every row counts once
    """

    x: Array
    y: Array
    rows: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A loaded data set; validation and test may have 0 rows.

    rows         of a set with test files of its own, `test.rows` are places in those files
    encoder      how the columns of a table become x, as JSON; None for arrays
    notes        sentences about what was done to the data, to print and to record
    fingerprint  see `fingerprint`
    """

    name: str
    task: Task
    shape: DataShape
    train: Part
    validation: Part
    test: Part
    fingerprint: str
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    encoder: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> int | None:
        """Number of classes; None where numbers are predicted."""
        return self.shape.classes


@dataclass(frozen=True, kw_only=True)
class Raw:
    """What a source gives: its rows, and its own validation and test rows where it has them.  x [N, *], y int32 [N] or float64 [N, T].

    weights  of the rows (`train`) and of its own parts (`validation`, `test`), float64 [N]; empty where the config asks for none
    """

    x: Array
    y: Array
    task: Task
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    validation: tuple[Array, Array] | None = None
    test: tuple[Array, Array] | None = None
    notes: list[str] = field(default_factory=list)
    weights: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)


def fingerprint(*parts: Part) -> str:
    """SHA-256 (hex) over names, shapes, types and bytes of the arrays of `parts`.  SHA-256 for its CPU instructions: 1.2 GB/s here."""
    digest = hashlib.sha256()
    for part in parts:
        weight = () if part.weight is None else (("weight", part.weight),)
        for name, array in (("x", part.x), ("y", part.y), ("rows", part.rows), *weight):
            digest.update(f"{name} {array.shape} {array.dtype.str};".encode())
            digest.update(np.ascontiguousarray(array).data if array.size else b"")
    return digest.hexdigest()
