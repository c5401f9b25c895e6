"""A block of a column, as Arrow gives it -> numbers, or text.

Text is plain numbers where Arrow casts it, which takes digits, a point and a power of ten and nothing else, and where that loses nothing.
"""

# n rows of a block
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipeline.data.cells.columns import Missing
from pipeline.data.cells.dates import days_of_iso
from pipeline.data.cells.infer import EXACT

Array = npt.NDArray[Any]
Typed = Literal["number", "boolean", "date", "time"]


def plain_numbers(array: Any, missing: Missing) -> Array | None:
    """Arrow text [n] -> numbers [n] of the smallest type, NaN where a cell is missing; None where a cell is no plain number.

    Nor where two cells that differ would be one number, or the number is not the one that is written: 007, 3E7, 2^53 + 1.
    """
    numbers = _cast(array)
    if numbers is None:
        numbers = _cast(_cleaned(array, missing))
    return numbers


def _cast(array: Any) -> Array | None:
    import pyarrow as pa  # noqa: PLC0415

    if array.null_count == len(array):
        return np.full(len(array), np.nan)
    dense = array.drop_null() if array.null_count else array  # the text of a null may still be there
    try:
        whole = array.cast(pa.int64())
    except pa.ArrowInvalid:
        whole = None
    if whole is not None:
        present = whole.drop_null() if whole.null_count else whole
        values = present.to_numpy()
        if _as_written(dense, values):
            return whole.to_numpy(zero_copy_only=False) if whole.null_count else _small(values)
        return None
    try:
        values = array.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    return values.to_numpy(zero_copy_only=False) if _no_code(dense) else None


def with_point(array: Any) -> bool:
    """Whether a cell of Arrow text [n] has a point."""
    import pyarrow.compute as pc  # noqa: PLC0415

    return bool(pc.any(pc.match_substring(array, ".")).as_py())


def _as_written(array: Any, values: Array) -> bool:
    """Whether the cells are the whole numbers `values` as one writes them: no zeros before them, which would make their text longer."""
    start, stop = (int(offset) for offset in _offsets(array)[[0, -1]])
    low, high = int(values.min()), int(values.max())
    if max(abs(low), abs(high)) > EXACT:
        return False
    digits = len(values) + (int(np.count_nonzero(values < 0)) if low < 0 else 0)
    size, power = np.abs(values) if low < 0 else values, 10
    while power <= max(abs(low), abs(high)):
        digits += int(np.count_nonzero(size >= power))
        power *= 10
    return digits == stop - start


def _no_code(array: Any) -> bool:
    """Whether no cell is infinite, not a number, a whole number with a power (3E7), or has zeros before it."""
    import pyarrow.compute as pc  # noqa: PLC0415

    offsets = _offsets(array)
    text = array.buffers()[2]
    if text is None:
        return True
    data = np.frombuffer(text, np.uint8)
    content = text.slice(int(offsets[0]), int(offsets[-1] - offsets[0])).to_pybytes()
    if b"n" in content or b"N" in content:
        return False
    if (b"e" in content or b"E" in content) and pc.any(pc.match_substring_regex(array, r"^\d+[eE]\d+$")).as_py():
        return False
    starts, lengths = offsets[:-1], np.diff(offsets)
    signed = np.isin(data[np.minimum(starts, len(data) - 1)], (43, 45)) & (lengths > 1)
    starts, lengths = starts + signed, lengths - signed
    zeros = np.flatnonzero((lengths > 1) & (data[np.minimum(starts, len(data) - 1)] == 48))
    second = data[starts[zeros] + 1]
    if not bool(((second >= 48) & (second <= 57)).any()):
        return not _too_long(array, lengths)
    return False


def _too_long(array: Any, lengths: Array) -> bool:
    """Whether a whole number of so many digits is there that a float64 may be another one."""
    import pyarrow.compute as pc  # noqa: PLC0415

    return bool(lengths.max(initial=0) >= 16 and pc.any(pc.match_substring_regex(array, r"^[+-]?\d{16,}$")).as_py())


def _offsets(array: Any) -> Array:
    return np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]


