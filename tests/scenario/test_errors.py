"""Every mistake gives one clear message that points at its line, and nothing is written."""

import contextlib
import json
import os
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import PRODUCTION, TINY

import ndmc
from ndmc import InputError, RunError
from ndmc.scenario.places import find
from ndmc.store.opening import open_store
from ndmc.store.store import write_root

CONTENT = "    value: {phone: 1, car: 6}\n    grade: study\n"
SALES = "    value: production * content\n"
TOTAL = "  total: sum(in_use, over=product)\n"
BOUGHT = "    value: sum(sales, over=product) / (1 - loss_rate)\n"
COLLECTION = "    value: 60\n    cv: 5 %\n    distribution: beta\n"
LOSS = '  loss_rate: {unit: "%", low: 2, mode: 4, high: 10, distribution: triangular}\n'
SCALE = "    value: {phone: 4, car: 12}\n    grade: study\n"
CONFIDENCE = {
    "    grade: survey": "    grade: by_confidence\n    errors: {year: shared, product: shared}",
    "production.csv": PRODUCTION.replace("\n", ",A\n").replace("value,A", "value,confidence"),
}


def correlated(text):
    """Return the change that correlates parameters."""
    return {
        "variants:\n": f"correlations:\n  - parameters: [scale, content]\n    {text}\nvariants:\n"
    }


def expect(folder, at, message, **options):
    """Load and compile a wrong scenario; check what is said, and on which line ``at`` stands."""
    with pytest.raises(InputError) as caught:
        ndmc.compile_plan(ndmc.load(folder, **options))
    assert re.search(message, caught.value.message), caught.value.message
    assert "\n" not in str(caught.value)
    path, _, line = caught.value.where.rpartition(":")
    with open(path, encoding="utf-8") as file:
        assert at in file.read().splitlines()[int(line) - 1], str(caught.value)
    assert os.path.dirname(path) == str(folder)


def case(name, changes, at, message):
    """Return one mistake: its name, the change, a text on its line, what is said of it."""
    return pytest.param(changes, at, message, id=name.replace(" ", "-"))


WRONG_NAMES = [
    case("top key", {"unit: t\n": "unit: t\nunits: t\n"}, "units: t", "units.*did you mean 'unit'"),
    case("dim key", {"    labels: [": "    label: ["}, "label: [", "label'.*'labels'"),
    case("grade key", {"    cv: 10 %": "    cvv: 10 %"}, "cvv", "cvv'.*'cv'"),
    case("parameter key", {"grade: survey": "grad: survey"}, "grad:", "grad'.*'grade'"),
    case("flow key", {SALES: "    valeu: 1\n"}, "valeu", "key 'flows.sales.valeu'.*'value'"),
    case("flow key not in the format", {"from: mine": "origin: mine"}, "origin", "origin'.*'from'"),
    case("stock key", {"inflow_at": "inflow_to"}, "inflow_to", "inflow_to'.*'inflow_at'"),
    case("indicator key", {"  reuse:\n": "  reuse:\n    titel: x\n"}, "titel", "titel'.*'title'"),
    case("variant key", {"    set: {par": "    sets: {par"}, "sets:", "sets'.*'set'"),
    case("published key", {"tolerance:": "tolerances:"}, "tolerances", "'tolerance'"),
    case("figure key", {"status: soft": "state: soft"}, "state: soft", "state.*'status'"),
    case("correlation key", correlated("matrx: [[1]]"), "matrx", "matrx'.*'matrix'"),
    case(
        "key below a name that is a key too",
        {"  sales:\n": "  value: {from: mine, too: making, value: 0}\n  sales:\n"},
        "too:",
        "too'.*'to'",
    ),
    case(
        "parameter dim", {"[product, year]": "[prodct, year]"}, "prodct", "dim 'prodct'.*'product'"
    ),
    case(
        "flow dim",
        {"to: collecting\n    dims: [product]": "to: collecting\n    dims: [products]"},
        "[products]",
        "unknown dim 'products'.*'product'",
    ),
    case(
        "year as a flow dim",
        {"to: collecting\n    dims: [product]": "to: collecting\n    dims: [product, year ]"},
        "year ]",
        "'year'.*every flow and stock has it",
    ),
    case(
        "stock dim",
        {"process: use\n    dims: [product]": "process: use\n    dims: [prod]"},
        "[prod]",
        "unknown dim 'prod'.*'product'",
    ),
    case(
        "name", {SALES: "    value: prodction * content\n"}, "prodct", "'prodction'.*'production'"
    ),
    case("function", {TOTAL: "  total: summ(in_use)\n"}, "summ(", "function 'summ'.*'sum'"),
    case("dim in sum", {TOTAL: "  total: sum(in_use, over=prodct)\n"}, "prodct", "'product'"),
    case("label in at", {TOTAL: "  total: at(in_use, product=cra)\n"}, "cra)", "'cra'.*'car'"),
    case("flow source", {"from: mine": "from: mien"}, "mien", "'mien'.*'mine'.*environment"),
    case("flow target", {"to: recycling": "to: recycle"}, "to: recycle", "'recycle'.*'recycling'"),
    case("stock process", {"process: use": "process: usse"}, "usse", "'usse'.*'use'"),
    case("grade", {"grade: survey": "grade: servey"}, "servey", "grade 'servey'.*'survey'"),
    case("grade that is too wide", {"    cv: 10 %": "    cv: 10"}, "cv: 10", "^cv is 1000%"),
    case("grade of a letter", {"B: study": "B: studdy"}, "B: studdy", "grade 'studdy'.*'study'"),
    case(
        "letter",
        CONFIDENCE | {"car,2003,700000,A": "car,2003,700000,Z"},
        "car,2003",
        "'Z' is not mapped to a grade.*'A', 'B'",
    ),
    case(
        "errors dim", {CONTENT: CONTENT + "    errors: {prduct: shared}\n"}, "prduct", "'product'"
    ),
    case("column", {"grade: survey": "grade: survey\n    column: valu"}, "valu", "'valu'.*'value'"),
    case(
        "column not named",
        {"product,year,value": "product,year,valeu"},
        "valeu",
        "'value'.*'valeu'",
    ),
    case(
        "dim column", {"product,year,value": "prodct,year,value"}, "prodct", "'product'.*'prodct'"
    ),
    case("wide", {"grade: survey": "grade: survey\n    wide: yaer"}, "yaer", "'yaer'.*'year'"),
    case("kept output", {"headline:": "keep: [in_us]\nheadline:"}, "keep:", "'in_us'.*'in_use'"),
    case("headline", {"headline: [in_use]": "headline: [totl]"}, "totl", "'totl'.*'total'"),
    case(
        "member of a group of inputs",
        {"headline:": "sensitivity:\n  groups:\n    one: [conten]\nheadline:"},
        "one:",
        "'conten'.*'content'",
    ),
    case("label of a value", {"{phone: 1, car: 6}": "{phone: 1, car: 6, cra: 2}"}, "cra", "'car'"),
    case("label in a group", {"large: [car]": "large: [cra]"}, "[cra]", "'cra'.*'car'"),
    case(
        "correlated parameter",
        correlated("matrix: [[1, 0], [0, 1]]") | {"[scale, content]": "[scale, conten]"},
        "conten]",
        "'conten'.*'content'",
    ),
    case(
        "published variant",
        {"  tolerance:": "  variant: long_live\n  tolerance:"},
        "long_live",
        "'long_live'.*'long_lives'",
    ),
    case("distribution", {"distribution: beta": "distribution: bta"}, "bta", "'bta'.*beta"),
    case("convention", {"inflow_at: middle": "inflow_at: mid"}, "mid", "'mid'.*start, middle"),
    case("status", {"status: soft": "status: sotf"}, "sotf", "'sotf'.*target, soft"),
    case(
        "lifetime",
        {"weibull(scale": "weibul(scale"},
        "weibul",
        "unknown lifetime 'weibul'; did you mean 'weibull'",
    ),
    case("format", {"format: 1": "format: 2"}, "format: 2", "2.*must be 1"),
]

