"""Which rows of a program are the same, against the twin and against what the rows are."""

import numpy as np
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from ndmc.engine.instructions import instructions_of
from ndmc_kernels.numbering import NUMBER, UNKNOWN, ZERO, identify, needed, slots_for
from ndmc_kernels.operations import Operation
from ndmc_kernels.rows import compute

#: Rows of which lines are made: two numbers, then what differs from draw to draw.
GIVEN, ROWS = 6, 24
NAMES = ["COPY", "ADD", "MULTIPLY", "FUSED", "GAIN", "WHERE", "MAX", "EQUAL", "SINCE", "CLIP"]


@st.composite
def tables(draw):
    """Return lines of few operations on few rows, so that many are the same."""
    row = st.integers(0, ROWS - 1)
    line = st.tuples(st.sampled_from([Operation[n] for n in NAMES]), st.integers(GIVEN, ROWS - 1))
    lines = st.lists(st.tuples(line, row, row, row), max_size=60)
    found = [[*map(int, (*first, *read))] for first, *read in draw(lines)]
    return np.array(found, dtype=np.int64).reshape(-1, 5)


def start():
    """Return rows of which two are numbers, and two that are given have the same values."""
    rows = np.random.default_rng(1).normal(size=(ROWS, 64))
    rows[0], rows[1], rows[GIVEN:] = 0.0, 1.0, 0.0
    rows[5] = rows[4]
    same = np.arange(ROWS)
    same[5], same[GIVEN:] = 4, 0
    known = np.full(ROWS, UNKNOWN, np.int8)
    known[0], known[1], known[GIVEN:] = ZERO, NUMBER, ZERO
    return rows, same, known


def run(table, rows):
    """Compute lines one by one."""
    found = rows.copy()
    compute(instructions_of(table[:, 0], table[:, 1:]).instructions, found)
    return found


def numbered(table):
    """Return rows that are computed, what is found to be the same, and what is then known."""
    rows, same, known = start()
    after = run(table, rows)
    becomes = np.where(after[:, 0] == 0.0, ZERO, NUMBER).astype(np.int8)
    identify(table, ROWS, known, becomes, slots_for(len(table)), same)
    return after, same, known


#: Numbers are what rows become at last: of a row that is written twice they are not known before.
once = settings(max_examples=300, deadline=None)


def written_once(table):
    """Return lines of which each writes a row that no line wrote or read before."""
    rows = np.arange(GIVEN, ROWS)
    some = table[: len(rows)].copy()
    some[:, 1] = rows[: len(some)]
    some[:, 2:] = np.minimum(some[:, 2:], some[:, 1:2] - 1)
    return some


@once
@given(tables())
def test_rows_that_are_the_same_have_the_same_bits(table):
    """And a row is known to be a number only if it is one."""
    rows, same, known = numbered(written_once(table))
    for number in np.unique(same):
        some = rows[same == number]
        assert_array_equal(some, np.broadcast_to(some[0], some.shape))
    for row in np.flatnonzero(known != UNKNOWN):
        assert (rows[row] == rows[row, 0]).all()
        assert (rows[row, 0] == 0.0) == (known[row] == ZERO)


@once
@given(tables())
def test_all_that_the_twin_finds_the_same_is_found(table):
    """A twin keeps what was done as nested tuples."""
    table = written_once(table)
    _, same, known = numbered(table)
    rows, first, _ = start()
    numbers = dict(enumerate(rows[:2, 0].tolist()))
    twin = reference.same_values(table, first, numbers, run(table, rows)[:, 0])
    for row in range(ROWS):
        alike = [twin[other] == twin[row] for other in range(ROWS)]
        assert_array_equal(same == same[row], alike)
    assert known[1] == NUMBER


@once
@given(tables(), st.sets(st.integers(0, ROWS - 1), max_size=3))
def test_lines_that_lead_nowhere_are_left_out(table, read):
    """Rows that are read have the same bits without them, whatever is written how often."""
    rows, lines = np.zeros(ROWS, np.bool_), np.zeros(len(table), np.bool_)
    rows[[*read]] = True
    needed(table, rows, lines)
    before = start()[0]
    wanted, found = run(table, before), run(table[lines], before)
    assert_array_equal(found[[*read]], wanted[[*read]])
    assert rows[table[lines][:, 1:]].all()
