"""The workloads of the benchmarks, as timed, make the same losses in PyTorch and JAX as here for a hundred steps."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.agreement import COMPARED, LIMIT, agreement

pytestmark = pytest.mark.parity
SMALLER: dict[str, dict[str, Any]] = {"cnn": {"batch": 32}, "resnet20": {"batch": 32}}


@pytest.mark.parametrize(("name", "peer"), [(name, peer) for name, (_, peers) in COMPARED.items() for peer in peers])
def test_losses_agree(name: str, peer: str) -> None:
    pytest.importorskip(peer, reason=f"{peer} is not installed (make parity, or pip install '.[peers]', brings it)")
    found = agreement(name, peers=(peer,), **SMALLER.get(name, {}))
    ours = found["losses"]["caviar"]
    assert len(ours) == COMPARED[name][0]
    assert ours[-1] < 0.9 * ours[0], "nothing was learned: agreement would say little"
    assert found["apart"][peer] < LIMIT
