"""Tables: read the same however they are written, bounded, and every mistake at its line."""

import csv
import functools
import io
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import one_parameter, scenario

from ndmc import label
from ndmc.dims import Dims
from ndmc.errors import InputError, nearest
from ndmc.scenario import tables
from ndmc.scenario.table_cells import Wanted, read_cells
from ndmc.scenario.tables import parse_table, read_table

FILE = Path("x.csv")
# 90,000 cells: many more than are read at once.
SQUARE = Dims({"row": tuple(f"r{n}" for n in range(300)), "year": tuple(map(str, range(300)))})
VALUE = Wanted(("value",))
LONG = "a row of more than 4,194,304 characters"


def written(rows):
    """Return rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def cells(text, dims, wanted=VALUE, wide=None, names=None):
    """Return the cells of a table, of all dims if none are named."""
    return read_cells(parse_table(text, FILE), names or tuple(dims.labels), dims, wanted, wide)


@functools.cache
def _square():
    every = itertools.product(*SQUARE.labels.values())
    return ["row,year,value", *(f"{row},{year},{n}" for n, (row, year) in enumerate(every))]


def square():
    """Return the lines of a table of the square: cell ``n`` is on line ``n + 2`` and has ``n``."""
    return [*_square()]


@given(data=st.data())
def test_order_and_width_of_a_table_do_not_matter(data):
    """Rows and columns in any order, blank lines, tidy or wide: the cells are the same."""
    label = st.text(st.sampled_from('ab1 ,"\n;é'), min_size=1, max_size=4).map(str.strip)
    labels = st.lists(label.filter(bool), min_size=1, max_size=4, unique=True)
    dims = Dims({dim: tuple(data.draw(labels)) for dim in ("one dim", "other")})
    shape = dims.shape(dims.labels)
    number = st.floats(allow_nan=False, allow_infinity=False)
    values = data.draw(st.lists(number, min_size=math.prod(shape), max_size=math.prod(shape)))
    every = itertools.product(*dims.labels.values())
    rows = [(*cell, repr(value)) for cell, value in zip(every, values, strict=True)]
    columns = data.draw(st.permutations(range(3)))
    head = ("one dim", "other", "value")
    tidy = [[row[n] for n in columns] for row in [head, *data.draw(st.permutations(rows))]]
    blank = data.draw(st.sampled_from(["\n", "\n\n\n", "\n , ,\n\n"]))
    text = written(tidy[:1]) + blank + blank.join(written([row]) for row in tidy[1:])
    assert_array_equal(cells(text, dims).numbers["value"], values)

    grid = np.array([row[2] for row in rows], dtype=object).reshape(shape)
    across = data.draw(st.permutations(range(shape[1])))
    down = data.draw(st.permutations(range(shape[0])))
    names = dims.labels["other"]
    if "one dim" not in names:
        wide = [["one dim", *(names[n] for n in across)]]
        wide += [[dims.labels["one dim"][m], *grid[m, list(across)]] for m in down]
        assert_array_equal(cells(written(wide), dims, wide="other").numbers["value"], values)


def test_every_cell_of_a_large_table_has_its_number_words_and_line():
    """Of 90,000 rows in any order each gives its own cell what it says, and nothing else."""
    head, *rows = square()
    order = np.random.default_rng(1).permutation(len(rows))
    lines = [f"{head},cv,source,note", *(f"{rows[n]},{n % 7 or ''},s{n % 5},-" for n in order)]
    found = cells("\n".join(lines), SQUARE, Wanted(("value",), ("cv",), ("source",)))
    numbers = np.arange(len(rows))
    assert_array_equal(found.numbers["value"], numbers)
    assert_array_equal(found.numbers["cv"], np.where(numbers % 7, numbers % 7, np.nan))
    assert [*found.words["source"]] == [f"s{n % 5}" for n in numbers]
    assert_array_equal(found.lines[order], numbers + 2)


LATE = 89_000


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("r296,x,1", "'x' is no year; write whole numbers such as 0"),
        ("r29,200", "2 cells but 3 columns"),
        ("r296,200,1,1", "4 cells but 3 columns"),
        ("r296,200,", "column 'value' is empty"),
        ("r296,200,1e4x", "column 'value' holds '1e4x', which is not a number"),
        ("r296,200,nan", "column 'value' holds 'nan'; numbers must be finite"),
        ("r0,7,1", "a second row for row=r0, year=7 (first on line 9)"),
        ('r296,"200,1', "not valid CSV: "),
    ],
)
def test_a_mistake_far_down_is_named_at_its_line(row, message):
    """What is wrong in row 89,000 is said as if it stood in the first."""
    lines = square()
    lines[LATE - 1] = row
    with pytest.raises(InputError) as wrong:
        cells("\n".join(lines), SQUARE)
    last = len(lines) if "CSV" in message else LATE
    assert wrong.value.where == f"x.csv:{last}" or "CSV" in message
    assert wrong.value.message.startswith(message)


def test_a_hole_far_down_is_named():
    """A row that is missing is named, and how many more are."""
    lines = square()
    del lines[LATE - 1 : LATE + 1]
    with pytest.raises(
        InputError, match=r"no row for row=r296, year=198 and 1 more; every"
    ) as hole:
        cells("\n".join(lines), SQUARE)
    assert hole.value.where == f"x.csv:{len(lines)}"


@pytest.mark.parametrize("far", [0, 99_999])
def test_of_many_wrong_rows_one_is_told(far, monkeypatch):
    """Of 100,000 rows with labels that are none the first is named; no other is looked at."""
    asked = []
    monkeypatch.setattr(label, "nearest", lambda *a: asked.append(a) or nearest(*a))
    dims = Dims({"k": tuple(f"k{n}" for n in range(100_001))})
    lines = ["k,value", *(f"{'kk' if n >= far else 'k'}{n},1" for n in range(100_001))]
    with pytest.raises(InputError, match=f"k has no label 'kk{far}'") as wrong:
        cells("\n".join(lines), dims)
    assert wrong.value.where == f"x.csv:{far + 2}"
    assert len(asked) == 1


def test_rows_are_read_no_further_than_there_are_cells(monkeypatch):
    """Of more rows than cells only those split at once are: some cell has two."""
    read, columns = [], tables.Table.columns
    monkeypatch.setattr(
        tables.Table, "columns", lambda table: (read.append(len(c)) or c for c in columns(table))
    )
    dims = Dims({"k": ("a", "b")})
    with pytest.raises(InputError, match=r"a second row for k=b \(first on line 2\)") as wrong:
        cells("k,value\n" + "b,1\n" * 100_000, dims)
    assert wrong.value.where == "x.csv:3"
    assert len(read) == 1
    assert read[0] < 100_000


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        (
            ",".join(f"c{n}" for n in range(40_000)),
            "40,000 columns, but at most 10,000 are read",
            1,
        ),
        ("," * 1_000_000, "the table is empty", 1),
        ("," * 5_000_000, LONG, 1),
        ("x" * 5_000_000, LONG, 1),
        ('"' * 1_000_000, "not valid CSV: field larger than field limit", 1),
        ("\n" * 1_000_000, "the table is empty", 1),
        (
            "k,value\na,1\n" + '"\n",' * 2_000_000,
            LONG,
            1_048_579,
        ),
        ("k,value\na," + "1" * 1_000_000, "not valid CSV: field larger than field limit", 2),
        ("k,value\na,1" + "," * 1_000_000, "1000002 cells but 2 columns", 2),
        (
            "k,value\na," + "1" * 100_000,
            r"column 'value' holds '1{77}\.\.\.'; numbers must be finite",
            2,
        ),
    ],
)
def test_what_is_no_table_is_refused(text, message, line):
    """Headers and rows of any length end in one message."""
    with pytest.raises(InputError, match=f"x.csv:{line}: {message}") as wrong:
        cells(text, Dims({"k": ("a",)}))
    assert len(str(wrong.value)) < 300


@given(st.text("ab,, \t\r\n\n", max_size=40), st.integers(1, 20))
def test_columns_are_those_of_the_rows(text, together):
    """However many lines are split at once: rows, their lines and what is wrong are the same."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(tables, "_TOGETHER", together)
        table = parse_table(f"k,l\n{text}", FILE)
        columns = (zip(c.lines, *c.texts, strict=True) for c in table.columns())
        found = [*told(itertools.chain.from_iterable(columns))]
    rows = [*told((line, *cells) for line, cells in table.rows())]
    if any(isinstance(row, str) for row in rows):  # of the rows before only some are told
        found, rows = found[-1:], rows[-1:]
    assert found == rows


