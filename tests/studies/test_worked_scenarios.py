"""The worked scenarios: each obeys the equations that its README states, computed here anew."""

import functools
import re

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import gamma, ndtr
from typer.testing import CliRunner

import ndmc
from ndmc.cli.app import app
from ndmc.engine.audit import LIMIT, Audit
from ndmc.engine.evaluation import evaluate, evaluate_central

NAMES = ("steel_loop", "building_stock", "two_stage_hoard", "quota_gap")
CASES = [(name, v) for name in NAMES for v in ("", *ndmc.load(name).file.variants)]
each_scenario = pytest.mark.parametrize("name", NAMES)
each_case = pytest.mark.parametrize(("name", "variant"), CASES)
SLOW = {"by_cohort", "old", "mean_age"}  # each cohort in each year; tested with means
DRAWS = 1000


def outputs(name, variant, without=()):
    """Return a plan of every flow, stock, indicator and parameter of a scenario."""
    loaded = ndmc.load(name, variant=variant)
    file = loaded.file
    keep = [*file.flows, *file.stocks, *file.indicators, *file.parameters]
    return ndmc.compile_plan(loaded, [one for one in keep if one not in without], whole=True)


@functools.cache
def drawn(name, variant=""):
    """Return 1000 draws of every output, in the scenario's unit, and their audit."""
    plan = outputs(name, variant, SLOW)
    audit = Audit(plan)
    return plain(plan, evaluate(plan, 1, range(DRAWS), audit=audit)), audit


@functools.cache
def central(name, variant=""):
    """Return every output with each parameter at its mean, in the scenario's unit."""
    plan = outputs(name, variant)
    return plain(plan, evaluate_central(plan))


def plain(plan, values):
    """Return outputs without their own units: shares as shares, not in percent."""
    return {o.name: values[o.name] / o.scale for o in plan.outputs}


def years(name):
    """Return the years of a scenario."""
    return np.array(ndmc.load(name).dims.years)


def same(found, wanted, tolerance=1e-12, scale=None):
    """Compare, relative to the largest number or to a given scale."""
    scale = np.abs(wanted).max() if scale is None else scale
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * scale)


# --- lifetimes, written down once more --------------------------------------------------------


def weibull(age, mean, cv):
    """Return the share of a Weibull lifetime, given by mean and cv, that outlives an age."""
    shape = brentq(lambda b: gamma(1 + 2 / b) / gamma(1 + 1 / b) ** 2 - 1 - cv**2, 0.2, 50)
    return np.exp(-((age / (mean / gamma(1 + 1 / shape))) ** shape))


def normal(age, mean, sd):
    """Return the share of a normal lifetime that outlives an age."""
    return ndtr((mean - age) / sd)


def lognormal(age, mean, sd):
    """Return the share of a lognormal lifetime that outlives an age."""
    variance = np.log(1 + (sd / mean) ** 2)
    return ndtr(-(np.log(age) - np.log(mean) + variance / 2) / np.sqrt(variance))


def all_year(share, ages, pace=1.0):
    """Average a survival over a year of arrival; ages count from the end of that year."""
    nodes, weights = np.polynomial.legendre.leggauss(100)
    return share(ages[..., None] + (nodes + 1) / 2 * np.asarray(pace)[..., None]) @ weights / 2


# --- what holds for all of them ---------------------------------------------------------------


@each_scenario
def test_is_listed_and_says_that_it_is_invented(name):
    """The list of scenarios has it; its title, references and README say what its numbers are."""
    listed = CliRunner().invoke(app, ["scenarios"])
    assert listed.exit_code == 0
    assert re.search(rf"\b{name}\b", listed.output)
    loaded = ndmc.load(name)
    readme = (loaded.folder / "README.md").read_text(encoding="utf-8")
    assert "an invented example" in loaded.file.title
    assert "invented example" in loaded.file.references[0]
    assert "**Every number is invented" in readme
    assert loaded.file.headline
    assert loaded.file.variants


@each_scenario
def test_can_be_read_in_a_minute(name):
    """A page each: the scenario, its README and at most one table."""
    folder = ndmc.load(name).folder
    lines = {path.name: path.read_text(encoding="utf-8").splitlines() for path in folder.iterdir()}
    assert len(lines["scenario.yaml"]) <= 75
    assert len(lines["README.md"]) < 30
    assert len([file for file in lines if file.endswith(".csv")]) <= 1
    assert max(len(line) for file in lines.values() for line in file) <= 120


