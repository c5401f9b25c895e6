"""Products as pieces: of matrices, convolutions, their data and weight gradients, each with what follows it in its own kernel."""

# M rows, K terms, N columns of a product; N images, H W rows and columns, C channels read, O channels made, kh kw window
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from backends.contract import Body, Buffer, Call
from backends.cupy.source.body import BodyText, Refused, missing
from backends.cupy.source.piece import THREADS, Piece, Site, address
from backends.cupy.source.text import TYPES, block, constants
from backends.lattice import Lattice, lattices

DEPTH = 16  # terms that lie in shared memory at once
# rows and columns of a block's tile, and those of a thread
TILES = ((64, 64, 4, 4), (64, 32, 4, 2), (64, 16, 4, 1), (32, 32, 2, 2), (32, 16, 2, 1), (16, 16, 1, 1))
ENOUGH = 132  # blocks that keep a large GPU busy


def matmul(site: Site) -> Piece:
    """C[m, n] = sum over k of A[m, k] B[k, n], either operand transposed in memory or not."""
    call, op = site.call, _product(site.call)
    a, b = (buffer.shape for buffer in call.inputs[:2])
    (k, m) = a if op.get("transpose_a") else reversed(a)
    n = b[0] if op.get("transpose_b") else b[1]
    left = f"left_matrix<1, {m}>" if op.get("transpose_a") else f"left_matrix<{k}, 1>"
    right = f"right_matrix<1, {k}>" if op.get("transpose_b") else f"right_matrix<{n}, 1>"
    operands = [address(buffer) for buffer in call.inputs[:2]]
    tile = _tile(m, n)
    before, end = _end(site, n)
    lines = [*end, *_call(m, n, tile, str(k), f"{left}{{{operands[0]}}}", f"{right}{{{operands[1]}}}", "block")]
    return Piece(blocks=_count(m, n, tile), lines=lines, before=before, shared=_shared(tile, site.size, leaves_out=False))


