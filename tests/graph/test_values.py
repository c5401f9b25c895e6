"""The tables of values and words."""

from __future__ import annotations

import numpy as np

from pipeline.graph.values import Clock, value_table, word_table


def test_numbers_and_functions_of_the_clock_fill_their_columns() -> None:
    clock = Clock(steps=np.arange(3, 5), total=10)
    table = value_table(["b", "a"], {"a": 2.0, "b": lambda c: c.steps / c.total}, clock)
    np.testing.assert_array_equal(table, [[0.3, 2.0], [0.4, 2.0]])


def test_a_step_is_split_into_two_words() -> None:
    clock = Clock(steps=np.array([1, 2**32 + 5]))
    np.testing.assert_array_equal(word_table(["step_high", "step_low", "seed"], 7, clock), [[0, 1, 7], [1, 5, 7]])
