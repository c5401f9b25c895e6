"""Formulas of a config: text -> checked tree -> numbers on the host, and ops of the graph.

syntax.py    text -> tree, by a list of what is allowed; the place of a mistake
declared.py  a formula with the names it may use, and the checks of its names
host.py      what consists of numbers alone, in float64
emit.py      what depends on tensors, as ops
"""
