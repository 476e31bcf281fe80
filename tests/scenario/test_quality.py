"""Scores of data become a cv: the tables, the keys and columns that hold scores, what is shown."""

import csv
import math
import re
import xml.etree.ElementTree as ElementTree
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from strategies import draw, one_parameter
from strategies import scenario as made
from tiny import PRODUCTION

import ndmc
from ndmc.scenario.quality import (
    INDICATORS,
    LEVELS,
    SENSITIVE,
    ScoreError,
    by_cv,
    hedbrant_soerme,
    laner,
    pedigree,
    rate,
)
from ndmc.studies.ratings import ratings

LANER = {
    "reliability": ("2.3", "6.8", "20.6", "62.3"),
    "high": ("0.0", "4.5", "13.7", "41.3"),
    "medium": ("0.0", "2.3", "6.8", "20.6"),
    "low": ("0.0", "1.1", "3.4", "10.3"),
    "expert": ("4.5", "13.7", "41.3", "124.6"),
}
ECOINVENT = {
    "reliability": (1, 1.05, 1.1, 1.2, 1.5),
    "completeness": (1, 1.02, 1.05, 1.1, 1.2),
    "temporal": (1, 1.03, 1.1, 1.2, 1.5),
    "geographical": (1, 1.01, 1.02, 1.05, 1.1),
    "technology": (1, 1.05, 1.2, 1.5, 2.0),
}
EMPIRICAL = {
    "reliability": (1, 1.54, 1.61, 1.69, 1.69),
    "completeness": (1, 1.03, 1.04, 1.08, 1.08),
    "temporal": (1, 1.03, 1.1, 1.19, 1.29),
    "geographical": (1, 1.04, 1.08, 1.11, 1.11),
    "technology": (1, 1.18, 1.65, 2.08, 2.8),
}
SURVEY = "  survey: {distribution: normal, cv: 3 %,"
CONTENT = "    value: {phone: 1, car: 6}\n    grade: study\n"


# --- tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("row", "score"), list(product(LANER, (1, 2, 3, 4))))
@pytest.mark.parametrize("rounded", [True, False])
def test_laner_table(row, score, rounded):
    """The table is as printed, and the rule behind it gives each number to the printed digit."""
    if row in LEVELS:
        cv = laner({"temporal": score}, {"temporal": row}, rounded=rounded)
    else:
        cv = laner({row: score}, {}, rounded=rounded)
    assert f"{cv * 100:.1f}" == LANER[row][score - 1]
    assert not rounded or cv == pytest.approx(float(LANER[row][score - 1]) / 100)


@pytest.mark.parametrize("indicator", SENSITIVE)
def test_laner_indicators_are_alike(indicator):
    """All indicators but reliability have the same cvs."""
    assert laner({indicator: 3}, {indicator: "high"}) == 0.137


def test_laner_adds_squares():
    """The cvs of the indicators are added in squares; a score of 1 adds none but reliability's."""
    scores = {"reliability": 2, "completeness": 1, "temporal": 3, "geographical": 2, "other": 4}
    levels = {"temporal": "high", "geographical": "low", "other": "medium"}
    total = math.sqrt(0.068**2 + 0.137**2 + 0.011**2 + 0.206**2)
    assert rate("laner", scores, levels).cv == pytest.approx(total, rel=1e-14)
    best = dict.fromkeys(("reliability", *SENSITIVE), 1)
    assert rate("laner", best).cv == 0.023


