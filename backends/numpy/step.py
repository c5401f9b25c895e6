"""The step as one native function: trials, steps and phases as loops and calls, threads that take tiles and meet at barriers."""

# K trials, S steps, B batch rows
from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from backends.contract import Buffer, Plan
from backends.numpy.emit.emitter import I1, I32, I64, POINTER, SIZE, VOID, Emitter, Number, Value, i64
from backends.numpy.kernels.gather import gather_kernel
from backends.numpy.kernels.kernel import Kernel
from backends.numpy.kernels.tiling import NOTHING
from backends.numpy.machine.processor import Processor
from backends.numpy.threads.barrier import Barriers

# the fields of the argument block, 64 bits each; the pointers of the outputs follow
FIELDS = (
    "state", "state_stride", "work", "work_stride", "x", "y", "weight", "order", "values", "words",
    "barrier", "done", "steps", "trials", "scratch", "scratch_stride", "x_order", "x_form", "pairs", "pair_count", "pair_stride",
    "counters",
)  # fmt: skip
LONG = 1e6  # operations of a call whose tiles threads steal from each other: at each piece they look at memory that another one writes
PIECES = 24  # that a member's share of such a call is cut into
TAKEN = 32  # where the trials that teams have taken are counted, in the line of the barrier
COUNTER = 64  # bytes of a counter of the pieces taken: a line of the cache of its own
_FLUSH = 0x8040  # flush-to-zero and denormals-are-zero: a decaying moment would otherwise end as denormals, 100 times slower