MISSING_AND_MALFORMED = [
    case("missing name", {"name: tiny\n": ""}, "format: 1", "the key 'name' is missing"),
    case("missing unit", {"    unit: kg\n": ""}, "  content:", "content.unit' is missing"),
    case("missing flow end", {"    from: mine\n": ""}, "  bought:", "bought.from' is missing"),
    case("missing value", {"value: {phone: 1, car: 6}": "note: x"}, "  content:", "no value; give"),
    case(
        "missing label",
        {"{phone: 1, car: 6}": "{phone: 1}"},
        "{phone: 1}",
        "no value for product=car",
    ),
    case(
        "missing distribution", {CONTENT: "    value: 1\n"}, "  content:", "distribution: constant"
    ),
    case(
        "missing file", {"table: production.csv": "table: prod.csv"}, "prod.csv", "'production.csv'"
    ),
    case(
        "dims as text", {"[product, year]": "product"}, "dims: product", "'product'; write a list"
    ),
    case("text for a number", {"low: 2,": "low: two,"}, "low: two", "'two'; write a number"),
    case("not a number", {"low: 2,": "low: .nan,"}, "low: .nan", "finite"),
    case("not a number as text", {"low: 2,": "low: 'nan',"}, "low: 'nan'", "finite"),
    case(
        "infinite value",
        {COLLECTION: COLLECTION.replace("60", ".inf")},
        ".inf",
        "inf is not a number",
    ),
    case(
        "value as a list",
        {"value: {phone: 1, car: 6}": "value: [1, 6]"},
        "[1, 6]",
        "number.*\\[1, 6\\]",
    ),
    case(
        "truth as a value", {COLLECTION: COLLECTION.replace("60", "true")}, "true", "number.*True"
    ),
    case("name with a space", {"name: tiny": "name: my tiny"}, "my tiny", "letters, digits and _"),
    case("years reversed", {"2001..2004": "2004..2001"}, "2004..", "backwards.*2001..2004"),
    case("years malformed", {"2001..2004": "2001-2004"}, "2001-2004", "'2001-2004'.*2001..2004"),
    case("years a number", {"2001..2004": "2001"}, "years: 2001", r"last: 2001\.\.2001"),
    case("years too many", {"2001..2004": "1..9999"}, "1..9999", "more than 2000 years"),
    case("label twice", {"[phone, car]": "[phone, phone]"}, "  product:", "'phone' stands twice"),
    case("group of twins", {"[car]": "[car, car]"}, "      large:", "twice in 'large'"),
    case("group like a label", {"      large:": "      car:"}, "car: [car]", "name of a label"),
    case(
        "value and share",
        {SALES: SALES + "    share: 0.5\n"},
        "share: 0.5",
        "value or share, not both",
    ),
    case(
        "value and table", {"grade: survey": "grade: survey\n    value: 2"}, "value: 2", "not both"
    ),
    case(
        "column without table",
        {CONTENT: CONTENT + "    column: value\n"},
        "column:",
        "needs a table",
    ),
    case(
        "flow in place",
        {"to: waste": "to: collecting"},
        "  wasted:",
        "starts and ends in 'collecting'",
    ),
    case("idle node", {"[mine, losses,": "[moon, mine, losses,"}, "moon", "no flow touches 'moon'"),
    case(
        "node twice", {"[mine, losses,": "[use, mine, losses,"}, "[use, mine", "both a process and"
    ),
    case(
        "parameter like a flow", {"  sales:\n": "  content:\n"}, "  content:", "'content' is taken"
    ),
    case(
        "parameter like a dim", {"  shape: {": "  product: {"}, "product: {", "'product' is taken"
    ),
    case("parameter year", {"  shape: {": "  year: {"}, "year: {", "'year' is taken"),
    case("flow draw", {"  wasted:\n": "  draw:\n"}, "  draw:", "'draw' is taken"),
    case("flow equation", {"  wasted:\n": "  equation:\n"}, "  equation:", "'equation' is taken"),
    case("indicator step", {"  total:": "  step:"}, "  step:", "'step' is taken"),
    case("flow tables", {"  wasted:\n": "  tables:\n"}, "  tables:", "'tables' is taken"),
    case(
        "stock ledger",
        {"  in_use:\n": "  ledger:\n", "headline: [in_use]": "headline: []"},
        "  ledger:",
        "'ledger' is taken",
    ),
    case(
        "flow like a percentile",
        {"  wasted:\n": "  old_low:\n"},
        "  old_low:",
        "'old_low' is taken",
    ),
    case(
        "flow like a lowest draw",
        {"  wasted:\n": "  old_min:\n"},
        "  old_min:",
        "'old_min' is taken",
    ),
    case("flow like a total", {"  wasted:\n": "  old_total:\n"}, "  old_total:", "describes 'old'"),
    case(
        "flow like a total's limit",
        {"  wasted:\n": "  old_total_limit:\n"},
        "  old_total_limit:",
        "describes 'old' under it",
    ),
    case("flow cohort", {"  wasted:\n": "  cohort:\n"}, "  cohort:", "'cohort' is taken"),
    case("dim draw", {"dims:\n  product:": "dims:\n  draw: [x]\n  product:"}, "draw: [x]", "own"),
]

