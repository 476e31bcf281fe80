"""Units: converted once, round factors, nothing but units accepted."""

from collections import Counter
from pathlib import Path

import pint
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from strategies import scenario, stock_model, write

import ndmc
from ndmc.scenario import known_units
from ndmc.scenario.units import NONE, TIME, Dimension, UnitError, UnitSystem, parse_amount

DOCS = Path(__file__).parents[2] / "docs"
REGISTRY = pint.UnitRegistry(on_redefinition="ignore")
REGISTRY.define("kilotonne = 1000 * metric_ton = kt")  # pint's `kt` is the knot
REGISTRY.define("year = 365.25 * day = yr = a")  # pint's `a` is the are
REGISTRY.define("item = count = unit")
KNOWN = sorted(known_units._known().ways)
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


# What pint reads as something else: short tons, parsecs, megarods.
METRIC = {name for name in KNOWN if name.rstrip("s").endswith("ton") and "_" not in name}
OTHERWISE = METRIC | {name for name in KNOWN if name.endswith("pcs")} | {"Mrd"}


def measured(text):
    """Return size and dimension as pint has them, nothing of what it does not know."""
    REGISTRY._cache.root_units.clear()  # else it has the bits of the same product in another order
    try:
        size, root = REGISTRY.get_root_units(text)
    except pint.UndefinedUnitError:
        return None
    return size, Dimension.of({k: float(v) for k, v in dict(root.dimensionality).items()})


OF_PINT = [name for name in KNOWN if name not in OTHERWISE and measured(name.replace("%", ""))]


def test_units_are_those_of_pint():
    """What pint knows as well is the same here, to the bit."""
    assert len(OF_PINT) > 300
    system = UnitSystem("g")
    for name in OF_PINT:
        found = known_units.read_unit(name)[0], system.dimension(name)
        assert (name, *found) == (name, *measured(name))


FACTOR = st.tuples(
    st.sampled_from([*OF_PINT, "1", "t", "kg"]), st.sampled_from(["", "**2", " ^ 3"])
).map(lambda parts: "1" if parts[0] == "1" else "".join(parts))


@settings(deadline=None)
@given(factors=st.lists(FACTOR, min_size=1, max_size=3))
def test_quotients_of_units_are_those_of_pint(factors):
    """Quotients and powers are the same, to the bit."""
    text = "/".join(factors)
    size, dimension = measured(text)
    assert UnitSystem("t").dimension(text) == dimension
    assert known_units.read_unit(text)[0] == size


@pytest.mark.parametrize("text", ["kg*m", "kW h", "t km^2 / yr", "g/m**2/yr*kt"])
def test_products_of_units_are_those_of_pint(text):
    """A product is, too; its last bit may differ, as pint's does with the order."""
    size, dimension = measured(text)
    assert UnitSystem("t").dimension(text) == dimension
    assert known_units.read_unit(text)[0] == pytest.approx(size, rel=2e-15, abs=0)


@pytest.mark.parametrize("name", sorted(METRIC))
def test_a_ton_is_metric(name):
    """No ton is 907 kg that does not say that it is short."""
    number = {"t": 1, "k": 1e3, "m": 1e6, "g": 1e9}[name[0].lower()]
    assert UnitSystem("t").factor(name) == number


@pytest.mark.parametrize(
    ("system", "unit", "expected"),
    [
        ("t", "short_ton", 0.90718474),
        ("t", "long ton", 1.0160469088),
        ("kt", "million metric tons", 1e3),
        ("t", "Mlb", 453.59237),
        ("g", "troy_ounce", 31.1034768),
        ("t", "µg", 1e-12),
        ("t", "t per year", 1.0),
        ("t", "kg/cap/a", 1e-3),
        ("t", "kg m-2 yr-1", 1e-3),
        ("t", "kg·m⁻²·yr⁻¹", 1e-3),
        ("t", "g/㎡", 1e-6),
        ("t", "m2", 1.0),
        ("t", "km²", 1e6),
        ("t", "m³", 1.0),
        ("t", "l", 1e-3),
        ("vehicles", "million vehicles", 1e6),
        ("pcs", "kunits", 1e3),
        ("item", "Mio", 1e6),
        ("kg", "kg/Mcap", 1e-6),
        ("t", "‰", 1e-3),
        ("t", "wt%", 0.01),
        ("t", "ppb", 1e-9),
        ("USD", "k€/€", 1e3),
        ("USD", "bn USD", 1e9),
        ("MWh", "toe", 11.63),
        ("MW", "kWp", 1e-3),
    ],
)
def test_units_of_material_flow_studies_are_read(system, unit, expected):
    """Reads what studies write, whatever signs they write it with."""
    assert UnitSystem(system).factor(unit) == expected


