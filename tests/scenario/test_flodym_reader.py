"""What is read from flodym: the numbers flodym reads, nothing made up, nothing half done."""

import csv
import json
import re
from pathlib import Path

import flodym
import numpy as np
import pytest
from numpy.testing import assert_allclose
from strategies import python

import ndmc
from ndmc.engine.evaluation import evaluate_central
from ndmc.errors import InputError
from ndmc.scenario.flodym.writer import from_flodym

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "from-other-tools.md"
# flodym 1.1.0 renames columns in a way that pandas 3 announces the end of.
pytestmark = pytest.mark.filterwarnings("ignore:.*The inplace keyword:DeprecationWarning")

YEARS = range(2001, 2013)
PRODUCTS = ["mobile phone", "car"]

DIMENSIONS = [
    {"name": "Time", "letter": "t", "dtype": int},
    {"name": "Product", "letter": "p", "dtype": str},
]
FLOWS = [
    {"from_process": "sysenv", "to_process": "use phase", "dim_letters": ("t", "p")},
    {"from_process": "use phase", "to_process": "collection", "dim_letters": ("t", "p")},
    {
        "from_process": "collection",
        "to_process": "sysenv",
        "dim_letters": ("t", "p"),
        "name_override": "recycled",
    },
    {
        "from_process": "collection",
        "to_process": "sysenv",
        "dim_letters": ("t", "p"),
        "name_override": "wasted",
    },
]
STOCKS = [
    {
        "name": "in use",
        "process": "use phase",
        "dim_letters": ("t", "p"),
        "subclass": flodym.InflowDrivenDSM,
        "lifetime_model_class": flodym.WeibullLifetime,
    },
]
PARAMETERS = [
    {"name": "sales", "dim_letters": ("t", "p")},
    {"name": "collection rate", "dim_letters": ("p",)},
    {"name": "scale", "dim_letters": ("p",)},
    {"name": "shape", "dim_letters": ()},
]
SINK = {
    "name": "landfilled",
    "process": "landfill",
    "dim_letters": ("t", "p"),
    "subclass": flodym.SimpleFlowDrivenStock,
}
TABLES = {
    "time.csv": "".join(f"{year}\n" for year in YEARS),
    "product.csv": ",".join(PRODUCTS) + "\n",
    "sales.csv": "Product," + ",".join(map(str, YEARS)) + "\n"
    "mobile phone," + ",".join(str(5 + 0.5 * k) for k in range(len(YEARS))) + "\n"
    "car," + ",".join(str(100 + k) for k in range(len(YEARS))) + "\n",
    "collection.csv": "p,value\nmobile phone,0.3\ncar,0.9\n",
    "scale.csv": "mobile phone,4\ncar,12.5\n",
    "shape.csv": "value\n2.5\n",
}


def definition(**changes):
    """Return the definition of a small system, loop-free, with lists replaced."""
    lists = {
        "dimensions": DIMENSIONS,
        "processes": ["sysenv", "use phase", "collection"],
        "flows": FLOWS,
        "stocks": STOCKS,
        "parameters": PARAMETERS,
    }
    return {**lists, **changes}


def changed(entries, index, **fields):
    """Return a list of entries with one changed."""
    return [{**entry, **fields} if k == index else entry for k, entry in enumerate(entries)]


@pytest.fixture
def files(tmp_path):
    """Write the small system's tables and return where they are, as flodym takes them."""
    for name, text in TABLES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return {
        "dimension_files": {"Time": tmp_path / "time.csv", "Product": tmp_path / "product.csv"},
        "parameter_files": {
            "sales": tmp_path / "sales.csv",
            "collection rate": tmp_path / "collection.csv",
            "scale": tmp_path / "scale.csv",
            "shape": tmp_path / "shape.csv",
        },
    }


def fill(path, **lines):
    """Add a line beneath the head of each entry named, as a person would."""
    text = path.read_text(encoding="utf-8")
    for name, line in lines.items():
        head = f"\n  {name}:\n"
        assert text.count(head) == 1, name
        text = text.replace(head, f"{head}    {line}\n")
    path.write_text(text, encoding="utf-8")
    return path