PUBLISHED = [
    case("published at", {"at: {year: 2004}": "at: {yaer: 2004}"}, "yaer", "'yaer'.*'year'"),
    case(
        "published over", {"at: {year: 2004},": ""}, "quantity: total", "still has the dim 'year'"
    ),
    case("published quantity", {"quantity: total": "quantity: totl"}, "totl", "'totl'.*'total'"),
    case(
        "published unit",
        {"value: 18 kt": "value: 18 yr"},
        "18 yr",
        r"'yr' \[time\], but 'total' is in t \[mass\]",
    ),
    case("published value", {"value: 18 kt": "value: much"}, "much", "'much' is not a number"),
]

TABLES = [
    case(
        "missing cell",
        {"phone,2003,1200000\n": ""},
        "car,2004",
        "no row for product=phone, year=2003",
    ),
    case(
        "missing cells",
        {"phone,2003,1200000\nphone,2004,1300000\n": ""},
        "car,2004",
        "year=2003 and 1 more",
    ),
    case(
        "cell twice",
        {"car,2002": "car,2001"},
        "600000",
        "second row for product=car, year=2001.*line 6",
    ),
    case("extra label", {"car,2004": "bus,2004"}, "bus,2004", "product has no label 'bus'"),
    case("misspelt label", {"car,2004": "cra,2004"}, "cra,2004", "'cra'.*'car'"),
    case(
        "extra year",
        {"car,2004": "car,2005"},
        "car,2005",
        "2005 lies after the years.*2001..2004; remove",
    ),
    case(
        "extra cell", {"car,2004,800000": "car,2004,800,000"}, "car,2004", "4 cells but 3 columns"
    ),
    case("short row", {"car,2004,800000": "car,2004"}, "car,2004", "2 cells but 3 columns"),
    case("not a number", {"car,2004,800000": "car,2004,8e5t"}, "car,2004", "'8e5t'.*not a number"),
    case("empty cell", {"car,2004,800000": "car,2004,"}, "car,2004", "'value' is empty"),
    case("nan", {"car,2004,800000": "car,2004,nan"}, "car,2004", "'nan'.*finite"),
    case("inf", {"car,2004,800000": "car,2004,-inf"}, "car,2004", "'-inf'.*finite"),
    case("too large", {"car,2004,800000": "car,2004,1e999"}, "car,2004", "'1e999'.*finite"),
    case(
        "column twice",
        {"product,year,value": "product,year,year"},
        "product,",
        "'year' stands twice",
    ),
    case(
        "header only", {"production.csv": "product,year,value\n"}, "product,", "no row.*and 7 more"
    ),
    case("open quote", {"car,2004,800000": '"car,2004,800000'}, "2004,8", "not valid CSV"),
    case(
        "wide where tidy is",
        {"production.csv": "year,phone,car\n2001,1,1\n2002,1,1\n2003,1,1\n2004,1,1\n"},
        "year,phone",
        "no column for the dim 'product'; say 'wide: product'",
    ),
    case(
        "wide with an extra column",
        {
            "    grade: survey": "    grade: survey\n    wide: product",
            "production.csv": "year,phone,car,bus\n2001,1,1,1\n",
        },
        "bus",
        "column 'bus': product has no label 'bus'; choose one of",
    ),
    case(
        "wide without a column",
        {
            "    grade: survey": "    grade: survey\n    wide: product",
            "production.csv": "year,phone,cars\n2001,1,1\n",
        },
        "cars",
        "column 'cars': product has no label.*'car'",
    ),
    case(
        "wide cell",
        {
            "    grade: survey": "    grade: survey\n    wide: product",
            "production.csv": "year,phone,car\n2001,1,1\n2002,1,many\n",
        },
        "many",
        "column 'car' holds 'many'",
    ),
    case(
        "row unit",
        {
            "production.csv": "product,year,value,unit\n"
            + PRODUCTION.partition("\n")[2].replace("\n", ",1/yr\n").replace("800000,1/yr", "8,kg"),
        },
        "8,kg",
        r"'kg' \[mass\] cannot be converted.*'1/yr' \[time\^-1\]",
    ),
]

UNITS = [
    case(
        "unknown unit",
        {"unit: 1/yr": "unit: 1/yer"},
        "1/yer",
        "unknown unit 'yer' in '1/yer'; did you mean 'year'",
    ),
    case("no unit at all", {"unit: kg": "unit: 'k+g'"}, "k+g", "cannot read the unit 'k\\+g'"),
    case("unit with a bomb", {"unit: kg": "unit: kg**9**9**9"}, "kg**9", "cannot read the unit"),
    case("offset unit", {"unit: kg": "unit: degC"}, "degC", "unknown unit 'degC'"),
    case("scenario unit", {"unit: t\n": "unit: tt\n"}, "unit: tt", "unknown unit 'tt'"),
    case("scenario unit a time", {"unit: t\n": "unit: yr\n"}, "unit: yr", "'yr' is a time"),
    case(
        "flow is an amount",
        {"unit: 1/yr": 'unit: "1"'},
        "value: production * content",
        r"'sales' comes out as \[mass\].*counts what happens in a year.*1/yr",
    ),
    case(
        "stocks per year",
        {"unit: t\n": "unit: t/yr\n"},
        "value: production * content",
        "must be .*; unit: t/yr is that of the stocks; flows are per year by themselves",
    ),
    case(
        "flow of a wrong kind",
        {SALES: "    value: production * scale\n"},
        "production * scale",
        r"comes out as \[dimensionless\] but must be \[mass time\^-1\] \(t/yr\): "
        r"'production' is in 1/yr \[time\^-1\], 'scale' is in yr \[time\]",
    ),
    case(
        "t and yr",
        {TOTAL: "  total: in_use + scale\n"},
        "in_use +",
        r"cannot add \[mass\] and \[time\]: 'in_use' is in t \[mass\], 'scale' is in yr",
    ),
    case("compared", {TOTAL: "  total: where(in_use > sales, 1, 0)\n"}, "where", "cannot compare"),
    case("plain number to a mass", {TOTAL: "  total: in_use + 1\n"}, "in_use + 1", "cannot add"),
    case(
        "exp of a mass", {TOTAL: "  total: exp(in_use)\n"}, "exp", r"exp\(\) wants a plain number"
    ),
    case(
        "share with a unit",
        {"share: collection": "share: content"},
        "share: content",
        "plain number, not",
    ),
    case(
        "lifetime scale",
        {"weibull(scale": "weibull(content"},
        "weibull",
        r"scale.*\[time\], not \[mass\]",
    ),
    case(
        "lifetime shape",
        {", shape)": ", scale)"},
        "weibull",
        r"shape.*\[dimensionless\], not \[time\]",
    ),
    case(
        "indicator unit",
        {TOTAL: "  total: {value: in_use, unit: yr}\n"},
        "total:",
        r"'total' is in t \[mass\], which cannot be converted to 'yr' \[time\]",
    ),
    case(
        "indicator unit unknown",
        {TOTAL: "  total: {value: in_use, unit: tt}\n"},
        "total:",
        "unit 'tt'",
    ),
    case(
        "unit of a value",
        {"car: 6}": "car: 6 yr}"},
        "6 yr",
        r"'yr' \[time\] cannot be converted to the parameter's unit 'kg' \[mass\]",
    ),
    case("unknown unit of a value", {"car: 6}": "car: 6 kgg}"}, "6 kgg", "unknown unit 'kgg'"),
    case("share as a mass", {"    cv: 10 %": "    cv: 10 kg"}, "10 kg", "'10 kg' must be a share"),
]


