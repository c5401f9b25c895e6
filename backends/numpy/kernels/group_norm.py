"""Kernels of group normalization: sums run down the contiguous channels of a sample, groups are taken from the sums of its channels.

So nothing is transposed, whatever the number of groups.  A tile is one sample, and within it every sum has one fixed order.
"""

# N batch, P places (H W) of an image, C channels, G groups of channels; a strip is up to 4 vectors of 16 lanes
from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir

from backends.contract import ALIGNMENT, ITEM_BYTES, Call
from backends.numpy.emit.emitter import ELEMENT, I64, POINTER, Emitter, Value
from backends.numpy.emit.number import Number
from backends.numpy.emit.strips import Strips
from backends.numpy.emit.vectors import Cells
from backends.numpy.kernels.kernel import Sizes
from backends.numpy.machine.processor import Processor


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups(Sizes):
    """The sizes of one call."""

    op: str
    samples: int
    places: int
    channels: int
    groups: int
    precision: str

    @classmethod
    def of(cls, call: Call, precision: str, cpu: Processor) -> Groups:
        """The sizes of `call`."""
        n, h, w, c = call.inputs[0].shape
        groups = call.outputs[1].shape[1] if call.op == "group_norm" else call.inputs[2].shape[1]
        return cls(op=call.op, samples=n, places=h * w, channels=c, groups=groups, precision=precision)

    @property
    def tiles(self) -> int:
        """One for each sample."""
        return self.samples

    @property
    def size(self) -> int:
        """Numbers of a group in a sample."""
        return self.places * (self.channels // self.groups)

    @property
    def room(self) -> int:
        """Bytes of one number a channel, aligned."""
        return -(-self.channels * ITEM_BYTES[self.precision] // ALIGNMENT) * ALIGNMENT

    @property
    def scratch(self) -> int:
        """Four numbers a channel."""
        return 4 * self.room

    @property
    def work(self) -> float:
        """Operations of the whole call."""
        return 10.0 * self.samples * self.places * self.channels


class GroupNormKernel:
    """Emits `name(input pointers, output pointers, scratch, begin, end)` for samples begin <= n < end.

    Of each sample [P, C]; c runs in strips, p in the loop within a strip:

        for c:  total[c] = sum over p of x[p, c]
        for g:  mean[g] = sum of total[c] over g / size;                    center[c] = mean[g] for every c in g
        for c:  square[c] = sum over p of (x[p, c] - center[c])^2
        for g:  inverse[g] = 1 / sqrt(sum of square[c] over g / size + epsilon);  std[c] = inverse[g] for every c in g
        for c:  y[p, c] = (x[p, c] - center[c]) * (gamma[c] * std[c]) + beta[c] for every p

    The vectors [C] between these loops, two here and four of the gradient, lie in the scratch.
    """

    def __init__(self, module: ir.Module, name: str, groups: Groups) -> None:
        self.p = groups
        self.pointers = 7 if groups.op == "group_norm" else 8
        self.e = Emitter(module, name, [POINTER] * (self.pointers + 1) + [I64, I64])
        self.strips = Strips(self.e, groups.precision)
        self.element = ELEMENT[groups.precision]
        self.share = self.e.literal(1.0 / groups.size, self.element)

    def emit(self) -> None:
        """Emits the whole kernel."""
        e, p = self.e, self.p
        *pointers, scratch, begin, end = e.arguments
        image, own = p.places * p.channels, p.groups
        # how far the operands of one sample lie from those of the next; gamma, beta and epsilon are those of all
        steps = (image, 0, 0, 0, image, own, own) if p.op == "group_norm" else (image, 0, own, own, image, image, p.channels, p.channels)
        rooms = [e.at(scratch, n * p.room) for n in range(4)]
        with e.loop(begin, end) as n:
            operands = [self._at(q, n * step) for q, step in zip(pointers, steps, strict=True)]
            (self.forward if p.op == "group_norm" else self.gradient)(rooms, *operands)
        e.finish()

    def forward(self, rooms: list[Value], *operands: Value) -> None:
        """x [P, C], gamma [C], beta [C], epsilon -> y [P, C], mean [G], 1 / std [G]."""
        x, gamma, beta, epsilon, y, mean, inverse = operands
        e, s, p, (center, std, *_) = self.e, self.strips, self.p, rooms

        for c in s.along(p.channels):
            total = s.cells(c.valid, 0.0)
            with e.loop(0, p.places) as place:
                so_far = total.read()
                total.write(so_far + s.load(x, c.after(place * p.channels)))
            s.store(total.read(), center, c)

        self._give(center, lambda group, first: self._sum(first, center) * self.share, mean)

        for c in s.along(p.channels):
            middle = s.load(center, c)
            squares = s.cells(c.valid, 0.0)
            with e.loop(0, p.places) as place:
                so_far = squares.read()
                off = s.load(x, c.after(place * p.channels)) - middle
                squares.write(off.each(e.fma, off, so_far))
            s.store(squares.read(), std, c)

        def deviation(group: Number, first: Number) -> Value:
            variance = self._sum(first, std) * self.share
            return e.number(e.literal(1.0, self.element)) / e.unary("sqrt", variance + e.load(epsilon, p.precision))

        self._give(std, deviation, inverse)

        for c in s.along(p.channels):
            middle, shift = s.load(center, c), s.load(beta, c)
            scale = s.load(gamma, c) * s.load(std, c)
            with e.loop(0, p.places) as place:
                there, here = c.after(place * p.channels), c.after(place * p.channels)
                s.store((s.load(x, here) - middle).each(e.fma, scale, shift), y, there)

    def gradient(self, rooms: list[Value], *operands: Value) -> None:
        """x [P, C], gamma [C], mean, 1 / std [G], g [P, C] -> dx [P, C], the sums over the places of g * xhat and of g [C].

        dx = g gamma / std - level - (x - mean) slope, level = mean(gamma g) / std and slope = mean(gamma g * xhat) / std^2 of the group.
        """
        x, gamma, mean, inverse, g, dx, gamma_part, beta_part = operands
        e, s, p, (center, std, level, slope) = self.e, self.strips, self.p, rooms

        def share(part: Value, group: Number, first: Number) -> Value:
            return self._sum(first, part, gamma) * self.share * self._number(inverse, group)

        self._give(center, lambda group, _: self._number(mean, group))
        self._give(std, lambda group, _: self._number(inverse, group))
        self._sums_of_gradient(x, g, center, std, gamma_part, beta_part)
        self._give(level, lambda *group: share(beta_part, *group))
        self._give(slope, lambda *group: share(gamma_part, *group) * self._number(inverse, group[0]))

        for c in s.along(p.channels):
            middle, flat, steep = (s.load(room, c) for room in (center, level, slope))
            scale = s.load(gamma, c) * s.load(std, c)
            with e.loop(0, p.places) as place:
                there, here = c.after(place * p.channels), c.after(place * p.channels)
                taken = (s.load(x, here) - middle).each(e.fma, steep, flat)
                s.store(s.load(g, here) * scale - taken, dx, there)

    def _sums_of_gradient(self, x: Value, g: Value, center: Value, std: Value, gamma_part: Value, beta_part: Value) -> None:
        """gamma_part[c] = sum over p of (x - center) g, times std[c];  beta_part[c] = sum over p of g."""
        e, s, p = self.e, self.strips, self.p
        for c in s.along(p.channels):
            middle, scale = s.load(center, c), s.load(std, c)
            products, plain = s.cells(c.valid, 0.0), s.cells(c.valid, 0.0)
            with e.loop(0, p.places) as place:
                product, total = products.read(), plain.read()
                here = c.after(place * p.channels)
                sent = s.load(g, here)
                off = s.load(x, here) - middle
                product, total = off.each(e.fma, sent, product), total + sent
                products.write(product)
                plain.write(total)
            product, total = products.read(), plain.read()
            s.store(product * scale, gamma_part, c)
            s.store(total, beta_part, c)

    # -- groups ------------------------------------------------------------------------------------------------------------------

    def _give(self, room: Value, value: Callable[[Number, Number], Value], target: Value = None) -> None:
        """Gives every channel of `room` [C] the `value(group, first channel)` of its group; `target` [G] gets it once a group."""
        e, each = self.e, self.p.channels // self.p.groups
        with e.loop(0, self.p.groups) as group:
            first = group * each
            number = value(group, first)
            if target is not None:
                e.store(number, self._at(target, group), self.p.precision)
            with e.loop(first, first + each) as channel:
                e.store(number, self._at(room, channel), self.p.precision)

    def _sum(self, first: Number, *factors: Value) -> Number:
        """The sum over the channels of a group of the product of `factors`, each [C]."""
        e, each = self.e, self.p.channels // self.p.groups
        total = Cells(e, self.element, 1).fill(e.literal(0.0, self.element))
        with e.loop(first, first + each) as channel:
            product = self._number(factors[0], channel)
            for factor in factors[1:]:
                product = product * self._number(factor, channel)
            total.take(operator.add, [product])
        (result,) = total
        return result

    def _number(self, pointer: Value, index: Value) -> Number:
        return self.e.number(self.e.load(self._at(pointer, index), self.p.precision))

    def _at(self, pointer: Value, offset: Value) -> Value:
        return self.e.at(pointer, offset, self.p.precision)
