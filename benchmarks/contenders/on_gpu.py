"""The peers of the GPU report: each makes `run(steps)`, which trains from our weights and gives the loss before its first step.

eager    PyTorch op by op, fused Adam
compile  forward half, loss and backward half under torch.compile's max-autotune, fused Adam
graph    the whole step, Adam too, captured as one CUDA graph and replayed
vmap     K networks at once: torch.func.vmap over stacked weights, the whole step under torch.compile's max-autotune
jax      all steps under jit and lax.scan, K networks under vmap

Float32 without tensor cores everywhere; the data lie on the device, a batch is a slice of them.  On a CPU all of it runs too, without a
graph: that is the rehearsal.
"""

# K trials, S steps, B batch rows
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.workloads import LEARNING_RATE, Workload

Run = Callable[[int], float]
Parameters = Sequence[Mapping[str, Any]]  # of each trial
RATE = LEARNING_RATE["adam"]


def _torch() -> Any:
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return torch


class _Step:
    """Model, data and optimizer of one trial on `device`."""

    def __init__(self, w: Workload, device: str, parameters: Mapping[str, Any], **options: Any) -> None:
        from benchmarks.contenders.with_torch import load, model_of

        self.torch, self.w, self.number = _torch(), w, 0
        model = model_of(w)
        load(model, w, parameters)
        self.model = model.to(device)
        x, y = (self.torch.from_numpy(array).to(device) for array in w.data())
        self.x = x.permute(0, 3, 1, 2).contiguous() if x.ndim == 4 else x
        self.y = y.long()
        self.optimizer = self.torch.optim.Adam(self.model.parameters(), RATE, fused=True, **options)
        self.loss_of = self.torch.nn.CrossEntropyLoss()

    def batch(self) -> tuple[Any, Any]:
        """The next rows and labels."""
        rows, self.number = self.w.rows(self.number), self.number + 1
        return self.x[rows], self.y[rows]

    def forward(self, x: Any, y: Any) -> Any:
        """The loss of rows x [B, ...], y [B]."""
        return self.loss_of(self.model(x), y)

    def steps(self, forward: Callable[[Any, Any], Any]) -> Run:
        """One step after the other by `forward`."""

        def run(count: int) -> float:
            first = None
            for _ in range(count):
                self.optimizer.zero_grad()
                loss = forward(*self.batch())
                loss.backward()
                self.optimizer.step()
                first = loss.detach() if first is None else first
            return float(first)

        return run


def eager(w: Workload, device: str, parameters: Parameters) -> Run:
    """Op by op; trials in turn."""
    made = [_Step(w, device, own) for own in parameters]
    return _in_turn([step.steps(step.forward) for step in made])


def compiled(w: Workload, device: str, parameters: Parameters) -> Run:
    """max-autotune."""
    step = _Step(w, device, parameters[0])
    return step.steps(step.torch.compile(step.forward, mode="max-autotune"))


def graph(w: Workload, device: str, parameters: Parameters) -> Run:
    """A captured step; trials in turn, each a graph of its own."""
    return _in_turn([_captured(_Step(w, device, own, capturable=device == "cuda")) for own in parameters])


