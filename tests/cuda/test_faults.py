"""What the shim is for: a mistake in a kernel shows.  Each test plants one in the source and sees it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.cuda.beside import bits, in_shim, needs_compiler
from tests.cuda.shim import ShimDevice
from tests.golden.cases import SMALL, Golden

pytestmark = [needs_compiler, pytest.mark.integration]

CASE = Golden(name="small", overrides=(SMALL, "normalization=batch", "training.batch_size=16"), steps=3)


def _instead(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        if "train_1(" not in text:
            return text
        assert old in text, f"{old} is in no kernel any more"
        return text.replace(old, new, 1)

    return change


FAULTS = {
    "no barrier before the sums of a product": _instead(
        "        __syncthreads();\n        for (int k = 0; k < depth", "        for (int k = 0; k < depth"
    ),
    "no barrier before a column is added up": _instead(
        "            __syncthreads();\n            if (line == 0)", "            if (line == 0)"
    ),
    "a wrong stride": _instead("left_matrix<24, 1>", "left_matrix<23, 1>"),
    "a sum in another order": _instead("for (int n = 0; n < last - first; ++n)", "for (int n = last - first - 1; n >= 0; --n)"),
    "terms left out": _instead("first < terms; first += DEPTH", "first + DEPTH < terms; first += DEPTH"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_changes_bits(fault: str) -> None:
    assert in_shim(CASE, ShimDevice(FAULTS[fault])) != bits(CASE)


def test_a_product_that_is_rounded_twice_or_contracted_changes_bits() -> None:
    assert in_shim(CASE, ShimDevice(_instead("return FMA32(x, y, z)", "return x * y + z"))) != bits(CASE)
    assert in_shim(CASE, ShimDevice(flags=("-O2", "-ffp-contract=fast"))) != bits(CASE)


def test_a_barrier_that_some_threads_miss_ends_the_process() -> None:
    code = (
        "from tests.cuda.test_faults import CASE, _instead; from tests.cuda.beside import in_shim; from tests.cuda.shim import ShimDevice;"
        "in_shim(CASE, ShimDevice(_instead('__syncthreads();', 'if (threadIdx.x != 7) __syncthreads();')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "threads of a block wait" in done.stderr
