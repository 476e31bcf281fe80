"""How far the shares of variance that a study finds are from the truth, and how often limits hold.

Root mean square errors of first and total shares over all inputs of models whose shares are known,
and the part of the 95 % limits that hold them, of many studies with seeds of their own. Beside
them: the same pairs of draws by NumPy, without a linear control, and what SALib finds of as many
evaluations. Run: python bench/share_errors.py; --replicates 300 -n 2048 for limits.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import roots_hermitenorm

import ndmc

YEARS = 20
SOBOL = (0.0, 0.5, 3.0, 9.0, *[99.0] * 16)
FACTORS = (0.4, 0.2, 0.1, 0.05, 0.05, 0.05)
TERMS = 1.1 ** np.arange(60)
INFLOW = 100 * 1.05 ** np.arange(YEARS)
AGES = np.arange(YEARS)[::-1] + 0.5
ROUNDING = 1e-12
SD = {"made": 0.1, "content": 0.1, "scale": 0.2, "shape": 0.1}


class Shares(NamedTuple):
    """First and total shares of every group."""

    first: np.ndarray
    total: np.ndarray


@dataclass(frozen=True)
class Model:
    """A scenario, and the same as a function of scores [score, draw].

    ``groups`` says in which group each score is; ``plain`` is the error of both shares that a
    prototype had.
    """

    name: str
    data: Mapping[str, Any]
    evaluate: Callable[[np.ndarray], np.ndarray]
    groups: Sequence[int]
    shares: Shares
    uniform: bool = False
    output: str = "y"
    plain: tuple[float, float] | None = None


# --- models --------------------------------------------------------------------------------------


def indicator(rule: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scenario with one indicator of its parameters."""
    known = {"one": {"unit": "t/yr", "value": 1, "distribution": "constant"}}
    return {
        "format": 1,
        "name": "known",
        "unit": "t",
        "years": "2000..2000",
        "parameters": {**known, **parameters},
        "processes": ["middle"],
        "flows": {
            "given": {"from": "outside", "to": "middle", "value": "one"},
            "closed": {"from": "middle", "to": "sink"},
        },
        "indicators": {"y": rule},
    }


def plain_number(kind: str, **key: Any) -> dict[str, Any]:
    """Return an uncertain number without a unit."""
    return {"unit": "1", "distribution": kind, "range": "any", **key}


def of_factors(relative: np.ndarray) -> Shares:
    """Return the shares of a product of factors of some relative variances."""
    whole = np.prod(1 + relative)
    return Shares(relative / (whole - 1), relative * whole / (1 + relative) / (whole - 1))


def product() -> Model:
    """Six lognormal factors."""
    cv = np.array(FACTORS)
    sigma = np.sqrt(np.log1p(cv**2))[:, np.newaxis]
    names = {f"x{n}": plain_number("lognormal", value=1, cv=float(one)) for n, one in enumerate(cv)}
    return Model(
        "product of 6",
        indicator("*".join(names), names),
        lambda z: np.exp((sigma * z - sigma**2 / 2).sum(axis=0)),
        range(len(cv)),
        of_factors(cv**2),
    )


def g_function() -> Model:
    """Return the G of Sobol' with 20 inputs."""
    a = np.array(SOBOL)
    names = {f"x{n}": plain_number("uniform", low=0, high=1) for n in range(len(a))}
    factors = (f"((abs(4 * x{n} - 2) + {one}) / {1 + one})" for n, one in enumerate(SOBOL))
    return Model(
        "G, 20 inputs",
        indicator("*".join(factors), names),
        lambda u: np.prod((np.abs(4 * u.T - 2) + a) / (1 + a), axis=1),
        range(len(a)),
        of_factors(1 / (3 * (1 + a) ** 2)),
        uniform=True,
        plain=(0.0029, 0.0031),
    )


def sine(x: str) -> str:
    """Return the series of a sine, which the grammar lacks: off by 3e-11 at most."""
    text = "1"
    for n in range(24, 1, -2):
        text = f"(1 - ({x})**2 / {n * (n + 1)} * {text})"
    return f"(({x}) * {text})"


def ishigami() -> Model:
    """Return the function of Ishigami and Homma with 7 and 0.1."""
    own = np.array([(1 + 0.1 * math.pi**4 / 5) ** 2 / 2, 49 / 8, 0.0])
    both = 8 * 0.01 * math.pi**8 / 225
    whole = own.sum() + both
    names = {f"x{n}": plain_number("uniform", low=-math.pi, high=math.pi) for n in range(3)}

    def evaluate(u: np.ndarray) -> np.ndarray:
        x, y, z = math.pi * (2 * u - 1)
        return np.sin(x) + 7 * np.sin(y) ** 2 + 0.1 * z**4 * np.sin(x)

    return Model(
        "Ishigami",
        indicator(f"{sine('x0')} + 7 * {sine('x1')}**2 + 0.1 * x2**4 * {sine('x0')}", names),
        evaluate,
        range(3),
        Shares(own / whole, (own + both * np.array([1, 0, 1])) / whole),
        uniform=True,
        plain=(0.0085, 0.0095),
    )


