from __future__ import annotations

import errno
import json
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import RunError
from pipeline.training import checkpoint
from pipeline.training.checkpoint import MANIFEST, Checkpoint, Progress, load
from pipeline.training.history import History
from pipeline.training.saving import Checkpoints
from pipeline.training.settings import Saving
from tests.refusal import refused
from tests.training.softmax_program import stored

STATE = {"fc1.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "step": np.array(12), "flag": np.array([True, False])}
BEST = {name: value * 0 for name, value in STATE.items()}
PROGRESS = Progress(
    epoch=2,
    step=3,
    losses=np.array([0.1, 1 / 3, 0.7]),
    seconds=0.125,
    history=History(({"loss/train": 1 / 3}, {"loss/train": 0.1})),
    best=0.1,
    best_epoch=2,
)
STORED = stored(mean=np.array([1.5, 2.5]))


def saved(folder: Path) -> Checkpoint:
    Checkpoints(folder, stored=STORED, final="best").save(STATE, PROGRESS, BEST)
    return load(folder)


def arrays_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def test_what_was_saved_is_loaded_bit_for_bit(tmp_path: Path) -> None:
    found = saved(tmp_path)
    for name, value in STATE.items():
        assert (found.state[name].dtype, found.state[name].shape) == (value.dtype, value.shape)
        assert np.array_equal(found.state[name], value)
    assert found.best_state is not None and np.array_equal(found.best_state["fc1.weight"], np.zeros((2, 3)))
    assert np.array_equal(found.stored.arrays["mean"], [1.5, 2.5]) and found.stored.facts == STORED.facts
    assert np.array_equal(found.progress.losses, PROGRESS.losses)
    for name in ("epoch", "step", "seconds", "history", "best", "best_epoch", "waited"):
        assert getattr(found.progress, name) == getattr(PROGRESS, name)


def test_the_facts_lie_in_the_manifest_as_they_always_did(tmp_path: Path) -> None:
    saved(tmp_path)
    model = json.loads((tmp_path / MANIFEST).read_text())["model"]
    assert json.dumps(model) == (
        '{"name": "blobs", "task": "classification", "input_shape": [4], "classes": 3, "targets": null, '
        '"class_names": [], "feature_names": [], "encoder": null, "fingerprint": "", "digest": "no network", "images": null}'
    )


def test_facts_that_this_version_does_not_know_are_refused(tmp_path: Path) -> None:
    saved(tmp_path)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    del manifest["sha256"]
    manifest["model"]["colour"] = "red"
    (tmp_path / MANIFEST).write_text(checkpoint.text(manifest))
    with pytest.raises(RunError) as caught:
        load(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / MANIFEST}: model.colour = red: unknown key; ")
    assert str(caught.value).endswith("; use the version of the pipeline that wrote it")


def test_the_result_is_the_best_state_only_under_early_stopping(tmp_path: Path) -> None:
    assert np.array_equal(saved(tmp_path / "best").result["step"], 0)
    Checkpoints(tmp_path / "last", stored=STORED, final="last").save(STATE, PROGRESS, BEST)
    assert np.array_equal(load(tmp_path / "last").result["step"], 12)


def test_old_arrays_and_torn_writes_are_swept_and_the_best_ones_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, stored=STORED)
    (tmp_path / ".writing-1-step-00000001-abc.safetensors").write_bytes(b"half")
    for step in (1, 2, 3):
        checkpoints.save({**STATE, "step": np.array(step)}, PROGRESS, BEST)
        assert len(arrays_files(tmp_path)) == 2
    assert sorted(path.name[:13] for path in tmp_path.iterdir()) == ["checkpoint.js", "history.jsonl", "step-00000000", "step-00000003"]


def test_last_and_best_of_one_step_share_a_file(tmp_path: Path) -> None:
    Checkpoints(tmp_path, stored=STORED).save(STATE, Progress(epoch=2, best_epoch=2), STATE)
    assert len(arrays_files(tmp_path)) == 1 and load(tmp_path).best_state is not None


