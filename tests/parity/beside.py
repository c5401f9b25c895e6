"""Ten steps of a program and of its peer, from the same weights over the same rows."""

# S steps, B batch
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backends.contract import Array
from pipeline.data import DataShape
from pipeline.program.program import Program
from tests.program.configs import data, order, program

STEPS, BATCH, ROWS = 10, 16, 64
LIMIT = {"float32": 1e-4, "float64": 1e-10}
ROUNDOFF = 1e-5
SGD = {"kind": "sgd", "learning_rate": 0.1}
IMAGES = DataShape(input_shape=(8, 7, 3), classes=4, targets=None)
VECTORS = DataShape(input_shape=(9,), classes=4, targets=None)
NUMBERS = DataShape(input_shape=(9,), classes=None, targets=2)


def compiled(shape: DataShape, layers: list[dict[str, Any]], **changes: Any) -> Program:
    """The program in float32 on the numpy backend, with plain SGD and without activations unless `changes` say otherwise."""
    groups = {"optimizer": SGD, "activation": "identity", "precision": "float32", **changes}
    backend = {"backend": {"kind": "numpy"}, "training": {"batch_size": BATCH, **groups.pop("training", {})}}
    return program(shape=shape, architecture={"layers": layers, "head": "auto"}, **groups, **backend)


def beside(
    torch: Any,
    shape: DataShape,
    made: Program,
    forward: Callable[[Any, Any], Any],
    *,
    loss: Callable[[Any, Any], Any] | None = None,
    optimizer: Callable[[Any, Any], Any] | None = None,
    penalty: Callable[[Any], Any] | None = None,
    after: Callable[[Any], None] | None = None,
    clip: Callable[[Any], None] | None = None,
) -> Any:
    """Trains both and compares them -> the peer.

    forward    (peer, x) -> logits
    loss       (logits, y) -> the mean over the batch; cross-entropy if not given
    optimizer  (trained tensors of the weights, the other trained tensors) -> a PyTorch optimizer; SGD if not given
    penalty    peer -> what is added to the loss;  clip  peer -> changes its gradients;  after  peer -> changes its tensors after a step
    """
    from tests.parity.peer import Peer

    x, y = data(ROWS, shape)
    start, rows = made.parameters(), order(STEPS, rows=ROWS, batch=BATCH)
    own = made.run(x, y, rows)
    precision = made.structure.precision
    number = getattr(torch, precision)
    peer = Peer(start, number)
    weights = [t for name, t in peer.p.items() if name.endswith(".weight")]
    others = [t for name, t in peer.p.items() if not name.endswith(".weight")]
    stepping = optimizer(weights, others) if optimizer else torch.optim.SGD([*weights, *others], lr=SGD["learning_rate"])
    images = torch.tensor(x, dtype=number)
    labels = torch.tensor(y, dtype=torch.int64 if shape.classes else number)
    losses = []
    for step in rows:
        stepping.zero_grad()
        lost = (loss or torch.nn.functional.cross_entropy)(forward(peer, images[step]), labels[step])
        lost = lost + penalty(peer) if penalty else lost
        lost.backward()
        if clip:
            clip(peer)
        stepping.step()
        if after:
            with torch.no_grad():
                after(peer)
        losses.append(float(lost.detach()))
    np.testing.assert_allclose(own, losses, rtol=LIMIT[precision])
    compare(made.parameters(), peer.arrays(), start, LIMIT[precision])
    return peer


def compare(found: Mapping[str, Array], expected: Mapping[str, Array], start: Mapping[str, Array], limit: float) -> None:
    """Each tensor within `limit` of the peer's, relative to its own length and to the way it went."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        length = float(np.linalg.norm(value))
        if length < ROUNDOFF:  # a bias whose gradient is zero, as later norms take each channel's mean out again
            assert float(np.linalg.norm(found[name])) < ROUNDOFF, f"{name} moved, and the peer's did not"
            continue
        apart, moved = (float(np.linalg.norm(other - value)) / length for other in (found[name], start[name]))
        assert moved > 1e-3, f"{name} moved by {moved:.1e} of its length: too little to compare"
        assert apart < limit * min(1.0, moved), f"{name} is apart by {apart:.1e} of its length, and moved by {moved:.1e}"


def first(x: Any) -> Any:
    """[N, H, W, C] -> [N, C, H, W]."""
    return x.permute(0, 3, 1, 2)


def last(x: Any) -> Any:
    """[N, C, H, W] -> [N, H, W, C]."""
    return x.permute(0, 2, 3, 1)