def _captured(step: _Step) -> Run:
    torch = step.torch
    x, y = (array.clone() for array in step.batch())

    def whole() -> Any:
        step.optimizer.zero_grad(set_to_none=False)
        loss = step.forward(x, y)
        loss.backward()
        step.optimizer.step()
        return loss.detach()

    replay, loss = whole, None
    if x.is_cuda:
        kept = {name: value.clone() for name, value in step.model.state_dict().items()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                whole()
        torch.cuda.current_stream().wait_stream(side)
        recorded = torch.cuda.CUDAGraph()
        with torch.cuda.graph(recorded):
            loss = whole()
        step.model.load_state_dict(kept)
        for state in step.optimizer.state.values():
            for value in state.values():
                value.zero_()
        replay = recorded.replay
    step.number = 0

    def run(count: int) -> float:
        first = None
        for _ in range(count):
            rows, labels = step.batch()
            x.copy_(rows)
            y.copy_(labels)
            made = replay()
            first = (loss if made is None else made).clone() if first is None else first
        return float(first)

    return run


def _in_turn(runs: Sequence[Run]) -> Run:
    def all_of(count: int) -> float:
        losses = [run(count) for run in runs]
        return losses[0]

    return all_of


def vmap(w: Workload, device: str, parameters: Parameters) -> Run:
    """Stacked weights [K, ...] with learning rates of their own; the running statistics of batch norm are left out."""
    torch = _torch()
    steps = [_Step(w, device, own) for own in parameters]
    for step in steps:
        for layer in step.model.modules():
            if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                layer.track_running_stats, layer.running_mean, layer.running_var, layer.num_batches_tracked = False, None, None, None
    values, _ = torch.func.stack_module_state([step.model for step in steps])
    model, first = steps[0].model, steps[0]
    values = {name: value.detach() for name, value in values.items()}
    m, v = ({name: torch.zeros_like(value) for name, value in values.items()} for _ in range(2))
    rates = {name: _rates(torch, len(steps), value.ndim, device) for name, value in values.items()}

    def loss_of(own: Any, x: Any, y: Any) -> Any:
        return torch.nn.functional.cross_entropy(torch.func.functional_call(model, own, (x,)), y)

    of_all = torch.func.vmap(torch.func.grad_and_value(loss_of), in_dims=(0, None, None), randomness="different")

    def step(values: Any, m: Any, v: Any, t: Any, x: Any, y: Any) -> Any:
        gradients, losses = of_all(values, x, y)
        m = {name: 0.9 * m[name] + 0.1 * g for name, g in gradients.items()}
        v = {name: 0.999 * v[name] + 0.001 * g * g for name, g in gradients.items()}
        c1, c2 = 1 - 0.9**t, 1 - 0.999**t
        values = {n: p - rates[n] * (m[n] / c1) / ((v[n] / c2).sqrt() + 1e-8) for n, p in values.items()}
        return values, m, v, losses

    # PyTorch 2.13's max-autotune fails at these products on a CPU
    fast = torch.compile(step, mode="max-autotune" if device == "cuda" else "default")
    state, count = [values, m, v], [0]

    def run(steps_: int) -> float:
        found = None
        for _ in range(steps_):
            count[0] += 1
            if device == "cuda":
                torch.compiler.cudagraph_mark_step_begin()
            *made, losses = fast(*state, torch.tensor(float(count[0]), device=device), *first.batch())
            # a compiled graph writes over what it gave before
            state[:] = [{n: p.clone() for n, p in part.items()} for part in made] if device == "cuda" else made
            found = losses[0].clone() if found is None else found
        return float(found)

    return run


def _rates(torch: Any, trials: int, axes: int, device: str) -> Any:
    return torch.logspace(-4, -2, trials, device=device).reshape(trials, *[1] * (axes - 1))


def jax(w: Workload, device: str, parameters: Parameters) -> Run:
    """As `with_jax`, with all steps of a call in one scan."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from benchmarks.contenders.with_jax import loaded, logits_of

    jax.config.update("jax_default_matmul_precision", "highest")
    forward, many = logits_of(w), len(parameters) > 1

    def loss_of(p: Any, x: Any, y: Any, key: Any) -> Any:
        z = forward(p, x, key)
        return -(jax.nn.log_softmax(z)[jnp.arange(z.shape[0]), y]).mean()

    def step(p: Any, m: Any, v: Any, rate: Any, t: Any, x: Any, y: Any, key: Any) -> Any:
        loss, g = jax.value_and_grad(loss_of)(p, x, y, key)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        c1, c2 = -jnp.expm1(t * np.log(0.9)), -jnp.expm1(t * np.log(0.999))
        return jax.tree.map(lambda p, m, v: p - rate * (m / c1) / (jnp.sqrt(v / c2) + 1e-8), p, m, v), m, v, loss

    one = jax.vmap(step, in_axes=(0, 0, 0, 0, None, None, None, 0)) if many else step
    x, y = (jnp.asarray(array).reshape(w.batches, w.batch, *array.shape[1:]) for array in w.data())
    rate: Any = jnp.logspace(-4, -2, len(parameters)) if many else jnp.float32(RATE)
    key = jax.random.split(jax.random.key(1), len(parameters)) if many else jax.random.key(1)
    starts = [loaded(own) for own in parameters]
    start = jax.tree.map(lambda *own: jnp.stack(own), *starts) if many else starts[0]

    def scanned(state: Any, times: Any) -> Any:
        def next_(state: Any, t: Any) -> Any:
            *state, loss = one(*state, rate, t, x[(t.astype(int) - 1) % w.batches], y[(t.astype(int) - 1) % w.batches], key)
            return tuple(state), loss

        return jax.lax.scan(next_, state, times)

    fast = jax.jit(scanned, donate_argnums=0)
    held = [(start, *(jax.tree.map(jnp.zeros_like, start) for _ in range(2))), 0]

    def run(steps: int) -> float:
        held[0], losses = fast(held[0], jnp.arange(held[1] + 1, held[1] + 1 + steps, dtype=jnp.float32))
        held[1] += steps
        return float(np.asarray(losses).reshape(steps, -1)[0, 0])

    return run


PEERS: dict[str, Callable[[Workload, str, Parameters], Run]] = {
    "eager": eager, "compile": compiled, "graph": graph, "vmap": vmap, "jax": jax
}  # fmt: skip
NEEDS = {"jax": "jax", **dict.fromkeys(("eager", "compile", "graph", "vmap"), "torch")}
