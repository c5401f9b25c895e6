"""The table of steps: how each is fitted and applied, which settings it reads, and the shape it gives to a row."""

# N rows, F... shape of one row
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.preprocessing import affine as a
from pipeline.preprocessing import rotation as r
from pipeline.preprocessing.statistics import Array, Arrays

Shape = tuple[int, ...]


ROW, MADE = "_row", "_made"  # of a step of an extension: the arrays that hold the shapes of a row before and after it


@dataclass(frozen=True)
class Step:
    """fit      the training rows, and the settings that `reads` names -> arrays and notes
    apply    a chunk [n, F...], which it may overwrite, and the arrays -> its new values
    reads    the fields of `Preprocessing` that `fit` takes by name
    flattens whether a row becomes [components]
    own      the record of the settings of a step of an extension
    """

    fit: Callable[..., tuple[Arrays, list[str]]]
    apply: Callable[[Array, Mapping[str, Array]], Array] = a.affine
    reads: tuple[str, ...] = ()
    flattens: bool = False
    own: type | None = None

    def row(self, shape: Shape, arrays: Mapping[str, Array]) -> Shape:
        """The shape that it gives to rows of `shape`: [N, *shape] -> [N, *result]."""
        if self.own is not None:
            return tuple(arrays[MADE].tolist())
        return arrays["basis"].shape[1:] if self.flattens else shape

    def fits(self, shape: Shape, arrays: Mapping[str, Array]) -> bool:
        """Whether rows [N, *shape] are what it was fitted on."""
        if self.own is not None:
            return tuple(arrays[ROW].tolist()) == shape
        known = arrays["shift"].shape
        return known in ((), shape) or (len(shape) > 1 and known == shape[-1:])


STEPS: dict[str, Step] = {
    "center": Step(a.center, reads=("axes",)),
    "standardize": Step(a.standardize, reads=("axes",)),
    "minmax": Step(a.minmax, reads=("axes",)),
    "scale": Step(a.scale),
    "divide_by_variance": Step(a.divide_by_variance, reads=("axes",)),
    "pca": Step(r.pca, r.rotate, reads=("components",), flattens=True),
    "whiten": Step(r.whiten, r.rotate, reads=("components", "epsilon"), flattens=True),
    "zca": Step(r.zca, r.rotate_back, reads=("epsilon",)),
}
