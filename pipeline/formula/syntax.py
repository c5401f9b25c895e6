"""The text of a formula as a tree of Python's own grammar, of which little is allowed: numbers, names, arithmetic, comparisons, functions.

Nothing is ever evaluated by Python.  The text is cut into tokens first, so that what reaches `ast.parse` is short and of few letters.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import NoReturn

from pipeline.errors import ConfigError, nearest

LONGEST, MOST_TOKENS, DEEPEST = 2000, 400, 50
DEEPEST_TREE = 120  # a sum of n terms is n deep
SEEN = 50  # letters of a long formula shown on each side of a mistake
CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}
# function -> the fewest and the most operands
FUNCTIONS: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(("abs", "exp", "expm1", "log", "log1p", "sqrt", "square", "sign", "tanh", "sinh", "cosh"), (1, 1)),
    **dict.fromkeys(("sigmoid", "softplus", "relu", "erf"), (1, 1)),
    **dict.fromkeys(("maximum", "minimum"), (2, 2)),
    **dict.fromkeys(("where", "clip"), (3, 3)),
}
HOST_FUNCTIONS: Mapping[str, tuple[int, int]] = dict.fromkeys(("sin", "cos", "floor"), (1, 1))  # of numbers alone
REDUCTIONS = ("sum", "mean", "max", "min", "norm")
WORDS = ("and", "or", "not")
_TOKEN = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>\*\*|[<>=!]=|[-+*/()<>,=])", re.ASCII
)
_ALLOWED = (
    *(ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Call, ast.Name, ast.Constant, ast.keyword, ast.Load),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd, ast.Not, ast.And, ast.Or),
    *(ast.Gt, ast.Lt, ast.GtE, ast.LtE, ast.Eq, ast.NotEq),
)


def refuse(at: str, text: str, place: int, rule: str, hint: str = "") -> NoReturn:
    """Raises ConfigError: `at = text: rule; hint` with a caret in the text before what is wrong."""
    place = min(max(place, 0), len(text))
    start, end = max(0, place - SEEN), place + SEEN
    before, after = text[start:place], text[place:end]
    shown = f"{'...' if start else ''}{before}^{after}{'...' if end < len(text) else ''}"
    raise ConfigError(at=at, got="".join(c if " " <= c <= "~" else "?" for c in shown), rule=rule, hint=hint)


def parse(text: str, *, at: str) -> ast.expr:
    """The tree of `text`, whose places (`col_offset`) are those of `one_line(text)`.  Raises ConfigError, which names `at`."""
    text = one_line(text)
    if not text:
        refuse(at, text, 0, "is empty", "write a formula, such as x * sigmoid(x)")
    found = _tree(text)
    if isinstance(found, ast.expr):
        return found
    place, rule, hint = found
    refuse(at, text, place, rule, hint)


def one_line(text: str) -> str:
    """The text without blanks around it, and with one for each line break within."""
    return re.sub(r"\s", " ", text).strip()


@lru_cache(maxsize=1024)
def _tree(text: str) -> ast.expr | tuple[int, str, str]:
    """The tree, or (place, rule, hint) of the first mistake."""
    mistake = _mistake_of_letters(text)
    if mistake is not None:
        return mistake
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        return error.offset - 1 if error.offset else len(text), "cannot be read as a formula", "check the operators and brackets here"
    except (ValueError, MemoryError, RecursionError):
        return 0, "cannot be read as a formula", "write a shorter one"
    return _mistake_of_tree(tree) or tree


def _mistake_of_letters(text: str) -> tuple[int, str, str] | None:
    if len(text) > LONGEST:
        return LONGEST, f"is longer than {LONGEST} letters", "write it in parts"
    place, count, depth = 0, 0, 0
    while place < len(text):
        if text[place] == " ":
            place += 1
            continue
        found = _TOKEN.match(text, place)
        if found is None:
            hint = (
                "write x ** 2 for a power" if text[place] == "^" else "a formula has numbers, names, + - * / **, comparisons and functions"
            )
            return place, "has no meaning in a formula", hint
        end, token = found.end(), found.group()
        if found.lastgroup == "number" and re.match(r"[\w.]", text[end:], re.ASCII):
            return end, "a number ends here", "write a * between a number and a name"
        depth += {"(": 1, ")": -1}.get(token, 0)
        count += 1
        if depth > DEEPEST or count > MOST_TOKENS:
            what = f"more than {DEEPEST} brackets within each other" if depth > DEEPEST else f"more than {MOST_TOKENS} words and signs"
            return place, f"has {what}", "write a shorter one"
        place = end
    return None


def _mistake_of_tree(tree: ast.expr) -> tuple[int, str, str] | None:
    """The first thing that is not allowed, found without recursion."""
    waiting: list[tuple[ast.AST, int, int]] = [(tree, 0, 0)]
    while waiting:
        node, place, depth = waiting.pop()
        place = getattr(node, "col_offset", place)
        if depth > DEEPEST_TREE:
            return place, "is nested too deeply", "write a shorter one"
        mistake = _mistake_of_node(node)
        if mistake is not None:
            return place, *mistake
        if not isinstance(node, ast.keyword):  # an axis, which is looked at where the function is
            waiting += [(child, place, depth + 1) for child in ast.iter_child_nodes(node)]
    return None


def _mistake_of_node(node: ast.AST) -> tuple[str, str] | None:
    if isinstance(node, ast.IfExp):
        return "if and else are not for formulas", "write where(condition, then, otherwise)"
    if not isinstance(node, _ALLOWED):
        return "is not allowed in a formula", "a formula has numbers, names, + - * / **, comparisons and functions"
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
            return "is no number", "write a number"
        if not math.isfinite(_as_float(node.value)):
            return "is too large a number", "write one below 1e308"
    if isinstance(node, ast.Call):
        return _mistake_of_call(node)
    return None


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _mistake_of_call(node: ast.Call) -> tuple[str, str] | None:
    if not isinstance(node.func, ast.Name):
        return "only a function can be called", "write a * for a product"
    name, count = node.func.id, len(node.args)
    known = {**FUNCTIONS, **HOST_FUNCTIONS}
    if name in REDUCTIONS:
        if name in ("max", "min") and count == 2 and not node.keywords:
            return None
        if count != 1 or [k.arg for k in node.keywords] not in ([], ["axis"]):
            return f"{name} takes one operand and an axis", f"write {name}(x) or {name}(x, axis=-1)"
        return None if not node.keywords or axes_of(node) is not None else ("axis must be a whole number or several", "write axis=-1")
    if name not in known:
        return f"unknown function {name}", nearest(name, (*known, *REDUCTIONS))
    least, most = known[name]
    if node.keywords or not least <= count <= most:
        return (
            f"{name} takes {least} operand{'s' if least > 1 else ''}, and has {count + len(node.keywords)}",
            f"see {name} in the reference",
        )
    return None


def axes_of(call: ast.Call) -> tuple[int, ...] | None:
    """The axes that a reduction states; () where it states none; None where they are no whole numbers."""
    if not call.keywords:
        return ()
    value = call.keywords[0].value
    found: list[int] = []
    for entry in value.elts if isinstance(value, ast.Tuple) else [value]:
        sign, inner = (-1, entry.operand) if isinstance(entry, ast.UnaryOp) and isinstance(entry.op, ast.USub) else (1, entry)
        if not isinstance(inner, ast.Constant) or not isinstance(inner.value, int):
            return None
        found.append(sign * inner.value)
    return tuple(found) or None


def functions_of(tree: ast.expr) -> set[int]:
    """The ids of the nodes that name a function."""
    return {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def names_of(tree: ast.expr) -> dict[str, int]:
    """The names that a tree uses, functions left out -> where each stands first."""
    functions = functions_of(tree)
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and id(node) not in functions:
            found[node.id] = min(node.col_offset, found.get(node.id, node.col_offset))
    return found


def taken(names: Collection[str]) -> set[str]:
    """Names that mean something already, besides `names`."""
    return {*names, *CONSTANTS, *FUNCTIONS, *HOST_FUNCTIONS, *REDUCTIONS, *WORDS}
