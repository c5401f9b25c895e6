"""Blocks of streamed rows: the same steps as in memory, whatever they are cut into."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data.prepared import Rows
from pipeline.rows import Streamed, kept
from pipeline.training import blocks as module
from pipeline.training.blocks import Blocks

GENERATOR = np.random.default_rng(0)
X, Y, W = GENERATOR.normal(size=(40, 3)), np.arange(40) % 2, GENERATOR.random(40)
PAIRS = np.array([[[0.0] * 3, [2.0] * 3]])
ORDERS = [GENERATOR.permutation(40)[:35].reshape(7, 5) for _ in range(3)]


def part(*, streamed: bool) -> Rows:
    x: Any = X
    if streamed:
        x = Streamed(store=X, rows=None, stored_shape=(3,), row_shape=(3,), dtype=X.dtype)
    return Rows(x=x, targets=Y, y=Y, weight=W)


def raw(file: Path) -> Rows:
    """Every second row of a file, to be gathered from there and doubled."""
    np.save(file, np.repeat(X, 2, axis=0))
    store = np.load(file, mmap_mode="r").view(np.ndarray)
    x = Streamed(store=store, rows=np.arange(0, 80, 2), stored_shape=(3,), row_shape=(3,), dtype=X.dtype)
    return Rows(x=x.then(lambda rows: 2 * rows, (3,), X.dtype, PAIRS), targets=Y, y=Y, weight=W)


@pytest.mark.parametrize("steps_of_a_block", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("start", [0, 4])
@pytest.mark.parametrize("mapped", [False, True])
def test_every_step_sees_its_rows_in_every_epoch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, steps_of_a_block: int, start: int, mapped: bool
) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", steps_of_a_block * 5 * 3 * 8)
    given = raw(tmp_path / "x.npy") if mapped else part(streamed=True)
    made = Blocks(given, ORDERS.__getitem__, epochs=3, steps=7, batch=5)
    for epoch in range(3):
        step = start if epoch == 0 else 0
        while step < 7:
            feed = made.feed(epoch, step, 2)
            assert 1 <= len(feed.order) <= 2
            for rows in feed.order:
                wanted = ORDERS[epoch][step]
                np.testing.assert_array_equal(feed.x[rows], 2 * X[wanted] if mapped else X[wanted])
                np.testing.assert_array_equal(feed.y[rows], Y[wanted])
                assert feed.weight is not None
                np.testing.assert_array_equal(feed.weight[rows], W[wanted])
                step += 1
    made.close()


def test_at_most_two_blocks_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 2 * 5 * 3 * 8)
    made = Blocks(part(streamed=True), ORDERS.__getitem__, epochs=3, steps=7, batch=5)
    for epoch in range(3):
        for step in range(7):
            made.feed(epoch, step, 1)
            assert len(made._ready) <= 2
    made.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("rows")]


def test_raw_rows_are_left_in_their_file_and_brought_into_memory_by_the_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touched: list[tuple[str, list[int]]] = []

    def touch(x: Streamed) -> None:
        assert x.rows is not None
        touched.append((threading.current_thread().name, x.rows.tolist()))

    monkeypatch.setattr(Streamed, "touch", touch)
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 5 * 3 * 8)
    given = raw(tmp_path / "x.npy")
    made = Blocks(given, ORDERS.__getitem__, epochs=2, steps=7, batch=5)
    for epoch in range(2):
        for step in range(7):
            x = made.feed(epoch, step, 1).x
            assert isinstance(x, Streamed) and isinstance(given.x, Streamed) and x.raw and x.store is given.x.store
    made.close()
    assert {name for name, _ in touched} == {"rows_0"}
    assert [rows for _, rows in touched] == [(2 * part).ravel().tolist() for n in (0, 1) for part in (ORDERS[n][:4], ORDERS[n][4:])]


def test_bytes_in_memory_are_handed_over_as_they_are() -> None:
    x = kept(X.astype(np.uint8)).then(lambda rows: rows.astype(np.float32), (3,), np.float32, np.zeros((0, 2, 3)))
    made = Blocks(Rows(x=x, targets=Y, y=Y, weight=W), ORDERS.__getitem__, epochs=3, steps=7, batch=5)
    assert made.feed(1, 2, 3).x is x
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("rows")]


def test_rows_in_memory_are_handed_over_as_they_are() -> None:
    made = Blocks(part(streamed=False), ORDERS.__getitem__, epochs=3, steps=7, batch=5)
    feed = made.feed(1, 2, 3)
    assert feed.x is X and feed.y is Y and feed.weight is W
    np.testing.assert_array_equal(feed.order, ORDERS[1][2:5])


def test_what_goes_wrong_in_the_thread_is_raised_where_the_rows_are_wanted() -> None:
    def broken(x: np.ndarray) -> np.ndarray:
        raise OSError("the disk is gone")

    rows = part(streamed=True)
    assert isinstance(rows.x, Streamed)
    spoiled = Rows(x=rows.x.then(broken, (3,), X.dtype), targets=Y, y=Y, weight=None)
    made = Blocks(spoiled, ORDERS.__getitem__, epochs=1, steps=7, batch=5)
    with pytest.raises(OSError, match="the disk is gone"):
        made.feed(0, 0, 1)
    made.close()
