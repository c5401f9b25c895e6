"""The report of a GPU, rehearsed without one: every part runs, and the digests that a GPU is held against are the CPU's."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

import backends
from backends.cupy import CupyBackend
from backends.cupy.probe import available
from benchmarks import gpu_report
from tests.cuda.beside import needs_compiler
from tests.cuda.shim import ShimDevice

USABLE, REASON = available()


def test_the_digests_on_record_are_those_of_the_cpu() -> None:
    known = json.loads(gpu_report.DIGESTS.read_text())
    assert list(known) == list(gpu_report.WORKLOADS)
    assert gpu_report.digest(gpu_report.WORKLOADS["small_64"], backends.load("numpy")) == known["small_64"]


@needs_compiler
@pytest.mark.integration
def test_the_whole_report_runs_in_the_shim(monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(gpu_report.WORKLOADS["small_64"], trials=3, timed=2)
    monkeypatch.setitem(gpu_report.WORKLOADS, "small", small)
    monkeypatch.setattr(gpu_report, "checked", lambda name: {})  # it runs the report in a process of its own, on a GPU
    monkeypatch.setattr(gpu_report, "PLANNED", (("small", "graph", 10**6), ("small", "jax", 10**6)))
    device = ShimDevice()
    found = gpu_report.report(device, ("small",), steps=3)
    assert (found["bits"], found["replays"], found["resumed"], found["checked"]) == ({"small": True}, True, True, {})
    assert gpu_report.sound(found) and found["device"] == "shim"
    assert all("skipped" in found["peers"]["small"][peer] for peer in ("graph", "jax")), "there is not so much time"
    assert found["reached"]["small"] == {"us": {"asked": 40, "found": None, "reached": None}}
    assert gpu_report.speed(small, CupyBackend(device), device) == {}, "no time is taken where it says nothing"
    assert not gpu_report.sound({**found, "bits": {"small": False}})


def test_without_a_gpu_the_report_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.cupy.probe.available", lambda: (False, "no NVIDIA driver is installed"))
    assert gpu_report.main([]) == 2
    assert capsys.readouterr().err == "error: backend.kind = cupy: no NVIDIA driver is installed; use numpy\n"


@needs_compiler
@pytest.mark.integration
def test_a_machine_without_llvmlite_needs_no_second_backend() -> None:
    code = (
        "import importlib.util, sys; sys.modules['llvmlite'] = None; found = importlib.util.find_spec;"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'llvmlite' else found(name, *rest);"
        "from benchmarks import gpu_report as r; from backends.cupy import CupyBackend; from tests.cuda.shim import ShimDevice;"
        "print(r.digest(r.WORKLOADS['small_64'], CupyBackend(ShimDevice()), steps=2), r._has_cpu(), r._stamp()['versions'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    wanted = gpu_report.digest(gpu_report.WORKLOADS["small_64"], backends.load("numpy"), steps=2)
    assert done.stdout.startswith(f"{wanted} False {{'numpy': "), done.stdout + done.stderr


SAYS = (sys.executable, "-c", "import sys, time; exec(sys.argv[1])")


def test_peers_are_asked_in_order_while_there_is_time_and_what_is_left_out_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(gpu_report.NEEDS, "jax", "a_package_that_is_nowhere")
    monkeypatch.setitem(gpu_report.NEEDS, "graph", "json")
    left = iter((100.0, 100.0, 2.0, 2.0, 100.0, 100.0, 100.0, 0.5))
    planned = [("print('{\"ratio\": 2.0}')", "graph", 20), ("b", "jax", 20), ("c", "graph", 20)]
    planned += [("raise SystemExit('no memory')", "graph", 20), ("time.sleep(60)", "graph", 0)]
    found = gpu_report.peers(planned, lambda: next(left), SAYS)
    assert [next(iter(own.values())) for own in found.values()] == [
        {"ratio": 2.0},
        {"skipped": "a_package_that_is_nowhere is not installed"},
        {"skipped": "2 s are left, and it may take 20"},
        {"failed": "no memory"},
        {"skipped": "not done in 0 s"},
    ]


def test_what_is_planned_knows_its_workload_and_peer_and_each_bar_is_planned() -> None:
    assert all(gpu_report.WORKLOADS[name].sizes is not None and peer in gpu_report.PEERS for name, peer, _ in gpu_report.PLANNED)
    planned = {(name, peer) for name, peer, _ in gpu_report.PLANNED}
    bars = {(name, what) for name, w in gpu_report.WORKLOADS.items() for what, _ in w.asked if what != "us"}
    assert bars <= planned
    first = sum(seconds for name, peer, seconds in gpu_report.PLANNED if (name, peer) in bars)
    assert first < gpu_report.LIMIT - 120, "what the bars need fits beside two minutes of our own"


def test_a_bar_is_reached_or_not_or_was_not_measured() -> None:
    w = gpu_report.WORKLOADS["mlp"]
    assert gpu_report.reached(w, {"us_a_step": 59.0}, {"graph": {"ratio": 1.1}, "eager": {"skipped": "no"}}) == {
        "us": {"asked": 60, "found": 59.0, "reached": True},
        "graph": {"asked": 1.2, "found": 1.1, "reached": False},
        "eager": {"asked": 5, "found": None, "reached": None},
    }


PARITY = {
    "mlp": ("eager", "compile", "graph", "jax"), "mlp_64": ("graph", "vmap", "jax"), "small_64": ("vmap", "jax"),
    "cnn_small": ("eager", "graph", "compile", "jax"), "resnet20": ("eager", "compile"),
}  # fmt: skip


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")  # of what the peers use themselves
@pytest.mark.parametrize(("name", "peer"), [(name, peer) for name, own in PARITY.items() for peer in own])
def test_a_peer_trains_the_same_network_from_our_weights(name: str, peer: str) -> None:
    """The rehearsal: the same code on the CPU, small; without dropout the first loss is ours."""
    pytest.importorskip(gpu_report.NEEDS[peer])
    w = gpu_report.WORKLOADS[name]
    assert w.sizes is not None
    overrides = tuple(o for o in w.overrides if "regularization" not in o and "keep_prob" not in o)
    sizes = replace(w.sizes, dropout=False, batch=8, batches=3, trials=min(2, w.trials))
    small = replace(w, overrides=overrides, sizes=sizes, batch=8, trials=sizes.trials)
    found = gpu_report.against(small, peer, backends.load("numpy"), "cpu", timed=2)
    ours, theirs = found["first_losses"]
    assert theirs == pytest.approx(ours, rel=2e-4)
    assert found["us"] > 0 and found["ours_us"] > 0 and found["steps"] == 2


@pytest.mark.gpu
@pytest.mark.skipif(not USABLE, reason=f"not run on a GPU: {REASON}")
def test_a_gpu_has_the_bits_of_the_cpu() -> None:
    backend = backends.load("cupy")
    assert isinstance(backend, CupyBackend)
    assert gpu_report.sound(gpu_report.report(backend.device))
