"""LLVM IR as kernels write it.

number.py       values with the operators of arithmetic
emitter.py      addresses, loops, loads and stores
mathematics.py  exp, log, tanh, erf, ... of our own: the same bits on every processor
elementwise.py  op name -> the emitter of its formula
philox.py       random numbers
"""
