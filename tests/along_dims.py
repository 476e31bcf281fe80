"""Every function along a dim: what a loop may do of what it holds, and what needs all years."""

from ndmc.dims import Dims

GRID = Dims(
    {"k": ("x", "y", "z"), "year": tuple(map(str, range(2000, 2006)))},
    {"k": {"few": ("x", "z"), "rest": ("y",)}},
)

#: What a loop may do of what it holds itself, w [k, year], and drawn numbers.
WITHIN_LOOPS = {
    "sum": "sum(w, over=k)",
    "mean": "mean(w, over=k)",
    "max": "max(w, over=k) + max(v, over=year)",
    "min": "min(w, over=k)",
    "prod": "prod(w, over=k)",
    "at": "at(w, k=[z, x])",
    "cumprod": "cumprod(w)",
    "cumsum": "cumsum(w) / step",
    "carry": "carry(w) / step",
    "lag": "lag(w, 2)",
    "and": "where(0 < w < 1 and not v < 0 or k == y, w, v)",
    "labels": "(k in few) * w + (year not in 2002..2003) * v",
    "where": "where(k in [y, z], w * max(v, over=k), where(k == x, v, max(w, over=k)))",
    "ratio": "ratio(v, max(w, 0), otherwise=w)",
    "amount": "where(w > 50 %, w, 2 yr / step)",
}

ALONG_YEARS = {
    "first_year": "first_year(w > 1)",
    "first_year from": "first_year(w > 0, from=2002)",
    "last_year": "last_year(w > 0)",
    "peak_year": "peak_year(w)",
    "peak_year of ties": "peak_year(max(min(w, 1), 0))",
    "argmax": "argmax(-v, over=year)",
    "max of years": "max(w, over=[year, k])",
    "at of years": "at(w, k=few, year=2001..2004) / step",
    "sums": "sum(w, over=[year, k]) / step",
    "event": "where(last_year(v > 0) < 2004, peak_year(w), 0)",
}


def model_along(of, flows=()):
    """Return a scenario with indicators of drawn numbers w and v, some of them flows too."""
    drawn = {"unit": "1", "dims": ["k", "year"], "distribution": "normal", "value": 0.5, "sd": 1.0}
    drawn["errors"] = {"k": "independent", "year": "independent"}
    return {
        "format": 1,
        "name": "along",
        "unit": "t",
        "years": "2000..2005",
        "dims": {"k": {"labels": ["x", "y", "z"], "groups": {"few": ["x", "z"], "rest": ["y"]}}},
        "parameters": {"w": drawn, "v": drawn},
        "processes": [f"p_{n}" for n in range(len(flows))],
        "flows": {
            name: made
            for n, text in enumerate(flows)
            for name, made in {
                f"made_{n}": {"from": "out", "to": f"p_{n}", "dims": ["k"], "value": text},
                f"gone_{n}": {"from": f"p_{n}", "to": "dump", "dims": ["k"]},
            }.items()
        },
        "indicators": {f"i_{n}": text for n, text in enumerate(of)},
    }