@pytest.mark.parametrize("which", ["arrays", "manifest"])
def test_any_one_byte_changed_is_found_and_named(tmp_path: Path, which: str) -> None:
    saved(tmp_path)
    path = arrays_files(tmp_path)[1] if which == "arrays" else tmp_path / MANIFEST
    whole = path.read_bytes()
    what = "its sha256 is not the one that checkpoint.json names" if which == "arrays" else "its text is not the one that was written"
    chosen = random.Random(1)
    for place in (0, len(whole) - 1, *chosen.sample(range(len(whole)), 60)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << chosen.randrange(8))]) + whole[place + 1 :])
        with pytest.raises(RunError) as caught:
            load(tmp_path)
        expected = f"{path}: damaged, {what}; restore it from a copy, or delete {tmp_path} and resume to train again from the start"
        assert str(caught.value) == expected


def test_a_file_cut_short_is_found(tmp_path: Path) -> None:
    saved(tmp_path)
    for path in (*arrays_files(tmp_path), tmp_path / MANIFEST):
        whole = path.read_bytes()
        for length in (0, 1, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            with pytest.raises(RunError, match="damaged"):
                load(tmp_path)
        path.write_bytes(whole)
    load(tmp_path)


def test_a_file_that_is_missing_is_said_to_be(tmp_path: Path) -> None:
    saved(tmp_path)
    path = arrays_files(tmp_path)[1]
    path.unlink()
    with refused(
        f"{path}: is missing, and checkpoint.json names it; "
        f"restore it from a copy, or delete {tmp_path} and resume to train again from the start",
        RunError,
    ):
        load(tmp_path)


def test_paths_below_the_current_folder_are_shown_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with refused(f"run/{MANIFEST}: no such file; give the folder of a run that has saved a checkpoint", RunError):
        load(tmp_path / "run")


def test_a_folder_without_a_checkpoint_is_an_error_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        load(tmp_path)
    assert str(caught.value) == f"{tmp_path / MANIFEST}: no such file; give the folder of a run that has saved a checkpoint"


def test_a_full_disk_is_told_and_the_checkpoint_before_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError) as caught:
        Checkpoints(tmp_path, stored=STORED).save({**STATE, "step": np.array(13)}, PROGRESS, None)
    assert str(caught.value).endswith(": cannot be written (no space left on device); free space or choose another folder, then try again")
    monkeypatch.undo()
    assert {path.name for path in tmp_path.iterdir()} == before
    assert np.array_equal(load(tmp_path).state["step"], 12)


