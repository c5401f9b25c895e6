"""A plan as text: its calls by phase and its memory."""

from __future__ import annotations

from backends.contract import Buffer, Plan


def print_plan(plan: Plan) -> str:
    """One line a call with the places it reads and writes, then the sizes."""
    lines = [
        f"plan {plan.name}: {len(plan.calls)} calls in {plan.phases} phases, batch {plan.batch}, {plan.precision}, structure {plan.digest}"
    ]
    for call in plan.calls:
        kind = f"{call.body.kind} {call.body.rows}x{call.body.columns}, {len(call.body.instructions)} ops" if call.body else call.op
        results = ", ".join(map(_place, call.outputs))
        lines.append(f"  {call.phase:>3}  {call.name:<36} {kind:<26} -> {results}")
    return "\n".join([*lines, print_memory(plan)])


def print_memory(plan: Plan) -> str:
    """The bytes of the state and of a step's values, and what sharing their places saves."""
    shared = 100 * (1 - plan.work_bytes / plan.unshared_bytes) if plan.unshared_bytes else 0.0
    return f"state {plan.state_bytes:,} bytes; work {plan.work_bytes:,} bytes ({plan.unshared_bytes:,} without reuse, {shared:.0f} % saved)"


def _place(buffer: Buffer) -> str:
    return f"{buffer.region}[{buffer.offset}:{buffer.offset + buffer.bytes}]"
