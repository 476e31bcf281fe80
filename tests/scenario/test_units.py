"""Units: converted once, round factors, nothing but units accepted."""

import pint
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from ndmc.scenario import units
from ndmc.scenario.units import NONE, TIME, Dimension, UnitError, UnitSystem, parse_amount

REGISTRY = pint.UnitRegistry(on_redefinition="ignore")
REGISTRY.define("kilotonne = 1000 * metric_ton = kt")
MASSES = ["g", "kg", "t", "kt", "Mt", "lb"]
FACTORS = [
    ("t", "kg", 1e-3),
    ("t", "g", 1e-6),
    ("t", "kt", 1e3),
    ("kt", "t", 1e-3),
    ("t", "kt/yr", 1e3),
    ("t", "%", 0.01),
    ("t", "1", 1.0),
    ("t", "", 1.0),
    ("t", "yr", 1.0),
    ("t", "day", 1 / 365.25),
    ("t", "g/units", 1e-6),
    ("kg", "t/yr", 1e3),
    ("t", "1/yr", 1.0),
    ("t", "kg/day", 0.36525),
    ("km", "m", 1e-3),
    ("t", "m", 1.0),
]


@pytest.mark.parametrize(("system", "unit", "expected"), FACTORS)
def test_factor_is_the_round_number(system, unit, expected):
    """Converts with the nearest double of the decimal factor, not one beside it."""
    assert UnitSystem(system).factor(unit) == pytest.approx(expected, rel=1e-15, abs=0)


@settings(deadline=None)
@given(system=st.sampled_from(MASSES), one=st.sampled_from(MASSES), two=st.sampled_from(MASSES))
def test_factors_agree_with_pint(system, one, two):
    """Two masses convert into each other by the same ratio in every system, which is pint's."""
    expected = REGISTRY.Quantity(1.0, one).to(two).magnitude
    got = UnitSystem(system).factor(one) / UnitSystem(system).factor(two)
    assert_allclose(got, expected, rtol=1e-13)  # each factor is rounded to 15 digits


COMMON = units._common()
PINT = pint.UnitRegistry(None)
PINT.load_definitions(units._COMMON.splitlines())
KNOWN = sorted(COMMON.known)


def test_common_units_are_those_of_pint():
    """Every name that is read without pint means there what pint says."""
    for name in KNOWN:
        size, dimension = COMMON.measured(name)
        expected, wanted = units._measured(PINT, name)
        assert (name, dimension) == (name, wanted)
        assert size == pytest.approx(expected, rel=1e-15, abs=0)


FACTOR = st.tuples(
    st.sampled_from([*KNOWN, "1", "t", "kg"]), st.sampled_from(["", "**2", " ^ -1", "** 3"])
).map("".join)


@settings(deadline=None)
@given(first=FACTOR, others=st.lists(st.tuples(st.sampled_from("*/ "), FACTOR), max_size=3))
def test_products_of_common_units_are_those_of_pint(first, others):
    """Products, quotients and powers of them too."""
    text = "".join([first, *map("".join, others)])
    size, dimension = COMMON.measured(text)
    expected, wanted = units._measured(PINT, text)
    assert dimension == wanted
    assert size == pytest.approx(expected, rel=2e-15, abs=0)


@pytest.mark.parametrize("unit", ["lb", "gs", "kg*lb", "grammes"])
def test_other_units_are_left_to_pint(unit):
    """What is not common is not guessed."""
    assert COMMON.measured(unit) is None


def test_year_is_the_unit_of_time():
    """A year is one, so flows are amounts per year and stocks are amounts."""
    system = UnitSystem("t")
    assert system.dimension("yr") == TIME
    assert system.flow * TIME == system.stock == system.dimension("kg")
    assert system.dimension("units") == system.dimension("%") == NONE


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("t", "t"), ("kg/day", "t/yr"), ("%", "1"), ("day", "yr"), ("1/day", "yr**-1")],
)
def test_name_is_the_model_unit(unit, expected):
    """Names the unit in which the model holds a dimension."""
    system = UnitSystem("t")
    assert system.name(system.dimension(unit)) == expected


@given(
    number=st.floats(allow_nan=False, allow_infinity=False, width=32),
    unit=st.sampled_from(["", "%", "kt", "t/yr"]),
)
def test_amount_is_split_into_number_and_unit(number, unit):
    """Any number, printed with any unit, is read back as both."""
    assert parse_amount(f"{number!r} {unit}") == (number, unit)


@pytest.mark.parametrize("text", ["kt", "", "1 2 kt kt 3e", "--3 t", "nan t", "1_000 t", "inf"])
def test_amount_without_a_number_is_refused(text):
    """Refuses a unit alone, and what only Python reads as a number, or leaves it in the unit."""
    try:
        _, unit = parse_amount(text)
    except UnitError:
        return
    with pytest.raises(UnitError):
        UnitSystem("t").factor(unit)


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ("degC", "offset"),
        ("furlongz", "unknown unit"),
        ("t**9**9", "cannot read"),
        ("t; import os", "cannot read"),
        ("t" * 200, "cannot read"),
        ("2*t", "cannot read"),
    ],
)
def test_nonsense_is_refused(unit, message):
    """Refuses what is no unit, or no absolute one, and names it."""
    with pytest.raises(UnitError, match=message):
        UnitSystem("t").factor(unit)


def test_stocks_in_years_are_refused():
    """Refuses a time as the unit of what flows."""
    with pytest.raises(UnitError, match="is a time"):
        UnitSystem("yr")


powers = st.dictionaries(st.sampled_from(["[mass]", "[time]", "[length]"]), st.integers(-3, 3))


@given(one=powers, two=powers)
def test_dimensions_multiply_like_powers(one, two):
    """Products add powers, quotients undo products, roots undo squares."""
    a, b = Dimension.of(one), Dimension.of(two)
    assert a * b == b * a
    assert a * b / b == a
    assert (a * a) ** 0.5 == a
    assert a / a == NONE
