"""Averages of the weights beside PyTorch's AveragedModel, and their batch norm statistics beside update_bn."""

# S steps, B batch
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.parity.beside import BATCH, LIMIT, ROWS, SGD, STEPS, VECTORS, compare, compiled
from tests.program.configs import data, order

pytestmark = pytest.mark.parity
UNITS = 12
NORM = {"kind": "batch", "statistics": "population"}  # the variance of PyTorch's running statistics: n / (n - 1)
FROM = 4  # steps before the first weights of the mean


def _network(torch: Any, start: dict[str, Any], number: Any) -> Any:
    """The layers as modules, with the same start; the bias before the norm is left out, as ours is."""
    net = torch.nn.Sequential(
        torch.nn.Linear(9, UNITS, bias=False), torch.nn.BatchNorm1d(UNITS, momentum=None), torch.nn.Tanh(), torch.nn.Linear(UNITS, 4)
    ).to(number)
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor(start["fc1.weight"].T))
        net[3].weight.copy_(torch.tensor(start["fc2.weight"].T))
        net[3].bias.copy_(torch.tensor(start["fc2.bias"]))
    return net


def _arrays(net: Any) -> dict[str, Any]:
    names = {
        "fc1.weight": net[0].weight,
        "bn1.gamma": net[1].weight,
        "bn1.beta": net[1].bias,
        "fc2.weight": net[3].weight,
        "fc2.bias": net[3].bias,
    }
    statistics = {"bn1.running_mean": net[1].running_mean, "bn1.running_variance": net[1].running_var}
    return {name: tensor.detach().numpy().T.astype(np.float64) for name, tensor in (names | statistics).items()}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_the_averages_and_their_statistics(kind: str, precision: str, torch: Any) -> None:
    swa = torch.optim.swa_utils
    ours = {"kind": "ema", "decay": 0.8, "correction": "none", "batch_norm": "reestimated"}
    if kind == "swa":
        ours = {"kind": "swa", "from_step": FROM + 1, "every_steps": 1}
    layers = [{"kind": "dense", "units": UNITS, "activation": "tanh", "normalization": NORM}]
    made = compiled(VECTORS, layers, averaging=ours, precision=precision)
    x, y = data(ROWS, VECTORS)
    rows, passed = order(STEPS, rows=ROWS, batch=BATCH), np.arange(ROWS).reshape(-1, BATCH)
    number = getattr(torch, precision)
    net = _network(torch, made.parameters(), number)
    images, labels = torch.tensor(x, dtype=number), torch.tensor(y, dtype=torch.int64)
    # for the mean PyTorch's function of several tensors rounds 1 / n to float32
    averaged = {"multi_avg_fn": swa.get_ema_multi_avg_fn(0.8)} if kind == "ema" else {"avg_fn": swa.get_swa_avg_fn()}
    average = swa.AveragedModel(net, **averaged)
    stepping = torch.optim.SGD(net.parameters(), lr=SGD["learning_rate"])
    start = {f"average/{name}": value for name, value in _arrays(net).items()}
    for step, taken in enumerate(rows):
        stepping.zero_grad()
        torch.nn.functional.cross_entropy(net(images[taken]), labels[taken]).backward()
        stepping.step()
        if kind == "ema" or step >= FROM:
            average.update_parameters(net)
    swa.update_bn([images[taken] for taken in passed], average)
    made.run(x, y, rows)
    made.reestimate(x, passed)
    found = {name: value for name, value in made.state().items() if name.startswith("average/")}
    expected = {f"average/{name}": value for name, value in _arrays(average.module).items()}
    compare(found, expected, start, LIMIT[precision])
    average.eval()
    with torch.no_grad():
        probabilities = torch.softmax(average(images), 1).numpy()
    np.testing.assert_allclose(made.predict(x), probabilities, rtol=LIMIT[precision], atol=LIMIT[precision])
