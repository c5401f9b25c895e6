"""A plan as CUDA C.

program.py      phases to kernels: the launches of a step, the guard, the rings
piece.py        what a call becomes: some blocks of a kernel
fused.py        fused bodies: element by element, and with sums
body.py         the values of a body as lines
products.py     products, convolutions and their gradients, with what follows them
images.py       windows, group normalization, augmentation, concat and split
mathematics.py  the templates (kernels.cu, gather.cu) for one precision
text.py         names, types and numbers as C writes them
"""