@pytest.mark.parametrize(
    ("method", "table"), [("pedigree", ECOINVENT), ("pedigree_empirical", EMPIRICAL)]
)
def test_pedigree_tables(method, table):
    """Each score of each indicator has its factor, and logarithms are added in squares."""
    for indicator, factors in table.items():
        for score, factor in enumerate(factors, start=1):
            sigma = 0.5 * math.log(factor)
            cv = pedigree({indicator: score}, 1.0, empirical=method != "pedigree")
            assert cv == pytest.approx(math.sqrt(math.exp(sigma**2) - 1), rel=1e-12)
    scores = {"reliability": 3, "completeness": 2, "temporal": 5, "technology": 4}
    logs = [math.log(table[name][score - 1]) for name, score in scores.items()]
    sigma = 0.5 * math.sqrt(sum(log**2 for log in logs) + math.log(1.2) ** 2)
    found = rate(method, {**scores, "basic": 1.2})
    assert found.cv == pytest.approx(math.sqrt(math.exp(sigma**2) - 1), rel=1e-12)


def test_hedbrant_soerme_levels():
    """The middle 95 % of a lognormal with the cv of a level is its interval."""
    cvs = [f"{hedbrant_soerme(level) * 100:.1f}" for level in range(1, 6)]
    assert cvs == ["4.9", "14.6", "36.5", "80.6", "172.5"]
    for level, factor in enumerate((1.1, 1.33, 2, 4, 10), start=1):
        sigma = math.sqrt(math.log(1 + hedbrant_soerme(level) ** 2))
        assert math.exp(1.96 * sigma) == pytest.approx(factor, rel=1e-12)


def test_distribution_follows_the_cv():
    """A cv up to 30 % makes a normal, above a lognormal."""
    assert [by_cv(cv) for cv in (0.0, 0.30, 0.3001, 1.2)] == ["normal"] * 2 + ["lognormal"] * 2
    assert rate("laner", {"expert": 2}).distribution == "normal"
    assert rate("laner", {"expert": 3}).distribution == "lognormal"


BEST = {"reliability": 1, "basic": 1.0}


@pytest.mark.parametrize(
    ("method", "scores", "levels", "item", "message"),
    [
        ("laner", {"reliability": 5}, {}, "reliability", r"is 5 but laner .* 1 \(best\) to 4"),
        ("laner", {"reliability": 0}, {}, "reliability", "is 0"),
        ("laner", {"reliability": 1.5}, {}, "reliability", "is 1.5 but .*whole"),
        ("laner", {"temporal": 1}, {}, "reliability", "needs a score for reliability, or expert"),
        ("laner", {}, {}, "reliability", "needs a score for reliability"),
        ("laner", {"reliability": 1, "technology": 2}, {}, "technology", "no 'technology'.*other"),
        ("laner", {"reliability": 1, "basic": 1.1}, {}, "basic", "no 'basic'"),
        ("laner", {"expert": 1, "reliability": 1}, {}, "expert", "replaces all.*'reliability'"),
        ("laner", {"reliability": 1, "temporal": 2}, {}, "temporal", "no sensitivity.*high"),
        ("laner", BEST | {"basic": 1}, {}, "basic", "no 'basic'"),
        ("laner", {"expert": 1}, {"other": "low"}, "other_sensitivity", "other but no score"),
        ("laner", {"expert": 1}, {"expert": "low"}, "expert_sensitivity", "expert has no sens"),
        ("laner", {"expert": 1}, {"other": "some"}, "other_sensitivity", "'some' must be one of"),
        ("pedigree", BEST, {"temporal": "low"}, "temporal_sensitivity", "knows no sensitivity"),
        ("pedigree", {"reliability": 1}, {}, "basic", "needs basic"),
        ("pedigree", {"basic": 1}, {}, "reliability", "needs a score for reliability$"),
        ("pedigree", BEST | {"reliability": 6}, {}, "reliability", "is 6.*to 5"),
        ("pedigree", BEST | {"other": 2}, {}, "other", "no 'other'.*technology"),
        ("pedigree_empirical", BEST | {"basic": 0.9}, {}, "basic", "is 0.9 but .* from 1 to 10"),
        ("pedigree", BEST | {"basic": 11}, {}, "basic", "is 11"),
        ("hedbrant_soerme", {}, {}, "level", "needs a score for level"),
        ("hedbrant_soerme", {"level": 6}, {}, "level", "is 6"),
    ],
)
def test_impossible_scores(method, scores, levels, item, message):
    """What is missing, superfluous or impossible is named."""
    with pytest.raises(ScoreError, match=message) as caught:
        rate(method, scores, levels)
    assert caught.value.item == item


