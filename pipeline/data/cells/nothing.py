"""What people and programs write where a number, a date or a truth value is missing: signs, errors of spreadsheets, words.

Beside these a cell is missing in any column where `columns.Missing` says so: where it is empty, or NA.
"""

from __future__ import annotations

import re

WORDS_FOR_NOTHING = frozenset(  # among numbers; among words each may be a word
    (
        *("none", "nil", "missing", "unknown", "undefined", "not available", "not applicable", "no data", "no value", "blank", "empty"),
        *("unbekannt", "keine angabe", "fehlt", "inconnu", "non disponible", "n.d.", "n. d.", "nd", "n.v.", "tbd", "tba"),
    )
)
SIGNS_FOR_NOTHING = frozenset(
    (
        *("-", "--", "---", "–", "—", "‑", "―", ".", "..", "...", "…", "*", "**", "***", "_", "\\n", "nat", "-nan", "+nan"),
        *("n.a.", "n. a.", "k.a.", "k. a.", "(null)", "[null]", "(blank)", "1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind", "1.#inf"),
        *("#n/d", "#nv", "??", "???"),
        *("0000-00-00", "0000-00-00 00:00:00", "00/00/0000", "00.00.0000"),
    )
)
_SHEET_ERROR = re.compile(r"#[¡¿]?[^\W\d_][\w/ ]*[!?]")  # of a spreadsheet, in its language: #DIV/0!, #WERT!, #SPILL!


def for_nothing(text: str, *, words: bool) -> bool:
    """Whether a cell among numbers stands for nothing: by a sign or the error of a spreadsheet, or by a word too."""
    plainer = text.casefold()
    return plainer in SIGNS_FOR_NOTHING or (words and plainer in WORDS_FOR_NOTHING) or bool(_SHEET_ERROR.fullmatch(text))
