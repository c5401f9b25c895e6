"""A table of text, a heading and rows of cells, in the forms in which it leaves: Markdown, LaTeX, CSV."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline import text

Cells = Sequence[str]
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
_LATEX |= {letter: f"\\{letter}" for letter in "&%$#_{}"}


def markdown(heading: Cells, rows: Sequence[Cells], *, bold: int | None = None) -> str:
    """Row number `bold` stands out."""
    lines = [_line(heading), _line(["---"] * len(heading))]
    lines += [_line([f"**{cell}**" if cell and number == bold else cell for cell in row]) for number, row in enumerate(rows)]
    return "\n".join(lines) + "\n"


def latex(heading: Cells, rows: Sequence[Cells], *, bold: int | None = None) -> str:
    """A tabular with the rules of booktabs; row number `bold` stands out."""
    lines = [rf"\begin{{tabular}}{{{'l' * len(heading)}}}", r"\toprule", _row(heading), r"\midrule"]
    for number, row in enumerate(rows):
        lines.append(_row([rf"\textbf{{{escaped(cell)}}}" if cell and number == bold else escaped(cell) for cell in row], ready=True))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def comma_separated(heading: Cells, rows: Sequence[Cells]) -> str:
    """CSV, cells quoted where they must be and harmless."""
    return text.comma_separated([heading, *rows])


def _line(cells: Cells) -> str:
    return "| " + " | ".join(" ".join(cell.splitlines()).replace("|", "\\|") for cell in cells) + " |"


def _row(cells: Cells, *, ready: bool = False) -> str:
    return " & ".join(cells if ready else map(escaped, cells)) + r" \\"


def escaped(cell: str) -> str:
    """A cell in LaTeX."""
    return "".join(_LATEX.get(letter, letter) for letter in cell)
