"""How often the limits of shares hold what they should: many small studies of models in NumPy."""

import designed
import numpy as np
import pytest
from controlled_studies import study_of

from ndmc.store.shares import limited, ratios

pytestmark = pytest.mark.torture

STUDIES, DRAWS = 300, 2**11

MODELS = {
    "product": designed.product([0.4, 0.3, 0.2, 0.2, 0.1, 0.05]),
    "cohorts": designed.cohorts(),
    "g": designed.sobol_g([0.0, 0.5, 1, 2, 4, 9, *[99] * 14]),
}


@pytest.mark.parametrize("linear", [False, True], ids=["plain", "controlled"])
@pytest.mark.parametrize("name", MODELS)
def test_limits_hold_95_percent(name, linear, capsys):
    """First and total shares of groups that matter, each in 300 studies from seeds of their own."""
    model = MODELS[name]
    truth = exact(model)
    inside = np.array([covered(model, truth, seed, linear) for seed in range(1, STUDIES + 1)])
    some = truth[1] > 0.01
    found = inside.mean(axis=0)[:, some]
    with capsys.disabled():
        print(f"\n{name:8} {linear!s:5} first {found[0].round(3)} total {found[1].round(3)}")
    assert 0.92 <= found.mean() <= 0.98


def exact(model):
    """Return first and total shares: in closed form, or of so many pairs that they are as good."""
    if model.first:
        return np.array([model.first, model.total])
    first, more = ratios(*study_of(model, 2**20, 10**6, linear=True))
    return np.array([first.value, (first + more).value])


def covered(model, truth, seed, linear):
    """Return which shares lie within their limits."""
    first, more = ratios(*study_of(model, DRAWS, seed, linear=linear))
    parts = (limited(first), limited(first + more))
    return [(one.low <= t) & (t <= one.high) for one, t in zip(parts, truth, strict=True)]