TABLE = "product,value,unit\nphone,1,kg\ncar,6,{}\n"


@pytest.mark.parametrize(
    ("written", "changes"),
    [
        ({"    unit: kg\n": "    unit: kton\n", "phone: 1, car: 6": "phone: 1e-6, car: 6e-6"}, {}),
        ({"phone: 1, car: 6": "phone: 1e-3 ton, car: 6e-6 kilotons"}, {}),
        ({"value: {phone: 1, car: 6}": "table: c.csv", "c.csv": TABLE.format("kg")}, {}),
        (
            {
                "value: {phone: 1, car: 6}": "table: c.csv",
                "c.csv": TABLE.replace("6", "6e-6").format("kton"),
            },
            {},
        ),
        ({}, {"parameters.content.value.car": "6e-9 Mton"}),
        ({}, {"parameters.content.unit": "ton", "content": {"phone": 1e-3, "car": 6e-3}}),
    ],
)
def test_a_ton_is_metric_at_every_door(scenario, written, changes):
    """As the unit of a parameter, beside a number, in a table, and in a change."""
    parameter = ndmc.load(scenario(changes=written), changes=changes).parameters["content"]
    assert_allclose(parameter.marginals.central, [1e-3, 6e-3], rtol=1e-15)


def test_stocks_may_be_in_tons(scenario):
    """As the unit of all stocks a ton is metric, too."""
    loaded = ndmc.load(scenario(changes={"unit: t\n": "unit: kton\n"}))
    assert_allclose(loaded.parameters["content"].marginals.central, [1e-6, 6e-6], rtol=1e-15)


def test_no_unit_is_written_twice():
    """No prefix makes of one unit another."""
    known = known_units._known()
    ways = Counter()
    for row in known_units.UNITS.splitlines()[3:]:
        _, _, written, _, letters, _ = row.split("|")
        for text in written.split():
            words = [known.prefixes[one] for one in letters.split()] if len(text) > 2 else []
            ways.update(before + text for before in ("", *letters.split(), *words))
    assert {text for text, count in ways.items() if count > 1} == set()
    assert sorted(ways) == KNOWN


def test_the_list_stands_in_the_docs():
    """The scenario format lists every unit and prefix."""
    text = (DOCS / "scenario-format.md").read_text(encoding="utf-8")
    assert known_units.UNITS.strip() in text


