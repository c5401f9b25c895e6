"""LLVM IR as kernels write it.

number.py       values with the operators of arithmetic
emitter.py      addresses, loops, loads and stores
vectors.py      several vectors side by side, in registers and as accumulators
strips.py       runs of contiguous numbers: loads, stores, tails, copies
mathematics.py  exp, log, tanh, erf, ... of our own: the same bits on every processor
elementwise.py  op name -> the emitter of its formula
philox.py       random numbers
"""
