"""The plan: order, lifetimes, offsets."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from backends.contract import ALIGNMENT, Buffer, Plan, Target
from pipeline.passes import compile_passes
from pipeline.plan import make_plan, print_plan, state_layout
from pipeline.plan.memory import Lifetime, place
from tests.networks import training_graph

LIFETIMES = st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 20), st.integers(0, 8)), max_size=40)


def _plan(*, fuses: bool = True) -> Plan:
    graph = training_graph(B=8, D=6, H=64, C=3)
    compiled, _ = compile_passes(graph, Target(fuses=fuses))
    return make_plan(compiled, name="train", batch=8, state=state_layout([graph]))


@settings(max_examples=200, deadline=None)
@given(LIFETIMES)
def test_blocks_that_live_together_never_overlap(drawn: list[tuple[int, int, int]]) -> None:
    blocks = [Lifetime(name=str(n), bytes=size, first=first, last=first + length) for n, (size, first, length) in enumerate(drawn)]
    offsets, total = place(blocks)
    for one in blocks:
        assert offsets[one.name] % ALIGNMENT == 0 and offsets[one.name] + one.bytes <= total
        for other in blocks:
            together = one.first <= other.last and other.first <= one.last
            apart = offsets[one.name] + one.bytes <= offsets[other.name] or offsets[other.name] + other.bytes <= offsets[one.name]
            assert one is other or not together or apart
    live = [sum(b.bytes for b in blocks if b.first <= t <= b.last) for t in range(30)]
    assert total >= max(live, default=0)


def test_calls_of_one_phase_touch_nothing_that_another_of_them_writes() -> None:
    for fuses in (True, False):
        plan = _plan(fuses=fuses)
        for phase in range(plan.phases):
            calls = [c for c in plan.calls if c.phase == phase]
            for one in calls:
                for other in calls:
                    assert one is other or not any(_overlap(w, b) for w in one.outputs for b in (*other.inputs, *other.outputs))


def test_a_value_is_read_only_after_the_call_that_writes_its_place() -> None:
    plan = _plan()
    holder: dict[str, str] = {}
    for call in plan.calls:
        for buffer in call.inputs:
            if buffer.region == "work":
                assert holder.get(f"{buffer.offset}:{buffer.name}") == buffer.name
        for buffer in call.outputs:
            holder[f"{buffer.offset}:{buffer.name}"] = buffer.name


def test_state_is_written_in_place_and_only_after_the_guard() -> None:
    plan = _plan()
    writers = [c for c in plan.calls if any(b.region == "state" for b in c.outputs)]
    assert writers and all(c.phase >= plan.guard_phase for c in writers)
    written = {b.name for c in writers for b in c.outputs if b.region == "state"}
    assert written == {b.name for b in plan.state}


def test_reuse_saves_memory_and_the_text_says_how_much() -> None:
    plan = _plan()
    assert plan.work_bytes < plan.unshared_bytes
    assert print_plan(plan).splitlines()[-1].startswith(f"state {plan.state_bytes:,} bytes; work {plan.work_bytes:,} bytes (")


def _overlap(one: Buffer, other: Buffer) -> bool:
    if one.region != other.region or one.region not in ("state", "work"):
        return False
    return one.offset < other.offset + other.bytes and other.offset < one.offset + one.bytes
