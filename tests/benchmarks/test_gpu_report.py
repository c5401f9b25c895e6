"""The report of a GPU, rehearsed without one: every part runs, and the digests that a GPU is held against are the CPU's."""

from __future__ import annotations

import json
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
    device = ShimDevice()
    found = gpu_report.report(device, ("small",), steps=3)
    assert (found["bits"], found["replays"], found["resumed"], found["checked"]) == ({"small": True}, True, True, {})
    assert gpu_report.sound(found) and found["device"] == "shim"
    assert gpu_report.speed(small, CupyBackend(device), device) == {}, "no time is taken where it says nothing"
    assert not gpu_report.sound({**found, "bits": {"small": False}})


def test_without_a_gpu_the_report_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.cupy.probe.available", lambda: (False, "no NVIDIA driver is installed"))
    assert gpu_report.main([]) == 2
    assert capsys.readouterr().err == "error: backend.kind = cupy: no NVIDIA driver is installed; use numpy\n"


@pytest.mark.gpu
@pytest.mark.skipif(not USABLE, reason=f"not run on a GPU: {REASON}")
def test_a_gpu_has_the_bits_of_the_cpu() -> None:
    backend = backends.load("cupy")
    assert isinstance(backend, CupyBackend)
    assert gpu_report.sound(gpu_report.report(backend.device))
