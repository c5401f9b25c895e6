"""The workloads in PyTorch."""

# B batch, I O channels, H W image
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from backends.numpy.machine.processor import usable_cores
from benchmarks.workloads import LEARNING_RATE, Workload


class Block(nn.Module):
    """A residual block: two 3x3 convolutions, and a 1x1 one on the skip connection where the stride is 2."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.skip = nn.Sequential(*_conv(inputs, outputs, 1, stride)) if stride > 1 else None
        self.body = nn.Sequential(*_conv(inputs, outputs, 3, stride), nn.ReLU(), *_conv(outputs, outputs, 3))

    def forward(self, x: Any) -> Any:
        """x [B, I, H, W] -> [B, O, H / stride, W / stride]."""
        return torch.relu(self.body(x) + (x if self.skip is None else self.skip(x)))


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs)]


def model_of(w: Workload) -> nn.Sequential:
    """The network; its layers stand in the order of ours."""
    layers: list[nn.Module] = []
    if w.network == "mlp":
        for inputs in (w.inputs[0], *[w.hidden] * (w.depth - 1)):
            layers.append(nn.Linear(inputs, w.hidden, bias=not w.normalized))
            layers += [nn.BatchNorm1d(w.hidden), nn.ReLU(), nn.Dropout(0.2 * w.dropout)] if w.normalized else [nn.ReLU()]
        layers.append(nn.Linear(w.hidden if w.depth else w.inputs[0], w.classes))
    elif w.network == "cnn":
        for inputs, outputs in ((w.inputs[2], 32), (32, 32), (32, 64), (64, 64)):
            layers += [*_conv(inputs, outputs, 3), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if inputs == outputs else []
        flat = w.inputs[0] // 4 * (w.inputs[1] // 4) * 64
        layers += [nn.Flatten(), nn.Linear(flat, 128), nn.ReLU(), nn.Dropout(0.5 * w.dropout), nn.Linear(128, w.classes)]
    elif w.network == "resnet20":
        sizes = [(16, 16, 1)] * 3 + [(16, 32, 2), *[(32, 32, 1)] * 2] + [(32, 64, 2), *[(64, 64, 1)] * 2]
        layers = [*_conv(3, 16, 3), nn.ReLU(), *(Block(*size) for size in sizes)]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, w.classes)]
    else:
        layers = [nn.Linear(w.inputs[0], 1), nn.Flatten(0)]
    return nn.Sequential(*layers)


def load(model: nn.Sequential, w: Workload, parameters: Mapping[str, Any]) -> None:
    """Overwrites the tensors of `model` with ours: weights [in, out], [kh, kw, I, O], over images flattened as [H, W, C]."""
    values = iter(parameters.values())
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.copy_(torch.tensor(next(values)).permute(3, 2, 0, 1))
            elif isinstance(layer, nn.Linear):
                weight = np.asarray(next(values))
                if w.network == "cnn" and layer.in_features > 128:
                    places = (w.inputs[0] // 4, w.inputs[1] // 4, 64, layer.out_features)
                    weight = weight.reshape(places).transpose(2, 0, 1, 3).reshape(layer.in_features, -1)
                layer.weight.copy_(torch.tensor(weight).T)
            elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.weight.copy_(torch.tensor(next(values)))
            else:
                continue
            if layer.bias is not None:
                layer.bias.copy_(torch.tensor(next(values)))
    assert next(values, None) is None, "some of our tensors have no place in the peer"


def step_of(
    w: Workload, *, compiled: bool = False, channels_last: bool = False, parameters: Mapping[str, Any] | None = None
) -> Callable[[int], Any]:
    """One training step on a batch of the given number -> the loss before it; or the class probabilities of that batch."""
    torch.set_num_threads(min(w.threads or usable_cores(), usable_cores()))
    precision = getattr(torch, w.precision)
    model, form = model_of(w).to(precision), torch.channels_last if channels_last else torch.contiguous_format
    if parameters is not None:
        load(model, w, parameters)
    x, y = (torch.from_numpy(a) for a in w.data())
    x = x.to(precision)
    if len(w.inputs) == 3:
        model, x = model.to(memory_format=form), x.permute(0, 3, 1, 2).contiguous(memory_format=form)
    if w.task == "predict":
        model.eval()

        @torch.inference_mode()
        def predict(number: int) -> Any:
            return model(x[w.rows(number)]).softmax(1)

        return predict
    y = y.to(precision) if w.network == "logistic" else y.long()
    loss_of = nn.BCEWithLogitsLoss() if w.network == "logistic" else nn.CrossEntropyLoss()
    maker = torch.optim.SGD if w.optimizer == "sgd" else torch.optim.Adam
    optimizer = maker(model.parameters(), LEARNING_RATE[w.optimizer], fused=True)

    def forward(rows: Any, labels: Any) -> Any:
        return loss_of(model(rows), labels)

    forward = torch.compile(forward) if compiled else forward

    def step(number: int) -> Any:
        rows = w.rows(number)
        optimizer.zero_grad()
        loss = forward(x[rows], y[rows])
        loss.backward()
        optimizer.step()
        return loss

    return step


def run_of(w: Workload, *, compiled: bool = False, channels_last: bool = False) -> Callable[[int, int], None]:
    """`steps` steps of each trial, one trial after the other."""
    step = step_of(w, compiled=compiled, channels_last=channels_last)

    def run(first: int, steps: int) -> None:
        for number in range(first, first + steps * w.trials):
            step(number)

    return run


def losses(w: Workload, parameters: Mapping[str, Any], steps: int) -> list[float]:
    """The loss before each of `steps` steps from our `parameters`."""
    step = step_of(w, channels_last=len(w.inputs) == 3, parameters=parameters)
    return [float(step(number).detach()) for number in range(steps)]