UNITS = {
    "sales": "unit: t/yr",
    "collection_rate": 'unit: "1"',
    "scale": "unit: yr",
    "shape": 'unit: "1"',
}
EQUATIONS = {
    "sysenv_to_use_phase": "value: sales",
    "recycled": "share: collection_rate",
}


class Small(flodym.MFASystem):
    """The same system with its equations, in flodym."""

    def compute(self):
        """Compute flows and stocks."""
        stock = self.stocks["in use"]
        stock.lifetime_model.weibull_scale = self.parameters["scale"]
        stock.lifetime_model.weibull_shape = self.parameters["shape"]
        stock.inflow[...] = self.parameters["sales"]
        stock.compute()
        self.flows["sysenv => use phase"][...] = stock.inflow
        self.flows["use phase => collection"][...] = stock.outflow
        self.flows["recycled"][...] = stock.outflow * self.parameters["collection rate"]
        self.flows["wasted"][...] = self.flows["use phase => collection"] - self.flows["recycled"]


def central(folder):
    """Return the scenario's outputs with every parameter at its mean."""
    return evaluate_central(ndmc.compile_plan(ndmc.load(folder)))


def assert_same(got, expected):
    """Hold an array [..., year] to flodym's [year, ...], to 1e-12 of its largest number."""
    values = np.moveaxis(expected.values, 0, -1)
    assert_allclose(got, values, rtol=0, atol=1e-12 * np.abs(values).max())


def code_blocks(language):
    """Return the document's blocks of code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)


def test_object_mapping_and_files_give_the_same(tmp_path, files):
    """An MFADefinition, a mapping, a YAML and a JSON file all give the same scenario."""
    plain = json.loads(json.dumps(definition(), default=lambda kind: kind.__name__))
    (tmp_path / "definition.json").write_text(json.dumps(plain, indent=1))
    listed = [f"{key}: {json.dumps(plain[key])}\n" for key in plain]
    (tmp_path / "definition.yaml").write_text("".join(listed))
    sources = [
        flodym.MFADefinition(**definition()),
        definition(),
        tmp_path / "definition.yaml",
        str(tmp_path / "definition.json"),
    ]
    texts = [
        from_flodym(source, tmp_path / f"out{k}", name="same", **files).read_text()
        for k, source in enumerate(sources)
    ]
    assert len(set(texts)) == 1


def test_what_is_missing_is_named_until_it_is_filled_in(tmp_path, files):
    """Loading says which unit is missing, compiling what is undetermined; nothing is made up."""
    path = from_flodym(definition(), tmp_path / "small", **files)
    with pytest.raises(InputError, match=r"scenario.yaml:\d+: .*parameters.sales.unit' is missing"):
        ndmc.load(path.parent)
    fill(path, **UNITS)
    with pytest.raises(InputError, match=r"lifetime"):
        ndmc.compile_plan(ndmc.load(path.parent))
    fill(path, in_use='lifetime: "weibull(scale, shape)"')
    with pytest.raises(InputError, match=r"sysenv_to_use_phase|use_phase"):
        ndmc.compile_plan(ndmc.load(path.parent))
    fill(path, **EQUATIONS)
    assert ndmc.compile_plan(ndmc.load(path.parent))


def test_filled_in_it_equals_flodym(tmp_path, files):
    """With units, lifetime and equations filled in, every number is flodym's own, to 1e-12."""
    source = flodym.MFADefinition(**definition())
    path = from_flodym(source, tmp_path / "small", **files)
    fill(path, **UNITS, **EQUATIONS, in_use='lifetime: "weibull(scale, shape)"')
    got = central(path.parent)
    expected = Small.from_csv(source, **files)
    expected.compute()
    assert_same(got["in_use"], expected.stocks["in use"].stock)
    for name, title in [
        ("sysenv_to_use_phase", "sysenv => use phase"),
        ("use_phase_to_collection", "use phase => collection"),
        ("recycled", "recycled"),
        ("wasted", "wasted"),
    ]:
        assert_same(got[name], expected.flows[title])


