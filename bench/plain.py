"""The neodymium stock of china_nd written by hand with NumPy and SciPy: the rival of ndmc.

Run as a script it is the whole study: draws, stocks in float32, percentiles to a file.
"""

import argparse

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import weibull_min

import ndmc
from ndmc.scenario.marginals import Marginal

NAMES = ("production", "penetration", "content", "domestic_share", "scale", "shape")
CALL = 200  # draws a call; slower from 1000 on, where the survival array leaves the cache


def inputs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return mean and standard deviation of each parameter, [product] or [product, year].

    Of a truncated normal they are those of the whole one.
    """
    scenario = ndmc.load("china_nd")
    return {name: _moments(scenario, name) for name in NAMES}


def _moments(scenario: ndmc.Scenario, name: str) -> tuple[np.ndarray, np.ndarray]:
    parameter = scenario.parameters[name]
    shape = scenario.dims.shape(parameter.dims)
    moments = [_moments_of(cell) for cell in parameter.marginals]
    mean, sd = np.array(moments).T.reshape(2, *shape)
    return mean, sd


def _moments_of(cell: Marginal) -> tuple[float, float]:
    match cell.kind, cell.numbers:
        case "constant", (value,):
            return value, 0.0
        case "normal" | "truncated_normal", (mean, sd, *_):
            return mean, sd
    raise ValueError(f"the plain model knows no {cell.kind} parameter like {cell}")


# --- what a user would write -----------------------------------------------------------------


def sample(moments: dict, rng: np.random.Generator, draws: int) -> dict[str, np.ndarray]:
    """Draw every parameter, [draw, product] or [draw, product, year]."""
    products, years = moments["production"][0].shape
    errors = {name: rng.standard_normal((draws, products)) for name in moments}
    # Half of the variance of production is common to all years; penetration errs alike in all.
    own = rng.standard_normal((draws, products, years))
    errors["production"] = np.sqrt(0.5) * (errors["production"][..., None] + own)
    errors["penetration"] = errors["penetration"][..., None]
    drawn = {name: mean + sd * errors[name] for name, (mean, sd) in moments.items()}
    for name in ("penetration", "domestic_share"):
        truncate(drawn[name], *moments[name], errors[name])
    return drawn


def truncate(drawn: np.ndarray, mean: np.ndarray, sd: np.ndarray, errors: np.ndarray) -> None:
    """Turn the normals that can exceed 1 into truncated ones."""
    with np.errstate(all="ignore"):
        below = ndtr((1 - mean) / sd)
    near = below < 1
    ranks = ndtr(np.broadcast_to(errors, drawn.shape)[:, near])
    drawn[:, near] = mean[near] + sd[near] * ndtri(ranks * below[near])


def survival(scale: np.ndarray, shape: np.ndarray, years: int) -> np.ndarray:
    """Return what is left of a cohort half a year after each year of its age."""
    ages = np.arange(years) + 0.5
    return weibull_min.sf(ages, shape[..., None], scale=scale[..., None])


def cohorts(inflow: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return stock and outflow, one shifted add per cohort."""
    stock = np.zeros_like(inflow)
    years = inflow.shape[-1]
    for year in range(years):
        stock[..., year:] += inflow[..., year, None] * left[..., : years - year]
    return stock, inflow - np.diff(stock, axis=-1, prepend=0)


def model(
    production: np.ndarray,
    penetration: np.ndarray,
    content: np.ndarray,
    domestic_share: np.ndarray,
    scale: np.ndarray,
    shape: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return demand, sales, stock and end-of-life of some draws, [draw, product, year]."""
    demand = production * penetration * content[..., None]
    sales = demand * domestic_share[..., None]
    stock, outflow = cohorts(sales, survival(scale, shape, sales.shape[-1]))
    return {"final_products": demand, "sales": sales, "in_use": stock, "end_of_life": outflow}


def stocks(moments: dict, seed: int, draws: int) -> np.ndarray:
    """Return the stock in float32, [draw, product, year], computed a few draws at a time."""
    rng = np.random.default_rng(seed)
    kept = np.empty((draws, *moments["production"][0].shape), np.float32)
    for first in range(0, draws, CALL):
        part = kept[first : first + CALL]
        part[:] = model(**sample(moments, rng, len(part)))["in_use"]
    return kept


def percentiles(moments: dict, seed: int, draws: int) -> np.ndarray:
    """Return the 2.5, 50 and 97.5 % points of the stock, [quantile, product, year]."""
    kept = stocks(moments, seed, draws)
    return np.quantile(kept, [0.025, 0.5, 0.975], axis=0, overwrite_input=True)


def main() -> None:
    """Run the study and save its percentiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--draws", type=float, default=1e6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default="percentiles.npy")
    options = parser.parse_args()
    np.save(options.out, percentiles(inputs(), options.seed, int(options.draws)))


if __name__ == "__main__":
    main()
