"""What a notebook shows of a program, a result or a sweep: small tables as HTML, and whether there is a notebook."""

from __future__ import annotations

import html
import sys
from collections.abc import Sequence

from pipeline.text import leaving


class Lines(str):
    """Text of many lines, which a notebook shows as it is printed, not as a literal."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """In a font in which columns stand below each other."""
        return f'<pre style="line-height:1.3">{html.escape(leaving(self))}</pre>'


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, after: str = "") -> str:
    """A table with a line above it and one below; the first column to the left, numbers to the right; text is shown as written."""

    def line(kind: str, cells: Sequence[str]) -> str:
        sides = ("left", *("right" for _ in cells[1:]))
        return "".join(f'<{kind} style="text-align:{side}">{_shown(cell)}</{kind}>' for side, cell in zip(sides, cells, strict=True))

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    below = f"<div>{_shown(after)}</div>" if after else ""
    return (
        f"<div><div><b>{_shown(title)}</b></div><table><thead><tr>{line('th', head)}</tr></thead><tbody>{body}</tbody></table>{below}</div>"
    )


def _shown(text: str) -> str:
    return html.escape(leaving(text))


def in_notebook() -> bool:
    """Whether what is shown goes to a notebook: IPython runs, and has a kernel behind it."""
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python is not None else None
    return getattr(shell, "kernel", None) is not None
