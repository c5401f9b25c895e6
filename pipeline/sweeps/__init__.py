"""Sweeps: many runs as one question.

run.py         the jobs, one after another in this process
jobs.py        what is kept of each
table.py       the trials of a sweep as one table, and its summary run
comparison.py  arms over seeds: means, intervals, paired differences
finish.py      what is written and printed when the last job is over
"""