def loss(text):
    """Return the change of the loss rate to another distribution."""
    return {LOSS: f'  loss_rate: {{unit: "%", {text}}}\n'}


UNCERTAINTY = [
    case(
        "cv negative",
        {"cv: 5 %": "cv: -5 %"},
        "    value: 60",
        "cv is -0.05 but must not be negative",
    ),
    case("cv not a number", {"cv: 5 %": "cv: .nan"}, "cv: .nan", "finite"),
    case("cv a truth", {"cv: 5 %": "cv: true"}, "cv: true", "finite|number"),
    case(
        "sd negative",
        loss("value: 4, sd: -1, distribution: normal"),
        "loss_rate",
        "sd is .* negative",
    ),
    case(
        "no cv",
        loss("value: 4, distribution: normal"),
        "loss_rate",
        "normal distribution needs cv or sd",
    ),
    case(
        "cv of a negative mean",
        loss("value: -4, cv: 5 %, distribution: normal"),
        "loss_rate",
        "give sd",
    ),
    case(
        "mode outside",
        loss("low: 2, mode: 12, high: 10, distribution: triangular"),
        "loss_rate",
        r"the mode is 12, outside \[2, 10\]",
    ),
    case(
        "mean that implies a mode outside",
        loss("low: 2.95, value: 3.85, high: 3.85, distribution: triangular"),
        "loss_rate",
        "mode that follows from the mean 3.85 is 4.75, outside .*check the row, give a mode",
    ),
    case(
        "row with a mean that implies a mode outside",
        {
            "    grade: survey": "    distribution: triangular\n"
            "    errors: {year: shared, product: shared}",
            "production.csv": "product,year,low,mean,high\n"
            + "".join(f"{p},{y},2,3,4\n" for p in ("phone", "car") for y in range(2001, 2005)),
            "car,2002,2,3,4": "car,2002,2.95,3.85,3.85",
        },
        "2.95,3.85,3.85",
        r"\[car, 2002\]: the mode that follows from the mean 3.85 is 4.75, outside \[2.95, 3.85\]",
    ),
    case(
        "low above high",
        loss("low: 9, high: 3, distribution: uniform"),
        "loss_rate",
        "low 9 is above",
    ),
    case(
        "beta mean", {"value: 60\n": "value: 160\n"}, "value: 160", r"1.6 but must lie in \[0, 1\]"
    ),
    case("beta too wide", {"cv: 5 %": "cv: 90 %"}, "value: 60", "sd 0.54 is too large.*below 0.49"),
    case(
        "lognormal mean",
        {"{phone: 1, car: 6}": "{phone: -1, car: 6}"},
        "phone: -1",
        "must be positive",
    ),
    case(
        "lognormal sigma",
        loss("value: 1, sigma: 1, distribution: lognormal"),
        "loss_rate",
        "needs mu",
    ),
    case(
        "bounds out of reach",
        loss("value: 4, sd: 0.1, low: 6, distribution: truncated_normal"),
        "loss_rate",
        "more than 8 sd",
    ),
    case(
        "bounds reversed",
        loss("value: 4, sd: 1, low: 6, high: 5, distribution: truncated_normal"),
        "loss_rate",
        "low 6 must be below high 5",
    ),
    case(
        "truncated without bounds",
        loss("value: 4, sd: 1, distribution: truncated_normal"),
        "loss_rate",
        "needs low or high",
    ),
    case("no values", loss("distribution: discrete, value: 1"), "loss_rate", "needs values"),
    case(
        "no values in the list",
        loss("distribution: discrete, values: []"),
        "loss_rate",
        "needs values",
    ),
    case(
        "weights",
        loss("values: [1, 2], weights: [1], distribution: discrete"),
        "loss_rate",
        "2 values but 1 weights",
    ),
    case(
        "negative weights",
        loss("values: [1, 2], weights: [2, -1], distribution: discrete"),
        "loss_rate",
        "weights must not be negative",
    ),
    case(
        "weights of an empirical one",
        loss("values: [1, 2], weights: [1, 1], distribution: empirical"),
        "loss_rate",
        "use discrete for weights",
    ),
    case("range empty", {"cv: 5 %": "cv: 5 %\n    range: [1, 0]"}, "range:", "range .* is empty"),
    case("range of one", {"cv: 5 %": "cv: 5 %\n    range: [1]"}, "range:", "at least 2"),
    case("range nan", {"cv: 5 %": "cv: 5 %\n    range: [.nan, 1]"}, "range:", "range|finite"),
    case(
        "errors not said",
        {"    errors: {year: shared, product: independent}": "    errors: {year: shared}"},
        "  content:",
        "its grade 'study' does not say how errors hang together along 'product'.*shared .*"
        "independent .*ar1.*mixed",
    ),
    case(
        "errors not said by a parameter",
        {CONTENT: "    value: {phone: 1, car: 6}\n    distribution: normal\n    cv: 2 %\n"},
        "  content:",
        r"parameter 'content' does not say .* errors: \{product: ...\}",
    ),
    case(
        "grades that disagree",
        CONFIDENCE
        | {"    errors: {year: shared, product: shared}\n": "", "2004,800000,A": "2004,800000,B"},
        "  production:",
        "grades of 'production' disagree.*'year'",
    ),
    case(
        "errors text",
        {CONTENT: CONTENT + "    errors: {product: shard}\n"},
        "errors: {product: shard}",
        "'shard'; choose shared",
    ),
    case("ar1 rho", {"mixed(0.5)": "ar1(1.2)"}, "  survey:", "rho in 'ar1.1.2.' must lie between"),
    case(
        "ar1 no number",
        {"mixed(0.5)": "ar1(e)"},
        "  survey:",
        "'e' in 'ar1.e.' is not a number",
    ),
    case("mixed share", {"mixed(0.5)": "mixed(2)"}, "  survey:", r"w in 'mixed.2.' must lie in"),
    case("not square", correlated("matrix: [[1, 0], [0]]"), "matrix:", "square.*\\[2, 1\\]"),
    case("not symmetric", correlated("matrix: [[1, 0.2], [0, 1]]"), "matrix:", "must be symmetric"),
    case("diagonal", correlated("matrix: [[2, 0], [0, 1]]"), "matrix:", "ones on its diagonal"),
    case("above one", correlated("matrix: [[1, 2], [2, 1]]"), "matrix:", r"lie in \[-1, 1\]"),
    case("rows", correlated("matrix: [[1]]"), "matrix:", "2 parameters but 1 rows"),
    case(
        "correlated with a certain one",
        correlated("matrix: [[1, 0], [0, 1]]") | {"[scale, content]": "[scale, shape]"},
        "parameters: [scale, shape]",
        "'shape' is certain",
    ),
    case(
        "correlated with other dims",
        correlated("matrix: [[1, 0], [0, 1]]") | {"[scale, content]": "[scale, collection]"},
        "parameters: [scale, coll",
        "same dims and the same errors",
    ),
    case(
        "not positive definite",
        {
            "variants:\n": "correlations:\n  - parameters: [scale, content, third]\n"
            "    matrix: [[1, 0.9, 0.9], [0.9, 1, -0.9], [0.9, -0.9, 1]]\nvariants:\n",
            "  shape: {": "  third: {unit: kg, dims: [product], value: 1, grade: study}\n"
            "  shape: {",
        },
        "matrix:",
        r"contradict each other.*nearest possible ones are \[\[1.0, 0\.\d+",
    ),
    case(
        "scale not positive",
        {"{phone: 4, car: 12}": "{phone: 0, car: 12}"},
        "phone: 0",
        "'scale' must be positive, found 0",
    ),
    case(
        "scale drawn below zero",
        {
            SCALE: SCALE.replace(
                "grade: study", "distribution: normal\n    cv: 40 %\n    errors: {product: shared}"
            )
        },
        "{phone: 4, car: 12}",
        "'scale' would be drawn at or below zero in 0.0062 of the draws; use .* lognormal",
    ),
    case(
        "scale uniform from zero",
        {
            SCALE: "    low: 0\n    high: 9\n    distribution: uniform\n"
            "    errors: {product: shared}\n"
        },
        "  scale:",
        "at or below zero in some draws",
    ),
    case(
        "literal lifetime", {"weibull(scale": "weibull(-3"}, "weibull", "scale .* positive, not -3"
    ),
    case(
        "lifetime by year",
        {"weibull(scale, shape)": "weibull(production, shape)"},
        "weibull",
        "time|years",
    ),
]

