"""A module of PyTorch predicts what the program does, for every kind."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.export.torch_file import torch_files
from pipeline.export.torch_ops import HELPERS
from tests.export.cases import CASES, trained

pytestmark = pytest.mark.parity


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", exc_type=ImportError)
    monkeypatch.chdir(tmp_path)


def _loaded(name: str) -> Any:
    """The network of a case, by the file that is written."""
    text, weights = torch_files(trained(name)[0], weights="model.safetensors")
    Path("model.py").write_text(text, encoding="utf-8")
    Path("model.safetensors").write_bytes(weights)
    spec = importlib.util.spec_from_file_location("model", "model.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load("model.safetensors")


def difference(name: str) -> float:
    """The largest of a case, of values relative to their size."""
    import torch

    model, x = trained(name)
    got, wanted = _loaded(name)(torch.tensor(x)).detach().numpy(), model.predict(x)
    scale = 1 if model.classes else 1 + np.abs(wanted)
    return float((np.abs(got - wanted) / scale).max())


@pytest.mark.parametrize("name", CASES)
def test_a_module_predicts_what_the_program_does(name: str) -> None:
    assert difference(name) < 1e-5


def test_it_can_be_trained_on() -> None:
    network = _loaded("normalization batch of rows")
    moved = {name for name, value in network.named_parameters() if value.requires_grad}
    assert "bn1.gamma" in moved and "bn1.running_mean" not in moved
    import torch

    loss = network(torch.zeros(4, 4)).square().sum()
    loss.backward()
    assert network.fc1.weight.grad is not None


def test_every_function_that_is_written_is_met() -> None:
    texts = "".join(torch_files(trained(name)[0], weights="model.safetensors")[0] for name in CASES)
    assert [name for name in HELPERS if f"def {name}(" not in texts] == ["fold"]
