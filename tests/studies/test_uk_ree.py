"""The UK study: balances and equations of its estimates, and what its Table 2 follows from."""

import functools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from strategies import EPS, bundled

import ndmc

NAME = "uk_ree"
VARIANTS = ("", "study_alone")
each_variant = pytest.mark.parametrize("variant", VARIANTS)
ELEMENTS = ("Nd", "Dy", "Pr", "Tb")
ROUTES = ("reused", "exported", "collected", "dismantled", "hibernating")
#: Flows of which the text prints a total.
PRINTED = [
    *("C1", "P2", "E2", "O2", "I3.1", "E3.1", "C3.1", "O3.1", "I4.1", "E4.1", "C4.1"),
    *("I5.1", "E5.1", "P5.1.0", "C5.1", "I5.2", "C5.2"),
]


@functools.cache
def reconciled(variant=""):
    """Return the reconciled estimates."""
    return ndmc.reconcile(NAME, variant=variant)


@functools.cache
def figures(variant=""):
    """Return the published figures beside the estimates, by id."""
    return ndmc.validate(NAME, variant=variant).set_index("id")


def value(name, variant=""):
    """Return an estimate without its year, or an exact parameter, in the unit of the file."""
    found = reconciled(variant)
    if name in found:
        return found[name].values[..., 0] if "year" in found[name].dims else found[name].values
    parameter = bundled(NAME, variant).parameters[name]
    central = np.array([m.central for m in parameter.marginals]) / parameter.factor
    return central.reshape(-1) if parameter.dims else central[0]


def initial(stock, variant):
    """Return what a stock holds at the end of 2016, written down once more."""
    if stock == "vehicles_in_use":
        used = dict(zip(ROUTES, value("used_vehicles", variant), strict=True))
        cars = value("vehicle_fleet", variant) - value("registered", variant).sum()
        cars += used["exported"] + used["collected"] + used["hibernating"]
        heavy = value("older_vehicle_intensity", variant) / 1000  # kg to t
        return cars * heavy * value("vehicle_share", variant)
    if stock == "wind_in_use":
        held = value("capacity_before", variant) * value("older_turbine_intensity", variant)
        return held * value("turbine_share", variant)
    return 0.0


# --- balances and equations ---------------------------------------------------------------------


@each_variant
@pytest.mark.parametrize("process", bundled(NAME).file.processes)
def test_balances_close(process, variant):
    """Every process balances to 64 eps of its largest flow or stock, by element where it can."""
    file = bundled(NAME).file
    around = [f for f in file.flows.values() if process in (f.origin, f.target)]
    by_element = all(flow.dims for flow in around)
    total = (lambda x: np.asarray(x)) if by_element else np.sum
    gaps, sizes = [], []
    for name, flow in file.flows.items():
        sign = (flow.target == process) - (flow.origin == process)
        gaps.append(sign * total(value(name, variant)))
        sizes.append(abs(gaps[-1]).max())
    for name, stock in file.stocks.items():
        if stock.process == process:
            now, before = total(value(name, variant)), total(initial(name, variant))
            gaps += [-now, before]
            sizes += [np.max(now), np.max(before)]
    assert max(sizes) > 0 or process == "generator_making"
    assert np.max(np.abs(sum(gaps))) <= 64 * EPS * max(*sizes, 1.0)


@pytest.mark.parametrize(
    "share", ["magnet_share", "vehicle_share", "generating_set_share", "turbine_share"]
)
def test_shares_of_elements_sum_to_one(share):
    """Four elements are all there is."""
    assert_allclose(value(share).sum(), 1, rtol=0, atol=4 * EPS)


#: Flows by the four equations, of all elements, from reconciled factors in t, MW and shares.
EQUATIONS = {
    "magnet_imports": ("imported_magnet_mass", "imported_magnet_fraction"),
    "magnet_exports": ("exported_magnet_mass", "exported_magnet_fraction"),
    "magnets_assembled": ("assembled_magnet_mass", "assembled_magnet_fraction"),
    "motors": ("motors_made", "motor_intensity"),
}


@each_variant
@pytest.mark.parametrize("flow", EQUATIONS)
def test_elements_sum_to_what_the_equation_says(flow, variant):
    """Eq. 1 is mass x fraction (in percent), Eq. 2 items x intensity (in kg)."""
    one, other = (value(name, variant) for name in EQUATIONS[flow])
    scale = 1000 if flow == "motors" else 100
    assert_allclose(value(flow, variant).sum(), one * other / scale, rtol=32 * EPS)


@each_variant
def test_equations_of_wind(variant):
    """Eq. 3 is MW x intensity; Eq. 4 is mass / mass of a nacelle x rating x magnets x fraction."""
    added = value("added_capacity", variant).sum()
    installed = added * value("new_turbine_intensity", variant)
    assert_allclose(value("turbines_installed", variant), installed, rtol=32 * EPS)
    nacelles = value("imported_set_mass", variant) / value("nacelle_mass", variant)
    magnets = nacelles * value("rating", variant) * value("magnet_mass", variant)
    total = magnets * value("generator_fraction", variant) / 100
    assert_allclose(value("set_imports", variant).sum(), total, rtol=32 * EPS)


