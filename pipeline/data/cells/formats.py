"""Which format the dates of a column are written in: found by the shape of its cells, or a doubt where two orders of day and month fit.

The shape of a cell is what is left of it when a run of digits is one 9 and a run of letters one a: `9/9/9 9:9 a`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence

from pipeline.data.cells.dates import clock, days_of, days_of_iso, in_english
from pipeline.data.cells.findings import Doubt, Found, odd_among
from pipeline.data.cells.forms import Clock, Moment, parser, said
from pipeline.data.hints import listed

DAYS = (
    *("%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d.%m.%Y", "%m.%d.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d", "%Y-%m-%d", "%Y%m%d"),
    *("%m/%d/%y", "%d/%m/%y", "%y/%m/%d", "%d.%m.%y", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d", "%d %m %Y", "%Y %m %d", "%Y:%m:%d"),
    *("%b %d %Y", "%b %d, %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %b %y", "%d. %b %Y", "%d/%b/%Y", "%Y-%b-%d", "%Y %b %d", "%d%b%Y"),
    *("%B %d %Y", "%B %d, %Y", "%d %B %Y", "%d-%B-%Y", "%d. %B %Y", "%b %Y", "%B %Y", "%b-%Y", "%Y-%m", "%m/%Y", "%m.%Y", "%Y-%b"),
    *("%Y年%m月%d日", "%b-%y", "%b %y", "%y-%b", "%d-%b", "%b-%d", "%d %b", "%b %d", "%d. %b", "%d. %m. %Y"),
)
CLOCKS = (
    *("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M", "T%H:%M:%S", ", %H:%M", ", %H:%M:%S", " %H.%M", " %H.%M.%S"),
    *(" %I:%M %p", " %I:%M:%S %p", " %I:%M%p", " %I:%M:%S%p", " %H:%M %z", " %H:%M:%S %z", ":%H:%M:%S %z"),
)
WHOLE = ("%b %d %H:%M:%S %Y",)
UNSURE = frozenset(("%b-%y", "%b %y", "%y-%b", "%d-%b", "%b-%d", "%d %b", "%b %d", "%d. %b"))  # a year of two digits, or no year at all
MOST_SHAPES = 40
MOST_WAYS = 4  # of writing dates in one column
FIRST, LAST = -200_000, 100_000  # from about 1422 to 2243


def infer_dates(cells: Mapping[str, int]) -> Moment | Doubt:
    """The format of a column that is declared to hold dates."""
    found = moments(cells)
    if isinstance(found, Found) and isinstance(found.form, Moment):
        return found.form
    unclear = isinstance(found, Doubt) and not found.rule.startswith("it must be")
    return found if isinstance(found, Doubt) and unclear else Moment()


def formats_of(cells: Mapping[str, int]) -> tuple[str, ...]:
    """The formats in which all the cells may be dates: one, two that cannot be told apart, or none that is known."""
    found = moments(cells) if cells else None
    if isinstance(found, Found):
        return (found.form.format,) if isinstance(found.form, Moment) and found.form.format is not None else ()
    made = [] if found is None else [re.fullmatch(r'kind: date, format: "(.*)"', setting) for setting in found.settings]
    return tuple(match[1] for match in made if match is not None)


def other_format(form: str, cells: Mapping[str, int]) -> Doubt | None:
    """What is to be said of a declared format that cells do not keep, where another one fits all of them."""
    parse = parser(Moment(format=form))
    odd = [text for text in cells if parse(text) is None]
    if not odd:
        return None
    found = moments(cells)
    rule = f"it is no date written {form}, as data.columns says"
    if isinstance(found, Found) and isinstance(found.form, Moment):
        how = found.form.format
        setting = "kind: date" if how is None else f'kind: date, format: "{how}"'
        return Doubt(rule=f"{rule}, but {'an ISO date' if how is None else f'one written {how}'}", cells=tuple(odd), settings=(setting,))
    if isinstance(found, Doubt) and found.settings[0].startswith("kind: date"):
        return Doubt(rule=f"{rule}; {found.rule}", cells=tuple(odd), settings=found.settings)
    return None


def clocks(cells: Mapping[str, int]) -> Found | Doubt | None:
    """Times of the day; 07.05.14 may be a date as well."""
    others = [text for text in cells if clock(text) is None]
    if len(others) == len(cells):
        return None
    if others:
        times = sum(cells.values()) - sum(cells[text] for text in others)
        longer = all(re.fullmatch(r"\d+:\d\d(:\d\d)?", text) for text in others)  # 25:30, a duration
        colons = all(":" in text for text in cells if text not in others)
        return odd_among(others, cells, "a time of the day") if colons and not longer and 2 * times >= sum(cells.values()) else None
    date = moments(cells) if all("." in text for text in cells) else None
    if isinstance(date, Found) and isinstance(date.form, Moment):
        rule = f"it may be a time of the day or a date written {date.form.format}"
        return Doubt(rule=rule, cells=tuple(cells), settings=("kind: time", f'kind: date, format: "{date.form.format}"'))
    if date is not None:
        return date
    return Found(kind="time", form=Clock(), notes=(said(Clock()),), why="times of the day")


def moments(cells: Mapping[str, int]) -> Found | Doubt | None:
    """Dates of one format, or of several that cannot be taken for each other; a doubt where two read a cell to different days."""
    texts = list(cells)
    iso = [text for text in texts if days_of_iso(text) is not None]
    if len(iso) == len(texts):
        return Found(kind="date", form=Moment(), notes=(said(Moment()),), why="ISO dates")
    rest = [text for text in texts if text not in set(iso)]
    fits = _fits(rest)
    if fits is None:
        return None
    odd = [text for text in rest if not fits[text]]
    if odd:
        dated = sum(cells.values()) - sum(cells[text] for text in odd)
        sure = any("%Y" in form for each in fits.values() for form in each) or bool(iso)
        return odd_among(odd, cells, "a date") if sure and 2 * dated >= sum(cells.values()) else None
    common = [form for form in fits[rest[0]] if all(form in fits[text] for text in rest)]
    return _alike(common, rest, iso, fits) if common else _mixed(rest, iso, fits)


def _alike(common: Sequence[str], rest: Sequence[str], iso: Sequence[str], fits: Mapping[str, Mapping[str, float]]) -> Found | Doubt | None:
    """Dates that formats fit all of them."""
    first = common[0]
    if all(form in UNSURE for form in common):
        dated = [form for form in common if "%y" in form]
        rule = f"it may be a month with the year ({dated[0]}), a day of a month, or a name" if dated else "it may be a day without its year"
        settings = tuple(f'kind: date, format: "{form}"' for form in dated)
        return Doubt(rule=rule, cells=tuple(rest), settings=(*settings, "kind: category", "kind: ignore"))
    for other in common[1:]:
        unlike = [text for text in rest if fits[text][other] != fits[text][first]]
        if unlike and other not in UNSURE:
            rule = f"it may be a date written {first} or {other}"
            settings = tuple(f'kind: date, format: "{form}"' for form in (first, other))
            return Doubt(rule=rule, cells=tuple(unlike), settings=settings)
    return _told(first, iso)


def _told(form: str, iso: Sequence[str], more: tuple[str, ...] = ()) -> Found:
    notes = [said(Moment(format=form)), *more]
    notes += [f"{listed(iso)}: ISO dates among them"] if iso else []
    notes += ["years of two digits are taken as 1969 to 2068"] if "%y" in form else []
    return Found(kind="date", form=Moment(format=form), notes=tuple(notes), why=said(Moment(format=form)).partition(" are")[0])


def _mixed(rest: Sequence[str], iso: Sequence[str], fits: Mapping[str, Mapping[str, float]]) -> Found | Doubt | None:
    """Dates that no single format fits: each way of writing them by itself."""
    groups: dict[tuple[str, bool], list[str]] = {}
    for text in rest:
        groups.setdefault((shape(text), bool(re.search(r"\d{4}", text))), []).append(text)
    ways = [_way(texts, fits) for texts in groups.values()]
    if len(ways) > MOST_WAYS or any(first in UNSURE for first, _, _ in ways):
        return None
    doubtful = next((place for place, (_, other, _) in enumerate(ways) if other), None)
    firsts = [first for first, _, _ in ways]
    if doubtful is None:
        shown = listed([texts[0] for texts in groups.values()])
        return _told("|".join(firsts), iso, (f"{shown}: dates written in {len(ways)} ways",))
    first, other, cells = ways[doubtful]
    both = not any(first in fits[text] and other in fits[text] for text in cells)
    rule = f"it is a date written {first}, and {cells[1]!r} one written {other}" if both else f"it may be a date written {first} or {other}"
    pair = f"{first}|{other}", f"{other}|{first}"
    orders = [[*firsts[:doubtful], one, *firsts[doubtful + 1 :]] for one in (pair if both else (first, other))]
    settings = tuple(f'kind: date, format: "{"|".join(order)}"' for order in orders)
    return Doubt(rule=rule, cells=tuple(cells), settings=(*settings, "kind: category") if both else settings)


def _way(texts: Sequence[str], fits: Mapping[str, Mapping[str, float]]) -> tuple[str, str, list[str]]:
    """(format of cells of one shape, another that reads some of them to other days or '', these cells)."""
    common = [form for form in fits[texts[0]] if all(form in fits[text] for text in texts)]
    if common:
        for other in common[1:]:
            unlike = [text for text in texts if fits[text][other] != fits[text][common[0]]]
            if unlike and other not in UNSURE:
                return common[0], other, unlike
        return common[0], "", []
    counts = {form: sum(form in fits[text] for text in texts) for text in texts for form in fits[text]}
    first = max(counts, key=lambda form: counts[form])
    odd = next(text for text in texts if first not in fits[text])
    other = next(iter(fits[odd]))
    even = next((text for text in texts if other not in fits[text] and first in fits[text]), texts[0])
    return first, other, [even, odd]


def _fits(texts: Sequence[str]) -> dict[str, dict[str, float]] | None:
    """Text -> format -> days, of the formats that read it; None where no cell looks like a date or the cells are too unlike."""
    known = by_shape()
    if not any(shape(text) in known for text in texts[:100]):
        return None
    shapes = {text: shape(text) for text in texts}
    if len(set(shapes.values())) > MOST_SHAPES:
        return None
    digits = all(re.fullmatch(r"(19|20)\d{6}", text) for text in texts) and len(texts) > 2  # eight digits, none before 1900
    if not any(known.get(each) for each in set(shapes.values()) - {"9"}) and not digits:
        return None
    fits: dict[str, dict[str, float]] = {}
    for text in texts:
        read = {form: days_of(text, form) for form in known.get(shapes[text], ()) if digits or form != "%Y%m%d"}
        fits[text] = {form: value for form, value in read.items() if value is not None and FIRST < value < LAST}
    return fits


def shape(text: str) -> str:
    """`9/9/9 9:9 a` of `5/19/2023 1:30 PM`; nothing of a text without digits."""
    if not any(letter.isdigit() for letter in text):
        return ""
    english = in_english(text, whole=False) if any(letter.isalpha() for letter in text) else text
    marked = re.sub(r"(?<=\d) [+-](?=\d\d)", " +", english)
    return re.sub(r"\s+", " ", re.sub(r"[A-Za-z]+", "a", re.sub(r"\d+", "9", marked)))


def shape_of(form: str) -> str:
    """The same of what a format writes."""
    marked = re.sub(r"%(.)", lambda found: {"b": "a", "B": "a", "p": "a", "z": "+9"}.get(found[1], "9"), form)
    return re.sub("9+", "9", marked).replace("T", "a")


@functools.cache
def by_shape() -> dict[str, tuple[str, ...]]:
    """Shape -> the formats that may write it."""
    made: dict[str, list[str]] = {}
    for form in (*(day + time for day in DAYS for time in CLOCKS), *WHOLE):
        made.setdefault(shape_of(form), []).append(form)
    return {key: tuple(forms) for key, forms in made.items()}
