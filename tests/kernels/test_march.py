"""The kernel of loops: every operation, year by year, against plain Python."""

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ndmc.scenario.operations import COMPARISONS, OPERATIONS
from ndmc_kernels.march import march
from ndmc_kernels.operations import Operation

EPS = np.finfo(np.float64).eps
unhurried = settings(deadline=None, max_examples=40)

YEARS = 11
ARITY = {"copy": 1} | {name: operation.arity for name, operation in OPERATIONS.items()}
BINARY = [name for name, arity in ARITY.items() if arity == 2 and name != "power"]


def encoded(lines):
    """Return a program as the kernel wants it; missing places repeat the target."""
    code = []
    for operation, target, *arguments in lines:
        places = [target, *arguments, *[target] * (3 - len(arguments))]
        code.append([Operation[operation.upper()], *(n for place in places for n in place)])
    return np.array(code, dtype=np.int64).reshape(-1, 9)


def run(lines, years, rows, kernel=march):
    """Return rows after a program."""
    rows = rows.copy()
    kernel(encoded(lines), years, rows)
    return rows


def special_values(rows, width, seed=1):
    """Return random rows [row, draw] in which zeros, ties, signs and what is not finite occur."""
    rng = np.random.default_rng(seed)
    odd = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324])
    plain = rng.normal(size=(rows, width)) * 10.0 ** rng.integers(-3, 4, (rows, width))
    return np.where(rng.random((rows, width)) < 0.2, rng.choice(odd, (rows, width)), plain)


@pytest.mark.parametrize("operation", ARITY)
def test_operation_equals_numpy(operation):
    """Each operation on rows that move with the years and rows that stay, odd numbers included.

    Those that are not exact are off by some ulps, but for subnormal results.
    """
    rows = special_values(4 * YEARS + 1, 256)
    places = [(YEARS, 1), (4 * YEARS, 0), (2 * YEARS, 1)][: ARITY[operation]]
    lines = [(operation, (0, 1), *places), (operation, (3 * YEARS, 1), *reversed(places))]
    with np.errstate(all="ignore"):
        got, expected = run(lines, YEARS, rows), reference.march(lines, YEARS, rows)
    if operation in reference.ULPS:
        tolerance = reference.ULPS[operation] * EPS
        assert_allclose(got, expected, rtol=tolerance, atol=np.finfo(float).tiny)
    else:
        assert_array_equal(got, expected)


def test_fused_is_within_one_rounding():
    """The sum a + b * c is rounded once or twice: two halves of an ulp of its largest part."""
    rows = np.random.default_rng(2).normal(size=(4 * YEARS, 256))
    lines = [("fused", (0, 1), (YEARS, 1), (2 * YEARS, 1), (3 * YEARS, 1))]
    got, expected = run(lines, YEARS, rows), reference.march(lines, YEARS, rows)
    a, b, c = (rows[n * YEARS : (n + 1) * YEARS] for n in (1, 2, 3))
    assert (np.abs(got - expected)[:YEARS] <= EPS * (np.abs(a) + np.abs(b * c))).all()


@pytest.mark.parametrize("years_ago", [0, 1, 4, YEARS - 1, YEARS, 40])
def test_lag_reads_what_was_and_nothing_before_the_first_year(years_ago):
    """The value of an earlier year, zero before the first; what lies there is not read."""
    rows = np.random.default_rng(3).normal(size=(2 * YEARS, 64))
    lines = [("lag", (0, 1), (YEARS, 1), (years_ago, 0))]
    got = run(lines, YEARS, rows)
    assert_array_equal(got, reference.march(lines, YEARS, rows))
    assert_array_equal(got[:years_ago][:YEARS], 0.0)


@pytest.mark.parametrize("years", [1, 2, 3, 4, 5, 6, 9, 22])
@pytest.mark.parametrize("by_cohort", [False, True])
def test_recall_sums_every_earlier_inflow(years, by_cohort):
    """Each earlier inflow times the age share of its cohort, for any number left over by fours.

    The sum of n products of positive numbers is off by n roundings at most.
    """
    apart = years if by_cohort else 0
    tables = years if by_cohort else 1
    rows = np.random.default_rng(4).random(((2 + tables) * years, 64)) + 0.1
    lines = [("recall", (years, 1), (0, 1), (2 * years, apart))]
    got, expected = run(lines, years, rows), reference.march(lines, years, rows)
    assert_array_equal(got[years], 0.0)
    assert_allclose(got, expected, rtol=years * EPS)


