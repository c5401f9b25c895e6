"""What a network answered to the test part, kept in the run folder for pictures: test.safetensors.

    prediction [N, C], y [N], or [N, L] and [N, L] of labels, or [N, T] and [N, T] in the units of the targets
    mistaken [M, 4], the rows it was most wrong about: place in the part, class, predicted class, its probability
    images [M, H, W, C] of these, where rows are images

Of more than MOST_ROWS rows an even choice is kept.
"""

# N rows, C classes, L labels, T targets, M rows shown
from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pipeline import files
from pipeline.records import record

Array = npt.NDArray[Any]
FILE = "test.safetensors"
MOST_ROWS, MOST_TARGETS, MOST_SHOWN = 20_000, 32, 16


@record
class Answered:
    """The arrays of the file; task is classification, multilabel or regression, names those of the classes, labels or targets.

    rows   how many the part has: more than are kept, perhaps
    """

    task: str
    names: tuple[str, ...]
    rows: int
    prediction: Array
    y: Array
    mistaken: Array
    images: Array | None


def kept(
    task: str, names: Sequence[str], prediction: Array, y: Array, *, images: Callable[[npt.NDArray[np.int64]], Array] | None = None
) -> Answered | None:
    """What is kept of a prediction [N, ...] of y [N, ...]; None of a task without such pictures, and of more than MOST_TARGETS numbers.

    images   gives the rows at some places, [M, H, W, C]
    """
    if task not in ("classification", "multilabel", "regression") or not len(y) or not np.isfinite(prediction).all():
        return None
    if task == "regression" and y.shape[1] > MOST_TARGETS:
        return None
    mistaken, places = np.zeros((0, 4)), np.zeros(0, np.int64)
    if task == "classification":
        own = prediction[np.arange(len(y)), y]
        wrong = np.flatnonzero(prediction.argmax(axis=1) != y)
        places = wrong[np.argsort(own[wrong], kind="stable")][:MOST_SHOWN]
        mistaken = np.stack([places, y[places], prediction[places].argmax(axis=1), prediction[places].max(axis=1)], axis=1)
    rows = np.linspace(0, len(y) - 1, min(len(y), MOST_ROWS)).astype(np.int64)
    return Answered(
        task=task,
        names=tuple(names),
        rows=len(y),
        prediction=prediction[rows].astype(np.float32),
        y=y[rows].astype(np.float32 if task == "regression" else np.int32),
        mistaken=mistaken,
        images=images(places) if images is not None and len(places) else None,
    )


def write(folder: Path, found: Answered) -> None:
    """Writes the file; raises OSError.  A reader sees the old or the new one."""
    arrays = {"prediction": found.prediction, "y": found.y, "mistaken": found.mistaken}
    arrays |= {} if found.images is None else {"images": np.ascontiguousarray(found.images)}
    told = {"task": found.task, "names": list(found.names), "rows": found.rows}
    partial = folder / f".{FILE}"
    partial.write_bytes(save(arrays, metadata={"told": json.dumps(told)}))
    partial.replace(folder / FILE)


def read(folder: Path) -> Answered | None:
    """None where there is no such file, or it is none of ours: pictures are then not drawn."""
    try:
        content = files.content(folder / FILE, most=files.LONGEST)
        head = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        told, arrays = json.loads(head["__metadata__"]["told"]), load(content)
        found = Answered(
            task=str(told["task"]), names=tuple(map(str, told["names"])), rows=int(told["rows"]),
            prediction=arrays["prediction"], y=arrays["y"], mistaken=arrays["mistaken"], images=arrays.get("images"),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError):
        return None
    return found if _fits(found) else None


def _fits(found: Answered) -> bool:
    """Whether the arrays are such as `kept` makes."""
    p, y, shown = found.prediction, found.y, found.images
    sound = p.ndim == 2 and len(p) == len(y) and 0 < len(p) <= MOST_ROWS and p.dtype.kind == "f" and len(found.mistaken) <= MOST_SHOWN
    if not sound or found.mistaken.ndim != 2 or found.mistaken.shape[1] != 4 or found.mistaken.dtype.kind != "f":
        return False
    if shown is not None and (shown.ndim != 4 or len(shown) != len(found.mistaken) or shown.size > 2**26):
        return False
    if found.task == "classification":
        classes = y.ndim == 1 and y.dtype.kind == "i" and p.shape[1] == len(found.names)
        named = found.mistaken[:, 1:3]
        return bool(classes and y.min() >= 0 and y.max() < p.shape[1] and np.all((named >= 0) & (named < p.shape[1])))
    return p.shape == y.shape and (found.task == "regression" or p.shape[1] == len(found.names))
