"""A data source of one's own."""

# N rows, T targets
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, dataclass_transform

import numpy as np
import numpy.typing as npt

from pipeline.data.arrays.archive import of_source
from pipeline.data.dataset import DataShape, Raw
from pipeline.data.load import SOURCES
from pipeline.data.load import Source as Entry
from pipeline.data.settings import KINDS, Data, own_settings
from pipeline.errors import ExtensionError
from pipeline.extend.declared import declare
from pipeline.extend.guard import guarded
from pipeline.records import record

Rows = Mapping[str, npt.ArrayLike] | tuple[npt.ArrayLike, npt.ArrayLike]


@record
class Source:
    """A data source: its fields are the settings that `data.settings` holds."""

    def read(self) -> Rows:
        """(x, y), or the arrays x and y, and where there are parts of its own x_test, y_test, x_validation, y_validation.

        x [N, ...] numbers; y [N] of classes, numbers or words, or [N, T] of numbers; `data.task` decides where both are possible.
        The same settings give the same rows: the split, the fingerprint and resumed runs rest on that.
        """
        raise NotImplementedError

    def shape(self) -> DataShape | None:
        """The shape of the rows where it is known without reading them."""
        return None


S = TypeVar("S", bound=Source)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def source(kind: str, *, examples: Sequence[Mapping[str, Any]] = ({},)) -> Callable[[type[S]], type[S]]:
    """Makes a class a record and the data source `kind`: `data=KIND data.settings.NAME=VALUE`.

    examples  settings that the contract test tries
    Raises ExtensionError.
    """

    def made(cls: type[S]) -> type[S]:
        if cls.read is Source.read:
            raise ExtensionError(f"{cls.__module__}: data source {kind}: reads nothing; give it read(self)")
        result = record(cls)
        declare("data source", kind, result, KINDS, examples)
        KINDS[kind] = result
        SOURCES[kind] = Entry(_read(kind), _shape(kind))
        return result

    return made


def _read(kind: str) -> Callable[[Data], Raw]:
    def read(config: Data) -> Raw:
        """What the source gives, looked at as arrays in memory are."""
        with guarded(f"data source {kind}"):
            found = own_settings(config).read()
            arrays = dict(found) if isinstance(found, Mapping) else dict(zip(("x", "y"), found, strict=True))
            made = {str(name): np.asarray(array) for name, array in arrays.items()}
        return of_source(made, config)

    return read


def _shape(kind: str) -> Callable[[Data], DataShape | None]:
    def shape(config: Data) -> DataShape | None:
        with guarded(f"data source {kind}"):
            found: DataShape | None = own_settings(config).shape()
        return found

    return shape