def test_printed_balances_close_to_a_tonne():
    """Without what the scenario adds, printed totals come out to their last digit."""
    table = figures("study_alone")
    assert_allclose(table.loc[PRINTED, "median"], table.loc[PRINTED, "published"], rtol=0, atol=0.5)


# --- uncertainties ----------------------------------------------------------------------------

#: Rows of Table 2 that follow, from 2.3 % and the balances, or from a choice of scores.
FOLLOW = [
    *("C1", "L1", "P2", "E2", "O2"),
    *("C3.1 Nd", "P4.1 Nd", "C4.1 Nd", "P5.1.0.1 Nd", "C3.2 Nd"),
    *(f"{flow} {e}" for flow in ("I3.1", "E3.1", "P3.1", "O3.1", "E5.2", "C5.2") for e in ELEMENTS),
    *("I5.1.4 Nd", "I5.1.4 Dy", "I5.1.4 Pr"),
]


@pytest.mark.parametrize("row", FOLLOW)
def test_table_2_to_the_printed_digit(row):
    """The reconciled standard deviation rounds to what Table 2 prints."""
    found = figures("study_alone").loc[row]
    assert f"{100 * found.cv:.1f}" == f"{100 * found.uncertainty:.1f}"


def cv(name, variant="study_alone"):
    """Return the relative standard deviation of an estimate."""
    return reconciled(variant)[f"{name}_sd"].values[..., 0] / value(name, variant)


def test_scores_and_balances_by_hand():
    """Roots of sums of squares: compounds, metals, magnets."""
    good, used = 0.023, math.hypot(0.023 * 2205, 0.023 * 967)
    assert_allclose(cv("compounds_used"), used / 1018, rtol=1e-12)
    sold = math.hypot(good * 450, 0.9 * used) / (450 + 0.9 * 1018)
    assert_allclose(cv("metal_exports"), sold, rtol=1e-12)
    assert_allclose(cv("metals_elsewhere"), sold, rtol=1e-12)
    imports = math.sqrt(0.413**2 + 4 * good**2)
    assert_allclose(cv("magnet_imports"), imports, rtol=1e-12)
    parts = [
        imports * value("magnet_imports", "study_alone"),
        math.sqrt(0.137**2 + 4 * good**2) * value("magnet_exports", "study_alone"),
        math.sqrt(0.137**2 + 0.045**2 + 5 * good**2) * value("magnets_assembled", "study_alone"),
        cv("motors") * value("motors", "study_alone"),
        cv("magnets_to_vehicles") * value("magnets_to_vehicles", "study_alone"),
    ]
    left = value("magnets_elsewhere", "study_alone")
    assert_allclose(cv("magnets_elsewhere"), np.sqrt(sum(p**2 for p in parts)) / left, rtol=1e-10)


def test_balance_of_motors_by_hand():
    """One balance of four measurements takes v / V of the variance v of each, V their sum."""
    prior = {
        "motors": 771 * math.hypot(0.068, 0.068),
        "motor_imports": 84 * math.hypot(0.068, 0.137),
        "motor_exports": 383 * math.hypot(0.206, 0.413),
        "motors_used": 472 * math.sqrt(0.068**2 + 3 * 0.011**2),
    }
    total = sum(sd**2 for sd in prior.values())
    for flow, sd in prior.items():
        left = sd * math.sqrt(1 - sd**2 / total)
        mean = value(flow, "study_alone").sum()
        assert_allclose(cv(flow), left / mean, rtol=1e-9)


def test_rows_of_one_flow_agree_but_one():
    """Table 2 prints some flows twice, with the same uncertainties but for one."""
    table = figures()["uncertainty"]
    pairs = [("C3.1", "P4.1"), ("C4.1", "P5.1.0.1"), ("C3.2", "P5.1.0.2")]
    differ = [
        f"{one} {e}"
        for one, other in pairs
        for e in ELEMENTS
        if table[f"{one} {e}"] != table[f"{other} {e}"]
    ]
    assert differ == ["C3.2 Nd"]
    assert figures().loc["C3.2 Nd", "status"] == "contradiction"