def test_at_every_write_that_fails_a_whole_checkpoint_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stops the saving at each of its system calls in turn, as a crash would, and loads what is there."""
    saved(tmp_path)

    class Crash(BaseException):
        pass

    calls = {"left": 0}

    def crashing(real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            calls["left"] -= 1
            if calls["left"] < 0:
                raise Crash
            return real(*arguments, **named)

        return call

    real = {name: getattr(os, name) for name in ("fsync", "replace", "unlink")}
    for crash_at in range(40):
        calls["left"] = crash_at
        for name, function in real.items():
            monkeypatch.setattr(os, name, crashing(function))
        try:
            last, best = {**STATE, "step": np.array(100 + crash_at)}, {**BEST, "step": np.array(50 + crash_at)}
            Checkpoints(tmp_path, stored=STORED).save(last, PROGRESS, best)
        except Crash:
            pass
        else:
            break
        finally:
            for name, function in real.items():
                monkeypatch.setattr(os, name, function)
        assert int(load(tmp_path).state["step"]) in {12, *range(100, 100 + crash_at + 1)}
    else:
        pytest.fail("saving never came to its end")
    assert crash_at > 6


def test_the_format_of_another_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", 4)
    monkeypatch.setattr(checkpoint, "READABLE", (4,))
    saved(tmp_path)
    monkeypatch.undo()
    with pytest.raises(RunError) as caught:
        load(tmp_path)
    assert str(caught.value) == f"{tmp_path / MANIFEST}: format 4, this version reads 3; use the version of the pipeline that wrote it"


def test_what_is_written_of_the_history_does_not_grow_with_it(tmp_path: Path) -> None:
    checkpoints, progress = Checkpoints(tmp_path, stored=STORED), PROGRESS
    sizes = []
    for epoch in range(1, 400):
        progress = replace(progress, epoch=epoch, history=progress.history.plus({"loss/train": 1 / epoch, "time/epoch_s": 0.25}))
        if epoch % 100 == 1:
            checkpoints.save(STATE, progress, None)
            sizes.append((tmp_path / MANIFEST).stat().st_size)
    assert max(sizes) - min(sizes) < 100 and len(load(tmp_path).progress.history) == 2 + 301
    assert load(tmp_path).progress.history == progress.history[: 2 + 301]


def test_a_history_that_a_crash_left_longer_is_read_as_the_manifest_says(tmp_path: Path) -> None:
    saved(tmp_path)
    whole = load(tmp_path).progress
    path = tmp_path / "history.jsonl"
    path.write_bytes(path.read_bytes() + b'{"loss/train": 0.7}\n{"loss')
    assert load(tmp_path).progress.history == whole.history
    again = Checkpoints(tmp_path, stored=STORED)  # of a run that goes on
    for loss in (0.3, 0.2):
        whole = replace(whole, history=whole.history.plus({"loss/train": loss}))
        again.save(STATE, whole, None)
        assert load(tmp_path).progress.history == whole.history
    path.write_bytes(path.read_bytes().replace(b"0.3", b"0.4"))
    with pytest.raises(RunError, match=r"history\.jsonl: damaged"):
        load(tmp_path)


def test_histories_share_their_epochs_and_stay_as_they_are() -> None:
    first = History().plus({"a": 1.0})
    second, third = first.plus({"a": 2.0}), first.plus({"a": 3.0})
    assert [list(h) for h in (first, second, third)] == [[{"a": 1.0}], [{"a": 1.0}, {"a": 2.0}], [{"a": 1.0}, {"a": 3.0}]]
    assert second[-1] == {"a": 2.0} and first[-1] == {"a": 1.0} and second[:1] == [{"a": 1.0}]
    with pytest.raises(IndexError):
        first[1]


def test_the_last_so_many_are_kept_and_each_is_found_by_its_step(tmp_path: Path) -> None:
    made, progress = Checkpoints(tmp_path, stored=STORED, settings=Saving(keep=3)), Progress()
    for step in (10, 20, 30, 40, 50):
        progress = replace(progress, epoch=step // 10, history=progress.history.plus({"loss/train": 1 / step}), best_epoch=1, best=0.1)
        made.save({**STATE, "step": np.array(step)}, progress, {**BEST, "step": np.array(10)})
        made = Checkpoints(tmp_path, stored=STORED, settings=Saving(keep=3))  # of a run that goes on
    for step in (30, 40, 50):
        found = load(tmp_path, step=step)
        assert int(found.state["step"]) == step and len(found.progress.history) == found.progress.epoch == step // 10
    best = load(tmp_path, step=10)
    assert best.progress.epoch == 1 and np.array_equal(best.state["fc1.weight"], BEST["fc1.weight"]) and len(best.progress.history) == 1
    asked = "step = 20: the run has checkpoints of step 10, 30, 40, 50; give one of these "
    with refused(f"{asked}(training.checkpoints.keep and training.checkpoints.every_steps keep more of a run)", RunError):
        load(tmp_path, step=20)
    made.save({**STATE, "step": np.array(35)}, replace(progress, epoch=3, history=progress.history[:3]), None)  # training went back
    assert [entry["progress"]["epoch"] for entry in json.loads((tmp_path / MANIFEST).read_text())["kept"]] == [3]


def test_a_checkpoint_of_the_first_format_is_read(tmp_path: Path) -> None:
    saved(tmp_path)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    del manifest["sha256"], manifest["progress"]["spent"]
    manifest |= {"format": 1, "history": [{"loss/train": 1 / 3, "time/epoch_s": 2.0}, {"loss/train": 0.1, "time/epoch_s": 3.0}]}
    (tmp_path / "history.jsonl").unlink()
    (tmp_path / MANIFEST).write_text(checkpoint.text(manifest))
    found = load(tmp_path).progress
    assert len(found.history) == 2 and found.spent == 5.0 + PROGRESS.seconds


@pytest.mark.parametrize(
    "change", [{"last": 3}, {"progress": []}, {"progress": {"epoch": []}}, {"history": {"bytes": "x"}}, {"model": [[[]]]}]
)
def test_a_manifest_of_right_digest_and_wrong_shape_is_told(tmp_path: Path, change: dict[str, Any]) -> None:
    saved(tmp_path)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    del manifest["sha256"]
    (tmp_path / MANIFEST).write_text(checkpoint.text(manifest | change))
    with pytest.raises(RunError):
        load(tmp_path)