def test_every_kind_of_stock_equals_flodym(tmp_path, files):
    """A prescribed stock with each lifetime and a sink have flodym's numbers, to 1e-12."""
    lifetimes = {
        flodym.FixedLifetime: ("fixed(4)", {"mean": 4}),
        flodym.NormalLifetime: ("normal(8, 2)", {"mean": 8, "std": 2}),
        flodym.FoldedNormalLifetime: ("folded_normal(8, 4)", {"mean": 8, "std": 4}),
        flodym.LogNormalLifetime: ("lognormal(8, 4)", {"mean": 8, "std": 4}),
        flodym.WeibullLifetime: ("weibull(8, 2)", {"weibull_scale": 8, "weibull_shape": 2}),
    }
    for model, (text, arguments) in lifetimes.items():
        driven = {**STOCKS[0], "subclass": flodym.StockDrivenDSM, "lifetime_model_class": model}
        buried = {
            "stocks": [driven, SINK],
            "processes": ["sysenv", "use phase", "collection", "landfill"],
            "flows": changed(FLOWS, 3, to_process="landfill"),
        }
        source = flodym.MFADefinition(**definition(**buried))
        path = from_flodym(source, tmp_path / model.__name__, **files)
        assert "# value:" in path.read_text()
        prescribed = f'lifetime: "{text}"\n    value: "10 * cumsum(sales)"'
        fill(path, **UNITS, recycled="share: collection_rate", in_use=prescribed)
        got = central(path.parent)
        system = flodym.MFASystem.from_csv(source, **files)
        stock, sink = system.stocks["in use"], system.stocks["landfilled"]
        for name, value in arguments.items():
            setattr(stock.lifetime_model, name, value)
        stock.stock[...] = 10 * system.parameters["sales"].cumsum("t")
        stock.compute()
        assert_same(got["sysenv_to_use_phase"], stock.inflow)
        assert_same(got["use_phase_to_collection"], stock.outflow)
        sink.inflow[...] = stock.outflow * (1 - system.parameters["collection rate"])
        sink.compute()
        assert_same(got["landfilled"], sink.stock)


def run_document(tmp_path, monkeypatch):
    """Run the document's flodym code in an empty folder and return its names."""
    monkeypatch.chdir(tmp_path)
    code = next(block for block in code_blocks("python") if "import flodym" in block)
    names = {"__name__": "document"}
    exec(code, names)
    return names


def test_document_code_runs(tmp_path, monkeypatch):
    """The flodym code of the document runs as it stands, and keeps its mass balance."""
    cycle = run_document(tmp_path, monkeypatch)["cycle"]
    stock = cycle.stocks["in use"].stock.values
    assert_allclose(stock[[0, 10, 20]], [99.97, 1029.10, 1605.00], atol=0.005)


def test_document_scenario_equals_its_flodym_code(tmp_path, monkeypatch):
    """The document's scenario, a loop with normal lifetimes, has flodym's numbers, to 1e-12."""
    cycle = run_document(tmp_path, monkeypatch)["cycle"]
    (tmp_path / "cycle").mkdir()
    text = next(block for block in code_blocks("yaml") if block.startswith("format: 1"))
    (tmp_path / "cycle" / "scenario.yaml").write_text(text)
    got = central(tmp_path / "cycle")
    assert_same(got["in_use"], cycle.stocks["in use"].stock)
    for name, title in [
        ("sales", "manufacturing => use"),
        ("old_products", "use => end of life"),
        ("recycled", "end of life => manufacturing"),
        ("wasted", "end of life => sysenv"),
    ]:
        assert_same(got[name], cycle.flows[title])