class StepProgram:
    """Emits `run(arguments, member, members, team, teams)`: each team trains one trial after the other; its members share each trial.

    for trial in range(trials):                      # several teams, of one member each: until none is left, the next that nobody has
        for step in range(steps):
            for phase in phases:
                if phase == guard_phase and not isfinite(guard): break to the next trial
                for call in phase:
                    kernel(inputs, outputs, paths, scratch, begin, end)   # this member's tiles; of a long call, then what others left
                barrier(members)
            done[trial] = step + 1
    """

    def __init__(self, module: ir.Module, symbol: str, plan: Plan, kernels: dict[int, Kernel], cpu: Processor) -> None:
        self.plan, self.kernels, self.cpu, self.module = plan, kernels, cpu, module
        self.x86 = cpu.triple.startswith("x86_64") or cpu.triple.startswith("i386")
        self.barrier = self._barrier(f"{symbol}_barrier")
        self.gathered, self.readers = _readers(plan)
        self.stolen = stolen(plan, kernels)
        self.e = Emitter(module, symbol, [POINTER, I64, I64, I64, I64])

    def emit(self) -> None:
        """Emits the whole program."""
        e = self.e
        block, self.member, self.members, team, teams = e.arguments
        self.arg = {name: e.load_number(e.at(block, 8 * n)) for n, name in enumerate(FIELDS)}
        self.outputs = [e.b.load(e.at(block, 8 * (len(FIELDS) + n)), typ=I64) for n in range(len(self.plan.outputs))]
        self.pointers = {name: e.b.inttoptr(value, POINTER) for name, value in self.arg.items()}
        saved = self._flush_denormals()
        work = e.at(self.pointers["work"], team * self.arg["work_stride"])
        self.first = team * self.members  # the number of the team's first thread
        self.scratch = e.at(self.pointers["scratch"], (self.first + self.member) * self.arg["scratch_stride"])
        given = e.b.alloca(I64)
        with e.loop(0, self.arg["trials"]) as turn:
            e.b.store(turn, given)
            with e.b.if_then(teams > 1):
                e.b.store(e.b.atomic_rmw("add", e.at(self.pointers["barrier"], TAKEN), i64(1), "monotonic"), given)
            trial = e.load_number(given)
            with e.b.if_then(trial < self.arg["trials"]):
                self._trial(trial, work)
        self._restore(saved)
        e.finish()

    def _trial(self, trial: Number, work: Value) -> None:
        e, plan = self.e, self.plan
        state = e.at(self.pointers["state"], trial * self.arg["state_stride"])
        self.pairs = e.at(self.pointers["pairs"], trial * self.arg["pair_stride"])
        after = e.function.append_basic_block("trial_done")
        with e.loop(0, self.arg["steps"]) as step:
            place = trial * self.arg["steps"] + step  # the row of the tables
            self.base = {
                "state": state,
                "work": work,
                "values": e.at(self.pointers["values"], place * (len(plan.values) * SIZE[plan.precision])),
                "words": e.at(self.pointers["words"], place * (len(plan.words) * 4)),
            }
            self._phases(place, after)
            with e.b.if_then(self.member == 0):
                e.b.store(step + 1, e.at(self.pointers["done"], trial * 8))
        e.b.branch(after)
        e.b.position_at_end(after)

    def _phases(self, place: Number, stop: Value) -> None:
        plan = self.plan
        phases = sorted({c.phase for c in plan.calls})
        made = {b.offset: c.phase for c in plan.calls for b in c.outputs if b.region == "work"}
        last = max(phases, default=0)
        late = [n for n, (_, b) in enumerate(plan.outputs) if b.region == "state" or made.get(b.offset, 0) == last]
        early = [n for n in range(len(plan.outputs)) if n not in late]
        for before, phase in zip([last, *phases], phases, strict=False):
            self._clear_counters(before)
            if plan.guard is not None and phase == plan.guard_phase:
                self._guard(plan.guard, place, stop)
            for turn, (index, call) in enumerate((i, c) for i, c in enumerate(plan.calls) if c.phase == phase):
                if call.op == "gather":
                    self._gather(call.outputs[0], str(call.attributes["source"]), place)
                else:
                    inputs = [
                        self._row_of_x(b) if index in self.readers and _overlap(b, self.gathered) else self._address(b) for b in call.inputs
                    ]
                    self._call(index, [*inputs, *(self._address(b) for b in call.outputs)], turn)
            if phase == last and early:
                self._copy_outputs(early, place)
            self._meet()
        if late:
            self._copy_outputs(late, place)
            self._meet()

    def _call(self, index: int, pointers: list[Value], turn: int) -> None:
        e = self.e
        kernel = self.kernels[index]
        name = kernel.symbol
        function = self.module.globals.get(name)
        if function is None:
            kinds = [POINTER] * len(pointers) + [I32] * len(kernel.paths) + [POINTER, I64, I64]
            function = ir.Function(self.module, ir.FunctionType(VOID, kinds), name)
        words = [ir.Constant(I32, path) for path in kernel.paths]
        if kernel.scratch:
            e.b.store(i64(NOTHING), self.scratch)

        def run(begin: Value, end: Value) -> None:
            e.b.call(function, [*pointers, *words, self.scratch, begin, end])

        if index in self.stolen:
            self._steal(kernel, self.stolen.index(index), run)
        else:
            begin, end = self._share(kernel.tiles, turn)
            with e.b.if_then(begin < end):
                run(begin, end)

    def _steal(self, kernel: Kernel, slot: int, run: Callable[[Value, Value], None]) -> None:
        """Work stealing: every member takes its own share piece by piece, and then of each other's what its owner has not come to.

        Where a core is slower than another, or was taken away for a while, the others do what it cannot.
        """
        e = self.e
        groups = e.number(-(-kernel.tiles // kernel.grain))
        pieces = e.smaller(groups, self.members * PIECES)
        with e.loop(0, self.members) as distance:
            owner = e.number(e.b.urem(self.member + distance, self.members))
            counter = self._counter(owner, slot)
            first, last = self._part(pieces, owner, self.members)
            take, work, out = (e.function.append_basic_block(n) for n in ("take", "work", "out"))
            e.b.branch(take)
            e.b.position_at_end(take)
            piece = first + e.b.atomic_rmw("add", counter, i64(1), "monotonic")
            e.b.cbranch(piece < last, work, out)
            e.b.position_at_end(work)
            begin, end = self._part(groups, piece, pieces)
            run(begin * kernel.grain, e.smaller(end * kernel.grain, kernel.tiles))
            e.b.branch(take)
            e.b.position_at_end(out)

    def _counter(self, member: Number, slot: int) -> Value:
        place = (self.first + member) * len(self.stolen) + slot
        return self.e.at(self.pointers["counters"], place * COUNTER)

    def _clear_counters(self, phase: int) -> None:
        """Makes a member's own counters ready for the next step: after the barrier that ends `phase` nobody takes its tiles any more."""
        for slot, index in enumerate(self.stolen):
            if self.plan.calls[index].phase == phase:
                self.e.b.store(i64(0), self._counter(self.member, slot))

    def _share(self, tiles: int, turn: int) -> tuple[Number, Number]:
        """This member's part of the tiles; `turn` moves the parts around so that single tiles do not all fall to one member."""
        e = self.e
        member = e.number(e.b.urem(self.member + turn, self.members)) if turn else self.member
        return self._part(e.number(tiles), member, self.members)

    def _part(self, count: Number, number: Number, parts: Number) -> tuple[Number, Number]:
        """Where part `number` of `count` things begins and ends."""
        return count * number // parts, count * (number + 1) // parts

    def _gather(self, target: Buffer, source: str, place: Number) -> None:
        e, rows = self.e, self.plan.batch
        size = target.bytes // rows
        order = e.at(self.pointers["x_order" if source == "x" else "order"], place * (8 * rows))
        begin, end = self._share(rows, 0)
        if source == "x":  # what is stored in another form has a kernel, and no row is left to copy
            form = self.arg["x_form"]
            other = form != 0
            with e.b.if_then(other):
                kernel = gather_kernel(target.count // rows, self.plan.precision, self.cpu)
                given = (self.pointers[source], order, begin, end, form, self.pairs, self.arg["pair_count"])
                e.call(kernel.symbol, VOID, self._address(target), *given)
            lie = e.number(e.b.not_(other)) & self._consecutive(order, rows) if self.readers else ir.Constant(I1, 0)
            there = e.at(self.pointers[source], e.load_number(order) * size)
            self.x = e.b.select(lie, there, self._address(target))
            end = e.where(other | lie, begin, end)
        with e.loop(begin, end) as row:
            origin = e.at(self.pointers[source], e.load_number(e.at(order, row * 8)) * size)
            e.copy(e.at(self._address(target), row * size), origin, size)

    def _consecutive(self, order: Value, rows: int) -> Number:
        """Whether the rows of this step lie one after another where they are stored: the kernels then read them there."""
        e = self.e
        first = e.load_number(order)
        with e.b.goto_entry_block():
            differs = e.b.alloca(I64)
        e.b.store(i64(0), differs)
        with e.loop(1, rows) as row:
            gap = e.load_number(e.at(order, row * 8)) - row - first
            e.b.store(e.load_number(differs) | gap, differs)
        return e.load_number(differs) == 0

    def _row_of_x(self, buffer: Buffer) -> Value:
        assert self.gathered is not None
        return self.e.at(self.x, buffer.offset - self.gathered.offset)

    def _copy_outputs(self, numbers: list[int], place: Number) -> None:
        e = self.e
        with e.b.if_then(self.member == 0):
            for n in numbers:
                buffer = self.plan.outputs[n][1]
                target = e.at(e.b.inttoptr(self.outputs[n], POINTER), place * buffer.bytes)
                e.copy(target, self._address(buffer), buffer.bytes)

    def _guard(self, guard: Buffer, place: Number, stop: Value) -> None:
        """Leaves the trial when the guard is not finite: its state is then as before this step."""
        e = self.e
        value = e.load(self._address(guard), guard.dtype)
        infinite = e.b.fcmp_unordered("==", e.unary("fabs", value), e.literal(float("inf"), value.type))
        infinite = e.b.or_(infinite, e.b.fcmp_unordered("uno", value, value))
        with e.b.if_then(infinite):
            self._copy_outputs([n for n, (_, b) in enumerate(self.plan.outputs) if b == guard], place)
            self._meet()
            e.b.branch(stop)
            e.b.position_at_end(e.function.append_basic_block("unreached"))

    def _address(self, buffer: Buffer) -> Value:
        scale = {"values": SIZE[self.plan.precision], "words": 4}.get(buffer.region, 1)
        return self.e.at(self.base[buffer.region], buffer.offset * scale)

    def _meet(self) -> None:
        e = self.e
        with e.b.if_then(self.members > 1):
            e.b.call(self.barrier, [self.pointers["barrier"], self.members])

    def _barrier(self, name: str) -> ir.Function:
        """Waits until all members are here; the last one wakes those that sleep."""
        barriers = Barriers(self.module, name, self.cpu)
        e = Emitter(self.module, name, [POINTER, I64], internal=True)
        barrier, members = e.arguments
        ticket = barriers.arrive(e, barrier)
        target = (e.number(e.b.udiv(ticket, members)) + 1) * members
        with e.b.if_then(e.b.icmp_unsigned("==", ticket + 1, target)):
            barriers.wake(e, barrier)
        barriers.wait(e, barrier, target)
        e.finish()
        return e.function

    def _flush_denormals(self) -> Value:
        if not self.x86:
            return None
        e = self.e
        saved, changed = e.b.alloca(I32), e.b.alloca(I32)
        e.call("llvm.x86.sse.stmxcsr", VOID, saved)
        e.b.store(e.b.or_(e.b.load(saved, typ=I32), ir.Constant(I32, _FLUSH)), changed)
        e.call("llvm.x86.sse.ldmxcsr", VOID, changed)
        return saved

    def _restore(self, saved: Value) -> None:
        if saved is not None:
            self.e.call("llvm.x86.sse.ldmxcsr", VOID, saved)


def stolen(plan: Plan, kernels: dict[int, Kernel]) -> list[int]:
    """The calls whose tiles threads steal from each other; none in a plan of a single phase, where a counter is never out of use."""
    several = len({c.phase for c in plan.calls}) > 1
    return [n for n, k in kernels.items() if k.flops >= LONG and k.tiles > k.grain] if several else []


def _overlap(one: Buffer, other: Buffer | None) -> bool:
    return (
        other is not None
        and one.region == other.region
        and one.offset < other.offset + other.bytes
        and other.offset < one.offset + one.bytes
    )


def _readers(plan: Plan) -> tuple[Buffer | None, frozenset[int]]:
    """The gathered rows of x and the numbers of the calls that read them; none where one replaces them or they leave the step."""
    gathered = next((c.outputs[0] for c in plan.calls if c.op == "gather" and c.attributes["source"] == "x"), None)
    found: set[int] = set()
    for index, call in enumerate(plan.calls):
        if call.op != "gather":
            reads, writes = (any(_overlap(b, gathered) for b in buffers) for buffers in (call.inputs, call.outputs))
            if reads and writes:
                return gathered, frozenset()
            if writes:
                break  # the memory is used again
            if reads:
                found.add(index)
    else:
        if any(_overlap(b, gathered) for _, b in plan.outputs):
            return gathered, frozenset()
    return gathered, frozenset(found)
