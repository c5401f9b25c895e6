"""What a caller may hand to a program as x, y and order.  Native code checks no index, so everything is checked here."""

# N rows, S steps, B batch rows, C classes, T targets
from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.graph.values import Array
from pipeline.layers.graph import LayerGraph
from pipeline.recipe.losses import LOSSES
from pipeline.rows import Streamed, is_known_finite, not_finite, one_hot, shown_place


def check_x(x: npt.ArrayLike, network: LayerGraph) -> Array | Streamed:
    """x as a contiguous array of numbers [N, ...]; rows that are streamed stay so.  Raises DataError."""
    array = x if isinstance(x, Streamed) else check_numbers(x)
    if array.ndim == 0 or array.shape[1:] != network.input_shape:
        wanted = ", ".join(map(str, ("N", *network.input_shape)))
        raise DataError(f"x has shape {list(array.shape)}: must be [{wanted}]; give rows as the data declares them")
    return array if isinstance(array, Streamed) else np.ascontiguousarray(array)


def check_numbers(x: npt.ArrayLike) -> Array:
    """x [N, ...] as an array of real numbers.  Raises DataError."""
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise DataError(f"x has dtype {array.dtype}: must hold real numbers; turn text into numbers first")
    return array


def check_finite(x: Array | Streamed, y: Array | Streamed | None = None, order: npt.NDArray[np.int64] | None = None) -> None:
    """Whether the numbers of x [N, ...] and y [N, T] are finite, of the rows in `order` where it is given.  Raises DataError.

    Streamed rows and those of a data set were looked at when they were read.
    """
    for name, array in (("x", x),) if y is None else (("x", x), ("y", y)):
        if isinstance(array, Streamed) or array.dtype.kind != "f":
            continue
        if len(array) == 1 and _finite_row(array):  # a single row waits for nothing else
            continue
        if not is_known_finite(array):
            _look_at(array, name, order)


def _finite_row(x: Array) -> bool:
    numbers = x.ravel()
    return math.isfinite(numbers.dot(numbers))


def _look_at(array: Array, name: str, order: npt.NDArray[np.int64] | None) -> None:
    used = np.unique(order) if order is not None and order.size < len(array) else None
    place = not_finite(array if used is None else array[used])
    if place is not None:
        place = place if used is None else (int(used[place[0]]), *place[1:])
        raise DataError(f"{name}: {shown_place(place)} is {array[place]}; every number must be finite")


def check_y(y: npt.ArrayLike, network: LayerGraph, rows: int) -> Array | Streamed:
    """y as classes int32 [N] or numbers [N, T]; numbers that are streamed stay so.  Raises DataError.

    Classes may be one-hot [N, C], a single 1 among zeros a row.
    """
    if LOSSES.rule(network.loss).classes:
        return _classes(np.asarray(y), rows, max(2, network.output.shape[-1]))
    targets, array = network.output.shape[-1], y if isinstance(y, Streamed) else np.asarray(y)
    if array.dtype.kind not in "fiub":
        raise DataError(f"y has dtype {array.dtype}: must hold numbers; turn text into numbers first")
    if array.shape == (rows,) and targets == 1:
        array = np.asarray(array).reshape(rows, 1)
    if array.shape != (rows, targets):
        raise DataError(f"y has shape {list(array.shape)}: must be [{rows}, {targets}]; give one row of targets for each row of x")
    if isinstance(array, Streamed):
        return array
    if LOSSES.rule(network.loss).labels and not is_known_finite(array):
        _check_labels(np.asarray(array))
    return np.ascontiguousarray(array)


def _check_labels(y: Array) -> None:
    """Whether y [N, L] holds nothing but 0 and 1.  Raises DataError."""
    fits = (y == 0) | (y == 1)
    if not fits.all():
        row, label = (int(i) for i in np.argwhere(~fits)[0])
        raise DataError(f"y[{row}, {label}] = {y[row, label]}: must be 0 or 1; a row may have several labels, each is there or not")


def _from_one_hot(y: Array, rows: int, classes: int) -> Array:
    """One-hot rows [N, C] -> their classes int32 [N]."""
    if y.shape != (rows, classes):
        raise DataError(f"y has shape {list(y.shape)}: must be [{rows}], or one-hot [{rows}, {classes}]; give one class for each row of x")
    wrong = np.flatnonzero(~one_hot(y))
    if len(wrong):
        row = int(wrong[0])
        found = f"y[{row}] = {np.array2string(y[row], separator=', ', threshold=8)}"
        raise DataError(f"{found}: must be one-hot, a single 1 among zeros; give the classes themselves, or y.argmax(axis=1)")
    return np.asarray(y.argmax(axis=1), np.int32)