PLANS = [
    case(
        "shares above one",
        {"share: collection": "share: 1.2"},
        "share: 1.2",
        "leave 'collecting' .recycled. sum to 1.2",
    ),
    case(
        "share negative",
        {"share: collection": "share: -0.2"},
        "share: -0.2",
        r"is -0.2; shares lie in \[0, 1\]",
    ),
    case(
        "shares sum over one",
        {"  wasted:\n": "  dumped: {from: collecting, to: waste, share: collection}\n  wasted:\n"},
        "dumped:",
        r"shares that leave 'collecting' \(recycled, dumped\) sum to 1.2, more than 1",
    ),
    case(
        "flows define each other",
        {
            BOUGHT: "    value: 2 * sum(sales, over=product)\n",
            SALES: "    value: production * content + 0 * max(bought, 0)\n",
        },
        "  ",
        "loop (bought -> sales -> bought|sales -> bought -> sales) .*max.*lag",
    ),
    case(
        "indicators define each other",
        {TOTAL: "  total: a_b + in_use\n  a_b: 2 * total\n"},
        "total: a_b",
        "circle: total -> a_b -> total",
    ),
    case(
        "indicator defines itself",
        {TOTAL: "  total: total + in_use\n"},
        "total:",
        "circle: total -> total",
    ),
    case(
        "loop through a stock",
        {SALES: "    value: min(production * content, old)\n"},
        "  ",
        "loop .*(old -> sales|sales -> old).*min.*lag",
    ),
    case(
        "undetermined flow",
        {BOUGHT: ""},
        "  bought:",
        "flow 'bought' is not determined.*'making' already closes 'scrap'.*value or a share",
    ),
    case(
        "overdetermined process",
        {"    to: losses\n": "    to: losses\n    value: 1 * sum(sales, over=product)\n"},
        "processes: [making",
        r"'making' is over-determined.*bought, scrap, sales.*leave one of bought, scrap without",
    ),
    case(
        "share of nothing",
        {"  wasted:\n": "  odd: {from: mine, to: waste, share: 0.5}\n  wasted:\n"},
        "odd:",
        "'mine' is not a process, so nothing is known to enter it",
    ),
    case(
        "share of nothing that enters",
        {
            "[making, use,": "[mine, making, use,",
            "[mine, losses,": "[losses,",
            BOUGHT: "",
            "  wasted:\n": "  odd: {from: mine, to: waste, share: 0.5}\n  wasted:\n",
        },
        "[mine, making, use,",
        "nothing enters 'mine'; add a flow, or list it under environment",
    ),
    case(
        "nothing leaves a stock",
        {
            "    from: use\n    to: collecting\n": "    from: mine\n    to: collecting\n"
            "    value: production * content\n"
        },
        "processes: [making",
        "nothing leaves 'use', so what the stock 'in_use' releases has nowhere to go",
    ),
    case(
        "expression with too many dims",
        {BOUGHT: "    value: sales\n"},
        "value: sales",
        r"dim 'product', which 'bought' has not.*sum\(..., over=product\)",
    ),
]

YAML = [
    case(
        "key twice",
        {"title: A tiny cycle": "name: tiny"},
        "name: tiny",
        "'name' stands twice .first on line 2",
    ),
    case(
        "tab", {"  product:\n    labels": "  product:\n\t  labels"}, "\t", "tab in the indentation"
    ),
    case("anchor", {"labels: [phone": "labels: &a [phone"}, "&a", "anchors and aliases"),
    case(
        "billion laughs",
        {"title: A tiny cycle": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]"},
        "&a",
        "anchors and aliases",
    ),
    case(
        "python object",
        {"title: A": "title: !!python/object/apply:os.system [ls] #"},
        "!!python",
        "tag",
    ),
    case("local tag", {"title: A tiny": "title: !x A tiny"}, "!x", "tag"),
    case("set tag", {"[mine, losses": "!!set [mine, losses"}, "!!set", "tag|YAML"),
    case(
        "deep nesting",
        {"title: A tiny cycle": "title: " + "[" * 50 + "]" * 50},
        "[[",
        "deeper than 12",
    ),
    case(
        "very deep nesting",
        {"title: A tiny cycle": "title: " + "{a: " * 20000},
        "{a",
        "deeper than 12",
    ),
    case("open bracket", {"[mine, losses,": "[mine, [losses,"}, "", "not valid YAML"),
    case("two documents", {"unit: t\n": "unit: t\n---\nunit: t\n"}, "", "second document"),
    case("key that is a list", {"title: A": "[a, b]: A"}, "[a, b]", "key"),
    case("list at the top", {"scenario.yaml": "- a\n- b\n"}, "- a", "mapping of keys"),
    case("a text", {"scenario.yaml": "hello\n"}, "hello", "mapping of keys"),
]

