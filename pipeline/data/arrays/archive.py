"""Arrays in npz files, and the checks that every array of data goes through."""

# N rows, T targets
from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from pipeline.data.dataset import Raw, Task, by_chunks
from pipeline.data.settings import Data
from pipeline.data.storage.files import located, read_bytes, unreadable
from pipeline.data.storage.memory import memory_bytes
from pipeline.data.told import told, zeros_and_ones
from pipeline.errors import DataError
from pipeline.rows import loaded_type, not_finite, one_hot, shown_place

Array = npt.NDArray[Any]

Check = Callable[[Array, str], Array]  # x and what to call it in a message -> x
DAMAGE = (
    ValueError, EOFError, OSError, KeyError, TypeError, OverflowError, NotImplementedError, RuntimeError, MemoryError, SyntaxError,
    struct.error, zlib.error, zipfile.BadZipFile, TokenError,
)  # fmt: skip  # what NumPy and zipfile stumble over in a file that is not whole
_PACKED = 2**13
_SUFFIXES = {"validation": ("validation", "val", "valid"), "test": ("test",)}


def npz(config: Data) -> Raw:
    """x and y, or x_train, y_train with x_validation (x_val), x_test where the file has its own parts.  Raises DataError.

    What y is for says pipeline/data/told.py.
    """
    path = located(str(config.path))
    return _raw(read_npz(path), config, f"data.path = {path}", "file", numeric)


def npy(config: Data) -> Raw:
    """The same from a folder of files x.npy, y.npy and so on, mapped into memory: x may be larger than it.  Raises DataError."""
    root = located(str(config.root))
    return _raw(map_npy(root), config, f"data.root = {root}", "folder", numbers)


def of_arrays(arrays: dict[str, Array], config: Data) -> Raw:
    """The same of arrays in memory: x [N, ...], y [N] or [N, T], sample_weight [N].  Raises DataError."""
    return _raw(_own(arrays), config, "data = arrays", "call", numbers)


def of_source(arrays: dict[str, Array], config: Data) -> Raw:
    """The same of what a source of an extension gives: x [N, ...], y [N] or [N, T].  Raises DataError."""
    return _raw(_own(arrays), config, f"data = {config.kind}", "source", numbers)


def _own(arrays: dict[str, Array]) -> dict[str, Array]:
    """The same, bytes [N, ...] as copies: rows of bytes wait as they are, and who gave them may write into them meanwhile."""
    return {name: array.copy() if array.dtype == np.uint8 else array for name, array in arrays.items()}


def _raw(arrays: dict[str, Array], config: Data, source: str, holder: str, checked: Check) -> Raw:
    """What arrays of these names hold; `source` names them in messages, `checked` looks at each x."""
    train = "x_train" if "x_train" in arrays else "x"
    names, pairs = {"train": train}, {"train": _pair(arrays, train, source, checked)}
    for part, suffixes in _SUFFIXES.items():
        name = next((f"x_{suffix}" for suffix in suffixes if f"x_{suffix}" in arrays), None)
        if name is not None:
            names[part], pairs[part] = name, _pair(arrays, name, source, checked)
    for part, (x, _) in pairs.items():
        if x.shape[1:] != pairs["train"][0].shape[1:]:
            shapes = f"{list(x.shape[1:])} and those of training {list(pairs['train'][0].shape[1:])}"
            raise DataError(f"{source}: the rows of {part} have shape {shapes}; give them the same shape")
    ys, count = _from_one_hot({part: y for part, (_, y) in pairs.items()}, config)
    labels, task, class_names, notes = _labels(ys, config if count is None else replace(config, classes=count), source)
    hint = "; data.task=regression takes it as numbers" if config.task == "auto" else ""
    notes += [] if count is None else [f"y is one-hot, taken as {count} classes{hint}"]
    own = {part: (x, labels[part]) for part, (x, _) in pairs.items()}
    notes += [f"the {part} part is that of the {holder}; data.split.{part} is not used" for part in own if part != "train"]
    x, y = own["train"]
    notes += _channels_first(x.shape[1:])
    weights = _weights(arrays, config, {part: (name, len(own[part][0])) for part, name in names.items()}, source)
    return Raw(
        x=x, y=y, task=task, class_names=class_names, validation=own.get("validation"), test=own.get("test"), notes=notes, weights=weights
    )


