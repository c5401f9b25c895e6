"""Search: where the trials of a sweep come from.  It knows parameters and scores, and neither configs nor trainings.

spaces.py      the values that one parameter may have, on the scale that suits them
parameters.py  the parameters of a search: written as text, together, under a condition
settings.py    what a search is told: its method, how many trials
points.py      random, Sobol, grid, ablation, from coarse to fine: points from a seed and a number
told.py        what came of points
models.py      points about which a model has an opinion: Optuna's TPE, CMA-ES
halving.py     which trials go on at a rung: successive halving, Hyperband
border.py      what is said of the best
"""
