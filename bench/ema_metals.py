"""The five metals in NumPy, and policies in futures of them by EMA Workbench.

python bench/ema_metals.py FOLDER -n 200 --policies 6 --futures 2    # prints seconds as JSON

It needs ema_workbench, and nothing of ndmc: FOLDER is that of the scenario strategic_metals.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import gamma
from scipy.stats import beta, lognorm, norm, uniform

METALS = ("lithium", "cobalt", "indium", "niobium", "germanium")
YEARS = np.arange(1990, 2101)
DEMAND_2021 = np.array([0, 175000, 246.1, 69375, 69.0])
LATE = np.array([1457000, 1e6, 496.7, 0, 150])
RECOVERY = {"2021": (5, 14, 1, 3, 0), "2050": (80, 86, 1, 3, 0)}
RESERVE = np.array([22e6, 7.6e6, 356e3, 17e6, 3500])


class Metals:
    """The model of one draw; what is certain is read once."""

    def __init__(self, folder: Path) -> None:
        uses = rows(folder / "uses.csv")
        self.metal = np.array([METALS.index(row["metal"]) for row in uses])
        self.life = np.array([float(row["life_mean"]) for row in uses])
        self.dissipated = np.array([float(row["dissipated"]) for row in uses])
        self.ito = np.array([float(row["new_scrap"]) for row in uses])
        cvs = [float(row["life_cv"]) for row in uses]
        self.shape = np.array([brentq(lambda k, cv=cv: spread(k) - cv, 0.2, 60) for cv in cvs])
        self.history = np.zeros((5, len(YEARS)))
        for at, metal in enumerate(METALS):
            known = [row for row in rows(folder / "demand_history.csv") if row["metal"] == metal]
            years, values = ([float(row[key]) for row in known] for key in ("year", "value"))
            self.history[at] = np.interp(YEARS, years, values)
        shares = rows(folder / "use_shares.csv")
        points = [key for key in shares[0] if key.isdigit()]
        wide = np.array([[float(row[year]) for year in points] for row in shares])
        self.share = np.array([np.interp(YEARS, [*map(int, points)], row) for row in wide])
        self.to_metal = np.eye(5)[:, self.metal]
        self.before = YEARS <= 2021
        ages = YEARS - YEARS[0] + 0.5
        self.log_ages = np.log(ages)

    def __call__(self, **x: Any) -> dict[str, np.ndarray]:
        """Return net demand [metal, year], and the years of two events [metal]."""
        late, growth = x["demand_late"], x["growth"]
        future = np.stack(
            [
                logistic(2029.6, 800 / 1457000 * late[0], 2099.6, late[0]),
                ramp(2021, DEMAND_2021[1], 2100, late[1]),
                ramp(2021, DEMAND_2021[2], 2050, late[2]),
                DEMAND_2021[3] * (1 + growth) ** (YEARS - 2021.0),
                ramp(2021, DEMAND_2021[4], 2050, late[4]),
            ]
        )
        demand = np.where(self.before, self.history * x["history"][:, None], future)
        left = np.where(self.ito > 0, x["ito_yield"], 1 - x["fabrication_loss"][self.metal])
        kept = np.where(self.metal == METALS.index("indium"), 1, left)
        into_use = demand[self.metal] * self.share * kept[:, None]
        sales = into_use * (1 - self.dissipated)[:, None]
        gone = sales - np.diff(self.stock(sales, x["life_mean"]), axis=1, prepend=0)
        both = zip(x["recovery_2021"], x["recovery_2050"], strict=True)
        recovery = np.stack([ramp(2021, now, 2050, then) for now, then in both])
        old = self.to_metal @ (gone * recovery[self.metal])
        refined = self.to_metal @ (into_use / left[:, None])
        new = self.to_metal @ (into_use * ((1 / left - 1) * self.ito)[:, None])
        ore = refined / (1 - x["refining_loss"])[:, None] - old - new
        ore /= (1 - x["mining_loss"])[:, None]
        net = demand - old
        mined = np.cumsum(np.where(YEARS >= 2022, ore, 0), axis=1)
        exceeds = (old > np.maximum(net, 0)) & (YEARS >= 2025)
        return {
            "net_demand": net,
            "secondary_exceeds": first(exceeds),
            "reserve_gone": first(mined >= x["reserve"][:, None]),
        }

    def stock(self, inflow: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """Return what is in use of all cohorts: a sum of products over ages."""
        scale = mean / gamma(1 + 1 / self.shape)
        log = self.shape[:, None] * (self.log_ages - np.log(scale)[:, None])
        left = np.exp(-np.exp(log))
        total = np.zeros_like(inflow)
        for age in range(len(YEARS)):
            total[:, age:] += left[:, age, None] * inflow[:, : len(YEARS) - age]
        return total


def rows(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    with path.open(newline="", encoding="utf-8") as file:
        return [*csv.DictReader(file)]


def spread(shape: float) -> float:
    """Return the standard deviation over the mean of a Weibull lifetime."""
    return float(np.sqrt(gamma(1 + 2 / shape) / gamma(1 + 1 / shape) ** 2 - 1))


def ramp(start: float, a: float, stop: float, b: float) -> np.ndarray:
    """Return a straight line between two years."""
    return a + (b - a) * np.clip((YEARS - start) / (stop - start), 0, 1)


def logistic(start: float, a: float, stop: float, b: float) -> np.ndarray:
    """Return an S-curve: a tenth of the way is done at one year, nine tenths at the other."""
    late = np.log(81) * ((start + stop) / 2 - YEARS) / (stop - start)
    return a + (b - a) / (1 + np.exp(late))


def first(met: np.ndarray) -> np.ndarray:
    """Return the first year in which something is so, infinite if it never is."""
    return np.where(met.any(axis=1), YEARS[met.argmax(axis=1)], np.inf)


# --- what EMA Workbench does ----------------------------------------------------------------------

#: How many numbers each input has.
SIZES = {"history": 5, "demand_late": 5, "growth": 1, "life_mean": 31, "ito_yield": 1}
SIZES |= {"fabrication_loss": 5, "refining_loss": 5, "mining_loss": 5}
SIZES |= {"recovery_2021": 5, "recovery_2050": 5, "reserve": 5}
POLICIES = (None, 0.0, 0.5, 0.6, 0.9, 1.0)
FUTURES = (1.0, 1.3333)


def inputs(model: Metals, shares: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the inputs of a draw from shares below them; lives are independent here."""
    lognormal = {
        name: lognorm_of(0.15, shares[name]) for name in ("demand_late", "life_mean", "reserve")
    }
    found = {name: uniform.ppf(shares[name], 0.05, 0.05) for name in SIZES if "loss" in name}
    return found | {
        "history": norm.ppf(shares["history"], 1, 0.05),
        "demand_late": LATE * lognormal["demand_late"],
        "growth": uniform.ppf(shares["growth"][0], 0.025, 0.005),
        "life_mean": model.life * lognormal["life_mean"],
        "ito_yield": beta_of(np.array([0.3]), 0.1, shares["ito_yield"])[0],
        "recovery_2021": beta_of(np.array(RECOVERY["2021"]) / 100, 0.2, shares["recovery_2021"]),
        "recovery_2050": beta_of(np.array(RECOVERY["2050"]) / 100, 0.05, shares["recovery_2050"]),
        "reserve": RESERVE * lognormal["reserve"],
    }


