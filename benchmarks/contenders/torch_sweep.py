"""The sweep of `benchmarks/sweep.py` as a plain PyTorch loop: the same network, rows, recipe and validation, and no record.

python -m benchmarks.contenders.torch_sweep EPOCHS SEEDS RATE ...
"""

# N rows, B batch
from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.data import Data, load
from pipeline.data.prepared import prepared
from pipeline.preprocessing import Preprocessing

BATCH = 64


def trial(parts: Any, rate: float, seed: int, epochs: int) -> float:
    """One training -> the accuracy on the validation part after its last epoch."""
    torch.manual_seed(seed)
    (x, y), (held_x, held_y) = parts
    sizes = (x.shape[1], 32, 32, 10)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    optimizer, loss_of = torch.optim.Adam(model.parameters(), rate, fused=True), nn.CrossEntropyLoss()
    accuracy = 0.0
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(BATCH)[: len(x) // BATCH]:
            optimizer.zero_grad()
            loss_of(model(x[rows]), y[rows]).backward()
            optimizer.step()
        with torch.inference_mode():
            made = model(held_x)
            loss_of(made, held_y)
            accuracy = float((made.argmax(1) == held_y).float().mean())
    return accuracy


def main(arguments: list[str]) -> None:
    """All trials, one after another."""
    epochs, seeds, rates = int(arguments[0]), int(arguments[1]), [float(word) for word in arguments[2:]]
    torch.set_num_threads(1)  # layers of 32 units are too small to share: two threads are slower
    for seed in range(seeds):
        ready = prepared(load(Data(), seed=seed), Preprocessing())
        parts = [
            (torch.from_numpy(np.array(part.x, np.float32).reshape(len(part), -1)), torch.from_numpy(np.asarray(part.targets)).long())
            for part in (ready.train, ready.validation)
        ]
        for rate in rates:
            print(f"learning_rate={rate} seed={seed}: {trial(parts, rate, seed, epochs):.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])
