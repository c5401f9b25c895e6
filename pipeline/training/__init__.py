"""Training: programs and data -> events, checkpoints and an outcome.

settings.py    the `training` group
events.py      what the loop tells
metrics.py     loss, accuracy, rmse, mae, r2; confusion and per-class scores
checkpoint.py  where training stands, on disk
interrupt.py   Ctrl-C and SIGTERM
loop.py        epochs, early stopping, resume
progress.py    what the user sees
"""