def linear() -> Model:
    """Sixty normal terms."""
    names = {f"x{n}": plain_number("normal", value=1, sd=float(one)) for n, one in enumerate(TERMS)}
    shares = TERMS**2 / np.square(TERMS).sum()
    return Model(
        "linear, 60 inputs",
        indicator("+".join(names), names),
        lambda z: TERMS @ z,
        range(len(TERMS)),
        Shares(shares, shares),
        plain=(0.0010, 0.0010),
    )


def stock() -> Model:
    """Return a stock of 24 scores in four groups: what is made, its content, scale and shape."""
    made = {"dims": ["year"], "errors": {"year": "mixed(0.5)"}}
    values = {2000 + n: float(one) for n, one in enumerate(INFLOW)}
    normal = partial(plain_number, "normal")
    data = indicator("1", {})
    data["years"] = f"2000..{1999 + YEARS}"
    data["parameters"] = {
        "made": {**normal(value=values, cv=SD["made"]), "unit": "t/yr", **made},
        "content": normal(value=1, cv=SD["content"]),
        "scale": {**normal(value=8, cv=SD["scale"]), "unit": "yr", "distribution": "lognormal"},
        "shape": {**normal(value=2, cv=SD["shape"]), "distribution": "lognormal"},
    }
    data["processes"] = ["use"]
    data["flows"] = {
        "sold": {"from": "factory", "to": "use", "value": "made * content"},
        "left": {"from": "use", "to": "waste"},
    }
    data["stocks"] = {"held": {"process": "use", "lifetime": "weibull(scale, shape)"}}
    data["indicators"] = {"y": f"at(held, year={1999 + YEARS})"}

    def evaluate(z: np.ndarray) -> np.ndarray:
        common, own, (content, scale, shape) = z[0], z[1 : 1 + YEARS], z[1 + YEARS :]
        errors = math.sqrt(0.5) * (common + own)
        sold = INFLOW[:, np.newaxis] * (1 + SD["made"] * errors) * (1 + SD["content"] * content)
        return np.sum(sold * held_of(scale, shape), axis=0)

    groups = [0] * (1 + YEARS) + [1, 2, 3]
    return Model("stock, 4 groups", data, evaluate, groups, stock_shares(), plain=(0.0054, 0.0054))


