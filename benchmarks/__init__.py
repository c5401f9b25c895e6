"""Comparisons with PyTorch, JAX and scikit-learn that a reader can repeat: `make bench`."""
