"""Data sets that several runs share: read and prepared once for all that are asked for in the same way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.data.dataset import Dataset, Part, Raw
from pipeline.data.load import load, read_source
from pipeline.data.prepared import Prepared, Rows, prepared
from pipeline.rows import arrays_of

if TYPE_CHECKING:
    from pipeline.config.experiment import Experiment
    from pipeline.data.settings import Data

MOST = 2**30  # bytes of x and targets that are kept for the next run
RECENT = 8  # data sets that are kept although no run is known that will ask for them


class Shelf:
    """What was asked for last stands in front; what is too much beside it is given away."""

    def __init__(self) -> None:
        self._read: dict[str, Dataset] = {}
        self._made: dict[str, Prepared] = {}
        self._due: Counter[str] = Counter()  # data set -> how many runs are known that will ask for it
        self._splits: Counter[str] = Counter()  # data -> how many splits of it are known that will be read
        self._source: tuple[Data, Raw] | None = None  # what was read last, while there are more splits of it
        self._over: dict[str, None] = {}  # those for which there is none, the latest last

    def plan(self, experiments: Iterable[Experiment]) -> None:
        """Those that will ask, each once: of a thousand seeds the splits are not all kept to the end."""
        known = [(_data_of(experiment), repr(experiment.data)) for experiment in experiments]
        self._due = Counter(key for key, _ in known)
        self._splits = Counter(data for _, data in set(known))

    def dataset(self, experiment: Experiment) -> Dataset:
        """The data of a run, in its split.  Raises PipelineError."""
        key = _data_of(experiment)
        found: Dataset = _kept(self._read, key, lambda: load(experiment.data, seed=experiment.seed, source=self._raw))
        return found

    def _raw(self, config: Data) -> Raw:
        """What a source holds: it is read once for all splits of it that are known to be asked for, where it is not large."""
        known, self._source = self._source, None
        raw = known[1] if known is not None and known[0] == config else read_source(config)
        self._splits[repr(config)] -= 1
        if self._splits[repr(config)] > 0 and _bytes([raw]) <= MOST:
            self._source = config, raw
        return raw

    def prepared(self, experiment: Experiment) -> Prepared:
        """The same as the network sees it.  Raises PipelineError."""
        dataset = self.dataset(experiment)
        key = repr((experiment.data, experiment.seed, experiment.preprocessing, experiment.precision))
        made: Prepared = _kept(
            self._made,
            key,
            lambda: prepared(dataset, experiment.preprocessing, precision=experiment.precision),
        )
        assert made.dataset is dataset
        self._asked(_data_of(experiment))
        return made

    def _asked(self, data: str) -> None:
        """One of those that ask for a data set has it."""
        self._due[data] -= 1
        self._over.pop(data, None)
        if self._due[data] > 0:
            return
        del self._due[data]
        self._over[data] = None
        while len(self._over) > RECENT:
            self._given_away(next(iter(self._over)))

    def _given_away(self, data: str) -> None:
        del self._over[data]
        found = self._read.pop(data, None)
        for key in [key for key, made in self._made.items() if made.dataset is found]:
            del self._made[key]


def _data_of(experiment: Experiment) -> str:
    return repr((experiment.data, experiment.seed))


def _kept(shelf: dict[str, Any], key: str, make: Any) -> Any:
    if key in shelf:
        shelf[key] = shelf.pop(key)
        return shelf[key]
    shelf[key] = make()
    while len(shelf) > 1 and _bytes([found.train for found in shelf.values()]) > MOST:
        del shelf[next(iter(shelf))]
    return shelf[key]


def _bytes(parts: Sequence[Part | Rows | Raw]) -> int:
    """What these take in memory, what they share once; a stream takes little."""
    held = [part.x for part in parts if isinstance(part.x, np.ndarray) or part.x.waits]
    arrays = {id(array): array for array in (*map(arrays_of, held), *(part.y for part in parts))}
    return sum(array.nbytes for array in arrays.values())
