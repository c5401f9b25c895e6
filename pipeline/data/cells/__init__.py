"""What people write in a cell, and which kind of column cells are: read right, or a doubt with what settles it.

dates.py      dates and times of the day: a cell -> days, or hours
forms.py      forms of a cell, each a rule from its text to a number: numbers, truth values, dates, times
findings.py   what a look at a column comes to: a kind with its form, or a doubt
formats.py    the formats that the dates of a column are written in
packed.py     dates that are written as numbers
disguise.py   words that look like numbers or dates, and words that look alike
nothing.py    what stands for a missing number, date or truth value
infer.py      which kind of column cells are, by these rules in turn
columns.py    how a column is read and becomes columns of x, as it is kept with a model
sentinels.py  numbers and dates that stand for a missing value
"""
