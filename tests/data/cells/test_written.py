"""Cells in the hands of many people and programs: read to the cell with a note, or asked about, never words unasked."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline.config.spec import experiment
from pipeline.data.settings import Declared
from pipeline.data.tables.table import read_table
from pipeline.errors import PipelineError
from tests.data.cells.columns import column, given, notes

DAYS = "are taken as days since 1970-01-01"
CLOCK = ("times of the day are taken as hours since midnight",)
FIRST_OF_APRIL, MAY_19 = 19448.0, 19496.0  # of 2023

READ = {
    "a minus behind": (("5.00-", "7"), [-5.0, 7.0], ("'5.00-': a minus behind is taken as a minus",)),
    "a dash for the fraction": (
        ("CHF 1'234.-", "CHF 12.50"), [1234.0, 12.5],
        ("numbers with apostrophes between thousands and CHF before them", "\"CHF 1'234.-\": a dash for the fraction is taken as none"),
    ),
    "a dash after a comma": (
        ("12,– €", "3,50 €"), [12.0, 3.5],
        ("numbers with a decimal comma and € after them", "'12,– €': a dash for the fraction is taken as none"),
    ),
    "wide digits": (("１２．５", "3"), [12.5, 3.0], ("'１２．５': digits of another script are taken as 0 to 9",)),
    "digits of another script": (("١٢", "٣"), [12.0, 3.0], ("'١٢', '٣': digits of another script are taken as 0 to 9",)),
    "characters without a width": (("\u200b5", "7"), [5.0, 7.0], ()),
    "a hyphen that does not break": (("\u20115", "7"), [-5.0, 7.0], ()),
    "points between thousands beside commas": (
        ("1,5", "2.555"), [1.5, 2555.0], ("numbers with a decimal comma and points between thousands",)
    ),
    "nothing, as programs write it": (
        ("1.#QNAN", "#NUM!", "(null)", "NaT", "4"), [np.nan] * 4 + [4.0], ("'1.#QNAN', '#NUM!', '(null)' and 1 more taken as missing",)
    ),
    "nothing, as people write it": (
        ("keine Angabe", "not available", "k. A.", "4"), [np.nan] * 3 + [4.0],
        ("'keine Angabe', 'not available', 'k. A.' taken as missing",),
    ),
    "Ja and nein": (("Ja", "nein", "JA"), [1.0, 0.0, 1.0], ("'ja' and 'nein' are taken as 1 and 0",)),
    "vrai and faux": (("vrai", "faux"), [1.0, 0.0], ("'vrai' and 'faux' are taken as 1 and 0",)),
    "months in German": (("19. Mai 2023", "3. März 2023"), [MAY_19, 19419.0], (f"dates written %d. %b %Y {DAYS}",)),
    "months in French": (("19 mai 2023", "3 août 2023"), [MAY_19, 19572.0], (f"dates written %d %b %Y {DAYS}",)),
    "months cut short": (("19 janv. 2023", "1 Okt. 2023"), [19376.0, 19631.0], (f"dates written %d %b %Y {DAYS}",)),
    "a weekday and th": (("Friday, May 19th, 2023", "Sat, Jul 1st, 2023"), [MAY_19, 19539.0], (f"dates written %b %d, %Y {DAYS}",)),
    "a letter's head": (("Fri, 19 May 2023 12:00:00 GMT", "Sat, 20 May 2023 00:00:00 +0200"), [19496.5, 19496.91666666666],
                        (f"dates written %d %b %Y %H:%M:%S %z {DAYS}",)),
    "a log of a server": (("19/May/2023:12:00:00 +0000",), [19496.5], (f"dates written %d/%b/%Y:%H:%M:%S %z {DAYS}",)),
    "a camera": (("2023:05:19 12:00:00",), [19496.5], (f"dates written %Y:%m:%d %H:%M:%S {DAYS}",)),
    "halves of the day without a blank": (("5/19/2023 1:30:00PM",), [19496.5625], (f"dates written %m/%d/%Y %I:%M:%S%p {DAYS}",)),
    "quarters": (("2023Q2", "Q1 2023"), [FIRST_OF_APRIL, 19358.0], (f"dates {DAYS}",)),
    "weeks": (("2023-W20", "2023-W20-5"), [19492.0, MAY_19], (f"dates {DAYS}",)),
    "ISO without dashes": (("20230519T120000Z",), [19496.5], (f"dates {DAYS}",)),
    "ISO with a zone in letters": (("2023-05-19 12:00:00 UTC",), [19496.5], (f"dates {DAYS}",)),
    "ISO without zeros": (("2023-5-9", "2023-5-19"), [19486.0, MAY_19], (f"dates written %Y-%m-%d {DAYS}",)),
    "ISO dates among others": (
        ("5/19/2023", "2023-05-20"), [MAY_19, MAY_19 + 1], (f"dates written %m/%d/%Y {DAYS}", "'2023-05-20': ISO dates among them")
    ),
    "two ways that cannot be taken for each other": (
        ("19.05.2023", "20/05/2023"), [MAY_19, MAY_19 + 1],
        (f"dates written %d.%m.%Y or %d/%m/%Y {DAYS}", "'19.05.2023', '20/05/2023': dates written in 2 ways"),
    ),
    "some with a time": (
        ("19.05.2023", "19.05.2023 12:00"), [MAY_19, MAY_19 + 0.5],
        (f"dates written %d.%m.%Y or %d.%m.%Y %H:%M {DAYS}", "'19.05.2023', '19.05.2023 12:00': dates written in 2 ways"),
    ),
    "a day that is none": (("0000-00-00", "2023-05-19"), [np.nan, MAY_19], (f"dates {DAYS}", "'0000-00-00' taken as missing")),
    "parts of a second": (("12:30:00.5", "6:00"), [12.5 + 0.5 / 3600, 6.0], CLOCK),
    "hours alone": (("1 pm", "1:30pm"), [13.0, 13.5], CLOCK),
    "Uhr": (("12:30 Uhr", "24:00"), [12.5, 24.0], CLOCK),
    "h for the colon": (("12h30", "1h05"), [12.5, 1 + 5 / 60], CLOCK),
    "errors of spreadsheets in their languages": (
        ("#SPILL!", "#WERT!", "#¿NOMBRE?", "???", "4"), [np.nan] * 4 + [4.0],
        ("'#SPILL!', '#WERT!', '#¿NOMBRE?' and 1 more taken as missing",),
    ),
    "a unit with a power": (("45 m2", "120m2"), [45.0, 120.0], ("numbers with m2 after them",)),
    "a unit over another": (("1.5 kg/m3", "2 kg/m3"), [1.5, 2.0], ("numbers with kg/m3 after them",)),
    "one year and several": (("1 year", "2 years"), [1.0, 2.0], ("numbers with years after them",)),
    "two characters of one unit": (("12 µg", "7.5 μg"), [12.0, 7.5], ("numbers with μg after them",)),
    "months in Polish": (("19 maja 2023", "3 sierpnia 2023"), [MAY_19, 19572.0], (f"dates written %d %b %Y {DAYS}",)),
    "months in Russian": (("19 мая 2023", "3 августа 2023"), [MAY_19, 19572.0], (f"dates written %d %b %Y {DAYS}",)),
    "blanks behind points": (("19. 5. 2023", "3. 8. 2023"), [MAY_19, 19572.0], (f"dates written %d. %m. %Y {DAYS}",)),
    "dates with times of digits alone": (
        ("202305191200", "202305200600", "202312312359"), [MAY_19 + 0.5, MAY_19 + 1.25, 19722 + 1439 / 1440],
        (f"dates written %Y%m%d%H%M {DAYS}", "the cells are digits alone; kind: number in data.columns keeps them"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", READ)
def test_cells_are_read_to_their_numbers_with_a_note(tmp_path: Path, kind: str) -> None:
    cells, numbers, told = READ[kind]
    found = column(tmp_path, *cells)
    np.testing.assert_allclose(found.values("c"), numbers, rtol=1e-15)
    assert notes(found) == told


UNKNOWN = "it looks like a number and is written like none known here"
LIKE_A_DATE = "it looks like a date and is written like none known here"
NAMES = ("kind: category", "kind: ignore")
ASKED = {
    "a count of a whole": (("12 of 30", "7 of 30"), UNKNOWN, NAMES),
    "a sentinel with a decimal comma and thousands": (
        ("9.999,00", "9.999,00", "1,50", "2,25"), "it stands 2 times, apart from all others (1.5 to 2.25), and may mean a missing value",
        ("missing: [9999]", "kind: number"),
    ),
    "a tolerance": (("5±1", "7±2"), UNKNOWN, NAMES),
    "a fraction": (("1/2", "3/4"), UNKNOWN, NAMES),
    "a fraction of one character": (("½", "¾"), UNKNOWN, NAMES),
    "a share in brackets": (("12 (30%)", "13 (20%)"), UNKNOWN, NAMES),
    "a footnote": (("12.5 (a)", "8 (b)"), UNKNOWN, NAMES),
    "a power of ten": (("1.5x10^3", "2×10^5"), UNKNOWN, NAMES),
    "powers of Fortran": (("1.5D+03", "2.0D-01"), UNKNOWN, NAMES),
    "hexadecimal": (("0x1F", "0xFF"), UNKNOWN, NAMES),
    "a complex number": (("1+2j", "3-4j"), UNKNOWN, NAMES),
    "feet and inches": (("5'11\"", "6'0\""), UNKNOWN, NAMES),
    "feet and inches in letters": (("5ft 11in", "6ft 0in"), UNKNOWN, NAMES),
    "a duration": (("25:30:00", "101:00:10"), UNKNOWN, NAMES),
    "a duration in letters": (("1h 30m", "45m"), UNKNOWN, NAMES),
    "a duration of ISO": (("PT1H30M", "PT45M"), UNKNOWN, NAMES),
    "a duration of pandas": (("1 days 02:00:00", "0 days 12:30:00"), UNKNOWN, NAMES),
    "degrees": (("52°31'N", "13°24'E"), UNKNOWN, NAMES),
    "text of a spreadsheet": (('="012"', '="013"'), UNKNOWN, NAMES),
    "addresses of computers": (("10.0.0.1", "192.168.1.1"), UNKNOWN, NAMES),
    "addresses that look like millions": (
        ("192.168.100.117", "172.168.100.118"), "it may be the address of a computer, or a number with points between thousands",
        ("kind: category", 'thousands: "."'),
    ),
    "numbers of telephones": (
        ("+1 555 123", "+1 555 456"), "it may be the number of a telephone, or one with a sign and groups of thousands",
        ("kind: category", 'thousands: " "'),
    ),
    "groups with a zero before them": (
        ("030 123 456", "555 123 457"), "it has a zero before its groups of digits, and may be a code", ("kind: category", 'thousands: " "')
    ),
    "versions": (
        ("1.10", "1.1", "1.9"), "it may be 1.1 with a zero behind, where '1.1' has none, or the name of a version or a code",
        ("kind: number", "kind: category"),
    ),
    "diagnoses": (("008.45", "401.9"), "it may be 8.45, or a code with zeros before it", ("kind: category", "kind: number")),
    "powers too large for a number": (
        ("12e456", "1e3"), "it may be inf, or a code in which E is a letter", ("kind: category", "kind: ignore")
    ),
    "about so many": (("ca. 5", "approx. 12"), UNKNOWN, NAMES),
    "months in another language": (("13 helmikuuta 2021", "1 maaliskuuta 2021"), LIKE_A_DATE, NAMES),
    "zones by their names": (("2021-02-13 10:00 PST", "2021-02-14 10:00 CET"), LIKE_A_DATE, NAMES),
    "the last day of a century": (
        ("2099-12-31", "2099-12-31", "2021-03-13", "2021-03-15"),
        "it stands 2 times, apart from all others (2021-03-13 to 2021-03-15), and may mean a missing value",
        ('missing: ["2099-12-31"]', "kind: date"),
    ),
    "9 beside 0 and 1": (
        ("9", "9", "0", "1", "0", "1"), "it stands 2 times, apart from all others (0 to 1), and may mean a missing value",
        ("missing: [9]", "kind: number"),
    ),
    "a character that no text holds": (
        ("x\0", "y"), "it holds the character NUL, which no text does", NAMES
    ),
    "decimal points and commas": (
        ("1,5", "2.55"), "some of the numbers have a decimal comma and others a decimal point ('2.55')", NAMES
    ),
    "underscores": (("1_234", "12_345"), "it may be 1234 with _ between thousands, or a name", ('thousands: "_"', "kind: category")),
    "yes in several words": (
        ("yes", "n", "Y"), "it may be one of several words for true and false", ("kind: boolean", "kind: category")
    ),
    "true and false in letters and numbers": (
        ("t", "0", "1", "f"), "it may be one of several words for true and false", ("kind: boolean", "kind: category")
    ),
    "two orders of one date": (
        ("19/5/2023", "6/27/2023"), "it is a date written %d/%m/%Y, and '6/27/2023' one written %m/%d/%Y",
        ('kind: date, format: "%d/%m/%Y|%m/%d/%Y"', 'kind: date, format: "%m/%d/%Y|%d/%m/%Y"', "kind: category"),
    ),
    "an order open among dates of other marks": (
        ("5/6/2023", "19.05.2023"), "it may be a date written %m/%d/%Y or %d/%m/%Y",
        ('kind: date, format: "%m/%d/%Y|%d.%m.%Y"', 'kind: date, format: "%d/%m/%Y|%d.%m.%Y"'),
    ),
    "a month with two digits": (
        ("Jan-20", "Feb-21"), "it may be a month with the year (%b-%y), a day of a month, or a name",
        ('kind: date, format: "%b-%y"', "kind: category", "kind: ignore"),
    ),
    "a day that the month does not have": (
        ("2023-02-30", "2023-02-28"), "it must be a date like 1 of the 2 cells; mend it",
        ('missing: ["2023-02-30"]', "kind: category", "kind: ignore"),
    ),
    "a word among dates": (
        ("soon", "19.05.2023", "20.05.2023"), "it must be a date like 2 of the 3 cells; mend it, leave the line out with data.skip=[2]",
        ("missing: [soon]", "kind: category", "kind: ignore"),
    ),
    "a word among times": (
        ("noon", "12:30", "6:00"), "it must be a time of the day like 2 of the 3 cells; mend it, leave the line out with data.skip=[2]",
        ("missing: [noon]", "kind: category", "kind: ignore"),
    ),
    "the last day of all": (
        ("9999-12-31", "2023-05-19"), "it stands 1 time, apart from all others (2023-05-19 to 2023-05-19), and may mean a missing value",
        ('missing: ["9999-12-31"]', "kind: date"),
    ),
    "a number of a library": (
        ("1e20", "1e20", "1.5", "2"), "it stands 2 times, apart from all others (1.5 to 2), and may mean a missing value",
        ('missing: ["1e+20"]', "kind: number"),
    ),
    "a sentinel that stands once": (
        ("-9999", "1.5", "2"), "it stands 1 time, apart from all others (1.5 to 2), and may mean a missing value",
        ("missing: [-9999]", "kind: number"),
    ),
    "thousands that are all whole": (
        ("1.000", "2.000"), "it may be 1000 or 1.000, as in files like this a comma may be the decimal mark",
        ('thousands: "."', 'decimal: "."'),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ASKED)
def test_other_cells_are_asked_about_and_every_override_settles_it(tmp_path: Path, kind: str) -> None:
    cells, rule, settings = ASKED[kind]
    with pytest.raises(PipelineError) as error:
        column(tmp_path, *cells)
    told = str(error.value)
    joined = ", or give " if rule.endswith(("mend it", "]")) else "; give "
    assert told.startswith(f"data.path = {tmp_path}/a.csv: column c, line 2 is ")
    assert told.endswith(f"; {rule}{joined}{' or '.join(map(given, settings))}")
    for setting in settings:
        (override,) = shlex.split(given(setting))
        config = experiment(pipeline.compose(["data=table", f"data.path={tmp_path}/a.csv", override])).data
        found = read_table(tmp_path / "a.csv", config)
        assert "kind: ignore" in setting or len(found.values("c")) == len(cells)


def test_a_declared_format_that_does_not_fit_names_the_one_that_does(tmp_path: Path) -> None:
    column(tmp_path, "19.05.2023", "20.05.2023")
    declared = 'kind: date, format: "%m/%d/%Y"'
    (override,) = shlex.split(given(declared))
    config = experiment(pipeline.compose(["data=table", f"data.path={tmp_path}/a.csv", override])).data
    with pytest.raises(PipelineError) as error:
        read_table(tmp_path / "a.csv", config)
    rule = "it is no date written %m/%d/%Y, as data.columns says, but one written %d.%m.%Y"
    way = given('kind: date, format: "%d.%m.%Y"')
    where = f"data.path = {tmp_path}/a.csv: column c, line 2 is '19.05.2023' (also '20.05.2023')"
    assert str(error.value) == f"{where}; {rule}; give {way}"
    (override,) = shlex.split(way)
    config = experiment(pipeline.compose(["data=table", f"data.path={tmp_path}/a.csv", override])).data
    np.testing.assert_array_equal(read_table(tmp_path / "a.csv", config).values("c"), [19496.0, 19497.0])


def test_several_formats_are_tried_in_turn(tmp_path: Path) -> None:
    column(tmp_path, "19.05.2023", "20.05.2023")
    (tmp_path / "a.csv").write_text("c;n\n19/5/2023;1\n6/27/2023;2\n5/6/2023;3\n")
    for form, days in (("%d/%m/%Y|%m/%d/%Y", 19513.0), ("%m/%d/%Y|%d/%m/%Y", 19483.0)):
        (override,) = shlex.split(given(f'kind: date, format: "{form}"'))
        config = experiment(pipeline.compose(["data=table", f"data.path={tmp_path}/a.csv", override])).data
        np.testing.assert_array_equal(read_table(tmp_path / "a.csv", config).values("c"), [19496.0, 19535.0, days])


def test_versions_are_told_apart_where_they_are_declared_to_be_categories(tmp_path: Path) -> None:
    found = column(tmp_path, "1.1", "1.10", "1.1", columns={"c": Declared(kind="category")})
    assert found.texts("c") == ["1.1", "1.10", "1.1"]


def test_numbers_in_groups_that_a_number_cannot_keep_are_names(tmp_path: Path) -> None:
    found = column(tmp_path, "9,007,199,254,740,993", "9,007,199,254,740,992")
    assert found.texts("c") == ["9,007,199,254,740,993", "9,007,199,254,740,992"]
    assert notes(found)[0].endswith("whole numbers of more digits than a number keeps; taken as names")


def test_a_line_of_sums_is_asked_about_by_its_word(tmp_path: Path) -> None:
    with pytest.raises(PipelineError) as error:
        column(tmp_path, "x", "y", "x", "Total")
    way = f"leave the line out with data.skip=[5], or give {given('kind: category')}"
    assert str(error.value) == f"data.path = {tmp_path}/a.csv: column c, line 5 is 'Total'; it may name a line of sums; {way}"
    assert column(tmp_path, "x", "y", "x", "Total", skip=(5,)).texts("c") == ["x", "y", "x"]
    assert column(tmp_path, "Total", "y", "Total").texts("c") == ["Total", "y", "Total"]


def test_a_few_lines_among_numbers_can_be_left_out(tmp_path: Path) -> None:
    with pytest.raises(PipelineError) as error:
        column(tmp_path, "How old are you?", "QID1", "25", "31", "28")
    assert "; mend it, leave the lines out with data.skip=[2,3], or give " in str(error.value)


@pytest.mark.parametrize("other", ["cafe\u0301", "caf\u00e9\u200b"])
def test_words_that_look_alike_are_told(tmp_path: Path, other: str) -> None:
    (note,) = notes(column(tmp_path, other, "caf\u00e9", "tea"))
    told = "differ in characters that look alike, or that nobody sees, alone and are told apart; write them alike"
    assert note == f"{other!r}, 'caf\u00e9' {told} in the file if they are one"


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (
            ("10-20", "20-30", "30+"),
            "'10-20', '20-30', '30+': ranges are taken as words; kind: ordinal with their order in data.columns keeps it",
        ),
        (("a", "b", "-"), "'-' is a category of its own; 'data.missing=[\"-\"]' takes it as missing"),
    ],
)
def test_words_that_might_be_more_are_told(tmp_path: Path, cells: tuple[str, ...], told: str) -> None:
    found = column(tmp_path, *cells)
    assert found.texts("c") == list(cells) and notes(found) == (told,)


def test_the_only_negative_number_is_told(tmp_path: Path) -> None:
    found = column(tmp_path, "1", "-1", "3", "-1", "7", "-1")
    assert notes(found) == (f"'-1' stands 3 times apart from the others; if it means a missing value, give {given('missing: [-1]')}",)


def test_a_word_of_a_category_that_is_taken_as_missing_is_told_and_can_be_kept(tmp_path: Path) -> None:
    found = column(tmp_path, "NA", "SE", "DK", "NA", "")
    assert found.texts("c") == [None, "SE", "DK", None, None]
    assert notes(found) == ("'NA' taken as missing; missing: [] in data.columns keeps it as a word",)
    kept = column(tmp_path, "NA", "SE", "DK", "NA", "", columns={"c": Declared(missing=())})
    assert kept.texts("c") == ["NA", "SE", "DK", "NA", None] and notes(kept) == ()
