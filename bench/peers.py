"""The cohort model with Weibull lifetimes as others compute it: each returns stock and outflow.

Arrays are [draw, product, year], or [product, year, draw] of those that have ``draws_last``; scale
and shape lack the year. Survival is that at the middle of each year of age.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import plain

Results = tuple[np.ndarray, np.ndarray]
Model = Callable[[np.ndarray, np.ndarray, np.ndarray], Results]


@dataclass(frozen=True)
class Peer:
    """A model, its draws a call and those of a measurement, and the package it is made of.

    One that is not ``middle`` lets the inflow enter at the end of its year, as it cannot otherwise.
    """

    name: str
    model: Model
    call: int = 200
    total: int = 10_000
    draws_last: bool = False
    middle: bool = True
    needs: str = "numba"

    @property
    def present(self) -> bool:
        """Whether what it is made of is installed."""
        return importlib.util.find_spec(self.needs) is not None


def scipy_shifted(scale: np.ndarray, shape: np.ndarray, inflow: np.ndarray) -> Results:
    """Return what `scipy.stats.weibull_min.sf` and a shifted add for each cohort give."""
    return plain.cohorts(inflow, plain.survival(scale, shape, inflow.shape[-1]))


# --- Numba -----------------------------------------------------------------------------------


@numba.njit
def naive_numba(scale: np.ndarray, shape: np.ndarray, inflow: np.ndarray) -> Results:
    """Return what loops as one would write them give."""
    draws, products, years = inflow.shape
    stock, outflow, left = np.zeros_like(inflow), np.empty_like(inflow), np.empty(years)
    for draw in range(draws):
        for product in range(products):
            for age in range(years):
                left[age] = math.exp(
                    -(((age + 0.5) / scale[draw, product]) ** shape[draw, product])
                )
            before = 0.0
            for year in range(years):
                for cohort in range(year + 1):
                    stock[draw, product, year] += (
                        inflow[draw, product, cohort] * left[year - cohort]
                    )
                change = stock[draw, product, year] - before
                outflow[draw, product, year] = inflow[draw, product, year] - change
                before = stock[draw, product, year]
    return stock, outflow


def numpy_exp(scale: np.ndarray, shape: np.ndarray, inflow: np.ndarray) -> Results:
    """Return what NumPy's exponentials and Numba's convolution, draws innermost, give."""
    log_ages = np.log(np.arange(inflow.shape[1]) + 0.5)
    ages = log_ages[:, np.newaxis] - np.log(scale)[:, np.newaxis]
    ages *= shape[:, np.newaxis]
    left = np.exp(ages, out=ages)
    np.negative(left, out=left)
    np.exp(left, out=left)
    stock, outflow = np.empty_like(inflow), np.empty_like(inflow)
    _convolve(inflow, left, stock, outflow)
    return stock, outflow


@numba.njit(error_model="numpy")
def _convolve(inflow: np.ndarray, left: np.ndarray, stock: np.ndarray, outflow: np.ndarray) -> None:
    for product in range(inflow.shape[0]):
        for year in range(inflow.shape[1]):
            total = stock[product, year]
            total[:] = 0.0
            for cohort in range(year + 1):
                entered, share = inflow[product, cohort], left[product, year - cohort]
                for draw in range(total.shape[0]):
                    total[draw] += entered[draw] * share[draw]
            gone = outflow[product, year]
            for draw in range(total.shape[0]):
                gone[draw] = inflow[product, year, draw] - total[draw]
                if year > 0:
                    gone[draw] += stock[product, year - 1, draw]


# --- JAX -------------------------------------------------------------------------------------


def jax_model(scale: np.ndarray, shape: np.ndarray, inflow: np.ndarray) -> Results:
    """Return what JAX compiles of shifted adds, in float64."""
    stock, outflow = _jax_compiled()(scale, shape, inflow)
    return np.asarray(stock), np.asarray(outflow)


@functools.cache
def _jax_compiled() -> Callable[..., Any]:
    jax = importlib.import_module("jax")
    jnp = jax.numpy
    jax.config.update("jax_enable_x64", True)

    def one(scale: Any, shape: Any, inflow: Any) -> Any:
        years = inflow.shape[-1]
        ages = jnp.arange(years) + 0.5
        left = jnp.exp(-((ages / scale[:, None]) ** shape[:, None]))
        stock = jnp.zeros_like(inflow)
        for year in range(years):
            added = inflow[:, year, None] * left[:, : years - year]
            stock = stock.at[:, year:].add(added)
        return stock, inflow - jnp.diff(stock, axis=-1, prepend=0)

    return jax.jit(jax.vmap(one))


# --- flodym and ODYM -------------------------------------------------------------------------


def flodym_loop(scale: np.ndarray, shape: np.ndarray, inflow: np.ndarray) -> Results:
    """Return what flodym's stocks give, a draw at a time."""
    flodym = importlib.import_module("flodym_stocks")
    return flodym.draw_by_draw(scale, shape, inflow)


def flodym_draws(scale: np.ndarray, shape: np.ndarray, inflow: np.ndarray) -> Results:
    """Return what flodym's stocks give with an axis of draws."""
    flodym = importlib.import_module("flodym_stocks")
    return flodym.with_draws(scale, shape, inflow)


def odym_loop(scale: np.ndarray, shape: np.ndarray, inflow: np.ndarray) -> Results:
    """Return what ODYM's stocks give, a product and a draw at a time."""
    odym = importlib.import_module("dynamic_stock_model")
    stock, outflow = np.empty_like(inflow), np.empty_like(inflow)
    for at in np.ndindex(scale.shape):
        lifetime = {"Type": "Weibull", "Scale": [scale[at]], "Shape": [shape[at]]}
        model = odym.DynamicStockModel(t=np.arange(inflow.shape[-1]), i=inflow[at], lt=lifetime)
        model.compute_s_c_inflow_driven()
        model.compute_o_c_from_s_c()
        stock[at], outflow[at] = model.compute_stock_total(), model.compute_outflow_total()
    return stock, outflow


PEERS = (
    Peer("NumPy exp, Numba convolution", numpy_exp, draws_last=True),
    Peer("naive Numba", naive_numba),
    Peer("JAX, jit and vmap", jax_model, needs="jax"),
    Peer("flodym, 200 draws at once", flodym_draws, total=1_000, needs="flodym"),
    Peer("flodym, draw by draw", flodym_loop, call=50, total=50, needs="flodym"),
    Peer(
        "ODYM, draw by draw", odym_loop, call=10, total=10, middle=False,
        needs="dynamic_stock_model",
    ),
)  # fmt: skip
