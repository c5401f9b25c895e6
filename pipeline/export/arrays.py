"""The arrays of a model by name, for programs of one's own: npz and safetensors."""

from __future__ import annotations

import io
import json

import numpy as np
from safetensors.numpy import save

from pipeline.export.forward import forward
from pipeline.graph.values import Array
from pipeline.program.model import Model
from pipeline.records import plain


def named(model: Model) -> dict[str, Array]:
    """What predictions are made of: fc1.weight [I, O], bn1.mean [C], ...; preprocessing.0.standardize.shift [F...], target.mean [T]."""
    scale = {} if model.target_scale is None else model.target_scale.arrays()
    fitted = {f"preprocessing.{name}": value for name, value in model.fitted.arrays().items()}
    return {**forward(model).tensors, **fitted, **scale}


def described(model: Model) -> dict[str, str]:
    """Beside them, as JSON by name: classes, the columns of a table and how they are read, the shape of a row, the layers."""
    known, shape = model.known, model.known.shape
    facts = {
        "classes": list(known.classes),
        "features": list(known.features),
        "columns": None if known.encoder is None else plain(known.encoder),
        "input_shape": list(shape.input_shape if shape is not None else model.program.structure.network.input_shape),
        "layers": [[name, kind, list(out), count] for name, kind, out, count in model.layers],
        "digest": model.digest,
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in facts.items() if value}


def npz_bytes(model: Model) -> bytes:
    """`named`, and `described` as strings named metadata.NAME."""
    buffer = io.BytesIO()
    np.savez(buffer, **named(model), **{f"metadata.{name}": np.array(text) for name, text in described(model).items()})  # type: ignore[arg-type]
    return buffer.getvalue()


def safetensors_bytes(model: Model) -> bytes:
    """`named`, with `described` as the file's metadata."""
    return bytes(save({name: np.ascontiguousarray(value) for name, value in named(model).items()}, metadata=described(model)))