def test_document_call_writes_what_it_shows(tmp_path, monkeypatch):
    """The document's call of from_flodym works after its flodym code, and equals it once filled."""
    names = run_document(tmp_path, monkeypatch)
    call = next(block for block in code_blocks("python") if "ndmc.from_flodym(" in block)
    monkeypatch.setattr(ndmc, "from_flodym", from_flodym, raising=False)
    exec(call, names)
    path = tmp_path / "cycle" / "scenario.yaml"
    text = path.read_text()
    shown = next(block for block in code_blocks("yaml") if "primary_production:\n" in block)
    for line in shown.splitlines():
        assert line in text
    fill(
        path,
        primary_production="unit: t/yr",
        recycling_share='unit: "1"',
        sysenv_to_manufacturing="value: primary_production",
        end_of_life_to_manufacturing="share: recycling_share",
        in_use='lifetime: "normal(10, 3)"',
    )
    assert_same(central(path.parent)["in_use"], names["cycle"].stocks["in use"].stock)


SALES = {
    "long": "Time,Product,value\n2001,a,1\n2001,b,2\n2002,a,3.5\n2002,b,4\n",
    "letters, unsorted, spaces": "p,t,v\n b ,2002,4\na,2002, 3.5\na,2001,1\nb,2001,2\n",
    "columns by items": "foo,bar,value\n2001,a,1\n2001,b,2\n2002,a,3.5\n2002,b,4\n",
    "no header": "2001,a,1\n2001,b,2\n2002,a,3.5\n2002,b,4\n",
    "wide in time": "Product,2001,2002\na,1,3.5\nb,2,4\n",
    "wide in product": "t,b,a\n2001,2,1\n2002,4,3.5\n",
    "wide, column by items": "x,2002,2001\nb,4,2\na,3.5,1\n",
}


@pytest.mark.parametrize("form", SALES)
def test_tables_are_read_as_flodym_reads_them(tmp_path, form):
    """Long, wide, headless, by name, letter or items: the cells are flodym's."""
    (tmp_path / "t.csv").write_text("2001,2002\n")
    (tmp_path / "p.csv").write_text("Product\na\nb\n")
    (tmp_path / "sales.csv").write_text(SALES[form])
    files = {
        "dimension_files": {"Time": tmp_path / "t.csv", "Product": tmp_path / "p.csv"},
        "parameter_files": {"sales": tmp_path / "sales.csv"},
    }
    source = {
        "dimensions": DIMENSIONS,
        "processes": ["sysenv", "use"],
        "flows": [{"from_process": "sysenv", "to_process": "use", "dim_letters": ["t", "p"]}],
        "parameters": PARAMETERS[:1],
    }
    path = from_flodym(source, tmp_path / "out", **files)
    expected = flodym.MFASystem.from_csv(flodym.MFADefinition(**source), **files)
    with (path.parent / "sales.csv").open() as table:
        rows = list(csv.DictReader(table))
    got = {(int(row["year"]), row["Product"]): float(row["value"]) for row in rows}
    values = expected.parameters["sales"].values
    assert got == {
        (year, product): values[y, p]
        for y, year in enumerate((2001, 2002))
        for p, product in enumerate("ab")
    }


def test_a_dimension_with_one_item_needs_no_column(tmp_path, files):
    """As in flodym, a single item is filled in."""
    (tmp_path / "product.csv").write_text("car\n")
    (tmp_path / "sales.csv").write_text("t,v\n" + "".join(f"{year},7\n" for year in YEARS))
    del files["parameter_files"]["collection rate"], files["parameter_files"]["scale"]
    source = definition(parameters=[PARAMETERS[0], PARAMETERS[3]])
    path = from_flodym(source, tmp_path / "one", **files)
    assert "car,2001,7" in (path.parent / "sales.csv").read_text().replace("2001,car", "car,2001")