EXPRESSIONS = [
    "__import__('os').system('touch hacked')",
    "in_use.__class__.__mro__",
    "(lambda: in_use)()",
    "[x for x in in_use]",
    "in_use[0]",
    "'text'",
    "f'{in_use}'",
    "in_use if 1 else 2",
    "in_use and in_use",
    "not in_use",
    "in_use @ in_use",
    "in_use // 2",
    "in_use is in_use",
    "(y := in_use)",
    "True",
    "1j",
    "...",
    "*in_use",
    "sum(*in_use)",
    "sum(in_use, **in_use)",
    "exec('1')",
    "sum.__globals__",
    "1e999",
    "9" * 400,
    "lag(in_use, " + "9" * 400 + ")",
    "in_use; in_use",
    "in_use \\",
    "",
    "1 +",
    "-" * 1500 + "1",
    "(" * 500 + "1" + ")" * 500,
    "1" + " + 1" * 450,
    "in_use" + " + in_use" * 120,
    "abs(" * 150 + "in_use" + ")" * 150,
    "x" * 3000,
    "in_use\0",
    "\\N{SNOWMAN}",
    "0x",
    "1or 2",
]


@pytest.mark.parametrize(
    ("changes", "at", "message"),
    [
        *WRONG_NAMES,
        *MISSING_AND_MALFORMED,
        *TABLES,
        *UNITS,
        *UNCERTAINTY,
        *PLANS,
        *YAML,
    ],
)
def test_mistake_is_named_with_its_line(scenario, changes, at, message):
    """Says file, line, what was found and what is allowed."""
    expect(scenario("tiny", changes), at, message)


@pytest.mark.parametrize(("changes", "at", "message"), PUBLISHED)
def test_mistake_in_a_published_figure_is_named_with_its_line(scenario, changes, at, message):
    """Figures are checked when they are compared, with the same care."""
    folder = scenario("tiny", changes)
    with pytest.raises(InputError, match=message) as caught:
        ndmc.validate(folder, draws=10)
    number = int(caught.value.where.rpartition(":")[2])
    assert at in (folder / "scenario.yaml").read_text().splitlines()[number - 1]


@pytest.mark.parametrize("text", EXPRESSIONS, ids=range(len(EXPRESSIONS)))
def test_expression_outside_the_grammar_is_refused(scenario, text):
    """Nothing but the small grammar is read: no calls, no attributes, no deep or endless texts."""
    quoted = '"' + text.replace("\\", "\\\\").replace("\0", "\\0").replace('"', '\\"') + '"'
    folder = scenario("tiny", {TOTAL: f"  total: {quoted}\n"})
    start = time.perf_counter()
    expect(folder, "total:", "")
    assert time.perf_counter() - start < 5
    assert not os.path.exists("hacked")


@pytest.mark.parametrize("place", ["lifetime", "share", "value"])
@pytest.mark.parametrize("text", ["-" * 600 + "1", "(" * 300 + "1", "1" + " + 1" * 480, "\\N{X}"])
def test_deep_expressions_are_refused_everywhere(scenario, place, text):
    """Lifetimes, shares and values are read by the same careful reader."""
    changes = {
        "lifetime": {"weibull(scale, shape)": f'"weibull(scale, {text})"'},
        "share": {"share: collection": f'share: "{text}"'},
        "value": {SALES: f'    value: "{text}"\n'},
    }
    with pytest.raises(InputError, match=r"scenario.yaml:\d+: "):
        ndmc.compile_plan(ndmc.load(scenario("tiny", changes[place])))


def test_power_tower_does_not_hang(scenario):
    """Powers are floating point: a tower of them is infinite at once, and named by the run."""
    folder = scenario("tiny", {TOTAL: "  total: 9**9**9**9 * sum(in_use, over=product)\n"})
    start = time.perf_counter()
    with pytest.raises(RunError, match=r"total \[year=2001\] is inf in draw 0; look for"):
        ndmc.run(folder, 10, seed=1, out=folder / "out.zarr")
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize(
    "name",
    [
        "../x.csv",
        "/etc/hostname",
        "a/../../x.csv",
        "link.csv",
        "folder/x.csv",
        "..\\x.csv",
    ],
)
def test_table_outside_the_folder_is_refused(scenario, tmp_path, name):
    """Nothing outside the scenario's folder is read, through links neither."""
    (tmp_path / "x.csv").write_text(PRODUCTION)
    quoted = '"' + name.replace("\\x", "\\\\x") + '"'
    folder = scenario("tiny", {"table: production.csv": f"table: {quoted}"})
    (folder / "link.csv").symlink_to(tmp_path / "x.csv")
    (folder / "folder").symlink_to(tmp_path)
    expect(folder, "table:", "leads out of the scenario's folder; tables must lie inside it")


@pytest.mark.parametrize("kind", ["fifo", "directory", "loop", "long", "null"])
def test_table_must_be_a_regular_file(scenario, kind):
    """A pipe, a directory, a circle of links or an impossible name is refused at once."""
    name = {"long": "x" * 300, "null": '"odd.csv\\0"'}.get(kind, "odd.csv")
    folder = scenario("tiny", {"table: production.csv": f"table: {name}"})
    if kind == "fifo":
        os.mkfifo(folder / name)
    elif kind == "directory":
        (folder / name).mkdir()
    elif kind == "loop":
        (folder / name).symlink_to(folder / name)
    expect(folder, "table:", "'(odd.csv|x+|odd.csv.x00)'")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "mapping of keys to values at the top"),
        (b"\xff\xfeformat: 1", "not UTF-8 text"),
        (b"title: \xe9", "not UTF-8 text: .* at byte 7"),
        (b"a: \x00", "not valid YAML"),
        (b"a: \x07", "not valid YAML"),
        (b"%YAML 9.9\n---\na: 1", "YAML|key"),
        (b"<<: {a: 1}", "key"),
    ],
)
def test_unreadable_scenario_file_is_refused(scenario, content, message):
    """Empty, binary and half-text files are refused with their name."""
    folder = scenario("tiny", {"scenario.yaml": content})
    with pytest.raises(InputError, match=message) as caught:
        ndmc.load(folder)
    assert caught.value.where.startswith(str(folder / "scenario.yaml"))


@pytest.mark.parametrize(
    ("name", "remedy"), [("scenario.yaml", "is it the right"), ("production.csv", "'wide' with")]
)
def test_huge_file_is_not_read(scenario, name, remedy):
    """A file of a gigabyte is refused by its size, before it is read."""
    folder = scenario()
    os.truncate(folder / name, 2**30)
    expected = rf"1024.0 MiB but at most .* MiB is read; .*{remedy}"
    with pytest.raises(InputError, match=expected) as caught:
        ndmc.load(folder)
    assert caught.value.where == str(folder / name)


