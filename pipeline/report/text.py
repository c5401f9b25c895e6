"""The parts as Markdown and LaTeX, and the main table as CSV."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.report.parts import Chart, Heading, Part, Picture, Table, Text
from pipeline.sweeps import forms
from pipeline.text import cell

LEFT_OUT = "{count} chart{s} {are} left out; format=html draws them."


def markdown(parts: Sequence[Part]) -> str:
    """All but the charts."""
    made = []
    for part in _worded(parts):
        if isinstance(part, Heading):
            made.append(f"{'#' * part.level} {part.text}")
        elif isinstance(part, Text):
            made.append(part.text)
        elif isinstance(part, Table):
            made.append(forms.markdown(part.heading, part.rows, bold=part.bold).rstrip("\n"))
    return "\n\n".join([*made, *_left_out(parts)]) + "\n"


def latex(parts: Sequence[Part]) -> str:
    """Sections and tables to be included in a paper, which loads booktabs."""
    made = []
    for part in _worded(parts):
        if isinstance(part, Heading):
            made.append(rf"\{'section' if part.level == 1 else 'subsection'}*{{{forms.escaped(part.text)}}}")
        elif isinstance(part, Text):
            made.append(forms.escaped(part.text))
        elif isinstance(part, Table):
            made.append(forms.latex(part.heading, part.rows, bold=part.bold).rstrip("\n"))
    return "\n\n".join([*made, *(f"% {line}" for line in _left_out(parts))]) + "\n"


def comma_separated(parts: Sequence[Part]) -> str:
    """The main table."""
    table = next(part for part in parts if isinstance(part, Table) and part.main)
    return forms.comma_separated([str(cell(text)) for text in table.heading], [[str(cell(text)) for text in row] for row in table.rows])


def _left_out(parts: Sequence[Part]) -> list[str]:
    count = sum(isinstance(part, Chart | Picture) for part in parts)
    return [LEFT_OUT.format(count=count, s="" if count == 1 else "s", are="is" if count == 1 else "are")] if count else []


def _worded(parts: Sequence[Part]) -> list[Part]:
    """Without the charts, and without headings that nothing follows then."""
    kept = [part for part in parts if not isinstance(part, Chart | Picture)]
    after = [*kept[1:], Heading(text="")]
    return [part for part, following in zip(kept, after, strict=True) if not _is_empty(part, following)]


def _is_empty(part: Part, following: Part) -> bool:
    return isinstance(part, Heading) and part.level > 1 and isinstance(following, Heading) and following.level <= part.level
