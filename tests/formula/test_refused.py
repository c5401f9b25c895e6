"""What is no formula is refused in one line, with a caret where it goes wrong; and no text reaches anything but numbers."""

from __future__ import annotations

import itertools
import random
import resource
import string
import time
from typing import Any

import pytest

from pipeline.config.spec import experiment
from pipeline.errors import ConfigError
from pipeline.formula.syntax import CONSTANTS, FUNCTIONS, HOST_FUNCTIONS, LONGEST, REDUCTIONS, names_of, parse
from pipeline.layers.formula import FormulaActivation
from tests.refusal import refused

WORDS = "a formula has numbers, names, + - * / **, comparisons and functions"
REFUSED = {
    "x * tanhh(x)": "activation.forward = x * ^tanhh(x): unknown function tanhh; did you mean tanh?",
    "x * bta": "activation.forward = x * ^bta: unknown name bta; did you mean beta?",
    "beta * x +": "activation.forward = beta * x +^: cannot be read as a formula; check the operators and brackets here",
    "beta * x ^ 2": "activation.forward = beta * x ^^ 2: has no meaning in a formula; write x ** 2 for a power",
    "2beta * x": "activation.forward = 2^beta * x: a number ends here; write a * between a number and a name",
    "beta.real * x": f"activation.forward = beta^.real * x: has no meaning in a formula; {WORDS}",
    "beta * x if x else 1": (
        "activation.forward = ^beta * x if x else 1: if and else are not for formulas; write where(condition, then, otherwise)"
    ),
    "beta * __import__('os')": f"activation.forward = beta * __import__(^'os'): has no meaning in a formula; {WORDS}",
    "beta * x[0]": f"activation.forward = beta * x^[0]: has no meaning in a formula; {WORDS}",
    "beta * (x, x)": f"activation.forward = beta * ^(x, x): is not allowed in a formula; {WORDS}",
    "beta * tanh(x, x)": "activation.forward = beta * ^tanh(x, x): tanh takes 1 operand, and has 2; see tanh in the reference",
    "beta * x(x)": "activation.forward = beta * ^x(x): unknown function x; use one of ",
    "beta * sin(x)": (
        "activation.forward = beta * ^sin(x): sin is for numbers, and this depends on x; only schedules and initializations have it"
    ),
    "beta * x / (1 - 1)": "activation.forward = beta * x / (^1 - 1): is inf; numbers must be finite",
    "beta * x - mean(x)": (
        "activation.forward = beta * x - ^mean(x): mean may run over the last axis, axis=-1 here; write mean(..., axis=-1)"
    ),
    "beta * x - mean(x, axis=0)": (
        "activation.forward = beta * x - ^mean(x, axis=0): mean may run over the last axis, axis=-1 here; write mean(..., axis=-1)"
    ),
    "sum(x, axis=-1) * beta": (
        "activation.forward = ^sum(x, axis=-1) * beta: gives one number a row; an activation gives as many numbers as x has"
    ),
    "where(x, beta, x)": "activation.forward = where(^x, beta, x): a condition is a comparison; write x > 0",
    "(x > beta) * 2": (
        "activation.forward = ^(x > beta) * 2: does not change with x, but in steps; what cannot learn from its slope is no use: use x"
    ),
    "x": "activation.values = beta: no formula uses it; leave it out, or write it into the formula",
    "": "activation.forward = ^: is empty; write a formula, such as x * sigmoid(x)",
    "1e999 * beta * x": "activation.forward = ^1e999 * beta * x: is too large a number; write one below 1e308",
}


def _config(forward: str, **values: float) -> dict[str, Any]:
    return {"activation": {"kind": "formula", "forward": forward, "values": values or {"beta": 1.0}}}


@pytest.mark.parametrize("text", REFUSED)
def test_a_mistake_is_shown_where_it_stands(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        experiment(_config(text))
    assert str(error.value).startswith(REFUSED[text]) if text == "beta * x(x)" else str(error.value) == REFUSED[text]


def test_the_place_in_a_layer_is_named() -> None:
    layers = [{"kind": "dense", "units": 2, "activation": {"kind": "formula", "forward": "x +"}}]
    with refused("architecture.layers[0].activation.forward = x +^: cannot be read as a formula; check the operators and brackets here"):
        experiment({"architecture": {"layers": layers}})


@pytest.mark.parametrize(
    ("optimizer", "sentence"),
    [
        (
            {"update": {"step": "g"}},
            "optimizer.update.step = ^g: does not use learning_rate; write learning_rate * (...); its schedule would be ignored,"
            " and learning_rate=1 leaves the step as it is",
        ),
        ({"update": {"m": "g"}}, "optimizer.update.m = g: m is no slot; use one of step or put it under slots"),
        ({"slots": ["m"], "update": {"step": "learning_rate * m"}}, "optimizer.update.m = (missing): has no value; give a formula for m"),
        ({"slots": ["g"], "update": {}}, "optimizer.slots = g: means something else in a formula; use another name"),
        (
            {"slots": ["m", "n"], "update": {"m": "m + g", "n": "m + g", "step": "learning_rate * (m + n)"}},
            "optimizer.update.n = ^m + g: is the formula of update.m; one slot is enough for both",
        ),
        ({"slots": ["m"], "values": {"m": 1}, "update": {}}, "optimizer.slots = m: is declared twice; give each name once"),
    ],
    ids=str,
)
def test_an_optimizer_that_is_none(optimizer: dict[str, Any], sentence: str) -> None:
    with refused(sentence):
        experiment({"optimizer": {"kind": "formula", **optimizer}})


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"schedule": {"kind": "formula", "factor": "1 - 2 * t / total"}},
            "schedule.factor = ^1 - 2 * t / total: is -0.02 at step 51 of 100; a factor is a number of at least 0",
        ),
        (
            {"initialization": {"kind": "formula", "weight": "log(normal)"}},
            "initialization.weight = ^log(normal): is not finite for every draw; a weight must be a number",
        ),
        (
            {"loss": {"kind": "formula", "takes": "classes", "row": "-target * log_probability"}},
            "loss.row = ^-target * log_probability: gives a number for each class; write sum(..., axis=-1)",
        ),
        (
            {"regularization": {"penalty": {"kind": "formula", "weight": "sign(w)"}}},
            "regularization.penalty.weight = ^sign(w): does not change with w, but in steps; use w",
        ),
        (
            {"regularization": {"penalty": {"kind": "formula", "weight": "w ** 2", "values": {"e": 1}}}},
            "regularization.penalty.values = e: means something else in a formula; use another name",
        ),
    ],
    ids=str,
)
def test_other_formulas_are_refused_with_their_place(config: dict[str, Any], sentence: str) -> None:
    with refused(sentence):
        experiment(config)


