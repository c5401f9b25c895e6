"""Training: programs and data -> events, checkpoints and an outcome.

settings.py    the `training` group
callbacks.py   what extensions are asked between the steps
budget.py      the `budget` group: what ends a training
events.py      what the loop tells
history.py     the metrics of each epoch, and their file
blocks.py      the rows of the next steps, read while others run
scores.py      accuracy, F1, ROC AUC, calibration error, r2, ...; confusion and per-class scores
metrics.py     which scores are measured when
facts.py       what is stored of the data beside the arrays
checkpoint.py  where training stands, on disk
saving.py      writes it, while the steps go on
sound.py       whether the state is finite, and which step made it otherwise
recovery.py    where a training that diverged goes back to
interrupt.py   Ctrl-C and SIGTERM
steps.py       what the loop wants taken, and how a program alone takes it
measured.py    the metrics of an epoch, on which rows
fit.py         whether the settings fit the data
loop.py        epochs, early stopping, resume
progress.py    what the user sees
"""
