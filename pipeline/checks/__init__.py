"""Checks of a configured network before it is trained: gradients, start loss, regularization, a tiny batch, one step, learning rates.

`pipeline.checks.run.check(experiment)` makes them all; each file holds one, usable on its own.
"""
