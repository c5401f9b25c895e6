"""A preprocessing step of one's own."""

# N rows, F... shape of one row, G... shape of a row that was made
from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, dataclass_transform

import numpy as np

from pipeline.errors import DataError, ExtensionError
from pipeline.extend.declared import declare
from pipeline.extend.guard import guarded
from pipeline.preprocessing.statistics import Array, Arrays, Chunks
from pipeline.preprocessing.steps import MADE, ROW, STEPS
from pipeline.preprocessing.steps import Step as Entry
from pipeline.records import plain, read, record

Fitted = Mapping[str, Array]  # what `fit` gave
_SETTINGS = "_settings"


@record
class Step:
    """A preprocessing step: its fields are the settings that `preprocessing.settings.KIND` holds."""

    def fit(self, chunks: Chunks) -> Arrays:
        """What is learned of the training rows: each call of `chunks` goes over them once, float64 [n, F...] at a time."""
        return {}

    def apply(self, x: Array, arrays: Fitted) -> Array:
        """x [n, F...] -> [n, G...], each row by itself, with what `fit` gave; it may write into x."""
        raise NotImplementedError


S = TypeVar("S", bound=Step)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def step(kind: str, *, examples: Sequence[Mapping[str, Any]] = ({},)) -> Callable[[type[S]], type[S]]:
    """Makes a class a record and the step `kind` of `preprocessing.steps`.

    examples  settings that the contract test tries
    Raises ExtensionError.
    """

    def made(cls: type[S]) -> type[S]:
        if cls.apply is Step.apply:
            raise ExtensionError(f"{cls.__module__}: preprocessing step {kind}: does nothing; give it apply(self, x, arrays)")
        result = record(cls)
        declare("preprocessing step", kind, result, STEPS, examples)
        STEPS[kind] = Entry(_fit(kind, result), _apply(kind, result), reads=("settings",), own=result)
        return result

    return made


def _fit(kind: str, made: type[Step]) -> Callable[..., tuple[Arrays, list[str]]]:
    def fit(chunks: Chunks, *, settings: Mapping[str, Any]) -> tuple[Arrays, list[str]]:
        """The arrays of the step, and beside them its settings and the shapes of a row before and after it."""
        own = read(made, settings.get(kind, {}), at=f"preprocessing.settings.{kind}")
        with guarded(f"preprocessing step {kind}"):
            found = {name: np.asarray(array) for name, array in own.fit(chunks).items()}
        if wrong := next((name for name, array in found.items() if name.startswith("_") or array.dtype.kind not in "fiub"), None):
            rule = "is no array of numbers with a name of letters"
            raise ExtensionError(f"preprocessing step {kind}: fit() gives {wrong}, which {rule}; give numbers by name")
        first = next(iter(chunks()))[:2]
        found[_SETTINGS] = np.frombuffer(json.dumps(plain(own)).encode(), np.uint8).copy()
        found[ROW] = np.array(first.shape[1:], np.int64)
        with guarded(f"preprocessing step {kind}"):
            found[MADE] = np.array(np.shape(own.apply(first.copy(), _theirs(found)))[1:], np.int64)
        return found, []

    return fit


def _apply(kind: str, made: type[Step]) -> Callable[[Array, Mapping[str, Array]], Array]:
    def apply(x: Array, arrays: Mapping[str, Array]) -> Array:
        """x [n, F...] -> [n, G...].  Raises DataError for rows that are not finite, ExtensionError."""
        own = read(made, json.loads(arrays[_SETTINGS].tobytes()), at=f"preprocessing.settings.{kind}")
        rows = len(x)
        with guarded(f"preprocessing step {kind}"):
            result = np.asarray(own.apply(x, _theirs(arrays)))
        wanted = (rows, *arrays[MADE].tolist())
        if result.shape != wanted or result.dtype.kind not in "fiub":
            rule = f"apply() gives {result.dtype} {list(result.shape)}; give numbers [{', '.join(map(str, wanted))}]"
            raise ExtensionError(f"preprocessing step {kind}: {rule}")
        if not np.isfinite(result).all():
            row = int(np.argwhere(~np.isfinite(result))[0][0])
            raise DataError(f"preprocessing step {kind}: apply() makes a number that is not finite of row {row} of a chunk; mend the step")
        return result

    return apply


def _theirs(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: array for name, array in arrays.items() if not name.startswith("_")}