def lognorm_of(cv: float, share: np.ndarray) -> np.ndarray:
    """Return lognormal numbers of mean 1."""
    sigma = np.sqrt(np.log1p(cv**2))
    return lognorm.ppf(share, sigma, scale=np.exp(-(sigma**2) / 2))


def beta_of(mean: np.ndarray, cv: float, share: np.ndarray) -> np.ndarray:
    """Return shares of a mean; those that are nothing, or all, are certain."""
    some = (mean > 0) & (mean < 1)
    size = (1 - mean[some]) / (mean[some] * cv**2) - 1
    found = mean.astype(float)
    found[some] = beta.ppf(share[some], mean[some] * size, (1 - mean[some]) * size)
    return found


def main() -> None:
    """Run policies in futures, compare them as a user would, and print the seconds."""
    from ema_workbench import (
        ArrayOutcome,
        Model,
        MultiprocessingEvaluator,
        Policy,
        RealParameter,
        SequentialEvaluator,
    )

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-n", type=int, default=200)
    parser.add_argument("--policies", type=int, default=6)
    parser.add_argument("--futures", type=int, default=2)
    parser.add_argument("--processes", type=int, default=0)
    asked = parser.parse_args()
    metals = Metals(asked.folder)

    def run(recovery: float = -1.0, factor: float = 1.0, **drawn: float) -> dict[str, np.ndarray]:
        shares = {
            name: np.array([drawn[f"{name}_{at}"] for at in range(size)])
            for name, size in SIZES.items()
        }
        x = inputs(metals, shares)
        x["demand_late"] = x["demand_late"] * factor
        if recovery >= 0:
            x["recovery_2050"] = np.full(5, recovery)
        return metals(**x)

    model = Model("metals", function=run)
    model.uncertainties = [
        RealParameter(f"{name}_{at}", 1e-9, 1 - 1e-9)
        for name, size in SIZES.items()
        for at in range(size)
    ]
    model.outcomes = [ArrayOutcome(n) for n in ("net_demand", "secondary_exceeds", "reserve_gone")]
    policies = [
        Policy(f"{at} {factor}", recovery=-1.0 if share is None else share, factor=factor)
        for factor in FUTURES[: asked.futures]
        for at, share in enumerate(POLICIES[: asked.policies])
    ]
    start = time.perf_counter()
    if asked.processes:
        with MultiprocessingEvaluator(model, n_processes=asked.processes) as evaluator:
            found = evaluator.perform_experiments(asked.n, policies)
    else:
        with SequentialEvaluator(model) as evaluator:
            found = evaluator.perform_experiments(asked.n, policies)
    experiments, outcomes = found
    net = outcomes["net_demand"].reshape(len(policies), asked.n, 5, len(YEARS))
    gain = net - net[:: asked.policies].repeat(asked.policies, axis=0)
    np.quantile(gain, [0.025, 0.5, 0.975], axis=1)
    seconds = time.perf_counter() - start
    print(
        json.dumps({"seconds": seconds, "experiments": len(experiments), "policies": len(policies)})
    )


if __name__ == "__main__":
    main()