def told(rows):
    """Yield rows, and what is wrong with them."""
    try:
        yield from rows
    except InputError as wrong:
        yield f"{wrong}"


@pytest.mark.parametrize("blank", ["\n", ",,\n", " \t\n"])
def test_blank_lines_are_passed_over(blank):
    """Of a million blank lines between rows only the number is kept; within a cell they stay."""
    many = f"\n{blank * 999_999}"
    text = f'k,value,source{many}a,1,"p\n\n\nq"\n\nb,2,\n{many}'
    found = cells(text, Dims({"k": ("a", "b")}), Wanted(("value",), words=("source",)))
    assert [*found.words["source"]] == ["p\n\n\nq", ""]
    assert found.lines.tolist() == [1_000_004, 1_000_006]


def test_a_parameter_of_too_many_cells_is_refused():
    """Dims that span billions of cells are refused before there is an array of them."""
    labels = {dim: [f"{dim}{n}" for n in range(1_000)] for dim in "abc"}
    data = one_parameter(labels=labels, dims=[*"abc"], value=1, distribution="constant")
    with pytest.raises(InputError, match=r"1,000,000,000 cells .* at most 10,000,000") as wrong:
        scenario(data)
    assert "scenario.yaml:" in wrong.value.where


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("k;value\na;1,5\n", "the columns are separated by semicolons; save it with commas (and"),
        ('"k";"value"\n"a";"1,5"\n', "the columns are separated by semicolons"),
        ("k\tvalue\na\t1.5\n", "the columns are separated by tabs"),
        ("k|value\na|1.5\n", "the columns are separated by bars"),
        ("k value\na 1.5\n", "the columns are separated by blanks"),
        ("sep=;\nk;value\na;1,5\n", "the first line, 'sep=;', is for Excel alone: the columns are"),
        ("sep=,\nk,value\na,1\n", "the first line, 'sep=,', is for Excel alone: remove it"),
        ("# a yearbook\nk,value\na,1\n", "the first line is a comment"),
        ("k,value\n# a guess\na,1\n", "1 cells but 2 columns; a table has no comments"),
        ("Table 1\n\nk,value\na,1\n", "no column for the dim 'k'; line 3 has names of columns"),
        ("\nk,value\na,1\n", "the first line is blank"),
        ("K,value\na,1\n", "no column for the dim 'k'; call the column 'K' 'k'"),
        ("1,2\n2,2\n", "no column for the dim 'k'; the first line must name the columns"),
        ("<!DOCTYPE html>\n<p>404</p>\n", "a page of HTML"),
        ("k\0,\0v\0\n", "not UTF-8 text, but probably UTF-16"),
        ("k,value\na,1,5\n", "3 cells but 2 columns; numbers have no commas (1234.5), and texts"),
        ("k,value,note\na,1\n", "2 cells but 3 columns; an empty cell has its comma"),
        (",k,value\n0,a,1\n", "'0' stands in column 1, which has no name"),
        ("k,value,,\na,1,,x\n", "'x' stands in column 4, which has no name"),
        ("k,other,value\na,x,1\na,y,2\n", "a second row for k=a (first on line 2); the column"),
        ('k,value,note\na,1,"5" pipe"\n', "not valid CSV: "),
    ],
)
def test_other_files_are_told_from_tables(text, message):
    """What is seen is said, and what to do; never what would make it worse."""
    with pytest.raises(InputError) as wrong:
        cells(text, Dims({"k": ("a",)}) if "other" not in text else OTHER, names=("k",))
    assert wrong.value.message.startswith(message)