def test_recall_reads_no_year_that_is_not_over():
    """What this year and later years hold may be anything, and age 0 is not asked for."""
    rows = np.random.default_rng(5).random((3 * YEARS, 64))
    rows[2 * YEARS] = np.nan
    fed = [("copy", (0, 1), (2 * YEARS + 1, 0)), ("recall", (YEARS, 1), (0, 1), (2 * YEARS, 0))]
    rows[:YEARS] = np.nan
    got = run([fed[1], fed[0]], YEARS, rows)
    assert np.isfinite(got[YEARS : 2 * YEARS]).all()


def test_resolve_inverts_and_remembers_the_largest_gain():
    """1 / (1 - a), and the largest a of all years, one draw at a time."""
    rows = np.random.default_rng(6).uniform(-2, 1.5, (2 * YEARS + 1, 256))
    rows[-1] = 0.0
    lines = [("resolve", (0, 1), (YEARS, 1), (2 * YEARS, 0))]
    got = run(lines, YEARS, rows)
    assert_array_equal(got, reference.march(lines, YEARS, rows))
    assert_array_equal(got[-1], np.maximum(rows[YEARS : 2 * YEARS].max(axis=0), 0.0))


def test_resolve_does_not_forget_a_gain_that_is_no_number():
    """Once a gain is nan the largest is nan, whatever later years bring."""
    rows = np.zeros((7, 64))
    rows[3:6] = [[0.5], [np.nan], [0.25]]
    got = run([("resolve", (0, 1), (3, 1), (6, 0))], 3, rows)
    assert np.isnan(got[6]).all()


@st.composite
def programs(draw):
    """Return a random program that reads what is given or was written before, and its rows."""
    years = draw(st.integers(1, 12))
    series = 6  # of which the first three are given
    share = series * years
    number = st.integers(0, 2)
    lines = []
    for n in range(3, series):
        known = st.integers(0, n - 1).map(lambda m: (m * years, 1))
        operation = draw(st.sampled_from([*BINARY, "fused", "where", "lag", "recall", "negative"]))
        match operation:
            case "lag":
                arguments = [draw(known), (draw(number), 0)]
            case "recall":
                arguments = [draw(known), (share, 0)]
            case "negative":
                arguments = [draw(known)]
            case "fused" | "where":
                arguments = [draw(known) for _ in range(3)]
            case _:
                arguments = [draw(known), draw(known)]
        lines.append((operation, (n * years, 1), *arguments))
    seed = draw(st.integers(0, 2**32 - 1))
    rows = np.random.default_rng(seed).integers(1, 9, ((series + 1) * years, 256)).astype(float)
    return lines, years, rows


@unhurried
@given(programs())
def test_programs_equal_the_twin(program):
    """Whole programs of small numbers equal the twin, as long as they do not blow up."""
    lines, years, rows = program
    with np.errstate(all="ignore"):
        got, expected = run(lines, years, rows), reference.march(lines, years, rows)
        smooth = not {line[0] for line in lines} & {"min", "max", "where", *COMPARISONS}
    if smooth:
        largest = np.nanmax(np.abs(np.where(np.isfinite(expected), expected, 0.0)))
        if largest < 1e6:
            assert_allclose(got, expected, rtol=1e-12, atol=1e-12 * largest)
    assert got.shape == expected.shape


@unhurried
@given(programs())
def test_width_changes_no_bit(program):
    """A tile of 64 draws has the bits of the same draws in a tile of 256."""
    lines, years, rows = program
    lines = [*lines, ("exp", (0, 1), (years, 1)), ("power", (2 * years, 1), (years, 1), (0, 1))]
    with np.errstate(all="ignore"):
        wide = run(lines, years, rows)
        for first in range(0, 256, 64):
            narrow = np.ascontiguousarray(rows[:, first : first + 64])
            assert_array_equal(run(lines, years, narrow), wide[:, first : first + 64])


def test_programs_without_instructions_or_years_do_nothing():
    """The rows stay as they are."""
    rows = np.random.default_rng(8).random((3, 64))
    assert_array_equal(run([], 5, rows), rows)
    assert_array_equal(run([("copy", (0, 0), (1, 0))], 0, rows), rows)
