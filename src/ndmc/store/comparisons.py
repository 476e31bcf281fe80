"""How members of an ensemble compare: shares of draws, from counts above limits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ndmc.dims import Dims
from ndmc.scenario import reserved
from ndmc.store.variables import BY_YEAR, LESS, MORE, NEVER, TIE, Variable
from ndmc.typing import Floats, Integers

__all__ = ["EVENT", "comparisons", "described"]

#: Kinds of outputs of which comparisons are counted.
DIFFERENCE, EVENT = "difference", "event"

#: What is said of each.
COMPARISONS = {DIFFERENCE: (LESS, MORE, TIE), EVENT: (NEVER, BY_YEAR)}

#: The largest number below 0, and the largest of all: what is above is not negative, and is never.
_BELOW_0, _MOST = -5e-324, float(np.finfo(np.float64).max)


def compared_at(kind: str, dims: Dims) -> tuple[float, ...]:
    """Return the limits above which draws of a kind of output are counted, to be compared."""
    if kind == DIFFERENCE:
        return _BELOW_0, 0.0
    return (*map(float, dims.years), _MOST) if kind == EVENT else ()


def described(variable: Variable, title: str) -> str:
    """Return what a variable describes: of differences it is what these are of.

    Examples
    --------
    >>> LESS.name(described(LESS, "in_use_difference"))
    'in_use_less'
    """
    return title.removesuffix(reserved.DIFFERENCE) if variable in (LESS, MORE, TIE) else title


def comparisons(kind: str, above: Integers, draws: int) -> Iterator[tuple[Variable, Floats]]:
    """Yield what counts [limit, row] above these limits say, as shares of draws."""
    shares = above / draws
    if kind == DIFFERENCE:
        yield LESS, (draws - above[0]) / draws
        yield MORE, shares[1]
        yield TIE, (above[0] - above[1]) / draws
    else:
        yield NEVER, shares[-1]
        yield BY_YEAR, (draws - above[:-1]) / draws
