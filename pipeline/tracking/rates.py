"""The curves of a classifier: ROC, precision over recall, reliability; NumPy alone, as the scores of a training.

Tests hold them against scikit-learn's.
"""

# N rows, K thresholds, B bins
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.records import record

Array = npt.NDArray[np.float64]
MOST_POINTS = 400  # of a curve that is drawn
BINS = 10


@record
class Curve:
    """The points of a curve, x and y [K], and the area below it: the ROC AUC, or the average precision."""

    x: Array
    y: Array
    area: float


@record
class Reliability:
    """Of the rows in each of BINS bins of the confidence that hold any: its mean, the share that is right, and how many rows."""

    confidence: Array
    right: Array
    rows: npt.NDArray[np.int64]


def roc(score: npt.NDArray[np.floating], positive: npt.NDArray[np.bool_]) -> Curve | None:
    """True positive rate y over false positive rate x, for every threshold; None where one of the two kinds has no row.

    score [N], positive [N]; the area is by trapezia, so that equal scores count half  (Fawcett 2006, algorithms 1 and 2).
    """
    true, false = _counts(score, positive)
    if not true[-1] or not false[-1]:
        return None
    x, y = np.append(0.0, false / false[-1]), np.append(0.0, true / true[-1])
    return Curve(x=_thin(x, x, y), y=_thin(y, x, y), area=float(np.trapezoid(y, x)))


def precision_recall(score: npt.NDArray[np.floating], positive: npt.NDArray[np.bool_]) -> Curve | None:
    """Precision y over recall x, for every threshold; None without a positive row.

    score [N], positive [N]; the area is the average precision, the sum over thresholds k of (R_k - R_{k-1}) P_k.
    """
    true, false = _counts(score, positive)
    if not true[-1]:
        return None
    x, y = true / true[-1], true / (true + false)
    area = float(np.sum(np.diff(x, prepend=0.0) * y))
    x, y = np.append(0.0, x), np.append(y[0], y)
    return Curve(x=_thin(x, x, y), y=_thin(y, x, y), area=area)


def reliability(confidence: npt.NDArray[np.floating], right: npt.NDArray[np.bool_]) -> Reliability:
    """How often those are right that are so sure; confidence [N] from 0 to 1, right [N]."""
    sure = np.asarray(confidence, np.float64)
    bins = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
    rows = np.bincount(bins, minlength=BINS)
    kept = rows > 0
    mean = [np.bincount(bins, values, minlength=BINS)[kept] / rows[kept] for values in (sure, right.astype(np.float64))]
    return Reliability(confidence=mean[0], right=mean[1], rows=rows[kept])


def _counts(score: npt.NDArray[np.floating], positive: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """How many positive and other rows reach each threshold, from the highest score down [K]; equal scores are one threshold."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    true = np.cumsum(positive[order])[last].astype(np.float64)
    return true, last + 1 - true


def _thin(values: Array, x: Array, y: Array) -> Array:
    """The values at points that are spread evenly along the curve, at most MOST_POINTS of them."""
    if len(x) <= MOST_POINTS:
        return values
    way = np.append(0.0, np.cumsum(np.hypot(np.diff(x), np.diff(y))))
    places = np.searchsorted(way, np.linspace(0.0, way[-1], MOST_POINTS))
    thinned: Array = values[np.unique(np.minimum(np.append(0, places), len(way) - 1))]
    return thinned
