"""`python -m benchmarks.one_row`: one row predicted at a time, beside ONNX Runtime and OpenVINO with our ONNX file of the network.

All use one thread.  They take turns of CALLS calls, so that what else the machine does falls on each; a time is the median over the turns,
and a ratio the median of the ratios within a turn.  It needs the extra `export`; OpenVINO takes part where it is installed.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import pipeline
from pipeline.program.model import Model

CALLS, TURNS = 200, 60
NETWORKS = {
    "784-512-512-10": ("architecture=mlp", (28, 28, 1)),
    "cnn_small": ("architecture=cnn_small", (28, 28, 1)),
}
Predict = Callable[[np.ndarray], Any]


def trained(network: str) -> Model:
    """The network after a step or two, with one native thread and no preprocessing."""
    architecture, shape = NETWORKS[network]
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((256, *shape)).astype(np.float32), np.arange(256) % 10
    fixed = ["preprocessing=none", "training=fixed", "training.epochs=1", "tracking=none", "backend.threads=1"]
    units = ["architecture.layers=[{kind:dense,units:512},{kind:dense,units:512}]"] if architecture == "architecture=mlp" else []
    return pipeline.train(pipeline.compose([architecture, *units, *fixed]), x, y, quiet=True).program


def contenders(model: Model) -> dict[str, Predict]:
    """How each predicts."""
    import onnxruntime

    from pipeline.export.onnx_file import onnx_bytes

    content = onnx_bytes(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    wanted = [entry.name for entry in session.get_outputs() if entry.name != "label"]
    made: dict[str, Predict] = {
        "caviar, program": model.program.predict,
        "caviar, model": model.predict,
        "onnxruntime": lambda row: session.run(wanted, {"x": row})[0],
    }
    if importlib.util.find_spec("openvino"):
        import openvino

        settings = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.Core().compile_model(openvino.Core().read_model(content), "CPU", settings)
        request, port = compiled.create_infer_request(), next(o for o in compiled.outputs if "label" not in o.get_names())
        made["openvino"] = lambda row: request.infer({"x": row})[port].copy()  # its array is that of the next call
    return made


def times(made: dict[str, Predict], row: np.ndarray) -> dict[str, list[float]]:
    """Seconds of a call of each, one entry a turn."""
    taken: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(TURNS):
        for name, predict in made.items():
            start = time.perf_counter()
            for _ in range(CALLS):
                predict(row)
            taken[name].append((time.perf_counter() - start) / CALLS)
    return taken


def main() -> None:
    """Prints a line for each network and contender."""
    for network, (_, shape) in NETWORKS.items():
        model = trained(network)
        made, row = contenders(model), np.random.default_rng(1).standard_normal((1, *shape)).astype(np.float32)
        wanted = made["caviar, program"](row)
        for name, predict in made.items():
            assert np.abs(np.asarray(predict(row)) - wanted).max() < 1e-5, name
        taken = times(made, row)
        for name, own in taken.items():
            ratio = statistics.median(b / a for a, b in zip(taken["caviar, program"], own, strict=True))
            print(f"{network:16} {name:16} {1e6 * statistics.median(own):8.1f} us   {ratio:5.2f} of caviar's program", flush=True)


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        os.chdir(Path(folder))
        main()
