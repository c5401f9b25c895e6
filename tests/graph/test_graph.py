"""What a graph and a fused body know of themselves."""

from __future__ import annotations

from backends.contract import Body, Instruction, Level
from pipeline.graph.builder import Builder
from pipeline.graph.ir import Graph
from pipeline.ops import SHAPE_RULES


def _graph() -> Graph:
    """y = exp(x), seen as a row and then as a column, times w; the column leaves the graph, and so does the product's sum."""
    b = Builder("float32", SHAPE_RULES)
    x, w = b.input("x", (2, 3), "data"), b.input("w", (6, 1), "state")
    y = b.add("exp", x, name="y")
    column = b.reshape(b.reshape(y, (1, 6)), (6, 1))
    b.outputs = {"column": column, "total": b.add("sum", b.add("mul", column, w, name="z"), axes=(0, 1), name="total")}
    return b.graph()


def test_a_view_of_a_view_shows_the_value_below_both() -> None:
    graph = _graph()
    assert [graph.resolve(view) for view in graph.views] == ["y", "y"] and graph.resolve("y") == "y"
    assert graph.operands(graph.producers["z"]) == ("y", "w")
    assert graph.kept == {"y", "total"}


def test_readers_of_a_value_read_it_through_its_views_too() -> None:
    graph = _graph()
    assert {name: [graph.nodes[n].op for n in numbers] for name, numbers in graph.readers.items()} == {
        "x": ["exp"],
        "w": ["mul"],
        "y": ["mul"],
        "z": ["sum"],
        "total": [],
    }


def test_ancestors_are_all_that_a_value_is_made_of() -> None:
    graph = _graph()
    assert graph.ancestors(["y"]) == {"y", "x"}
    assert graph.ancestors(["total"]) == graph.types.keys()


def _body() -> Body:
    """(x - mean(x)) / sqrt(mean((x - mean(x))^2)), the means as sums, over the rows of 4 x 3 numbers."""

    def made(name: str, op: str, *operands: str, level: Level = "full") -> Instruction:
        attributes = {"axes": (1,)} if op == "sum" else {}
        return Instruction(name=name, op=op, operands=operands, dtype="float32", level=level, attributes=attributes)

    instructions = (
        made("mean", "sum", "x", level="row"),
        made("off", "sub", "x", "mean"),
        made("square", "mul", "off", "off"),
        made("variance", "sum", "square", level="row"),
        made("y", "div", "off", "variance"),
    )
    return Body(kind="row", rows=4, columns=3, inputs=(("x", "full"),), instructions=instructions, outputs=("y",))


def test_a_stage_of_a_body_ends_with_a_reduction() -> None:
    assert _body().stages == {"x": 0, "mean": 1, "off": 1, "square": 1, "variance": 2, "y": 2}
    assert [i.name for i in _body().reductions] == ["mean", "variance"]
    assert _body().levels == {"x": "full", "mean": "row", "off": "full", "square": "full", "variance": "row", "y": "full"}


def test_a_chain_stops_at_what_is_given() -> None:
    assert [i.name for i in _body().chain(["y"])] == ["mean", "off", "square", "variance", "y"]
    assert [i.name for i in _body().chain(["y"], given={"variance"})] == ["mean", "off", "y"]
    assert [i.name for i in _body().chain(["variance", "y"], given={"variance", "mean"})] == ["off", "variance", "y"]


def test_a_renamed_body_does_the_same_under_other_names() -> None:
    body = _body().renamed({"x": "u", "off": "v", "y": "w"})
    assert (body.inputs, body.outputs) == ((("u", "full"),), ("w",))
    assert [(i.name, i.operands) for i in body.instructions] == [
        ("mean", ("u",)),
        ("v", ("u", "mean")),
        ("square", ("v", "v")),
        ("variance", ("square",)),
        ("w", ("v", "variance")),
    ]
