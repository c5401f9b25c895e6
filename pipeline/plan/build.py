"""Graph -> Plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from backends.contract import Buffer, Call, Plan
from pipeline.graph.ir import Graph, Type
from pipeline.graph.text import digest
from pipeline.plan.memory import Lifetime, aligned, place
from pipeline.plan.order import phases
from pipeline.plan.reuse import taken_over


def state_layout(graphs: Iterable[Graph]) -> tuple[Buffer, ...]:
    """The state of all `graphs` (plans of one network over the same parameters) laid out once, in order of first mention."""
    types: dict[str, Type] = {}
    for graph in graphs:
        for i in graph.inputs:
            if i.kind == "state":
                known = types.setdefault(i.name, i.type)
                assert known == i.type, f"{i.name} has two types"
    buffers, offset = [], 0
    for name, t in types.items():
        buffers.append(Buffer(name=name, dtype=t.dtype, shape=t.shape, region="state", offset=offset))
        offset += aligned(buffers[-1].bytes)
    return tuple(buffers)


def make_plan(graph: Graph, *, name: str, batch: int, state: tuple[Buffer, ...]) -> Plan:
    """The static program of `graph`: `name` for the reader, `batch` rows a step, `state` from `state_layout`.

    An update lands in the buffer of the state that it replaces; a value that replaces two states or leaves the graph is copied.
    An element-wise result may lie where an input lies that is read for the last time, see `taken_over`.
    """
    phase, guard_phase = phases(graph)
    buffers = _inputs(graph, state)
    in_place = {value: s for s, value in graph.updates.items() if value not in graph.outputs.values()}
    assert len(in_place) == len(graph.updates), "every update needs a value of its own"
    assert not graph.views.keys() & in_place.keys(), "an update is made where its state lies, so it is no view of another value"
    last = {value: max(phase[reader] for reader in readers) for value, readers in graph.readers.items() if readers}
    last |= dict.fromkeys(graph.kept, max(phase.values(), default=0))
    work = {i.name: i.type for i in graph.inputs if i.kind == "data"}
    first = dict.fromkeys(work, 0)
    for index, node in enumerate(graph.nodes):
        for value in node.outputs:
            if not node.is_view and value not in in_place:
                work[value], first[value] = graph.types[value], phase[index]
    lifetimes = {v: Lifetime(name=v, bytes=_bytes(t), first=first[v], last=max(first[v], last.get(v, first[v]))) for v, t in work.items()}
    offsets, work_bytes = _placed(lifetimes, taken_over(graph, phase, last, set(work)))
    for value, t in work.items():
        buffers[value] = Buffer(name=value, dtype=t.dtype, shape=t.shape, region="work", offset=offsets[value])
    for value, replaced in in_place.items():
        buffers[value] = buffers[replaced]
    for node in graph.nodes:
        if node.is_view:
            (view,) = node.outputs
            buffers[view] = replace(buffers[graph.resolve(view)], shape=graph.types[view].shape)
    return Plan(
        name=name,
        precision=graph.precision,
        batch=batch,
        calls=_calls(graph, phase, buffers),
        state=state,
        values=tuple(i.name for i in graph.inputs if i.kind == "value"),
        words=tuple(i.name for i in graph.inputs if i.kind == "word"),
        outputs=tuple((public, buffers[value]) for public, value in graph.outputs.items()),
        guard=buffers[graph.guard] if graph.guard else None,
        guard_phase=guard_phase,
        state_bytes=_end(state),
        work_bytes=work_bytes,
        unshared_bytes=sum(aligned(b.bytes) for b in lifetimes.values()),
        digest=digest(graph),
    )


def _placed(lifetimes: dict[str, Lifetime], over: dict[str, str]) -> tuple[dict[str, int], int]:
    """-> (name -> offset, size of the arena), results `over` the inputs whose places they take where that makes the arena smaller."""
    apart = place(list(lifetimes.values()))
    first = {name: over.get(name, name) for name in lifetimes}
    while any(over.get(place, place) != place for place in first.values()):
        first = {name: over.get(place, place) for name, place in first.items()}
    chains: dict[str, list[Lifetime]] = {}
    for name, lifetime in lifetimes.items():
        chains.setdefault(first[name], []).append(lifetime)
    offsets, size = place(
        [replace(chain[0], name=name, first=min(b.first for b in chain), last=max(b.last for b in chain)) for name, chain in chains.items()]
    )
    return ({name: offsets[first[name]] for name in lifetimes}, size) if size < apart[1] else apart


def _end(state: tuple[Buffer, ...]) -> int:
    """Bytes of the whole state of one trial."""
    return aligned(state[-1].offset + state[-1].bytes) if state else 0


def _inputs(graph: Graph, state: tuple[Buffer, ...]) -> dict[str, Buffer]:
    buffers = {b.name: b for b in state}
    for kind, region in (("value", "values"), ("word", "words")):
        for index, i in enumerate(i for i in graph.inputs if i.kind == kind):
            buffers[i.name] = Buffer(name=i.name, dtype=i.type.dtype, shape=(), region=region, offset=index)  # type: ignore[arg-type]  # literals
    return buffers


def _calls(graph: Graph, phase: dict[int, int], buffers: dict[str, Buffer]) -> tuple[Call, ...]:
    calls = [
        Call(op="gather", name=f"gather {i.name}", inputs=(), outputs=(buffers[i.name],), phase=0, attributes={"source": i.name})
        for i in graph.inputs
        if i.kind == "data"
    ]
    for index, node in sorted(enumerate(graph.nodes), key=lambda pair: (phase[pair[0]], pair[0])):
        if node.is_view:
            continue
        calls.append(
            Call(
                op=node.op,
                name=node.outputs[-1],
                inputs=tuple(buffers[v] for v in node.inputs),
                outputs=tuple(buffers[v] for v in node.outputs),
                phase=phase[index],
                attributes={} if node.fused else node.attributes,
                body=node.fused.body if node.fused else None,
                product=node.fused.product if node.fused else None,
            )
        )
    return tuple(calls)


def _bytes(t: Type) -> int:
    return Buffer(name="", dtype=t.dtype, shape=t.shape, region="work", offset=0).bytes
