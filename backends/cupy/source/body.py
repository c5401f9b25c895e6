"""The values of a fused body as lines of C: each is loaded or made once, where it is first needed.

level   a name of a body is indexed by
full    e, its number in the grid
column  column
row     row
scalar  nothing
"""

# R rows, C columns of the grid
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from backends.contract import Body, Buffer, Instruction, Level
from backends.cupy.source.mathematics import functions
from backends.cupy.source.text import TYPES, Names, literal

PLACE: Mapping[Level, str] = {"full": "[e]", "column": "[column]", "row": "[row]", "scalar": "[0]"}
# what is stored is read again in a later stage where it is one of these, and made again where it is not
DEAR = frozenset({"exp", "expm1", "log", "log1p", "tanh", "sigmoid", "erf", "uniform", "sqrt", "div"})
NOT_CALLED = frozenset({"constant", "column_index", "uniform", "cast", "sum", "max"})


class Refused(Exception):
    """What no CUDA source is made for; says what in a sentence."""


def missing(body: Body) -> list[str]:
    """The ops of `body` that no function of the templates does."""
    return sorted({i.op for i in body.instructions} - NOT_CALLED - functions())


class BodyText:
    """Writes the values of `body`, whose inputs and outputs lie at the C names in `places`.

    replacing: outputs that lie where an input lies: they are never read again
    """

    def __init__(self, body: Body, names: Names, places: Mapping[str, str], dtypes: Mapping[str, str], replacing: frozenset[str]) -> None:
        self.body, self.names, self.places, self.replacing = body, names, places, replacing
        self.dtype = dict(dtypes) | {i.name: i.dtype for i in body.instructions}
        self.inputs = [name for name, _ in body.inputs]

    def lines(self, wanted: Iterable[str], known: set[str], stage: int = 0) -> list[str]:
        """The lines that make `wanted`, with all that they need and that is not in `known`, which grows."""
        text: list[str] = []
        for name in wanted:
            self._make(name, known, stage, text)
        return text

    def _make(self, name: str, known: set[str], stage: int, text: list[str]) -> None:
        if name in known:
            return
        level = self.body.levels[name]
        if name in self.inputs or self._again(name, stage):
            value = f"{self.places[name]}{PLACE[level]}"
        else:
            i = self.body.made[name]
            assert not i.reduces, f"{name} is a sum, which is made before it is read"
            for operand in i.operands:
                self._make(operand, known, stage, text)
            value = self._expression(i)
        known.add(name)
        text.append(f"const {TYPES[self.dtype[name]]} {self.names(name)} = {value};")

    def _again(self, name: str, stage: int) -> bool:
        """Whether it was stored in an earlier stage and is dear to make again."""
        kept = self.body.levels[name] == "full" and name in self.body.outputs and name not in self.replacing
        return kept and self.body.stages[name] < stage and self.body.made[name].op in DEAR

    def _expression(self, i: Instruction) -> str:
        operands = [self.names(o) for o in i.operands]
        match i.op:
            case "constant":
                return literal(i.attributes["value"], i.dtype)
            case "column_index":
                return "0" if i.level == "scalar" else "column"
            case "cast":
                return f"{TYPES[i.dtype]}({operands[0]})"
            case "uniform":
                seed, low, high = operands
                return f"op::uniform(e, {seed}, {low}, {high}, {i.attributes['stream']}u, {i.attributes['path']}u)"
        return f"op::{i.op}({', '.join(operands)})"

    def store(self, name: str, place: str | None = None) -> str:
        """The line that stores an output."""
        return f"{self.places[name]}{place or PLACE[self.body.levels[name]]} = {self.names(name)};"

    def ready(self, level: Level, stage: int) -> list[str]:
        """The values of `level`, no sums, that are ready in `stage`."""
        return [i.name for i in self.body.instructions if i.level == level and not i.reduces and self.body.stages[i.name] <= stage]

    def outputs(self, level: Level) -> list[str]:
        """The outputs of `level`."""
        return [name for name in self.body.outputs if self.body.levels[name] == level]

    def sums(self, stage: int) -> list[Instruction]:
        """The reductions that end with `stage`."""
        return [i for i in self.body.reductions if self.body.stages[i.name] == stage + 1]

    def stores(self, stage: int) -> list[str]:
        """The full-size outputs that are stored in `stage`."""
        last = max(self.body.stages.values(), default=0)
        ready = {name: last if name in self.replacing else self.body.stages[name] for name in self.outputs("full")}
        return [name for name in ready if ready[name] == stage]


def replacing(body: Body, inputs: Sequence[Buffer], outputs: Sequence[Buffer]) -> frozenset[str]:
    """The full-size outputs that lie where an input lies."""
    read = {(b.region, b.offset) for b in inputs if b.region in ("state", "work")}
    return frozenset(
        name for name, b in zip(body.outputs, outputs, strict=True) if (b.region, b.offset) in read and b.count == body.rows * body.columns
    )
