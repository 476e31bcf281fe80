"""SALib and SciPy, each with the sampler it comes with, find the shares that squares find."""

import designed
import numpy as np
import pytest
from SALib.analyze import sobol as salib
from SALib.sample import sobol as salib_sample
from scipy import stats

from ndmc.store.shares import shares

MODELS = {"ishigami": designed.ishigami(), "g": designed.sobol_g([0.0, 0.5, 1.0, 4.5, 9.0, 30.0])}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    """Return a function of normal scores."""
    return MODELS[request.param]


@pytest.fixture(scope="module")
def found(model):
    """Return the shares that squares give of 2**14 plain draws."""
    scores = np.random.default_rng(2).standard_normal((model.inputs, 2**14))
    return shares(*model.study(scores), np.ones(len(model.groups)))


def assert_agree(found, peer, errors):
    """Demand that first and total shares differ by no more than both may err, and hit the truth."""
    for one, other, error in zip((found.first, found.total), peer, errors, strict=True):
        half = (one.high - one.low) / 2
        assert (np.abs(one.value - other) <= 1.5 * np.hypot(half, error) + 1e-3).all()
        assert (half < 0.03).all()


def test_salib(model, found):
    """SALib 1.6 draws a Sobol' sequence by Saltelli's design and gives half-widths by bootstrap."""
    names = [f"x{n}" for n in range(model.inputs)]
    problem = {"num_vars": len(names), "names": names, "bounds": [[0, 1]] * len(names)}
    points = salib_sample.sample(problem, 2**11, calc_second_order=False, seed=3)
    results = model.of(stats.norm.ppf(points.T))
    theirs = salib.analyze(problem, results, calc_second_order=False, seed=3)
    assert_agree(found, (theirs["S1"], theirs["ST"]), (theirs["S1_conf"], theirs["ST_conf"]))


def test_scipy(model, found):
    """SciPy draws another one and gives limits by bootstrap too."""
    dists = [stats.norm()] * model.inputs
    theirs = stats.sobol_indices(func=model.of, n=2**11, dists=dists, rng=4)
    limits = theirs.bootstrap(n_resamples=100)
    errors = [
        (part.confidence_interval.high - part.confidence_interval.low) / 2
        for part in (limits.first_order, limits.total_order)
    ]
    assert_agree(found, (theirs.first_order, theirs.total_order), errors)


def test_a_single_nan_is_no_zero(model):
    """SALib 1.6 then says 0 +- 0 of every input, without a word; here one pair is lost."""
    names = [f"x{n}" for n in range(model.inputs)]
    problem = {"num_vars": len(names), "names": names, "bounds": [[0, 1]] * len(names)}
    points = salib_sample.sample(problem, 2**6, calc_second_order=False, seed=3)
    results = model.of(stats.norm.ppf(points.T))
    results[5] = np.nan
    theirs = salib.analyze(problem, results, calc_second_order=False, seed=3)
    assert not np.any(np.nan_to_num(theirs["S1"]))
    even, odd = np.random.default_rng(2).standard_normal((2, model.inputs, 2**11))
    base = model.of(even)
    base[5] = np.nan
    sums, pairs = designed.summed(base, model.of(odd), *model.swapped(even, odd))
    ours = shares(sums, pairs, np.ones(len(model.groups)))
    assert (sums[..., 3].sum(axis=1) == 1).all()
    wanted = np.array(model.first)
    assert (np.abs(ours.first.value - wanted) < 3 * (ours.first.high - ours.first.low) + 1e-9).all()
