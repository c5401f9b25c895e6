"""The layers in PyTorch, over tensors that keep our names and our layouts; imported only where PyTorch is installed."""

# N batch, H W image, I O channels, kh kw window
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from backends.contract import Array
from tests.parity.beside import first, last


class Peer:
    """What a network is made of.  `p` holds the trained tensors, `running` the statistics that batch norm keeps."""

    def __init__(self, parameters: Mapping[str, Array], number: torch.dtype = torch.float32) -> None:
        self.number = number
        self.p = {name: torch.tensor(value, dtype=number, requires_grad=True) for name, value in parameters.items()}
        self.running: dict[str, Tensor] = {}

    def dense(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x.flatten(1), self.p[f"{name}.weight"].T, self.p.get(f"{name}.bias"))

    def conv(self, x: Tensor, name: str, *, around: tuple[int, int, int, int] = (0, 0, 0, 0), **sizes: Any) -> Tensor:
        """around: top, bottom, left, right; x [N, H, W, I], the weight [kh, kw, I, O]."""
        top, bottom, left, right = around
        padded = F.pad(first(x), (left, right, top, bottom))
        return last(F.conv2d(padded, self.p[f"{name}.weight"].permute(3, 2, 0, 1), self.p.get(f"{name}.bias"), **sizes))

    def conv_transpose(self, x: Tensor, name: str, **sizes: Any) -> Tensor:
        """The weight is [kh, kw, O, I], that of the convolution; PyTorch's is [I, O, kh, kw]."""
        return last(F.conv_transpose2d(first(x), self.p[f"{name}.weight"].permute(3, 2, 0, 1), self.p.get(f"{name}.bias"), **sizes))

    def max_pool(self, x: Tensor, *sizes: Any) -> Tensor:
        return last(F.max_pool2d(first(x), *sizes))

    def average_pool(self, x: Tensor, *sizes: Any) -> Tensor:
        """Padding is not counted."""
        return last(F.avg_pool2d(first(x), *sizes, count_include_pad=False))

    def concat(self, *parts: Tensor) -> Tensor:
        """Along the channels."""
        return torch.cat(parts, dim=-1)

    def prelu(self, x: Tensor, name: str) -> Tensor:
        """PyTorch wants the channels on axis 1."""
        return F.prelu(x.movedim(-1, 1), self.p[f"{name}.alpha"]).movedim(1, -1)

    def batch_norm(self, x: Tensor, name: str, momentum: float = 0.9, epsilon: float = 1e-5) -> Tensor:
        """Our momentum is the share that is kept, PyTorch's the share that is new."""
        channels = x.shape[-1]
        mean = self.running.setdefault(f"{name}.running_mean", torch.zeros(channels, dtype=self.number))
        variance = self.running.setdefault(f"{name}.running_variance", torch.ones(channels, dtype=self.number))
        gamma, beta = self.p[f"{name}.gamma"], self.p[f"{name}.beta"]
        flat = F.batch_norm(x.reshape(-1, channels), mean, variance, gamma, beta, True, 1 - momentum, epsilon)
        return flat.reshape(x.shape)

    def group_norm(self, x: Tensor, name: str, groups: int, epsilon: float = 1e-5) -> Tensor:
        """PyTorch wants the channels on axis 1."""
        return F.group_norm(x.movedim(-1, 1), groups, self.p[f"{name}.gamma"], self.p[f"{name}.beta"], epsilon).movedim(1, -1)

    def arrays(self) -> dict[str, Array]:
        """The trained tensors."""
        return {name: value.detach().numpy().astype(np.float64) for name, value in self.p.items()}
