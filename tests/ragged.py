"""A scenario whose uses belong to metals, and the same with every use of every metal."""

import copy

USES = {"lithium": ["vehicle", "laptop"], "indium": ["tv", "laptop", "phone"]}

#: The cells that exist, in the order they are stored in.
CELLS = [(metal, use) for metal, uses in USES.items() for use in uses]

_SHARES = {
    "lithium": {"vehicle": 0.7, "laptop": 0.3},
    "indium": {"tv": 0.5, "laptop": 0.3, "phone": 0.2},
}

_LIVES = {"lithium": {"vehicle": 10, "laptop": 5}, "indium": {"tv": 6, "laptop": 4, "phone": 3}}


def _parameter(unit, dims, value, kind="lognormal", **errors):
    found = {"unit": unit, "dims": dims, "value": value, "distribution": kind, "cv": 0.1}
    return found | {"errors": errors}


def ragged(**errors):
    """Return the data of a scenario; errors of lives hang together as is said."""
    errors = errors or {"metal": "independent", "use": "mixed(0.5)"}
    both = {"dims": ["metal", "use"]}
    return {
        "format": 1,
        "name": "ragged",
        "unit": "t",
        "years": "2000..2010",
        "dims": {"metal": [*USES], "use": {"of": "metal", "labels": USES}},
        "parameters": {
            "demand": _parameter(
                "t/yr",
                ["metal", "year"],
                {"lithium": 100, "indium": 50},
                "normal",
                metal="independent",
                year="ar1(0.5)",
            ),
            "share": {"unit": "1", **both, "value": _SHARES, "distribution": "constant"},
            "life": _parameter("yr", both["dims"], _LIVES, **errors),
            "wear": _parameter("1", ["use"], 0.02, "beta", metal="mixed(0.4)", use="independent"),
            "loss": _parameter(
                "%", ["metal"], {"lithium": 5, "indium": 10}, "beta", metal="shared"
            ),
            "recovery": _parameter(
                "%", both["dims"], 40, "truncated_normal", metal="shared", use="independent"
            )
            | {"low": 0, "high": 100},
        },
        "processes": ["mining", "refining", "fabrication", "use_phase", "collection"],
        "flows": {
            "ore": {"from": "ground", "to": "mining", "dims": ["metal"]},
            "concentrate": {"from": "mining", "to": "refining", "dims": ["metal"]},
            "tailings": {"from": "mining", "to": "lost", "dims": ["metal"], "share": "loss"},
            "refined": {"from": "refining", "to": "fabrication", "dims": ["metal"]},
            "slag": {"from": "refining", "to": "lost", "dims": ["metal"], "share": "loss"},
            "sales": {"from": "fabrication", "to": "use_phase", **both, "value": "demand * share"},
            "worn": {"from": "use_phase", "to": "lost", **both},
            "end_of_life": {"from": "use_phase", "to": "collection", **both},
            "secondary": {"from": "collection", "to": "refining", **both, "share": "recovery"},
            "discarded": {"from": "collection", "to": "lost", **both},
        },
        "stocks": {
            "in_use": {
                "process": "use_phase",
                **both,
                "lifetime": "weibull(life, 2)",
                "removals": {"worn": "wear"},
                "initial": {"value": "at(demand, year=2000) * share * life", "age": "stationary"},
            },
        },
        "indicators": {
            "stock": "sum(in_use, over=use)",
            "laptops": "at(in_use, use=laptop)",
            "everything": "sum(sum(in_use, over=use), over=metal)",
            "held": "lag(stock) / step + sum(lag(secondary), over=use)",
            "part": "where(stock > 0, in_use / stock, 0)",
            "ages": {"stock": "in_use", "by": "age", "over": ["use"]},
        },
    }


def padded(data):
    """Return the data of the same scenario in which every metal has every use."""
    data = copy.deepcopy(data) | {"name": "padded"}
    uses = ["vehicle", "tv", "laptop", "phone"]  # in which those of each metal keep their order
    data["dims"]["use"] = uses
    for name, absent in (("share", 0), ("life", 1)):
        value = data["parameters"][name]["value"]
        for metal in USES:
            value[metal] = {use: value[metal].get(use, absent) for use in uses}
    data["parameters"]["wear"]["dims"] = ["metal", "use"]
    return data
