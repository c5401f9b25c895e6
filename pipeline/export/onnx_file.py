"""A model as an ONNX file: from the columns of a table, or rows, to classes with their probabilities, or to values in their own units."""

# N rows, D numbers of a row, C classes, T targets, L labels
from __future__ import annotations

import json
from typing import Any

import numpy as np

from pipeline.data.cells.columns import WEEKDAY_OF_DAY_0, Category, Encoder, Hashed, Quantity
from pipeline.errors import BackendError, RunError
from pipeline.export.forward import forward
from pipeline.export.onnx_ops import Writer, emit
from pipeline.preprocessing import STEPS
from pipeline.preprocessing.affine import affine
from pipeline.preprocessing.rotation import rotate, rotate_back
from pipeline.program.model import Model

OPSET, IR_VERSION = 20, 9
FLOAT, INT64, STRING, DOUBLE = 1, 7, 8, 11  # TensorProto.DataType


def onnx_bytes(model: Model, *, columns: bool = True) -> bytes:
    """The file.  columns: a table's columns are its inputs, each by its name; else, and without a table, `x` [N, ...].

    Numbers, true and false, dates (days since 1970-01-01) and times are double, NaN where one is missing; words are strings, empty where
    one is missing.  x is double, of images float.  Raises RunError for what ONNX cannot say, BackendError without onnx.
    """
    try:
        import onnx  # noqa: PLC0415  # the extra `export`
        from onnx import checker, helper  # noqa: PLC0415
    except ImportError:
        raise BackendError("onnx is not installed (pip install 'caviar-pipeline[export]' brings it)") from None
    w, encoder = Writer(), model.known.encoder if columns else None
    if encoder is not None:
        inputs, x = _of_columns(w, helper, encoder)
    else:
        inputs, x = _of_rows(w, helper, model)
    x = _prepared(w, model, x)
    network = model.program.structure.network
    w.nodes.append(helper.make_node("Identity", [x], ["x.rows"]))  # what has the rows, for ops that make as many
    prediction = emit(w, forward(model), "x.rows")
    outputs = _outputs(w, helper, model, prediction)
    graph = helper.make_graph(w.nodes, "caviar", inputs, outputs, initializer=w.constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="caviar")
    helper.set_model_props(made, _properties(model, network.input_shape))
    checker.check_model(made, full_check=True)
    return bytes(onnx.ModelProto.SerializeToString(made))


def _properties(model: Model, shape: tuple[int, ...]) -> dict[str, str]:
    known = {"classes": list(model.classes), "features": list(model.known.features), "digest": model.digest, "input_shape": list(shape)}
    return {name: json.dumps(value, ensure_ascii=False) for name, value in known.items() if value}


def _of_rows(w: Writer, helper: Any, model: Model) -> tuple[list[Any], str]:
    shape = model.known.shape.input_shape if model.known.shape is not None else model.program.structure.network.input_shape
    kind = FLOAT if len(shape) == 3 else DOUBLE
    return [helper.make_tensor_value_info(w.fresh("x"), kind, ["N", *shape])], "x"


def _of_columns(w: Writer, helper: Any, encoder: Encoder) -> tuple[list[Any], str]:
    """An input [N, 1] for each column of the table -> the rows [N, D]."""
    inputs, parts = [], []
    for column in encoder.columns:
        words = not isinstance(column, Quantity) or column.reading.kind == "ordinal"
        name = w.fresh(column.name)
        inputs.append(helper.make_tensor_value_info(name, STRING if words else DOUBLE, ["N", 1]))
        parts += _column(w, column, name)
    return inputs, w.add("Concat", *parts, axis=1, name="columns")


def _column(w: Writer, column: Quantity | Category | Hashed, name: str) -> list[str]:
    if isinstance(column, Hashed):
        raise RunError(f"column {column.name}: the digest of a word cannot be said in ONNX; give format=onnx of a run with kind category")
    if isinstance(column, Category):
        lower = column.reading.spelling == "lower"
        given = w.add("Reshape", name, w.constant(np.array([-1], np.int64))) if lower else name
        if lower:
            given = w.add("StringNormalizer", given, case_change_action="LOWER")
            given = w.add("Reshape", given, w.constant(np.array([-1, 1], np.int64)))
        values = [*column.values, *([""] if column.missing else [])]
        return [_hot(w, given, values)] if values else []
    if column.reading.kind == "ordinal":
        hot = _hot(w, name, list(column.reading.order))
        place = w.add("MatMul", hot, w.constant(np.arange(len(column.reading.order), dtype=np.float64)[:, None]))
        known = w.add("ReduceMax", hot, w.constant(np.array([1], np.int64)), keepdims=1)
        return [w.add("Where", w.add("Greater", known, w.constant(0.5)), place, w.constant(column.fill))]
    filled = w.add("Where", w.add("IsNaN", name), w.constant(np.float64(column.fill)), name)
    return [_part(w, filled, part) for part in column.parts]


