"""Comparisons with PyTorch and JAX that a reader can repeat: `make bench`."""
