"""Data: a config names a set, `load` makes three parts of it.

settings.py        the `data` group
load.py            the set that a config names, in three parts
dataset.py         what it is once loaded
prepared.py        rows as the network sees them
split.py           rows -> parts, at random
divide.py          rows of a table -> parts, also by a column
told.py            which task a target is for, and why
shipped.py, generated.py, idx.py, archive.py, reconstruction.py    sets that are arrays
frames.py          rows in memory from Python
image_folder.py, images.py, listing.py   folders of PNG and JPEG images: all, one, which
files.py, memory.py, progress.py    reading what the user named
cache.py           what is converted once, mapped ever after

A table goes this way:
origin.py          its source by the content of the file
sources.py, sql.py where its rows come from, batch by batch
dialect.py         how delimited text is written
lines.py           its lines that are no rows
forms.py, dates.py how people write numbers, truth values, dates, times
look.py            a first look at the cells
infer.py           what the cells of a column are, or a doubt: findings.py
formats.py         the formats that dates of a column are written in
disguise.py        words that look like numbers, and words that differ in capitals alone
packed.py          dates that are written as numbers
sentinels.py       numbers and dates that stand for a missing value
decide.py          how each column is read: declared or inferred
hints.py           overrides that work when they are pasted
convert.py         cells -> numbers, block by block
table.py           one matrix of numbers, and the words behind them
table_cache.py     a table in the cache
columns.py         how columns are read and become x, as it is kept with a model
encoder.py         columns -> x
new.py             the rows to predict
labelled.py        a labelled table beside that of the training
report.py          what task=data tells;  image_report.py: of images
"""

from __future__ import annotations

from pipeline.data.columns import Encoder
from pipeline.data.dataset import Dataset, DataShape, Part
from pipeline.data.labelled import other_rows
from pipeline.data.load import describe, load
from pipeline.data.new import as_written, in_its_encoding, read_kept, read_new
from pipeline.data.settings import Data, Split

__all__ = [
    "Data", "DataShape", "Dataset", "Encoder", "Part", "Split", "as_written", "describe", "in_its_encoding", "load", "other_rows",
    "read_kept", "read_new",
]  # fmt: skip
