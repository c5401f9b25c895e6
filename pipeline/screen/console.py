"""The terminal: where tasks print, one line at a time, and what is left of it in a pipe."""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from pipeline.text import leaving


def console_for(*, quiet: bool = False) -> Console:
    """The console of standard output, or one that swallows everything."""
    width = None if sys.stdout.isatty() else 200  # a file has no edge at which a table would have to fold
    return Unheard(file=sys.stdout, quiet=quiet, highlight=False, emoji=False, width=width)  # a class `a:boom:b` is shown as written


class Unheard(Console):
    """A console whose reader may leave (`| head`): the training goes on without it."""

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