def held_of(scale: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Return what is left of every year's inflow [year, ...] of scores of scale and shape."""

    def lognormal(mean: float, cv: float, z: np.ndarray) -> np.ndarray:
        sigma = math.sqrt(math.log1p(cv**2))
        return mean * np.exp(sigma * z - sigma**2 / 2)

    ages = AGES.reshape(-1, *[1] * np.ndim(scale))
    return np.exp(-((ages / lognormal(8, SD["scale"], scale)) ** lognormal(2, SD["shape"], shape)))


def stock_shares() -> Shares:
    """Return the shares of the stock, by quadrature over the scores of scale and shape.

    Given these it is a normal sum times a normal content.
    """
    nodes, weights = roots_hermitenorm(60)
    weights = weights / weights.sum()
    left = held_of(*np.meshgrid(nodes, nodes, indexing="ij"))  # [year, scale, shape]
    covariance = 0.5 * (np.eye(YEARS) + 1) * np.outer(INFLOW, INFLOW) * SD["made"] ** 2

    def moments(left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.tensordot(INFLOW, left, 1), np.sum(
            left * np.tensordot(covariance, left, 1), axis=0
        )

    mean, variance = moments(left)
    by_scale, by_shape = (moments(np.tensordot(left, weights, (axis, 0))) for axis in (2, 1))
    m = weights @ mean @ weights
    squares = weights @ (mean**2 + variance) @ weights
    content = 1 + SD["content"] ** 2  # its mean square
    whole = content * squares - m**2
    all_left = np.tensordot(np.tensordot(left, weights, (2, 0)), weights, (1, 0))
    of_mean = [moments(all_left)[1], SD["content"] ** 2 * m**2]
    of_mean += [weights @ some[0] ** 2 - m**2 for some in (by_scale, by_shape)]
    rest = [content * (weights @ (some[0] ** 2 + some[1])) - m**2 for some in (by_shape, by_scale)]
    total = [content * (weights @ variance @ weights), SD["content"] ** 2 * squares]
    total += [whole - one for one in rest]
    return Shares(np.array(of_mean) / whole, np.array(total) / whole)


MODELS = (ishigami, g_function, product, stock, linear)


# --- estimates -----------------------------------------------------------------------------------


class Found(NamedTuple):
    """Shares [replicate, group], and whether limits hold the truth, where there are some."""

    first: np.ndarray
    total: np.ndarray
    held: np.ndarray | None = None


@contextmanager
def written(data: Mapping[str, Any]) -> Iterator[Path]:
    """Write a scenario to a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "scenario.yaml").write_text(json.dumps(data), encoding="utf-8")
        yield Path(folder)


def studies(model: Model, draws: int, replicates: int) -> Found:
    """Let ndmc find the shares, with seeds 1, 2, 3 ..."""
    first, total, held = [], [], []
    with written(model.data) as folder:
        scenario = ndmc.load(folder)
        for seed in range(1, replicates + 1):
            found = ndmc.sensitivity(
                scenario, draws, seed=seed, outputs=["y"], out=folder / "study.zarr", overwrite=True
            )
            some = found.isel(year=-1) if "year" in found.dims else found
            first.append(some.y_first_order.values)
            total.append(some.y_total_order.values)
            held.append(
                [
                    (some[f"y_{of}_order_low"].values <= truth + ROUNDING)
                    & (truth - ROUNDING <= some[f"y_{of}_order_high"].values)
                    for of, truth in zip(("first", "total"), model.shares, strict=True)
                ]
            )
    return Found(np.array(first), np.array(total), np.array(held))


def exchanged(model: Model, draws: int, replicates: int) -> Found:
    """Take the same squares of as many pairs by NumPy, without a control."""
    of, found = np.array(model.groups), []
    for seed in range(replicates):
        rng = np.random.default_rng(seed)
        draw = rng.random if model.uniform else rng.standard_normal
        x, y = draw((2, len(of), draws // 2))
        a, b = model.evaluate(x), model.evaluate(y)
        shares = [squared(model, x, y, a, b, of == group) for group in range(of.max() + 1)]
        found.append(shares)
    first, total = np.moveaxis(np.array(found), -1, 0)
    return Found(first, total)


def squared(
    model: Model, x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray, some: np.ndarray
) -> tuple[float, float]:
    """Return first and total share of a group."""
    moved = some[:, np.newaxis]
    c, d = model.evaluate(np.where(moved, y, x)), model.evaluate(np.where(moved, x, y))
    whole = np.sum((a - b) ** 2 + (c - d) ** 2)
    first = 2 * np.sum((a - c) * (d - b)) / whole
    return first, first + np.sum((a + b - c - d) ** 2) / whole


def salib(model: Model, draws: int, replicates: int) -> Found:
    """Let SALib find them, with the power of two of points that takes as many evaluations."""
    from SALib.analyze import sobol as analyze
    from SALib.sample import sobol as sample

    count, groups = len(model.groups), max(model.groups) + 1
    points = 2 ** round(math.log2(draws * (1 + groups) / (groups + 2)))
    problem = {
        "num_vars": count,
        "names": [f"x{n}" for n in range(count)],
        "bounds": [[0.0, 1.0]] * count,
        "dists": ["unif" if model.uniform else "norm"] * count,
        "groups": [f"{n}" for n in model.groups],
    }
    first, total, held = [], [], []
    for seed in range(1, replicates + 1):
        design = sample.sample(problem, points, calc_second_order=False, seed=seed)
        values = model.evaluate(design.T)
        one = analyze.analyze(problem, values, calc_second_order=False, seed=seed)
        first.append(one["S1"])
        total.append(one["ST"])
        held.append(
            [
                np.abs(one[of] - truth) <= one[f"{of}_conf"]
                for of, truth in zip(("S1", "ST"), model.shares, strict=True)
            ]
        )
    return Found(np.array(first), np.array(total), np.array(held))


def error(found: Found, model: Model) -> str:
    """Return the errors of first and total shares, over all groups and replicates."""
    errors = (
        math.sqrt(np.mean((some - truth) ** 2))
        for some, truth in zip(found[:2], model.shares, strict=True)
    )
    return "/".join(f"{one:.4f}" if one >= 5e-5 else f"{one:.0e}" for one in errors)


def coverage(found: Found) -> str:
    """Return how often limits of first and total shares hold the truth, and of the worst group."""
    by_group = found.held.mean(axis=0)
    return "/".join(f"{some.mean():.3f} ({some.min():.3f})" for some in by_group)


def main() -> None:
    """Print a row for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--draws", type=int, default=2**13)
    parser.add_argument("--replicates", type=int, default=100)
    options = parser.parse_args()
    size = (options.draws, options.replicates)
    print(f"{options.replicates} studies of {options.draws:,} draws; errors of first/total")
    print("| model | ndmc | NumPy, no control | prototype | SALib | limits hold | of SALib |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for model in (make() for make in MODELS):
        ours = studies(model, *size)
        cells = [model.name, error(ours, model), error(exchanged(model, *size), model)]
        cells.append("/".join(f"{one:.4f}" for one in model.plain or ()))
        theirs = salib(model, *size) if find_spec("SALib") else None
        cells += [error(theirs, model) if theirs else "", coverage(ours)]
        cells.append(coverage(theirs) if theirs else "")
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