def _channels_first(shape: tuple[int, ...]) -> list[str]:
    """A note on rows [C, H, W], which are taken as [H, W, C]."""
    if len(shape) != 3 or shape[0] not in (1, 2, 3, 4) or min(shape[1:]) <= 4:
        return []
    text = f"rows of shape {list(shape)} are taken as images [H, W, C] of {shape[2]} channels"
    return [f"{text}; if the channels come first, store x.transpose(0, 2, 3, 1)"]


def map_npy(root: Path) -> dict[str, Array]:
    """The arrays [N, ...] of the npy files of a folder by name, in lower case, mapped into memory and read-only.  Raises DataError."""
    try:
        paths = sorted(path for path in root.iterdir() if path.suffix == ".npy")
    except FileNotFoundError as error:
        raise DataError(f"data.root = {root}: no such folder; give the folder that holds x.npy and y.npy") from error
    except NotADirectoryError as error:
        raise DataError(f"data.root = {root}: is not a folder; give the folder that holds x.npy and y.npy") from error
    except OSError as error:
        raise unreadable(root, error, at="data.root") from error
    arrays = {}
    for path in paths:
        try:
            array = _of_values(lambda: np.load(path, mmap_mode="r", allow_pickle=False), f"data.root = {path}")  # noqa: B023  # called at once
        except DAMAGE as error:
            raise DataError(f"data.root = {path}: is not a whole npy file of a plain array; write it with numpy.save") from error
        arrays[path.stem.lower()] = array.view(np.ndarray)
    return arrays


def read_npz(path: Path) -> dict[str, Array]:
    """The arrays [N, ...] of an npz file by name, keys in lower case; objects are refused, they would be pickles.  Raises DataError."""
    content = read_bytes(path, at="data.path")
    try:
        check_promises(_headers(content), path)
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile) or file.zip is None:
                raise ValueError("a single array")
            names = [name.removesuffix(".npy") for name in file.zip.namelist() if name.endswith(".npy")]
            return {name.lower(): _of_values(lambda: file[f"{name}.npy"], f"data.path = {path}, {name}") for name in names}  # noqa: B023  # called at once
    except DAMAGE as error:
        raise DataError(f"data.path = {path}: is not a whole npz file of plain arrays; write it with numpy.savez") from error


def read_npy(path: Path) -> Array:
    """The array [N, ...] of an npy file.  Raises DataError."""
    content = read_bytes(path, at="data.path")
    try:
        check_promises([(io.BytesIO(content), len(content))], path)
        return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))
    except DAMAGE as error:
        raise DataError(f"data.path = {path}: is not a whole npy file of numbers; write it with numpy.save(path, x)") from error


def check_promises(files: Iterable[tuple[IO[bytes], int]], path: Path) -> None:
    """Whether the arrays of npy files (each with the bytes that are there) are there in full, and fit in memory, before any is made.

    Raises ValueError, and DataError where they are too large.
    """
    total = 0
    for file, there in files:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read(file)
        promised = math.prod(shape) * kind.itemsize
        if min(shape, default=0) < 0 or (promised > there and not kind.hasobject):
            raise ValueError(f"{promised} bytes are promised and at most {there} are there")
        total += promised
    if total > memory_bytes() // 2:
        rule = f"its arrays take {total / 1e9:.3g} GB, more than half of the memory"
        raise DataError(f"data.path = {path}: {rule}; save each with numpy.save and give data=npy data.root=FOLDER, which maps them")


