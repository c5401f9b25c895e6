from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from backends.numpy.machine.processor import usable_cores
from pipeline.tracking.journal import end_of, read_journal, series, start_of
from pipeline.training import checkpoint
from pipeline.training.metrics import full
from tests.end_to_end.conftest import Command, command, environment, only_run

SMALL = ("+experiment=bn", "architecture=mlp_small", "data=iris", "training.batch_size=16")


def metrics_of(folder: Path) -> dict[str, dict[int, float]]:
    """Every metric of a run but the times."""
    return {name: values for name, values in series(read_journal(folder)).items() if not name.startswith("time/")}


def assert_same_run(one: Path, other: Path) -> None:
    """Same weights, same metrics, to the last bit."""
    first, second = checkpoint.load(one / "checkpoints"), checkpoint.load(other / "checkpoints")
    assert first.state.keys() == second.state.keys()
    assert all(np.array_equal(value, second.state[name]) for name, value in first.state.items())
    assert metrics_of(one) == metrics_of(other)


def test_a_run_prints_its_epochs_and_results_and_leaves_a_whole_folder(work: Path, pipeline_process: Command) -> None:
    done = pipeline_process(*SMALL, "training.epochs=3")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("  ")[0] for line in done.stdout.splitlines() if line.startswith("epoch")] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    folder = only_run(work)
    assert f"run folder  {folder.relative_to(work)}" in done.stdout.splitlines()
    end = end_of(read_journal(folder))
    assert end is not None and (end.status, end.message) == ("FINISHED", "trained 3 epochs")
    assert {"config.yaml", "journal.jsonl", "run.json", "checkpoints"} <= {path.name for path in folder.iterdir()}
    epochs = {"loss/train", "accuracy/train", "loss/validation", "accuracy/validation", "learning_rate"}
    assert epochs | {f"{name}/test" for name in ("loss", *full("classification", 3))} == set(metrics_of(folder))


