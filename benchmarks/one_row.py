"""One row predicted at a time, beside ONNX Runtime and OpenVINO with our ONNX file of the network: `python -m benchmarks one_row`.

With one thread and with two.  All take turns of CALLS calls, so that what else the machine does falls on each; a time is the median over
the turns, and a ratio the median of the ratios within a turn.  Before a turn is timed, who has it predicts for SETTLE seconds: threads of
ONNX Runtime spin for 33 ms after its last call, on a core that the next one would be without.  Who is not installed is left out and named.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from contextlib import chdir
from importlib.metadata import version
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import pipeline
from benchmarks.machine import stamp
from pipeline.program.model import Model

CALLS, TURNS, SETTLE = 200, 40, 0.05
LIMIT = 1.0  # ours takes at most so many times the time of ONNX Runtime
OURS, ASKED = "caviar, model", "onnxruntime"
NETWORKS = {
    "784-512-512-10": ("architecture=mlp", (28, 28, 1)),
    "cnn_small": ("architecture=cnn_small", (28, 28, 1)),
}
Predict = Callable[[np.ndarray], Any]


def trained(network: str, threads: int = 1) -> Model:
    """The network after a step or two, with so many native threads and no preprocessing."""
    architecture, shape = NETWORKS[network]
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((256, *shape)).astype(np.float32), np.arange(256) % 10
    fixed = ["preprocessing=none", "training=fixed", "training.epochs=1", "tracking=none", f"backend.threads={threads}"]
    units = ["architecture.layers=[{kind:dense,units:512},{kind:dense,units:512}]"] if architecture == "architecture=mlp" else []
    return pipeline.train(pipeline.compose([architecture, *units, *fixed]), x, y, quiet=True).program


def contenders(model: Model, threads: int) -> dict[str, Predict]:
    """How each that is installed predicts."""
    made: dict[str, Predict] = {"caviar, program": model.program.predict, OURS: model.predict}
    if any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime")):
        return made
    import onnxruntime

    from pipeline.export.onnx_file import onnx_bytes

    content = onnx_bytes(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    wanted = [entry.name for entry in session.get_outputs() if entry.name != "label"]
    made[ASKED] = lambda row: session.run(wanted, {"x": row})[0]
    if importlib.util.find_spec("openvino"):
        import openvino

        settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.Core().compile_model(openvino.Core().read_model(content), "CPU", settings)
        request, port = compiled.create_infer_request(), next(o for o in compiled.outputs if "label" not in o.get_names())
        made["openvino"] = lambda row: request.infer({"x": row})[port].copy()  # its array is that of the next call
    return made


def times(made: dict[str, Predict], row: np.ndarray, turns: int) -> dict[str, list[float]]:
    """Microseconds of a call of each, one entry a turn."""
    taken: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(turns):
        for name, predict in made.items():
            until = time.perf_counter() + SETTLE
            while time.perf_counter() < until:
                predict(row)
            start = time.perf_counter()
            for _ in range(CALLS):
                predict(row)
            taken[name].append(round(1e6 * (time.perf_counter() - start) / CALLS, 2))
    return taken


def one_row(*, quick: bool = False) -> dict[str, Any]:
    """The result: microseconds [turns] of each contender by network and threads, and what is asked."""
    found: dict[str, dict[str, list[float]]] = {}
    with TemporaryDirectory() as folder, chdir(folder):
        for network, (_, shape) in NETWORKS.items():
            for threads in (1, 2):
                made = contenders(model := trained(network, threads), threads)
                row = np.random.default_rng(1).standard_normal((1, *shape)).astype(np.float32)
                wanted = model.predict(row)
                for name, predict in made.items():
                    assert np.abs(np.asarray(predict(row)) - wanted).max() < 1e-5, name
                found[f"{network}, {threads} thread{'s' if threads > 1 else ''}"] = times(made, row, 3 if quick else TURNS)
    versions = {name: version(name) for name in (ASKED, "openvino") if importlib.util.find_spec(name)}
    made_with = stamp()
    skipped = {name: "is not installed" for name in (ASKED, "openvino") if name not in versions}
    return {**made_with, "versions": made_with["versions"] | versions, "microseconds": found, "ratio": ratios(found), "skipped": skipped}


def ratios(found: dict[str, dict[str, list[float]]]) -> dict[str, list[float]]:
    """Our time over that of ONNX Runtime, turn by turn; nothing where it took no part."""
    return {case: [own / peer for own, peer in zip(t[OURS], t[ASKED], strict=True)] for case, t in found.items() if ASKED in t}
