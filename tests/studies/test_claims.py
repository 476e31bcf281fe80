"""What published figures say beyond a value: bounds, tolerances, variants and probabilities."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from strategies import scenario, stock_model, write
from test_reconciled_figures import scales

import ndmc
from ndmc.studies.claims import claim_of
from ndmc.studies.examination import check_figures
from ndmc.studies.reconciled_figures import compare_reconciled

LAST = {"at": "year=2014"}


def model(*figures, **published):
    """Return a stock model with events and a variant, and these figures."""
    whole = [{"status": "target", **figure} for figure in figures]
    data = stock_model(spread=0.05, published={"figures": whole, **published})
    data["parameters"]["limit"] = {"unit": "t", "value": 900, "distribution": "constant"}
    data["indicators"] |= {
        "passed": "first_year(total > limit)",
        "late": "min(passed, 2100) + 2",
        "never": "first_year(total > 1e6 * limit)",
        "share": "sum(recycled, over=product) / sum(end_of_life, over=product)",
    }
    data["variants"] = {
        "strict": {"set": {"parameters.limit.value": 1500}},
        "loose": {"set": {"parameters.limit.value": 2500}},
        "slow": {"set": {"parameters.beta.value": 3}},
    }
    return data


def total(**keys):
    """Return a figure of the stock in the last year, which is about 3.95 kt."""
    return {"quantity": "total", **LAST, **keys}


def passed(**keys):
    """Return a figure of the year in which the stock is above a limit: 2002."""
    return {"quantity": "passed", **keys}


#: Figures, and whether a median of 3.949 kt, 2002 or never meets them.
JUDGED = [
    (total(at_most="4 kt"), "met"),
    (total(at_most="3.9 kt"), "missed"),
    (total(at_most="3.9 kt", tolerance="2 %"), "met"),
    (total(at_most="3.9 kt", tolerance="100 t"), "met"),
    (total(at_most="3.9 kt", tolerance=0.1), "met"),
    (total(at_most="3.9 kt", tolerance="10 t"), "missed"),
    (total(at_least="4 kt"), "missed"),
    (total(at_least="3.9 kt"), "met"),
    (total(at_least="3.9 kt", at_most="4 kt"), "met"),
    (total(range=["3.9 kt", "4 kt"]), "met"),
    (total(range="3900..4000 t"), "met"),
    (total(range="3..3.9 kt", tolerance="1 %"), "missed"),
    (total(value="3.8 kt"), "met"),
    (total(value="3.8 kt", tolerance="100 t"), "missed"),
    (passed(value=2006, tolerance="5 yr"), "met"),
    (passed(value=2006, tolerance="3 yr"), "missed"),
    (passed(value=2006, tolerance="36 months"), "missed"),
    (passed(value="2006 yr", tolerance="4 yr"), "met"),
    (passed(at_most=2001), "missed"),
    (passed(at_most=2001, tolerance=1), "met"),
    (passed(quantity="late", value=2009, tolerance="5 yr"), "met"),
    ({"quantity": "never", "at_most": 2100}, "missed"),
    ({"quantity": "never", "at_least": 2100}, "met"),
    ({"quantity": "never", "value": 2100, "tolerance": "50 yr"}, "missed"),
    ({"quantity": "never", "above": 2100, "value": "100 %"}, "met"),
    (total(above="3 kt", at_least="90 %"), "met"),
    (total(below="3 kt", at_least=0.9), "missed"),
    (total(below="3 kt", at_most="10 %"), "met"),
    (total(above="3 kt", below="3.95 kt", value="50 %", tolerance=10), "met"),
    (passed(above=2001, value="90 %", tolerance="15 %"), "met"),
]


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Return the folder of a scenario of all of these, and how they are judged."""
    folder = write(model(*(one for one, _ in JUDGED)), tmp_path_factory.mktemp("claims") / "all")
    return folder, ndmc.validate(folder, draws=500)


def test_bounds_tolerances_and_probabilities_are_judged_as_they_say(judged):
    """Bounds hold strictly but for a tolerance of the figure's own; values as they always did."""
    _, table = judged
    assert list(table.verdict) == [verdict for _, verdict in JUDGED]


