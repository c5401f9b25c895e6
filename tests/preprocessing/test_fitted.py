"""Fitted steps give a row the same bits however many rows they are given with it."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.preprocessing import Preprocessing, fit
from pipeline.preprocessing.fitted import CHUNK_VALUES


@pytest.mark.parametrize("steps", [("standardize",), ("center", "minmax"), ("pca",), ("zca", "standardize"), ("whiten", "center")])
@pytest.mark.parametrize("kind", ["float32", "float64", "uint8", "int64"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_row_alone_has_the_bits_of_the_same_row_among_many(steps: tuple[str, ...], kind: str, precision: str) -> None:
    x = (40 * np.random.default_rng(0).random((60_000, 6))).astype(kind)  # more than one chunk
    fitted = fit(Preprocessing(steps=steps), x[:1000], precision=precision)
    whole = fitted.apply(x)
    assert whole.dtype == precision and len(x) * 6 > CHUNK_VALUES
    for row in (0, 77):
        alone = fitted.apply(np.asfortranarray(x[row : row + 1]))
        assert alone.dtype == precision and alone.tobytes() == whole[row : row + 1].tobytes()