def test_agreement_is_what_the_readme_says():
    """All 31 rows are there; how many agree to the digit, to a tenth and to a fifth."""
    table = figures("study_alone")
    printed = table[table.uncertainty.notna()]
    off = abs(printed.cv / printed.uncertainty - 1)
    pairs = zip(printed.cv, printed.uncertainty, strict=True)
    digit = [f"{100 * found:.1f}" == f"{100 * given:.1f}" for found, given in pairs]
    counts = (len(printed), sum(digit), sum(off <= 0.1), sum(off <= 0.2))
    assert len({row.split()[0] for row in printed.index}) == 31
    text = " ".join((bundled(NAME).folder / "README.md").read_text(encoding="utf-8").split())
    assert f"of its {counts[0]} uncertainties" in text
    digits, tenths, fifths = counts[1:]
    assert f"{digits} agree to the printed digit, {tenths} to a tenth and {fifths} to a" in text


#: Of 35 figures, and of 65 inputs: to a hundredth and a tenth (targets, soft targets), to a fifth.
REPRODUCED = {
    "": ((10, 18, 24), (25, 47, 59)),
    "study_alone": ((15, 25, 33), (31, 51, 61)),
}


@each_variant
def test_reproduced_uncertainties(cli, variant):
    """How many of Table 2 the model has itself, inputs apart, and that the command says so."""
    table = figures(variant)
    off = table.cv_deviation.abs()[table.uncertainty.notna()]
    entered = table.status[off.index] == "input"
    for some, counts in zip((off[~entered], off[entered]), REPRODUCED[variant], strict=True):
        assert tuple((some <= near).sum() for near in (0.01, 0.1, 0.2)) == counts
    (hundredth, tenth, _), others = REPRODUCED[variant]
    assert (
        f"{hundredth} of 35 stated uncertainties are reproduced to 1 %, {tenth} to 10 %; "
        f"of 65 more of inputs {others[0]} and {others[1]}\n"
    ) in cli("validate", NAME, "--variant", variant or "none").out


@each_variant
def test_zeros_are_zeros(variant):
    """What follows from printed zeros is no rounding of what flows beside it, nor is its error."""
    for name in ("metals_to_magnets", "magnets_to_generators", "generators_made", "recovered"):
        assert not reconciled(variant)[name].any()
        assert not reconciled(variant)[f"{name}_sd"].any()
    assert reconciled(variant)["compounds_in_stock_sd"].item() == 0


# --- what the added data do -------------------------------------------------------------------


def test_contradictions_are_balanced():
    """Estimates lie between the study's balance and registrations, or capacity, and are surer."""
    assert value("vehicles_sold", "study_alone").sum() == pytest.approx(932)
    registered = figures("study_alone").loc["C5.1 registered", "median"]
    assert registered == pytest.approx(1163185 * 0.9e-3)
    assert 932 < value("vehicles_sold").sum() < registered
    assert 1037 < value("turbines_installed").sum() < 1128
    assert 19 < value("used_cars_exported").sum() < 22692 * 0.8775e-3
    for flow in ("vehicles_sold", "turbines_installed", "used_cars_exported"):
        assert (cv(flow, "") < cv(flow)).all()


def test_nothing_is_rejected():
    """The added data agree within their uncertainties; the study has one redundant balance."""
    found = reconciled()
    assert (found.attrs["redundancy"], found.attrs["rejected"]) == (5, "[]")
    assert 0.4 < found.attrs["p"] < 0.5
    assert reconciled("study_alone").attrs["redundancy"] == 1


CLASSES = {
    "compound_imports": ("not redundant", "not redundant"),
    "compounds_stocked": ("exact", "exact"),
    "compounds_used": ("observable", "observable"),
    "metals_to_magnets": ("exact", "exact"),
    "magnet_imports": ("not redundant", "not redundant"),
    "magnets_to_motors": ("observable", "observable"),
    "magnets_elsewhere": ("observable", "observable"),
    "motors": ("redundant", "redundant"),
    "motor_exports": ("redundant", "redundant"),
    "vehicle_imports": ("redundant", "not redundant"),
    "vehicles_sold": ("observable", "observable"),
    "used_cars_exported": ("redundant", "not redundant"),
    "turbines_installed": ("redundant", "not redundant"),
    "set_imports": ("not redundant", "not redundant"),
    "earlier_sets": ("observable", "observable"),
    "vehicles_in_use": ("observable", "observable"),
}


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name):
    """How each flow is known, with and without what the scenario adds."""
    for variant, wanted in zip(VARIANTS, CLASSES[name], strict=True):
        assert set(reconciled(variant)[f"{name}_class"].values.flat) == {wanted}


@each_variant
def test_published_figures(variant):
    """Every figure has a verdict, no target is missed, and what is left out says why."""
    table = figures(variant)
    assert table.verdict.value_counts().to_dict() == {
        "input": 100,
        "reported": 34,
        "met": 17,
        "not modelled": 10,
        "not reproducible": 5,
    }
    assert table[table.verdict.isin(["not modelled", "not reproducible"])].note.all()
    assert table.index.is_unique


def test_lag_of_wind():
    """Sets imported before 2017 cover the installation of two to three years."""
    lag = 5 * value("earlier_sets").sum() / value("turbines_installed").sum()
    assert 2 < lag < 3
