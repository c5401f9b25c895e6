"""How each contender trains a workload: a function that makes `run(first, steps)`, `steps` training steps from batch number `first`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads import Workload

Run = Callable[[int, int], Any]


def caviar(w: Workload) -> Run:
    """This project."""
    import pipeline

    overrides = [
        f"architecture.layers=[{{kind: dense, units: {w.hidden}}},{{kind: dense, units: {w.hidden}}}]",
        f"data.input_shape=[{w.inputs}]",
        f"data.classes={w.classes}",
        f"training.batch_size={w.batch}",
        "optimizer=adam",
        "optimizer.learning_rate=1e-3",
        *(["normalization=batch", "regularization=dropout", "regularization.keep_prob=0.8"] if w.normalized else ["normalization=none"]),
    ]
    x, y = w.data()
    configs = [pipeline.compose([*overrides, f"seed={k}"]) for k in range(min(w.trials, 1))]
    for k in range(1, w.trials):
        configs.append({**configs[0], "seed": k, "optimizer": {**configs[0]["optimizer"], "learning_rate": 10 ** (-4 + 3 * k / w.trials)}})
    batches = np.arange(len(x)).reshape(-1, w.batch)

    def order(first: int, steps: int) -> Any:
        return batches[(first + np.arange(steps)) % len(batches)]

    if w.trials == 1:
        program = pipeline.compile(configs[0])
        return lambda first, steps: program.run(x, y, order(first, steps))
    stack = pipeline.stack(configs)
    return lambda first, steps: stack.run(x, y, np.broadcast_to(order(first, steps), (w.trials, steps, w.batch)))


def torch(w: Workload) -> Run:
    """PyTorch, eager, fused Adam; trials one after the other."""
    return _torch(w, compiled=False)


def torch_compile(w: Workload) -> Run:
    """PyTorch with the forward half and loss under torch.compile."""
    return _torch(w, compiled=True)


def _torch(w: Workload, *, compiled: bool) -> Run:
    import torch as library
    from torch import nn

    library.set_num_threads(2)
    layers: list[Any] = []
    for inputs in (w.inputs, w.hidden):
        layers.append(nn.Linear(inputs, w.hidden, bias=not w.normalized))
        layers += [nn.BatchNorm1d(w.hidden), nn.ReLU(), nn.Dropout(0.2)] if w.normalized else [nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(w.hidden, w.classes))
    optimizer = library.optim.Adam(model.parameters(), 1e-3, fused=True)
    loss_of = nn.CrossEntropyLoss()
    x, y = (library.from_numpy(a) for a in w.data())
    y = y.long()

    def forward(rows: Any, labels: Any) -> Any:
        return loss_of(model(rows), labels)

    if compiled:
        forward = library.compile(forward)
    count = len(x) // w.batch

    def run(first: int, steps: int) -> None:
        for number in range(first, first + steps * w.trials):
            rows = slice(number % count * w.batch, (number % count + 1) * w.batch)
            optimizer.zero_grad()
            loss = forward(x[rows], y[rows])
            loss.backward()
            optimizer.step()

    return run


def jax(w: Workload) -> Run:
    """JAX: the whole step under jit with donated buffers; trials under vmap."""
    import jax as library
    import jax.numpy as jnp

    keys = library.random.split(library.random.key(0), 3)
    sizes = ((w.inputs, w.hidden), (w.hidden, w.hidden), (w.hidden, w.classes))
    start = {
        "w": [library.random.normal(k, s) * np.sqrt(2 / s[0]) for k, s in zip(keys, sizes, strict=True)],
        "b": [jnp.zeros(s[1]) for s in sizes],
        "g": [jnp.ones(w.hidden)] * 2,
    }

    def loss_of(p: Any, x: Any, y: Any, key: Any) -> Any:
        h = x
        for layer in range(2):
            z = h @ p["w"][layer]
            if w.normalized:
                mean, variance = z.mean(0), z.var(0)
                z = (z - mean) * library.lax.rsqrt(variance + 1e-5) * p["g"][layer]
            h = library.nn.relu(z + p["b"][layer])
            if w.normalized:
                key, use = library.random.split(key)
                h = jnp.where(library.random.bernoulli(use, 0.8, h.shape), h / 0.8, 0)
        z = h @ p["w"][2] + p["b"][2]
        return -(library.nn.log_softmax(z)[jnp.arange(z.shape[0]), y]).mean()

    def step(p: Any, m: Any, v: Any, rate: Any, t: Any, x: Any, y: Any, key: Any) -> Any:
        loss, g = library.value_and_grad(loss_of)(p, x, y, key)
        m = library.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = library.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        c1, c2 = 1 - 0.9**t, 1 - 0.999**t
        p = library.tree.map(lambda p, m, v: p - rate * (m / c1) / (jnp.sqrt(v / c2) + 1e-8), p, m, v)
        return p, m, v, loss

    one = library.vmap(step, in_axes=(0, 0, 0, 0, None, None, None, 0)) if w.trials > 1 else step
    compiled = library.jit(one, donate_argnums=(0, 1, 2))
    rate: Any = jnp.logspace(-4, -1, w.trials) if w.trials > 1 else jnp.float32(1e-3)
    key = library.random.split(library.random.key(1), w.trials) if w.trials > 1 else library.random.key(1)
    if w.trials > 1:
        start = library.tree.map(lambda a: jnp.repeat(a[None], w.trials, 0), start)
    state = [library.tree.map(jnp.copy, start), *(library.tree.map(jnp.zeros_like, start) for _ in range(2))]
    x, y = w.data()
    count = len(x) // w.batch

    def run(first: int, steps: int) -> None:
        for number in range(first, first + steps):
            rows = slice(number % count * w.batch, (number % count + 1) * w.batch)
            *state[:], loss = compiled(*state, rate, float(number + 1), x[rows], y[rows], key)
            loss.block_until_ready()

    return run


def sklearn(w: Workload) -> Run:
    """scikit-learn's MLPClassifier, plain nets only."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((w.hidden, w.hidden), batch_size=w.batch, alpha=0, solver="adam", shuffle=False)
    x, y = w.data()
    model.partial_fit(x[: w.batch], y[: w.batch], classes=np.arange(w.classes))
    count = len(x) // w.batch

    def run(first: int, steps: int) -> None:
        for number in range(first, first + steps):
            rows = slice(number % count * w.batch, (number % count + 1) * w.batch)
            model.partial_fit(x[rows], y[rows])

    return run


CONTENDERS: dict[str, Callable[[Workload], Run]] = {
    "caviar": caviar,
    "torch": torch,
    "torch_compile": torch_compile,
    "jax": jax,
    "sklearn": sklearn,
}