def _hot(w: Writer, name: str, values: list[str]) -> str:
    """Words [N, 1] -> 1 at the place of the word among `values` [N, V], zeros for another."""
    return w.add("Cast", w.add("Equal", name, w.constant(np.array([values], dtype=object))), to=DOUBLE)


def _part(w: Writer, days: str, part: str) -> str:
    """Days since 1970-01-01 [N, 1] -> what `part` names of each."""

    def number(value: float) -> str:
        return w.constant(np.float64(value))

    def calc(kind: str, *given: str) -> str:
        return w.add(kind, *given)

    def whole(value: str, by: float) -> str:
        return calc("Floor", calc("Div", value, number(by)))

    if part == "days":
        return days
    day = calc("Floor", days)
    if part == "hour":
        return calc("Mul", calc("Sub", days, day), number(24))
    if part == "weekday":
        moved = calc("Add", day, number(WEEKDAY_OF_DAY_0))
        return calc("Sub", moved, calc("Mul", whole(moved, 7), number(7)))
    # the month of the proleptic Gregorian calendar, of years that begin in March (Hinnant, chrono-compatible low-level date algorithms)
    moved = calc("Add", day, number(719_468))
    of_era = calc("Sub", moved, calc("Mul", whole(moved, 146_097), number(146_097)))
    leaps = calc("Sub", calc("Sub", of_era, whole(of_era, 1460)), calc("Sub", whole(of_era, 146_096), whole(of_era, 36_524)))
    year = whole(leaps, 365)
    begun = calc("Sub", calc("Add", calc("Mul", year, number(365)), whole(year, 4)), whole(year, 100))
    month = whole(calc("Add", calc("Mul", calc("Sub", of_era, begun), number(5)), number(2)), 153)
    return calc("Add", month, calc("Where", calc("Less", month, number(10)), number(3), number(-9)))


def _prepared(w: Writer, model: Model, x: str) -> str:
    """The preprocessing, in the type of the input as ours is, then float32."""
    row = model.known.shape.input_shape if model.known.shape is not None else model.program.structure.network.input_shape
    image = len(row) == 3 and model.known.encoder is None
    for step, arrays in zip(model.fitted.steps, model.fitted.fitted, strict=True):
        kind, after = np.float32 if image else np.float64, STEPS[step].row(row, arrays)
        if STEPS[step].apply is affine:
            centered = w.add("Sub", x, w.constant(arrays["shift"].astype(kind), f"{step}.shift"))
            x = w.add("Mul", centered, w.constant(arrays["factor"].astype(kind), f"{step}.factor"))
        elif STEPS[step].apply in (rotate, rotate_back):
            x = w.add("Cast", x, to=DOUBLE)  # a rotation is in float64, whatever comes in
            centered = w.add("Sub", x, w.constant(arrays["shift"], f"{step}.shift"))
            flat = w.add("Reshape", centered, w.constant(np.array([-1, int(np.prod(row))], np.int64)))
            x = w.add("MatMul", flat, w.constant(arrays["basis"], f"{step}.basis"))
            x = w.add("Reshape", x, w.constant(np.array([-1, *after], np.int64)))
            image = False
        else:
            raise RunError(f"preprocessing: the step {step} cannot be said in ONNX; export the arrays with format=safetensors")
        row = after
    return w.add("Cast", x, to=FLOAT, name="prepared")


def _outputs(w: Writer, helper: Any, model: Model, prediction: str) -> list[Any]:
    """label [N] and probabilities [N, C]; labels and probabilities [N, L]; or values [N, T] in their own units, double."""
    shape = list(forward(model).graph.types[forward(model).result].shape[1:])
    info = helper.make_tensor_value_info
    if not model.classes:
        values = w.add("Cast", prediction, to=DOUBLE)
        if model.target_scale is not None:
            values = w.add("Mul", values, w.constant(model.target_scale.deviation))
            values = w.add("Add", values, w.constant(model.target_scale.mean))
        w.nodes.append(helper.make_node("Identity", [values], ["values"]))
        return [info("values", DOUBLE, ["N", *shape])]
    w.nodes.append(helper.make_node("Identity", [prediction], ["probabilities"]))
    told = info("probabilities", FLOAT, ["N", *shape])
    if model.known.labels:
        above = w.add("GreaterOrEqual", prediction, w.float32(0.5))
        w.nodes.append(helper.make_node("Cast", [above], ["labels"], to=INT64))
        return [info("labels", INT64, ["N", *shape]), told]
    best = w.add("ArgMax", prediction, axis=1, keepdims=0)
    names = w.constant(np.array(list(model.classes), dtype=object), "classes")
    w.nodes.append(helper.make_node("Gather", [names, best], ["label"]))
    return [info("label", STRING, ["N"]), told]
