"""Sweeps: many runs as one question.

run.py         a sweep from its command to its end
python.py      a sweep from Python
jobs.py        what each job is asked to do, and what came of it
source.py      where jobs come from: a grid, or a search
searching.py   a search at work: points, rungs, what came of them
journal.py     what the sweep is, and which run folder is whose
work.py        each job met once: run by an engine, gone on with, or only read where it is over
engines/       where trials are trained
chosen.py      sweeps whose trials a sweeper of others chooses
doing.py       a trial trained in this process, and written down
again.py       the command that runs one trial again
together.py    which trials train together
expected.py    how long a stack is expected to train
stacks.py      trials of one structure trained in step
resumed.py     which sweep resume= names, and with what it was begun
adopt.py       what a killed process left unsaid
objective.py   what trials are judged by
table.py       the trials of a sweep as one table, and its summary run
since.py       trials that trained on after their sweep
apart.py       automatic values that the trials differ in
comparison.py  arms over seeds: means, intervals, paired differences
student.py     Student's t
importance.py  which parameters mattered
forms.py       a table as Markdown, LaTeX, CSV
shown.py       its tables on a terminal
conclusions.py what the tables say, in sentences
page.py        its page in MLflow: views of its trials, and the links that open them
verify.py      whether what the doctor suggests helps: trials of it beside those of what is
doctor.py      task=doctor
finish.py      what is written and printed when the last job is over
"""