def _headers(content: bytes) -> Iterator[tuple[IO[bytes], int]]:
    """The members of an archive, each with the bytes that it can hold at most: deflate packs 1,032 bytes into one."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist():
            if member.filename.endswith(".npy"):
                most = min(member.file_size, _PACKED * min(member.compress_size, len(content)))
                with archive.open(member) as file:
                    yield file, most


def _of_values(read: Callable[[], Array], source: str) -> Array:
    """The array [N, ...] that `read` gives.  Raises DataError where it holds Python objects: these would be pickles."""
    try:
        return read()
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        hint = "store words with .astype(str) and numbers with .astype(float)"
        raise DataError(f"{source}: holds Python objects (dtype object), which are not read; {hint}") from None


def finite(x: Array, source: str) -> Array:
    """`x` [N, ...] unchanged.  Raises DataError that names the first row and place with NaN or infinity."""
    first = 0
    for chunk in by_chunks(x) if x.dtype.kind == "f" else ():
        place = not_finite(chunk)
        if place is not None:
            where = shown_place((first + place[0], *place[1:]))
            raise DataError(f"{source}: {where} is {chunk[place]}; every number must be finite")
        first += len(chunk)
    return x


def numbers(x: Array, source: str) -> Array:
    """`x` [N, ...] of finite numbers as it is stored.  Raises DataError."""
    if x.dtype.kind not in "iufb" or x.ndim == 0:
        raise DataError(f"{source}: has type {x.dtype}, shape {x.shape}; it must be an array of numbers with one row per example")
    return finite(x, source)


def numeric(x: Array, source: str) -> Array:
    """`x` [N, ...] as float32, or float64 where it has more digits than float32 holds.  Raises DataError."""
    return numbers(x, source).astype(loaded_type(x.dtype), copy=False)


def _pair(arrays: dict[str, Array], x_name: str, source: str, checked: Check) -> tuple[Array, Array]:
    """x [N, ...] and the y that belongs to it."""
    y_name = x_name.replace("x", "y", 1)
    for name in (x_name, y_name):
        if name not in arrays:
            names = ", ".join(sorted(arrays)) or "nothing"
            hint = "name them x and y, or x_train, y_train, x_test, y_test"
            raise DataError(f"{source}: has no array {name}, its arrays are {names}; {hint}")
    x, y = checked(arrays[x_name], f"{source}, {x_name}"), arrays[y_name]
    x = x[:, None] if x.ndim == 1 else x
    if y.ndim == 0 or len(x) != len(y):
        raise DataError(f"{source}: {x_name} has {len(x)} rows and {y_name} has shape {y.shape}; give one y per row")
    if not x.size or not y.size:
        raise DataError(f"{source}: {x_name} has shape {x.shape} and {y_name} {y.shape}, which is no value at all; leave empty arrays out")
    return x, np.char.decode(y, "utf-8", "replace") if y.dtype.kind == "S" else y


def _weights(arrays: dict[str, Array], config: Data, parts: dict[str, tuple[str, int]], source: str) -> dict[str, Array]:
    """The weights of the rows of each part: for x_train, `NAME_train`; parts: part -> (name of its x, rows).  Raises DataError."""
    if config.sample_weight is None:
        return {}
    found = {}
    for part, (x_name, rows) in parts.items():
        name = x_name.replace("x", config.sample_weight.lower(), 1)
        if name not in arrays:
            rule = f"{source.partition(' = ')[2]} has no array {name}, its arrays are {', '.join(sorted(arrays))}"
            raise DataError(f"data.sample_weight = {config.sample_weight}: {rule}; give one weight for each row of {x_name}")
        values = numeric(arrays[name], f"{source}, {name}").astype(np.float64)
        if values.shape != (rows,):
            raise DataError(f"{source}: {name} has shape {values.shape} and {x_name} {rows} rows; give one weight per row")
        wrong = np.flatnonzero(values < 0)
        if len(wrong):
            raise DataError(f"{source}, {name}: row {wrong[0]} is {values[wrong[0]]:g}; a weight must be a number of at least 0")
        found[part] = values
    return found


def _from_one_hot(ys: dict[str, Array], config: Data) -> tuple[dict[str, Array], int | None]:
    """y of each part with one-hot rows [N, C] turned into classes [N], and C; anything else as it is, and None."""
    widths = {y.shape[1:] for y in ys.values()}
    numbers = all(y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "iubf" for y in ys.values())
    if config.task in ("regression", "multilabel") or not numbers or len(widths) > 1 or not all(one_hot(y).all() for y in ys.values()):
        return ys, None
    return {part: y.argmax(axis=1) for part, y in ys.items()}, int(widths.pop()[0])


def _labels(ys: dict[str, Array], config: Data, source: str) -> tuple[dict[str, Array], Task, tuple[str, ...], list[str]]:
    """y of each part, the task, the class names and notes."""
    flat = {part: y.reshape(-1) if y.shape[1:] == (1,) and config.task != "multilabel" else y for part, y in ys.items()}
    source = f"{source}, y"
    for y in flat.values():
        if y.dtype.kind == "f":
            finite(y, source)
    shapes = {y.shape[1:] for y in flat.values()}
    task, notes = told(np.concatenate(list(flat.values())), config, "y") if len(shapes) == 1 else ("regression", [])
    if task == "multilabel":
        return {part: _zeros_and_ones(y, source) for part, y in flat.items()}, task, _numbered(flat["train"]), notes
    if task == "regression":
        values = {part: numeric(y, source).astype(np.float64) for part, y in flat.items()}
        return {part: y.reshape(len(y), -1) for part, y in values.items()}, task, (), notes
    if shapes != {()}:
        shape = ys["train"].shape
        raise DataError(f"{source}: has shape {shape}; classes are one label per row, or one-hot rows, a single 1 among zeros")
    encoded, names = encode_labels(np.concatenate(list(flat.values())), config.classes)
    ends = np.cumsum([len(y) for y in flat.values()])[:-1]
    return dict(zip(flat, np.split(encoded, ends), strict=True)), task, names, notes


def _zeros_and_ones(y: Array, source: str) -> Array:
    """Labels [N, L] as float64.  Raises DataError."""
    if y.ndim != 2 or y.dtype.kind not in "iufb":
        raise DataError(f"{source}: has shape {y.shape}, type {y.dtype}; labels are numbers [N, L], 0 or 1 for each of L labels")
    wrong = np.argwhere(~zeros_and_ones(y))
    if len(wrong):
        place = tuple(int(i) for i in wrong[0])
        raise DataError(f"{source}: {shown_place(place)} is {y[place]:g}; labels are 0 or 1, data.task=regression takes y as numbers")
    return y.astype(np.float64)


def _numbered(y: Array) -> tuple[str, ...]:
    return tuple(str(label) for label in range(y.shape[1]))


def encode_labels(labels: Array, classes: int | None) -> tuple[Array, tuple[str, ...]]:
    """Labels [N] -> int32 [N] in 0..C-1, and the class names in that order.

    Whole numbers below a declared number of classes stand for themselves, and a class may have no row; others are numbered as sorted.
    """
    found, y = np.unique(labels, return_inverse=True)
    if classes is not None and found.dtype.kind in "iuf" and len(found) and found.min() >= 0 and found.max() < classes and _whole(found):
        return labels.astype(np.int32), tuple(str(c) for c in range(classes))
    names = [str(int(v)) if found.dtype.kind == "f" and float(v).is_integer() else str(v) for v in found.tolist()]
    return y.astype(np.int32).reshape(-1), tuple(names)


def _whole(values: Array) -> bool:
    return bool(np.all(values == np.floor(values)))
