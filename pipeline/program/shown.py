"""A program as a line, and as a notebook shows it."""

from __future__ import annotations

from pipeline.screen.page import table

Layers = tuple[tuple[str, str, tuple[int, ...], int], ...]  # name, kind, shape of the output, parameters of each


def line(digest: str, layers: Layers, steps: int, backend: str) -> str:
    """`<Program 2fa1: 9 layers, 302,090 parameters, 55 steps done, numpy>`."""
    count = sum(layer[3] for layer in layers)
    return f"<Program {digest}: {len(layers)} layer{'' if len(layers) == 1 else 's'}, {count:,} parameters, {steps} steps done, {backend}>"


def layers_table(title: str, layers: Layers, *, after: str = "") -> str:
    """The layers under a title such as `line` makes, and a line after them, as HTML."""
    rows = [(name, kind, " x ".join(map(str, shape)), f"{count:,}") for name, kind, shape, count in layers]
    return table(title.strip("<>"), ("layer", "kind", "output", "parameters"), rows, after=after)