def _classes(y: Array, rows: int, classes: int) -> Array:
    if y.ndim == 2 and y.dtype.kind in "iubf":
        return _from_one_hot(y, rows, classes)
    if y.shape != (rows,):
        raise DataError(f"y has shape {list(y.shape)}: must be [{rows}]; give one class for each row of x")
    if y.dtype.kind not in "iub":
        raise DataError(f"y has dtype {y.dtype}: must be whole numbers, the classes 0 to {classes - 1}; use y.astype('int32')")
    if rows and (y.min() < 0 or y.max() >= classes):
        row = int(np.flatnonzero((y < 0) | (y >= classes))[0])
        raise DataError(f"y[{row}] = {y[row]}: must be a class, 0 to {classes - 1}; the network has {classes} classes")
    return np.ascontiguousarray(y, np.int32)


def weighed(
    row_loss: npt.NDArray[np.float64], y: Array | Streamed, of_classes: Array | None, weight: npt.ArrayLike | None
) -> npt.NDArray[np.float64]:
    """The loss of each row [N] times the weight of its class [C], of y [N], and its own [N], where there are any.  Raises DataError."""
    if of_classes is not None:
        row_loss = row_loss * of_classes[np.asarray(y)]
    return row_loss if weight is None else row_loss * check_weight(weight, len(row_loss))


def check_weight(weight: npt.ArrayLike, rows: int) -> npt.NDArray[np.float64]:
    """What each of `rows` rows counts in the loss, float64 [N].  Raises DataError."""
    array = np.asarray(weight)
    if array.shape != (rows,):
        raise DataError(f"sample_weight has shape {list(array.shape)}: must be [{rows}]; give one weight for each row of x")
    if array.dtype.kind not in "fiub":
        raise DataError(f"sample_weight has dtype {array.dtype}: must hold numbers; turn text into numbers first")
    values = array.astype(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(wrong):
        raise DataError(
            f"sample_weight[{wrong[0]}] = {array[wrong[0]]}: must be a finite number of at least 0; mend it or leave the row out"
        )
    return values


def check_order(order: npt.ArrayLike, rows: int, *, axes: tuple[str, ...] = ("steps", "batch")) -> npt.NDArray[np.int64]:
    """Row numbers below `rows` as int64 [S, B] (or with the given axes).  Raises DataError."""
    array = np.asarray(order)
    if array.ndim != len(axes) or (array.ndim and array.shape[-1] == 0):
        raise DataError(f"order has shape {list(array.shape)}: must be [{', '.join(axes)}]; give the row numbers of every step")
    if array.dtype.kind not in "iu":
        raise DataError(f"order has dtype {array.dtype}: must be whole numbers, the row numbers of every step; use order.astype('int64')")
    if array.size and (array.min() < 0 or array.max() >= rows):
        place = tuple(int(i) for i in np.argwhere((array < 0) | (array >= rows))[0])
        raise DataError(f"order{list(place)} = {array[place]}: must be a row number, 0 to {rows - 1}; x has {rows} rows")
    return np.ascontiguousarray(array, np.int64)


def check_trials(order: npt.NDArray[np.int64], trials: int) -> None:
    """Whether order [K, S, B] has an entry for each of `trials`.  Raises DataError."""
    if len(order) != trials:
        raise DataError(f"order has shape {list(order.shape)}: must be [{trials}, steps, batch]; give the row numbers of each trial")


def check_tensors(given: dict[str, Array], wanted: dict[str, tuple[int, ...]], *, what: str) -> None:
    """Whether `given` has exactly the names and shapes of `wanted`, say fc1.weight [I, O], all real.  Raises DataError with all faults."""
    faults = [f"{name} is missing" for name in wanted if name not in given]
    faults += [f"{name} is unknown" for name in given if name not in wanted]
    for name, shape in wanted.items():
        if name in given and np.shape(given[name]) != shape:
            faults.append(f"{name} has shape {list(np.shape(given[name]))}, not {list(shape)}")
        elif name in given and np.iscomplexobj(given[name]):
            faults.append(f"{name} holds complex numbers")
    if faults:
        raise DataError(f"{what} do not fit the program: {'; '.join(faults)}")
