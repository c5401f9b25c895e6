"""Programs: a compiled structure with a state, ready to be trained, evaluated and read.

make.py        experiment -> program or stack
program.py     one network: numbers in, numbers out
model.py       a trained one with its preprocessing: raw rows in, own units out
known.py       what a model knows of its data: columns and classes
stack.py       trials of one structure as one program
together.py    evaluations of the members of a stack in one native call
access.py      threads: who may change the state
initial.py     the values that parameters start with
steps.py       rows in steps, steps in calls
tables.py      what the steps read as scalars
micro.py       native calls of training steps, which may be made of micro-batches
averages.py    averaged weights: which are measured, what their statistics are estimated from
arrays.py      arrays of other libraries: what is predicted is what was given
resident.py    rows, parameters and predictions that stay on a device
inputs.py      what a program is given: rows, targets, weights, orders
divergence.py  which layer made the first value that is not finite
dead_units.py  units that answer nothing
health.py      values, gradients and steps of each layer over a few rows
explain.py     a compiled program as text
shown.py       a program as a notebook shows it
formulas.py    the formulas of a config, their derivatives and their kernels as text
variance.py    the variances that the initialization leads one to expect
"""
