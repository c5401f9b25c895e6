"""Tracking: events -> journal -> MLflow.

settings.py    the `tracking` group
process.py     whose run it is, and whether that process lives
event.py       what every event has
health.py      what is told of the inside of a network
journal.py     what happened, one line an event: the truth
log.py         what its terminal showed, as text
machine.py     how busy the machine is
folder.py      run folders
lock.py        one process at a time in a run folder
provenance.py  config as parameters; commit, versions, command as tags
page.py        what MLflow's page of a run shows of its journal
database.py    an SQLite file of MLflow, written without loading MLflow
asked.py       a question to a server, with credentials
store.py       where MLflow keeps runs, whether it takes them
models.py      a model of a run in MLflow
client.py      what the sender asks of a store
view.py        a view of MLflow's page of runs: columns, order, charts
link.py        links into MLflow's page
style.py       how figures look
tested.py      what a network answered to the test part, kept for pictures
curves.py      learning curves, confusion matrix
rates.py       ROC, precision over recall, reliability
answers.py     pictures of what was answered: ROC, reliability, true against predicted, mistakes
inside.py      pictures of the inside of a network over time
trials.py      pictures of a sweep
figures.py     which figures a run has
lives.py       copies of a run folder that went on apart
changed.py     what a run that goes on is asked for besides
delivery.py    one journal -> MLflow
repair.py      runs that died without a word
sender.py      the process that does the last three
outbox.py      the training process's handle of the sender
tracker.py     what the training process writes a run with
run.py         finds a run again
"""
