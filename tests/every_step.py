"""Small scenarios in which every kind of step, of draw and of condition is uncertain."""

import itertools

import numpy as np
from measured import market, product
from one_stock import by_age, by_year, certain, model
from strategies import scenario, stock_model

_YEARS = 7
_INFLOW = 100 * 1.1 ** np.arange(_YEARS)
_LEVEL = 250 * np.array([1, 1.1, 0.9, 0.5, 0.3, 0.5, 0.6])


def uncertain(unit, value, *dims, kind="lognormal", cv=0.1, errors="independent", **key):
    """Return a parameter with errors of its own along every dim."""
    own = certain(unit, value, *dims) | {"distribution": kind, "cv": cv, **key}
    return own | ({"errors": dict.fromkeys(dims, errors)} if dims else {})


# --- how it is drawn -----------------------------------------------------------------------------


def ways_to_draw():
    """Return one indicator of all distributions and structures of errors, and one of half."""
    labels = {"k": ["u", "v", "w"]}
    own = {
        "normal": {"distribution": "normal", "value": 3, "sd": 1},
        "lognormal": {"distribution": "lognormal", "value": 3, "cv": 0.4},
        "uniform": {"distribution": "uniform", "low": 1, "high": 2},
        "triangular": {"distribution": "triangular", "low": 1, "mode": 2, "high": 6},
        "truncated": {"distribution": "truncated_normal", "value": 1, "sd": 1, "low": 0.2},
        "beta": {"distribution": "beta", "value": 0.4, "cv": 0.2},
        "discrete": {"distribution": "discrete", "values": [1, 2, 5], "weights": [1, 2, 1]},
    }
    kinds = ("shared", "independent", "ar1(0.6)", "mixed(0.3)")
    parameters = {}
    for n, (name, of) in enumerate([*own.items(), *own.items()]):
        own_errors = {"k": kinds[n % 4], "year": kinds[(n + n // 4) % 4]}
        parameters[f"{name}{n}"] = {
            "unit": "1",
            "range": "any",
            "dims": ["k", "year"],
            "errors": own_errors,
            **of,
        }
    names = [*parameters]
    rule = " + ".join(f"{a} * {b}" for a, b in itertools.pairwise(names))
    some = " + ".join(f"log({name})" for name in names if "normal" not in name)
    thirds = {"dims": ["k", "year"], "unit": "1", "value": 1, "normalise": "k"}
    own_errors = {"k": "mixed(0.2)", "year": "shared"}
    parameters["parts"] = {**thirds, "distribution": "uniform", "low": 1, "high": 3}
    del parameters["parts"]["value"]
    parameters["parts"]["errors"] = own_errors
    parameters["mix"] = {**thirds, "distribution": "dirichlet", "concentration": 9}
    parameters["mix"]["errors"] = {"year": "ar1(0.6)"}
    rules = {"all": rule, "some": some, "summed": "sum(all, over=k)", "composed": "mix * parts"}
    data = _indicators(rules, parameters)
    together = [names[0], names[5], names[9]]
    for name in together:
        parameters[name]["errors"] = {"k": "mixed(0.5)", "year": "ar1(0.5)"}
    matrix = [[1, 0.5, -0.2], [0.5, 1, 0.1], [-0.2, 0.1, 1]]
    return data | {"dims": labels, "correlations": [{"parameters": together, "matrix": matrix}]}


def _indicators(indicators, parameters, years="2000..2003"):
    flows = {
        "given": {"from": "outside", "to": "middle", "value": "one"},
        "closed": {"from": "middle", "to": "sink"},
    }
    return {
        "format": 1,
        "name": "drawn",
        "unit": "t",
        "years": years,
        "parameters": {"one": certain("t/yr", 1.0), **parameters},
        "processes": ["middle"],
        "flows": flows,
        "indicators": indicators,
    }


def operations():
    """Return what is computed along a dim and cell by cell, with events that may never come."""
    own = {
        "x": uncertain("1", by_year([3, 4, 5, 6]), "year", cv=0.4),
        "z": uncertain("1", by_year([5, 5, 5, 5]), "year", cv=0.3, errors="ar1(0.5)"),
        "w": uncertain("1", 0.5, kind="normal", cv=0.9),
        "late": uncertain("1", 2001.0, kind="normal", cv=0.0003),
    }
    rules = {
        "met": "first_year(x >= z)",
        "met_by": "min(met, 2010)",
        "left": "last_year(x < z and w > 0)",
        "most": "peak_year(x * w) + max(x, over=year) - cumprod(1 + z / 100)",
        "more": "where(x > z, x, w)",
        "held": "carry(x - z)",
        "before": "lag(x * w, 2) - max(x, z)",
        "once": "at(x, year=2002) + mean(z, over=year)",
        "clipped": "clip(x, 3, 5)",
        "lost": "log(w)",
        "slow": "interpolate(2000, w, late, 1, 2003, 2)",
        "apart": "w * w",
    }
    return _indicators(rules, own)


# --- stocks --------------------------------------------------------------------------------------


def fed():
    """Return Weibull stocks by product that their inflows feed, in a row, and recycling."""
    data = stock_model("2000..2006", spread=0.1)
    piled = {"process": "waste", "dims": ["product"], "lifetime": "weibull(mean=eta, shape=beta)"}
    data["stocks"]["piled"] = piled
    return data


def quiet():
    """Return stocks whose lifetimes are certain: one of each kind, in a row."""
    data = model("weibull(4, 2)", _INFLOW, parameters={"r": uncertain("1", 0.3, kind="beta")})
    data["parameters"]["given"] = uncertain("t/yr", by_year(_INFLOW), "year")
    before, origin = "old", "use"
    kinds = ["normal(3, 1)", "lognormal(3, 2)", "gompertz(0.05, 0.3)", "fixed(2.5)"]
    for n, lifetime in enumerate(kinds):
        process = f"place{n}"
        data["processes"].append(process)
        data["flows"][before] = {"from": origin, "to": process}
        data["flows"][f"spilt{n}"] = {"from": process, "to": "lost"}
        data["stocks"][f"held{n}"] = {
            "process": process,
            "lifetime": lifetime,
            "inflow_at": ["start", "middle", "end", "uniform"][n],
        }
        before, origin = f"left{n}", process
        data["flows"].pop(f"spilt{n}")
    data["flows"][before] = {"from": origin, "to": "end"}
    data["indicators"] = {"kept": "r * held1"}
    return data


def looks(**key):
    """Return what is shown of a stock by age and cohort."""
    return {
        f"{of}_{by}": {of: "held", "by": by, **key}
        for of in ("stock", "outflow")
        for by in ("age", "cohort", "mean_age")
    }


def started(rule):
    """Return a stock that was there before, lost and sold from, of uncertain lives by cohort.

    That of the rule ``growing`` is what a past inflow left.
    """
    starts = {
        "stationary": {"age": "stationary"},
        "growing": {"age": "growing", "growth": "g"},
        "spin_up": {"age": "spin_up", "growth": "g"},
        "given": {"age": "given", "shares": "shares"},
    }
    ages = by_age([0.3, 0.25, 0.2, 0.15, 0.1])
    own = {
        "life": uncertain("yr", by_year(np.linspace(7, 4, _YEARS)), "year", errors="mixed(0.4)"),
        "before": uncertain("t", 250.0),
        "lost_share": uncertain("1", 0.03, kind="beta"),
        "export": uncertain("1", by_age([0.05, 0.0, 0.1, 0.2, 0.02]), "age", errors="shared"),
        "g": uncertain("1/yr", 0.07, kind="normal"),
        "shares": certain("1", ages, "age"),
    }
    unread = {"g"} if rule in ("stationary", "given") else {"shares"}
    unread |= {"shares"} if rule != "given" else set()
    first = {"value": "before"}
    if rule == "growing":
        own["before"], first = uncertain("t/yr", 40.0), {"inflow": "before"}
    data = model(
        "weibull(life, 2)",
        _INFLOW,
        parameters={name: one for name, one in own.items() if name not in unread},
        dims={"age": [*ages]},
        initial={**first, **starts[rule]},
        removals={"lost": "lost_share", "sold": "export"},
    )
    data["parameters"]["given"] = uncertain("t/yr", by_year(_INFLOW), "year")
    return data | {"indicators": looks()}


def prescribed(answer):
    """Return a stock that follows an uncertain level, faster than its cohorts leave.

    Of the answer ``report`` an uncertain inflow feeds it first.
    """
    own = {
        "level": uncertain("t", by_year(_LEVEL), "year", kind="normal", cv=0.05),
        "pace": uncertain("1", by_year([1.5, 1, 0.6, 0.6, 2, 1, 1]), "year", cv=0.05),
        "life": uncertain("yr", 5.0),
        "before": uncertain("t", 250.0),
    }
    data = model(
        "weibull(life, 2)",
        np.zeros(_YEARS),
        parameters=own,
        value="level",
        negative_inflow=answer,
        lifetime_factor="pace",
        initial={"value": "before", "age": "stationary"},
        removals={"lost": "0.03"},
    )
    if answer == "report":
        data["parameters"]["given"] = uncertain("t/yr", by_year(_INFLOW), "year")
        data["flows"]["sales"] |= {"value": "given", "until": 2002}
        data["stocks"]["held"]["prescribed_from"] = 2003
    else:
        del data["parameters"]["given"]
    return data | {"indicators": looks()}


def places():
    """Return a sink that is mined and a buffer that loses, is full and runs dry."""
    own = {
        "made": uncertain("t/yr", by_year([10.0] * _YEARS), "year", kind="normal", cv=0.3),
        "asked": uncertain("t/yr", by_year([9.0] * _YEARS), "year", kind="normal", cv=0.3),
        "r": uncertain("1", 0.2, kind="beta"),
        "start": uncertain("t", 5.0),
        "room": uncertain("t", 6.0),
        "decay": uncertain("1", 0.1, kind="beta"),
    }
    data = _indicators({}, own, f"2000..{1999 + _YEARS}")
    data["processes"] = ["shed", "heap"]
    data["flows"] = {
        "enters": {"from": "makers", "to": "shed", "value": "made"},
        "leaves": {"from": "shed", "to": "heap", "value": "asked"},
        "rest": {"from": "elsewhere", "to": "shed"},
        "lost": {"from": "shed", "to": "air"},
        "sold": {"from": "shed", "to": "abroad"},
        "taken": {"from": "heap", "to": "users", "value": "r * leaves"},
    }
    limits = {"removals": {"lost": "decay"}, "capacity": "room", "overflow": "sold"}
    stored = {"process": "shed", "kind": "buffer", "remainder": "rest", "initial": "start"}
    data["stocks"] = {
        "stored": stored | limits,
        "heaped": {"process": "heap", "kind": "sink", "initial": "2 * start"},
    }
    del data["parameters"]["one"]
    return data


# --- loops ---------------------------------------------------------------------------------------


def looped(lifetime="weibull(life, 1.3)", **stock):
    """Return a loop through a stock with two products, which lag behind each other."""
    path = {
        "u": by_year(70 * 1.07 ** np.arange(_YEARS)),
        "v": by_year(90 * 0.9 ** np.arange(_YEARS)),
    }
    lives = {"u": by_year(np.linspace(2, 5, _YEARS)), "v": by_year(np.linspace(9, 4, _YEARS))}
    own = {
        "fed": uncertain("t/yr", path, "k", "year"),
        "rate": uncertain("1", {"u": 0.8, "v": 0.4}, "k", kind="beta"),
        "q": uncertain("1", 0.3, kind="uniform") | {"low": 0.1, "high": 0.5},
        "life": uncertain("yr", {"u": 3.0, "v": 6.0}, "k"),
        "lives": uncertain("yr", lives, "k", "year", errors="shared"),
        "before": uncertain("t", {"u": 100.0, "v": 300.0}, "k"),
    }
    for key in ("value", "cv"):
        del own["q"][key]
    by = {"dims": ["k"]}
    data = _indicators(
        {"lagged": "q * lag(sales) + cumsum(old) / 9 / step"}, own, f"2000..{1999 + _YEARS}"
    )
    del data["parameters"]["lives" if "lives" not in lifetime else "life"]
    if "initial" not in stock:
        del data["parameters"]["before"]
    del data["parameters"]["one"]
    data["dims"] = {"k": ["u", "v"]}
    data["processes"] = ["making", "use", "waste", "repair"]
    data["flows"] = {
        "primary": {"from": "mine", "to": "making", **by, "value": "fed"},
        "extra": {"from": "mine", "to": "making", **by, "value": "q * lag(recycled) / 2"},
        "sales": {"from": "making", "to": "use", **by},
        "old": {"from": "use", "to": "waste", **by},
        "broken": {"from": "use", "to": "repair", **by, "share": "q / 2"},
        "mended": {"from": "repair", "to": "use", **by, "share": "0.8"},
        "unmended": {"from": "repair", "to": "waste", **by},
        "recycled": {"from": "waste", "to": "making", **by, "share": "rate"},
        "dumped": {"from": "waste", "to": "dump", **by},
    }
    if "removals" in stock:
        data["flows"]["exported"] = {"from": "use", "to": "abroad", **by}
    data["stocks"] = {"held": {"process": "use", **by, "lifetime": lifetime, **stock}}
    return data


def belonging(data):
    """Return a scenario by k of which each label belongs to another of g, with more formulas."""
    for one in data["parameters"].values():
        if "k" in one.get("dims", []):
            one["errors"]["g"] = "mixed(0.5)"
            if isinstance(one["value"], dict):
                one["value"] = {g: {"u": one["value"][k]} for g, k in zip("ab", "uv", strict=True)}
    data["dims"] = {"g": ["a", "b"], "k": {"of": "g", "labels": {"a": ["u"], "b": ["u"]}}}
    data["indicators"] |= {
        "of_g": "sum(held, over=k) * q + at(held, k=u)",
        "chosen": "where(g == a and year in 2002..2004, held, lag(held) + 5 kt)",
        "shared": {"value": {"a": "old * q", "b": {"2003": 0, "else": "old - 3 t/yr * q"}}},
        "part": "ratio(old, sum(old, over=[k, g]), otherwise=q)",
    }
    return data


SCENARIOS = {
    "ways to draw": ways_to_draw,
    "operations": operations,
    "fed": fed,
    "quiet": quiet,
    **{
        f"started, {rule}": lambda rule=rule: started(rule)
        for rule in ("stationary", "growing", "spin_up", "given")
    },
    **{
        f"prescribed, {answer}": lambda answer=answer: prescribed(answer)
        for answer in ("report", "clip", "early_retirement")
    },
    "places": places,
    "loop": looped,
    "loop of lives": lambda: looped("weibull(lives, 1.3)", removals={"exported": "q / 9"}),
    "loop, started": lambda: looped(
        "lognormal(life, life / 2)", initial={"value": "before", "age": "stationary"}
    ),
    "loop, quiet": lambda: belonging(looped("weibull(4, 2)")),
}


def load(name, folder):
    """Return a scenario by name; those that are measured stand in a folder."""
    match name:
        case "projected" | "active_set":
            return market(folder, waste=1, use=63, draws=name)
        case "shared and projected":
            return market(folder, errors="shared")
        case "projected product":
            return product(folder, "lognormal")
    return scenario(SCENARIOS[name]())


NAMES = [*SCENARIOS, "projected", "active_set", "shared and projected", "projected product"]