def test_alike_dimensions_are_told_apart_by_name_only(tmp_path):
    """Two dimensions of the same items, as in trade: named columns work, unnamed are refused."""
    (tmp_path / "r.csv").write_text("a,b\n")
    table = "{},{},value\na,a,1\na,b,2\nb,a,3\nb,b,4\n"
    regions = [
        {"name": name, "letter": name[0].lower(), "dtype": str} for name in ("Origin", "Goal")
    ]
    source = {
        "dimensions": regions,
        "processes": ["sysenv", "use"],
        "flows": [{"from_process": "sysenv", "to_process": "use", "dim_letters": ["o", "g"]}],
        "parameters": [{"name": "trade", "dim_letters": ["o", "g"]}],
    }
    files = {
        "dimension_files": dict.fromkeys(("Origin", "Goal"), tmp_path / "r.csv"),
        "parameter_files": {"trade": tmp_path / "trade.csv"},
        "years": "2020..2020",
    }
    for k, columns in enumerate([("Goal", "Origin"), ("g", "from where")]):
        (tmp_path / "trade.csv").write_text(table.format(*columns))
        path = from_flodym(source, tmp_path / f"out{k}", **files)
        assert "a,b,3\n" in (path.parent / "trade.csv").read_text()
    (tmp_path / "trade.csv").write_text(table.format("x", "y"))
    with pytest.raises(InputError, match=r"trade.csv: flodym refuses it: .*Goal"):
        from_flodym(source, tmp_path / "out", **files)


def test_names_and_labels_survive(tmp_path, files):
    """Names are made plain, the original stays beside; labels stay, whatever YAML makes of them."""
    labels = ["yes", "1.0", "a: b #c", 'quo"te', "Größe\\"]
    (tmp_path / "product.csv").write_text(
        "".join('"' + label.replace('"', '""') + '"\n' for label in labels), encoding="utf-8"
    )
    source = definition(parameters=[], stocks=[])
    files["parameter_files"] = {}
    path = from_flodym(source, tmp_path / "odd", **files)
    assert list(ndmc.load(path.parent).dims.labels["Product"]) == labels
    text = path.read_text(encoding="utf-8")
    assert 'title: "use phase => collection"' in text
    assert '# process "use phase" is use_phase' in text


def test_a_name_cannot_break_out_of_its_line(tmp_path, files):
    """Line breaks of any kind in a name stay inside a quoted text."""
    evil = "use\nflows: {}\u2028x\x85y"
    flows = [{**FLOWS[0], "to_process": evil}]
    source = definition(processes=["sysenv", evil], flows=flows, stocks=[], parameters=[])
    path = from_flodym(source, tmp_path / "evil", **{**files, "parameter_files": {}})
    scenario = ndmc.load(path.parent)
    assert scenario.file.processes == ["use_flows_x_y"]
    assert scenario.file.flows["sysenv_to_use_flows_x_y"].title == f"sysenv => {evil}"


def test_a_process_that_cannot_balance_is_pointed_out(tmp_path, files):
    """A process that nothing leaves, without a stock, has a hint beside it."""
    source = definition(
        processes=["sysenv", "use phase", "collection", "landfill"],
        flows=changed(FLOWS, 3, to_process="landfill"),
    )
    text = from_flodym(source, tmp_path / "out", **files).read_text()
    assert text.count("and it holds no stock") == 1
    assert "# nothing leaves landfill and it holds no stock: move it to environment" in text


def test_years_can_be_given_without_a_file(tmp_path, files):
    """A time dimension without a file takes `years`; so does a definition without time."""
    short = {**files, "dimension_files": {"Product": tmp_path / "product.csv"}}
    for k, years in enumerate(["2001..2012", YEARS]):
        path = from_flodym(definition(), tmp_path / f"given{k}", years=years, **short)
        assert "years: 2001..2012\n" in path.read_text()
    flows = [{**flow, "dim_letters": ("p",)} for flow in FLOWS]
    static = definition(
        dimensions=DIMENSIONS[1:], flows=flows, stocks=[], parameters=PARAMETERS[1:]
    )
    del short["parameter_files"]["sales"]
    with pytest.raises(InputError, match="no time dimension; give the years"):
        from_flodym(static, tmp_path / "static", **short)
    path = from_flodym(static, tmp_path / "static", years="2020..2020", **short)
    assert "years: 2020..2020\n" in path.read_text()


