"""Row code: each operation against plain NumPy, and what it is compiled from."""

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import bundled, scenario, stock_model

from ndmc.dims import Dims
from ndmc.engine.cohorts import Members
from ndmc.engine.evaluation import evaluate
from ndmc.engine.instructions import Arithmetic, Writer
from ndmc.engine.row_code import compile_rows
from ndmc.engine.tile_width import tile_width
from ndmc.engine.tiles import Tile
from ndmc.model import compile_plan
from ndmc.scenario.operations import OPERATIONS
from ndmc_kernels.operations import Operation
from ndmc_kernels.rows import EMIT, compute, survey

EPS = np.finfo(np.float64).eps
ODD = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324]
ARITY = {
    **{name: operation.arity for name, operation in OPERATIONS.items()},
    **{"copy": 1, "gain": 1, "lose": 1, "hold": 2, "since": 2, "fused": 3, "product": 3},
}
WIDTHS = pytest.mark.parametrize("width", [1, 3, 64, 200])


def special_values(rows, width, seed=1):
    """Return random rows [row, draw] in which zeros, ties, signs and what is not finite occur."""
    rng = np.random.default_rng(seed)
    plain = rng.normal(size=(rows, width)) * 10.0 ** rng.integers(-3, 4, (rows, width))
    return np.where(rng.random((rows, width)) < 0.2, rng.choice(ODD, (rows, width)), plain)


def encoded(lines):
    """Return instructions as the kernel wants them; missing places repeat the target."""
    code = []
    for operation, count, target, *operands in lines:
        places = [target, *operands, *[target] * (3 - len(operands))]
        numbers = (n for place in places for n in place)
        code.append([Operation[operation.upper()], count, *numbers])
    return np.array(code, dtype=np.int64).reshape(-1, 10)


def run(lines, rows):
    """Return rows after instructions."""
    rows = rows.copy()
    compute(encoded(lines), rows)
    return rows


@WIDTHS
@pytest.mark.parametrize("operation", ARITY)
def test_operation_equals_numpy(operation, width):
    """Each operation, on rows apart and rows that stay, odd numbers included.

    A fused or product may round once instead of twice; functions that are not exact are off by
    some ulps.
    """
    rows = special_values(40, width)
    lines = [(operation, 5, (0, 1), *[(10, 2), (25, 0), (30, 1)][: ARITY[operation]])]
    with np.errstate(all="ignore"):
        got, expected = run(lines, rows), reference.compute(lines, rows)
        size = reference.compute(lines, np.abs(rows))
    if operation in (*reference.ULPS, "fused", "product"):
        finite = np.isfinite(expected) & np.isfinite(got)
        largest = np.maximum(size[finite] if operation == "fused" else 0.0, abs(expected[finite]))
        assert (abs(got[finite] - expected[finite]) <= 4 * EPS * largest + 1e-307).all()
        got, expected = (np.where(finite, 0.0, values) for values in (got, expected))
    assert_array_equal(got, expected)


def test_lines_are_done_in_order():
    """A row is computed from the one before it, as a running sum is."""
    rows = np.ones((6, 64))
    got = run([("copy", 1, (0, 0), (5, 0)), ("add", 4, (1, 1), (0, 1), (5, 0))], rows)
    assert_array_equal(got[:5, 0], [1, 2, 3, 4, 5])


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_survey_finds_extremes(data):
    """Least and greatest of each draw are NumPy's, and nan where a value is not finite."""
    width, seed = data.draw(st.sampled_from([1, 5, 64, 130])), data.draw(st.integers(0, 99))
    rows = special_values(30, width, seed)
    rows[np.isinf(rows)] = 1e30
    if data.draw(st.booleans()):
        rows[np.isnan(rows)] = -0.5
    sizes = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    groups = [np.random.default_rng(seed + n).integers(0, 30, n) for n in sizes]
    least, most = np.empty((2, len(groups), width))
    survey(rows, np.concatenate(groups), np.cumsum(sizes), least, most)
    expected = reference.survey(rows, groups)
    assert_array_equal([least, most], [*expected])


