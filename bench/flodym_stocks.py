"""The stocks of china_nd by flodym: a draw at a time as its stock objects work, or with an axis."""

import numpy as np
from flodym import Dimension, DimensionSet, InflowDrivenDSM, WeibullLifetime

Results = tuple[np.ndarray, np.ndarray]


def stock_model(**sizes: int) -> InflowDrivenDSM:
    """Return one stock object for all draws: 1.2 times as fast as a new one for each."""
    dims = DimensionSet(
        dim_list=[
            Dimension(name=name, letter=name[0], items=list(range(size)), dtype=int)
            for name, size in sizes.items()
        ]
    )
    lifetimes = WeibullLifetime(dims=dims, inflow_at="middle")
    return InflowDrivenDSM(dims=dims, lifetime_model=lifetimes)


def draw_by_draw(scale: np.ndarray, shape: np.ndarray, inflow: np.ndarray) -> Results:
    """Return stock and outflow, [draw, product, year]."""
    draws, products, years = inflow.shape
    model = stock_model(time=years, product=products)
    stock, outflow = np.empty_like(inflow), np.empty_like(inflow)
    for draw in range(draws):
        model.lifetime_model.weibull_scale = scale[draw]
        model.lifetime_model.weibull_shape = shape[draw]
        model.inflow.values[...] = inflow[draw].T
        model.compute()
        stock[draw], outflow[draw] = model.stock.values.T, model.outflow.values.T
    return stock, outflow


def with_draws(scale: np.ndarray, shape: np.ndarray, inflow: np.ndarray) -> Results:
    """Return stock and outflow, [draw, product, year], of all draws at once."""
    draws, products, years = inflow.shape
    model = stock_model(time=years, draw=draws, product=products)
    model.lifetime_model.weibull_scale = scale
    model.lifetime_model.weibull_shape = shape
    model.inflow.values[...] = np.moveaxis(inflow, -1, 0)
    model.compute()
    stock, outflow = model.stock.values, model.outflow.values
    return np.moveaxis(stock, 0, -1), np.moveaxis(outflow, 0, -1)
