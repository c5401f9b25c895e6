"""Kernels of group normalization: sums run down the contiguous channels of a sample, groups are taken from the sums of its channels.

So nothing is transposed, whatever the number of groups.  A tile is one sample, and within it every sum has one fixed order.
"""

# N batch, P places (H W) of an image, C channels, G groups of channels; a strip is up to 4 vectors of 16 lanes
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir

from backends.contract import ALIGNMENT, ITEM_BYTES, Call
from backends.numpy.emit.emitter import ELEMENT, I64, POINTER, Emitter, Value, i64, vector
from backends.numpy.kernels.kernel import Sizes
from backends.numpy.machine.processor import LANES, Processor

STRIP = 4 * LANES
Vectors = list[Value]


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


# the numbers of a strip at one place, from the start of an image; what a place adds to the sums so far
Read = Callable[[Value], Vectors]
Add = Callable[[Read, list[Vectors]], list[Vectors]]


class GroupNormKernel:
    """Emits `name(input pointers, output pointers, scratch, begin, end)` for samples begin <= n < end."""

    def __init__(self, module: ir.Module, name: str, groups: Groups) -> None:
        self.p = groups
        self.pointers = 7 if groups.op == "group_norm" else 8
        self.e = Emitter(module, name, [POINTER] * (self.pointers + 1) + [I64, I64])
        self.element = ELEMENT[groups.precision]
        self.kind = vector(self.element)
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
            operands = [self._at(q, e.b.mul(n, i64(step))) for q, step in zip(pointers, steps, strict=True)]
            (self.forward if p.op == "group_norm" else self.gradient)(rooms, *operands)
        e.finish()

    def forward(self, rooms: list[Value], *operands: Value) -> None:
        """x [P, C], gamma [C], beta [C], epsilon -> y [P, C], mean [G], 1 / std [G]."""
        x, gamma, beta, epsilon, y, mean, inverse = operands
        e, (center, std, *_) = self.e, rooms

        def total(start: Value, valid: list[int]) -> None:
            self._store(self._down(start, valid, 1, lambda at, sums: [self._each(e.b.fadd, sums[0], at(x))])[0], center, start, valid)

        def squares(start: Value, valid: list[int]) -> None:
            middle = self._load(center, start, valid)

            def add(at: Read, sums: list[Vectors]) -> list[Vectors]:
                off = self._each(e.b.fsub, at(x), middle)
                return [self._each(e.fma, off, off, sums[0])]

            self._store(self._down(start, valid, 1, add)[0], std, start, valid)

        def write(start: Value, valid: list[int]) -> None:
            middle, shift = self._load(center, start, valid), self._load(beta, start, valid)
            scale = self._each(e.b.fmul, self._load(gamma, start, valid), self._load(std, start, valid))
            self._map(start, valid, y, lambda at: self._each(e.fma, self._each(e.b.fsub, at(x), middle), scale, shift))

        def deviation(group: Value, first: Value) -> Value:
            variance = e.b.fmul(self._sum(first, std), self.share)
            root = e.unary("sqrt", e.b.fadd(variance, e.load(epsilon, self.p.precision)))
            return e.b.fdiv(e.literal(1.0, self.element), root)

        self._strips(total)
        self._give(center, lambda group, first: e.b.fmul(self._sum(first, center), self.share), mean)
        self._strips(squares)
        self._give(std, deviation, inverse)
        self._strips(write)

    def gradient(self, rooms: list[Value], *operands: Value) -> None:
        """x [P, C], gamma [C], mean, 1 / std [G], g [P, C] -> dx [P, C], the sums over the places of g * xhat and of g [C].

        dx = g gamma / std - level - (x - mean) slope, level = mean(gamma g) / std and slope = mean(gamma g * xhat) / std^2 of the group.
        """
        x, gamma, mean, inverse, g, dx, gamma_part, beta_part = operands
        e, (center, std, level, slope) = self.e, rooms

        def sums(start: Value, valid: list[int]) -> None:
            middle, scale = self._load(center, start, valid), self._load(std, start, valid)

            def add(at: Read, so_far: list[Vectors]) -> list[Vectors]:
                sent = at(g)
                off = self._each(e.b.fsub, at(x), middle)
                return [self._each(e.fma, off, sent, so_far[0]), self._each(e.b.fadd, so_far[1], sent)]

            products, plain = self._down(start, valid, 2, add)
            self._store(self._each(e.b.fmul, products, scale), gamma_part, start, valid)
            self._store(plain, beta_part, start, valid)

        def share(part: Value, group: Value, first: Value) -> Value:
            own = e.b.fmul(self._sum(first, part, gamma), self.share)
            return e.b.fmul(own, e.load(self._at(inverse, group), self.p.precision))

        def write(start: Value, valid: list[int]) -> None:
            middle, flat, steep = (self._load(room, start, valid) for room in (center, level, slope))
            scale = self._each(e.b.fmul, self._load(gamma, start, valid), self._load(std, start, valid))

            def value(at: Read) -> Vectors:
                taken = self._each(e.fma, self._each(e.b.fsub, at(x), middle), steep, flat)
                return self._each(e.b.fsub, self._each(e.b.fmul, at(g), scale), taken)

            self._map(start, valid, dx, value)

        self._give(center, lambda group, first: e.load(self._at(mean, group), self.p.precision))
        self._give(std, lambda group, first: e.load(self._at(inverse, group), self.p.precision))
        self._strips(sums)
        self._give(level, lambda *group: share(beta_part, *group))
        self._give(slope, lambda *group: e.b.fmul(share(gamma_part, *group), e.load(self._at(inverse, group[0]), self.p.precision)))
        self._strips(write)

    # -- groups ------------------------------------------------------------------------------------------------------------------

    def _give(self, room: Value, value: Callable[[Value, Value], Value], target: Value = None) -> None:
        """Gives every channel of `room` [C] the `value(group, first channel)` of its group; `target` [G] gets it once a group."""
        e, each = self.e, self.p.channels // self.p.groups
        with e.loop(0, self.p.groups) as group:
            first = e.b.mul(group, i64(each))
            number = value(group, first)
            if target is not None:
                e.store(number, self._at(target, group), self.p.precision)
            with e.loop(first, e.b.add(first, i64(each))) as channel:
                e.store(number, self._at(room, channel), self.p.precision)

    def _sum(self, first: Value, *factors: Value) -> Value:
        """The sum over the channels of a group of the product of `factors`, each [C]."""
        e, each = self.e, self.p.channels // self.p.groups
        (cell,) = self._cells(1, self.element)
        with e.loop(first, e.b.add(first, i64(each))) as channel:
            product = e.load(self._at(factors[0], channel), self.p.precision)
            for factor in factors[1:]:
                product = e.b.fmul(product, e.load(self._at(factor, channel), self.p.precision))
            e.b.store(e.b.fadd(e.b.load(cell, typ=self.element), product), cell)
        return e.b.load(cell, typ=self.element)

    # -- channels ----------------------------------------------------------------------------------------------------------------

    def _strips(self, use: Callable[[Value, list[int]], None]) -> None:
        """Calls `use(first channel, lanes in use)` for every strip of channels."""
        whole, rest = divmod(self.p.channels, STRIP)
        if whole:
            with self.e.loop(0, whole) as index:
                use(self.e.b.mul(index, i64(STRIP)), [LANES] * 4)
        if rest:
            use(i64(whole * STRIP), [min(LANES, rest - n) for n in range(0, rest, LANES)])

    def _down(self, start: Value, valid: list[int], count: int, add: Add) -> list[Vectors]:
        """`count` sums over the places of the strip at `start`, each place in its turn."""
        cells = [self._cells(len(valid), self.kind) for _ in range(count)]
        with self.e.loop(0, self.p.places) as place:
            sums = [[self.e.b.load(cell, typ=self.kind) for cell in own] for own in cells]
            for own, values in zip(cells, add(self._reader(place, start, valid), sums), strict=True):
                self._each(self.e.b.store, values, own)
        return [[self.e.b.load(cell, typ=self.kind) for cell in own] for own in cells]

    def _map(self, start: Value, valid: list[int], target: Value, value: Callable[[Read], Vectors]) -> None:
        """Stores `value` at every place of the strip of `target` [P, C]."""
        with self.e.loop(0, self.p.places) as place:
            offset = self.e.b.add(self.e.b.mul(place, i64(self.p.channels)), start)
            self._store(value(self._reader(place, start, valid)), target, offset, valid)

    def _reader(self, place: Value, start: Value, valid: list[int]) -> Read:
        offset = self.e.b.add(self.e.b.mul(place, i64(self.p.channels)), start)
        return lambda image: self._load(image, offset, valid)

    def _each(self, rule: Callable[..., Value], *operands: Vectors) -> Vectors:
        return [rule(*parts) for parts in zip(*operands, strict=True)]

    def _cells(self, count: int, kind: Value) -> list[Value]:
        with self.e.b.goto_entry_block():
            cells = [self.e.b.alloca(kind) for _ in range(count)]
        for cell in cells:
            self.e.b.store(self.e.literal(0.0, kind), cell)
        return cells

    def _at(self, pointer: Value, offset: Value) -> Value:
        return self.e.at(pointer, offset, self.p.precision)

    def _load(self, pointer: Value, offset: Value, valid: list[int]) -> Vectors:
        at = self._at(pointer, offset)
        return [self.e.load_vector(self._at(at, LANES * n), self.p.precision, valid=lanes) for n, lanes in enumerate(valid)]

    def _store(self, parts: Vectors, pointer: Value, offset: Value, valid: list[int]) -> None:
        at = self._at(pointer, offset)
        for n, (part, lanes) in enumerate(zip(parts, valid, strict=True)):
            self.e.store_vector(part, self._at(at, LANES * n), self.p.precision, valid=lanes)
