"""The kinds of arrays that rooms hand each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Floats", "Integers", "Matrix"]

Floats = npt.NDArray[np.float64]

Integers = npt.NDArray[np.integer[Any]]

Array = npt.NDArray[Any]

#: A scipy.sparse array.
Matrix = Any
