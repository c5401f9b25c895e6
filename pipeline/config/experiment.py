"""The record of one run, wholly described: a field for each group of `conf/`."""

from __future__ import annotations

from typing import Literal

from pipeline.config.task_settings import Check, Explain, LearningRateRange, Report
from pipeline.data import Data
from pipeline.layers import LAYERS
from pipeline.layers.activation import ACTIVATIONS, Relu
from pipeline.layers.dense import Dense
from pipeline.layers.normalization import NORMALIZATIONS, NoNormalization
from pipeline.layers.part import Activation, Layer, Normalization
from pipeline.optimizers import OPTIMIZERS
from pipeline.optimizers.adam import Adam
from pipeline.optimizers.rule import Optimizer
from pipeline.preprocessing import Preprocessing
from pipeline.recipe.augmentation import Augmentation
from pipeline.recipe.averaging import AVERAGINGS, Averaging, NoAveraging
from pipeline.recipe.initialization import INITIALIZATIONS, He, Initialization
from pipeline.recipe.losses import LOSSES, Auto, Loss
from pipeline.recipe.regularization import Regularization
from pipeline.recipe.schedule import Schedule
from pipeline.recipe.schedules import SCHEDULES, Constant
from pipeline.records import record, setting
from pipeline.tracking.settings import Tracking
from pipeline.training.budget import Budget
from pipeline.training.callbacks import CALLBACKS, Callback
from pipeline.training.settings import Training


@record
class Architecture:
    """The layers in order, and the head: auto appends the dense layer that the data asks for; none (null) leaves it out."""

    layers: tuple[Layer, ...] = setting((Dense(units=512), Dense(units=512)), kinds=LAYERS)
    head: Literal["auto", "none"] | None = setting("auto")


@record
class BackendSettings:
    """What runs the program; auto is cupy where a GPU is here and the model of a step's cost says that it is faster, else numpy.

    threads    auto: one a core
    recompute  the backward half makes outputs of batch norm, activation and dropout again, not kept till then: less memory, same bits
    capture    of cupy: many steps are one graph; false: each kernel is launched by itself, in the same order
    """

    kind: Literal["numpy", "reference", "cupy", "auto"] = setting("numpy")
    threads: int | Literal["auto"] = setting("auto", least=1, most=1024)
    recompute: bool = setting(False)
    capture: bool = setting(True)


TASK_SETTINGS = ("check", "lr_range", "explain", "report")  # what a task alone is told, under the task's own name


@record
class Experiment:
    """One run, wholly described.  The fields are the groups of `conf/`, in the order in which they are printed, then TASK_SETTINGS."""

    task: str = setting("train")
    run: str | None = setting(None)
    step: int | None = setting(None, least=0)
    resume: str | None = setting(None)
    output: str | None = setting(None)
    format: str | None = setting(None)
    keep: tuple[str, ...] = setting(())
    rebuild: bool = setting(False)
    scope: Literal["machine"] | None = setting(None)
    verify: bool = setting(False)
    runs: tuple[str, ...] = setting(())
    demonstration: str | None = setting(None)
    arm: str | None = setting(None)
    extension: str | None = setting(None)
    extensions: tuple[str, ...] = setting(())
    seed: int = setting(0, least=0, most=2**32 - 1)  # one word of the generator's key
    precision: Literal["float32", "float64"] = setting("float32")
    architecture: Architecture = setting(Architecture())
    initialization: Initialization = setting(He(), kinds=INITIALIZATIONS)
    normalization: Normalization = setting(NoNormalization(), kinds=NORMALIZATIONS)
    activation: Activation = setting(Relu(), kinds=ACTIVATIONS)
    regularization: Regularization = setting(Regularization())
    optimizer: Optimizer = setting(Adam(), kinds=OPTIMIZERS)
    schedule: Schedule = setting(Constant(), kinds=SCHEDULES)
    loss: Loss = setting(Auto(), kinds=LOSSES)
    data: Data = setting(Data())
    preprocessing: Preprocessing = setting(Preprocessing())
    augmentation: Augmentation = setting(Augmentation())
    averaging: Averaging = setting(NoAveraging(), kinds=AVERAGINGS)
    training: Training = setting(Training())
    budget: Budget = setting(Budget())
    callbacks: tuple[Callback, ...] = setting((), kinds=CALLBACKS)
    backend: BackendSettings = setting(BackendSettings())
    tracking: Tracking = setting(Tracking())
    check: Check | None = setting(None)
    lr_range: LearningRateRange | None = setting(None)
    explain: Explain | None = setting(None)
    report: Report | None = setting(None)
    automatic: tuple[str, ...] = setting(())  # paths whose values are to follow the data: no key of a config, see automatic.py
