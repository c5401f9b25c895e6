"""The terminal: where tasks print, one line at a time, and what is left of it in a pipe."""

from __future__ import annotations

import os
import re
import sys
from typing import IO, Any, cast

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pipeline.text import leaving


def console_for(*, quiet: bool = False) -> Console:
    """The console of standard output, or one that swallows everything."""
    if sys.stdout.isatty():
        return Unheard(file=sys.stdout, quiet=quiet, highlight=False, emoji=False)  # a class `a:boom:b` is shown as written
    width = 10_000  # a file has no edge at which a table would have to fold
    plain = cast(IO[str], Trimmed())
    # Neither a notebook's kernel, which would get a block of HTML a line, nor FORCE_COLOR makes it a terminal: a bar would write to itself.
    return Unheard(
        file=plain, quiet=quiet, highlight=False, emoji=False, width=width, force_terminal=False, force_jupyter=False
    )  # fmt: skip


class Trimmed:
    """Standard output, as it is when it is written to, without the blanks with which a table fills its lines."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        """Whole lines, which is what a console writes."""
        return sys.stdout.write(re.sub(r" +(?=\n)", "", text))

    def flush(self) -> None:
        """Of standard output."""
        sys.stdout.flush()

    def isatty(self) -> bool:
        """Never."""
        return False


class Unheard(Console):
    """A console whose reader may leave (`| head`): the training goes on without it."""

    def print(self, *objects: Any, **options: Any) -> None:
        """A table's title is a line of its own, however narrow the table: rich would fold it."""
        for each in objects:
            if isinstance(each, Table) and each.title is not None:
                super().print(each.title, style=each.title_style, soft_wrap=True)
                each.title = None
        super().print(*objects, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """All that is printed passes here: without credentials and control sequences."""
        return super().render_str(leaving(text), **options)

    def on_broken_pipe(self) -> None:
        """Says nothing more."""
        self.quiet = True
        sys.stdout = self.file = open(os.devnull, "w")  # noqa: SIM115  # for as long as the process lives


def say(console: Console, text: str) -> None:
    """One line as it is: never wrapped, never marked up, so that a path or a link can be copied."""
    console.print(escape(text), soft_wrap=True)


def say_once(console: Console, note: str, said: set[str]) -> None:
    """A note, unless it is among those `said`."""
    if note not in said:
        said.add(note)
        say(console, f"note: {note}")