# --- keys and columns -------------------------------------------------------------------------


def one(**parameter):
    """Return the parameter of a scenario that has scores."""
    return made(one_parameter(**parameter)).parameters["x"]


def cv_of(marginal):
    """Return the cv of a marginal, from the numbers that its kernel takes."""
    if marginal.kind == "lognormal":
        return math.sqrt(math.expm1(marginal.numbers[1] ** 2))
    return abs(marginal.numbers[1]) / marginal.numbers[0]


def test_keys_give_the_cv():
    """The marginal has the cv of the scores, whatever the unit, and the distribution of the cv."""
    quality = {"method": "laner", "reliability": 2, "temporal": 3, "sensitivity": "high"}
    parameter = one(value=5, quality=quality)
    assert parameter.marginals[0].kind == parameter.ratings[0].distribution == "normal"
    assert cv_of(parameter.marginals[0]) == pytest.approx(math.hypot(0.068, 0.137))
    wide = one(value="5000 kg/yr", quality={"method": "laner", "expert": 4})
    assert wide.marginals[0].kind == wide.ratings[0].distribution == "lognormal"
    assert cv_of(wide.marginals[0]) == pytest.approx(1.246)
    exact = one(value=5, quality={**quality, "rounded": False})
    r = [0.0075 * math.exp(1.105 * score) for score in (1, 2)]
    assert exact.ratings[0].cv == pytest.approx(math.hypot(r[1], 2 * r[1]))


def test_a_distribution_of_ones_own():
    """A distribution that is said comes before the one that the cv chooses."""
    for distribution in ("lognormal", "normal", "beta"):
        found = one(value=0.2, quality={"method": "laner", "expert": 3}, distribution=distribution)
        assert found.ratings[0].distribution == found.marginals[0].kind == distribution
    low = {"distribution": "truncated_normal", "low": 0}
    found = one(value=1, quality={"method": "laner", "expert": 3}, **low)
    assert found.marginals[0].kind == "truncated_normal"


def test_no_uncertainty_is_shown_as_such():
    """The best pedigree without basic uncertainty is exact, and says so."""
    found = one(value=5, quality={"method": "pedigree", "reliability": 1, "basic": 1})
    assert found.ratings[0].distribution == found.marginals[0].kind == "constant"


def test_draws_have_the_cv():
    """Draws spread as far as the scores say."""
    x = draw(one_parameter(value=5, quality={"method": "hedbrant_soerme", "level": 3}))
    assert np.std(x) / np.mean(x) == pytest.approx(0.365, abs=0.01)
    low, high = np.quantile(x, [0.025, 0.975])
    assert high / low == pytest.approx(4, rel=0.03)


def test_sensitivity_for_each_indicator():
    """A mapping gives each indicator its level."""
    scores = {"reliability": 1, "temporal": 2, "other": 2}
    quality = {**scores, "method": "laner", "sensitivity": {"temporal": "low", "other": "medium"}}
    found = one(value=5, quality=quality).ratings[0]
    assert found.cv == pytest.approx(math.sqrt(0.023**2 + 0.011**2 + 0.023**2))
    assert found.sensitivities == (("temporal", "low"), ("other", "medium"))


def with_table(scenario, quality, table, more=""):
    """Return the content of the tiny scenario, read from a table with scores."""
    text = (
        f"    table: content.csv\n    quality: {quality}\n    errors: {{product: shared}}\n{more}"
    )
    folder = scenario("scored", {CONTENT: text, "content.csv": table})
    return ndmc.load(folder).parameters["content"]


