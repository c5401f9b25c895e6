"""The networks of a config as scikit-learn's estimators: `Classifier` and `Regressor`.

    from pipeline.sklearn import Classifier
    GridSearchCV(Classifier(["+experiment=bn"]), {"optimizer.learning_rate": [1e-3, 1e-2]}).fit(x, y)

Nothing is written and no MLflow is asked: a search of scikit-learn's keeps its own record.  Candidates that differ in values share one
compiled program.
"""

# N rows, F features, C classes, T targets, L labels
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from pipeline import random
from pipeline.compiler.structure import Structure
from pipeline.config import automatic, spec
from pipeline.config.compose import compose
from pipeline.config.experiment import Experiment
from pipeline.config.extensions import begin, own
from pipeline.config.overrides import forgiving, groups, plain_value
from pipeline.data import DataShape
from pipeline.data.load import load
from pipeline.data.prepared import Prepared, prepared
from pipeline.data.sources.frames import in_memory, is_frame
from pipeline.program.known import Known
from pipeline.program.make import load_backend, stacked
from pipeline.program.model import Model
from pipeline.program.program import Program
from pipeline.recipe.plateau import watching
from pipeline.training import loop
from pipeline.training.callbacks import Callbacks

__all__ = ["Classifier", "Regressor"]

Array = npt.NDArray[Any]
MOST_STRUCTURES = 8  # compiled structures that are kept for the next fit
ENOUGH = 100  # rows of which a share is held out for early stopping