OTHER = Dims({"k": ("a",), "other": ("x", "y")})


def test_all_columns_that_are_missing_are_named_at_once():
    """A table whose columns have capitals is mended in one go."""
    with pytest.raises(InputError) as wrong:
        cells("K,Other,value\na,x,1\n", OTHER, names=("k", "other"))
    assert [part.split(": ", 1)[1] for part in str(wrong.value).split("\n")] == [
        "no column for the dim 'k'; call the column 'K' 'k'",
        "no column for the dim 'other'; call the column 'Other' 'other'",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "k,value,,\na,1,,\nb,2,,\n,,,\n,,,\n",
        "k,value\na,1,\nb,2,,,\n",
        "k,,value\na,,1\nb,,2\n",
        "k,,,value\na,,,1\nb,,,2\n",
        "k ,  value\n a, 1 \nb,\t2\n",
        "k,value\na,+1.\nb,.2e1\n",
    ],
)
def test_what_spreadsheets_leave_empty_is_passed_over(text):
    """Columns and rows without a name and a cell, blanks around numbers, numbers as they come."""
    assert_array_equal(cells(text, Dims({"k": ("a", "b")})).numbers["value"], [1, 2])


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        ("1,5", "write 1.5"),
        ("1 234", "write 1234"),
        ("1\u202f234,5", "write 1234.5"),
        ("1'234", "write 1234"),
        ("1.234,5", "write 1234.5"),
        ("1,234.5", "write 1234.5"),
        ("1,234", "write 1234, or 1.234 if the comma is that of decimals"),
        ("1.234.567", "write 1234567"),
        ("0,125", "write 0.125"),
        ("1234,567", "write 1234.567"),
        ("- 5", "write -5"),
        ("10^3", "write 1e3"),
        ("1.5\u00b710\u207b\u00b3", "write 1.5e-3"),
        ("12\u00b3", "write 12 alone"),
        ("\u00bd", ""),
        ("\u0661\u0662", "write 12"),
        ("1e400", ""),
        ("\u22125", "write -5"),
        ("1,5*10^3", "write 1.5e3"),
        ("(5)", "write -5 if it is negative, else 5"),
        ("1/4", "write 0.25"),
        ("10 %", "write 10 alone, its unit under unit"),
        ("ca. 5", "write 5 alone"),
        ("5 \u00b1 1", "write 5, and 1 in a column sd"),
        ("5 \u00b1 10 %", "write 5, and 10 % in a column cv"),
        ("10-20", "write 10 in a column low, and 20 in a column high"),
        ("10..20 kt", "write 10 in a column low, and 20 in a column high, and kt in a column unit"),
        ("< 3", "write 0 in a column low, and 3 in a column high"),
        ("10 1000", "there are two numbers; write one"),
        ("10 (8-12)", "write one number; how uncertain it is stands in cv, sd"),
        ("=A1*2", "it is a formula"),
        *(
            (mark, "a number is needed: where none")
            for mark in ("n/a", "NA", "-", "..", "x", ":", "#N/A")
        ),
        ("nan", "a number is needed: where none"),
        ("many", ""),
        ("0x10", ""),
        ("1" * 100 + "x", ""),
    ],
)
def test_a_cell_that_is_no_number_says_what_to_write(cell, advice):
    """With the labels of its row."""
    text = written([("k", "value"), ("a", "1"), ("b", cell)])
    with pytest.raises(InputError) as wrong:
        cells(text, Dims({"k": ("a", "b")}))
    said, _, told = wrong.value.message.partition(" (k=b)")
    assert said.startswith("column 'value' holds ")
    assert told.startswith(f"; {advice}") if advice else told == ""
    assert wrong.value.where == "x.csv:3"