DEFINITIONS = {
    "no definition": (7, "expected a flodym MFADefinition"),
    "unknown list": (definition(flow=[]), "unknown key 'flow'; did you mean 'flows'"),
    "no flows": (definition(flows=[]), "no flows"),
    "not a list": (
        definition(flows="all"),
        "flodym refuses it: flows: Input should be a valid list",
    ),
    "misspelt key": (
        definition(flows=[{"form_process": "sysenv"}]),
        r"flows\[0\]: unknown key 'form_process'; did you mean 'from_process'",
    ),
    "missing key": (
        definition(parameters=[{"name": "x"}]),
        r"parameters\[0\] dim_letters: Field required",
    ),
    "long letter": (
        definition(parameters=[{"name": "x", "dim_letters": ["tp"]}]),
        r"parameters\[0\] dim_letters: Dimensions must be defined using single",
    ),
    "letters twice": (
        definition(parameters=changed(PARAMETERS, 0, dim_letters=["t", "t"])),
        "stands twice in dim_letters",
    ),
    "unknown letter": (
        definition(flows=changed(FLOWS, 0, dim_letters=["t", "q"])),
        r"Undefined dimension in dim_letters=\('t', 'q'\)",
    ),
    "letter taken": (
        definition(dimensions=[*DIMENSIONS, DIMENSIONS[1]]),
        "Dimensions must have unique letters",
    ),
    "dtype": (definition(dimensions=changed(DIMENSIONS, 1, dtype=dict)), "must be int, str or"),
    "year taken": (definition(dimensions=changed(DIMENSIONS, 1, name="year")), "'year'"),
    "no sysenv": (definition(processes=["use phase"]), "process with ID 0 must be named 'sysenv'"),
    "process twice": (definition(processes=["sysenv", "a", "a"]), "'a' stands twice"),
    "processes collide": (
        definition(processes=["sysenv", "use-phase", "use phase"]),
        "'use-phase' and 'use phase' would both become 'use_phase'",
    ),
    "no name possible": (definition(processes=["sysenv", "生产"]), "cannot become a name"),
    "unknown process": (
        definition(flows=changed(FLOWS, 0, to_process="use fase")),
        "unknown process 'use fase'; did you mean 'use phase'",
    ),
    "flow twice": (definition(flows=[*FLOWS, FLOWS[0]]), "'sysenv => use phase' stands twice"),
    "flow to itself": (
        definition(flows=changed(FLOWS, 3, to_process="collection")),
        "starts and ends in 'collection'",
    ),
    "idle process": (
        definition(processes=["sysenv", "use phase", "collection", "idle"]),
        "no flow touches 'idle'",
    ),
    "unknown stock class": (
        definition(stocks=changed(STOCKS, 0, subclass="InflowDriven")),
        "unknown subclass 'InflowDriven'; did you mean 'InflowDrivenDSM'",
    ),
    "unknown lifetime": (
        definition(stocks=changed(STOCKS, 0, lifetime_model_class="GammaLifetime")),
        "unknown lifetime_model_class 'GammaLifetime'",
    ),
    "no lifetime": (
        definition(stocks=changed(STOCKS, 0, lifetime_model_class=None)),
        r"stocks\[0\]: Lifetime model class must be part",
    ),
    "sink with lifetime": (
        definition(stocks=changed(STOCKS, 0, subclass="SimpleFlowDrivenStock")),
        r"stocks\[0\]: Lifetime model is given, but not used",
    ),
    "stock without process": (
        definition(stocks=changed(STOCKS, 0, process=None)),
        r"stocks\[0\] 'in use': has no process",
    ),
    "stock without time": (
        definition(stocks=changed(STOCKS, 0, dim_letters=["p"])),
        "time_letter 't' is not among its dim_letters",
    ),
    "stocks in two times": (
        definition(stocks=[*STOCKS, {**SINK, "time_letter": "h"}]),
        r"time dimensions \['h', 't'\]; ndmc has one",
    ),
    "two stocks at one process": (
        definition(stocks=[*STOCKS, {**SINK, "process": "use phase"}]),
        "already holds the stock 'in_use'; split the process",
    ),
    "name of two kinds": (
        definition(stocks=changed(STOCKS, 0, name="sales")),
        "the name 'sales' is taken",
    ),
}


