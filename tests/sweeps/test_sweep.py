"""A sweep is one table: what its trials differ in, what came out, which is best."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.sweeps.table import Sweep, record_sweep, summarize_sweep
from pipeline.tracking.sender import sync
from pipeline.tracking.settings import Tracking
from pipeline.tracking.store import Store, connect
from pipeline.tracking.tracker import Tracker

RATES = (0.1, 0.01, 0.001)


def sweep_of(begin: Callable[..., Tracker]) -> Sweep:
    folders = []
    for job, rate in enumerate(RATES):
        tracker = begin({"seed": 0, "optimizer": {"kind": "sgd", "learning_rate": rate}}, sweep="s1", job=job, name=f"bn-{job}")
        for epoch in range(2):
            tracker.metrics(epoch, {"loss/validation": rate * (2 - epoch), "loss/train": rate, "learning_rate": rate, "time/epoch_s": 1.0})
        if job == 2:
            tracker.finish("FAILED", "diverged")
        else:
            tracker.finish("FINISHED")
        folders.append(tracker.folder)
    return summarize_sweep("s1", folders)


def test_the_table_has_what_differs_and_what_came_out(begin: Callable[..., Tracker]) -> None:
    sweep = sweep_of(begin)
    assert sweep.header() == ["job", "optimizer.learning_rate", "loss/validation", "loss/train", "status"]
    assert sweep.rows() == [
        ["0", "0.1", "0.1", "0.1", "finished"],
        ["1", "0.01", "0.01", "0.01", "finished"],
        ["2", "0.001", "0.001", "0.001", "failed"],
    ]
    assert sweep.metric == "loss/validation"
    assert sweep.best is sweep.trials[1]  # the third is lower, but failed
    assert sweep.trials[1].label == "learning_rate=0.01"
    assert "| **1** | **0.01** | **0.01** | **0.01** | **finished** |" in sweep.markdown()
    assert sweep.markdown(most=1).endswith("\n2 more in trials.csv\n")
    rows = list(csv.DictReader(io.StringIO(sweep.csv())))
    assert rows[2]["message"] == "diverged" and rows[0]["folder"] == str(sweep.trials[0].folder)


def test_the_best_has_the_greatest_accuracy_and_never_a_non_finite_one(begin: Callable[..., Tracker]) -> None:
    folders = []
    for job, accuracy in enumerate([0.5, math.nan, 0.9, 0.7]):
        tracker = begin({"seed": job}, job=job)
        tracker.metrics(0, {"accuracy/validation": accuracy, "loss/validation": 1.0})
        tracker.finish("FINISHED")
        folders.append(tracker.folder)
    sweep = summarize_sweep("s", folders)
    assert sweep.metric == "accuracy/validation" and sweep.best is sweep.trials[2]


def test_the_columns_are_what_was_asked_and_shares_are_in_percent(begin: Callable[..., Tracker]) -> None:
    optimizers = [{"kind": "sgd", "learning_rate": 0.1}, {"kind": "adam", "learning_rate": 0.001, "beta1": 0.9}]
    folders, asked = [], {}
    for job, optimizer in enumerate(optimizers):
        tracker = begin({"optimizer": optimizer, "seed": job}, job=job)
        tracker.metrics(0, {"accuracy/validation": 0.97222, "loss/train": 0.123456})
        tracker.finish("FINISHED")
        folders.append(tracker.folder)
        asked[str(job)] = {"optimizer": str(optimizer["kind"]), "seed": f"0{job}", "training.epochs": "1"}
    sweep = summarize_sweep("s", folders, asked=asked)
    assert sweep.header() == ["job", "optimizer", "seed", "accuracy/validation", "loss/train", "status"]
    assert sweep.rows()[1] == ["1", "adam", "1", "97.22 %", "0.1235", "finished"]
    assert sweep.trials[1].label == "optimizer=adam, seed=1"
    search = summarize_sweep("s", folders, asked={job: {"trial": job} for job in asked})
    assert search.params == ("optimizer.kind", "optimizer.learning_rate", "seed", "optimizer.beta1")  # what the draws made different


def test_no_trial_finished_and_no_trial_at_all(begin: Callable[..., Tracker]) -> None:
    tracker = begin(job=0)
    assert summarize_sweep("s", [tracker.folder]).best is None
    assert summarize_sweep("s", [tracker.folder]).rows() == [["0", "running"]]
    assert summarize_sweep("s", []).rows() == []


def test_the_summary_run_holds_the_table_and_the_link_opens_the_runs(begin: Callable[..., Tracker], store: Store, project: Path) -> None:
    sweep = sweep_of(begin)
    for trial in sweep.trials:
        sync(trial.folder)
    sweep = summarize_sweep("s1", [trial.folder for trial in sweep.trials])
    receipt = record_sweep(sweep, Tracking(experiment="bn"), project=project)
    assert receipt.link is not None and receipt.note == ""
    client, experiment_id = connect(store)
    assert receipt.link.url == (
        f"http://127.0.0.1:5000/#/experiments/{experiment_id}/runs?"
        "searchFilter=tags.%60pipeline.sweep%60%20%3D%20%27s1%27&workflowType=machine_learning"
    )
    assert len(client.search_runs([experiment_id], "tags.`pipeline.sweep` = 's1'")) == 4
    run = client.get_run(receipt.link.run_id)
    assert run.info.run_name == "sweep: s1" and run.data.tags["pipeline.kind"] == "sweep"
    assert run.data.tags["pipeline.best_run"] == sweep.trials[1].run_id
    assert run.data.metrics == {"best/loss/validation": 0.01, "best/loss/train": 0.01}
    assert run.data.params["sweep.space.optimizer.learning_rate"] == '["0.1", "0.01", "0.001"]'
    assert "**0.01**" in run.data.tags["mlflow.note.content"]
    for _ in range(200):  # nothing waits for figures
        if client.list_artifacts(run.info.run_id, "figures"):
            break
        time.sleep(0.05)
    names = [item.path for item in client.list_artifacts(run.info.run_id)]
    assert sorted(names) == ["config.yaml", "figures", "trials.csv", "trials.html", "trials.md", "trials.tex"]
    assert "figures/trials.png" in [item.path for item in client.list_artifacts(run.info.run_id, "figures")]
