"""Data: a config names a set, `load` makes three parts of it.

From below, each knows what stands above it:
settings.py        the `data` group
hints.py           overrides that work when they are pasted
storage/           reading what the user named, and what is converted once and mapped ever after
cells/             what people write in a cell, and which kind of column cells are
sources/           where the rows of a table come from, batch by batch: text, Parquet, JSON, SQL, frames
dataset.py         what a set is once loaded, and what a source gives
told.py            which task a target is for, and why
split.py           rows -> parts, at random
arrays/            sets that are arrays: npz and npy, idx, shipped, generated
images/            folders of PNG and JPEG images
tables/            a table: how its columns are read, one matrix of numbers, x and targets of it
reconstruction.py  every row is its own target
new.py             the rows to predict
labelled.py        labelled rows beside those of the training
load.py            the set that a config names, in three parts
prepared.py        rows as the network sees them
"""

from __future__ import annotations

from pipeline.data.cells.columns import Encoder
from pipeline.data.dataset import Dataset, DataShape, Part
from pipeline.data.labelled import other_rows
from pipeline.data.load import describe, load
from pipeline.data.new import as_written, in_its_encoding, read_kept, read_new
from pipeline.data.settings import Data, Split

__all__ = [
    "Data", "DataShape", "Dataset", "Encoder", "Part", "Split", "as_written", "describe", "in_its_encoding", "load", "other_rows",
    "read_kept", "read_new",
]  # fmt: skip
