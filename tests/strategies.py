"""Small scenarios made in memory, and hypothesis strategies for systems and expressions."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

import ndmc
from ndmc.engine.evaluation import evaluate
from ndmc.model import compile_plan
from ndmc.reconciliation.estimates import reconcile_scenario
from ndmc.scenario.document import parse_document
from ndmc.scenario.load import build

EPS = np.finfo(np.float64).eps
FOLDER = Path(__file__).parent


def scenario(data, *, variant=""):
    """Return the scenario of a mapping, as if it had been read from a file."""
    text = json.dumps(data, indent=1)
    return build(parse_document(text, FOLDER / "scenario.yaml"), FOLDER, variant, {})


def write(data, folder):
    """Write a mapping as a scenario to a new folder and return the folder."""
    folder.mkdir()
    (folder / "scenario.yaml").write_text(json.dumps(data, indent=1), encoding="utf-8")
    return folder


def one_parameter(years="2000..2000", labels=None, **parameter):
    """Return a scenario whose one flow is its one parameter ``x``."""
    own = {dim: list(names) for dim, names in (labels or {}).items()}
    flow_dims = [dim for dim in parameter.get("dims", []) if dim != "year"]
    return {
        "format": 1,
        "name": "one",
        "unit": "t",
        "years": years,
        "dims": own,
        "parameters": {"x": {"unit": "t/yr", **parameter}},
        "processes": ["middle"],
        "flows": {
            "given": {"from": "outside", "to": "middle", "dims": flow_dims, "value": "x"},
            "closed": {"from": "middle", "to": "sink", "dims": flow_dims},
        },
    }


def draw(data, name="x", draws=20_000, seed=7):
    """Return the draws of one quantity, [dims..., draw]."""
    plan = compile_plan(scenario(data), [name])
    return evaluate(plan, seed, range(draws))[name]


def stock_model(years="2000..2014", *, convention="middle", spread=0.0, products=("a", "b"), **key):
    """Return a scenario with one stock by product, and recycling of what it releases."""
    literature = (
        {"distribution": "normal", "cv": spread} if spread else {"distribution": "constant"}
    )
    shared = {"year": "shared", "product": "independent"}
    first, last = (int(year) for year in years.split(".."))
    table = {
        p: {str(y): 100.0 * (1 + n) * 1.07 ** (y - 2000) for y in range(first, last + 1)}
        for n, p in enumerate(products)
    }
    lives = {p: 4.0 + 5 * n for n, p in enumerate(products)}
    errors = {"product": "independent"}
    return {
        "format": 1,
        "name": "stocks",
        "unit": "t",
        "years": years,
        "dims": {"product": list(products)},
        "parameters": {
            "inflow": {
                "unit": "t/yr",
                "dims": ["product", "year"],
                "value": table,
                "errors": shared,
                **literature,
            },
            "eta": {
                "unit": "yr",
                "dims": ["product"],
                "value": lives,
                "errors": errors,
                **({**literature, "distribution": "lognormal"} if spread else literature),
            },
            "beta": {"unit": "1", "value": 2.2, "distribution": "constant"},
            "rate": {"unit": "%", "value": 30, "distribution": "constant"},
        },
        "processes": ["use", "waste"],
        "environment": ["makers", "recyclers", "dump"],
        "flows": {
            "sales": {"from": "makers", "to": "use", "dims": ["product"], "value": "inflow"},
            "end_of_life": {"from": "use", "to": "waste", "dims": ["product"]},
            "recycled": {"from": "waste", "to": "recyclers", "dims": ["product"], "share": "rate"},
            "dumped": {"from": "waste", "to": "dump", "dims": ["product"]},
        },
        "stocks": {
            "in_use": {
                "process": "use",
                "dims": ["product"],
                "lifetime": "weibull(eta, beta)",
                "inflow_at": convention,
            }
        },
        "indicators": {"total": "sum(in_use, over=product)"},
        **key,
    }


@functools.cache
def bundled(name, variant=""):
    """Return a bundled scenario, read once."""
    return ndmc.load(name, variant=variant)


@functools.cache
def compiled(name, variant=""):
    """Return the plan of a bundled scenario, compiled once."""
    return compile_plan(bundled(name, variant))


@functools.cache
def reconciled(name):
    """Return the estimates of a bundled scenario, reconciled once."""
    return reconcile_scenario(bundled(name))


@functools.cache
def bundled_draws(name, variant="", draws=600, seed=1):
    """Return every flow, stock, indicator and parameter of a bundled scenario, drawn once."""
    loaded = bundled(name, variant)
    file = loaded.file
    keep = [*file.flows, *file.stocks, *file.indicators, *file.parameters]
    return evaluate(compile_plan(loaded, keep), seed, range(draws))


def python(code, *arguments, **options):
    """Run code in a fresh interpreter, with warnings as errors, and return what it prints."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | options.get("env", {}),
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def imbalance(loaded, values):
    """Return the worst imbalance of any process, in units of eps times the largest flow or stock.

    Flows and stocks come as [dims..., draw]; each draw and year is held to its own largest.
    Stocks are empty before the first year.
    """
    file, years = loaded.file, len(loaded.dims.years)

    def total(name):
        return values[name].reshape(-1, years, values[name].shape[-1]).sum(0)

    closure = dict.fromkeys(file.processes, 0.0)
    for stock, entry in file.stocks.items():
        closure[entry.process] = -np.diff(total(stock), axis=0, prepend=0.0)
    for name, flow in file.flows.items():
        for process, sign in ((flow.target, 1.0), (flow.origin, -1.0)):
            if process in closure:
                closure[process] = closure[process] + sign * total(name)
    largest = functools.reduce(
        np.maximum,
        (
            np.abs(values[n]).reshape(-1, *total(n).shape).max(0)
            for n in (*file.flows, *file.stocks)
        ),
    )
    worst = functools.reduce(np.maximum, (np.abs(one) for one in closure.values()))
    return float((worst / np.maximum(EPS * largest, np.finfo(np.float64).tiny)).max())