@pytest.mark.parametrize("here", [0, 3, 63])
@pytest.mark.parametrize("there", [0, 5, 90])
@pytest.mark.parametrize("size", EMIT)
def test_emit_writes_what_fits(here, there, size):
    """Rows times their scale go to their place, rounded once; all else is left alone."""
    some, scale = np.array([7, 0, 3]), np.array([1.0, 2.5, -1.0])
    rows = special_values(9, 64)
    out = np.full((3, 100), 77.0, dtype=f"f{size}")
    expected = out.copy()
    count = min(64 - here, 100 - there)
    with np.errstate(all="ignore"):
        scaled = (rows[some] * scale[:, np.newaxis])[:, here : here + count]
        expected[:, there : there + count] = scaled
    EMIT[size](rows, some, scale, here, out, there)
    assert_array_equal(out, expected)


# --- what it is compiled from --------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_lines_of_any_table_are_done_each_once(data):
    """However rows lie, an operation is done for each of them, in order."""
    count = data.draw(st.integers(1, 12))
    pool = st.lists(st.integers(0, 9), min_size=count, max_size=count)
    writer = Writer(Dims({}))
    writer.take((20,))
    target = np.arange(10, 20)[: min(count, 10)]
    operands = [np.array(data.draw(pool))[: len(target)] for _ in range(2)]
    writer.do("subtract", target, *operands)
    (code,) = writer.finished(writer.taken())
    assert isinstance(code, Arithmetic)
    rows = special_values(20, 8)
    expected = rows.copy()
    with np.errstate(all="ignore"):
        expected[target] = rows[operands[0]] - rows[operands[1]]
    compute(code.instructions, rows)
    assert_array_equal(rows, expected)


def test_rows_at_equal_steps_are_one_instruction():
    """A whole table of products by year, times a number of each product, is a line a product."""
    writer = Writer(Dims({"product": ("a", "b", "c"), "year": ("2000", "2001")}))
    target, left, right = (writer.take(shape) for shape in ((3, 2), (3, 2), (3, 1)))
    writer.do("multiply", target, left, right)
    writer.do("add", target, left, left)
    (code,) = writer.finished(writer.taken())
    assert code.instructions[:, 1].tolist() == [2, 2, 2, 6]


def test_nothing_is_copied_that_need_not_be():
    """Picking, lagging and a sum of one term are other row numbers, not operations."""
    plan = compile_plan(bundled("china_nd"))
    code = compile_rows(plan)
    names = code.names
    assert_array_equal(names["sales"].shape, (17, 21))
    tile = Tile(code, 64)
    with np.errstate(all="ignore"):
        tile.sample(1, 0)
        tile.run(code.each)
    first = tile["eol_total"][10]
    assert_allclose(tile["eol_growth"], tile["eol_total"][20] / first, rtol=4 * EPS)


def test_one_number_serves_all_draws():
    """What no draw changes is computed once, and read with one draw."""
    plan = compile_plan(bundled("starter"))
    tile = Tile(compile_rows(plan), 64)
    for name in plan.constants:
        assert tile[name].shape[-1] == 1


def test_survival_that_no_draw_changes_is_computed_once(monkeypatch):
    """Ages of certain lifetimes are looked at for the first tile only, with the same result."""
    data = stock_model(spread=0.1)
    data["parameters"]["eta"] = {"unit": "yr", "value": 7, "distribution": "constant"}
    data["stocks"]["in_use"]["lifetime"] = "weibull(eta, 2)"
    plan = compile_plan(scenario(data), ["sales", "in_use"])
    counted = []
    whole = Members.shares_by_fate
    monkeypatch.setattr(Members, "shares_by_fate", lambda *a: counted.append(1) or whole(*a))
    found = evaluate(plan, 1, range(3 * tile_width(plan)))
    assert len(counted) == 1
    ages = np.arange(found["sales"].shape[1]) + 0.5
    left = np.exp(-((ages / 7.0) ** 2))
    expected = sum(
        np.pad(found["sales"], ((0, 0), (age, 0), (0, 0)))[:, : len(ages)] * left[age]
        for age in range(len(ages))
    )
    assert_allclose(found["in_use"], expected, rtol=1e-13)