def test_table_that_is_not_text_is_refused(scenario):
    """A spreadsheet in place of a CSV file is named."""
    folder = scenario("tiny", {"production.csv": b"PK\x03\x04\xff"})
    with pytest.raises(InputError, match="not UTF-8 text"):
        ndmc.load(folder)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("startr", "no bundled scenario 'startr', and no such folder; did you mean 'starter'"),
        ("no/such/folder", "there is no scenario at 'no/such/folder'"),
        ("x" * 300, "cannot be read: File name too long"),
        ("a\0b", "no bundled scenario|no scenario"),
    ],
)
def test_unknown_scenario_is_refused(source, message):
    """Suggests the nearest bundled one."""
    with pytest.raises(InputError, match=message):
        ndmc.load(source)


def test_folder_without_scenario_is_refused(tmp_path):
    """Says which file the folder lacks."""
    with pytest.raises(InputError, match=r"holds no scenario.yaml; is it a scenario"):
        ndmc.load(tmp_path)


def test_unknown_variant_is_refused(scenario):
    """Suggests the nearest variant."""
    with pytest.raises(InputError, match=r"no variant 'long_life'.*'long_lives'") as caught:
        ndmc.load(scenario(), variant="long_life")
    assert caught.value.where == "--variant"


def test_variant_that_sets_nothing_is_refused(scenario):
    """A misspelt path in a variant is named on its line, with the nearest."""
    folder = scenario("tiny", {"parameters.scale.value.phone": "parameters.scal.value.phone"})
    expect(folder, "scal.value", "'parameters.scal'.*'scale'", variant="long_lives")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colection": "50"}, "no parameter 'colection'; did you mean 'collection'"),
        ({"production": "50"}, "'production' has no single value to set"),
        ({"stocks.in_us.inflow_at": "end"}, "nothing to set at 'stocks.in_us'.*'in_use'"),
        ({"stocks.in_use.inflow_to": "end"}, "unknown key.*inflow_to'.*'inflow_at'"),
        ({"stocks.in_use.inflow_at": "mid"}, "'mid' but must be start"),
        ({"collection": "much"}, "'much' is not a number"),
        ({"collection": "[1"}, "cannot read the value"),
        ({"collection": "160"}, "must lie in"),
        ({"yeers": "2001..2002"}, "no parameter 'yeers'"),
        ({"sales": "3"}, "'sales' is one of the flows; write flows.sales.value=$"),
        ({"collection.cv": "3 %"}, "parameters; write parameters.collection.cv=$"),
        ({"long_lives": "1"}, "is a variant; choose it by --variant long_lives$"),
        ({"years": "2001"}, "years"),
    ],
)
def test_wrong_setting_is_refused(scenario, changes, message):
    """Points at the --set that holds the mistake."""
    with pytest.raises(InputError, match=message) as caught:
        ndmc.load(scenario(), changes=changes)
    assert caught.value.where.startswith(f"--set {next(iter(changes))}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 0}, "-n: 0 draws asked for; at least 1 is needed"),
        ({"quantiles": [n / 1000 for n in range(1001)]}, "-q: 1001 quantiles asked for; a store"),
        ({"block": 2**62 + 1}, "--block: blocks of 4611686018427387905 draws asked for; at most"),
        ({"draws": -3}, "-n: -3 draws"),
        ({"draws": 2**63}, "-n: .* at most"),
        ({"draws": 10**15}, "-n: 10{15} draws are .* blocks but a store has at most 1000000"),
        ({"seed": -1}, "--seed: seed is -1 but must lie in 0 .. 2"),
        ({"seed": 2**64}, "--seed: "),
        ({"workers": 0}, "--workers: 0 workers"),
        ({"block": 0}, "--block: blocks of 0 draws"),
        (
            {"block": 10**9, "draws": 10**9, "memory": 2**31},
            "--memory: .* need .* but at most 2 GiB",
        ),
        ({"dtype": "float16"}, "--dtype: dtype is 'float16'; choose float32 or float64"),
        ({"keep": ["in_us"]}, "--keep in_us: nothing is named 'in_us'; did you mean 'in_use'"),
        ({"keep": ["none"], "percentiles": ["in_us"]}, "--percentiles .*did you mean 'in_use'"),
        ({"variant": "x"}, "--variant: "),
    ],
)
def test_wrong_run_is_refused_and_nothing_written(scenario, options, message):
    """Numbers out of range are named by their option, before a store is begun."""
    folder = scenario()
    with pytest.raises(InputError, match=message):
        ndmc.run(folder, **{"draws": 10, "seed": 1, "out": folder / "out.zarr", **options})
    assert sorted(path.name for path in folder.iterdir()) == ["production.csv", "scenario.yaml"]


@pytest.fixture
def stored(scenario):
    """Return a function that runs the tiny scenario into one store."""
    folder = scenario()
    out = folder / "out.zarr"

    def run(**options):
        return ndmc.run(
            folder, **{"draws": 20, "seed": 1, "out": out, "keep": ["in_use"], **options}
        )

    run()
    run.out = out
    return run


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 2}, r"another run \(seed: 1, asked for 2\)"),
        ({"quantiles": [0.4]}, r"another run \(quantiles: .*, asked for \[0.4\]"),
        ({"keep": ["total"]}, r"another run \(keep: \['in_use'\], asked for \['total'\]\)"),
        ({"dtype": "float64"}, r"another run \(dtype"),
        ({"changes": {"collection": "50"}}, r"another run \(changes: {}, asked for {'collection'"),
        ({"variant": "long_lives"}, r"another run \(variant: '', asked for 'long_lives'\)"),
    ],
)
def test_store_of_another_run_is_left_alone(stored, options, message):
    """Says which part differs and what to do; the store stays as it was."""
    before = {p: p.stat().st_mtime_ns for p in stored.out.rglob("*")}
    with pytest.raises(
        InputError, match=message + ".*another --out, or replace it by --overwrite$"
    ):
        stored(**options)
    assert {p: p.stat().st_mtime_ns for p in stored.out.rglob("*")} == before


