"""`python -m tests.export.table`: writes docs/export.md with the largest difference of each kind; needs onnxruntime and PyTorch."""

from __future__ import annotations

import os
import tempfile

from tests.export.cases import CASES, ROOT

HEAD = """# A trained run for programs of others

    python -m pipeline task=export run=runs/FOLDER format=onnx

- `onnx`: opset 20. Of a table, an input [N, 1] for each column by its name: numbers, truth values, times, and dates as days since
  1970-01-01 are double, NaN where one is missing; words are strings, empty where one is missing. Else `x` [N, ...], double, of images
  float. The preprocessing, the classes and own units are inside: `label` and `probabilities`, `labels` and `probabilities` where a row may
  have several, or `values`.
- `torch`: `class Network(nn.Module)`, a line for each step by the names of the layers, to read and to train on, with its weights in a
  safetensors file beside it. It takes x as the preprocessing does; of a table `INPUTS` names its columns, in their order, with what each
  is.
- `npz`, `safetensors`: the arrays by name (`fc1.weight`, `bn1.running_mean`, `preprocessing.0.standardize.shift`, `target.mean`), the
  classes and how columns are read as JSON.

Networks compute in float32 there, also those trained in float64. What a format has no word for is refused by its name: hashed words in
ONNX; dropout and augmentation are no part of a prediction.

The largest difference to `program.predict`, of probabilities, or of values relative to 1 + their size, on up to 40 rows of the test part
(`python -m pytest -m integration tests/export`, `python -m pytest -m parity tests/export`; this page is written by `python -m
tests.export.table`):

| kind | ONNX (onnxruntime) | PyTorch |
|---|---|---|
"""


def main() -> None:
    """Writes the page."""
    from tests.export import test_onnx, test_torch

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in CASES:
            rows.append(f"| {name} | {_shown(test_onnx.difference(name))} | {_shown(test_torch.difference(name))} |")
    (ROOT / "docs" / "export.md").write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


def _shown(value: float) -> str:
    return "0" if value == 0 else f"{value:.0e}"


if __name__ == "__main__":
    main()
