"""Whole scenarios, reconciled: random systems, elements, years and stocks against an exact twin."""

import itertools

import numpy as np
import reference
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from strategies import scenario

from ndmc.reconciliation.datasets import to_dataset
from ndmc.reconciliation.estimates import reconcile_scenario

DIMS = ("element", "year")
FIRST = 2019


@st.composite
def networks(draw):
    """Return flows between processes of which each is entered and left, as (from, to)."""
    count = draw(st.integers(1, 3))
    flows = []
    for n in range(count):
        flows.append((draw(st.sampled_from(["abroad", *range(n)])), n))
        flows.append((n, draw(st.sampled_from(["ground", *range(n + 1, count)]))))
    ends = st.tuples(st.sampled_from(["abroad", *range(count)]), st.sampled_from(range(count)))
    extra = [flow for flow in draw(st.lists(ends, max_size=2)) if flow[0] != flow[1]]
    return count, flows + extra


@st.composite
def measurements(draw, elements, years):
    """Return values [element, year] with standard deviations, and the dims whose errors agree."""
    number = st.integers(1, 60)
    values = [[draw(number) for _ in range(years)] for _ in range(elements)]
    sd = draw(st.sampled_from([1, 2, 5]))
    shared = draw(st.sampled_from([(), (), ("element",), ("year",), DIMS]))
    return np.array(values, dtype=float), sd, shared


class Case:
    """A system with what is measured of it, as a scenario and as equations."""

    def __init__(self, elements, years, network, stocks, measured):
        self.shape = (elements, years)
        self.count, self.flows = network
        self.stocks, self.measured = stocks, measured
        self.names = [f"flow_{n}" for n in range(len(self.flows))]
        self.names += [f"stock_{n}" for n in stocks]

    def __repr__(self):
        return f"Case({vars(self)})"

    def data(self):
        """Return the scenario."""
        elements, years = self.shape
        labels = [[f"e{n}" for n in range(elements)], [str(FIRST + n) for n in range(years)]]
        parameters = {}
        for name, (values, sd, shared) in self.measured.items():
            errors = {dim: "shared" if dim in shared else "independent" for dim in DIMS}
            table = [dict(zip(labels[1], row.tolist(), strict=True)) for row in values]
            parameters[f"m_{name}"] = {
                "unit": "t" if name.startswith("stock") else "t/yr",
                "dims": [*DIMS],
                "value": dict(zip(labels[0], table, strict=True)),
                "distribution": "normal",
                "sd": sd,
                "errors": errors,
            }

        def end(which):
            return which if isinstance(which, str) else f"process_{which}"

        return {
            "format": 1,
            "name": "random",
            "unit": "t",
            "years": f"{FIRST}..{FIRST + years - 1}",
            "dims": {"element": labels[0]},
            "parameters": parameters,
            "processes": [f"process_{n}" for n in range(self.count)],
            "flows": {
                f"flow_{n}": {"from": end(a), "to": end(b), "dims": ["element"]}
                for n, (a, b) in enumerate(self.flows)
            },
            "stocks": {
                f"stock_{n}": {"process": end(n), "kind": "sink", "dims": ["element"]}
                for n in self.stocks
            },
            "reconcile": {"measured": {name: f"m_{name}" for name in self.measured}},
        }

    def equations(self):
        """Return the balances [equation, cell] of all cells, in the order of the names."""
        cells = {key: n for n, key in enumerate(self.cells())}
        found = []
        for n, (e, t) in itertools.product(range(self.count), np.ndindex(self.shape)):
            row = np.zeros(len(cells))
            for name, (source, target) in zip(self.names, self.flows, strict=False):
                row[cells[name, e, t]] += (target == n) - (source == n)
            if n in self.stocks:
                row[cells[f"stock_{n}", e, t]] -= 1
                if t:
                    row[cells[f"stock_{n}", e, t - 1]] += 1
            found.append(row)
        return np.array(found)

    def cells(self):
        """Return all quantities with the places of their labels."""
        return [(name, *place) for name in self.names for place in np.ndindex(self.shape)]

    def exact(self):
        """Return mean, standard deviation by name [element, year], nan where nothing tells."""
        known = np.array([name in self.measured for name, *_ in self.cells()])
        matrix = self.equations()
        means = [values.ravel() for values, _, _ in map(self.measured.get, self._in_order())]
        mean, factor = np.concatenate(means), self._factor()
        zeros = np.zeros(len(matrix))
        found = reference.reconcile(mean, factor, matrix[:, known], matrix[:, ~known], zeros)
        order = np.argsort(np.concatenate([np.flatnonzero(known), np.flatnonzero(~known)]))
        sure = np.array([True] * known.sum() + found["observable"])
        variance = np.array([float(found["covariance"][n][n]) for n in range(len(sure))])
        value = np.array([float(x) for x in found["x"] + found["y"]])
        parts = [
            np.where(sure, part, np.nan)[order].reshape(len(self.names), *self.shape)
            for part in (value, np.sqrt(variance))
        ]
        by_name = {name: (parts[0][n], parts[1][n]) for n, name in enumerate(self.names)}
        return by_name, float(found["chi2"]), found["redundancy"]

    def _in_order(self):
        return [name for name in self.names if name in self.measured]

    def _factor(self):
        """Return errors [measured cell, error]: one for all labels of the dims they share."""
        errors, rows = {}, []
        for name in self._in_order():
            _, sd, shared = self.measured[name]
            for place in np.ndindex(self.shape):
                own = tuple(0 if d in shared else n for d, n in zip(DIMS, place, strict=True))
                rows.append((errors.setdefault((name, own), len(errors)), sd))
        factor = np.zeros((len(rows), len(errors)))
        for n, (column, sd) in enumerate(rows):
            factor[n, column] = sd
        return factor


@st.composite
def cases(draw):
    """Return a system in which something is measured."""
    elements, years = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    network = draw(networks())
    stocks = sorted(draw(st.sets(st.sampled_from(range(network[0])), max_size=2)))
    names = [f"flow_{n}" for n in range(len(network[1]))] + [f"stock_{n}" for n in stocks]
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    measured = {name: draw(measurements(elements, years)) for name in sorted(chosen)}
    return Case(elements, years, network, stocks, measured)


@settings(deadline=None, max_examples=60)
@given(cases())
def test_scenarios_are_reconciled_as_the_twin_does(case):
    """Values, deviations, observability and the global test, to 1e-10 of the largest."""
    try:
        exact, chi2, redundancy = case.exact()
    except ValueError:
        assume(False)
    found = to_dataset(reconcile_scenario(scenario(case.data())))
    sizes = [np.nanmax(np.abs(value), initial=60) for value, _ in exact.values()]
    atol = 1e-10 * max(sizes)
    for name, (value, sd) in exact.items():
        cells = found[[name, f"{name}_sd"]].transpose(*DIMS)
        assert_allclose(cells[name], value, rtol=0, atol=atol, err_msg=name)
        assert_allclose(cells[f"{name}_sd"] ** 2, sd**2, rtol=0, atol=1e-8, err_msg=name)
    assert found.attrs["redundancy"] == redundancy
    assert_allclose(found.attrs["chi2"], chi2, rtol=1e-10, atol=1e-10)
