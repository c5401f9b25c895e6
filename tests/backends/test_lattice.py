"""The geometry of a convolution's axis against its definition: position p reads place i at p * stride + i * dilation - padding."""

from __future__ import annotations

import pytest

from backends.lattice import MOST_TAPS, lattices, readers, runs

# image, window, stride, padding before, padding after, dilation
AXES = [
    (9, 3, 1, 1, 1, 1),
    (9, 3, 2, 0, 1, 1),
    (10, 1, 3, 0, 0, 1),
    (11, 5, 2, 2, 2, 2),
    (12, 7, 1, 3, 3, 1),
    (8, 2, 3, 0, 2, 2),
    (20, 11, 4, 2, 5, 1),
]


def _read(axis: tuple[int, ...]) -> set[tuple[int, int, int]]:
    """(position, place of the window, row of the image) of all that a convolution reads."""
    size, window, stride, before, _, dilation = axis
    places = {(p, i, p * stride + i * dilation - before) for p in range(_positions(axis)) for i in range(window)}
    return {(p, i, row) for p, i, row in places if 0 <= row < size}


def _positions(axis: tuple[int, ...]) -> int:
    size, window, stride, before, after, dilation = axis
    return (size + before + after - dilation * (window - 1) - 1) // stride + 1


@pytest.mark.parametrize("width", [1, 3, 4, 64])
@pytest.mark.parametrize("back", [False, True], ids=["forward", "data gradient"])
@pytest.mark.parametrize("axis", AXES)
def test_tiles_read_what_a_convolution_reads(axis: tuple[int, ...], back: bool, width: int) -> None:
    size, window, stride, before, _, dilation = axis
    out, source = (size, _positions(axis)) if back else (_positions(axis), size)
    found = []
    for lattice in lattices(back=back, out=out, window=window, stride=stride, padding=before, dilation=dilation):
        for run in runs(lattice, width, source):
            for start in range(run.start, run.start + run.tiles * run.width, run.width):
                for group in lattice.groups:
                    for column, taps in readers(lattice, run, group):
                        for tap, position in taps:
                            p = lattice.first + (start + position) * lattice.step
                            found.append((p, lattice.taps[tap][0], start * lattice.pace + column))
    assert len(found) == len(set(found)), "each product once"
    assert set(found) == ({(row, i, p) for p, i, row in _read(axis)} if back else _read(axis))


def test_groups_of_taps_are_nearly_equal_and_fit_the_registers() -> None:
    (lattice,) = lattices(back=False, out=20, window=11, stride=1, padding=5, dilation=1)
    sizes = [len(group) for group in lattice.groups]
    assert sum(sizes) == 11
    assert max(sizes) == lattice.together <= MOST_TAPS
    assert max(sizes) - min(sizes) <= 1
