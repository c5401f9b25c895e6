"""The workloads in JAX."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.workloads import LEARNING_RATE, Workload

CONVS = ((1, 32), (32, 32), (32, 64), (64, 64))


def start_of(w: Workload) -> dict[str, Any]:
    """He normal weights; b holds the biases, or the shifts of batch norm, g its scales."""
    dense = [w.inputs[0], *[w.hidden] * w.depth, w.classes]
    shapes: list[tuple[int, ...]] = list(itertools.pairwise(dense))
    scaled = [w.hidden] * w.depth
    if w.network == "cnn":
        flat = w.inputs[0] // 4 * (w.inputs[1] // 4) * 64
        shapes, scaled = [*((3, 3, *c) for c in CONVS), (flat, 128), (128, w.classes)], [o for _, o in CONVS]
    keys = jax.random.split(jax.random.key(0), len(shapes))
    weights = [jax.random.normal(k, s) * np.sqrt(2 / np.prod(s[:-1])) for k, s in zip(keys, shapes, strict=True)]
    return {"w": weights, "b": [jnp.zeros(s[-1]) for s in shapes], "g": [jnp.ones(n) for n in scaled] if w.normalized else []}


def loaded(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Our parameters in that form; the layouts are the same."""
    ends = {"w": (".weight",), "b": (".bias", ".beta"), "g": (".gamma",)}
    return {key: [jnp.asarray(value) for name, value in parameters.items() if name.endswith(end)] for key, end in ends.items()}


def _norm(z: Any, g: Any) -> Any:
    axes = tuple(range(z.ndim - 1))
    return (z - z.mean(axes)) * jax.lax.rsqrt(z.var(axes) + 1e-5) * g


def _dropped(h: Any, key: Any, keep: float) -> Any:
    return jnp.where(jax.random.bernoulli(key, keep, h.shape), h / keep, 0)


def logits_of(w: Workload) -> Callable[[Any, Any, Any], Any]:
    """(parameters, x, key) -> logits."""

    def mlp(p: Any, h: Any, key: Any) -> Any:
        for layer in range(w.depth):
            z = h @ p["w"][layer]
            h = jax.nn.relu((_norm(z, p["g"][layer]) if w.normalized else z) + p["b"][layer])
            if w.normalized and w.dropout:
                key, use = jax.random.split(key)
                h = _dropped(h, use, 0.8)
        return h @ p["w"][-1] + p["b"][-1]

    def cnn(p: Any, h: Any, key: Any) -> Any:
        for layer in range(4):
            z = jax.lax.conv_general_dilated(h, p["w"][layer], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            h = jax.nn.relu(_norm(z, p["g"][layer]) + p["b"][layer])
            h = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") if layer % 2 else h
        h = jax.nn.relu(h.reshape(h.shape[0], -1) @ p["w"][4] + p["b"][4])
        return (_dropped(h, key, 0.5) if w.dropout else h) @ p["w"][5] + p["b"][5]

    return {"mlp": mlp, "cnn": cnn}[w.network]


def step_of(w: Workload, parameters: Mapping[str, Any] | None = None) -> Callable[[int], Any]:
    """One Adam step of all trials on a batch of the given number -> the loss before it."""
    forward = logits_of(w)

    def loss_of(p: Any, x: Any, y: Any, key: Any) -> Any:
        z = forward(p, x, key)
        return -(jax.nn.log_softmax(z)[jnp.arange(z.shape[0]), y]).mean()

    def step(p: Any, m: Any, v: Any, rate: Any, t: Any, x: Any, y: Any, key: Any) -> Any:
        loss, g = jax.value_and_grad(loss_of)(p, x, y, key)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        c1, c2 = -jnp.expm1(t * np.log(0.9)), -jnp.expm1(t * np.log(0.999))  # 1 - 0.999**t would lose four digits
        p = jax.tree.map(lambda p, m, v: p - rate * (m / c1) / (jnp.sqrt(v / c2) + 1e-8), p, m, v)
        return p, m, v, loss

    one = jax.vmap(step, in_axes=(0, 0, 0, 0, None, None, None, 0)) if w.trials > 1 else step
    compiled = jax.jit(one, donate_argnums=(0, 1, 2))
    start = start_of(w) if parameters is None else loaded(parameters)
    rate: Any = jnp.float32(LEARNING_RATE["adam"])
    key = jax.random.key(1)
    if w.trials > 1:
        rate, key = jnp.logspace(-4, -1, w.trials), jax.random.split(key, w.trials)
        start = jax.tree.map(lambda a: jnp.repeat(a[None], w.trials, 0), start)
    state = [jax.tree.map(jnp.copy, start), *(jax.tree.map(jnp.zeros_like, start) for _ in range(2))]
    x, y = w.data()

    def run(number: int) -> Any:
        rows = w.rows(number)
        *state[:], loss = compiled(*state, rate, float(number + 1), x[rows], y[rows], key)
        return loss.block_until_ready()

    return run


def run_of(w: Workload) -> Callable[[int, int], None]:
    """`steps` steps of all trials together."""
    step = step_of(w)

    def run(first: int, steps: int) -> None:
        for number in range(first, first + steps):
            step(number)

    return run


def losses(w: Workload, parameters: Mapping[str, Any], steps: int) -> list[float]:
    """The loss before each of `steps` steps from our `parameters`."""
    step = step_of(w, parameters)
    return [float(step(number)) for number in range(steps)]
