"""What is compiled and computed is what is on record: structures, plans and programs as text, losses and weights to the bit.

A difference in `structure`, `plan` or `program` is a change of what is compiled; one in `losses` alone is a change of bits, or a machine
whose bits are not those of the others: on a processor without fused multiply-add each product is rounded before it is added.
"""

from __future__ import annotations

import pytest

from backends.numpy.machine import processor
from tests.golden.cases import CASES, Golden
from tests.golden.record import losses, on_record, programs, recorded

RECORD = on_record()
BITS = processor.host().multiplies_and_adds


def test_every_case_is_on_record_and_no_other() -> None:
    assert list(RECORD) == [case.name for case in CASES]


@pytest.mark.parametrize("case", [pytest.param(c, marks=[pytest.mark.slow] if c.slow else [], id=c.name) for c in CASES])
def test_the_case_is_as_on_record(case: Golden) -> None:
    found = recorded(case, runs=BITS)
    wanted = RECORD[case.name] if BITS else [line for line in RECORD[case.name] if not line.startswith("losses")]
    assert found == wanted, f"{processor.host().name}: what this machine makes of {case.name} is not on record"
    if not BITS:
        pytest.skip(f"{processor.host().name} rounds each product before it is added: the bits of its losses are its own")


@pytest.mark.skipif(processor.host().name != "AVX-512", reason="AVX2 code is that of this machine, or runs only where AVX2 does")
@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in CASES if c.loads])
def test_avx2_code_has_the_bits_on_record(case: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loaded weights and a constant learning rate: nothing is left that could differ from one processor to the next."""
    monkeypatch.setattr(processor, "host", processor.avx2)
    run, trials = programs(case)
    assert trials[0].structure.backend.processor.name == "AVX2"
    wanted = [line for line in RECORD[case.name] if line.startswith("losses")]
    assert [f"losses {line}" for line in losses(case, run, trials)] == wanted
