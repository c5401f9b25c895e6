"""The journal holds what was written, whole lines only, whatever happens to the writer."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import RunError
from pipeline.tracking.journal import FILE, Journal, end_of, last_values, read_journal, series


def written(folder: Path) -> Journal:
    journal = Journal(folder)
    journal.write("start", uid="u")
    journal.write("metric", step=1, values={"loss/train": 0.5})
    return journal


def test_events_are_read_back_with_their_times(tmp_path: Path) -> None:
    journal = written(tmp_path)
    journal.write("end", durable=True, status="FINISHED", message="")
    events = read_journal(tmp_path)
    assert [event["event"] for event in events] == ["start", "metric", "end"]
    assert events[1]["values"] == {"loss/train": 0.5}
    assert events[0]["time"] <= events[2]["time"]


def test_numpy_values_and_non_finite_numbers_survive_as_plain_json(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write("metric", step=np.int64(2), values={"a": np.float32(0.25), "b": math.nan, "c": -math.inf})
    text = (tmp_path / FILE).read_text()
    assert '"b": "nan"' in text and '"c": "-inf"' in text
    values = last_values(read_journal(tmp_path))
    assert values["a"] == 0.25 and math.isnan(values["b"]) and values["c"] == -math.inf


def test_a_torn_last_line_is_passed_over_and_the_next_event_starts_its_own(tmp_path: Path) -> None:
    written(tmp_path)
    with (tmp_path / FILE).open("a") as file:
        file.write('{"time": 1, "event": "met')
    assert [event["event"] for event in read_journal(tmp_path)] == ["start", "metric"]
    Journal(tmp_path).write("resume", step=1)
    assert [event["event"] for event in read_journal(tmp_path)] == ["start", "metric", "resume"]


def test_a_resumed_run_has_no_end_until_it_ends_again(tmp_path: Path) -> None:
    journal = written(tmp_path)
    journal.write("end", status="KILLED", message="")
    assert (end_of(read_journal(tmp_path)) or {})["status"] == "KILLED"
    journal.write("resume", step=1)
    assert end_of(read_journal(tmp_path)) is None
    journal.write("end", status="FINISHED", message="")
    assert (end_of(read_journal(tmp_path)) or {})["status"] == "FINISHED"


def test_a_step_told_twice_counts_as_told_last(tmp_path: Path) -> None:
    journal = written(tmp_path)
    journal.write("metric", step=1, values={"loss/train": 0.4})
    assert series(read_journal(tmp_path)) == {"loss/train": {1: 0.4}}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / FILE).symlink_to("/dev/full")
    with pytest.raises(RunError) as caught:
        Journal(tmp_path).write("start")
    path = tmp_path / FILE
    assert (
        str(caught.value) == f"{path}: cannot be written (No space left on device); free the disk or choose another folder with output=..."
    )


def test_a_disk_that_fills_within_a_line_leaves_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = written(tmp_path)
    before = (tmp_path / FILE).read_bytes()
    write = os.write

    def half(file: int, data: bytes) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data[: len(data) - 10])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(RunError, match="No space left on device"):
        journal.write("metric", step=2, values={"loss/train": 0.4})
    assert (tmp_path / FILE).read_bytes() == before