def test_money_is_of_its_own_kind():
    """Euros are no dollars: a rate between them is a parameter."""
    system = UnitSystem("t")
    assert system.dimension("EUR") != system.dimension("USD")
    assert system.dimension("MEUR/EUR") == NONE


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
        ("degC", "unknown unit 'degC'; choose one such as t, kt"),
        ("furlongz", "unknown unit 'furlongz'; choose one such as t, kt"),
        ("phones", "'item' for whatever is counted; docs/scenario-format.md lists all"),
        ("t**9**9", "cannot read"),
        ("t; import os", "cannot read"),
        ("t" * 200, "cannot read"),
        ("2*t", "cannot read"),
        ("m10", "cannot read"),
        ("12", "cannot read"),
        ("kg/(cap yr)", "write it like .* 'kg/cap/yr' .* without brackets"),
        ("1000 t", "write it like .* 'thousand t', without .* numbers"),
        ("mt", r"unknown unit 'mt'; did you mean 'Mt' \(megatonne\) or 't' \(tonne\)\?"),
        ("MT/yr", r"unknown unit 'MT' in 'MT/yr'; did you mean 'Mt' \(megatonne\) or 't'"),
        ("KG", "unknown unit 'KG'; did you mean 'kg'?"),
        ("Kg", "did you mean 'kg'?"),
        ("kT", "did you mean 'kt'?"),
        ("GWH", "did you mean 'GWh'?"),
        ("Yr", "did you mean 'yr'?"),
        ("Tonnes", "did you mean 'tonnes'?"),
        ("mG", r"did you mean 'mg' \(milligram\) or 'Mg' \(megagram\)\?"),
        ("gr", "did you mean 'g'?"),
        ("u", "did you mean 'unit'?"),
        ("pct", "did you mean '%'?"),
        ("-", r"cannot read the unit '-'; did you mean '1'\?"),
        ("US$", "did you mean 'USD'?"),
        ("oz", "did you mean 'troy_ounce' or 'avoirdupois_ounce'?"),
        ("pt", "unknown unit 'pt'"),
        ("are", "unknown unit 'are'"),
        ("knot", "unknown unit 'knot'"),
        ("bbl", "unknown unit 'bbl'"),
        ("kg%", "unknown unit 'kg%'"),
        ("million vehicels", "unknown unit 'vehicels' in .*; did you mean 'vehicles'?"),
        ("t REO", "unknown unit 'REO' in 't REO'; a unit does not say of what: write 't'"),
        ("kt CO2/yr", "unknown unit 'CO2' in .*; a unit does not say of what: write 'kt/yr'"),
    ],
)
def test_what_is_no_unit_is_refused(unit, message):
    """Refuses what is no unit, or one by accident, and says what may be meant."""
    with pytest.raises(UnitError, match=message):
        UnitSystem("t").factor(unit)


@pytest.mark.parametrize("unit", ["%", "million vehicles", "kitem", "ppm"])
def test_stocks_in_plain_numbers_are_counted_one_by_one(unit):
    """Refuses a unit of stocks that is a plain number: shares could not be told from stocks."""
    with pytest.raises(UnitError, match="stocks are counted one by one"):
        UnitSystem(unit)


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


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("1,5 kt", "write 1.5 kt"),
        ("10 000", "write 10000"),
        ("10 \u00b1 2", "{value: 10, sd: 2, distribution: normal}"),
        ("10 +/- 2 kt/yr", "{value: 10, sd: 2, unit: kt/yr, distribution: normal}"),
        ("10 kt \u00b1 20 %", "{value: 10, cv: 20 %, unit: kt, distribution: normal}"),
        ("10\u201320 %", '{low: 10, high: 20, unit: "%", distribution: uniform}'),
        ("-5 to -3", "{low: -5, high: -3, distribution: uniform}"),
        ("<1", "{low: 0, high: 1, distribution: uniform}"),
        ("~5 t", "write 5 t; how uncertain it is stands in cv, sd, or low and high"),
        ("5 (est.)", "write 5 and its unit alone, and what is said of it in a note"),
        ("5 /yr", "write 5 and unit: 1/yr"),
        ("10 1000 t", "there are two numbers; write one"),
        ("1.2.3", "such as '2 %' or '6.7 kt'"),
    ],
)
def test_an_amount_that_is_no_number_says_what_to_write(text, advice):
    """With the keys of a parameter where more than a number is said."""
    with pytest.raises(UnitError) as wrong:
        parse_amount(text)
    assert str(wrong.value).startswith(f"{text!r} is not a number with a unit")
    assert str(wrong.value).endswith(advice)


# --- units that a scenario declares ---------------------------------------------------------------


def declaring(units, **parameters):
    """Return a scenario that declares units, with one parameter in each of some."""
    data = stock_model(units=units)
    data["parameters"] |= {
        name: {"unit": unit, "value": 2, "distribution": "constant"}
        for name, unit in parameters.items()
    }
    return data