# --- hypothesis strategies -----------------------------------------------------------------

#: The dims of what is known by nothing, by g, and by the k that belong to each g.
_LEVELS = ([], ["g"], ["k"])


@st.composite
def systems(draw):
    """Return a random acyclic system: every process splits what enters it to later nodes.

    What is known by label goes where as much is known, or less. Labels k belong to some of g.
    """
    count = draw(st.integers(1, 6))
    names = [f"p{n}" for n in range(count)]
    known = draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    dims = {name: _LEVELS[n] for name, n in zip(names, sorted(known, reverse=True), strict=True)}
    flows, parameters = {}, {}
    for n, name in enumerate(names):
        own = {"dims": dims[name]}
        sources = draw(st.lists(st.sampled_from(["outside", *names[:n]]), max_size=2, unique=True))
        # Something from outside always enters, so that every process has an inflow.
        for source in {"outside", *sources}:
            label = f"{source}_to_{name}"
            parameter = f"q_{label}"
            along = dims.get(source, dims[name])
            parameters[parameter] = _number(draw, "t/yr", 0.0, 1e6, along)
            rule = _by_label(draw, f"2 * {parameter}", parameter, along)
            flows[label] = {"from": source, "to": name, "dims": along, "value": rule}
        later = [*names[n + 1 :], "sink"]
        for target in draw(st.lists(st.sampled_from(later), max_size=2, unique=True)):
            label = f"{name}_share_{target}"
            parameters[f"s_{label}"] = _number(draw, "1", 0.0, 0.45, dims[name])
            flows[label] = {"from": name, "to": target, **own, "share": f"s_{label}"}
        flows[f"{name}_rest"] = {"from": name, "to": draw(st.sampled_from(later)), **own}
    order = draw(st.permutations(sorted(flows)))
    return {
        "format": 1,
        "name": "random",
        "unit": "t",
        "years": "2000..2002",
        "dims": {
            "g": ["a", "b"],
            "k": {
                "of": "g",
                "labels": {"a": ["u", "v"], "b": ["u"]},
                "groupings": {"kind": {"x": ["v"], "y": ["u"]}},
            },
        },
        "parameters": parameters,
        "processes": names,
        "flows": {name: flows[name] for name in order},
    }


@st.composite
def loops(draw, stocks=True):
    """Return a random system with loops, solvable because every process loses something.

    Each process sends shares of what enters it anywhere, back to itself by way of others too, and
    at least a tenth leaves to the sink. Some are driven by what enters them, some by what is
    asked of them: there the flow from outside is left open. Dims reach as far as they are known;
    each label of k may be that of another one's of g.
    """
    count = draw(st.integers(2, 4))
    names = [f"p{n}" for n in range(count)]
    step = draw(st.sampled_from([0.0, 0.5]))
    path = {str(year): 1.0 + (year - 2000) * step for year in range(2000, 2006)}
    parameters = {
        "path": {"unit": "1", "dims": ["year"], "value": path, "distribution": "constant"}
    }
    belong = draw(st.booleans())
    levels = [0, 1, 2] if belong else [0, 2]
    known = {name: draw(st.sampled_from(levels)) for name in names}
    asked = {name: draw(st.booleans()) for name in names}
    flows = {}

    def add(label, source, target, dims, **rule):
        kind = next(iter(rule), "")
        if kind:
            low, high = rule[kind]
            name = f"{kind[0]}_{label}"
            parameters[name] = _looped_number(draw, kind, low, high, dims, belong)
            key = "a" if belong else "u"
            text = _by_label(draw, f"{name} * path", f"path * {name}", dims, key)
            rule = {kind: text if kind == "value" else name}
        flows[label] = {"from": source, "to": target, "dims": dims, **rule}

    for name in names:
        wide = _LEVELS[known[name]]
        feed = {} if asked[name] else {"value": (1.0, 1e3)}
        add(f"feed_{name}", "outside", name, wide, **feed)
        if asked[name]:
            add(f"order_{name}", name, "sink", wide, value=(1.0, 1e3))
        # What is known by k may go where only the sum is known, but not the other way.
        others = [n for n in names if n != name and known[n] <= known[name]]
        chosen = draw(st.lists(st.sampled_from(others), max_size=2, unique=True)) if others else []
        for other in chosen:
            add(f"{name}_to_{other}", name, other, wide, share=(0.0, 0.35))
        add(f"{name}_lost", name, "sink", wide, share=(0.1, 0.2))
        if not asked[name]:
            target = draw(st.sampled_from([*others, "sink"]))
            add(f"rest_{name}", name, target, wide)
    held = {}
    free = [n for n in names if not asked[n] and stocks]
    for name in draw(st.lists(st.sampled_from(free), max_size=2, unique=True)) if free else []:
        held[f"stock_{name}"] = {
            "process": name,
            "dims": _LEVELS[known[name]],
            "lifetime": f"weibull(life_{name}, {draw(st.sampled_from([0.7, 2.5]))})",
            "inflow_at": draw(st.sampled_from(["start", "middle", "end", "uniform"])),
        }
        parameters[f"life_{name}"] = {
            "unit": "yr",
            "value": draw(st.floats(1.0, 6.0)),
            "distribution": "lognormal",
            "cv": 0.1,
        }
    order = draw(st.permutations(sorted(flows)))
    return {
        "format": 1,
        "name": "random",
        "unit": "t",
        "years": "2000..2005",
        "dims": {"g": ["a", "b"], "k": {"of": "g", "labels": {"a": ["u"], "b": ["u"]}}}
        if belong
        else {"k": ["u", "v"]},
        "parameters": parameters,
        "processes": draw(st.permutations(names)),
        "flows": {name: flows[name] for name in order},
        "stocks": held,
    }


