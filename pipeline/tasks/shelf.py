"""Data sets that several runs share: read and prepared once for all that are asked for in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.data.dataset import Dataset
from pipeline.data.load import load
from pipeline.data.prepared import Prepared, prepared

if TYPE_CHECKING:
    from pipeline.config.experiment import Experiment

MOST = 2**30  # bytes of x and targets that are kept for the next run


class Shelf:
    """What was asked for last stands in front; what is too much beside it is given away."""

    def __init__(self) -> None:
        self._read: dict[str, Dataset] = {}
        self._made: dict[str, Prepared] = {}

    def dataset(self, experiment: Experiment) -> Dataset:
        """The data of a run, in its split.  Raises PipelineError."""
        key = repr((experiment.data, experiment.seed))
        found: Dataset = _kept(self._read, key, lambda: load(experiment.data, seed=experiment.seed), lambda found: _bytes(found.train))
        return found

    def prepared(self, experiment: Experiment) -> Prepared:
        """The same as the network sees it.  Raises PipelineError."""
        dataset = self.dataset(experiment)
        key = repr((experiment.data, experiment.seed, experiment.preprocessing, experiment.precision))
        made: Prepared = _kept(
            self._made,
            key,
            lambda: prepared(dataset, experiment.preprocessing, precision=experiment.precision),
            lambda found: _bytes(found.train),
        )
        assert made.dataset is dataset
        return made


def _kept(shelf: dict[str, Any], key: str, make: Any, size: Any) -> Any:
    if key in shelf:
        shelf[key] = shelf.pop(key)
        return shelf[key]
    shelf[key] = make()
    while len(shelf) > 1 and sum(map(size, shelf.values())) > MOST:
        del shelf[next(iter(shelf))]
    return shelf[key]


def _bytes(part: Any) -> int:
    """What a training part takes in memory; a stream takes little."""
    return int(getattr(part.x, "nbytes", 0)) + int(getattr(part.y, "nbytes", 0))
