"""The whole of china_nd written by hand with NumPy: every flow, stock and indicator.

Run as a script it is the study: draws of all 38 outputs in float32 in memory, as contiguous rows;
then percentiles, mean and standard deviation of each cell and of each sum over products.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy_inputs import Inputs

import ndmc

CALL = 300  # draws a call: with 300 to 500 34 us a draw, with 100 50 us
CELLS = 3529  # 3,340 of outputs and 189 of their sums
ROWS = 32  # sorted together
SHARE = 0.6  # of the memory that is free
QUANTILES = (0.025, 0.5, 0.975)
SUMMED = (
    "intermediates",
    "intermediate_exports",
    "final_products",
    "sales",
    "product_exports",
    "end_of_life",
    "recycled",
    "unrecovered",
    "in_use",
)


def survival(scale: np.ndarray, shape: np.ndarray, years: int) -> np.ndarray:
    """Return what is left of a cohort in the middle of each year of its age, [product, age, draw].

    The closed form: 1.5 times as fast as `scipy.stats.weibull_min.sf`.
    """
    ages = np.log(np.arange(years) + 0.5)[:, np.newaxis]
    hazard = ages - np.log(scale)[:, np.newaxis]
    hazard *= shape[:, np.newaxis]
    np.exp(hazard, out=hazard)
    np.negative(hazard, out=hazard)
    return np.exp(hazard, out=hazard)


def cohorts(inflow: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return stock and outflow [product, year, draw], one shifted add per cohort."""
    stock = np.zeros_like(inflow)
    years = inflow.shape[1]
    for year in range(years):
        stock[:, year:] += inflow[:, year, np.newaxis] * left[:, : years - year]
    outflow = inflow - stock
    outflow[:, 1:] += stock[:, :-1]
    return stock, outflow


def carried(surplus: np.ndarray) -> np.ndarray:
    """Return what is held at the end of each year [year, draw] if later deficits draw on it."""
    held = np.maximum(surplus, 0.0)
    for year in range(1, len(held)):
        np.maximum(held[year - 1] + surplus[year], 0.0, out=held[year])
    return held