DECLARED = {
    "AUD": "money",
    "magnet": "count",
    "cask": "0.5 barrel",
    "barrel": "159 l",
    "lakh": 100000,
    "RMB": "money",
    "vehicle": "count",
    "kton": "1000 t",
}


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("AUD", "AUD", 1.0),
        ("kAUD/magnet", "AUD", 1e3),
        ("barrel", "l", 159.0),
        ("thousand cask/yr", "l/yr", 79500.0),
        ("lakh magnet", "kmagnet", 100.0),
        ("g/magnet", "mg", 1000.0),
        ("AUD/kton", "AUD/t", 1e-3),
    ],
)
def test_declared_units_are_units(one, other, ratio):
    """Money, counts and amounts stand wherever a unit does, with the prefixes of their kind."""
    units = scenario(declaring(DECLARED)).units
    assert units.dimension(one) == units.dimension(other)
    assert units.factor(one) / units.factor(other) == pytest.approx(ratio, rel=1e-14)


def test_a_declared_unit_is_used_in_parameters_indicators_and_stocks():
    """Prices in a currency of the file's own give values in it, and stocks may be counted so."""
    data = declaring({"AUD": "money", "magnet": "count"}, price="kAUD/t")
    data["indicators"]["worth"] = {"value": "price * total", "unit": "MAUD"}
    data["indicators"]["same"] = "total * 2000 AUD/t"
    data["published"] = {
        "figures": [
            {"quantity": "worth", "at": "year=2014", "at_most": "9 MAUD", "status": "target"}
        ]
    }
    plan = ndmc.compile_plan(scenario(data), ["worth", "same", "total"])
    values = ndmc.evaluate(plan, 1, range(1))
    assert_allclose(values["worth"], 2e-3 * values["total"], rtol=1e-14)
    assert_allclose(values["same"], 2e3 * values["total"], rtol=1e-14)
    (figure,) = ndmc.validate(scenario(data), draws=1).itertuples()
    assert figure.verdict == "met"
    assert_allclose(figure.median, values["worth"][-1, 0], rtol=1e-14)
    counted = stock_model(units={"magnet": "count"}, unit="magnet")
    counted["parameters"]["inflow"]["unit"] = "thousand magnet/yr"
    assert ndmc.compile_plan(scenario(counted)).output("sales").unit == "magnet/yr"


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ({"ton": "907 kg"}, r"'ton' is known already, as tonne \[mass\], and is not '907 kg'"),
        ({"t": "money"}, r"'t' is known already, as tonne \[mass\], and is not 'money'"),
        ({"USD": "count"}, r"'USD' is known already, as USD \[USD\], and is not 'count'"),
        ({"kg": "count"}, r"known already, as kilogram \[mass\]"),
        ({"a_b": "3 c_d", "c_d": "2 a_b"}, "in a circle: a_b -> c_d -> a_b"),
        ({"loop": "2 loop"}, "in a circle: loop -> loop"),
        ({"barrel": "159 litr"}, r"unknown unit 'litr'; did you mean 'litre'"),
        ({"AUD": "mony"}, "'mony', which is no amount; did you mean 'money'"),
        ({"AUD": "dollars"}, "no amount; write money, count or such as '159 l'"),
        ({"barrel": "-159 l"}, "must be more than 0"),
        ({"m3x": "count"}, "'m3x' cannot be a unit; write letters and _ only"),
        ({"time": "money"}, "'time' cannot be a unit"),
    ],
)
def test_declared_units_that_are_none_are_refused(tmp_path, units, message):
    """Names known as something else, circles, and what is misspelt, at their line."""
    folder = write(declaring(units), tmp_path / "declared")
    with pytest.raises(ndmc.InputError, match=message) as wrong:
        ndmc.load(folder)
    assert wrong.value.place[1] > 1


def test_a_declared_unit_is_a_unit_only_where_it_is_declared():
    """One scenario's units are not those of the next; a near miss is told."""
    assert scenario(declaring({"magnet": "count"})).units.factor("magnet") == 1.0
    with pytest.raises(UnitError, match="unknown unit 'magnet'"):
        UnitSystem("t").factor("magnet")
    with pytest.raises(ndmc.InputError, match="'magnets' in 'USD/magnets'; did you mean 'magnet'"):
        scenario(declaring({"magnet": "count"}, price="USD/magnets"))
