"""What equations leave open: sums of any length, added up in their order."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from strategies import scenario

from ndmc.reconciliation.equations import system_of
from ndmc.reconciliation.residuals import Residuals


def crowded(count):
    """Return a scenario of one balance: so many measured flows into it and half as many out."""
    sizes = {f"in{n}": 2.0 + n % 7 for n in range(count)}
    sizes |= {f"out{n}": 3.0 + n % 5 for n in range(count // 2)}
    one = {"unit": "t/yr", "distribution": "normal", "cv": 0.1}
    ends = {name: ("mine", "hub") if name[0] == "i" else ("hub", "users") for name in sizes}
    return {
        "format": 1,
        "name": "crowded",
        "unit": "t",
        "years": "2000..2000",
        "parameters": {f"m_{name}": {**one, "value": value} for name, value in sizes.items()},
        "processes": ["hub"],
        "flows": {n: {"from": a, "to": b, "value": f"m_{n}"} for n, (a, b) in ends.items()}
        | {"rest": {"from": "hub", "to": "dump"}},
        "reconcile": {"measured": {"rest": "m_out0"}},
    }


@pytest.mark.parametrize("count", [3, 127, 128, 129, 600])
def test_a_balance_of_any_length_is_added_up_in_its_order(count):
    """What enters, then what leaves, by name: the same bits as one sum has, however long it is."""
    system = system_of(scenario(crowded(count)))
    (balance,) = (n for n, r in enumerate(system.relations) if r.text == "the balance of 'hub'")
    count = max(span.stop for span in system.spans.values())
    cells = np.random.default_rng(1).uniform(1, 9, (count, 5))
    found, size = Residuals(system).of(cells)
    terms = sorted(system.relations[balance].terms, key=lambda term: -term[0])
    total, sizes = 0.0, 0.0
    for sign, term in terms:
        total = total + sign * cells[system.spans[term.name]]
    for _, term in system.relations[balance].terms:
        sizes = sizes + cells[system.spans[term.name]]
    assert_array_equal(found[balance : balance + 1], total)
    assert_array_equal(size[balance : balance + 1], sizes)
