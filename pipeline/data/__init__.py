"""Where the arrays come from: shipped, generated, idx files, tables, archives."""

from __future__ import annotations

from pipeline.data.dataset import Dataset, DataShape, Part
from pipeline.data.load import describe, load, read_new
from pipeline.data.settings import Data, Split

__all__ = ["Data", "DataShape", "Dataset", "Part", "Split", "describe", "load", "read_new"]
