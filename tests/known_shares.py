"""Small scenarios whose shares of variance are known: in closed form, or by quadrature."""

import math
from dataclasses import dataclass, field

import numpy as np
from one_stock import by_year, certain, model
from scipy import special


@dataclass(frozen=True)
class Known:
    """A scenario, one of its outputs, and the first and total share of every group in it.

    ``options`` are those of the study, ``at`` the labels of the cell.
    """

    data: dict
    first: dict
    total: dict
    name: str = "y"
    at: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)


def asked(rule, parameters, years="2000..2000", **key):
    """Return a scenario with an indicator ``y`` of its parameters."""
    return {
        "format": 1,
        "name": "asked",
        "unit": "t",
        "years": years,
        "parameters": {"one": certain("t/yr", 1.0), **parameters},
        "processes": ["middle"],
        "flows": {
            "given": {"from": "outside", "to": "middle", "value": "one"},
            "closed": {"from": "middle", "to": "sink"},
        },
        "indicators": {"y": rule},
        **key,
    }


def drawn(kind, **key):
    """Return a plain uncertain number."""
    return {"unit": "1", "distribution": kind, "range": "any", **key}


# --- sums and products ---------------------------------------------------------------------------


def additive(variances):
    """Return the shares of a sum: first and total are a term's part of the variance."""
    whole = sum(variances.values())
    return {"first": (shares := {n: v / whole for n, v in variances.items()}), "total": shares}


def multiplicative(relative):
    """Return the shares of a product of independent factors of these relative variances.

    With w = variance / mean^2 the variance of the product over its squared mean is
    prod(1 + w) - 1; that of its mean given one factor is w, and what is left when all others are
    known is w prod of the others (1 + w).
    """
    whole = math.prod(1 + w for w in relative.values())
    return {
        "first": {n: w / (whole - 1) for n, w in relative.items()},
        "total": {n: w * whole / (1 + w) / (whole - 1) for n, w in relative.items()},
    }


def product():
    """Return a product of six lognormal factors."""
    cvs = {f"x{n}": cv for n, cv in enumerate((0.1, 0.2, 0.05, 0.3, 0.15, 0.4))}
    parameters = {n: drawn("lognormal", value=2.0, cv=cv) for n, cv in cvs.items()}
    shares = multiplicative({n: cv**2 for n, cv in cvs.items()})
    return Known(asked("*".join(cvs), parameters), **shares)


def ratio():
    """Return a normal by a uniform of 1 to 2, whose inverse has mean ln 2 and mean square 1/2."""
    own = {"x": drawn("normal", value=3.0, cv=0.2), "y0": drawn("uniform", low=1.0, high=2.0)}
    return Known(
        asked("x / y0", own), **multiplicative({"x": 0.04, "y0": 0.5 / math.log(2) ** 2 - 1})
    )


def total_of_normals():
    """Return a sum of twenty normals whose variances span five orders of magnitude."""
    sds = {f"x{n}": 0.001 * 1.35**n for n in range(20)}
    parameters = {n: drawn("normal", value=1.0, sd=sd) for n, sd in sds.items()}
    shares = additive({n: sd**2 for n, sd in sds.items()})
    return Known(asked("+".join(sds), parameters), **shares)


def g_function():
    """Return the G of Sobol' with 20 inputs: a product of |4 x - 2| + a over 1 + a.

    Each factor has mean 1 and variance 1 / (3 (1 + a)^2).
    """
    weights = {f"x{n}": a for n, a in enumerate([0.0, 0.5, 1.0, 2.0, 4.5, 9.0, *[30.0] * 14])}
    parameters = {n: drawn("uniform", low=0.0, high=1.0) for n in weights}
    rule = "*".join(f"((abs(4 * {n} - 2) + {a}) / {1 + a})" for n, a in weights.items())
    shares = multiplicative({n: 1 / (3 * (1 + a) ** 2) for n, a in weights.items()})
    return Known(asked(rule, parameters), **shares)


def ishigami_shares(a=7.0, b=0.1):
    """Return the shares of Ishigami's function, its inputs uniform between -pi and pi.

    V0 = (1 + b pi^4 / 5)^2 / 2, V1 = a^2 / 8 and V02 = 8 b^2 pi^8 / 225.
    """
    own = {"x0": (1 + b * math.pi**4 / 5) ** 2 / 2, "x1": a**2 / 8, "x2": 0.0}
    both = 8 * b**2 * math.pi**8 / 225
    whole = sum(own.values()) + both
    return {
        "first": {n: v / whole for n, v in own.items()},
        "total": {n: (v + both * (n != "x1")) / whole for n, v in own.items()},
    }


