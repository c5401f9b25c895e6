"""A model as a file of PyTorch that one can read and go on from: `class Network(nn.Module)`, its weights beside it."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterable
from datetime import timedelta

import numpy as np
from safetensors.numpy import save

from pipeline.data.cells.columns import Category, Hashed, Quantity
from pipeline.data.cells.dates import EPOCH
from pipeline.errors import RunError
from pipeline.export.forward import Forward, forward, refused
from pipeline.export.torch_ops import HELPERS, LANGUAGE, OPS
from pipeline.graph.ir import Node
from pipeline.graph.values import Array
from pipeline.preprocessing import STEPS
from pipeline.preprocessing.affine import affine
from pipeline.preprocessing.rotation import rotate, rotate_back
from pipeline.program.known import Known
from pipeline.program.model import Model

HEAD = '''"""{title}

    model = load("{weights}")     # beside this file; safetensors.torch reads it
    model(x)                      # {takes} -> {gives}
"""

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

CLASSES = {classes}
{inputs}

def load(path):
    """The trained network."""
    model = Network()
    model.load_state_dict(load_file(path))
    return model.eval()


def tensors(fixed=(), **shapes):
    """Parameters by name; those in `fixed` are statistics, no optimizer moves them."""
    made = {{name: torch.zeros(shape, dtype=torch.{precision}) for name, shape in shapes.items()}}
    return nn.ParameterDict({{name: nn.Parameter(value, requires_grad=name not in fixed) for name, value in made.items()}})


'''


def torch_files(model: Model, *, weights: str, title: str = "A network trained by Caviar.") -> tuple[str, bytes]:
    """The text of the module, and the bytes of its weights, which is to stand beside it under the name `weights`.  Raises RunError."""
    f = forward(model)
    tensors = {**_arrays(model), **{_key(name): np.ascontiguousarray(value) for name, value in f.tensors.items()}}
    lines = _Lines(f).written()
    text = "\n".join(lines)
    helpers = [HELPERS[name] for name in HELPERS if re.search(rf"\b{name}\(", text)]
    shape = model.known.shape.input_shape if model.known.shape is not None else model.program.structure.network.input_shape
    head = HEAD.format(
        title=title,
        weights=weights,
        takes=f"x [N, {', '.join(map(str, shape))}], {'the numbers of INPUTS' if model.known.features else 'as the data has it'}",
        gives=_gives(model),
        classes=json.dumps(list(model.classes), ensure_ascii=False),
        inputs=_inputs(model.known),
        precision=model.program.structure.precision,
    )
    trained = {p.name for p in model.program.structure.network.parameters if p.trained}
    body = [*_constructor(f, tensors, trained), "", "    def forward(self, x):", *_preprocessing(model, shape), *lines, *_last(model, f)]
    return head + "".join(helper.lstrip("\n") + "\n\n" for helper in helpers) + "\n".join(body) + "\n", save(tensors)


def _inputs(known: Known) -> str:
    """The names of the columns of x in their order, each with how it comes about of a column of the table."""
    if not known.features:
        return ""
    columns = () if known.encoder is None else known.encoder.columns
    how = [text for column in columns for text in _how(column)] or [""] * len(known.features)
    lines = [f"    {json.dumps(name, ensure_ascii=False)},{text}" for name, text in zip(known.features, how, strict=True)]
    return "\n".join(("INPUTS = [  # the columns of x, in their order", *lines, "]")) + "\n"


def _how(column: Quantity | Category | Hashed) -> list[str]:
    """What each of its columns of x is, as a comment."""
    if isinstance(column, Hashed):
        return [f"  # 1 where crc32 of the word modulo {column.buckets} is {bucket}, else 0" for bucket in range(column.buckets)]
    if isinstance(column, Category):
        return ["  # 1 where the cell is this word, else 0"] * len(column.values) + ["  # 1 where there is none, else 0"] * column.missing
    what = {"boolean": "1 for true, 0 for false", "date": "days since 1970-01-01", "time": "hours since midnight"}.get(
        column.reading.kind, "the number"
    )
    if column.reading.kind == "ordinal":
        what = f"the place, from 0, among {json.dumps(list(column.reading.order), ensure_ascii=False)}"
    day = f"{EPOCH + timedelta(days=column.fill):%Y-%m-%d}" if column.reading.kind == "date" else ""
    whole = f"; {day or repr(column.fill)} where there is none"
    return [f"  # {what if part == 'days' else f'{part} of the date'}{whole}" for part in column.parts]


def _gives(model: Model) -> str:
    if model.classes:
        return "probabilities [N, L] of the labels" if model.known.labels else "probabilities [N, C] of CLASSES"
    return "values in their own units"


def _arrays(model: Model) -> dict[str, Array]:
    """What stands before and behind the network, by the name of its buffer."""
    made = {
        f"{step}_{name}": value
        for step, arrays in zip(model.fitted.steps, model.fitted.fitted, strict=True)
        for name, value in arrays.items()
    }
    if len(made) < sum(map(len, model.fitted.fitted)):
        raise RunError("preprocessing: a step that comes twice cannot be said in PyTorch; export the arrays with format=safetensors")
    scale = {} if model.target_scale is None else {"target_mean": model.target_scale.mean, "target_deviation": model.target_scale.deviation}
    return {name: np.ascontiguousarray(value, np.float64) for name, value in (made | scale).items()}


def _key(name: str) -> str:
    """fc1.weight as a path of a module: `fc1` is a name that Python takes."""
    layer, dot, rest = name.rpartition(".")
    return f"{_word(layer)}.{_word(rest)}" if dot else _word(rest)


def _word(name: str) -> str:
    made = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{made}" if not made or made[0].isdigit() or keyword.iskeyword(made) else made


def _constructor(f: Forward, tensors: dict[str, Array], trained: set[str]) -> list[str]:
    lines = ["class Network(nn.Module):", "    def __init__(self):", "        super().__init__()"]
    for name, value in tensors.items():
        if "." not in name:
            lines.append(f'        self.register_buffer("{name}", torch.zeros({tuple(value.shape)}, dtype=torch.float64))')
    layers: dict[str, list[str]] = {}
    fixed: dict[str, list[str]] = {}
    for name in f.tensors:
        layer, _, rest = _key(name).rpartition(".")
        layers.setdefault(layer, []).append(f"{rest}={tuple(f.tensors[name].shape)}")
        if name not in trained:
            fixed.setdefault(layer, []).append(rest)
    for layer, parts in layers.items():
        still = [f"fixed={fixed[layer]}".replace("'", '"')] if layer in fixed else []
        lines.append(f"        self.{layer} = tensors({', '.join((*still, *parts))})")
    return lines


def _preprocessing(model: Model, row: tuple[int, ...]) -> list[str]:
    image, lines = len(row) == 3, []
    for step in model.fitted.steps:
        kind = STEPS[step].apply
        if kind is affine:
            typed = ".float()" if image else ""
            lines.append(f"        x = (x - self.{step}_shift{typed}) * self.{step}_factor{typed}")
        elif kind in (rotate, rotate_back):
            back = f".reshape(-1, {', '.join(map(str, row))})" if kind is rotate_back else ""
            lines.append(f"        x = ((x.double() - self.{step}_shift).flatten(1) @ self.{step}_basis){back}")
            image = False
        else:
            raise RunError(f"preprocessing: the step {step} cannot be said in PyTorch; export the arrays with format=safetensors")
    return [f"        x = x.{'float' if image else 'double'}()", *lines, f"        x = x.to(torch.{model.program.structure.precision})"]


def _last(model: Model, f: Forward) -> list[str]:
    result = _Lines(f).name(f.result)
    return [f"        return {result}" + ("" if model.target_scale is None else " * self.target_deviation + self.target_mean")]


class _Lines:
    """The nodes as lines, layer by layer."""

    def __init__(self, f: Forward) -> None:
        self.f = f
        self.literals = {name: repr(value) for name, value in f.scalars.items()}
        self.literals |= {node.outputs[0]: repr(node.attributes["value"]) for node in f.nodes if node.op == "constant"}

    def written(self) -> list[str]:
        """Raises RunError for an op that has no line."""
        lines, layer = [], ""
        for node in self.f.nodes:
            if node.op == "constant":
                continue
            scope = node.outputs[0].rpartition(".")[0]
            if scope != layer:
                lines.append(f"        # {scope or 'network'}")
                layer = scope
            lines.append(f"        {self._targets(node)} = {self._said(node)}")
        return lines

    def name(self, value: str) -> str:
        """What a value is called in the file."""
        if value in self.literals:
            return self.literals[value]
        if value in self.f.tensors:
            return f"self.{_key(value)}"
        return "x" if value == "x" else _word(value)

    def _targets(self, node: Node) -> str:
        if node.op == "split":
            return ", ".join(map(self.name, node.outputs))
        return self.name(node.outputs[1] if node.op == "softmax_cross_entropy" else node.outputs[0])

    def _said(self, node: Node) -> str:
        if node.op not in OPS:
            raise refused(node, LANGUAGE)
        inputs: Iterable[str] = node.inputs[:1] if node.op == "softmax_cross_entropy" else node.inputs
        given = [self.name(value) for value in inputs]
        if given and all(value in self.literals for value in inputs):  # numbers alone: what is made of them has to be a tensor
            given[0] = f"torch.tensor({given[0]})"
        return OPS[node.op](self.f, node, given)
