"""The parts of the harness that need no peer: ratios, goals, skipping, the table, the command line, the rooflines' arithmetic."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as harness
from benchmarks import compare, machine, report, roofline, scaling, streaming, sweep
from benchmarks.agreement import apart
from benchmarks.contenders import CONTENDERS, NEEDS
from benchmarks.workloads import WORKLOADS, Goal, Workload

TIMES = {"caviar": [1.0, 2.0, 4.0], "torch": [4.0, 6.0, 20.0], "jax": [2.0, 6.0, 6.0]}
RATIOS = {"torch": [4.0, 3.0, 5.0], "jax": [2.0, 3.0, 1.5]}


def result(**changes: Any) -> dict[str, Any]:
    entry = {"date": "2026-01-01 12:00", "machine": "2 cores", "versions": {"numpy": "2"}, "commit": "abc", "others": 0.021}
    entry |= {"unit": "step", "rounds": 3, "flops": [4e9, 3e9, 2e9]}
    return {**entry, "microseconds": TIMES, "ratio": RATIOS, "skipped": {}, **changes}


def test_ratios_are_paired_round_by_round() -> None:
    assert compare.paired(TIMES) == RATIOS
    assert compare.paired({}) == {}


def test_a_goal_is_judged_by_the_best_of_its_peers() -> None:
    found = compare.judged(Goal(ratio=1.9, peers=("torch", "jax")), RATIOS)
    assert found == {"asked": 1.9, "best": "jax", "median": 2.0, "quartiles": (1.75, 2.5), "reached": True}
    missed = compare.judged(Goal(ratio=4.1, peers=("torch",)), RATIOS)
    assert missed is not None
    assert (missed["best"], missed["median"], missed["reached"]) == ("torch", 4.0, False)


def test_a_goal_none_of_whose_peers_took_part_is_not_judged() -> None:
    assert compare.judged(Goal(ratio=2, peers=("sklearn",)), RATIOS) is None


def test_a_round_waits_for_the_machine_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(compare.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(compare.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    speeds = iter([60.0] * 9 + [100.0] + [79.0, 60.0, 81.0])
    yard = compare.Yard(patience=5, speed=lambda threads: next(speeds, 50.0 * threads))
    assert (yard.ready(1), clock[0]) == (81.0, compare.LOOK + 2 * compare.AGAIN)  # a look at the machine, then less than 80 % twice
    assert (yard.ready(1), clock[0]) == (50.0, 5 + compare.LOOK + 2 * compare.AGAIN)  # never again: it goes on after 5 seconds
    assert yard.ready(2) == 100.0, "another number of threads has a best of its own"


def test_the_table_says_yes_no_and_skipped() -> None:
    skipped = {"sklearn": "scikit-learn is not installed", "torch_compile": "no compiler"}
    lines = report.table({"workloads": {"mlp_plain": result(skipped=skipped)}}).splitlines()
    assert "| mlp_plain | jax | 1.3x | **2.00x** | 1.75 to 2.50 | yes | 75 % |" in lines
    assert "| mlp_plain | torch, torch_compile: torch | 2.5x | **4.00x** | 3.50 to 4.50 | yes | 75 % |" in lines
    assert "| mlp_plain | sklearn | 6x | skipped: scikit-learn is not installed | | | |" in lines
    assert "| mlp_plain | torch | 6.0 | step | 4.00x | 3.50 to 4.50 |" in lines
    assert "Measured 2026-01-01 12:00 to 2026-01-01 12:00; others took at most 2 % of the processors' time meanwhile." in lines
    assert "- 2 cores; commit abc; numpy 2" in lines
    missed = report.table({"workloads": {"mlp_small": result()}}).splitlines()
    assert "| mlp_small | torch | 15x | **4.00x** | 3.50 to 4.50 | **no** | 75 % |" in missed


def test_streamed_rows_are_judged_by_the_median_of_their_ratios() -> None:
    times = {"float32 in memory": [1.0, 2.0, 3.0], "bytes streamed": [1.0, 2.2, 3.0], "float32 streamed": [2.0, 2.0, 3.3]}
    ratio = {"bytes streamed": [1.0, 1.1, 1.0], "float32 streamed": [2.0, 1.0, 1.1]}
    entry = result(microseconds=times, ratio=ratio, rows=60_000, limit=1.05, same_losses=True)
    lines = report.table({"streaming": entry}).splitlines()
    assert "| float32 in memory | 2.0 | 1 | | | |" in lines
    assert "| bytes streamed | 2.2 | 1.000x | 1.000 to 1.050 | at most 1.05x | yes |" in lines
    assert "| float32 streamed | 2.0 | 1.100x | 1.050 to 1.550 | at most 1.05x | **no** |" in lines
    assert "to float32 in memory. All had the same losses, to the last bit." in lines
    assert harness.merged({"microseconds": {"old": [1.0]}}, entry) == entry


def test_every_way_to_the_rows_makes_the_same_losses() -> None:
    found = streaming.streaming(quick=True)
    assert found["same_losses"] is True and found["rows"] == 1280
    assert {name: len(values) for name, values in found["ratio"].items()} == dict.fromkeys(list(streaming.WAYS)[1:], 3)


@pytest.mark.slow
def test_a_sweep_is_timed_with_all_the_processes_that_it_leaves_behind() -> None:
    found = sweep.sweep(compare.Yard(patience=0.0), quick=True)
    assert found["trials"] == 4 and set(sweep.WAYS[:-1]) <= set(found["seconds"]) and found["tracking"]["end"]
    for times in found["seconds"].values():
        assert len(times["wall"]) == len(times["cpu"]) == 1 and times["cpu"][0] > 0.5
    assert found["same"] is True and all(case["same_losses"] for case in found["stacks"].values())
    assert len(found["of_1000"]["memory"]) == 4 and min(found["of_1000"]["memory"]) > 0
    lines = report.table({"sweep": {**result(), **found}}).splitlines()
    assert "## A sweep" in lines and any(line.startswith("| stacked |") for line in lines)
    assert any(line.startswith("MLflow takes ") for line in lines)


def test_every_goal_names_a_contender_of_its_workload() -> None:
    for w in WORKLOADS.values():
        assert w.contenders[0] == "caviar"
        assert {peer for goal in w.goals for peer in goal.peers} == set(w.contenders[1:])
    assert set(CONTENDERS) == set(NEEDS) == {name for w in WORKLOADS.values() for name in w.contenders}


def test_a_workload_survives_the_command_line_of_its_worker() -> None:
    for w in WORKLOADS.values():
        assert Workload.of(w.text()) == replace(w, goals=())


def test_peers_that_are_not_there_are_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "missing", lambda name: None if name == "caviar" else f"{name} is not installed")
    found = compare.compare(WORKLOADS["mlp"].quick())
    assert found["microseconds"] == found["ratio"] == {}
    assert found["skipped"] == {name: f"{name} is not installed" for name in ("torch", "torch_compile", "jax")}


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NEEDS, "torch", ("no_such_module", "torch"))
    reason = "torch is not installed; `make bench` or `pip install '.[peers]'` brings it"
    assert harness.compare.missing("torch") == reason
    assert harness.compare.missing("caviar") is None


def test_ours_and_a_peer_are_timed_in_turn_and_one_that_fails_is_skipped_with_its_words() -> None:
    w = replace(WORKLOADS["mlp_plain"], batch=8, inputs=(4,), hidden=8, batches=2, steps=2, rounds=3)
    rounds: list[int] = []
    times = compare.timed(w, ["caviar", "sklearn", "no_such_contender"], skipped := {}, before=lambda: rounds.append(1))
    assert len(rounds) == w.rounds
    assert {name: len(values) for name, values in times.items()} == {"caviar": 3, "sklearn": 3}
    assert skipped == {"no_such_contender": "KeyError: 'no_such_contender'"}
    assert min(min(values) for values in times.values()) > 0


def test_an_unknown_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert harness.main(["mlq"]) == 2
    known = ", ".join((*harness.PARTS, *harness.CURVES, *WORKLOADS))
    assert capsys.readouterr().err == f"error: mlq: unknown workload or part; use one of {known}\n"


def test_names_choose_parts_and_workloads() -> None:
    assert harness.chosen(["cnn", "scaling_width"]) == [("workloads", "cnn"), ("scaling", "width")]
    assert harness.chosen(["roofline", "agreement"])[-1] == ("roofline", "")
    assert [name for part, name in harness.chosen(harness.PARTS) if part == "workloads"] == list(WORKLOADS)


def test_results_are_kept_beside_those_of_other_names(tmp_path: Path) -> None:
    harness.write(tmp_path, {part: {} for part in harness.PARTS} | {"workloads": {"mlp": result()}})
    kept = harness.stored(tmp_path)
    assert kept["workloads"] == {"mlp": json.loads(json.dumps(result()))}
    assert "| mlp | jax | 1.5x | **2.00x** |" in (tmp_path / "RESULTS.md").read_text()
    (tmp_path / "results.json").write_text('{"mlp": {"rounds": 3}}')
    assert harness.stored(tmp_path) == {part: {} for part in harness.PARTS}


def test_newer_curves_replace_older_ones_alone() -> None:
    before = {"date": "old", "microseconds": {"batch": {"8": 1}, "width": {"8": 2}}}
    assert harness.merged(before, {"date": "new", "microseconds": {"width": {"8": 3}}}) == {
        "date": "new",
        "microseconds": {"batch": {"8": 1}, "width": {"8": 3}},
    }


def test_curves_are_drawn(tmp_path: Path) -> None:
    scaling.draw({"batch": {"8": {"caviar": 1.0, "torch": 3.0}, "32": {"caviar": 1.5, "torch": 4.0}}}, tmp_path)
    assert (tmp_path / "batch.png").read_bytes().startswith(b"\x89PNG")


def test_a_kernel_is_bound_by_the_lower_ceiling() -> None:
    ceilings = {
        "flops": {"one core": 100.0},
        "bytes": {"L2": {"one core": 10.0}, "memory": {"one core": 1.0}},
        "sizes": {"L2": 50, "memory": 1000},
    }
    found = roofline.rated(2.0, flops=100.0, moved=5.0, machine=ceilings)
    assert (found["bound"], found["share"], found["flops"], found["bytes"]) == ("arithmetic", 0.5, 50.0, 2.5)
    found = roofline.rated(400.0, flops=100.0, moved=200.0, machine=ceilings)
    assert (found["bound"], found["share"]) == ("memory", 0.5)


def test_what_others_take_is_what_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = machine.Watch()
    watch.start, watch.busy, watch.own = 0.0, 10.0, 1.0
    monkeypatch.setattr(machine, "_busy", lambda: 30.0)
    monkeypatch.setattr(machine, "_own", lambda: 11.0)
    monkeypatch.setattr(machine.time, "perf_counter", lambda: 10.0)
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 2)
    assert watch.others() == 0.5
    watch.busy = None
    assert watch.others() is None


def test_losses_that_are_not_numbers_are_far_apart() -> None:
    assert apart([1.0, 2.0], [1.5, 2.25]) == 0.5
    assert apart([1.0, float("nan")], [1.0, 2.0]) == float("inf")


def test_a_machine_reaches_no_more_than_its_ceilings() -> None:
    from benchmarks.ceilings import bandwidth, peak_flops

    assert peak_flops(1, rounds=20_000, repeats=3) > 1e8
    assert bandwidth(2**14, 1, moved=1e7, repeats=3) > 1e7