@pytest.mark.parametrize("case", DEFINITIONS)
def test_wrong_definitions_are_refused(tmp_path, files, case):
    """Each mistake is one message, and nothing is written."""
    source, message = DEFINITIONS[case]
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=message):
        from_flodym(source, tmp_path / "out", **files)
    assert sorted(tmp_path.iterdir()) == before


CONTENTS = {
    "gap": ("time.csv", "2001\n2002\n2005\n", r"time.csv: 2005 follows 2002; ndmc has yearly"),
    "even steps of five": ("time.csv", "2000,2005,2010", r"time.csv: 2005 follows 2000"),
    "falling": ("time.csv", "2002\n2001\n", r"2001 follows 2002"),
    "no year": ("time.csv", "2001\nlater\n", r"time.csv: flodym refuses it: .*'later'"),
    "item twice": ("product.csv", "car\ncar\n", r"product.csv: the item 'car' stands twice"),
    "empty": ("product.csv", "\n\n", r"product.csv: flodym refuses it: No columns to parse"),
    "empty item": ("product.csv", "car,\n", r"product.csv: an item is empty"),
    "a table": ("product.csv", "car,x\nbus,y\n", "only one row or column"),
    "unknown item": (
        "scale.csv",
        "p,v\ncar,1\nmobile fone,2\n",
        r"scale.csv: .*not in the dimension: .*'mobile fone'",
    ),
    "missing cell": ("scale.csv", "p,v\ncar,1\n", r"scale.csv: .*Missing values .*mobile phone"),
    "cell twice": (
        "scale.csv",
        "p,v\ncar,1\ncar,2\n",
        r"scale.csv: .*more than once in the data: .*car",
    ),
    "no number": (
        "scale.csv",
        "p,v\ncar,1\nmobile phone,\n",
        r"scale.csv: .*could not convert string to float",
    ),
    "not finite": (
        "scale.csv",
        "p,v\ncar,1\nmobile phone,inf\n",
        r"scale.csv: a value is infinite",
    ),
    "two values": (
        "scale.csv",
        "p,low,high\ncar,1,2\nmobile phone,1,2\n",
        "More than one value columns",
    ),
    "no column": ("sales.csv", "t,value\n2001,1\n", r"sales.csv: .*Dimension Product"),
    "no row": ("shape.csv", "2.5\n", "the DataFrame has no rows"),
    "two rows": ("shape.csv", "value\n1\n2\n", r"shape.csv: .*the DataFrame has 2 rows"),
    "ragged": ("scale.csv", "p,v\ncar,1,2\n", r"scale.csv: flodym refuses it"),
    "both ways": (
        "scale.csv",
        "p,car,mobile phone\ncar,1,2\n",
        r"scale.csv: .*duplicate names: \['Product'\]",
    ),
    "Excel": ("scale.csv", b"PK\x03\x04\xff\xfe", r"scale.csv: flodym refuses it: 'utf-8' codec"),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_wrong_tables_are_refused(tmp_path, files, case):
    """Each mistake is one message with its file, and nothing is written."""
    name, content, message = CONTENTS[case]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=message):
        from_flodym(definition(), tmp_path / "out", **files)
    assert sorted(tmp_path.iterdir()) == before


