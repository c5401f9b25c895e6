"""Words of a command line that Hydra's grammar has no letters for: `data.path=données.csv`, `data.ignore=[petal length (cm)]`.

`as_hydra` rewrites an override that Hydra cannot read: words are quoted, `layers[0].units` becomes `layers.0.units`, and a key of
odd letters (`data.columns.größe.kind`) is written in letters that Hydra has; `as_written` is the way back for keys.
What Hydra reads stays as it is.
"""

from __future__ import annotations

import re
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

_INDEX = re.compile(r"\[(\d+)\]")
_KEY = re.compile(r"[+~]{0,2}[^\W\d][\w-]*(\.[\w-]+)*", re.ASCII)
_CODED = re.compile(r"_-([0-9a-f]+)-_")
_CLOSES = {"[": "]", "{": "}"}


def as_hydra(text: str) -> str:
    """The override as Hydra reads it, or `text` itself where it does already or is beyond help."""
    if _reads(text):
        return text
    key, equals, value = text.partition("=")
    key = _INDEX.sub(r".\1", key)
    if not equals or "@" in key or "/" in key:
        return text
    if not _KEY.fullmatch(key):
        plus = key[: len(key) - len(key.lstrip("+"))]
        key = plus + ".".join(_coded(part) for part in key[len(plus) :].split("."))
    if _reads(f"{key}={value}"):
        return f"{key}={value}"
    try:
        pieces = _Reader(value).pieces()
    except ValueError:
        pieces = [quoted(value.strip())]
    made = f"{key}={','.join(pieces)}"
    return made if _reads(made) else f"{key}={quoted(value.strip())}"


def as_written(config: Any) -> Any:
    """A composed config, or the text of an override, with its keys in their own letters."""
    if isinstance(config, str):
        return _CODED.sub(lambda found: chr(int(found[1], 16)), config)
    if isinstance(config, dict):
        return {as_written(key) if isinstance(key, str) else key: _inside(value) for key, value in config.items()}
    return [_inside(value) for value in config]


def _inside(value: Any) -> Any:
    return as_written(value) if isinstance(value, dict | list) else value


def _reads(text: str) -> bool:
    try:
        OverridesParser.create().parse_override(text)
    except HydraException:
        return False
    return True


def _coded(key: str) -> str:
    """A key in letters that Hydra has: `größe` -> `gr_-f6-__-df-_e`."""
    whole = key.isascii() and key.isdigit()
    return key if whole else re.sub(r"[^\w-]|^[\d-]", lambda found: f"_-{ord(found[0]):x}-_", key, flags=re.ASCII)


def _bare(key: str) -> str:
    """A key without the quotes around it, which Hydra takes around values alone."""
    return key[1:-1] if len(key) > 2 and key[0] == key[-1] and key[0] in "'\"" else key


def quoted(word: str) -> str:
    """A word in quotes.  Backslashes are themselves to Hydra but before a quote."""
    return '"' + re.sub(r'(\\*)("|\Z)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), word) + '"'


def _word(text: str) -> str:
    """One word or number, quoted where Hydra cannot read it."""
    text = text.strip()
    return text if _reads(f"a=[{text}]") else quoted(text)


class _Reader:
    """Values between commas: words, lists and mappings of them.  A comma within round brackets belongs to its word."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def pieces(self, close: str = "") -> list[str]:
        """Up to `close`.  Raises ValueError where brackets do not match."""
        made: list[str] = []
        while True:
            self._blanks()
            if close and self._next() == close and not made:
                break
            made.append(self._item(close))
            self._blanks()
            if self._next() != ",":
                break
            self.place += 1
        if self._next() != close:
            raise ValueError(self.text)
        self.place += len(close)
        return made

    def _item(self, close: str) -> str:
        key = f"{_coded(_bare(self._until(':').strip()))}:" if close == "}" else ""
        self.place += len(key) > 0
        self._blanks()
        opens = self._next()
        if opens in _CLOSES:
            self.place += 1
            return f"{key}{opens}{','.join(self.pieces(_CLOSES[opens]))}{_CLOSES[opens]}"
        return key + _word(self._until("," + close))

    def _until(self, ends: str) -> str:
        """The text before one of `ends`; a quoted one may hold them."""
        self._blanks()
        start, depth, quote = self.place, 0, ""
        if self._next() in ("'", '"'):
            quote = self._next()
            self.place += 1
        while self._next() and (quote or depth or self._next() not in ends):
            letter = self._next()
            if quote:
                quote = "" if letter == quote else quote
            else:
                depth = max(0, depth + (letter == "(") - (letter == ")"))
            self.place += 1
        found = self.text[start : self.place]
        if ":" in ends and not self._next():
            raise ValueError(self.text)
        return found

    def _next(self) -> str:
        return self.text[self.place : self.place + 1]

    def _blanks(self) -> None:
        while self._next().isspace():
            self.place += 1
