"""A plan as CUDA C: one kernel a phase, whose blocks share out its calls; blockIdx.y is the trial.

The kernels of a step, in order, are its launches, whatever the number of trials.  All kernels take the same arguments (GIVEN): where state,
work, data and tables lie, and the number of the step in the batch of steps that one graph makes.
"""

# K trials, S steps, B batch rows
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backends.contract import ALIGNMENT, STORED, Buffer, Call, Plan
from backends.cupy.source.body import Refused
from backends.cupy.source.fused import fused
from backends.cupy.source.images import augmentation, described, group_norm, runs, windows
from backends.cupy.source.mathematics import gathering, templates
from backends.cupy.source.piece import Piece, Site, address, blocks_for
from backends.cupy.source.products import convolution, matmul, weight_gradient
from backends.cupy.source.text import TYPES, Names, block, indented

PIECES: dict[str, Callable[[Site], Piece]] = {
    "fused": fused,
    "matmul": matmul,
    "conv": convolution,
    "conv_data_gradient": convolution,
    "conv_weight_gradient": weight_gradient,
    "group_norm": group_norm,
    "group_norm_gradient": group_norm,
    "concat": runs,
    "split": runs,
    **dict.fromkeys(("patches", "fold", "max_pool", "max_pool_gradient", "average_pool", "average_pool_gradient"), windows),
    **dict.fromkeys(("shift", "mirror"), augmentation),
}
# the arguments of every kernel, in order; bases of slabs [K, stride], data, tables [K, S, ...], rings [K, S, ...]
ARGUMENTS = (
    ("char*", "states"), ("char*", "works"), ("const void*", "xs"), ("const char*", "ys"), ("const char*", "weights_of_rows"),
    ("const long long*", "orders"), ("const long long*", "x_orders"), ("const number*", "value_table"),
    ("const unsigned int*", "word_table"), ("const number*", "pairs"),
    ("int", "pair_count"), ("long long", "pair_stride"), ("int", "x_form"), ("long long*", "done"), ("int*", "stopped"),
    ("long long*", "clock"), ("char*", "rings"), ("int", "offset"),
)  # fmt: skip
MOST = 2**31 - 1  # numbers of a tensor: kernels count them in 32 bits
# after the steps of a graph
ADVANCE = 'extern "C" __global__ void advance(long long* clock, int steps) { clock[0] += steps; }'
CLOCK = 2  # numbers before those of the rings: the first step of a graph, and the steps S of the tables; then where each ring starts


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A launch: its name, its blocks for a trial, whether it takes the rows, and the numbers of its calls."""

    name: str
    blocks: int
    gathers: bool
    calls: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Source:
    """text       of the kernels of a step
    gathers    of those that take the rows
    kernels    in the order of their launches
    work       bytes of a trial's slab of work: the plan's, and what kernels need beside it
    scratch    (where it starts, its bytes) for each call that needs any
    blocks     of each call by its number, for a trial
    flushes    whether the compiler makes denormals zero: those of float32, for the source does it itself for float64
    """

    text: str
    gathers: str
    kernels: tuple[Kernel, ...]
    work: int
    scratch: dict[int, tuple[int, int]]
    blocks: dict[int, int]
    flushes: bool


def program(plan: Plan) -> Source:
    """The source of `plan`.  Raises Refused."""
    return _Program(plan).source()


class _Program:
    def __init__(self, plan: Plan) -> None:
        self.plan, self.names = plan, Names()
        self.size = 4 if plan.precision == "float32" else 8
        self.state_stride = plan.state_bytes
        self.phases = sorted({c.phase for c in plan.calls})
        self.pieces = {n: self._piece(n, c) for n, c in enumerate(plan.calls) if c.op != "gather"}
        self.work, self.scratch = self._with_scratch()
        made = {b.offset: c.phase for c in plan.calls for b in c.outputs if b.region == "work"}
        last = max(self.phases, default=0)
        late = [b.region == "state" or made.get(b.offset, 0) == last for _, b in plan.outputs]
        self.late = any(late) or len(self.phases) < 2  # what the last phase makes is copied after it

    def source(self) -> Source:
        plan, kernels, before, text, gathers = self.plan, [], [], [], []
        for phase in self.phases:
            calls = [(n, c) for n, c in enumerate(plan.calls) if c.phase == phase]
            ends = phase == self.phases[-1] and not self.late
            name = f"{plan.name}_{phase}"
            takes = any(c.op == "gather" for _, c in calls)
            if takes:
                assert all(c.op == "gather" for _, c in calls), "the rows are taken before all else"
                blocks, shared = self._gather_blocks(calls), 0
                gathers += self._kernel(name, self._gathers(calls), 0)
            else:
                before += [line for n, _ in calls for line in self.pieces[n].before]
                lines, blocks, shared = self._branches(calls, ends)
                text += self._kernel(name, lines if ends or not self._waits(phase) else [*self._guard(), *lines], shared)
            kernels.append(Kernel(name=name, blocks=blocks, gathers=takes, calls=tuple(n for n, _ in calls)))
        if self.late:
            name = f"{plan.name}_end"
            text += self._kernel(name, ["const int block = blockIdx.x;", *self._end_lines()], 0)
            kernels.append(Kernel(name=name, blocks=1 + self._copy_blocks(), gathers=False, calls=()))
        text.append(ADVANCE)
        arguments = ", ".join(f"{kind} {name}" for kind, name in ARGUMENTS)
        given = [f"#define GIVEN {arguments}", ""]
        return Source(
            text="\n".join([templates(plan.precision), *given, *before, "", *text, ""]),
            gathers="\n".join([gathering(plan.precision), *given, *gathers, ""]) if gathers else "",
            kernels=tuple(kernels), work=self.work, scratch=self.scratch, flushes=plan.precision == "float32",
            blocks={n: piece.blocks for n, piece in self.pieces.items()} | {n: self._gather_blocks([(n, c)]) for n, c in self._rows()},
        )  # fmt: skip

    def _rows(self) -> list[tuple[int, Call]]:
        """The calls that take the rows of a step."""
        return [(n, c) for n, c in enumerate(self.plan.calls) if c.op == "gather"]

    def _piece(self, number: int, call: Call) -> Piece:
        op = call.product.op if call.product else call.op
        if any(b.count > MOST for b in (*call.inputs, *call.outputs)):
            raise Refused(f"more than {MOST:,} numbers in a tensor of {call.name}")
        if op not in PIECES:
            raise Refused(f"no CUDA source for {op} of {call.name}")
        return PIECES[op](Site(call=call, number=number, precision=self.plan.precision, names=Names()))

    def _with_scratch(self) -> tuple[int, dict[int, tuple[int, int]]]:
        """Calls of one phase need rooms of their own; phases share them."""
        most, found = self.plan.work_bytes, {}
        for phase in self.phases:
            start = self.plan.work_bytes
            for n, call in enumerate(self.plan.calls):
                if call.phase == phase and n in self.pieces and self.pieces[n].scratch:
                    found[n] = (start, self.pieces[n].scratch)
                    start += -(-self.pieces[n].scratch // ALIGNMENT) * ALIGNMENT
            most = max(most, start)
        return max(ALIGNMENT, most), found

    # -- a kernel ----------------------------------------------------------------------------------------------------------------------

    def _kernel(self, name: str, lines: Sequence[str], shared: int) -> list[str]:
        plan = self.plan
        room = [f"__shared__ __align__(16) char shared[{shared}];", "number* const room = (number*)shared;"] if shared else []
        head = [
            "const int trial = blockIdx.y;",
            "if (stopped[trial]) return;",
            "const long long place = trial * clock[1] + clock[0] + offset;",
            f"char* const state = states + (long long)trial * {self.state_stride};",
            f"char* const work = works + (long long)trial * {self.work};",
            f"const number* const values = value_table + place * {len(plan.values)};",
            f"const unsigned int* const words = word_table + place * {len(plan.words)};",
            *room,
        ]
        return [f'extern "C" __global__ void __launch_bounds__(256) {name}(GIVEN) {{', *indented([*head, *lines]), "}", ""]

    def _branches(self, calls: Sequence[tuple[int, Call]], ends: bool) -> tuple[list[str], int, int]:
        """The blocks of a phase: which does what -> (lines, blocks, bytes of shared memory)."""
        lines: list[str] = []
        start = 0
        for number, call in calls:
            piece = self.pieces[number]
            inside = [f"const int block = blockIdx.x - {start};"]
            if number in self.scratch:
                inside.append(f"char* const scratch = work + {self.scratch[number][0]};")
            guard = self._guard() if ends and self._waits(call.phase) else []
            lines.append(f"// {described(call)}")
            lines += block(f"if (blockIdx.x >= {start} && blockIdx.x < {start + piece.blocks})", [*guard, *inside, *piece.lines])
            start += piece.blocks
        if ends:
            lines += block(f"if (blockIdx.x >= {start})", [f"const int block = blockIdx.x - {start};", *self._end_lines()])
            start += 1 + self._copy_blocks()
        return lines, start, max(self.pieces[number].shared for number, _ in calls)

    def _waits(self, phase: int) -> bool:
        return self.plan.guard is not None and phase >= self.plan.guard_phase

    def _guard(self) -> list[str]:
        """Leaves the kernel where the guard is not finite: the state stays as it was before this step."""
        if self.plan.guard is None:
            return []
        value = f"*({address(self.plan.guard)})"
        return [f"if (!op::finite({value})) return;  // {self.plan.guard.name}"]

    # -- the end of a step --------------------------------------------------------------------------------------------------------------

    def _end_lines(self) -> list[str]:
        """Outputs go to their rings.  The first block also counts the step, or stops the trial and leaves what the guard was."""
        plan, lines = self.plan, []
        count = "done[trial] += 1;"
        if plan.guard is not None:
            whole = f"op::finite(*({address(plan.guard)}))"
            lines.append(f"const bool sound = {whole};")
            kept = [self._copy(n, b, "e == 0", "0") for n, (_, b) in enumerate(plan.outputs) if b == plan.guard]
            stop = ["stopped[trial] = 1;", "const int e = 0;", *kept]
            inside = [f"if (sound) {count}", *block("else", stop)]
            lines += block("if (block == 0 && threadIdx.x == 0)", inside)
            lines.append("if (!sound || block == 0) return;")
        else:
            lines += [f"if (block == 0 && threadIdx.x == 0) {count}", "if (block == 0) return;"]
        lines.append("const long long e = (long long)(block - 1) * THREADS + threadIdx.x;")
        lines += [self._copy(n, b, f"e < {b.count}", "e") for n, (_, b) in enumerate(plan.outputs)]
        return lines

    def _copy(self, number: int, buffer: Buffer, condition: str, at: str) -> str:
        kind = TYPES[buffer.dtype]
        return f"if ({condition}) (({kind}*)(rings + clock[{CLOCK + number}]))[place * {buffer.count} + {at}] = ({address(buffer)})[{at}];"

    def _copy_blocks(self) -> int:
        return max((blocks_for(b.count) for _, b in self.plan.outputs), default=0)

    # -- the rows of a step ---------------------------------------------------------------------------------------------------------------

    def _gather_blocks(self, calls: Sequence[tuple[int, Call]]) -> int:
        return sum(blocks_for(c.outputs[0].count) for _, c in calls)

    def _gathers(self, calls: Sequence[tuple[int, Call]]) -> list[str]:
        lines: list[str] = []
        start = 0
        for _, call in calls:
            buffer, source = call.outputs[0], str(call.attributes["source"])
            blocks = blocks_for(buffer.count)
            inside = [f"const int block = blockIdx.x - {start};", *self._gather(buffer, source)]
            lines += block(f"if (blockIdx.x >= {start} && blockIdx.x < {start + blocks})", inside)
            start += blocks
        return lines

    def _gather(self, buffer: Buffer, source: str) -> list[str]:
        rows = self.plan.batch
        sizes, kind, target = f"{rows}, {buffer.count // rows}", TYPES[buffer.dtype], address(buffer, constant=False)
        order = f"{'x_orders' if source == 'x' else 'orders'} + place * {rows}"
        if source != "x":
            given = {"y": "ys", "weight": "weights_of_rows"}[source]
            return [f"gather_rows<{kind}, {sizes}>(block, (const {kind}*){given}, {order}, {target});"]
        lines = [f"if (x_form == 0) gather_rows<{kind}, {sizes}>(block, (const {kind}*)xs, {order}, {target});"]
        pairs = "pairs + trial * pair_stride"
        for number, form in enumerate(forms(self.plan.precision), 1):
            stored = TYPES[form]
            call = f"gather_numbers<{stored}, {sizes}>(block, (const {stored}*)xs, {order}, {pairs}, pair_count, {target});"
            lines.append(f"if (x_form == {number}) {call}")
        return lines


def forms(precision: str) -> tuple[str, ...]:
    """The types that rows may be stored in; the n-th is form n + 1, 0 stands for rows that are copied."""
    return tuple(dict.fromkeys((*STORED, precision)))