def _cleaned(array: Any, missing: Missing) -> Any:
    """Without the blanks around cells, null where one is missing."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    trimmed = pc.utf8_trim_whitespace(array)
    distinct = pc.unique(trimmed.slice(0, 4096)).to_pylist()
    if not any(text is not None and missing.holds(text) for text in distinct) and len(trimmed) <= 4096:
        return trimmed
    gone = {text for text in pc.unique(trimmed).to_pylist() if text is not None and missing.holds(text)}
    return pc.if_else(pc.is_in(trimmed, pa.array(sorted(gone), pa.string())), pa.scalar(None, pa.string()), trimmed) if gone else trimmed


def shapes(cells: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """Counted cells -> (the first cell, the shape, how often) of each shape.

    A shape has 8 in place of a number, but one of nines alone, Z in place of one with a zero before it, a in place of a longer word.
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    texts, shape = list(cells), pa.array(cells, pa.string())
    for pattern, mark in ((r"\b0\d+", "Z"), (r"\d*[0-8]\d*", "8"), (r"\p{L}[\p{L} ]{3,}", "a")):
        shape = pc.replace_substring_regex(shape, pattern, mark)
    coded = shape.dictionary_encode()
    _, first, places = np.unique(coded.indices.to_numpy(), return_index=True, return_inverse=True)
    counts = np.bincount(places, np.fromiter(cells.values(), np.float64))
    return [(texts[at], shape[int(at)].as_py(), int(count)) for at, count in sorted(zip(first, counts, strict=True))]


def typed(array: Any, missing: Missing) -> tuple[Typed, Array] | None:
    """A column that has a type: its kind and numbers [n]; None for text, which `texts` gives."""
    import pyarrow as pa  # noqa: PLC0415

    kind, types = array.type, pa.types
    if types.is_dictionary(kind):
        array, kind = array.cast(kind.value_type), kind.value_type
    if types.is_boolean(kind):
        return "boolean", _floats(array.cast(pa.int8()))
    if types.is_timestamp(kind) or types.is_date(kind):
        microseconds = array.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False).cast(pa.int64())
        days = _floats(microseconds) / 1e6 / 86400  # rounded as the same moment in a text is
        gone = [day for word in missing.words if (day := days_of_iso(word)) is not None]
        return "date", np.where(np.isin(days, gone), np.nan, days) if gone else days
    if types.is_time(kind):
        seconds = _floats(array.cast(pa.time64("us"), safe=False).cast(pa.int64())) / 1e6
        return "time", seconds // 3600 + seconds // 60 % 60 / 60 + np.round(seconds % 60, 6) / 3600
    if types.is_duration(kind):
        return "number", _floats(array.cast(pa.duration("us"), safe=False).cast(pa.int64())) / 1e6
    if types.is_integer(kind):
        values = without(_floats(array), missing)
        return None if np.nanmax(np.abs(values), initial=0) > EXACT else ("number", _small(values))
    if types.is_decimal(kind):
        array = array.cast(pa.string())  # the number nearest to the digits; the other way is rounded twice
    if types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind):
        return "number", _small(without(_floats(array.cast(pa.float64(), safe=False)), missing))
    return None


def texts(array: Any) -> Any:
    """The cells of a column as Arrow text, the way a text file has them."""
    import pyarrow as pa  # noqa: PLC0415

    kind, types = array.type, pa.types
    if types.is_string(kind):
        return array
    if types.is_dictionary(kind):
        return texts(array.cast(kind.value_type))
    if types.is_large_string(kind) or types.is_string_view(kind) or types.is_integer(kind):
        return array.cast(pa.string())
    return pa.array([_text(value) for value in array.to_pylist()], pa.string())


def _text(value: Any) -> str | None:
    if value is None or value != value:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < EXACT else repr(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def readable(kind: Any) -> bool:
    """Whether a column of this Arrow type has numbers, words, dates or times."""
    import pyarrow as pa  # noqa: PLC0415

    types = pa.types
    return not (
        types.is_nested(kind)
        or types.is_interval(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
    )


def _floats(array: Any) -> Array:
    """Arrow numbers [n] as float64, NaN for null."""
    return np.asarray(array.to_numpy(zero_copy_only=False), np.float64).copy()


def without(values: Array, missing: Missing) -> Array:
    """Numbers [n] -> [n], NaN in place of those that stand for a missing cell."""
    return np.where(np.isin(values, missing.values), np.nan, values) if missing.values else values


def whole(values: Array) -> bool:
    """Whether all numbers [n] that are there are whole."""
    present = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    return bool(np.all(present == np.floor(present)))


def _small(values: Array) -> Array:
    """The same numbers in the smallest type, as they are where some are missing or no whole ones."""
    if not len(values) or (values.dtype.kind == "f" and not (np.isfinite(values).all() and whole(values))):
        return values
    return values.astype(smallest(float(values.min()), float(values.max()), False))


def smallest(low: float, high: float, missing: bool) -> np.dtype[Any]:
    """The smallest type for whole numbers."""
    if missing:
        return np.dtype(np.float32 if max(abs(low), abs(high)) <= 2**24 else np.float64)
    if low >= 0 and high <= 255:
        return np.dtype(np.uint8)
    if low >= -(2**15) and high < 2**15:
        return np.dtype(np.int16)
    return np.dtype(np.float32 if max(abs(low), abs(high)) <= 2**24 else np.float64)