def convolution(site: Site) -> Piece:
    """A convolution or its data gradient: for each lattice of rows and columns a product over the taps that reach it."""
    call, a = site.call, _product(site.call)
    back = (call.product.op if call.product else call.op) == "conv_data_gradient"
    (n, *source), (kh, kw, c, o) = call.inputs[0].shape, call.inputs[1].shape
    made = c if back else o
    if back:
        size = a["size"]
    else:
        around = (a["padding"][0] + a["padding"][1], a["padding"][2] + a["padding"][3])
        sides = zip(source, around, a["dilation"], (kh, kw), a["stride"], strict=False)
        size = [(length + extra - d * (k - 1) - 1) // s + 1 for length, extra, d, k, s in sides]
    axes = [
        lattices(back=back, out=size[x], window=(kh, kw)[x], stride=a["stride"][x], padding=a["padding"][2 * x], dilation=a["dilation"][x])
        for x in range(2)
    ]
    before, lines = _end(site, made)
    fixed = {"N": n, "H": source[0], "W": source[1], "C": source[2], "O": made, "OUT_H": size[0], "OUT_W": size[1], "KW": kw, "BACK": back}
    start, shared = 0, 0
    operands = [address(buffer) for buffer in call.inputs[:2]]
    for rows in axes[0]:
        for columns in axes[1]:
            name = f"walk_{site.number}" + (f"_{rows.first}_{columns.first}" if len(axes[0]) * len(axes[1]) > 1 else "")
            before = [*before, *constants(name, fixed | _axis("ROW", rows) | _axis("COLUMN", columns))]
            m, terms = n * rows.count * columns.count, len(rows.taps) * len(columns.taps) * source[2]
            tile = _tile(m, made)
            count = _count(m, made, tile)
            product = _call(
                m, made, tile, str(terms), f"seen<{name}>{{{operands[0]}}}", f"weights<{name}>{{{operands[1]}}}", f"block - {start}"
            )
            lines += block(f"if (block >= {start} && block < {start + count})", product)
            start, shared = start + count, max(shared, _shared(tile, site.size, leaves_out=True))
    return Piece(blocks=start, lines=lines, before=before, shared=shared)


def _axis(name: str, axis: Lattice) -> dict[str, int]:
    """What a lattice of one axis is, in the words of the templates."""
    taps = axis.taps or ((0, 0),)
    step = taps[1][0] - taps[0][0] if len(taps) > 1 else 1
    assert all(tap == (taps[0][0] + t * step, taps[0][1] + t * axis.rise) for t, tap in enumerate(taps)), "taps lie evenly"
    return {
        f"{name}S": axis.count, f"{name}_TAPS": max(1, len(axis.taps)), f"{name}_OFFSET": taps[0][1], f"{name}_RISE": axis.rise,
        f"{name}_PLACE": taps[0][0], f"{name}_PLACE_STEP": step, f"{name}_PACE": axis.pace, f"{name}_STEP": axis.step,
        f"{name}_FIRST": axis.first,
        **({"GROUPS": max(1, len(axis.groups))} if name == "COLUMN" else {}),
    }  # fmt: skip


def weight_gradient(site: Site) -> Piece:
    """d[part, i, j, c, o]: a product whose terms are the positions of the images of a part."""
    call, a = site.call, site.call.attributes
    (n, h, w, c), (_, ho, wo, o), (parts, kh, kw, *_) = call.inputs[0].shape, call.inputs[1].shape, call.outputs[0].shape
    m, name = kh * kw * c, f"gradient_{site.number}"
    sizes = {
        "H": h, "W": w, "C": c, "O": o, "OUT_H": ho, "OUT_W": wo, "KW": kw, "SH": a["stride"][0], "SW": a["stride"][1],
        "DH": a["dilation"][0], "DW": a["dilation"][1], "TOP": a["padding"][0], "LEFT": a["padding"][2],
    }  # fmt: skip
    tile = _tile(m, o, parts)
    count = _count(m, o, tile)
    image, gradient = (address(buffer) for buffer in call.inputs)
    lines = [
        f"const int part = block / {count}, low = part * {n} / {parts}, high = (part + 1) * {n} / {parts};",
        f"const number* const gradient = {gradient} + (index)low * {ho * wo * o};",
        f"const stored<{o}> end{{{address(call.outputs[0], constant=False)} + (index)part * {m * o}}};",
        *_call(
            m, o, tile, f"(high - low) * {ho * wo}", f"image_of_gradient<{name}>{{{image}, low}}", f"right_matrix<{o}, 1>{{gradient}}",
            f"block % {count}",
        ),
    ]  # fmt: skip
    return Piece(blocks=count * parts, lines=lines, before=constants(name, sizes), shared=_shared(tile, site.size, leaves_out=True))


# -- tiles -------------------------------------------------------------------------------------------------------------------------------


def _tile(m: int, n: int, times: int = 1) -> tuple[int, int, int, int]:
    """Of the tiles that are not twice as wide as the product, the largest of which there are enough; else the smallest."""
    fitting = [t for t in TILES if t[1] < 2 * n or t[1] == 16]
    return next((t for t in fitting if _count(m, n, t) * times >= ENOUGH), fitting[-1])


def _count(m: int, n: int, tile: tuple[int, int, int, int]) -> int:
    return -(-m // tile[0]) * -(-n // tile[1])


def _shared(tile: tuple[int, int, int, int], size: int, *, leaves_out: bool) -> int:
    assert (tile[0] // tile[2]) * (tile[1] // tile[3]) == THREADS
    return DEPTH * ((tile[0] + tile[1]) * size + tile[0] * leaves_out)


def _call(m: int, n: int, tile: Sequence[int], terms: str, left: str, right: str, number: str) -> list[str]:
    """The line that calls the template."""
    return [f"product<{m}, {n}, {', '.join(map(str, tile))}>({number}, room, {terms}, {left}, {right}, end);"]


# -- what follows a product ---------------------------------------------------------------------------------------------------------------


def _product(call: Call) -> dict[str, Any]:
    return dict(call.product.attributes if call.product else call.attributes)


def _end(site: Site, columns: int) -> tuple[list[str], list[str]]:
    """-> (what must be declared before the kernel, the lines that make `end`): what is done with each element of a product [M, columns]."""
    call, body = site.call, site.call.body
    if body is None:
        if call.product is None and call.op == "matmul" and len(call.inputs) == 3:
            assert call.inputs[2] == replace(call.outputs[0], name=call.inputs[2].name), "sums go on where they are stored"
            return [], [f"const taken_up<{columns}> end{{{address(call.outputs[0], constant=False)}}};"]
        return [], [f"const stored<{columns}> end{{{address(call.outputs[0], constant=False)}}};"]
    unknown = missing(body)
    if unknown:
        raise Refused(f"no CUDA source for {', '.join(unknown)} of {call.name}")
    name, (product, _) = f"end_{site.number}", body.inputs[0]
    body = replace(body, columns=columns) if body.rows == 1 else body
    others = dict(zip([n for n, _ in body.inputs[1:]], call.inputs[2:], strict=True))
    made = dict(zip(body.outputs, call.outputs, strict=True))
    text = _text(site, body, product, others, made)
    known = {product}
    inside = [f"const index e = (index)row * {columns} + column;", *text.lines(body.outputs, known)]
    inside += [text.store(value) for value in body.outputs]
    fields = [(text.places[value], buffer, True) for value, buffer in others.items()]
    fields += [(text.places[value], buffer, False) for value, buffer in made.items()]
    declared = [
        f"struct {name} {{  // of {call.name}",
        *(f"    {'const ' if constant else ''}{TYPES[buffer.dtype]}* {field};" for field, buffer, constant in fields),
        f"    INLINE void operator()(int row, int column, number {site.names(product)}) const {{",
        *(f"        {line}" for line in inside),
        "    }",
        "};",
    ]
    values = ", ".join(address(buffer, constant=constant) for _, buffer, constant in fields)
    return declared, [f"const {name} end{{{values}}};"]


def _text(site: Site, body: Body, product: str, others: dict[str, Buffer], made: dict[str, Buffer]) -> BodyText:
    places = {value: f"at_{site.names(value)}" for value in (*others, *made)}
    dtypes = {value: buffer.dtype for value, buffer in others.items()} | {product: site.precision}
    return BodyText(body, site.names, places, dtypes, frozenset())