def test_what_is_shown_of_a_claim_is_in_its_own_unit(judged):
    """Bounds in columns of their own; of a probability a share of draws in % with its limits."""
    folder, table = judged
    plan = ndmc.compile_plan(ndmc.load(folder), ["total", "passed"])
    values = ndmc.evaluate(plan, 1, range(500))
    last = values["total"][-1] / 1000
    assert table.at_most[0] == 4.0
    assert np.isnan([table.at_least[0], table.published[0]]).all()
    assert_allclose(table["median"][0], np.median(last), rtol=1e-13)
    assert_allclose(table.deviation[1], np.median(last) / 3.9 - 1, rtol=1e-12)
    assert table.deviation[0] == 0.0  # within
    likely = table[table.above.notna() | table.below.notna()]
    shares = [
        100.0,
        100 * np.mean(last > 3),
        100 * np.mean(last < 3),
        100 * np.mean(last < 3),
        100 * np.mean((last > 3) & (last < 3.95)),
        100 * np.mean(values["passed"] > 2001),
    ]
    assert_allclose(likely["median"], shares, rtol=1e-13)
    assert set(likely.unit) == {"%"}
    assert (likely.low <= likely["median"]).all()
    assert (likely["median"] <= likely.high).all()
    assert set(likely.limit_unit) == {"1", "kt"}


def test_figures_of_values_alone_have_no_further_columns(tmp_path):
    """What was written before looks as it did."""
    table = ndmc.validate(write(model(total(value="4 kt")), tmp_path / "plain"), draws=10)
    assert list(table)[-4:] == ["deviation", "cv_deviation", "within", "class"]


# --- variants of their own -----------------------------------------------------------------------


def test_each_figure_is_compared_under_its_own_variant(tmp_path, monkeypatch):
    """One command evaluates each variant once, and keeps the order of the figures."""
    later = {"value": 2003, "tolerance": "20 yr"}
    figures = [
        passed(**later, variant="strict"),
        passed(**later),
        passed(**later, variant="loose"),
        total(value="4 kt", variant="slow, strict"),
    ]
    folder = write(model(*figures), tmp_path / "variants")
    seen = []
    drawn = ndmc.studies.validation.compare_drawn
    monkeypatch.setattr(
        ndmc.studies.validation,
        "compare_drawn",
        lambda part, *more: seen.append(part.variant) or drawn(part, *more),
    )
    table = ndmc.validate(folder, draws=50)
    assert seen == ["", "strict", "loose", "strict,slow"]
    alone = {
        name: ndmc.evaluate(
            ndmc.compile_plan(ndmc.load(folder, variant=name), ["passed"]), 1, range(50)
        )["passed"]
        for name in ("", "strict", "loose")
    }
    expected = [np.median(alone[name]) for name in ("strict", "", "loose")]
    assert list(table["median"][:3]) == expected
    assert len(set(expected)) == 3
    assert list(table.variant) == ["strict", "", "loose", "strict,slow"]
    both = ndmc.compile_plan(ndmc.load(folder, variant=["strict", "slow"]), ["total"])
    last = ndmc.evaluate(both, 1, range(50))["total"][-1]
    assert_allclose(table["median"][3], np.median(last) / 1000, rtol=1e-13)
    loaded = ndmc.validate(ndmc.load(folder), draws=50)
    assert list(loaded["median"]) == list(table["median"])


def test_a_store_says_nothing_of_figures_of_another_variant(tmp_path, cli):
    """They are neither met nor missed, and counted as that."""
    figures = [passed(at_most=2005), passed(at_most=2001, variant="strict")]
    folder, out = write(model(*figures), tmp_path / "variants"), tmp_path / "run.zarr"
    ndmc.run(folder, 50, out=out, keep=["passed"], workers=1)
    assert list(ndmc.validate(out).verdict) == ["met", "other variant"]
    done = cli("validate", out)
    assert "1 of 1 targets are met" in done.out
    assert "1 of the targets are compared under another variant" in done.out


def test_figures_are_checked_under_their_own_variant_only(tmp_path):
    """What there is only in a variant may be published for it, and for no other."""
    data = model(passed(value=2003, tolerance=9, variant="strict", quantity="extra"))
    data["variants"]["strict"]["set"]["indicators.extra"] = "passed + 1"
    folder = write(data, tmp_path / "own")
    assert ndmc.check(folder).quantities
    assert list(ndmc.validate(folder, draws=10).verdict) == ["met"]
    data["published"]["figures"][0]["variant"] = "loose"
    with pytest.raises(ndmc.InputError, match=r"'extra'.*under the variant 'loose'"):
        ndmc.check(write(data, tmp_path / "other"))


# --- near a bound, and years --------------------------------------------------------------------


def test_a_share_of_draws_near_a_bound_is_warned_of(tmp_path):
    """Of 40 draws about half are above the median of many: that tells nothing of 45 %."""
    figure = total(id="risk", above="3.95 kt", at_least="45 %")
    folder = write(model(figure), tmp_path / "near")
    with pytest.warns(ndmc.StudyWarning, match=r"'risk' is so in .* too few to tell"):
        ndmc.validate(folder, draws=40)


