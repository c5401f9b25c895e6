"""Sets that are arrays, each a function of the config that gives them whole.

archive.py    npz and npy files, and the checks that every array goes through
idx.py        MNIST and Fashion-MNIST
shipped.py    the small real sets of scikit-learn
generated.py  points in the plane
"""
