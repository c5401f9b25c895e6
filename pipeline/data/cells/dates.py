"""How people write dates and times of the day: a cell -> days since 1970-01-01, or hours since midnight.

ISO 8601, with weeks and quarters, is read by itself; all else by a format as of strptime, or several with | between that are tried in
turn. Names of months may be English, German, French, Spanish, Italian, Portuguese, Dutch, Scandinavian, Polish, Russian or Turkish;
weekdays are passed over.
"""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d(?:[T ]\S+)?|\d{8}T\d{4}(?:\d\d)?|\d{4}-?W\d\d(?:-?[1-7])?)(?:\s*(UTC|GMT|Z|[+-]\d\d(?::?\d\d)?))?", re.ASCII
)
_QUARTER = re.compile(r"(?P<year>\d{4})[-/. ]?Q(?P<quarter>[1-4])|Q(?P<first>[1-4])[-/. ]?(?P<then>\d{4})", re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(r"(\d{1,2})([:.h])(\d\d)(?:[:.](\d\d)(?:[.,](\d{1,9}))?)?(?: ?([ap])\.?m\.?| ?Uhr| h|Z)?", re.ASCII | re.IGNORECASE)
_HOUR = re.compile(r"(\d{1,2}) ?([ap])\.?m\.?", re.ASCII | re.IGNORECASE)
_WORD = re.compile(r"(?<![^\W\d_])[^\W\d_]+\.?")
_ENGLISH = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
_NAMES = (
    "jan january januar jänner janvier janv ene enero gen gennaio janeiro januari stycznia января ocak",
    "feb february februar febr février févr fév fevrier febrero febbraio fev fevereiro februari lutego февраля şubat",
    "mar march märz mär mrz mars marzo março maart mrt marca марта mart",
    "apr april avril avr abr abril aprile kwietnia апреля nisan",
    "may mai mayo mag maggio maio mei maj maja мая mayıs",
    "jun june juni juin junio giu giugno junho czerwca июня haziran",
    "jul july juli juillet juil julio lug luglio julho lipca июля temmuz",
    "aug august août aout ago agosto augustus augusti sierpnia августа ağustos",
    "sep sept september septembre septiembre set settembre setembro września сентября eylül",
    "oct october okt oktober octobre octubre ott ottobre out outubro października октября ekim",
    "nov november novembre noviembre novembro listopada ноября kasım",
    "dec december dez dezember déc décembre decembre dic diciembre dicembre dezembro desember grudnia декабря aralık",
)
_MONTHS = {name: number for number, names in enumerate(_NAMES) for name in names.split()}
_PASSED = frozenset(
    name
    for names in (
        "mon tue tues wed thu thur thurs fri sat sun monday tuesday wednesday thursday friday saturday sunday",
        "mo di mi do fr sa so montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag",
        "lun mer jeu ven sam dim lundi mardi mercredi jeudi vendredi samedi dimanche of de den le the uhr",
    )
    for name in names.split()
)
_ORDINALS = ("st", "nd", "rd", "th", "er")  # behind the number of a day
_ZONES = ("utc", "gmt")
PACKED = {  # dates of digits alone, and how many
    "%Y%m%d": 8, "%d%m%Y": 8, "%m%d%Y": 8, "%Y%m": 6, "%y%m%d": 6, "%Y%m%d%H%M": 12, "%Y%m%d%H%M%S": 14,
}  # fmt: skip


def days(moment: datetime) -> float:
    """Days since 1970-01-01; without a zone it is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH).total_seconds() / 86400


def days_of_iso(text: str) -> float | None:
    """Of an ISO 8601 date or time, a week (its Monday) or a quarter (its first day); without a zone it is UTC."""
    found = _ISO.fullmatch(text)
    if found is None:
        quarter = _QUARTER.fullmatch(text)
        if quarter is None:
            return None
        number = int(quarter["quarter"] or quarter["first"])
        return _made(f"{quarter['year'] or quarter['then']}-{3 * number - 2:02}-01")
    zone = {"UTC": "Z", "GMT": "Z"}.get(found[2], found[2] or "")
    return _made(found[1] + zone)


def _made(text: str) -> float | None:
    try:
        return days(datetime.fromisoformat(text))
    except ValueError:
        return None


def moment(text: str, form: str) -> float | None:
    """Of a date written in `form`, or in one of its parts between |; else as ISO writes it."""
    for one in form.split("|"):
        value = days_of(text, one)
        if value is not None:
            return value
    return days_of_iso(text)


def days_of(text: str, form: str) -> float | None:
    """Of a date written in this one format, names in any of the languages."""
    value = _by(text, form)
    return value if value is not None or _plain(text) else _by(in_english(text, whole="%B" in form), form)


def _by(text: str, form: str) -> float | None:
    if form in PACKED:
        text = _padded(text, form)
    try:
        return days(datetime.strptime(text, form))  # a date without a zone is UTC
    except ValueError:
        return None


def _padded(text: str, form: str) -> str:
    """Digits as many as `form` has; a number has lost the zero before them or has .0 behind.  Others are no date, 202411 no 2024-1-1."""
    digits = text.removesuffix(".0")
    lost = len(digits) == PACKED[form] - 1 and not form.startswith("%Y")
    return f"0{digits}" if lost else digits if len(digits) == PACKED[form] else ""


def _plain(text: str) -> bool:
    return not any(letter.isalpha() for letter in text)


@functools.lru_cache(4096)
def in_english(text: str, *, whole: bool) -> str:
    """Months by their English names, `whole` or three letters; weekdays, `of` and the endings of 1st and 2nd left out."""

    def word(found: re.Match[str]) -> str:
        name = found[0].rstrip(".").casefold()
        if name in _MONTHS:
            return _ENGLISH[_MONTHS[name]][: None if whole else 3]
        behind = found.start() > 0 and text[found.start() - 1].isdigit()
        if name in _PASSED or (behind and name in _ORDINALS):
            return ""
        return "+0000" if name in _ZONES else found[0]

    return re.sub(r"\s+", " ", _WORD.sub(word, text)).strip(" ,")


def clock(text: str) -> float | None:
    """Hours since midnight of a time of the day; 24:00 is its end."""
    alone = _HOUR.fullmatch(text)
    found = _CLOCK.fullmatch(text)
    if alone is not None:
        hour, minute, second, half = int(alone[1]), 0, 0.0, alone[2]
    elif found is None or (found[2] == "." and found[4] is None):  # 18.30 is a number
        return None
    else:
        hour, minute, half = int(found[1]), int(found[3]), found[6]
        second = float(f"{found[4] or 0}.{found[5] or 0}")
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    there = (hour < 24 and minute < 60 and second < 60) or (hour == 24 and minute == second == 0)
    return hour + minute / 60 + second / 3600 if there else None