HOSTILE = (
    *("(" * 1000 + "x" + ")" * 1000, "-" * 1500 + "x", "x" + "+x" * 900, "x" * 3000, "9**9**9**9**9 * x", "9" * 1999, "x" + "**9" * 300),
    *("().__class__.__base__", "x.__class__", "__builtins__", "lambda: x", "[x for x in x]", "x := 1", "f'{x}'", "x\0", "ｘ", "x\\", "'x'"),
    *(
        "exec(x)",
        "eval(x)",
        "open(x)",
        "sum(x for x in x)",
        "tanh(*x)",
        "tanh(**x)",
        "max(x, key=x)",
        "await x",
        "yield x",
        "not",
        "1_0 * x",
    ),
    *("x if x else x", "x @ x", "x // x", "x % x", "~x", "x is x", "x in x", "print(x)", "globals()", "0x10 * x", "1j * x", "True", "None"),
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_one_line(text: str) -> None:
    _one_line_or_formula(text)


def _random_texts(count: int) -> itertools.chain[str]:
    """Letters, tokens, and formulas of which something was broken."""
    drawn = random.Random(0)
    tokens = [
        *FUNCTIONS,
        *HOST_FUNCTIONS,
        *REDUCTIONS,
        *CONSTANTS,
        *"()+-*/<>=,.!^[]{}:;'\"\\@~%&|",
        "**",
        "==",
        " ",
        "x",
        "beta",
        "1",
        "0.5",
    ]
    tokens += ["axis=-1", "axis=0", "1e308", "if", "else", "lambda", "import", "__class__", "and", "or", "not", "é", "\0", "\n", "9**9**9"]

    def grown(depth: int) -> str:
        if depth == 0 or drawn.random() < 0.2:
            return drawn.choice(["x", "beta", "1", "0.5", "pi", "2"])
        kind = drawn.random()
        if kind < 0.5:
            return f"({grown(depth - 1)} {drawn.choice(['+', '-', '*', '/', '**', '<', '>='])} {grown(depth - 1)})"
        name, (least, _) = drawn.choice(list(FUNCTIONS.items()))
        return f"{name}({', '.join(grown(depth - 1) for _ in range(least))})"

    def broken(text: str) -> str:
        place = drawn.randrange(len(text) + 1)
        return text[:place] + drawn.choice(tokens) + text[place + drawn.randrange(3) :]

    letters = ("".join(drawn.choice(string.printable) for _ in range(drawn.randrange(60))) for _ in range(count // 4))
    mixed = ("".join(drawn.choice(tokens) for _ in range(drawn.randrange(40))) for _ in range(count // 4))
    whole = (grown(drawn.randrange(1, 7)) for _ in range(count // 4))
    return itertools.chain(letters, mixed, whole, (broken(grown(drawn.randrange(1, 6))) for _ in range(count // 4)))


def _one_line_or_formula(text: str) -> bool:
    """Whether it is a formula; what is none is told on one line of bounded length, and what is one has names of the list alone."""
    try:
        FormulaActivation(forward=text, values={"beta": 1.5} if "beta" in text else {}).check()
    except ConfigError as error:
        assert "\n" not in str(error) and len(str(error)) < 700 and "^" in str(error) + "^" * (error.at == "values")
        return False
    assert set(names_of(parse(text, at="forward"))) <= {"x", "beta", *CONSTANTS}
    return True


def _stream(count: int) -> None:
    start, before, longest, formulas = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0.0, 0
    for text in _random_texts(count):
        began = time.process_time()
        formulas += _one_line_or_formula(text)
        longest = max(longest, time.process_time() - began)
    spent, grown = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{count} texts, {formulas} formulas: {spent:.1f} s, the longest {1e3 * longest:.1f} ms, {grown / 1024:.1f} MiB more")
    assert formulas > count // 30 and longest < 1.0 and grown < 64 * 1024


def test_random_and_broken_texts() -> None:
    _stream(2_000)


@pytest.mark.slow
def test_fifty_thousand_random_and_broken_texts() -> None:
    _stream(50_000)


def test_a_text_of_the_longest_length_is_looked_at_and_no_more() -> None:
    with pytest.raises(ConfigError, match=f"is longer than {LONGEST} letters"):
        parse("x" * (LONGEST + 1), at="here")
