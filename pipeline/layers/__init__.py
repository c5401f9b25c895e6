"""Layers by kind.  A layer is a file with its record and how it is built, one row of LAYERS and one of PREFIXES (names.py)."""

from __future__ import annotations

from pipeline.layers.dense import Dense

LAYERS: dict[str, type] = {"dense": Dense}
