"""Data: a config names a set, `load` makes three parts of it.

settings -> source (shipped, generated, idx, archive, or table and encoder) -> split -> dataset; `new` reads the rows to predict.
"""

from __future__ import annotations

from pipeline.data.columns import Encoder
from pipeline.data.dataset import Dataset, DataShape, Part
from pipeline.data.labelled import other_rows
from pipeline.data.load import describe, load
from pipeline.data.new import read_kept, read_new
from pipeline.data.settings import Data, Split

__all__ = ["Data", "DataShape", "Dataset", "Encoder", "Part", "Split", "describe", "load", "other_rows", "read_kept", "read_new"]