def test_the_log_of_a_run_holds_what_was_said_and_goes_on_with_it(work: Path, pipeline_command: Command) -> None:
    said = pipeline_command(*SMALL, "training.epochs=3").stdout
    lines = (only_run(work) / "log.txt").read_text().splitlines()
    texts = [line[21:] for line in lines]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", line[:21]) for line in lines)
    assert texts[0].startswith("begun: ") and texts[-1] == "finished: trained 3 epochs"
    assert [text for text in texts if text.startswith(("note", "epoch"))] == [
        line for line in said.splitlines() if line.startswith(("note", "epoch")) and "with the final weights" not in line
    ][: len(texts) - 3]
    assert any(text.startswith("results: loss/train ") and "accuracy/test" in text for text in texts)
    pipeline_command(f"resume={only_run(work)}", "training.epochs=4")
    assert [line[21:] for line in (only_run(work) / "log.txt").read_text().splitlines()][len(lines)] == "goes on after epoch 3"


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(
    work: Path, pipeline_command: Command, pipeline_process: Command
) -> None:
    """In this process, which has trained before, and in a new one."""
    for call, name, seed in ((pipeline_command, "one", 4), (pipeline_process, "two", 4), (pipeline_command, "three", 5)):
        assert call(*SMALL, "training.epochs=3", f"seed={seed}", f"output={name}").returncode == 0
    assert_same_run(work / "one", work / "two")
    assert metrics_of(work / "one") != metrics_of(work / "three")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_stopped_at_any_moment_is_resumed_bit_for_bit(work: Path, pipeline_command: Command, number: signal.Signals) -> None:
    pipeline_command(*SMALL, "training.epochs=400", "output=whole")
    arguments = command(*SMALL, "training.epochs=400", "output=broken")
    with subprocess.Popen(arguments, cwd=work, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(15):  # every eighth epoch is a line
            process.stdout.readline()
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    end = end_of(read_journal(work / "broken"))
    if number == signal.SIGKILL:
        assert process.returncode == -9 and end is None
    else:
        assert process.returncode == 128 + number
        assert end is not None and end.status == "KILLED"
        assert said == f"{end.message}\n" and said.endswith("; go on with resume=broken\n")
    resumed = pipeline_command("resume=broken")
    assert resumed.returncode == 0, resumed.stderr
    begun = r"note: goes on after the checkpoint of epoch \d+( and \d+ steps? of the next)?"
    begun += r"|note: no checkpoint was saved yet: trains from the start" if number == signal.SIGKILL else ""
    assert re.fullmatch(begun, resumed.stdout.splitlines()[0])
    assert (
        "\nnote: loss/train is the mean over the steps of the epoch, while it was trained; the other values of the training part"
        in resumed.stdout
    )
    assert_same_run(work / "whole", work / "broken")
    end = end_of(read_journal(work / "broken"))
    assert end is not None and end.status == "FINISHED"


def test_resume_with_more_epochs_goes_on_and_keeps_the_new_number(work: Path, pipeline_command: Command) -> None:
    pipeline_command(*SMALL, "training.epochs=5", "output=whole")
    pipeline_command(*SMALL, "training.epochs=2", "output=longer")
    resumed = pipeline_command("resume=longer", "training.epochs=5")
    assert resumed.returncode == 0 and resumed.stdout.startswith("note: goes on after the checkpoint of epoch 2\n")
    test_of = {name: values for name, values in metrics_of(work / "longer").items() if name.endswith("/test")}
    assert {name: values[5] for name, values in test_of.items()} == {
        name: values[5] for name, values in metrics_of(work / "whole").items() if name.endswith("/test")
    }
    assert "epochs: 5" in (work / "longer" / "config.yaml").read_text()
    begun = start_of(read_journal(work / "longer"))
    assert begun.params["training.epochs"] == "5" and begun.shown is not None and begun.shown["training.epochs"] == "5"
    assert " epochs=5 " in begun.name and "epochs=2" not in begun.name
    compared = pipeline_command("task=compare", "runs=[whole,longer]", "output=both.json")
    assert compared.returncode == 0, compared.stderr
    assert json.loads((work / "both.json").read_text())["settings"] == {"said": ["Nothing: the same settings."]}


def test_a_finished_run_is_not_resumed_by_mistake(work: Path, pipeline_command: Command) -> None:
    pipeline_command(*SMALL, "training.epochs=2", "output=done")
    again = pipeline_command("resume=done")
    assert again.returncode == 2
    assert again.stderr == "error: resume = done: the run has finished its 2 epochs; give training.epochs above 2 to go on\n"


def test_resume_refuses_another_config(work: Path, pipeline_command: Command) -> None:
    pipeline_command(*SMALL, "training.epochs=2", "output=done")
    again = pipeline_command("resume=done", "optimizer.learning_rate=0.5")
    assert again.returncode == 2
    limits = "training.epochs, training.early_stopping.patience, training.checkpoints, training.doctor"
    limits += ", budget.epochs, budget.steps, budget.samples, budget.seconds"
    given = f"tracking, {limits}, data.root, data.path, data.stream, backend"
    rule = f"resume works with the stored config of the run; only {given} can be changed"
    assert again.stderr == f"error: optimizer.learning_rate = 0.5: {rule}\n"


def test_a_changed_byte_of_a_checkpoint_is_named(work: Path, pipeline_command: Command) -> None:
    pipeline_command(*SMALL, "training.epochs=2", "output=done")
    (path,) = (work / "done" / "checkpoints").glob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for arguments in (("resume=done", "training.epochs=4"), ("task=evaluate", "run=done")):
        refused = pipeline_command(*arguments)
        assert refused.returncode == 2
        rule = "damaged, its sha256 is not the one that checkpoint.json names; restore it from a copy, or delete done/checkpoints"
        assert refused.stderr.startswith(f"error: done/checkpoints/{path.name}: {rule}")
        assert len(refused.stderr.splitlines()) == 1


def test_more_threads_than_cores_are_noted(pipeline_command: Command) -> None:
    done = pipeline_command(*SMALL, "training.epochs=1", "backend.threads=999")
    note = f"note: backend.threads = 999, and this process may use {usable_cores()} cores: the others only wait for them"
    assert note.replace(" 1 cores", " 1 core") in done.stdout.splitlines()


def test_a_diverging_run_says_step_and_layer_and_ends_failed(work: Path, pipeline_command: Command) -> None:
    failed = pipeline_command(*SMALL, "optimizer=sgd", "optimizer.learning_rate=1e30", "normalization=none")
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: training diverged at step ") and "layer" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
    end = end_of(read_journal(only_run(work)))
    assert end is not None and end.status == "FAILED"
    assert failed.stderr == f"error: {end.message}\n"
    folder = only_run(work)
    assert failed.stderr.endswith(f"; the state before that step is kept in {folder.relative_to(work)}\n")
    kept = checkpoint.load(folder / "checkpoints")
    assert int(kept.state["step"]) == kept.progress.step and all(np.isfinite(value).all() for value in kept.state.values())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("data=iris", "training.batch_size=256"),
            "training.batch_size = 256: larger than the 120 rows of the training part; use at most 120",
        ),
        (
            ("data=csv", "data.path=none.csv", "data.target=y"),
            None,
        ),
        (
            ("data=diabetes", "+training.early_stopping.metric=accuracy/validation"),
            "training.early_stopping.metric = accuracy/validation: no metric of regression; use one of "
            "loss/train, loss/validation, rmse/validation, mae/validation, r2/validation",
        ),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    work: Path, pipeline_command: Command, arguments: tuple[str, ...], sentence: str | None
) -> None:
    refused = pipeline_command(*arguments)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1 and refused.stderr.startswith("error: ")
    if sentence is not None:
        assert refused.stderr == f"error: {sentence}\n"
    assert list(work.iterdir()) == []


def test_a_folder_that_exists_is_not_written_into(work: Path, pipeline_command: Command) -> None:
    (work / "taken").mkdir()
    refused = pipeline_command(*SMALL, "output=taken")
    assert refused.returncode == 2 and refused.stderr.startswith("error: output = taken: exists already")
    assert list((work / "taken").iterdir()) == []


