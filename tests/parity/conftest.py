"""PyTorch, or the reason why it is not there."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def torch() -> Any:
    """The module; imported here, so that collecting these tests does not take the seconds that its import takes."""
    module = pytest.importorskip("torch", reason="torch is not installed (make parity, or pip install '.[peers]', brings it)")
    module.set_num_threads(1)
    return module