def _looped_number(draw, kind, low, high, dims, belong):
    """Return a parameter whose value, or whose draws, lie in a range."""
    own = {"unit": "t/yr" if kind == "value" else "1", "dims": dims}
    if draw(st.booleans()):
        spread = {"distribution": "uniform", "low": low, "high": high}
        errors = "by g" if belong and dims == ["k"] else "independent"
        return own | spread | ({"errors": dict.fromkeys(dims, errors)})
    numbers = _between(low, high)
    labels = ("a", "b") if belong else ("u", "v")
    value = {label: draw(numbers) for label in labels} if dims else draw(numbers)
    return own | {"value": value, "distribution": "constant"}


def _by_label(draw, one, other, dims, key="a"):
    """Return a formula: the first, or that for a label and another for all others."""
    return {key: one, "else": other} if dims and draw(st.booleans()) else one


def _between(low, high):
    """Return numbers, of which none is so small that what it is multiplied by loses digits."""
    return st.floats(low, high).map(lambda x: x if abs(x) > 1e-100 else 0.0)


def _number(draw, unit, low, high, dims):
    """Return a parameter whose values are for labels, for what these belong to or for groups."""
    one, other = draw(_between(low, high)), draw(_between(low, high))
    spread = {"distribution": "normal", "cv": draw(st.sampled_from([0.0, 0.02]))}
    own = {"unit": unit, "dims": dims, **spread}
    if not dims:
        return own | {"value": one}
    ways = [{"value": one}, {"value": {"a": one, "else": other}}]
    ways += [
        {"value": {"b": one}, "missing": 0},
        {"value": {"a": {"value": one, "cv": 0.1}, "b": 0}},
    ]
    if dims == ["k"]:
        ways.append({"value": {"x": one, "y": other}})
        ways.append({"value": {"a": {"v": one, "else": 0}, "b": other}})
    errors = draw(st.sampled_from(["independent", "mixed(0.3)", "by g"][: 1 + 2 * ("k" in dims)]))
    above = {"g": "independent"} if dims == ["k"] and errors != "by g" else {}
    return own | draw(st.sampled_from(ways)) | {"errors": {dims[0]: errors, **above}}


_LEAVES = ("a", "b", "c", "d")


def _grow(inner):
    binary = st.tuples(st.sampled_from("+-*"), inner, inner)
    functions = st.tuples(st.sampled_from(["min", "max"]), inner, inner)
    quotient = st.tuples(st.just("/"), inner, inner)
    choice = st.tuples(st.just("where"), st.sampled_from(["<", "<=", ">", ">="]), *[inner] * 4)
    both = st.tuples(st.sampled_from(["and", "or", "and not"]), *[inner] * 4)
    along = st.tuples(st.sampled_from(["cumsum", "cumprod", "lag", "carry"]), inner)
    reductions = st.sampled_from(["sum", "mean", "prod", "lowest", "highest"])
    over = st.tuples(reductions, st.sampled_from(["k", "year"]), inner)
    labels = ["k=x", "k=y", "k=both", "k=[x, z]", "year=2001", "year=2001..2003"]
    picked = st.tuples(st.just("at"), st.sampled_from(labels), inner)
    labelled = st.tuples(st.just("label"), st.sampled_from(["k == y", "k in [x, z]"]), inner, inner)
    return (
        binary
        | functions
        | quotient
        | choice
        | both
        | labelled
        | along
        | over
        | picked
        | st.tuples(st.just("neg"), inner)
    )


#: Random expression trees over the names a, b, c, d and small numbers.
trees = st.recursive(st.sampled_from(_LEAVES) | st.integers(1, 9), _grow, max_leaves=8)
