"""A formula with the names that it may use, put into the form that is computed, and every check that needs no tensor."""

from __future__ import annotations

import ast
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from pipeline.errors import ConfigError, nearest
from pipeline.formula import host
from pipeline.formula.syntax import CONSTANTS, HOST_FUNCTIONS, REDUCTIONS, axes_of, names_of, one_line, parse, refuse, taken

ALL: tuple[int, ...] = ()  # a reduction over all axes
LAST: tuple[int, ...] = (-1,)


@dataclass(frozen=True, kw_only=True)
class Formula:
    """field     where it stands in its record: `forward`, `update.step`
    text      what the config says
    tensors   names of tensors that it may use
    numbers   names of numbers that it may use: the values of its record and what the clock tells
    reduces   the axes that its reductions may run over: ALL, LAST
    """

    field: str
    text: str
    tensors: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    reduces: tuple[tuple[int, ...], ...] = ()

    @cached_property
    def tree(self) -> ast.expr:
        """What is computed: the text's tree in its stable form.  Raises ConfigError whose path is the field."""
        return _stable(parse(self.text, at=self.field), self.tensors)

    @cached_property
    def names(self) -> Mapping[str, int]:
        """The names that the text uses."""
        return names_of(parse(self.text, at=self.field))

    def depends(self, node: ast.AST) -> bool:
        """Whether what `node` stands for is made of a tensor."""
        return any(isinstance(part, ast.Name) and part.id in self.tensors for part in ast.walk(node))

    def slopes(self, names: Collection[str], node: ast.expr | None = None) -> bool:
        """Whether the formula's derivative by one of the tensors `names` is more than 0 everywhere."""
        node = node or self.tree
        if isinstance(node, ast.Name):
            return node.id in names
        if isinstance(node, (ast.Compare, ast.BoolOp)) or _is_call(node, "sign"):
            return False
        parts = [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]
        if isinstance(node, ast.Call):
            parts = node.args[1:] if _is_call(node, "where") else node.args
        return any(self.slopes(names, part) for part in parts)

    def refuse(self, node: ast.AST, rule: str, hint: str = "") -> ConfigError:
        """Raises ConfigError with a caret at `node`."""
        refuse(self.field, one_line(self.text), getattr(node, "col_offset", 0), rule, hint)

    @cached_property
    def parts(self) -> Mapping[str, tuple[str, ast.expr]]:
        """The largest parts that are made of numbers alone: what `key` says of one -> its name and its tree.

        A part is one value of a step, computed on the host in float64 and rounded once.
        """
        found: dict[str, tuple[str, ast.expr]] = {}
        for node in self._numbers(self.tree):
            name = node.id if isinstance(node, ast.Name) and node.id not in CONSTANTS else str(len(found) + 1)
            found.setdefault(key(node), (name, node))
        return found

    def _numbers(self, node: ast.expr) -> Iterator[ast.expr]:
        if not self.depends(node):
            yield node
            return
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr) and not (isinstance(node, ast.Call) and child is node.func):
                yield from self._numbers(child)

    def check(self, values: Mapping[str, float]) -> None:
        """Whether names, functions and axes are such as this formula may use, and its numbers finite.  Raises ConfigError."""
        for name, place in self.names.items():
            if name not in (*self.tensors, *self.numbers, *CONSTANTS):
                self._unknown(name, place)
        self._check_functions()
        for _, node in self.parts.values():
            if all(name in values or name in CONSTANTS for name in names_of(node)):
                made = host.evaluate(node, values)
                if not math.isfinite(float(made)):
                    self.refuse(node, f"is {float(made)}", "numbers must be finite")

    def _unknown(self, name: str, place: int) -> None:
        near = nearest(name, (*self.tensors, *self.numbers, *CONSTANTS))
        hint = near if near.endswith("?") else f"{near}, and put a number of your own under values"
        refuse(self.field, one_line(self.text), place, f"unknown name {name}", hint)

    def _check_functions(self) -> None:
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            name = node.func.id
            if name in HOST_FUNCTIONS and self.depends(node):
                self.refuse(
                    node, f"{name} is for numbers, and this depends on {self._tensor(node)}", "only schedules and initializations have it"
                )
            if name in REDUCTIONS:
                self._check_axes(node, name)

    def _check_axes(self, node: ast.Call, name: str) -> None:
        if not self.depends(node):
            self.refuse(node, f"{name} needs a tensor", f"the tensors are {', '.join(self.tensors)}" if self.tensors else "leave it out")
        if axes_of(node) not in self.reduces:
            words = {ALL: "over all axes, without axis", LAST: "over the last axis, axis=-1"}
            able = " or ".join(words[axes] for axes in self.reduces)
            self.refuse(
                node, f"{name} may run {able} here", f"write {name}(...)" if LAST not in self.reduces else f"write {name}(..., axis=-1)"
            )

    def _tensor(self, node: ast.AST) -> str:
        return next(part.id for part in ast.walk(node) if isinstance(part, ast.Name) and part.id in self.tensors)


