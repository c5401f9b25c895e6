"""Overrides as they are typed: what a sentence tells its reader to give works when it is pasted into a shell."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*|-?[1-9]\d{0,14}|0")
_READ_OTHERWISE = ("null", "true", "false", "nan", "inf")  # by Hydra, in any case of letters
_KEY_ESCAPED = "()[]{}:=,\\"
_PLAIN = re.compile(r"[^\W\d_](?:[\w /+.$%@|()²³°€£-]*[\w)²³°€£%])?")  # what the command line takes as it is (config/words.py)
_KEY = re.compile(r"[A-Za-z0-9_/\-+.$%*@?| " + re.escape(_KEY_ESCAPED) + "]")


def column_setting(name: str, setting: str) -> str:
    """`'data.columns={price: {thousands: ","}}'`, in the quotes of a shell."""
    return shell(f"data.columns={{{key(name)}: {{{setting}}}}}")


def ignoring(*names: str) -> str:
    """`data.ignore=[name]`, quoted where it must be."""
    return shell(f"data.ignore=[{','.join(map(written, names))}]")


def shell(text: str) -> str:
    """`text` as one word of a shell."""
    return text if re.fullmatch(r"[\w.=\[\]/+-]+", text, re.ASCII) else "'" + text.replace("'", "'\\''") + "'"


def written(text: str) -> str:
    """A word as Hydra reads it back."""
    if _BARE.fullmatch(text) and text.lower() not in _READ_OTHERWISE:
        return text
    return '"' + re.sub(r'(\\*)"', r'\1\1\\"', text) + '"'


def key(name: str) -> str:
    """The name of a column as a key; ? stands for each character that a key cannot hold (see `matching`)."""
    otherwise = name.lower() in _READ_OTHERWISE
    if not otherwise and _PLAIN.fullmatch(name) and name.count("(") == len(re.findall(r"\([^()]*\)", name)) == name.count(")"):
        return name
    if otherwise or (re.match(r"[+-]?[.\d]", name) and not _BARE.fullmatch(name)):
        name = name[:-1] + "?"  # Hydra would read it as something else than a word
    marked = name[:1].replace(" ", "?") + name[1:-1] + (name[-1:].replace(" ", "?") if len(name) > 1 else "")
    return "".join(_key_character(character) for character in marked)


def _key_character(character: str) -> str:
    if not _KEY.fullmatch(character):
        return "?"
    return f"\\{character}" if character in _KEY_ESCAPED else character


def matching(pattern: str, names: Sequence[str]) -> list[str]:
    """The names that a key of data.columns is for: the one so called, else those that it fits with * for any text and ? for a character."""
    if pattern in names:
        return [pattern]
    form = re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern), re.DOTALL)
    return [name for name in names if form.fullmatch(name)]


def listed(cells: Sequence[str], most: int = 3) -> str:
    """`'a', 'b', 'c' and 5 more`."""
    shown = ", ".join(repr(text) for text in cells[:most])
    return shown + (f" and {len(cells) - most} more" if len(cells) > most else "")
