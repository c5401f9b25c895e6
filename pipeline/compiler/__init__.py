"""The compiler: an experiment and the shape of its data -> layer graph -> op graph -> passes -> plan.

build.py            experiment -> layer graph, slots filled from the groups
remove_biases.py    biases before batch norm, whose gradient is zero
fold_batch_norm.py  batch norm folded into the weights of evaluation
lower.py            layer graph -> op graph, in its forms over one state
accumulate.py       the parts of a step that is made of micro-batches
loss_weights.py     what a row and a class count in the loss
autodiff.py         the backward half of a graph
run_once.py         a graph compiled to be run a single time
structure.py        all of this for one structure, made when first asked for and kept
"""