def model(p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return all outputs [..., draw] of parameters [..., draw], in the units ndmc has them in."""
    f = {**supply_and_need(p), **products(p)}
    f["other_uses"] = f["intermediates_used"] - f["final_products"].sum(axis=0)
    return {**f, **indicators(f, p)}


def supply_and_need(p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return mining, refining and fabrication: sized by need, the gap between need and supply."""
    mix, lost = p["intermediate_mix"], 1 - p["refining_loss_rate"]
    magnets = p["magnet_output"].sum(axis=0) * p["nd_in_magnets"]
    intermediates = magnets * mix / mix[0]
    made = intermediates.sum(axis=0)
    exports = intermediates * p["intermediate_export_share"]
    imported = made * p["intermediate_import_ratio"]
    official = p["concentrate_output"] * p["nd_in_reo"]
    bought, primary = p["concentrate_import_path"], p["primary_export_path"]
    sold = bought * p["concentrate_export_ratio"]
    need = (made / (1 - p["fabrication_loss_rate"]) + primary) / lost
    gap = need - official - bought + sold
    illegal = np.maximum(gap, 0.0)
    hibernating = np.maximum(-gap, 0.0) * lost
    concentrates = official + illegal + bought - sold
    refining_loss = concentrates * p["refining_loss_rate"]
    compounds = concentrates - refining_loss - primary - hibernating
    return {
        "official_mining": official,
        "illegal_mining": illegal,
        "concentrate_imports": bought,
        "concentrate_exports": sold,
        "concentrates": concentrates,
        "refining_loss": refining_loss,
        "primary_exports": primary,
        "hibernating": hibernating,
        "compounds": compounds,
        "intermediates": intermediates,
        "fabrication_loss": compounds - made,
        "intermediate_exports": exports,
        "intermediate_imports": imported,
        "intermediates_used": made + imported - exports.sum(axis=0),
        "supply_gap": gap,
    }


def products(p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return final products, their trade, use and waste."""
    demand = p["production"] * p["penetration"]
    demand *= p["content"][:, np.newaxis]
    sales = demand * p["domestic_share"][:, np.newaxis]
    stock, gone = cohorts(sales, survival(p["scale"], p["shape"], sales.shape[1]))
    recycled = gone * p["recycling_rate"]
    return {
        "final_products": demand,
        "sales": sales,
        "product_exports": demand - sales,
        "end_of_life": gone,
        "recycled": recycled,
        "unrecovered": gone - recycled,
        "in_use": stock,
    }


def indicators(f: dict[str, np.ndarray], p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return totals, sums over the years, and shares in per cent."""
    lost, gap = 1 - p["refining_loss_rate"], f["supply_gap"]
    demand, gone = f["final_products"].sum(axis=0), f["end_of_life"].sum(axis=0)
    held = carried(-gap * lost)
    before = np.zeros_like(held)
    before[1:] = held[:-1]
    mined = f["illegal_mining"] + f["official_mining"]
    imports = f["concentrate_imports"] - f["concentrate_exports"]
    return {
        "demand_total": demand,
        "stock_total": f["in_use"].sum(axis=0),
        "eol_total": gone,
        "cumulative_supply": f["concentrates"].cumsum(axis=0),
        "cumulative_demand": demand.cumsum(axis=0),
        "cumulative_eol": gone.cumsum(axis=0),
        "cumulative_hibernating": f["hibernating"].cumsum(axis=0),
        "hibernating_carried": held,
        "illegal_carried": np.maximum(gap - before / lost, 0.0),
        "illegal_share": 100 * f["illegal_mining"] / mined,
        "import_reliance": 100 * imports / f["concentrates"],
        "ndfeb_share": 100 * f["intermediates"][0] / f["intermediates"].sum(axis=0),
        "unlisted_share": 100 * f["other_uses"] / f["intermediates_used"],
        "eol_growth": gone[20] / gone[10],
        "eol_to_need": 100 * gone / f["concentrates"],
    }


# --- the study -------------------------------------------------------------------------------


def outputs(inputs: Inputs, rng: np.random.Generator, draws: int) -> list[np.ndarray]:
    """Return the rows [cell, draw] of every output, and of every sum over products or the like."""
    found = model(inputs.whole(rng, draws))
    rows = [values.reshape(-1, draws) for values in found.values()]
    return rows + [found[name].sum(axis=0) for name in SUMMED]


def rows_of(inputs: Inputs, seed: int, draws: int) -> np.ndarray:
    """Return the draws in float32, [cell, draw], computed a few at a time."""
    rng = np.random.Generator(np.random.SFC64(seed))
    kept = np.empty((CELLS, draws), np.float32)
    for first in range(0, draws, CALL):
        part = kept[:, first : first + CALL]
        at = 0
        for rows in outputs(inputs, rng, part.shape[1]):
            part[at : at + len(rows)] = rows
            at += len(rows)
    return kept


def describe(rows: np.ndarray) -> np.ndarray:
    """Return percentiles, mean and standard deviation of rows, which it sorts, [row, 5]."""
    found = np.empty((len(rows), len(QUANTILES) + 2))
    places = np.array(QUANTILES) * (rows.shape[1] - 1)
    below = places.astype(int)
    above = np.minimum(below + 1, rows.shape[1] - 1)
    for first in range(0, len(rows), ROWS):
        some, out = rows[first : first + ROWS], found[first : first + ROWS]
        some.sort(axis=1)
        low, high = some[:, below].astype(float), some[:, above].astype(float)
        out[:, :-2] = low + (high - low) * (places - below)
        out[:, -2] = some.mean(axis=1, dtype=float)
        out[:, -1] = some.std(axis=1, dtype=float, ddof=1)
    return found


def fitting(draws: int) -> int:
    """Return how many draws the study can hold of those asked for."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    return min(draws, int(SHARE * free / (4 * CELLS)))


def main() -> None:
    """Run the study and save what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--draws", type=float, default=5e5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default="plain_whole.npy")
    options = parser.parse_args()
    kept = rows_of(Inputs(ndmc.load("china_nd")), options.seed, int(options.draws))
    np.save(options.out, describe(kept))


if __name__ == "__main__":
    main()
