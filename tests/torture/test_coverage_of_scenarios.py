"""How often the limits of shares hold what is known of scenarios: many small studies of each.

    pytest -m torture -n 0 tests/torture/test_coverage_of_scenarios.py

prints, for each group, the part of the studies whose limits hold its share in closed form.
"""

from dataclasses import replace

import known_shares
import numpy as np
import pytest
from strategies import scenario

from ndmc.engine.evaluation import code_of, evaluate, fill, swaps
from ndmc.engine.scores import scores_of
from ndmc.engine.swaps import reach
from ndmc.model import compile_plan
from ndmc.plan.input_groups import input_groups
from ndmc.runs.replay import studied
from ndmc.runs.sharing import Measured, controlled, shares_in
from ndmc.store.spec import Spec

pytestmark = pytest.mark.torture

STUDIES, DRAWS = 300, 2**11
NAMES = ("product", "stock", "recycled", "least", "ishigami", "correlated")


class Studies:
    """Studies of one output of a scenario, computed without a store."""

    def __init__(self, known):
        self.known, loaded = known, scenario(known.data)
        plan = compile_plan(loaded, [known.name])
        cut = {"quantiles": (0.5,), "draws": DRAWS, "block": DRAWS}
        self.spec = Spec(keep=(), percentiles=(known.name,), **cut)
        self.plan = studied(plan, input_groups(loaded, plan.samplers), self.spec)
        self.reaches = reach(code_of(self.plan), scores_of(self.plan).streams.tolist())

    def shares(self, seed):
        """Return [first or total, value low high, group] of the last cell."""
        plan, spec, own = self.plan, replace(self.spec, seed=seed), swaps(self.plan)
        sums = own.sums()
        fill({}, plan, seed, range(DRAWS), witnesses=[lambda *tile: own.measure(*tile, sums)])
        draws = evaluate(plan, seed, range(DRAWS))[self.known.name]
        moments = {self.known.name: (draws.mean(axis=-1), draws.std(axis=-1))}
        measured = Measured(sums, DRAWS, own.connected, self.reaches)
        by = controlled(measured, plan, spec, 1)
        ((_, found),) = shares_in(measured, by, plan, spec, moments)
        found = {variable.suffix: values for variable, values in found.items()}
        return np.array(
            [
                [
                    found[f"_{of}_order{end}"].reshape(len(self.known.first), -1)[:, -1]
                    for end in ENDS
                ]
                for of in ("first", "total")
            ]
        )


ENDS = ("", "_low", "_high")


@pytest.mark.parametrize("name", NAMES)
def test_limits_hold_95_percent(name, capsys):
    """First and total shares in 300 studies; where the control explains all, to its rounding."""
    studies = Studies(known_shares.CASES[name]())
    found = np.array([studies.shares(seed) for seed in range(1, STUDIES + 1)])
    truth = np.array([[*part.values()] for part in (studies.known.first, studies.known.total)])
    value, low, high = np.moveaxis(found, 2, 0)
    inside = ((low <= truth) & (truth <= high)).mean(axis=0)
    with capsys.disabled():
        print(f"\n{name:10} first {inside[0].round(3)} total {inside[1].round(3)}")
    if np.ptp(value, axis=0).max() < 1e-12:
        np.testing.assert_allclose(value, np.broadcast_to(truth, value.shape), atol=1e-12)
    else:
        assert 0.92 <= inside.mean() <= 0.98
        assert (inside > 0.9).all()
