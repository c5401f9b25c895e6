"""A notebook, run by a kernel of IPython: what its cells show, and Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CELLS = (
    """
import pipeline
cfg = pipeline.compose(["data=iris", "architecture=mlp_small", "training.epochs=30", "tracking=none"])
result = pipeline.train(cfg)
""",
    "result",
    "result.history.tail(1)",
    "result.program",
    "pipeline.sweep(cfg, {'optimizer.learning_rate': [0.1, 0.01]}, quiet=True)",
    """
import os, signal, threading
longer = pipeline.compose(["data=two_moons", "architecture=mlp", "training.epochs=100000", "tracking=none"])
threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT)).start()
pipeline.train(longer)
""",
    """
import time
import numpy as np
program, x = pipeline.compile(longer), np.random.randn(4_000_000, 2)
before, told = program.predict(x[:3]), []
threading.Timer(1.0, lambda: (told.append(time.perf_counter()), os.kill(os.getpid(), signal.SIGINT))).start()
try:
    program.predict(x)
except KeyboardInterrupt:
    print("after", time.perf_counter() - told[0], "s", (program.predict(x[:3]) == before).all())
""",
)


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The cells after they were run."""
    pytest.importorskip("ipykernel", reason="needs the extra integration")
    nbclient = pytest.importorskip("nbclient", reason="needs the extra integration")
    from nbformat.v4 import new_code_cell, new_notebook

    folder = tmp_path_factory.mktemp("notebook")
    first = f"import sys; sys.path.insert(0, {str(ROOT)!r})"
    made = new_notebook(cells=[new_code_cell(text.strip()) for text in (first, *CELLS)])
    client = nbclient.NotebookClient(
        made, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}, allow_errors=True
    )
    client.execute()
    return list(made.cells[1:])


def html(cell: Any) -> str:
    """What the cell's last value shows."""
    return str(cell.outputs[-1]["data"]["text/html"])


@pytest.mark.integration
@pytest.mark.filterwarnings("default")
def test_a_training_has_one_line_that_changes(cells: list[Any]) -> None:
    outputs = cells[0].outputs
    lines = [out["data"]["text/plain"] for out in outputs if out["output_type"] == "display_data"]
    assert len(lines) == 1 and lines[0].startswith("epoch 30/30  loss/train ")
    text = "".join(out["text"] for out in outputs if out["output_type"] == "stream")
    assert "epoch" not in text.split("\n\n")[0] and "\x1b" not in text and "trained 30 epochs" in text


@pytest.mark.integration
@pytest.mark.filterwarnings("default")
def test_values_show_themselves(cells: list[Any]) -> None:
    assert "trained 30 epochs" in html(cells[1]) and "<th>30</th>" in html(cells[2])
    assert ">fc1</td>" in html(cells[3]) and "2 trials, by accuracy/validation" in html(cells[4])


@pytest.mark.integration
@pytest.mark.filterwarnings("default")
def test_ctrl_c_ends_a_training_and_a_long_call(cells: list[Any]) -> None:
    stopped = cells[5].outputs[-1]
    assert stopped["ename"] == "Stopped" and "go on with resume=" in stopped["evalue"]
    _, seconds, _, same = "".join(out["text"] for out in cells[6].outputs).split()
    assert float(seconds) < 2.0 and same == "True"  # 0.2 s on a machine that does nothing else
