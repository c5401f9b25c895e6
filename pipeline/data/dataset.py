"""What a data set is, once it is in memory."""

# N rows, T targets
from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class DataShape:
    """input_shape of one row (images [H, W, C]) and either the number of classes or the number of targets."""

    input_shape: tuple[int, ...]
    classes: int | None = None
    targets: int | None = None


@dataclass(frozen=True, kw_only=True)
class Part:
    """x float32 [N, *input_shape]; y int32 [N] for classes, float64 [N, T] for numbers; rows: where they stood in the source."""

    x: Array
    y: Array
    rows: Array


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The three parts and what is known of them.

    encoder      how the columns of a table become x (JSON); None for arrays
    fingerprint  of all arrays, 64 hex digits
    notes        sentences on what was done to the data
    """

    name: str
    task: Literal["classification", "regression"]
    train: Part
    validation: Part
    test: Part
    shape: DataShape
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    fingerprint: str = ""
    notes: tuple[str, ...] = ()
    encoder: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Source:
    """Rows before the split.  `test` holds rows that a set keeps for testing itself."""

    x: Array
    y: Array
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    test: tuple[Array, Array] | None = None
    notes: tuple[str, ...] = field(default=())


def fingerprint(*parts: Part) -> str:
    """The BLAKE2b digest of shapes, types and bytes of all parts."""
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        for array in (part.x, part.y):
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data if array.size else b"")
    return digest.hexdigest()