def test_of_many_cells_that_are_no_numbers_the_first_is_told():
    """With the number of rows that are like it, whatever stands in them."""
    rows = [(f"k{n}", mark) for n, mark in enumerate(["1", "n/a", "", "2,5", "4", "inf"])]
    dims = Dims({"k": tuple(label for label, _ in rows)})
    with pytest.raises(InputError, match=r"'n/a', which .* \(k=k1 and 3 more rows\); a number"):
        cells(written([("k", "value"), *rows]), dims)


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        (b"PK\x03\x04\x14\x00\xff", "a workbook, or another zip file; save the sheet as CSV", 1),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old workbook; save the sheet as CSV", 1),
        (b"\x1f\x8b\x08\x00\xff", "a compressed file; unpack it", 1),
        ("k,value\n".encode("utf-16"), "it is UTF-16; save it as UTF-8", 1),
        ("k,value,note\na,1,für\n".encode("latin-1"), r".*it may be Latin-1", 2),
    ],
)
def test_bytes_that_are_no_text_are_named(tmp_path, content, message, line):
    """A workbook as that, and a line that is not UTF-8 by its number."""
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(InputError, match=f"x.csv:{line}: not UTF-8 text: {message}"):
        read_table(tmp_path / "x.csv")


def test_a_mark_of_utf_8_is_no_name(tmp_path):
    """Spreadsheets begin with one; it is no letter of the first column."""
    (tmp_path / "x.csv").write_text("k,value\n", encoding="utf-8-sig")
    assert read_table(tmp_path / "x.csv").header == ("k", "value")
