"""Extensions: layers, data sources, preprocessing steps, metrics and callbacks of one's own, in Python (docs/extending.md).

layers.py     a kind of layer
sources.py    a data source
steps.py      a preprocessing step
metrics.py    a metric
callbacks.py  a callback
declared.py   what was declared, and where
guard.py      what its code raises, as one line
load.py       which modules are imported, and who may ask for it
"""

from __future__ import annotations

from pipeline.errors import ConfigError, DataError
from pipeline.extend.callbacks import callback
from pipeline.extend.layers import Given, Layer, Merge, Weighted, layer
from pipeline.extend.metrics import metric
from pipeline.extend.sources import Rows, Source, source
from pipeline.extend.steps import Fitted, Step, step
from pipeline.graph.builder import Builder
from pipeline.layers.graph import Parameter
from pipeline.layers.kind import Shape
from pipeline.preprocessing.statistics import Array, Arrays, Chunks
from pipeline.recipe.initialization import Constant, He, Lecun, Normal, Xavier
from pipeline.records import setting
from pipeline.training.callbacks import Callback, TrainingState

__all__ = [
    "Array", "Arrays", "Builder", "Callback", "Chunks", "ConfigError", "Constant", "DataError", "Fitted", "Given", "He", "Layer", "Lecun",
    "Merge", "Normal", "Parameter", "Rows", "Shape", "Source", "Step", "TrainingState", "Weighted", "Xavier", "callback", "layer", "metric",
    "setting", "source", "step",
]  # fmt: skip