class WithFormulas:
    """A record that declares formulas."""

    def formulas(self) -> tuple[Formula, ...]:
        """Each formula of the record."""
        raise NotImplementedError

    def check(self) -> None:
        """Whether the formulas can be computed.  Raises ConfigError whose path is the field of the record."""
        raise NotImplementedError


def key(node: ast.AST) -> str:
    """The same for parts that are written the same."""
    return ast.dump(node)


def check_names(names: Collection[str], reserved: Collection[str], *, at: str) -> None:
    """Whether these can be names of one's own.  Raises ConfigError."""
    for name in names:
        if not name.isidentifier() or not name.isascii() or name.startswith("_"):
            raise ConfigError(at=at, got=name, rule="must be letters, digits and _, a letter first")
        if name in taken(reserved):
            raise ConfigError(at=at, got=name, rule="means something else in a formula", hint="use another name")


def check_used(names: Collection[str], formulas: Collection[Formula], *, at: str) -> None:
    """Whether each of these names stands in one of the formulas.  Raises ConfigError."""
    for name in names:
        if not any(name in formula.names for formula in formulas):
            raise ConfigError(at=at, got=name, rule="no formula uses it", hint="leave it out, or write it into the formula")


def _stable(node: ast.expr, tensors: Collection[str]) -> ast.expr:
    """The tree in a form that neither overflows nor cancels where another does, of the same value.

    log(cosh(u)) and the like become functions of their own, a power with a tensor above an exponential, and to divide a tensor by a number
    is to multiply it by what the host has divided.
    """
    return _Stable(tensors).visit(node)  # type: ignore[no-any-return]  # of an expression an expression


class _Stable(ast.NodeTransformer):
    def __init__(self, tensors: Collection[str]) -> None:
        self.tensors = tensors

    def _moves(self, node: ast.AST) -> bool:
        return any(isinstance(part, ast.Name) and part.id in self.tensors for part in ast.walk(node))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        node = _call(node, name, *(self.visit(argument) for argument in node.args), keywords=node.keywords)
        if name in ("max", "min") and len(node.args) == 2:
            return _call(node, f"{name}imum", *node.args)
        inner = node.args[0] if node.args else node
        if not self._moves(inner):
            return node
        if name == "log" and _is_call(inner, "cosh"):
            return _call(node, "log_cosh", _argument(inner))
        if name == "log" and _is_call(inner, "sigmoid"):
            return _negative(_call(node, "softplus", _negative(_argument(inner))))
        if name == "log1p" and _is_call(inner, "exp"):
            return _call(node, "softplus", _argument(inner))
        if name == "log" and isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Add):
            for one, power in ((inner.left, inner.right), (inner.right, inner.left)):
                if isinstance(one, ast.Constant) and one.value == 1 and _is_call(power, "exp"):
                    return _call(node, "softplus", _argument(power))
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        node = ast.copy_location(ast.BinOp(left=self.visit(node.left), op=node.op, right=self.visit(node.right)), node)
        if isinstance(node.op, ast.Pow) and self._moves(node.right) and not self._moves(node.left):
            rate = _call(node, "log", node.left)
            return _call(node, "exp", ast.copy_location(ast.BinOp(left=node.right, op=ast.Mult(), right=rate), node))
        if isinstance(node.op, ast.Div) and self._moves(node.left) and not self._moves(node.right):
            one = ast.copy_location(ast.Constant(value=1), node.right)
            share = ast.copy_location(ast.BinOp(left=one, op=ast.Div(), right=node.right), node.right)
            return ast.copy_location(ast.BinOp(left=node.left, op=ast.Mult(), right=share), node)
        return node


def _is_call(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _argument(node: ast.AST) -> ast.expr:
    assert isinstance(node, ast.Call)
    return node.args[0]


def _call(at: ast.expr, name: str, *operands: ast.expr, keywords: list[ast.keyword] | None = None) -> ast.Call:
    function = ast.copy_location(ast.Name(id=name, ctx=ast.Load()), at)
    return ast.copy_location(ast.Call(func=function, args=list(operands), keywords=keywords or []), at)


def _negative(node: ast.expr) -> ast.expr:
    return ast.copy_location(ast.UnaryOp(op=ast.USub(), operand=node), node)