@each_scenario
def test_readme_commands_run(name, tmp_path, monkeypatch):
    """Every command line of the README works, in its order; runs are made with fewer draws."""
    monkeypatch.chdir(tmp_path)
    readme = (ndmc.load(name).folder / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    ndmc (.+)$", readme, flags=re.MULTILINE)
    assert commands[0].startswith(f"check {name}")
    assert commands[1] == f"run {name} -n 1e4"
    for command in commands:
        done = CliRunner().invoke(app, re.sub(r"-n \S+", "-n 400", command).split())
        assert (done.exit_code, done.exception) == (0, None), command


@each_scenario
def test_check_finds_nothing_to_wonder_about(name):
    """The check passes without a warning."""
    done = CliRunner().invoke(app, ["check", name])
    assert done.exit_code == 0
    assert "it can be run" in done.output
    assert "warning" not in done.output


@each_case
def test_balances(name, variant):
    """Every process balances in 1000 draws, and only what the README explains is counted."""
    values, audit = drawn(name, variant)
    assert audit.draws == DRAWS
    assert audit.worst < LIMIT
    assert all(np.isfinite(one).all() for one in values.values())
    counted = {w.kind for w, n in zip(audit.plan.watches, audit.counts, strict=True) if n}
    explained = {
        ("building_stock", "exodus"): {"early_retirement"},
        ("building_stock", "exodus_empty"): {"clipped_inflow"},
    }
    usual = {"clip"} if name == "quota_gap" else set()
    assert counted == explained.get((name, variant), usual)


# --- steel_loop -------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["", "less_waste", "no_return"])
def test_steel_is_the_closed_form_of_its_loops(variant):
    """In every draw, primary = D/y/(1-l) - new_scrap_kept (1-y) D/y - collected end of life."""
    v, _ = drawn("steel_loop", variant)
    sold, y, kept = v["sales"].sum(0), v["fabrication_yield"], v["new_scrap_kept"]
    grown = (1 + v["growth"])[:, None] ** (years("steel_loop") - 2000)[:, None]
    same(sold, (v["sales_2000"][:, None] * grown).sum(0))
    old = (v["collection"][:, None] * v["end_of_life"]).sum(0)
    steel, new = sold / y, kept * (1 - y) * sold / y
    primary = steel / (1 - v["melting_loss"]) - new - old
    same(v["steel"], steel)
    same(v["scrap"], new + old)
    same(v["primary"], primary)
    same(v["primary"].mean(-1), primary.mean(-1))
    same(v["recycled_content"], (new + old) / (primary + new + old))
    same(v["old_content"], old / (primary + new + old))


def test_steel_comes_back_when_its_lifetime_says():
    """End of life is that of the initial stock, of growing ages, and of all sales since."""
    v = central("steel_loop")
    span, ages = len(years("steel_loop")), np.arange(600)
    for n, mean in enumerate((60.0, 15.0, 25.0)):
        left = weibull(ages + 0.5, mean, 0.4)
        born = np.exp(-0.02 * ages)
        born *= v["stock_1999"][n] / (born * left).sum()
        flow = np.concatenate([born[::-1], v["sales"][n]])
        stock = [
            flow[: len(ages) + t + 1][::-1] @ weibull(np.arange(len(ages) + t + 1) + 0.5, mean, 0.4)
            for t in range(span)
        ]
        same(v["in_use"][n], np.array(stock), 1e-9)
        before = np.concatenate([[v["stock_1999"][n]], stock[:-1]])
        same(v["end_of_life"][n], before + v["sales"][n] - stock, 1e-9)


def test_less_waste_lowers_recycled_content_and_ore():
    """With less new scrap to return, less ore is needed, and yet recycled content falls."""
    (base, _), (less, _) = drawn("steel_loop"), drawn("steel_loop", "less_waste")
    assert (less["primary"] < base["primary"]).all()
    assert (less["recycled_content"] < base["recycled_content"]).mean() > 0.99
    assert (less["old_content"] > base["old_content"]).all()


# --- building_stock ---------------------------------------------------------------------------


def dwellings(needed, answer):
    """Return construction, cohorts left [built, year] and the initial stock left, by recursion."""
    ages, span = np.arange(1000), len(needed)
    share = normal(np.arange(1000 + span) + 0.5, 80.0, 28.0)
    born = np.where(share[:1000] >= 1e-6, 1.015**-ages, 0.0)
    born *= needed[0] / 1.015 / (born * share[:1000]).sum()
    built, scale = np.zeros(span), np.ones((span + 1, span))  # of each cohort, the last the initial
    left = np.zeros((span, span))
    first = np.zeros((1000, span))
    for t in range(span):
        first[:, t] = born * share[ages + t + 1] * scale[-1, t]
        for c in range(t):
            left[c, t] = built[c] * share[t - c] * scale[c, t]
        stays = left[:, t].sum() + first[:, t].sum()
        built[t] = (needed[t] - stays) / share[0]
        if built[t] < 0 and answer == "early_retirement":
            scale[:, t:] *= needed[t] / stays
            left[:, t] *= needed[t] / stays
            first[:, t] *= needed[t] / stays
        built[t] = max(built[t], 0.0)
        left[t, t] = built[t] * share[0]
    return built, left, first


@pytest.mark.parametrize(
    ("variant", "answer"),
    [("", ""), ("exodus", "early_retirement"), ("exodus_empty", "clip")],
)
def test_dwellings_follow_from_what_is_needed(variant, answer):
    """Construction, demolition, its cohorts and mean age are those of the recursion by hand."""
    v, t = central("building_stock", variant), years("building_stock")
    late = 5.5e6 if variant else 8.4e6
    people = np.interp(t, [1950, 1980, 2020, 2050], [5e6, 7e6, 8.5e6, late])
    floor = 15 + 30 / (1 + np.exp(-np.log(81) * (t - 1985) / 50))
    needed = people * floor * 1.46 / 1e6  # t/m^2, Mt
    same(v["people"], people)
    same(v["needed"].sum(0), needed)
    built, left, first = dwellings(needed, answer)
    stock = left.sum(0) + first.sum(0)
    same(v["construction"].sum(0), built, 1e-9)
    same(v["dwellings"].sum(0), stock, 1e-9)
    before = np.concatenate([[needed[0] / 1.015], stock[:-1]])
    same(v["demolition"].sum(0), before + built - stock, 1e-9)
    cohorts = np.vstack([first.sum(0), left])
    lost = -np.diff(cohorts, axis=1, prepend=0.0)
    lost[0, 0] += before[0]
    lost[np.arange(1, len(t) + 1), np.arange(len(t))] += built
    same(v["by_cohort"], lost, 1e-9)
    same(v["old"], lost[0] / lost.sum(0), 1e-9)
    age = np.arange(len(t)) - np.arange(len(t))[:, None] + 0.5
    older = np.arange(1000)[:, None] + np.arange(len(t)) + 1.5
    same(v["mean_age"], ((left * age).sum(0) + (first * older).sum(0)) / stock, 1e-9)
    same(v["empty"], 1 - needed / stock, 1e-9, scale=1)


def test_dwellings_in_every_draw():
    """The stock is what is needed, and houses that nobody needs are pulled down or stand empty."""
    base, _ = drawn("building_stock")
    same(base["dwellings"], base["needed"])
    rise = np.clip((years("building_stock") - 1985) / 40, 0, 1)[:, None]
    same(base["recycled"], base["recovery"][:, None] * rise * base["demolition"])
    (down, counted), (empty, also) = (
        drawn("building_stock", variant) for variant in ("exodus", "exodus_empty")
    )
    same(down["dwellings"], down["needed"])
    assert (empty["dwellings"] >= empty["needed"] * (1 - 1e-12)).all()
    assert down["construction"].min() == empty["construction"].min() == 0
    assert (down["demolition"] - empty["demolition"])[:, 71].max() > 0
    struck = (down["construction"] == 0).any((0, 1)).sum()
    assert counted.count("early_retirement") == {"dwellings": struck}
    assert also.count("clipped_inflow") == {"dwellings": struck}
    assert 0.8 * DRAWS < struck < DRAWS


# --- two_stage_hoard --------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["", "no_drawers", "campaign"])
def test_phones_pass_both_stages(variant):
    """Stocks, releases, exports by age and what is recycled are those of two sums over cohorts."""
    v, t = central("two_stage_hoard", variant), years("two_stage_hoard")
    span = len(t)
    abroad = np.array([0, 3, 8, 6, 4, 2, 1, 0, 0]) / 100
    rate = abroad[np.minimum(np.arange(span), 8)]
    hoarding = 0.0 if variant == "no_drawers" else 0.55
    ages = np.zeros((9, span))
    for n, mean in enumerate((3.5, 4.0)):
        left = all_year(lambda age, mean=mean: weibull(age, mean, 0.5), np.arange(span))
        stays = np.cumprod(1 - rate)
        earlier = np.concatenate([[1.0], stays[:-1]])
        gone = -np.diff(left, prepend=1.0) * earlier
        sold = v["sales"][n]
        same(v["in_use"][n], np.convolve(sold, left * stays)[:span], 1e-9)
        same(v["used_exports"][n], np.convolve(sold, left * earlier * rate)[:span], 1e-9)
        released = np.convolve(sold, gone)[:span]
        same(v["hoarded"][n], hoarding * released, 1e-9)
        same(v["given_back"][n], (1 - hoarding) * released, 1e-9)
        stock = drawers(hoarding * released, t, 2024 if variant == "campaign" else 9999)
        cleared = hoarding * released - np.diff(stock, prepend=0.0)
        same(v["in_drawers"][n], stock, 1e-9)
        same(v["cleared_out"][n], cleared, 1e-9)
        same(v["recycled"][n], 0.4 * ((1 - hoarding) * released + cleared), 1e-9)
        for year in range(span):
            for age in range(year + 1):
                ages[min(age, 8), year] += (left * stays)[age] * sold[year - age]
    same(v["use_by_age"], ages, 1e-9)


def drawers(flow, t, campaign):
    """Return what lies in drawers; from the campaign on, a year counts for two."""
    built, year = t, t[:, None]
    fast = np.maximum(year - np.maximum(campaign - 1, built), 0)
    passed = np.maximum(year - built, 0) + fast
    pace = np.where(built >= campaign, 2.0, 1.0)
    left = all_year(lambda age: lognormal(age, 6.0, 4.8), passed, pace)
    return np.where(built <= year, left, 0.0) @ flow


def test_drawers_delay_recycling():
    """Without drawers more is recycled at first, and in most draws it falls after 2021."""
    (base, _), (none, _), (campaign, _) = (
        drawn("two_stage_hoard", variant) for variant in ("", "no_drawers", "campaign")
    )
    at = {int(year): n for n, year in enumerate(years("two_stage_hoard"))}
    base, none, campaign = (v["recycled"].sum(0) for v in (base, none, campaign))
    assert (none[at[2010]] > base[at[2010]]).all()
    assert np.median(none[at[2026]]) < np.median(none[at[2021]])
    assert np.median(base[at[2026]]) > np.median(base[at[2021]])
    same(campaign[: at[2024]], base[: at[2024]])
    assert np.median(campaign[at[2024]] / base[at[2024]]) == pytest.approx(1.5, abs=0.1)
    assert np.median(campaign[at[2030]] / base[at[2030]]) == pytest.approx(1.05, abs=0.03)


# --- quota_gap --------------------------------------------------------------------------------


def mine(v, carry=True, cautious=False):
    """Return what is mined, hoarded and illegal in every draw, and the draws that were clipped."""
    need, span = v["need"], len(v["need"])
    mined, hoard, illegal = (np.zeros_like(need) for _ in range(3))
    clipped = np.zeros(need.shape[-1], dtype=bool)
    before = np.zeros(need.shape[-1])
    for t in range(span):
        last = need[max(t - 1, 0)]
        wish = last * (1 + v["leeway"])
        quota = np.minimum(np.maximum(wish, v["floor"]), v["ceiling"])
        clipped |= quota != wish
        plan = last * (1 + v["expected_growth"])
        plan = np.maximum(plan - before, 0) if cautious else plan
        mined[t] = np.minimum(np.minimum(quota, v["capacity"][t]), plan)
        surplus = mined[t] - need[t]
        if carry:
            hoard[t] = np.maximum(before + surplus, 0)
            illegal[t] = np.maximum(-surplus - before, 0)
        else:
            hoard[t] = before + np.maximum(surplus, 0)
            illegal[t] = np.maximum(-surplus, 0)
        before = hoard[t]
    return mined, hoard, illegal, int(clipped.sum())


@pytest.mark.parametrize("variant", ["", "no_carry_over", "free_mines", "cautious"])
def test_quota_leaves_the_gap_that_the_rules_say(variant):
    """In every draw, all follow from the rules; the clips that are reported are those made."""
    v, audit = drawn("quota_gap", variant)
    rules = {"carry": variant != "no_carry_over", "cautious": variant == "cautious"}
    mined, hoard, illegal, clipped = mine(v, **rules)
    same(v["concentrate"], mined)
    same(v["hoard"], hoard, 1e-11)
    same(v["illegal"], illegal, 1e-11)
    same(v["delivered"], v["need"])
    same(v["illegal_share"], illegal.sum(0) / v["need"].sum(0), 1e-11)
    assert audit.count("clip") == {"quota": clipped}
    recovery = v["recovery"]
    same(v["ore"], mined / recovery)
    tailings = v["tailings_2004"] + np.cumsum(mined * (1 - recovery) / recovery, axis=0)
    same(v["tailings_held"], tailings)


def test_a_hoard_that_is_sold_and_uncertainty_change_the_gap():
    """Selling the hoard spares illegal mining; the mean gap is more than the gap of the means."""
    base, never, cautious = (
        drawn("quota_gap", variant)[0]["illegal"].sum(0)
        for variant in ("", "no_carry_over", "cautious")
    )
    assert (base <= never + 1e-9).all()
    assert (base <= cautious + 1e-9).all()
    assert base.mean() < cautious.mean() < never.mean()
    assert base.mean() > 1.5 * central("quota_gap")["illegal"].sum()
