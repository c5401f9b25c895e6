"""What all text passes before it leaves the program: no credentials, no control sequences, no formulas.

Written are the config, the facts and the journal of a run, what goes to MLflow, tables, and what the terminal shows.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import numpy as np

HIDDEN = "***"
# scheme://user:SECRET@host, and scheme:/user:SECRET@host, as a path has it.  A secret that is not encoded may hold any letter: the last @
# of the address ends it.  Behind a port (digits up to a slash) an @ belongs to the path.
_LOGIN = re.compile(r"([a-zA-Z][\w+.-]+:/{1,2})(?!\[?[\w.:-]*:\d+\]?[/?#])([^\s:/@\"'?#]*):([^\s\"']*)@")
_WHOLE = re.compile(r"([a-zA-Z][\w+.-]+:/{1,2})(?![\w.:-]*:\d+[/?#])([^:/@?#]*):(.*)@", re.DOTALL)
_TOKEN = re.compile(r"(https?:/{1,2}|git\+\w+:/{1,2})([^\s:/@\"'?#]+)(?=@)")  # https://TOKEN@host, and https://TOKEN:x@host
# password=SECRET, also encoded (PWD%3DSECRET), in the query of an address or anywhere else; up to what ends a value
_KEYS = r"(?:api|access|account|private|shared|signing|encryption|storage|master|auth)[_-]?key"
_NAMES = rf"(?:pw|[\w.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|credentials?|{_KEYS}))"
_PAIR = re.compile(rf"(?i)(?<![\w.-])({_NAMES})(=|%3D)(?!\*\*\*)((?:(?!%3B|%26)[^\s&;\"'#])+)")
_QUOTED = re.compile(rf"(?i)(?<![\w.-])({_NAMES}\s*=\s*)('(?:[^'\\]|\\.)*'|\"[^\"]*\"|\{{[^}}]*\}})")
_DSN = re.compile(r"(?i)\b(?:host|hostaddr|server|dbname|database|driver|uid|data source)\s*=")  # where a quoted value may be one
# what a parameter of an address may be named beside these, as it is written there (%70assword)
_ADDRESS, _PARAMETER = re.compile(r"(?<=\w:/)[^\s\"'<>]+"), re.compile(r"([?&;#])([^=&;#?]+)=(?!\*\*\*)([^&;#]+)")
_WIDE = re.compile(rf"(?i)pass|pwd|^pw$|secret|token|cred|^o?auth|signature|^sig$|session|^key$|{_KEYS}|^code$|^sas$|^jwt$|^otp$")
# addresses without a scheme, and Oracle's
_BARE = re.compile(r"(?<![\w:/.@-])((?://)?[\w.%+-]+):([^\s:@/\"']+)@(?=\[?[\w.-]+\]?(?::\d|/))")
_ORACLE = re.compile(r"(?i)(jdbc:oracle:\w+:[^/\s]+)/([^@\s]+)@")
_KNOWN = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|sk-[A-Za-z0-9]{20,}"
    r"|hf_[A-Za-z0-9]{30,}|dapi[0-9a-f]{32}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+)|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END|.*)",
    re.DOTALL,
)
_SHAPES = ("gh", "glpat", "xox", "AKIA", "sk-", "hf_", "dapi", "eyJ", "PRIVATE")
_AUTHORIZATION = re.compile(
    r"(?i)(authorization\s*[:=]\s*(?:(?:bearer|basic|token|digest)\s+)?)(?!\*\*\*|(?:bearer|basic|token|digest)\s)[^\s\"',;]+"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)(\s+)(?!\*\*\*)(?=[\w.~+/=-]*(?-i:[A-Z0-9=]))[\w.~+/=-]{8,}")  # and no word of a sentence
_concealed: set[str] = set()  # what this process was told in confidence: values of the environment
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # the wide ones are read as the others in Japan
_TURNS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2028\u2029\u2066\u2067\u2068\u2069")  # they reorder or break a line


def conceal(values: Iterable[str]) -> None:
    """From now on these are hidden too, as whole words, wherever text of the config may leave."""
    _concealed.update(values)


def hidden(text: str) -> str:
    """The text without credentials, and without what was told in confidence, each as ***."""
    for value in _concealed:
        if value in text:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", HIDDEN, text)
    return without_credentials(text)


def without_credentials(text: str) -> str:
    """The text with each credential as ***: in an address (user:SECRET@host, TOKEN@host, ?password=SECRET), in name=SECRET, and tokens that
    are known by their form."""
    if "\\:" in text and (shown := without_credentials(text.replace("\\:", ":"))) != text.replace(
        "\\:", ":"
    ):  # an override as Hydra has it
        return shown
    if ":/" in text:
        text = (_LOGIN if re.search(r"\s", text.split(":/", 1)[0]) or "\n" in text else _WHOLE).sub(rf"\1\2:{HIDDEN}@", text)
        text = _LOGIN.sub(rf"\1\2:{HIDDEN}@", text)
        text = _TOKEN.sub(rf"\1{HIDDEN}", text) if f":{HIDDEN}@" not in text else text
        text = _ADDRESS.sub(lambda found: _PARAMETER.sub(_parameter, found[0]), text) if "=" in text else text
    if "@" in text:
        text = _ORACLE.sub(rf"\1/{HIDDEN}@", _BARE.sub(rf"\1:{HIDDEN}@", text))
    if "=" in text or "%3" in text:
        text = _QUOTED.sub(rf"\1{HIDDEN}", text) if _DSN.search(text) else text
        text = _PAIR.sub(rf"\1\2{HIDDEN}", text)
    if any(shape in text for shape in _SHAPES):
        text = _KNOWN.sub(HIDDEN, text)
    text = _AUTHORIZATION.sub(rf"\1{HIDDEN}", text) if "uthorization" in text or "AUTHORIZATION" in text else text
    return _BEARER.sub(rf"\1\2{HIDDEN}", text) if "earer" in text or "asic" in text or "BEARER" in text else text


def _parameter(found: re.Match[str]) -> str:
    """A parameter of an address, its value hidden where its name says that it is one to hide."""
    return f"{found[1]}{found[2]}={HIDDEN}" if _WIDE.search(unquote(found[2])) else found[0]


def harmless(text: str) -> str:
    r"""The text with each control character but line ends and tabs written out, \x1b for the one that a terminal obeys."""
    if text.isprintable():
        return text
    return "".join(f"\\x{ord(letter):02x}" if _acts(letter) else letter for letter in text)


def _acts(letter: str) -> bool:
    return letter in _TURNS or (letter not in "\n\t" and unicodedata.category(letter) == "Cc")


def leaving(text: str) -> str:
    """What of a text may be seen."""
    return harmless(hidden(text))


def cell(value: object) -> object:
    """A value of a table for spreadsheets: text that they would take for a formula begins with an apostrophe, which they do not show."""
    if not isinstance(value, str):
        return value
    text = leaving(value)
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def comma_separated(rows: Iterable[Iterable[object]]) -> str:
    """Rows of cells as CSV, each as `cell` has it: the one way in which tables leave for spreadsheets."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(cell, row) for row in rows)
    return text.getvalue()


def in_json(value: Any) -> Any:
    """`value` in JSON's terms, its text as it may be seen.

    NumPy scalars become numbers, non-finite numbers the words nan, inf, -inf (`float` reads them back).
    """
    if type(value) is float:
        return value if math.isfinite(value) else str(value)
    if type(value) is str:
        return leaving(value)
    if isinstance(value, dict | Mapping):
        return {str(key): in_json(item) for key, item in value.items()}
    if isinstance(value, np.generic | np.ndarray):
        return in_json(value.tolist())
    if isinstance(value, (list, tuple)):
        return [in_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return leaving(value)
    return value if isinstance(value, (int, float, bool, type(None))) else leaving(str(value))


PLAIN = {
    "─": "-", "━": "-", "╸": "-", "╺": "-", "±": "+-", "×": "x", "→": "->", "…": "...", "–": "-", "—": "-", "≥": ">=", "≤": "<=", "µ": "u",
}  # fmt: skip


def speakable() -> None:
    """Lets standard output and the errors write anything: what their encoding has no letter for is written in plain letters."""
    codecs.register_error("plainly", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plainly")


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(PLAIN.get(letter, letter.encode("ascii", "backslashreplace").decode()) for letter in letters), error.end