@pytest.mark.parametrize("kind", ["file", "folder", "zarr"])
def test_path_that_is_no_store_is_left_alone(scenario, kind):
    """Never writes over something else."""
    folder = scenario()
    out = folder / "scenario.yaml" if kind == "file" else folder
    if kind == "zarr":
        (folder / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    with pytest.raises(InputError, match=r"is not a store of ndmc's|is no name for a run"):
        ndmc.run(folder, 10, seed=1, out=out)
    with pytest.raises(InputError, match=r"is not a store of ndmc's|is no name for a run"):
        ndmc.open(out)
    assert (folder / "scenario.yaml").read_text() == TINY


def test_missing_store_is_refused(tmp_path):
    """Says which path holds no store."""
    with pytest.raises(InputError, match=r"there is no store at '.*nothing.zarr'"):
        ndmc.percentiles(tmp_path / "nothing.zarr")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variables": "in_us"}, "'in_us' is not in .*; did you mean 'in_use'"),
        ({"variables": "sales_totl"}, "did you mean 'sales_total'"),
        ({"sel": {"yaer": 2004}}, "no output has a dim 'yaer'; did you mean 'year'"),
        ({"variables": "bought", "over": "product"}, "'bought' has no dim 'product'; choose"),
        ({"sel": {"product": "cra"}}, "product has no label 'cra'; did you mean 'car'"),
        ({"sel": {"year": 2014}}, "2014 lies after the years of the scenario, 2001..2004"),
        ({"over": "prodct"}, "no output has a dim 'prodct'; did you mean 'product'"),
        ({"by_group": "year"}, "the dim 'year' has no groups"),
        ({"quantiles": [1.5]}, "quantile 1.5 is not between 0 and 1"),
        ({"quantiles": [float("nan")]}, "quantile nan is not between 0 and 1"),
    ],
)
def test_wrong_percentiles_are_refused(stored, options, message):
    """Suggests the nearest variable, dim and label of the store."""
    with pytest.raises(InputError, match=message):
        ndmc.percentiles(stored.out, **options)


def test_percentiles_of_half_a_run_are_refused(stored):
    """A store that is not complete says so, and how to complete it."""
    open_store(stored.out).write_attributes(complete=False)
    with pytest.raises(InputError, match="not complete; run the same command again"):
        ndmc.percentiles(stored.out)


def test_store_cannot_write_elsewhere(stored, tmp_path):
    """The texts a store carries are read back without leaving a temporary folder."""
    store, elsewhere = open_store(stored.out), tmp_path / "escaped.csv"
    document = json.dumps(store.document).replace('"production.csv"', f'"{elsewhere}"')
    write_root(store.place, json.loads(document))
    with pytest.raises(InputError, match="cannot be a table in a folder"):
        ndmc.validate(stored.out)
    assert not elsewhere.exists()


COMMANDS = [
    (["run", "startr"], "did you mean 'starter'"),
    (["run", "{tiny}", "-n", "0"], "-n: 0 draws"),
    (["run", "{tiny}", "-n", "-5"], "-n: -5 draws"),
    (["run", "{tiny}", "-n", "1.5"], "-n: '1.5' is not a whole number"),
    (["run"], r"(?i)missing argument 'scenario'; see ndmc run --help"),
    (["run", "{tiny}", "--sed", "1"], r"no such option: --sed.*; see ndmc run --help"),
    (["run", "{tiny}", "--workers", "two"], "--workers: 'two' is not a whole number; write it"),
    (["check", "{tiny}", "Cars"], r"\(Cars\): put texts with blanks in quotes; see"),
    (["rnu"], r"no such command 'rnu'.*; see ndmc --help"),
    (["run", "{tiny}", "-q", "nan"], "-q: nan % is not between 0 and 100 %"),
    (["run", "{tiny}", "--part", "1/0"], "--part: 0 parts asked for; at least 1 is needed"),
    (["run", "{tiny}", "--exceed", "in_use > 1e400 t"], "--exceed: .* is no finite number"),
    (["run", "{tiny}", "--processes", "--scheduler", "x"], "--processes: there are workers at"),
    (
        ["job", "slurm", "{tiny}", "--parts", "2", "--keep", "sale"],
        "--keep sale: nothing is named",
    ),
    (["job", "slurm", "{tiny}", "--parts", "2", "-q", "101"], "-q: 101 % is not between"),
    (["job", "slurm", "{tiny}", "--parts", "2", "--out", "memory://x"], "--out: memory://x would"),
    (["run", "{tiny}", "--seed", "abc"], "--seed: 'abc' is not a whole number"),
    (["run", "{tiny}", "--set", "collection"], "--set: 'collection' is not of the form name=value"),
    (["run", "{broken}"], r"scenario.yaml:5: years run backwards"),
    (["check", "{table}"], r"production.csv:9: column 'value' is empty"),
]


@pytest.mark.parametrize(("command", "message"), COMMANDS)
def test_command_with_a_mistake_exits_2(scenario, cli, tmp_path, command, message):
    """One line on the error stream, no traceback, no store."""
    folders = {
        "tiny": scenario("tiny"),
        "broken": scenario("broken", {"2001..2004": "2004..2001"}),
        "table": scenario("table", {"car,2004,800000": "car,2004,"}),
    }
    done = cli(*(part.format(**folders) for part in command))
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert re.search(message, done.err), done.err
    assert not list(tmp_path.glob("*.zarr"))


@pytest.mark.parametrize("place", ["{tiny}/scenario.yaml/run.zarr", "/proc/ndmc/run.zarr"])
def test_unwritable_place_exits_1(scenario, cli, place):
    """Says where it cannot write and what to do."""
    folder = scenario()
    done = cli("run", folder, "-n", 10, "--out", place.format(tiny=folder))
    assert done.code == 1
    assert re.fullmatch("error: cannot write '.*': .*; choose another --out.*\n", done.err), (
        done.err
    )


STARTER = find("starter").parent
LINES = {
    name: (STARTER / name).read_text().splitlines() for name in ("scenario.yaml", "production.csv")
}
TEXTS = st.text(max_size=20) | st.sampled_from(["-1", "0", ".nan", "1e400", "[]", "{}", "~", "1 %"])


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(["scenario.yaml", "scenario.yaml", "production.csv"]),
    line=st.integers(0, 200),
    edit=st.sampled_from(["delete", "repeat", "value", "whole", "indent"]),
    text=TEXTS,
)
def test_any_edit_works_or_is_explained(scenario, name, line, edit, text):
    """Whatever is done to a line, the scenario compiles or an input error says why not."""
    lines = LINES[name]
    line %= len(lines)
    edited = {
        "delete": [],
        "repeat": [lines[line]] * 2,
        "value": [re.split("[:,]", lines[line])[0] + (": " if "yaml" in name else ",") + text],
        "whole": [text],
        "indent": [" " * len(text) + lines[line]],
    }
    content = "\n".join([*lines[:line], *edited[edit], *lines[line + 1 :]])
    texts = {n: "\n".join(rest) for n, rest in LINES.items()} | {name: content}
    folder = scenario("starter", {n: t.encode(errors="replace") for n, t in texts.items()})
    with contextlib.suppress(InputError):
        ndmc.compile_plan(ndmc.load(folder))
