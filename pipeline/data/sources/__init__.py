"""Where the rows of a table come from: Arrow columns, batch after batch, as they are written.

lines.py      lines of a text file that are no rows
dialect.py    how a text file is written: packing, encoding, delimiter, quotes, header
batches.py    a source, and those of text, Parquet and JSON lines
sql.py        the answer of a query
frames.py     rows in memory from Python: arrays and frames
origin.py     which of these a path is, by its content
"""