def test_a_year_that_is_met_within_percents_is_warned_of(tmp_path):
    """10 % of 2006 are two centuries; check says so, too."""
    folder = write(model(passed(value=2006)), tmp_path / "years")
    message = "within 10 % a year is met by 201 years; give the figure a tolerance such as '5 yr'"
    for act in ndmc.check, lambda source: ndmc.validate(source, draws=10):
        with pytest.warns(ndmc.StudyWarning, match=message):
            act(folder)


def test_claims_are_printed_as_they_are_written(tmp_path, cli):
    """Bounds, ranges and probabilities in words; years as years, and off by years."""
    figures = [
        total(at_most="4 kt"),
        total(range="2..3 kt"),
        passed(value=2006, tolerance="5 yr", variant="strict"),
        total(above="3 kt", at_least="90 %"),
        {"quantity": "never", "at_least": 2100},
    ]
    done = cli("validate", write(model(*figures), tmp_path / "shown"), "-n", "50")
    rows = [line.split() for line in done.out.splitlines()]
    assert any(row[:4] == ["total", "year=2014", "<=", "4"] for row in rows)
    assert any(row[2:6] == ["2", "..", "3", "kt"] for row in rows)
    year = next(row for row in rows if row[:5] == ["passed", "under", "'strict'", "2006", "year"])
    assert year[-3:] == [f"{int(year[5]) - 2006:+d}", "yr", "met"]
    assert any(row[:7] == ["total", "above", "3", "kt", "year=2014", ">=", "90"] for row in rows)
    assert any(row[0] == "never" and row[-1] == "met" and "never" in row[3:] for row in rows if row)


# --- reconciled ---------------------------------------------------------------------------------


def test_reconciled_estimates_are_held_against_bounds_and_probabilities():
    """By hand: 10.2 with an sd of 0.894 is below 10.2 in half of all cases, above 12 in 2.2 %."""
    at = {"quantity": "bought", "at": "year=2021", "status": "target"}
    figures = [
        {**at, "at_most": "11 t"},
        {**at, "at_most": "10 t"},
        {**at, "below": "10.2 t", "value": "50 %", "tolerance": 1},
        {**at, "above": "12 t", "at_most": "2.3 %"},
        {**at, "quantity": "bought / sold", "above": 0.5, "at_least": "99 %"},
    ]
    found, _ = compare_reconciled(scenario(scales(*figures)))
    assert [one.verdict for one in found] == ["met", "missed", "met", "met", "met"]
    assert_allclose(found[3].median, 2.2084, rtol=1e-4)


def test_reconciled_figures_have_their_own_variants(tmp_path):
    """Of 10 and of 12 against 11, with weights of 4 to 1: 10.2 and 11.8."""
    at = {"quantity": "bought", "at": "year=2021", "value": "10.2 t", "status": "target"}
    data = scales(at, {**at, "variant": "heavy", "value": "11.8 t"})
    data["published"]["tolerance"] = {"target": 1e-9}
    data["variants"] = {"heavy": {"set": {"parameters.first.value": 12}}}
    table = ndmc.validate(write(data, tmp_path / "scales"))
    assert list(table.verdict) == ["met", "met"]
    assert table.attrs["worst_balance"] < 1e-12


# --- refused ------------------------------------------------------------------------------------

REFUSED = [
    (total(), "it is empty; give a number as value, at_most or at_least, or a range"),
    (total(value="4 kt", at_most="4 kt"), "value and at_most are given"),
    (total(range=[1, 2], at_most=3), "at_most and range are given"),
    (total(range=["5 kt", "4 kt"]), "the range from 5 to 4 is empty; give the lowest first"),
    (total(at_least="5 kt", at_most="4 kt"), "the range from 5 to 4 is empty"),
    (total(range="5 kt"), "'5 kt' is no range; write the lowest and the highest"),
    (total(range=[1, 2, 3]), "2 in the list"),
    (total(at_least="1 kt", at_most="2000 t"), "at_most is in 't' but another is in 'kt'"),
    (total(at_most="4 kt", unit="t"), "at_most is in 'kt' but the unit is 't'"),
    (total(at_most="4 day"), "published in 'day'"),
    (total(at_most="many"), "not a number"),
    (total(value="<1 %"), "'<1 %' is no single number; write at_most: 1 %"),
    (total(value="at least 5 kt"), "write at_least: 5 kt"),
    (total(value="4-5 kt"), "write range: 4..5 kt"),
    (total(range="4 to 5 kt"), "'4 to 5 kt' is no range; write 4..5 kt"),
    (total(max="5 kt"), "call it 'at_most'"),
    (total(probability="90 %", above="5 kt"), "say 'above: 5 kt' or 'below', and the share"),
    (total(value="4 kt", tolerance="5 yr"), r"the tolerance is in 'yr' \[time\], but .* 'kt'"),
    (total(value="4 kt", tolerance="-5 t"), "a tolerance of '-5 t' is below 0"),
    (total(value="0 kt", tolerance="5 %"), "of 0 is nothing; write it in 'kt'"),
    (total(value="4 kt", tolerance="5 x"), "unknown unit 'x'"),
    (total(value="4 kt", tolerance="5 t", status="reported"), "is not judged"),
    (passed(value=2006, tolerance="10 %"), "of a year means nothing; write such as '5 yr'"),
    (passed(value=2006, tolerance="5 kt"), "write such as '5 yr'"),
    ({"quantity": "share", **LAST, "value": 0.3, "tolerance": "5 yr"}, "the tolerance is in 'yr'"),
    (total(value="4 kt", variant="strit"), "no variant 'strit'; did you mean 'strict'"),
    (total(above="4 kt", at_least="120 %"), "a share from 0 to 100 %"),
    (total(above="4 kt", at_least="2 kt"), "is a probability; write a share"),
    (total(above="4 kt"), "it is empty"),
    (total(above="5 kt", below="4 kt", at_least="9 %"), "nothing is above 'above' and below"),
    (total(above="5 day", at_least="9 %"), "published in 'day'"),
    (total(above="5 kt", at_least="9 %", tolerance="5 kt"), "but the figure in '%'"),
    (total(at_most="5 kt", uncertainty="5 %"), "only a value has an uncertainty"),
    (total(above="5 kt", value="9 %", uncertainty="5 %"), "only a value has an uncertainty"),
]