def sine(x):
    """Return the series of a sine in the grammar, which has none: off by 3e-11 at most."""
    text = "1"
    for n in range(24, 1, -2):
        text = f"(1 - ({x})**2 / {n * (n + 1)} * {text})"
    return f"(({x}) * {text})"


def ishigami():
    """Return Ishigami's function: a third input that works only together with the first."""
    parameters = {f"x{n}": drawn("uniform", low=-math.pi, high=math.pi) for n in range(3)}
    rule = f"{sine('x0')} + 7 * {sine('x1')}**2 + 0.1 * x2**4 * {sine('x0')}"
    return Known(asked(rule, parameters), **ishigami_shares())


def least():
    """Return the lesser of x, uniform to 1, and z, uniform to 2.

    E min = 5/12 and E min^2 = 1/4; given x the mean is x - x^2/4, given z it is z - z^2/2 below 1
    and 1/2 above. Variances: 11/144 in all, 17/360 and 13/720 of the means.
    """
    own = {"x": drawn("uniform", low=0.0, high=1.0), "z": drawn("uniform", low=0.0, high=2.0)}
    first = {"x": 34 / 55, "z": 13 / 55}
    return Known(asked("min(x, z)", own), first, {"x": 42 / 55, "z": 21 / 55})


# --- events --------------------------------------------------------------------------------------

_BOTH = {"x": 0.7, "z": 0.4}
_EVENT = multiplicative({n: limit / (1 - limit) for n, limit in _BOTH.items()})


def joint():
    """Return whether two uniforms both exceed their limits: a product of two yes or no."""
    own = {name: drawn("uniform", low=0.0, high=1.0) for name in _BOTH}
    return Known(asked("where(x > 0.7, where(z > 0.4, 1, 0), 0)", own), **_EVENT)


def exceeded():
    """Return the same event, asked of the lesser of both over their limits."""
    own = {name: drawn("uniform", low=0.0, high=1.0) for name in _BOTH}
    data = asked("min(x / 0.7, z / 0.4)", own)
    return Known(data, **_EVENT, name="y_above", at={"y_limit": 1.0}, options={"exceed": ["y > 1"]})


# --- errors that hang together -------------------------------------------------------------------

_YEARS = 8


def in_time():
    """Return a sum over years of errors that follow each other, share a part, or do neither.

    The variance of the sum of n such errors is the sum of all correlations: rho^|i - j| of ar1,
    n + n (n - 1) w of mixed(w), n if they are independent and n^2 if they are shared.
    """
    structures = {"ar1(0.6)": None, "mixed(0.3)": 0.3, "independent": 0.0, "shared": 1.0}
    lags = np.subtract.outer(range(_YEARS), range(_YEARS))
    own, variances = {}, {}
    for n, (errors, w) in enumerate(structures.items()):
        sd = 0.1 + 0.05 * n
        own[f"x{n}"] = drawn(
            "normal", value=1.0, sd=sd, dims=["year"], errors={"year": errors}, unit="t"
        )
        own[f"x{n}"]["value"] = by_year([1.0] * _YEARS)
        total = (0.6 ** np.abs(lags)).sum() if w is None else _YEARS + _YEARS * (_YEARS - 1) * w
        variances[f"x{n}"] = sd**2 * total
    rule = f"sum({' + '.join(own)}, over=year)"
    data = asked(rule, own, years=f"2000..{1999 + _YEARS}")
    return Known(data, **additive(variances))


def correlated():
    """Return a sum of two that are correlated, one group of variance 1 + 4 + 4 rho, and a third."""
    own = {n: drawn("normal", value=5.0, sd=sd) for n, sd in {"x": 1.0, "z": 2.0, "w": 3.0}.items()}
    matrix = [[1, -0.4], [-0.4, 1]]
    data = asked("x + z + w", own, correlations=[{"parameters": ["x", "z"], "matrix": matrix}])
    return Known(data, **additive({"x + z": 1 + 4 - 1.6, "w": 9.0}))


def by_label():
    """Return a sum over labels, each of which has errors of its own."""
    values = {"a": 4.0, "b": 8.0, "c": 2.0}
    x = drawn("normal", dims=["k"], value=values, cv=0.25, errors={"k": "independent"})
    data = asked("sum(x, over=k)", {"x": x}, dims={"k": [*values]})
    shares = additive({f"k={label}": (value / 4) ** 2 for label, value in values.items()})
    return Known(data, **shares, options={"groups": "label:k"})


# --- stocks and loops ----------------------------------------------------------------------------


def hermite(function, count=120):
    """Return nodes of a standard normal, values of a function there, and weights."""
    nodes, weights = special.roots_hermitenorm(count)
    return np.array([function(z) for z in nodes]), weights / weights.sum()


