"""Rows in memory from Python: arrays, and tables of pandas, Polars or Arrow, read as those in files are."""

# N rows, T targets
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.sources.batches import BATCH_ROWS, ArrowSource, Source
from pipeline.errors import DataError

Array = npt.NDArray[Any]
TARGET = "y"  # the column of targets that are given beside a frame


@dataclass(frozen=True, kw_only=True)
class Given:
    """x an array [N, ...] or a frame; y [N] or [N, T], None where a column of the frame is the target; weight [N] of the rows."""

    x: Any
    y: Any = None
    weight: Any = None

    @property
    def framed(self) -> bool:
        """Whether x is a table."""
        return is_frame(self.x)

    def arrays(self) -> dict[str, Array]:
        """x and y [N, ...] by name, and the weight, as the arrays of an npz file are.  Raises DataError."""
        if self.y is None:
            raise DataError("data = arrays: y is missing; give pipeline.train(cfg, x, y), or a table and target=COLUMN")
        given = {"x": self.x, "y": self.y} | ({} if self.weight is None else {"sample_weight": self.weight})
        return {name: _of_values(np.asarray(value), name) for name, value in given.items()}

    def source(self) -> Source:
        """The rows of the frame, with the columns of y and of the weight where these are given beside it.  Raises DataError."""
        table = _arrow(self.x, "data = arrays")
        for name, values in ((TARGET, self.y), ("sample_weight", self.weight)):
            if values is not None:
                table = _beside(table, name, values)
        return _source(table, "data = arrays")


def is_frame(x: object) -> bool:
    """Whether x is a table with named columns: of pandas, Polars or Arrow."""
    return (
        not isinstance(x, np.ndarray | list | tuple) and hasattr(x, "columns") and (hasattr(x, "__arrow_c_stream__") or hasattr(x, "iloc"))
    )


def in_memory(
    cfg: Mapping[str, Any], x: Any, y: Any, *, target: str | Sequence[str] | None, weight: Any
) -> tuple[Mapping[str, Any], Given | None]:
    """`cfg` for the rows that are given, with data=arrays, and these; as it is where there are none.  Raises DataError."""
    if x is None:
        if y is not None or weight is not None or target is not None:
            raise DataError("data = arrays: x is missing; give pipeline.train(cfg, x, y), or a table and target=COLUMN")
        return cfg, None
    given = Given(x=x, y=y, weight=weight)
    if given.framed and target is not None and y is not None:
        raise DataError("data = arrays: both y and target are given; give one of them")
    if not given.framed and target is not None:
        raise DataError(f"data = arrays: target = {target} names a column, and x is an array; give y, or a table with named columns")
    own: dict[str, Any] = {"kind": "arrays"}
    if given.framed and (target is not None or y is not None):
        own["target"] = TARGET if target is None else target if isinstance(target, str) else list(target)
    if weight is not None:
        own["sample_weight"] = "sample_weight"
    return {**cfg, "data": {**cfg.get("data", {}), **own}}, given


def frame_source(frame: Any) -> Source:
    """The rows of a table.  Raises DataError."""
    return _source(_arrow(frame, "x"), "x")


def _arrow(frame: Any, label: str) -> Any:
    """The table of Arrow that a frame is."""
    import pyarrow as pa  # noqa: PLC0415  # 0.1 s that only tables need

    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.table(frame)
    if not hasattr(frame, "iloc"):
        return frame.to_arrow() if hasattr(frame, "to_arrow") else pa.table(frame)
    names = [str(name) for name in frame.columns]
    _check_names(names, label)
    columns = [_column(pa, name, frame.iloc[:, place], label) for place, name in enumerate(names)]
    return pa.Table.from_arrays(columns, names=names)


def _column(pa: Any, name: str, series: Any, label: str) -> Any:
    """A column of pandas; one of Python objects becomes what all of them are: numbers, words, dates, or each as it is written."""
    if hasattr(series, "sparse"):
        series = series.sparse.to_dense()
    if getattr(series.dtype, "tz", None) is not None:
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        pass
    texts = [None if value is None or value != value else str(value) for value in series.tolist()]
    try:
        return pa.array(texts, pa.string())
    except (pa.ArrowInvalid, UnicodeEncodeError) as error:
        raise DataError(f"{label}: column {name} holds neither numbers, words nor dates; leave it out") from error


def _beside(table: Any, name: str, values: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    if name in table.column_names:
        raise DataError(f"data = arrays: the table has a column {name} and {name} is given beside it; name the column with target={name}")
    if len(values) != table.num_rows:
        raise DataError(f"data = arrays: x has {table.num_rows} rows and {name} {len(values)}; give one for each row")
    if np.ndim(values) != 1:
        raise DataError(f"data = arrays: {name} beside a table has {np.ndim(values)} axes; give one column [N]")
    return table.append_column(name, _column(pa, name, _listed(values), "data = arrays"))


def _listed(values: Any) -> Any:
    return values if hasattr(values, "tolist") else np.asarray(values)


def _check_names(names: Sequence[str], label: str) -> None:
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise DataError(f"{label}: two columns are named {twice}; rename one")


def _source(table: Any, label: str) -> Source:
    names = tuple(table.column_names)
    _check_names(names, label)
    if not table.num_rows or not names:
        raise DataError(f"{label}: has no rows; give a table with data")

    def read(columns: Sequence[str]) -> Iterator[Any]:
        yield from table.select(list(columns)).to_batches(max_chunksize=BATCH_ROWS)

    return ArrowSource(label, names, read)


def _of_values(values: Array, name: str) -> Array:
    """An array [N, ...] of Python objects as what all of them are, numbers or words."""
    if values.dtype != object:
        return values
    present = values.reshape(-1).tolist()
    if all(isinstance(value, str) for value in present):
        return values.astype(str)
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"data = arrays, {name}: holds Python objects that are neither all numbers nor all words; convert them") from error
