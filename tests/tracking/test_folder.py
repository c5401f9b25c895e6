"""Run folders are made once, for one run each."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import RunError
from pipeline.tracking.folder import RunInfo, fill, new_run_folder, read_info, run_folders
from pipeline.tracking.lock import take
from pipeline.tracking.process import Process, alive, this_process

INFO = RunInfo(uid="0" * 32, name="bn", created=1, process=Process(host="h", pid=1, started=2), uri="sqlite:////x.db", sweep="s")


def test_runs_that_start_at_once_get_folders_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: new_run_folder(tmp_path / "runs", name="my run/ü"), range(32)))
    assert len(set(folders)) == 32
    assert all(folder.is_dir() and folder.name[20:].startswith("my-run-ü") for folder in folders)


def test_a_named_folder_that_exists_is_refused(tmp_path: Path) -> None:
    folder = new_run_folder(path=tmp_path / "a" / "mine")
    with pytest.raises(RunError) as caught:
        new_run_folder(path=folder)
    assert str(caught.value) == (
        f"output = {folder}: exists already, and a run folder is never used twice; "
        f"choose another, or continue the run in it with resume={folder}"
    )


def test_a_file_in_the_place_of_runs_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(RunError) as caught:
        new_run_folder(tmp_path / "runs")
    assert str(caught.value) == f"{tmp_path / 'runs'}: is a file, but run folders are made in it; move it away"


def test_a_run_is_read_back(tmp_path: Path) -> None:
    folder = new_run_folder(tmp_path)
    fill(folder, INFO, "seed: 0\n")
    assert replace(read_info(folder), artifacts=INFO.artifacts) == INFO
    assert (folder / "config.yaml").read_text() == "seed: 0\n"
    assert list(run_folders(tmp_path)) == [folder]


def test_a_full_disk_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run_folder(tmp_path)

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError) as caught:
        fill(folder, INFO, "seed: 0\n")
    assert (
        str(caught.value)
        == f"{folder}: cannot be written (No space left on device); free the disk or choose another folder with output=..."
    )
    assert not folder.exists()


def test_another_folder_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        read_info(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is no run folder (it has no run.json); give the folder of a run or its MLflow run id"


def test_a_damaged_run_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"run\.json: cannot be read \("):
        read_info(tmp_path)


def test_this_process_lives_and_an_earlier_one_of_its_number_does_not() -> None:
    mine = this_process()
    assert alive(mine)
    if mine.started:
        assert not alive(Process(host=mine.host, pid=mine.pid, started=mine.started - 1))


def test_a_process_that_ended_is_dead_even_before_it_is_waited_for() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    mine = this_process()
    try:
        if mine.started:
            assert not alive(Process(host=mine.host, pid=pid, started=mine.started))
    finally:
        os.waitpid(pid, 0)
    assert not alive(Process(host=mine.host, pid=pid, started=0))


def test_a_folder_of_a_run_that_was_killed_before_its_first_line_is_used_again(tmp_path: Path) -> None:
    folder = new_run_folder(path=tmp_path / "mine")
    with pytest.raises(RunError):  # an empty folder may be the user's
        new_run_folder(path=folder)
    lock = take(folder)
    assert lock is not None
    with pytest.raises(RunError):  # somebody is at it
        new_run_folder(path=folder)
    lock.release()
    assert new_run_folder(path=folder) == folder
    fill(folder, INFO, "seed: 0\n")
    (folder / "journal.jsonl").write_text('{"time": 1, "event": "st')
    assert new_run_folder(path=folder) == folder
    (folder / "journal.jsonl").write_text('{"time": 1, "event": "start"}\n')
    with pytest.raises(RunError):
        new_run_folder(path=folder)