def test_a_historic_time_dimension_is_refused(tmp_path, files):
    """A dimension that holds some of the years is named, with what to do."""
    (tmp_path / "h.csv").write_text("2001\n2002\n")
    files["dimension_files"]["Historic"] = tmp_path / "h.csv"
    dimensions = [*DIMENSIONS, {"name": "Historic", "letter": "h", "dtype": int}]
    with pytest.raises(InputError, match=r"'Historic': holds years \(2001 to 2002\)"):
        from_flodym(definition(dimensions=dimensions), tmp_path / "out", **files)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"years": "2001..2011"}, r"time.csv: years is 2001..2011 but holds 2001..2012 here"),
        ({"years": "2012"}, "write the first and the last"),
        ({"years": [2001, 2003]}, "2003 follows 2001"),
        ({"years": []}, "no years"),
        ({"unit": "tonnnes"}, "unknown unit"),
        ({"name": "1st"}, "cannot name a scenario"),
        ({"dimension_files": {}}, "no file; give dimension_files="),
        ({"dimension_files": {"Tme": "x"}}, "nothing is named 'Tme'; did you mean 'Time'"),
        ({"parameter_files": {}}, r"parameters\[0\] 'sales': no file; give parameter_files"),
        ({"parameter_files": {"sale": "x"}}, "nothing is named 'sale'"),
        ({"dimension_files": {"Time": "no.csv", "Product": "no.csv"}}, r"no.csv: cannot be read"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, files, change, message):
    """A wrong argument is one message, and nothing is written."""
    with pytest.raises(InputError, match=message):
        from_flodym(definition(), tmp_path / "out", **{**files, **change})
    assert not (tmp_path / "out").exists()


def test_a_mistake_in_a_file_has_its_line(tmp_path, files):
    """Mistakes in a YAML definition are pointed at."""
    (tmp_path / "d.yaml").write_text(
        "dimensions:\n"
        "- {name: Time, letter: t, dtype: int}\n"
        "processes: [sysenv, use]\n"
        "flows:\n"
        "- {from_process: sysenv, to_process: usee, dim_letters: [t]}\n"
    )
    files = {"dimension_files": {"Time": tmp_path / "time.csv"}, "parameter_files": {}}
    with pytest.raises(InputError, match=r"d.yaml:5: flows\[0\]: unknown process 'usee'"):
        from_flodym(tmp_path / "d.yaml", tmp_path / "out", **files)
    with pytest.raises(InputError, match=r"no.yaml: the file does not exist"):
        from_flodym(tmp_path / "no.yaml", tmp_path / "out", **files)


def test_nothing_is_overwritten(tmp_path, files):
    """A folder that holds something, a file and a link are refused; an empty folder is taken."""
    with pytest.raises(InputError, match="exists already"):
        from_flodym(definition(), tmp_path, **files)
    with pytest.raises(InputError, match="exists already"):
        from_flodym(definition(), tmp_path / "time.csv", **files)
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    with pytest.raises(InputError, match="exists already"):
        from_flodym(definition(), tmp_path / "link", **files)
    assert from_flodym(definition(), tmp_path / "empty", **files).is_file()
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_flodym_is_asked_for_where_it_is_missing(tmp_path):
    """One message says what to install; `import ndmc` does not need it."""
    code = """
import sys
sys.modules["flodym"] = None
import ndmc
try:
    ndmc.from_flodym({}, sys.argv[1], dimension_files={}, parameter_files={})
except ndmc.InputError as wrong:
    print(wrong)
"""
    asked = "this needs flodym; install it with: pip install flodym"
    assert python(code, tmp_path / "out") == f"definition: {asked}"


def test_labels_are_what_is_written(tmp_path, files):
    """NA may be North America, and no cell without a number."""
    (tmp_path / "product.csv").write_text("NA,null\n")
    (tmp_path / "scale.csv").write_text("p,v\nNA,4\nnull,5\n")
    del files["parameter_files"]["sales"], files["parameter_files"]["collection rate"]
    path = from_flodym(definition(parameters=PARAMETERS[2:]), tmp_path / "na", **files)
    assert (path.parent / "scale.csv").read_text() == "Product,value\nNA,4\nnull,5\n"
    assert 'Product: [NA, "null"]' in path.read_text()