def stock():
    """Return a cohort stock of uncertain lifetime whose inflow errs anew each year.

    Of the stock H = sum of I_t s_t(eta) the variance is that of its mean given eta, and the mean
    of its variance given eta: integrals over the normal score of eta alone.
    """
    inflow, cv, spread = 100 * 1.05 ** np.arange(20), 0.15, 0.3
    sigma = math.sqrt(math.log(1 + spread**2))
    ages = np.arange(20)[::-1] + 0.5

    def survival(z):
        eta = 8.0 * math.exp(sigma * z - sigma**2 / 2)
        return np.exp(-((ages / eta) ** 2.2))

    left, weights = hermite(survival)
    given_eta, given_all = left @ inflow, left**2 @ (cv * inflow) ** 2
    mean = weights @ given_eta
    by_life = weights @ (given_eta - mean) ** 2
    by_inflow = (weights @ left) ** 2 @ (cv * inflow) ** 2
    whole = by_life + weights @ given_all
    data = model("weibull(eta, 2.2)", inflow)
    data["parameters"]["given"] |= {
        "distribution": "normal",
        "cv": cv,
        "errors": {"year": "independent"},
    }
    data["parameters"]["eta"] = {
        "unit": "yr",
        "value": 8.0,
        "cv": spread,
        "distribution": "lognormal",
    }
    return Known(
        data,
        first={"given": by_inflow / whole, "eta": by_life / whole},
        total={"given": weights @ given_all / whole, "eta": 1 - by_inflow / whole},
        name="held",
        at={"year": 2019},
    )


def recycled():
    """Return what a mill turns over: a / (1 - r q) of what is fed, returned and mended.

    With g = 1 / (1 - r q): E a g | r and | q by Gauss and Legendre, a is a lognormal factor.
    """
    nodes, weights = special.roots_legendre(60)
    weights = weights / 2
    r, q = 0.35 + 0.25 * nodes, 0.5 + 0.4 * nodes
    g = 1 / (1 - np.outer(r, q))
    by_r, by_q = g @ weights, weights @ g
    mean, square, w = weights @ by_r, weights @ g**2 @ weights, 0.3**2
    whole = (1 + w) * square - mean**2

    def alone(given):
        return (weights @ given**2 - mean**2) / whole

    def with_fed(given):
        return ((1 + w) * (weights @ given**2) - mean**2) / whole

    data = asked("milled", {})
    data["parameters"] = {
        "fed": {"unit": "t/yr", "value": 100.0, "distribution": "lognormal", "cv": 0.3},
        "r": drawn("uniform", low=0.1, high=0.6),
        "q": drawn("uniform", low=0.1, high=0.9),
    }
    data["processes"] = ["mill", "sieve"]
    data["flows"] = {
        "in": {"from": "mine", "to": "mill", "value": "fed"},
        "milled": {"from": "mill", "to": "sieve"},
        "coarse": {"from": "sieve", "to": "mill", "share": "r * q"},
        "fine": {"from": "sieve", "to": "end"},
    }
    del data["indicators"]
    return Known(
        data,
        first={"fed": w * mean**2 / whole, "r": alone(by_r), "q": alone(by_q)},
        total={"fed": w * square / whole, "r": 1 - with_fed(by_q), "q": 1 - with_fed(by_r)},
        name="milled",
        at={"year": 2000},
    )


def lifetime_alone():
    """Return what is left of one cohort: its lifetime gives one factor, what came in another."""
    sigma = math.sqrt(math.log(1 + 0.25**2))
    left, weights = hermite(
        lambda z: math.exp(-((4.5 / (6 * math.exp(sigma * z - sigma**2 / 2))) ** 1.7))
    )
    relative = weights @ left**2 / (weights @ left) ** 2 - 1
    data = model("weibull(eta, 1.7)", [1.0, *[0.0] * 4])
    data["parameters"]["given"] |= {
        "distribution": "lognormal",
        "cv": 0.2,
        "errors": {"year": "shared"},
    }
    data["parameters"]["eta"] = {
        "unit": "yr",
        "value": 6.0,
        "cv": 0.25,
        "distribution": "lognormal",
    }
    shares = multiplicative({"given": 0.04, "eta": relative})
    return Known(data, **shares, name="held", at={"year": 2004})


CASES = {
    one.__name__: one
    for one in (
        product,
        ratio,
        total_of_normals,
        g_function,
        ishigami,
        least,
        joint,
        exceeded,
        in_time,
        correlated,
        by_label,
        stock,
        recycled,
        lifetime_alone,
    )
}
