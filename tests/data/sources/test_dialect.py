"""How a text file is written is found in it, or asked about: delimiter, quotes, header, encoding, packing, blanks, comments."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import Data
from pipeline.data.sources import batches
from pipeline.data.tables.table import Table, read_table
from pipeline.errors import PipelineError


def read(folder: Path, content: str | bytes, **settings: object) -> Table:
    path = folder / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, Data(kind="table", path=str(path), **settings))  # type: ignore[arg-type]  # fields of Data


def refusal(folder: Path, content: str | bytes, **settings: object) -> str:
    with pytest.raises(PipelineError) as error:
        read(folder, content, **settings)
    assert error.value.exit_code == 2 and "\n" not in str(error.value)
    return str(error.value).replace(str(folder / "a.csv"), "F")


def content(table: Table) -> list[list[object]]:
    """The cells, column by column."""
    return [
        table.texts(name) if table.column(name).words is not None else table.values(name).tolist() for name in table.facts.names
    ]  # fmt: skip


def test_quoted_commas_do_not_hide_the_semicolons(tmp_path: Path) -> None:
    table = read(tmp_path, '"size, m2";"rooms, all";"kind, of house"\n"68.9";"2";"house"\n"128.6";"1";"a, b"\n')
    assert table.facts.names == ("size, m2", "rooms, all", "kind, of house")
    assert content(table) == [[68.9, 128.6], [2, 1], ["house", "a, b"]]


def test_decimal_commas_do_not_pass_for_delimiters(tmp_path: Path) -> None:
    assert content(read(tmp_path, "1,5;2,5;x\n3,5;4,5;y\n", header=False)) == [[1.5, 3.5], [2.5, 4.5], ["x", "y"]]


def test_blanks_before_quotes_are_no_part_of_cells(tmp_path: Path) -> None:
    assert content(read(tmp_path, 'a, b, c\n1, "x, y", 3\n2, "z", 4\n')) == [[1, 2], ["x, y", "z"], [3, 4]]


def test_columns_may_stand_apart_by_blanks(tmp_path: Path) -> None:
    table = read(tmp_path, "    68.9  2   house\n   128.6  1   villa\n", header=False, names=("size", "rooms", "kind"))
    assert content(table) == [[68.9, 128.6], [2, 1], ["house", "villa"]]
    assert table.facts.names == ("size", "rooms", "kind")


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("68.9,2,house\n128.6,1,villa\n", "68.9, 2, house"),
        ("1,2\n3,4\n", "1, 2"),
        ("2020-01-01,a\n2020-01-02,b\n", "2020-01-01, a"),
        ("12 km,a\n13 km,b\n", "12 km, a"),
        ("p,x\nq,y\np,y\nq,x\np,x\nq,y\n", "p, x"),
    ],
)
def test_a_first_line_like_the_others_is_asked_about(tmp_path: Path, text: str, first: str) -> None:
    rule = f"line 1 ({first}) may hold the names of the columns or the first row"
    hint = "give data.header=true, or data.header=false (and data.names=[...] for names of your own)"
    assert refusal(tmp_path, text) == f"data.path = F: {rule}; {hint}"
    assert len(read(tmp_path, text, header=False)) == text.count("\n")


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "x2020,n\n1,2\n", "y,n\ntrue,1\n", "0,1,2\n5,6,7\n", "name,value\nfoo,1\nbar,2\n"])
def test_a_line_of_names_is_a_header(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).facts.names == tuple(text.split("\n")[0].split(","))


def test_names_of_ones_own_take_the_place_of_a_header(tmp_path: Path) -> None:
    for text in ("a,b\n1,x\n2,y\n", "1,x\n2,y\n"):
        table = read(tmp_path, text, names=("n", "w"))
        assert table.facts.names == ("n", "w") and content(table) == [[1, 2], ["x", "y"]]
    assert content(read(tmp_path, "a,b\nx,y\n", names=("n", "w"))) == [["a", "x"], ["b", "y"]]


def test_columns_without_a_name_and_without_a_value_are_left_out_and_it_is_told(tmp_path: Path) -> None:
    table = read(tmp_path, "size;kind;;\n68.9;house;;\n128.6;villa;;\n")
    assert table.facts.names == ("size", "kind") and content(table) == [[68.9, 128.6], ["house", "villa"]]
    assert table.facts.notes == ("2 columns without a name and without a value left out",)
    table = read(tmp_path, "size,kind\n68.9,house,\n128.6,villa,\n")
    assert content(table) == [[68.9, 128.6], ["house", "villa"]]


def test_a_column_without_a_name_that_has_values_is_refused(tmp_path: Path) -> None:
    hint = "name it, or give data.header=true 'data.names=[a,column_2]'"
    assert refusal(tmp_path, "a,\n1,x\n2,y\n") == f"data.path = F: column 2 of the header has no name; {hint}"
    assert read(tmp_path, "a,\n1,x\n2,y\n", header=True, names=("a", "column_2")).facts.names == ("a", "column_2")


def test_other_encodings_are_named_with_their_line(tmp_path: Path) -> None:
    text = "größe,ort\n1,Genève\n2,Basel\n"
    hint = "give data.encoding=latin-1 (or cp1252, utf-16, ...)"
    assert refusal(tmp_path, text.encode("latin-1")) == f"data.path = F: line 1 holds the byte 0xf6, which is no UTF-8 text; {hint}"
    for encoding in ("latin-1", "cp1252", "ISO-8859-15"):
        assert content(read(tmp_path, text.encode(encoding), encoding=encoding)) == [[1, 2], ["Genève", "Basel"]]
    for encoding in ("utf-8-sig", "utf-16"):  # their marks say it
        assert content(read(tmp_path, text.encode(encoding))) == [[1, 2], ["Genève", "Basel"]]
    rule = "is no encoding that is known here; use utf-8, latin-1, cp1252, utf-16, ..."
    assert refusal(tmp_path, text, encoding="latin-x") == f"data.encoding = latin-x: {rule}"


def test_a_byte_far_into_the_file_is_named_with_its_line(tmp_path: Path) -> None:
    lines = b"a,b\n" + b"1,xyz\n" * 100_000 + b"2,\xe9\n"
    hint = "give data.encoding=latin-1 (or cp1252, utf-16, ...)"
    assert refusal(tmp_path, lines) == f"data.path = F: line 100002 holds the byte 0xe9, which is no UTF-8 text; {hint}"


def test_packed_files_are_read_and_damaged_ones_are_told(tmp_path: Path) -> None:
    packed = gzip.compress(b"a,b\n" + b"1,x\n2,y\n" * 2000)
    assert len(read(tmp_path, packed)) == 4000
    told = "data.path = F: its gzip stream is cut short or damaged; get the file again"
    assert refusal(tmp_path, packed[:-10]) == told
    assert refusal(tmp_path, packed[:40]) == told


def test_lines_with_a_hash_at_the_head_are_left_out_and_told(tmp_path: Path) -> None:
    table = read(tmp_path, "# made by hand\n# on a Monday\na,b\n1,x\n2,y\n")
    assert content(table) == [[1, 2], ["x", "y"]]
    assert table.facts.notes == ("2 lines with # at the head of the file left out",)
    assert table.place(1) == "line 5"
    assert read(tmp_path, "#id,b\n1,x\n2,y\n").facts.names == ("#id", "b")


def test_rows_keep_their_lines_past_quoted_breaks_and_blank_lines(tmp_path: Path) -> None:
    table = read(tmp_path, '\na,b\n1,"two\nlines"\n\n   \n2,w\n3,x\n')
    assert content(table) == [[1, 2, 3], ["two\nlines", "w", "x"]]
    assert [table.place(row) for row in range(3)] == ["line 3", "line 7", "line 8"]
    assert table.written(0, "b") == "two\nlines"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,b\n1,2\n3\n", "line 3 has 1 cell and the header 2; mend the line, or leave it out with data.skip=[{line}]"),
        ("a,b\n1,2\n3,4,5\n", "line 3 has 3 cells and the header 2; mend the line, or leave it out with data.skip=[{line}]"),
        ('a,b\n1,2\n"3,4\n', "the record at line 3 cannot be read (unexpected end of data); mend its quotes"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    assert refusal(tmp_path, text) == f"data.path = F: {sentence}".replace("{line}", "3")
    long = text.replace("1,2", "\n".join(["1,2"] * 100_000))  # past what is looked at first
    line = sentence.replace("line 3", "line 100002").replace("{line}", "100002")
    assert refusal(tmp_path, long) == f"data.path = F: {line}"


def test_a_name_that_is_twice_there_is_told(tmp_path: Path) -> None:
    ways = "rename one, or give data.header=true 'data.names=[a_1,b,a_3]', or data.skip=[1] if line 1 is a title"
    assert refusal(tmp_path, "a,b,a\n1,2,3\n") == f"data.path = F: two columns of the header are named a; {ways}"


def test_what_is_no_table_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path, b"PK\3\4 and so on") == "data.path = F: is a zip or an Excel file; save the table as CSV or Parquet"
    assert refusal(tmp_path, '[{"a": 1},\n {"a": 2}]') == "data.path = F: holds one JSON list; write its objects one a line"
    hint = "give data.encoding=cp1252 (or latin-1, utf-16, ...)"
    assert refusal(tmp_path, b"\x89PNG\r\n\x1a\n") == f"data.path = F: line 1 holds the byte 0x89, which is no UTF-8 text; {hint}"


def test_a_cell_may_be_a_whole_text(tmp_path: Path) -> None:
    table = read(tmp_path, f"a,b\n{'x' * 400_000},1\n{'y' * 400_000},2\n")
    assert [len(text or "") for text in table.texts("a")] == [400_000, 400_000]
    assert table.place(1) == "line 3"


def test_settings_that_do_not_fit_the_file_are_named(tmp_path: Path) -> None:
    assert refusal(tmp_path, "a,b\n1,2\n", names=("x",)) == "data.names = ['x']: F has 2 columns; give one name for each"
    sentence = 'data.delimiter = ;;: must be one character; use ",", ";", "|", tab or blank'
    assert refusal(tmp_path, "a,b\n1,2\n", delimiter=";;") == sentence
    assert content(read(tmp_path, "a:b\n1:2\n", delimiter=":")) == [[1], [2]]
    assert content(read(tmp_path, "a\tb\n1\t2\n", delimiter="tab")) == [[1], [2]]


def test_a_wide_table_of_one_line_and_a_half_is_read(tmp_path: Path) -> None:
    names = ",".join(f"{'a_long_name_' * 20}of_a_column_{i}" for i in range(3000))  # more than is looked at of a file
    table = read(tmp_path, f"{names}\n{','.join(['1.5'] * 3000)}\n")
    assert np.all(table.cells == 1.5) and table.cells.shape == (1, 3000)


def test_a_tab_among_blanks_is_a_blank(tmp_path: Path) -> None:
    table = read(tmp_path, "".join(f'{row}.5   {row}   "a car {row % 2}"\n'.replace('   "', '\t"') for row in range(20)), header=False)
    assert table.facts.names == ("column_1", "column_2", "column_3") and table.texts("column_3")[:2] == ["a car 0", "a car 1"]


@pytest.mark.parametrize(
    ("damage", "told"),
    [('1,"x\n', "unexpected end of data"), ('1,"x\n2,y\n3,"z"\n', "',' expected after '\"'")],
    ids=["never closed", "closed too late"],
)
@pytest.mark.parametrize("whole", [2**29, 0], ids=["at once", "piece by piece"])
def test_a_quote_far_into_the_file_swallows_no_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str, told: str, whole: int
) -> None:
    monkeypatch.setattr(batches, "WHOLE", whole)
    rows = "".join(f"{row},{'xyz'[row % 3]}\n" for row in range(40_000))
    sentence = f"data.path = F: the record at line 40002 cannot be read ({told}); mend its quotes"
    assert refusal(tmp_path, f"a,b\n{rows}{damage}{rows}") == sentence
    assert read(tmp_path, f'a,b\n{rows}1,"x\ny"\n').texts("b")[-1] == "x\ny"


@pytest.mark.parametrize("mark", ["~", "^", ":"])
def test_a_rare_delimiter_is_asked_about(tmp_path: Path, mark: str) -> None:
    text = "a,b,w\n1,4.5,x\n2,5.5,y\n".replace(",", mark)
    ways = f"give 'data.delimiter=\"{mark}\"', or data.delimiter=comma to keep it"
    assert refusal(tmp_path, text) == f"data.path = F: has one column, and {mark!r} stands 2 times in each of its lines; {ways}"
    assert content(read(tmp_path, text, delimiter=mark)) == [[1, 2], [4.5, 5.5], ["x", "y"]]
    assert read(tmp_path, text, delimiter="comma").facts.names == (f"a{mark}b{mark}w",)


def test_letters_of_windows_are_named_with_its_encoding(tmp_path: Path) -> None:
    text = "a,b\n1,\u201cé\u201d\n2,y\n".encode("cp1252")
    assert refusal(tmp_path, text).endswith("no UTF-8 text; give data.encoding=cp1252 (or latin-1, utf-16, ...)")


def test_marks_of_the_order_of_bytes_are_no_part_of_a_name(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbf" * 2 + b"a,b\n1,2\n").facts.names == ("a", "b")


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"\xd0\xcf\x11\xe0", "an old Excel file; save the table as CSV or Parquet"),
        (b"BZh91AY", "packed with bzip2; unpack it, or pack it with gzip"),
        (b"SQLite format 3\0", "a database; give data=sql and data.query='SELECT ...'"),
    ],
)
def test_files_of_other_programs_are_named(tmp_path: Path, start: bytes, what: str) -> None:
    assert refusal(tmp_path, start + bytes(100)) == f"data.path = F: is {what}"
