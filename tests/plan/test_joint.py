"""The plan of an ensemble: members have the draws of runs of their own, compared exactly."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import ndmc
from ndmc.engine.evaluation import evaluate
from ndmc.model import compile_plan, output_names

CASES = {
    "strategic_metals": {
        "policies": ["base", "recovery_90", "cobalt_free", "niobium_90"],
        "outputs": ["net_demand", "in_use", "secondary_exceeds", "reserve_gone"],
        "goals": {"net_demand": "less", "secondary_exceeds": "earlier", "reserve_gone": "later"},
    },
    "china_ree_policy": {
        "policies": ["base", "quota_by_need", "firms_keep"],
        "futures": ["reference", "neutral"],
        "outputs": ["gap", "held", "first_short", "recycled"],
        "goals": {"gap": "less", "held": "less", "first_short": "later", "recycled": "more"},
    },
}


@pytest.fixture(params=CASES)
def whole(request):
    """Return a scenario with members, and 40 draws of all of its outputs and of each alone."""
    scenario = ndmc.load(request.param, ensemble=CASES[request.param])
    asked = CASES[request.param]["outputs"]
    together = evaluate(compile_plan(scenario, output_names(scenario)), 7, range(40))
    alone = [evaluate(compile_plan(one, asked), 7, range(40)) for one in scenario.members]
    return scenario, together, alone


def test_members_have_the_draws_of_runs_of_their_own(whole):
    """Bit for bit; differences, ratios and regret are those of the float64 results."""
    scenario, together, alone = whole
    ensemble = scenario.ensemble
    for name in ensemble.outputs:
        of = np.stack([one[name] for one in alone])
        assert_array_equal(together[name], of)
        reference = of[[one.reference for one in ensemble.members]]
        with np.errstate(all="ignore"):
            difference = np.where(of == reference, 0, of - reference)
            ratio = np.where(of == reference, 1, of / reference)
        assert_array_equal(together[f"{name}_difference"], difference)
        if f"{name}_ratio" in together:
            assert_array_equal(together[f"{name}_ratio"], ratio)
        if name not in ensemble.goals:
            continue
        more = ensemble.goals[name] in ("more", "later")
        for future in {one.future for one in ensemble.members}:
            some = [n for n, one in enumerate(ensemble.members) if one.future == future]
            best = of[some].max(axis=0) if more else of[some].min(axis=0)
            with np.errstate(all="ignore"):
                regret = np.where(of[some] == best, 0, best - of[some] if more else of[some] - best)
            assert_array_equal(together[f"{name}_regret"][some], regret)
