"""Ops and kernels: the op table on every backend."""
