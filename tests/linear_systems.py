"""Linear equations with measurements, drawn at random or by hand, and what is made of them."""

import numpy as np
import reference
import scipy.sparse as sp
from hypothesis import assume, settings
from hypothesis import strategies as st

from ndmc.reconciliation.least_squares import Linear, adjust
from ndmc.reconciliation.nodal_tests import redundant_equations

unhurried = settings(deadline=None, max_examples=60)


def linear(by_x, by_y, constant):
    """Return by_x x + by_y y + constant = 0 as `adjust` wants it."""
    by_x, by_y = sp.csr_array(by_x, dtype=float), sp.csr_array(by_y, dtype=float)
    constant = np.array(constant, dtype=float)

    def near(x, y):
        terms = [abs(by_x) @ np.abs(x), abs(by_y) @ np.abs(y), np.abs(constant)]
        return Linear(by_x @ x + by_y @ y + constant, by_x, by_y, np.max(terms, axis=0))

    return near


class System:
    """Linear equations by_x x + by_y y + constant = 0, with measurements of x."""

    def __init__(self, by_x, mean, factor, by_y=None, constant=None):
        self.by_x, self.mean = np.array(by_x, dtype=float), np.array(mean, dtype=float)
        count = len(self.by_x)
        self.by_y = np.zeros((count, 0)) if by_y is None else np.array(by_y, dtype=float)
        self.constant = np.zeros(count) if constant is None else np.array(constant, dtype=float)
        factor = np.array(factor, dtype=float)
        self.factor = np.diag(factor) if factor.ndim == 1 else factor

    def __repr__(self):
        return f"System({vars(self)})"

    def times(self, unit):
        """Return the same system with all measurements in another unit."""
        parts = (self.by_x, self.mean * unit, self.factor * unit, self.by_y, self.constant * unit)
        return System(*parts)

    def adjusted(self):
        """Return what `adjust` makes of it."""
        near = linear(self.by_x, self.by_y, self.constant)
        start = np.zeros(self.by_y.shape[1])
        return adjust(self.mean, sp.csr_array(self.factor), start, near)

    def tested(self):
        """Return the equations that test its measurements."""
        return redundant_equations(self.adjusted(), self.mean, sp.csr_array(self.factor))

    def exact(self):
        """Return what the twin makes of it."""
        return reference.reconcile(self.mean, self.factor, self.by_x, self.by_y, self.constant)


def floats(exact):
    """Return fractions as floats."""
    return np.array(exact, dtype=float)


def whitened(tested, linear, factor):
    """Return what equations leave open in errors of their own: independent, of variance 1."""
    errors = (tested.combined @ linear.by_x).toarray() @ factor
    return np.linalg.solve(np.linalg.cholesky(errors @ errors.T), tested.open)


small = st.sampled_from([0, 0, 0, 1, -1, 1, -1, 2])


@st.composite
def systems(draw, *, exact=True, correlated=True, most=5):
    """Return a system of small integers; some values exact, some errors in common."""
    count = draw(st.integers(1, most))
    rows, free = draw(st.integers(1, 4)), draw(st.integers(0, 3))

    def matrix(height, width):
        one = st.lists(small, min_size=width, max_size=width)
        return np.array(draw(st.lists(one, min_size=height, max_size=height)), dtype=float)

    own = draw(st.lists(st.sampled_from([0, 1, 2, 5][not exact :]), min_size=count, max_size=count))
    factor = np.diag(np.array(own, dtype=float))
    if correlated and draw(st.booleans()):
        factor = np.hstack([factor, matrix(count, 2)])
    mean = draw(st.lists(st.integers(-20, 100), min_size=count, max_size=count))
    constant = draw(st.lists(st.sampled_from([0, 0, 0, 5, -7]), min_size=rows, max_size=rows))
    by_y = matrix(rows, free).reshape(rows, free)
    return System(matrix(rows, count), mean, factor, by_y, constant)


@st.composite
def solvable(draw, **kind):
    """Return a system in which exact values do not contradict, and its exact solution."""
    system = draw(systems(**kind))
    try:
        return system, system.exact()
    except ValueError:
        assume(False)


def largest(system, exact):
    """Return the largest number of a problem and its answer, the unit of errors."""
    known = [float(y) for y, sure in zip(exact["y"], exact["observable"], strict=True) if sure]
    return np.abs([*system.mean, *floats(exact["x"]), *known, 1.0]).max()