def test_columns_and_keys_agree(scenario):
    """Scores in columns say the same as keys, and come before them."""
    scores = "method: laner, reliability: 2, temporal: 3, other: 2"
    keys = f"{{{scores}, sensitivity: {{temporal: high, other: low}}}}"
    by_key = with_table(scenario, keys, "product,value\nphone,1\ncar,6\n")
    head = "product,value,reliability,temporal,other,temporal_sensitivity,other_sensitivity\n"
    table = head + "phone,1,2,3,2,high,low\ncar,6,2,3,2,high,low\n"
    by_column = with_table(scenario, "laner", table)
    assert [*by_key.ratings] == [*by_column.ratings]
    assert [*by_key.marginals] == [*by_column.marginals]
    other = "{method: laner, reliability: 4, temporal: 1, other: 3, sensitivity: medium}"
    assert [*with_table(scenario, other, table).ratings] == [*by_key.ratings]


def test_empty_cells_leave_it_to_the_keys(scenario):
    """A row says what differs; an expert's estimate replaces all other scores, and they it."""
    keys = "{method: laner, reliability: 2, temporal: 3, sensitivity: high}"
    table = "product,value,reliability,sensitivity,expert\nphone,1,,low,\ncar,6,,,3\n"
    phone, car = with_table(scenario, keys, table).ratings
    assert phone == rate("laner", {"reliability": 2, "temporal": 3}, {"temporal": "low"})
    assert car == rate("laner", {"expert": 3})
    table = "product,value,reliability\nphone,1,2\ncar,6,\n"
    phone, car = with_table(scenario, "{method: laner, expert: 1}", table).ratings
    assert (phone.scores, car.scores) == ((("reliability", 2),), (("expert", 1),))


def test_pedigree_columns(scenario):
    """The basic uncertainty may differ by row."""
    table = "product,value,reliability,basic\nphone,1,2,1.05\ncar,6,3,\n"
    phone, car = with_table(scenario, "{method: pedigree, basic: 1.5}", table).ratings
    assert phone == rate("pedigree", {"reliability": 2, "basic": 1.05})
    assert car == rate("pedigree", {"reliability": 3, "basic": 1.5})


def test_a_row_may_say_its_own_sd(scenario):
    """A row without scores but with an sd takes it, so a mean of zero has a way out."""
    table = "product,value,reliability,sd\nphone,1,2,\ncar,0,,0.5\n"
    parameter = with_table(scenario, "laner", table, "    range: any\n")
    assert parameter.ratings[1] is None
    assert parameter.marginals[1].kind == "normal"
    assert parameter.marginals[1].numbers[1] == pytest.approx(0.5e-3)
    table = "product,value,reliability,sd\nphone,1,2,\ncar,6,,5\n"
    assert with_table(scenario, "laner", table).marginals[1].kind == "lognormal"


def graded(scenario, quality, parameter="", changes=None):
    """Return the content, whose grade has a quality."""
    old = "    distribution: lognormal\n    cv: 10 %\n"
    text = {old: f"    quality: {quality}\n    distribution: lognormal\n", **(changes or {})}
    if parameter:
        text[CONTENT] = CONTENT + parameter
    return ndmc.load(scenario("graded", text)).parameters["content"]


def test_grades_may_have_a_quality(scenario):
    """A grade's scores hold for its parameters, whose own cv or quality comes before."""
    quality = "{method: laner, reliability: 3}"
    assert graded(scenario, quality).ratings[0].cv == 0.206
    assert graded(scenario, quality).marginals[0].kind == "lognormal"
    own = graded(scenario, quality, "    cv: 5 %\n")
    assert [*own.ratings] == [None, None]
    assert cv_of(own.marginals[0]) == pytest.approx(0.05)
    other = graded(scenario, quality, "    quality: {method: hedbrant_soerme, level: 1}\n")
    assert other.ratings[0].method == "hedbrant_soerme"
    exact = graded(scenario, quality, "    distribution: constant\n")
    assert [*exact.ratings] == [None, None]


