"""Images moved and mirrored, each by its own random draw.  They change data, so no gradient flows through them.

A draw u is a multiple of 2^-24 on [0, 1), as `uniform` makes it, and every backend turns it into whole numbers exactly.
"""

# N batch, H W image, C channels
from __future__ import annotations

from pipeline.graph.ir import Type
from pipeline.ops.table import Op


def _shift(x: Type, draws: Type, *, margin: int, fill: str) -> tuple[Type, ...]:
    """x [N, H, W, C], draws [N, 2] -> y[n, h, w] = x[n, h + dh, w + dw], with dh and dw uniform on -margin ... margin.

    dh = floor(u * (2 margin + 1)) - margin for the first draw u of image n, dw for its second.  fill: what lies beyond the image is
    zero, or the pixel at its edge.
    """
    assert len(x.shape) == 4 and draws == Type(x.dtype, (x.shape[0], 2)), f"shift of {x} by {draws}"
    assert 0 < margin < min(x.shape[1:3]) and fill in ("zero", "edge"), f"shift of {x} by up to {margin}, filled with {fill}"
    return (x,)


def _mirror(x: Type, draws: Type, share: Type) -> tuple[Type, ...]:
    """x [N, H, W, C], draws [N], share [] -> y[n, h, w] = x[n, h, W - 1 - w] where the draw is below `share`, else x[n, h, w]."""
    assert len(x.shape) == 4 and draws == Type(x.dtype, x.shape[:1]) and share == Type(x.dtype, ()), f"mirror of {x} by {draws}, {share}"
    return (x,)


AUGMENT: tuple[Op, ...] = (Op(name="shift", shape=_shift, kind="opaque"), Op(name="mirror", shape=_mirror, kind="opaque"))
