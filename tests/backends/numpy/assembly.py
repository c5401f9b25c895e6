"""Machine code of a kernel as text, and the innermost loops in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import llvmlite.binding as llvm

from backends.numpy.kernels.kernel import Kernel
from backends.numpy.machine.cache import optimize
from backends.numpy.machine.processor import Processor

# an instruction on registers of the full width, a packed multiply-and-add (on plain x86-64 its first half), one on a single number
WIDE = {
    "AVX-512": r".*%zmm",
    "AVX2": r".*%ymm",
    "plain": r"(?:\w+p[sd]|p\w+|movdq[au]|cvt\w+)\s.*%xmm",
    "NEON": r".*\b(?:v\d+\.|q\d+)",
}
FMA = {
    "AVX-512": r"vfmadd(?:132|213|231)p[sd]\s.*%zmm",
    "AVX2": r"vfmadd(?:132|213|231)p[sd]\s.*%ymm",
    "plain": r"mulp[sd]\s.*%xmm",
    "NEON": r"fmla\s+v\d+\.(?:4s|2d)",
}
SINGLE = r"vf(?:n?m)(?:add|sub)(?:132|213|231)s[sd]\s|(?:add|mul)s[sd]\s|fn?m(?:add|sub)\s|(?:call|callq|bl)\s+\S*fma"
_LABEL = re.compile(r"^([.\w$]+):")
_JUMP = re.compile(r"^(?:j\w+|b|b\.\w+|cbn?z|tbn?z)\s.*?([.\w$]+)$")


@dataclass(frozen=True, slots=True)
class Loop:
    """The instructions of an innermost loop."""

    lines: tuple[str, ...]

    def matching(self, pattern: str) -> list[str]:
        """Those that match."""
        return [line for line in self.lines if re.match(pattern, line)]

    def count(self, pattern: str) -> int:
        """How many of them match."""
        return len(self.matching(pattern))


def assembly(kernel: Kernel, processor: Processor) -> str:
    """The optimized kernel as assembly text."""
    machine = processor.machine()
    source = kernel.build()
    source.triple, source.data_layout = processor.triple, str(machine.target_data)
    module = llvm.parse_assembly(str(source))
    optimize(module, machine)
    return str(machine.emit_assembly(module))


def loops(text: str) -> list[Loop]:
    """The innermost loops: from a label to a jump back to it, with no other such jump between."""
    lines: list[str] = []
    place: dict[str, int] = {}
    found: list[Loop] = []
    start = 0  # the innermost loop begins no earlier
    for raw in text.splitlines():
        line = re.split(r"\s*(?:##|//)\s|\s+# ", raw.strip())[0].strip()
        if label := _LABEL.match(line):
            place[label[1]] = len(lines)
        elif line and not line.startswith((".", "#", "//")):
            lines.append(line)
            jump = _JUMP.match(line)
            if jump and place.get(jump[1], -1) >= start:
                found.append(Loop(tuple(lines[place[jump[1]] :])))
                start = len(lines)
    return found