def test_a_grade_without_distribution(scenario):
    """The cv of a grade's scores chooses the distribution."""
    old = SURVEY
    folder = scenario("free", {old: "  survey: {quality: {method: laner, expert: 3},"})
    production = ndmc.load(folder).parameters["production"]
    assert {cell.kind for cell in production.marginals} == {"lognormal"}
    own = {
        old: "  survey: {quality: {method: laner, expert: 3},",
        "grade: survey": "grade: survey\n    cv: 3 %",
    }
    production = ndmc.load(scenario("own", own)).parameters["production"]
    assert {cell.kind for cell in production.marginals} == {"normal"}


def test_plain_and_scored_grades_together(scenario):
    """With by_confidence each row has what its grade says."""
    table = PRODUCTION.replace("\n", ",A\n").replace("value,A", "value,confidence")
    changes = {
        SURVEY: "  survey: {quality: {method: laner, expert: 1},",
        "grade: survey": "grade: by_confidence\n    errors: {year: shared, product: shared}",
        "production.csv": table.replace("800000,A", "800000,B"),
    }
    production = ndmc.load(scenario("both", changes)).parameters["production"]
    assert [cell.kind for cell in production.marginals] == ["normal"] * 7 + ["lognormal"]
    assert [rating is None for rating in production.ratings] == [False] * 7 + [True]


def test_columns_mean_nothing_without_a_quality(scenario):
    """A table with columns of these names gives what it gave without them."""
    plain = ndmc.load(scenario("plain")).parameters["production"]
    table = PRODUCTION.replace("\n", ",9\n").replace("value,9", "value,reliability")
    noted = ndmc.load(scenario("noted", {"production.csv": table})).parameters["production"]
    assert [*plain.marginals] == [*noted.marginals]
    assert not noted.rated


def test_variants_change_scores(scenario):
    """Scores can be set like every other key."""
    text = "    value: {phone: 1, car: 6}\n    quality: {method: laner, reliability: 2}\n"
    folder = scenario("set", {CONTENT: text + "    errors: {product: shared}\n"})
    changes = {"parameters.content.quality.reliability": "3"}
    assert ndmc.load(folder, changes=changes).parameters["content"].ratings[0].cv == 0.206


# --- mistakes ---------------------------------------------------------------------------------


def key(text, at, message, more=""):
    """Return a mistake in the keys of a parameter, on the line that holds ``at``."""
    lines = f"    value: {{phone: 1, car: 6}}\n    errors: {{product: shared}}\n{text}{more}"
    return pytest.param({CONTENT: lines}, at, message)


def quality_key(inside, message, at="quality:"):
    """Return a mistake in the mapping ``quality``, one key a line."""
    lines = "".join(f"      {line.strip()}\n" for line in inside.split(";"))
    return key(f"    quality:\n{lines}", at, message)


