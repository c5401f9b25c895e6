"""The journal holds what was written, whole lines only, whatever happens to the writer."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import re
import timeit
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import RunError
from pipeline.tracking.journal import (
    FILE,
    Artifact,
    Changed,
    Compare,
    Compared,
    Confusion,
    Data,
    End,
    Event,
    Journal,
    Machine,
    Metric,
    Model,
    Resume,
    Start,
    Tags,
    damaged,
    end_of,
    last_values,
    read_journal,
    series,
)


def written(folder: Path) -> Journal:
    journal = Journal(folder)
    journal.write(Start(uid="u"))
    journal.write(Metric(step=1, values={"loss/train": 0.5}))
    return journal


def test_events_are_read_back_with_their_times(tmp_path: Path) -> None:
    journal = written(tmp_path)
    journal.write(End(status="FINISHED"), durable=True)
    events = read_journal(tmp_path)
    assert [type(event) for event in events] == [Start, Metric, End]
    assert isinstance(events[1], Metric) and events[1].values == {"loss/train": 0.5}
    assert 0 < events[0].time <= events[2].time


LINES: dict[str, Event] = {
    '"event": "start", "uid": "u", "name": "bn", "params": {"seed": 0}, "tags": {"a": "b"}, "shown": {"seed": 0}, "about": "x"': Start(
        uid="u", name="bn", params={"seed": 0}, tags={"a": "b"}, shown={"seed": 0}, about="x"
    ),
    '"event": "data", "name": "digits", "digest": "d", "kind": "code", "source": "{}", "schema": "", "profile": ""': Data(
        name="digits", digest="d"
    ),
    '"event": "model", "path": "model", "register": ""': Model(path="model"),
    '"event": "machine", "step": 1, "values": {"system/cpu_utilization_percentage": 41.5}': Machine(
        step=1, values={"system/cpu_utilization_percentage": 41.5}
    ),
    '"event": "tags", "values": {"pipeline.digest": "d"}': Tags(values={"pipeline.digest": "d"}),
    '"event": "metric", "step": 3, "values": {"loss/train": 0.25, "loss/validation": "nan"}': Metric(
        step=3, values={"loss/train": 0.25, "loss/validation": "nan"}
    ),
    '"event": "artifact", "path": "config.yaml", "into": ""': Artifact(path="config.yaml"),
    '"event": "confusion", "part": "test", "classes": ["a", "b"], "counts": [[1, 0], [2, 3]]': Confusion(
        part="test", classes=("a", "b"), counts=((1, 0), (2, 3))
    ),
    '"event": "compare", "quantity": "loss/train", "curves": {"seed=0": {"1": 0.5}}, "what": "bn", "grows": false, '
    '"trials": [{"label": "seed=0", "value": 0.5, "params": {"seed": "0"}, "done": true}], "repeats": ["seed"]': Compare(
        quantity="loss/train",
        curves={"seed=0": {"1": 0.5}},
        what="bn",
        trials=(Compared(label="seed=0", value=0.5, params={"seed": "0"}, done=True),),
        repeats=("seed",),
    ),
    '"event": "end", "status": "FAILED", "message": "diverged", "epoch": 0': End(status="FAILED", message="diverged"),
    '"event": "resume", "pid": 7, "step": 3': Resume(pid=7, step=3),
    '"event": "changed", "name": "bn", "params": {"seed": "1", "a": null}, "shown": {}, "tags": {"b": "c"}': Changed(
        name="bn", params={"seed": "1", "a": None}, tags={"b": "c"}
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_each_event_is_one_line_of_the_same_words_and_is_read_back(line: str, tmp_path: Path) -> None:
    Journal(tmp_path).write(LINES[line])
    written = (tmp_path / FILE).read_text()
    assert re.fullmatch(r'\{"time": \d+, ' + re.escape(line) + r', "crc": "[0-9a-f]{8}"\}\n', written)
    (event,) = read_journal(tmp_path)
    assert event == replace(LINES[line], time=event.time)


def test_what_a_later_version_tells_is_passed_over(tmp_path: Path) -> None:
    lines = ('{"time": 1, "event": "moved"}', '{"time": 2, "event": "resume", "step": 3, "reason": "power"}', '{"event": "metric"}', "7")
    (tmp_path / FILE).write_text("".join(f"{line}\n" for line in lines))
    assert read_journal(tmp_path) == [Resume(time=2, step=3)]


def test_numpy_values_and_non_finite_numbers_survive_as_plain_json(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write(Metric(step=np.int64(2), values={"a": np.float32(0.25), "b": math.nan, "c": -math.inf}))
    text = (tmp_path / FILE).read_text()
    assert '"b": "nan"' in text and '"c": "-inf"' in text
    values = last_values(read_journal(tmp_path))
    assert values["a"] == 0.25 and math.isnan(values["b"]) and values["c"] == -math.inf


def test_a_torn_last_line_is_passed_over_and_the_next_event_starts_its_own(tmp_path: Path) -> None:
    written(tmp_path)
    with (tmp_path / FILE).open("a") as file:
        file.write('{"time": 1, "event": "met')
    assert [type(event) for event in read_journal(tmp_path)] == [Start, Metric]
    Journal(tmp_path).write(Resume(step=1))
    assert [type(event) for event in read_journal(tmp_path)] == [Start, Metric, Resume]


def test_a_resumed_run_has_no_end_until_it_ends_again(tmp_path: Path) -> None:
    journal = written(tmp_path)
    journal.write(End(status="KILLED"))
    assert getattr(end_of(read_journal(tmp_path)), "status", None) == "KILLED"
    journal.write(Resume(step=1))
    assert end_of(read_journal(tmp_path)) is None
    journal.write(End(status="FINISHED"))
    assert getattr(end_of(read_journal(tmp_path)), "status", None) == "FINISHED"


def test_a_step_told_twice_counts_as_told_last(tmp_path: Path) -> None:
    journal = written(tmp_path)
    journal.write(Metric(step=1, values={"loss/train": 0.4}))
    assert series(read_journal(tmp_path)) == {"loss/train": {1: 0.4}}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / FILE).symlink_to("/dev/full")
    with pytest.raises(RunError) as caught:
        Journal(tmp_path).write(Start())
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
        journal.write(Metric(step=2, values={"loss/train": 0.4}))
    assert (tmp_path / FILE).read_bytes() == before


def test_a_changed_or_torn_line_is_told_by_its_number_and_the_rest_is_used(tmp_path: Path) -> None:
    with contextlib.closing(Journal(tmp_path)) as journal:
        for step in range(4):
            journal.write(Metric(step=step, values={"loss/train": 0.5}))
    path = tmp_path / FILE
    lines = path.read_bytes().splitlines(keepends=True)
    for place in range(len(lines[1]) - 1):  # whatever letter of the second line is another one
        changed = lines[1][:place] + bytes([lines[1][place] ^ 1]) + lines[1][place + 1 :]
        path.write_bytes(b"".join((lines[0], changed, lines[2], lines[3])))
        told = [event.step for event in read_journal(tmp_path) if isinstance(event, Metric)]
        assert told == [0, 2, 3] and damaged(tmp_path)[0] == 2, changed
    path.write_bytes(b"".join((lines[0], lines[1], lines[2], lines[3][:40])))
    Journal(tmp_path).write(End(status="KILLED"))
    assert [type(event) for event in read_journal(tmp_path)] == [Metric, Metric, Metric, End] and damaged(tmp_path) == [4]


def test_a_journal_of_an_earlier_version_is_read_and_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"time": 1, "event": "metric", "step": 1, "values": {"loss/train": 0.5}}\n')
    Journal(tmp_path).write(Resume(pid=1, step=1))
    assert [type(event) for event in read_journal(tmp_path)] == [Metric, Resume] and damaged(tmp_path) == []


def test_reading_takes_microseconds_a_line(tmp_path: Path) -> None:
    values = {"loss/train": 0.5, "loss/validation": 0.25, "accuracy/validation": 0.9, "learning_rate": 0.01, "time/epoch_s": 0.1}
    with contextlib.closing(Journal(tmp_path)) as journal:
        for step in range(5000):
            journal.write(Metric(step=step, values=values))
    best = min(timeit.repeat(lambda: read_journal(tmp_path), number=1, repeat=3))
    assert best < 0.15, f"{best / 5000 * 1e6:.1f} us a line"  # 0.1 ms a line before


def test_the_quick_way_reads_what_the_strict_way_reads(tmp_path: Path) -> None:
    line = '{"time": 1, "event": "metric", "step": %s, "values": %s}\n'
    taken = [("3", '{"a": 1}'), ("3.0", '{"a": 0.5}'), ("3", '{"a": "nan"}'), ("3", "{}")]
    refused = [("true", "{}"), ('"3"', "{}"), ("3.5", "{}"), ("3", '{"a": true}'), ("3", '{"a": [1]}'), ("3", "[]"), ("3", '{"a": NaN}')]
    (tmp_path / FILE).write_text("".join(line % pair for pair in [*taken, *refused]))
    events = read_journal(tmp_path)
    assert [event.values for event in events if isinstance(event, Metric)] == [{"a": 1.0}, {"a": 0.5}, {"a": "nan"}, {}]
    assert damaged(tmp_path) == [5, 6, 7, 8, 9, 10, 11]
