"""A table: the cells of a source -> one matrix of numbers -> x, targets and parts.

blocks.py     a block of a column -> numbers, or text
look.py       a first look at the cells of every column, block by block
decide.py     how each column is read: as declared, or as its cells say
convert.py    cells -> numbers, block by block
table.py      one matrix of numbers, and the words behind them
cache.py      a table in the cache
copies.py     columns that say the target
encoder.py    columns -> x, learned from the training rows alone; the targets
divide.py     rows -> parts, at random or as a column says
report.py     what task=data tells of a table
"""