MISTAKES = [
    quality_key("method: laner; reliability: 5", "is 5 but laner", "reliability: 5"),
    quality_key(f"method: laner; reliability: {10**400}", "from 1 to 4", "reliability: 1"),
    quality_key("method: laner; reliability: 1.5", "whole number", "reliability: 1.5"),
    quality_key("method: laner; reliability: yes", "whole number", "reliability: yes"),
    quality_key("method: laner; reliability: '2'", "whole number", "reliability: '2'"),
    quality_key("method: lanr; reliability: 1", "must be laner, pedigree", "method: lanr"),
    quality_key("reliability: 1", "quality.method' is missing"),
    quality_key("method: laner; relibility: 1", "did you mean 'reliability'", "relibility"),
    quality_key("method: laner; reliability: 1; technology: 2", "no 'technology'", "technology: 2"),
    quality_key("method: laner; temporal: 1", "needs a score for reliability"),
    quality_key("method: laner", "needs a score for reliability"),
    quality_key("method: laner; reliability: 1; expert: 2", "replaces all", "expert: 2"),
    quality_key("method: laner; reliability: 1; other: 2", "has no sensitivity", "other: 2"),
    quality_key("method: laner; reliability: 1; sensitivity: high", "no score", "sensitivity"),
    quality_key("method: laner; expert: 1; sensitivity: {other: low}", "no score", "sensitivity"),
    quality_key(
        "method: laner; reliability: 1; other: 2; sensitivity: strong", "found 'strong'", "strong"
    ),
    quality_key(
        "method: laner; reliability: 1; sensitivity: {othr: low}", "did you mean 'other'", "othr"
    ),
    quality_key("method: hedbrant_soerme; level: 2; rounded: false", "no rounded", "rounded"),
    quality_key("method: hedbrant_soerme; level: 2; sensitivity: low", "no sens", "sensitivity"),
    quality_key("method: pedigree; reliability: 2", "needs basic"),
    quality_key("method: pedigree; reliability: 2; basic: 0.5", "is 0.5", "basic: 0.5"),
    key("    quality: {method: laner, expert: 1}\n    cv: 5 %\n", "cv: 5 %", "quality or cv"),
    key("    quality: {method: laner, expert: 1}\n    sd: 1\n", "sd: 1", "quality or sd"),
    key(
        "    quality: {method: laner, expert: 1}\n    distribution: constant\n",
        "quality:",
        "quality means nothing to constant",
    ),
    pytest.param(
        {CONTENT: "    value: {phone: 1, car: 6}\n    quality: {method: laner, expert: 1}\n"},
        "content:",
        "does not say how errors hang together",
    ),
    pytest.param(
        {
            CONTENT: (
                "    value:\n      phone: 1\n      car: 0\n    errors: {product: shared}\n"
                "    quality: {method: laner, expert: 1}\n"
            )
        },
        "car: 0",
        r"content' \[car\]: the mean is 0.*give sd",
    ),
    pytest.param(
        {SURVEY: "  survey: {quality: laner, cv: 3 %,"},
        "survey:",
        "either quality or cv",
    ),
    pytest.param(
        {SURVEY: "  survey: {"},
        "survey:",
        "grades.survey.distribution' is missing",
    ),
    pytest.param(
        {SURVEY: ("  survey: {distribution: uniform, quality: laner,")},
        "survey:",
        "means nothing to uniform",
    ),
    pytest.param(
        {"  shape: {": '  content_cv: {unit: "1", value: 2, distribution: constant}\n  shape: {'}
        | {
            CONTENT: (
                "    value: {phone: 1, car: 6}\n    errors: {product: shared}\n"
                "    quality: {method: laner, expert: 1}\n"
            )
        },
        "content_cv:",
        "'content_cv' is taken",
    ),
]
TABLES = [
    ("reliability", "5", "car", "is 5 but laner"),
    ("reliability", "2.0", "car", "whole number"),
    ("reliability", "good", "car", "not a number"),
    ("reliability", "", "car", "needs a score for reliability"),
    ("reliability,expert", "1,2", "car", "replaces all"),
    ("reliability,other", "1,2", "car", "has no sensitivity"),
    ("reliability,other_sensitivity", "1,high", "car", "other but no score"),
    ("reliability,sensitivity", "1,high", "car", "a sensitivity without a score"),
    ("reliability,other,other_sensitivity", "1,2,strong", "car", "'strong' must be one of"),
    ("reliability,sd", "1,2", "car", "both reliability and sd"),
    ("reliability,cv", "1,2 %", "car", "both reliability and cv"),
    ("relability", "1", "product", "'relability' is not read; did you mean 'reliability'"),
]