def test_early_stopping_leaves_the_best_weights_as_the_result(work: Path, pipeline_command: Command) -> None:
    arguments = (*SMALL, "training=early_stopping", "training.batch_size=16", "training.early_stopping.patience=2", "output=early")
    done = pipeline_command(*arguments)
    assert done.returncode == 0, done.stderr
    found = checkpoint.load(work / "early" / "checkpoints")
    assert found.final == "best" and "the weights are those of epoch" in done.stdout
    evaluated = pipeline_command("task=evaluate", "run=early")
    assert evaluated.returncode == 0, evaluated.stderr
    values = json.loads((work / "early" / "evaluation.json").read_text())["metrics"]
    assert values["loss/validation"] == metrics_of(work / "early")["loss/validation"][found.progress.best_epoch]
    assert values["loss/test"] == metrics_of(work / "early")["loss/test"][found.progress.best_epoch]


def test_ctrl_c_is_prompt(work: Path) -> None:
    arguments = command("data=digits", "training.epochs=100000")
    with subprocess.Popen(arguments, cwd=work, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("epoch"):
            pass
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - sent < 2


def test_class_and_sample_weights_from_the_table_to_the_evaluation(work: Path, pipeline_command: Command) -> None:
    rows = [f"{(i * 37 % 100) / 10},{1 + i % 3},{'rare' if i % 10 == 0 else 'usual'}" for i in range(100)]
    (work / "rows.csv").write_text("\n".join(["size,count,kind", *rows]) + "\n")
    table = ["data=csv", "data.path=rows.csv", "data.target=kind", "data.sample_weight=count", "loss.class_weights=balanced"]
    small = ["architecture=mlp_small", "training.epochs=2", "training.batch_size=16", "output=run"]
    done = pipeline_command(*table, *small)
    assert done.returncode == 0, done.stderr
    assert "note: class weights, balanced: rare 5, usual 0.5556" in done.stdout
    assert "note: rows count by count in the loss: its mean over the training part is " in done.stdout
    (last,) = metrics_of(work / "run")["loss/test"].values()
    assert pipeline_command("task=evaluate", "run=run").returncode == 0
    kept = json.loads((work / "run" / "evaluation.json").read_text())
    assert kept["metrics"]["loss/test"] == last
    again = pipeline_command("resume=run", "training.epochs=3")
    assert again.returncode == 0, again.stderr


def test_a_plateau_goes_on_after_the_end_as_if_planned_from_the_start(work: Path, pipeline_command: Command) -> None:
    schedule = ["schedule=reduce_on_plateau", "schedule.patience=1", "schedule.threshold=0.3", "schedule.factor=0.5"]
    assert pipeline_command(*SMALL, *schedule, "training.epochs=8", "output=whole").returncode == 0
    done = pipeline_command(*SMALL, *schedule, "training.epochs=4", "output=parts")
    assert "note: learning rate lowered to 0.0005 after epoch " in done.stdout, done.stderr
    assert pipeline_command("resume=parts", "training.epochs=8").returncode == 0
    rates = [metrics_of(work / folder)["learning_rate"] for folder in ("whole", "parts")]
    assert rates[0] == rates[1] and len(set(rates[0].values())) > 2
    one, other = (checkpoint.load(work / folder / "checkpoints") for folder in ("whole", "parts"))
    assert all(np.array_equal(value, other.state[name]) for name, value in one.state.items())


def test_a_budget_of_rows_ends_within_an_epoch_and_resume_goes_on_with_more(work: Path, pipeline_command: Command) -> None:
    done = pipeline_command(*SMALL, "budget=samples", "budget.samples=250", "output=parts")
    assert done.returncode == 0, done.stderr
    assert (
        "epoch 3/3" in done.stdout
        and "trained 2 epochs and 1 of the 7 steps of the next, to the end of budget.samples = 250" in done.stdout
    )
    refused = pipeline_command("resume=parts")
    assert (refused.returncode, refused.stderr) == (
        2, "error: resume = parts: the run has used up budget.samples = 250; give more to go on\n",
    )  # fmt: skip
    fewer = pipeline_command("resume=parts", "budget.samples=100")
    rule = "the run has taken 15 steps, and this is 6; give more"
    assert (fewer.returncode, fewer.stderr) == (2, f"error: budget.samples = 100: {rule}\n")
    assert pipeline_command("resume=parts", "budget.samples=400").returncode == 0
    assert pipeline_command(*SMALL, "budget=samples", "budget.samples=400", "output=whole").returncode == 0
    one, other = (checkpoint.load(work / folder / "checkpoints") for folder in ("whole", "parts"))
    assert all(np.array_equal(value, other.state[name]) for name, value in one.state.items())
    loss = [metrics_of(work / folder)["loss/train"] for folder in ("whole", "parts")]
    assert loss[0] == loss[1]
    assert pipeline_command("task=evaluate", "run=parts").returncode == 0
