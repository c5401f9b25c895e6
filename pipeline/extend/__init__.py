"""Extensions: layers, data sources, preprocessing steps, metrics and callbacks of one's own, in Python (docs/extending.md).

layer.py     a kind of layer
metric.py    a metric
declared.py  what was declared, and where
guard.py     what its code raises, as one line
load.py      which modules are imported, and who may ask for it
"""

from __future__ import annotations

from pipeline.errors import ConfigError, DataError
from pipeline.extend.layer import Layer, Merge, Weighted, layer
from pipeline.extend.metric import metric
from pipeline.graph.builder import Builder
from pipeline.layers.graph import Parameter
from pipeline.layers.kind import Shape
from pipeline.recipe.initialization import Constant, He, Lecun, Normal, Xavier
from pipeline.records import setting

__all__ = [
    "Builder", "ConfigError", "Constant", "DataError", "He", "Layer", "Lecun", "Merge", "Normal", "Parameter", "Shape", "Weighted",
    "Xavier", "layer", "metric", "setting",
]  # fmt: skip