def expect(folder, at, message):
    """Load a wrong scenario; check what is said, and on which line ``at`` stands."""
    with pytest.raises(ndmc.InputError) as caught:
        ndmc.load(folder)
    assert re.search(message, caught.value.message), caught.value.message
    path, _, line = caught.value.where.rpartition(":")
    assert at in Path(path).read_text(encoding="utf-8").splitlines()[int(line) - 1], caught.value


@pytest.mark.parametrize(("changes", "at", "message"), MISTAKES)
def test_mistakes_in_keys(scenario, changes, at, message):
    """Each mistake is one message that points at its line."""
    expect(scenario("wrong", changes), at, message)


@pytest.mark.parametrize(("head", "row", "at", "message"), TABLES)
def test_mistakes_in_tables(scenario, head, row, at, message):
    """Each mistake in a row points at the row, also where other rows are right."""
    good = {"reliability": "1", "expert": ""}
    first = ",".join(good.get(name, "") for name in head.split(","))
    keys = "{method: laner, reliability: 1}" if head == "relability" else "laner"
    text = f"    table: content.csv\n    quality: {keys}\n    errors: {{product: shared}}\n"
    table = f"product,value,{head}\nphone,1,{first}\ncar,6,{row}\n"
    expect(scenario("wrong", {CONTENT: text, "content.csv": table}), at, message)


@pytest.mark.parametrize("value", ["0", "-6"])
def test_a_mean_without_cv(scenario, value):
    """A cv is a share of the mean, which must be positive: the row is named, and the remedy."""
    text = "    table: content.csv\n    quality: laner\n    errors: {product: shared}\n"
    table = f"product,value,reliability\nphone,1,1\ncar,{value},1\n"
    folder = scenario("wrong", {CONTENT: text, "content.csv": table})
    expect(folder, "car", f"the mean is {value}, .*give sd")


def test_a_grade_with_a_wrong_score(scenario):
    """A wrong score of a grade points at the grade."""
    old = SURVEY
    expect(
        scenario("wrong", {old: "  survey: {quality: {method: laner, expert: 5},"}), "survey", "5"
    )


def test_the_command_exits_with_2(scenario, cli):
    """A wrong score is wrong input."""
    text = "    value: 1\n    quality: {method: laner, reliability: 7}\n"
    done = cli("check", scenario("wrong", {CONTENT: text}))
    assert done.code == 2
    assert "reliability is 7 but laner has the whole scores 1 (best) to 4" in done.err
    assert "Traceback" not in done.err


# --- store, table and heat map ----------------------------------------------------------------

SCORED = {
    CONTENT: (
        "    table: content.csv\n    errors: {product: shared}\n"
        "    quality: {method: laner, sensitivity: high, geographical: 2}\n"
    ),
    "content.csv": "product,value,reliability,temporal,temporal_sensitivity,expert\n"
    "phone,1,2,3,low,\ncar,6,,,,3\n",
    "    value: 60\n    cv: 5 %\n": (
        "    value: 60\n"
        "    quality: {method: pedigree, reliability: 2, technology: 4, basic: 1.05}\n"
    ),
    "    grade: survey": (
        "    quality: {method: hedbrant_soerme, level: 1}\n"
        "    errors: {product: shared, year: shared}"
    ),
}


def test_scores_are_in_the_store(scenario, tmp_path):
    """Plain xarray reads the scores, sensitivities, cv and distribution of each cell."""
    ndmc.run(scenario("scored", SCORED), 100, seed=1, out=tmp_path / "a.zarr")
    found = xr.open_zarr(tmp_path / "a.zarr", group="parameters").load()
    car, phone = (found.sel(product=name) for name in ("car", "phone"))
    assert phone.content_scores.sel(quality_indicator="temporal") == 3
    assert np.isnan(phone.content_scores.sel(quality_indicator="expert"))
    assert car.content_scores.sel(quality_indicator="expert") == 3
    assert phone.content_sensitivity.sel(quality_indicator="temporal") == "low"
    assert phone.content_sensitivity.sel(quality_indicator="geographical") == "high"
    assert car.content_cv == 0.413
    assert list(found.content_distribution.sel(product=["phone", "car"])) == ["normal", "lognormal"]
    assert found.content.attrs["quality"] == '["laner"]'
    assert found.collection_scores.sel(quality_indicator="basic") == 1.05
    assert found.collection_scores.dims == ("quality_indicator",)
    assert found.collection_distribution == "beta"
    assert found.production_scores.dims == ("product", "year", "quality_indicator")
    assert "scale_scores" not in found


