"""A step as text for a reader: its phases, the calls of each, and the bodies of the fused kernels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from backends.contract import Body, Call, Plan
from backends.numpy.kernels.fused import Fused
from backends.numpy.kernels.kernel import Kernel


def listing(plan: Plan, kernels: Mapping[int, Kernel], threads: int) -> str:
    """The program of `plan` on so many threads; `kernels` by the numbers of their calls."""
    lines = [f"step {plan.name}: {threads} threads, {plan.phases} phases with a barrier after each"]
    phase = -1
    for number, call in enumerate(plan.calls):
        if call.phase != phase:
            phase = call.phase
            if plan.guard is not None and phase == plan.guard_phase:
                lines.append(f"  stop here unless {plan.guard.name} is finite")
            lines.append(f"phase {phase}")
        lines += _gather(call) if call.op == "gather" else _call(call, kernels[number])
    return "\n".join(lines)


def _gather(call: Call) -> Iterator[str]:
    yield f"  gather the rows of {call.attributes['source']} in the step's order"


def _call(call: Call, kernel: Kernel) -> Iterator[str]:
    if call.body is None:
        shapes = " x ".join(str(list(b.shape)) for b in call.inputs)
        options = "".join(f" {name}" for name, value in call.attributes.items() if value)
        yield f"  {kernel.symbol[:15]}: {call.name} = {call.op}({shapes}{options}), {kernel.tiles} tiles"
    else:
        yield f"  {kernel.symbol[:14]}:"
        yield from (f"    {line}" for line in _body(call.body))


def _body(body: Body) -> Iterator[str]:
    tiles = Fused(body=body, dtypes=(), replacing=()).tiles  # of a kernel of its own
    inputs = ", ".join(f"{name}:{level}" for name, level in body.inputs)
    yield f"over {body.rows} x {body.columns} ({body.kind}), {tiles} tiles; reads {inputs}"
    for i in body.instructions:
        if i.op == "constant":
            yield f"  {i.name} = {i.attributes['value']!r}"
        else:
            yield f"  {i.name}:{i.level} = {i.op}({', '.join(i.operands)})"
    yield f"  stores {', '.join(body.outputs)}"
