"""LLVM IR as kernels write it.

emitter.py      values, loops, branches
mathematics.py  exp, log, tanh, erf, ... of our own: the same bits on every processor
elementwise.py  op name -> the emitter of its formula
philox.py       random numbers
"""