def test_stores_without_scores_are_as_they_were(scenario, tmp_path):
    """Nothing is added to a store of a scenario that has no scores."""
    ndmc.run(scenario(), 100, seed=1, out=tmp_path / "a.zarr")
    found = xr.open_zarr(tmp_path / "a.zarr", group="parameters")
    assert "quality_indicator" not in found.variables
    assert not [name for name in found.variables if name.endswith(("_cv", "_scores"))]


def test_cells_that_are_alike_share_a_row(scenario):
    """A row of the heat map has the labels along which the scores change, and no others."""
    rows = ratings(ndmc.load(scenario("scored", SCORED)))
    titles = [(row.title, row.cells) for row in rows]
    assert ("production", 8) in titles
    assert ("content: car", 1) in titles
    assert ("content: phone", 1) in titles
    assert ("collection", 1) in titles
    assert len(rows) == 4


def test_check_shows_scores(scenario, cli, tmp_path):
    """`ndmc check` prints a table of scores and draws the heat map."""
    folder = scenario("scored", SCORED)
    done = cli("check", folder, "--quality", "map.svg")
    assert done.code == 0
    assert re.search(r"content +laner .* 2 +8.83..41.3 %", done.out)
    assert "temporal 3 (low)" in re.sub(r"\s+", " ", done.out)
    root = ElementTree.fromstring((tmp_path / "map.svg").read_text(encoding="utf-8"))
    texts = ["".join(element.itertext()) for element in root.iter() if element.tag[-4:] == "text"]
    for text in ("content: phone", "3 low", "41.3 %, lognormal (laner)"):
        assert text in texts
    assert any(text.endswith(" %, beta (pedigree)") for text in texts)
    assert cli("check", folder, "--quality", "map.csv").code == 0
    rows = list(csv.DictReader((tmp_path / "map.csv").read_text(encoding="utf-8").splitlines()))
    car = next(row for row in rows if row["labels"] == "car")
    assert (car["expert"], car["reliability"], car["cv"]) == ("3", "", "0.413")


def test_scores_that_no_parameter_reads(scenario, cli):
    """Scores in a table whose parameter names no method are pointed out."""
    table = PRODUCTION.replace("\n", ",2\n").replace("value,2", "value,reliability")
    done = cli("check", scenario("noted", {"production.csv": table}))
    assert done.code == 0
    assert "production.csv has a column 'reliability' that is not read" in done.err
    text = "quality: laner\n    errors: {year: shared, product: shared}"
    folder = scenario("read", {"production.csv": table, "grade: survey": text})
    assert "not read" not in cli("check", folder).err


def test_check_without_scores(scenario, cli):
    """Without scores there is no table of them, and no heat map."""
    done = cli("check", scenario(), "--quality", "map.svg")
    assert done.code == 2
    assert "no parameter has scores" in done.err
    assert "quality of data" not in done.out
    assert cli("check", scenario("other", SCORED), "--quality", "map.gif").code == 2


def test_every_method_is_in_the_format():
    """The file's format knows the methods, indicators and levels of the tables."""
    from ndmc.scenario.schema import QualityEntry, json_schema

    entry = json_schema()["$defs"]["QualityEntry"]["properties"]
    assert entry["method"]["enum"] == list(INDICATORS)
    assert {name for names in INDICATORS.values() for name in names} <= set(entry)
    assert set(QualityEntry.model_fields) == set(entry)