class _Network(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What classifier and regressor have in common.

    overrides     what the command line would take: ["+experiment=bn", "optimizer.learning_rate=0.01"]
    config        a composed config (`pipeline.compose`) in place of the default one; the overrides are laid over it
    validation    share of the rows that early stopping watches, where there are 100 rows or more; 0: all rows are trained on
    random_state  the seed of weights, order, masks and held-out rows; None: the config's

    A parameter with a dot is an override: `set_params(**{"optimizer.learning_rate": 0.01})`, and so in a search; `{"optimizer=": "sgd"}`
    chooses an option of a group.  What follows the rows (width, batch, epochs, decay) does so as on the command line.
    """

    _task: str

    def __init__(
        self,
        overrides: Sequence[str] = (),
        *,
        config: Mapping[str, Any] | None = None,
        validation: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.overrides = overrides
        self.config = config
        self.validation = validation
        self.random_state = random_state

    def set_params(self, **params: Any) -> Self:
        """Sets parameters; a name with a dot, or with `=` behind a group, becomes an override.  Raises ValueError for an unknown name."""
        group = next((name for name in params if name in groups()), None)
        if group is not None:
            raise ValueError(f"Invalid parameter {group!r}: an option of a group is chosen by {group}=, a value by {group}.NAME")
        own = {name: value for name, value in params.items() if "." in name or name.endswith("=")}
        super().set_params(**{name: value for name, value in params.items() if name not in own})
        if own:
            paths = {name.removesuffix("="): value for name, value in own.items()}
            kept = [text for text in self.overrides if text.partition("=")[0].lstrip("+") not in paths]
            self.overrides = [*kept, *(f"{path}={_written(value)}" for path, value in paths.items())]
        return self

    def _begin(
        self, x: Any, y: Array, weight: Array | None, *, task: str, classes: int | None, held_out: float, whole: bool
    ) -> tuple[Experiment, Prepared]:
        """A network for x, an array [N, F] or a frame, and y [N], [N, T] or [N, L]; its preprocessing is fitted on them.

        `whole`: no more rows are to come.
        """
        cfg, given = in_memory(self._config(task, classes, held_out), x, y, target=None, weight=weight)
        asked = spec.experiment(cfg)
        dataset = load(asked.data, seed=asked.seed, given=given)
        asked, _ = automatic.settled(asked, dataset, whole=whole)
        rows = prepared(dataset, asked.preprocessing, precision=asked.precision)
        program = _program(asked, rows.shape)
        program.balance(dataset.train.y)
        known = Known(shape=dataset.shape, classes=dataset.class_names, features=dataset.feature_names, encoder=dataset.encoder)
        self.program_ = Model(program=program, fitted=rows.fitted, target_scale=rows.target_scale, known=known)
        self.history_: list[dict[str, float]] = []
        self.n_iter_ = 0
        return asked, rows

    def _train(self, x: Any, y: Array, weight: Array | None, *, task: str, classes: int | None = None) -> Self:
        """Trains a new network as `_begin` makes it."""
        held_out = self.validation if len(y) >= ENOUGH else 0.0
        asked, rows = self._begin(x, y, weight, task=task, classes=classes, held_out=held_out, whole=True)
        program = self.program_.program
        outcome = loop.train(
            program,
            rows,
            asked.training,
            seed=asked.seed,
            emit=lambda event: None,
            learning_rate=program.learning_rate,
            schedule=watching(asked.schedule, asked.optimizer.learning_rate),
            budget=asked.budget,
            callbacks=Callbacks(asked=asked.callbacks),
        )
        self.history_ = [dict(values) for values in outcome.history]
        self.n_iter_ = len(outcome.history)
        return self

    def _config(self, task: str, classes: int | None, held_out: float) -> dict[str, Any]:
        """The config that is trained.  Raises ConfigError."""
        cfg = _composed(self.overrides, self.config)
        split = {**cfg["data"]["split"], "validation": held_out, "test": 0.0}
        cfg["data"] = {**cfg["data"], "kind": "arrays", "task": task, "classes": classes, "split": split}
        if self.random_state is not None:
            seed = self.random_state
            cfg["seed"] = int(seed if isinstance(seed, int | np.integer) else check_random_state(seed).randint(2**31 - 1))
        return cfg

    def _rows(self, x: Any, *, reset: bool) -> Any:
        """x [N, F] checked as scikit-learn does, a frame of numbers as an array; one that holds words or dates is our own to read."""
        if not is_frame(x) or all(kind in "biuf" for kind in _kinds(x)):
            return validate_data(self, x, reset=reset, dtype="numeric", ensure_all_finite=True)
        names = np.array([str(name) for name in x.columns], dtype=object)
        if reset:
            self.feature_names_in_, self.n_features_in_ = names, len(names)
        return x

    def _step_on(self, x: Any, y: Array, weight: Array | None) -> None:
        """One pass over the rows, in batches and an order of their own; the rest is a smaller batch."""
        program = self.program_.program
        order = random.permutation(program.config.seed, random.ORDER, self.n_iter_, len(y))
        whole = len(y) - len(y) % program.batch_size
        for part in (order[:whole].reshape(-1, program.batch_size), order[whole:].reshape(1, -1)):
            if part.size:
                self.program_.run(x, y, part, weight)
        self.n_iter_ += 1


class Classifier(ClassifierMixin, _Network):  # type: ignore[misc]
    """A network for classes: y [N] of any labels, or [N, L] of 0 and 1 for labels of which a row may have several.

    classes_ [C]; n_features_in_, feature_names_in_; history_, the metrics of each epoch; n_iter_; program_, the trained `Model`.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """X [N, F] or a frame, y [N] or [N, L], sample_weight [N] -> self.  Raises ValueError, PipelineError."""
        x, labels, weight = self._checked(X, y, sample_weight, reset=True)
        if labels.ndim == 2:
            self.classes_ = np.arange(labels.shape[1])
            return self._train(x, labels, weight, task="multilabel")
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds one class only, {self.classes_[0]}; a classifier needs two classes or more")
        return self._train(x, codes, weight, task="classification", classes=len(self.classes_))

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """One pass over X [N, F], y [N]; the first call names all `classes` and fits the preprocessing, unless `fit` came before it.

        Raises ValueError for a class that was not named.
        """
        first = not hasattr(self, "program_")
        x, labels, weight = self._checked(X, y, sample_weight, reset=first)
        if labels.ndim == 2:
            raise ValueError("y has two axes: partial_fit takes classes [N]; use fit for labels of which a row may have several")
        if first:
            if classes is None:
                raise ValueError("classes: the first call of partial_fit names all classes; give classes=np.unique(y)")
            self.classes_ = np.unique(np.asarray(classes))
        strange = np.setdiff1d(labels, self.classes_)
        if len(strange):
            raise ValueError(f"y holds {strange[0]}, which is none of the classes {', '.join(map(str, self.classes_))}")
        codes = np.searchsorted(self.classes_, labels)
        if first:
            self._begin(x, codes, weight, task="classification", classes=len(self.classes_), held_out=0.0, whole=False)
        self._step_on(x, codes, weight)
        return self

    def predict_proba(self, X: Any) -> Array:
        """X [N, F] -> the probability of each class [N, C], or of each label [N, L]."""
        check_is_fitted(self)
        return np.asarray(self.program_.predict(self._rows(X, reset=False)))

    def predict(self, X: Any) -> Array:
        """X [N, F] -> the most probable class [N], as y had it; of labels 0 or 1 [N, L]."""
        probability = self.predict_proba(X)
        if self._labels:
            return (probability >= 0.5).astype(self.classes_.dtype)
        return np.asarray(self.classes_[probability.argmax(axis=1)])

    @property
    def _labels(self) -> bool:
        shape = self.program_.known.shape
        return shape is not None and shape.labels

    def _checked(self, x: Any, y: Any, weight: Any, *, reset: bool) -> tuple[Any, Array, Array | None]:
        rows = self._rows(x, reset=reset)
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        check_classification_targets(y)
        if kind == "multilabel-indicator":
            labels = np.asarray(check_array(y, dtype=np.int64, input_name="y"))
        else:
            labels = column_or_1d(y, warn=True)
        check_consistent_length(rows, labels)
        return rows, labels, None if weight is None else _check_sample_weight(weight, np.empty(len(labels)), dtype=np.float64)


class Regressor(RegressorMixin, _Network):  # type: ignore[misc]
    """A network for numbers: y [N], or [N, T] for several.

    n_features_in_, feature_names_in_; history_, the metrics of each epoch; n_iter_; program_, the trained `Model`.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """X [N, F] or a frame, y [N] or [N, T], sample_weight [N] -> self.  Raises ValueError, PipelineError."""
        x, targets, weight = self._checked(X, y, sample_weight, reset=True)
        return self._train(x, targets, weight, task="regression")

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One pass over X [N, F], y [N] or [N, T]; the first call fits the preprocessing, unless `fit` came before it."""
        first = not hasattr(self, "program_")
        x, targets, weight = self._checked(X, y, sample_weight, reset=first)
        if first:
            self._begin(x, targets, weight, task="regression", classes=None, held_out=0.0, whole=False)
        self._step_on(x, targets, weight)
        return self

    def predict(self, X: Any) -> Array:
        """X [N, F] -> values [N], or [N, T] where y had two axes."""
        check_is_fitted(self)
        values = np.asarray(self.program_.predict(self._rows(X, reset=False)))
        return values[:, 0] if self._flat else values

    def _checked(self, x: Any, y: Any, weight: Any, *, reset: bool) -> tuple[Any, Array, Array | None]:
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        rows = self._rows(x, reset=reset)
        targets = np.asarray(check_array(y, dtype=np.float64, ensure_2d=False, input_name="y"))
        if targets.ndim == 2 and targets.shape[1] == 1:
            targets = column_or_1d(targets, warn=True)
        if len(targets) < 2:
            raise ValueError("n_samples = 1: nothing can be learned from one row; give two or more")
        self._flat = targets.ndim == 1
        check_consistent_length(rows, targets)
        return rows, targets, None if weight is None else _check_sample_weight(weight, np.empty(len(targets)), dtype=np.float64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


_structures: OrderedDict[str, Structure] = OrderedDict()


def _program(config: Experiment, shape: DataShape) -> Program:
    """A new program of `config`; one of the same structure that was compiled before is not compiled again.  Raises PipelineError."""
    own = Structure(config, shape, *load_backend(config, shape))
    key = f"{own.digest} {config.backend}"
    structure = _structures.setdefault(key, own)
    _structures.move_to_end(key)
    while len(_structures) > MOST_STRUCTURES:
        _structures.popitem(last=False)
    return stacked(structure, [config], [own]).programs[0]


def _composed(overrides: Sequence[str], config: Mapping[str, Any] | None) -> dict[str, Any]:
    """The config that `overrides` ask for; plain values are put into a composition that those of other values share.

    Raises ConfigError.
    """
    if isinstance(overrides, str):
        raise ValueError(f"overrides = {overrides}: is a text; give a list, [{overrides!r}]")
    begin(overrides)
    values = [_plain_value(text) for text in overrides]
    chosen = tuple(text for text, value in zip(overrides, values, strict=True) if value is None)
    made = deepcopy(_compose(chosen) if config is None else dict(config))
    if config is not None and chosen:
        raise ValueError(f"overrides = {chosen[0]}: chooses an option; give it to pipeline.compose, or leave config out")
    for path, value in filter(None, values):
        *parts, last = path.split(".")
        inner: Any = made
        for part in parts:
            inner = inner[int(part)] if isinstance(inner, list) else inner.setdefault(part, {})
        inner[int(last) if isinstance(inner, list) else last] = value
    return own(made)


@lru_cache(maxsize=4096)  # a search asks for few values, and often
def _plain_value(text: str) -> tuple[str, Any] | None:
    (asked,) = forgiving([text], several=False)
    return plain_value(asked)


@lru_cache(maxsize=64)
def _compose(overrides: tuple[str, ...]) -> dict[str, Any]:
    return compose(("training.train_rows=0", *overrides))  # nobody looks at curves, unless they ask


def _written(value: Any) -> str:
    """A value as an override has it."""
    if isinstance(value, bool) or value is None:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_written, value))}]"
    return repr(float(value)) if isinstance(value, float | np.floating) else str(value)


def _kinds(frame: Any) -> list[str]:
    """The kind of each column of a frame in NumPy's letters, `O` for what is none of numbers and truth values."""
    types = frame.dtypes if hasattr(frame, "dtypes") else [field.type for field in frame.schema]
    return [kind.kind if isinstance(kind := getattr(one, "numpy_dtype", one), np.dtype) else "O" for one in types]