@pytest.mark.parametrize(("wrong", "message"), REFUSED)
def test_claims_that_mean_nothing_are_refused(wrong, message):
    """With the line of the figure."""
    with pytest.raises(ndmc.InputError, match=message) as found:
        check_figures(scenario(model(wrong)))
    assert found.value.place[1] > 1


def test_a_table_has_the_same_keys_as_columns(tmp_path):
    """Cells are empty where a figure says nothing; a range stands in one cell."""
    data = model()
    data["published"] = {"table": "published.csv"}
    folder = write(data, tmp_path / "tabled")
    head = "id,quantity,at,value,at_most,range,above,unit,tolerance,variant,status\n"
    rows = [
        "a,total,year=2014,,4,,,kt,,,target",
        "b,total,year=2014,,,3..4,,kt,,strict,target",
        "c,passed,,2006,,,,,5 yr,,target",
        "d,total,year=2014,50 %,,,3.9,kt,30,,soft",
    ]
    (folder / "published.csv").write_text(head + "\n".join(rows), encoding="utf-8")
    table = ndmc.validate(folder, draws=100)
    assert list(table.verdict) == ["met"] * 4
    assert list(table.variant) == ["", "strict", "", ""]
    assert table.above[3] == 3.9


@pytest.mark.parametrize(
    ("head", "row", "message", "line"),
    [
        ("quantity,at,min,status", "total,year=2014,4,soft", "'min'; call it 'at_least'", 1),
        ("quantity,at,status", "total,year=2014,soft", "no column 'value' or 'at_most' or", 1),
        ("quantity,at,value,at_most,status", "total,year=2014,,,soft", "it is empty; give", 2),
        ("quantity,at,range,status", "total,year=2014,4,soft", "'4' is no range", 2),
        ("quantity,at,value,variant,status", "total,year=2014,4,x,soft", "has no variant 'x'", 2),
    ],
)
def test_tables_of_claims_are_checked(tmp_path, head, row, message, line):
    """With the line of the row."""
    data = model()
    data["published"] = {"table": "published.csv"}
    folder = write(data, tmp_path / "tabled")
    (folder / "published.csv").write_text(f"{head}\n{row}\n", encoding="utf-8")
    with pytest.raises(ndmc.InputError, match=message) as found:
        ndmc.load(folder)
    assert found.value.place == (str(folder / "published.csv"), line)


def test_a_claim_is_nearest_to_what_it_allows():
    """A number within is met by itself, one outside by the bound it breaks."""
    loaded = scenario(model(total(range="1..2 kt"), total(value="1 kt")))
    both, one = (claim_of(figure) for figure in loaded.figures)
    assert [both.nearest(x) for x in (0, 1.5, 9)] == [1, 1.5, 2]
    assert [both.distance(x) for x in (0, 1.5, 9, np.inf)] == [1, 0, 7, np.inf]
    assert [both.deviation(x) for x in (0.5, 1.5, 4)] == [-0.5, 0, 1]
    assert (both.is_value, one.is_value) == (False, True)


def test_figures_that_no_model_has_are_listed(tmp_path):
    """There is nothing to draw for them."""
    figure = {"id": "others", "value": 20, "status": "not_modelled"}
    table = ndmc.validate(write(model(figure), tmp_path / "none"), draws=10)
    assert list(table.verdict) == ["not modelled"]
