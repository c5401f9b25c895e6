"""Calls that one template does: windows over images, group normalization, augmentation, and tensors put together and cut apart."""

# N images, H W rows and columns, C channels, kh kw window, P places of an image, G groups
from __future__ import annotations

import math

from backends.contract import Call
from backends.cupy.source.piece import Piece, Site, address, blocks_for
from backends.cupy.source.text import TYPES, block, constants

MOST_PLACES = 9  # of a window of max_pool whose gradient is stored and not added, where no windows meet: it has no sum


def windows(site: Site) -> Piece:
    """im2col, col2im, pools and their gradients: a thread for each number that is made."""
    call, a = site.call, site.call.attributes
    source, target = call.inputs[0].shape, call.outputs[0].shape
    back = call.op in ("fold", "average_pool_gradient")
    image, out = (target, source) if back else (source, call.inputs[-1].shape if call.op == "max_pool_gradient" else target)
    (kh, kw), (sh, sw), (dh, dw) = a["window"], a["stride"], a.get("dilation", (1, 1))
    sizes = {
        "N": image[0], "H": image[1], "W": image[2], "C": image[3], "OUT_H": out[1], "OUT_W": out[2], "KH": kh, "KW": kw,
        "SH": sh, "SW": sw, "DH": dh, "DW": dw, "TOP": a["padding"][0], "LEFT": a["padding"][2],
        "APART": kh * kw <= MOST_PLACES and not any(a["padding"]) and sh >= kh and sw >= kw,
    }  # fmt: skip
    return _simple(site, call.op, sizes, call.outputs[0].count)


def augmentation(site: Site) -> Piece:
    """Images moved or mirrored: a thread for each number."""
    (n, h, w, c), a = site.call.inputs[0].shape, site.call.attributes
    sizes = {"N": n, "H": h, "W": w, "C": c, "MARGIN": a.get("margin", 0), "EDGE": a.get("fill") == "edge"}
    return _simple(site, site.call.op, sizes, site.call.outputs[0].count)


def group_norm(site: Site) -> Piece:
    """A block for each sample, with four vectors [C] of its own."""
    call = site.call
    n, h, w, c = call.inputs[0].shape
    groups = call.outputs[1].shape[1] if call.op == "group_norm" else call.inputs[2].shape[1]
    name, sizes = f"sizes_{site.number}", {"P": h * w, "C": c, "G": groups, "SIZE": h * w * (c // groups)}
    lines = [
        f"number* const rooms = (number*)scratch + (index)block * {4 * c};",
        f"{call.op}<{name}>(block, rooms, {_operands(site)});",
    ]
    return Piece(blocks=n, lines=lines, before=constants(name, sizes), scratch=n * 4 * c * site.size)


def runs(site: Site) -> Piece:
    """concat and split: one run after the other, a thread for each number."""
    call = site.call
    joins, axis = call.op == "concat", call.attributes["axis"]
    parts, whole = (call.inputs, call.outputs[0]) if joins else (call.outputs, call.inputs[0])
    outer, kind = math.prod(whole.shape[:axis]), TYPES[whole.dtype]
    lengths = [math.prod(part.shape[axis:]) for part in parts]
    lines: list[str] = []
    start = place = 0
    for part, length in zip(parts, lengths, strict=True):
        given, made = (part, whole) if joins else (whole, part)
        count = blocks_for(outer * length)
        template = f"move_run<{kind}, {outer}, {length}, {sum(lengths)}, {place}, {str(joins).lower()}>"
        move = f"{template}(block - {start}, {address(given)}, {address(made, constant=False)});"
        lines += block(f"if (block >= {start} && block < {start + count})", [move])
        start, place = start + count, place + length
    return Piece(blocks=start, lines=lines)


def _simple(site: Site, template: str, sizes: dict[str, int], count: int) -> Piece:
    name = f"sizes_{site.number}"
    lines = [f"{template}<{name}>(block, {_operands(site)});"]
    return Piece(blocks=blocks_for(count), lines=lines, before=constants(name, sizes))


def _operands(site: Site) -> str:
    inputs, outputs = site.operands()
    return ", ".join((*inputs, *outputs))


def described(call: Call) -> str:
    """The call in a line, for a reader."""
    shapes = " x ".join(str(list(b.shape)) for b in call.inputs)
    kind = f"{call.product.op} and what follows" if call.product else call.op
    return f"{call.name}: {kind}({shapes})"
