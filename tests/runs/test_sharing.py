"""What a study leaves: shares of every cell, and the group of a store that holds them."""

from dataclasses import replace

import designed
import exchanged
import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from strategies import bundled
from studied import Studied

from ndmc.dims import Dims
from ndmc.engine.evaluation import code_of, evaluate, measure, swaps
from ndmc.engine.scores import scores_of
from ndmc.engine.swaps import reach
from ndmc.errors import InputError
from ndmc.model import compile_plan
from ndmc.plan.input_groups import input_groups
from ndmc.plan.steps import Output
from ndmc.plan.study import Observed, Study
from ndmc.runs.control import Control
from ndmc.runs.merging import measured_of
from ndmc.runs.replay import replayed
from ndmc.runs.run import execute
from ndmc.runs.sharing import Measured, controlled, shares_in, write_shares
from ndmc.scenario.reserved import MEAN, SD
from ndmc.store.folder import Folder
from ndmc.store.integrity import damage_of
from ndmc.store.keys import SENSITIVITY
from ndmc.store.shares import Flag
from ndmc.store.spec import Spec
from ndmc.store.study_layout import check_study_names, shared_in, study_documents
from ndmc.store.variables import (
    CONTROLLED,
    EFFECT,
    FLAG,
    LINEAR_SHARE,
    TIED,
    share_of,
)
from ndmc.store.zarr_v3 import SmallArrays, write_group

DRAWS = 4096


class OfStock:
    """A study of the stock of a bundled scenario, its total, and what is above a limit."""

    def __init__(self, name, output, limit):
        scenario = bundled(name)
        plan = compile_plan(scenario, [output])
        exceed = ((f"{output}_total", limit), (f"{output}_total", 2 * limit))
        cut = {"quantiles": (0.5,), "draws": DRAWS, "block": 2048}
        self.spec = Spec(keep=(), percentiles=(output,), exceed=exceed, **cut)
        self.outputs = {one.name: one for one in plan.outputs}
        groups = input_groups(scenario, plan.samplers)
        observed = [
            Observed(one.of, output, one.dims, () if one.of == output else ("product",), at)
            for one in shared_in(self.outputs, self.spec)
            for at in (one.limits or (None,))
        ]
        self.plan = replace(plan, study=Study(groups, tuple(observed)))
        self.swaps = swaps(self.plan)
        rounds = (range(first, first + 2048) for first in range(0, DRAWS, 2048))
        self.sums = sum(measure(self.plan, self.spec.seed, one) for one in rounds)
        self.moments = self._moments()

    def _moments(self):
        draws = self.values(evaluate(self.plan, self.spec.seed, range(DRAWS)))
        return {title: (one.mean(axis=-1), one.std(axis=-1)) for title, one in draws.items()}

    def values(self, results):
        """Return all that has shares, [..., draw], from results by name."""
        found = {}
        for one in shared_in(self.outputs, self.spec):
            values = results[one.output.name]
            if one.of != one.output.name:
                values = values.sum(axis=tuple(range(values.ndim - 2)))
            if one.limits:
                values = np.stack([np.where(values > limit, 1.0, 0.0) for limit in one.limits])
            found[one.title] = values
        return found

    @property
    def measured(self):
        """The sums of the study, to be changed at will."""
        reaches = reach(code_of(self.plan), scores_of(self.plan).streams.tolist())
        return Measured(self.sums.copy(), DRAWS, self.swaps.connected, reaches)

    def shares(self, by=None, moments=None):
        """Return what is said of each title, without a control or with one."""
        found = self.measured
        by = controlled(found, self.plan, self.spec, 2) if by is None else by
        return {
            one.title: values
            for one, values in shares_in(found, by, self.plan, self.spec, moments or self.moments)
        }

    @property
    def variances(self):
        """The sums of D [group, cell] of the cells of the output itself."""
        count = self.plan.dims.size(("product", "year"))
        return self.measured.of(slice(None), slice(0, count))[..., 2].sum(axis=-1)

    def write(self, place):
        """Write the group of shares."""
        arrays = SmallArrays(place)
        about = write_shares(arrays, self.measured, self.plan, self.spec, self.moments, 2)
        write_group(place, SENSITIVITY, about, arrays.documents)
        return arrays

    @property
    def without(self):
        """No control."""
        groups, cells = self.swaps.connected.shape
        none, nothing = np.zeros(cells, bool), np.zeros((0, cells))
        by = Control(scores_of(self.plan), np.empty(0, int), groups, nothing, none, none, none)
        return replace(by, direction=np.zeros((groups, cells)))


@pytest.fixture(scope="module")
def study():
    """Return a study of a stock whose groups reach some cells."""
    return OfStock("china_nd", "in_use", 1e5)


def test_sums_are_those_of_models_with_inputs_exchanged(study):
    """Of groups that reach a cell, and of those that do not: P and I are nothing there."""
    results = study.values(evaluate(study.plan, 1, range(DRAWS)))
    of, start = study.measured.of, 0
    for n, group in enumerate(study.plan.study.groups[:2]):
        changed = study.values(exchanged.swapped(study.plan, 1, range(DRAWS), group.streams))
        start = 0
        for title, values in results.items():
            (a, b), (c, d) = (
                (x.reshape(-1, DRAWS)[:, ::2], x.reshape(-1, DRAWS)[:, 1::2])
                for x in (values, changed[title])
            )
            # An even place after an exchange has its neighbour's streams of the group.
            expected, pairs = designed.summed(a, b, c, d)
            found = of(slice(n, n + 1), slice(start, start + len(a)))[0]
            scale = 1.0 if "above" in title else study.outputs["in_use"].scale
            assert_array_equal(pairs, study.measured.pairs)
            top = np.abs(expected).max(axis=(1, 2), keepdims=True)
            assert (np.abs(found * scale**2 - expected) <= 1e-6 * top).all()
            start += len(a)


def test_shares_of_all_groups(study):
    """They are the same with a control and without, within their limits, and closer with it."""
    plain, found = study.shares(study.without), study.shares()
    for title in ("in_use", "in_use_total"):
        before, after = plain[title], found[title]
        value, low, high = (share_of("first", end) for end in ("value", "low", "high"))
        some = before[value] > 0.05
        assert (after[value][some] < before[high][some] + 0.03).all()
        assert (after[value][some] > before[low][some] - 0.03).all()
        width = [np.median((one[high] - one[low])[some]) for one in (before, after)]
        assert width[1] < width[0] / 2
        assert (after[value] <= after[share_of("total", "value")])[np.isfinite(after[value])].all()
        assert np.nanmedian(after[LINEAR_SHARE]) > 0.9
        assert after[CONTROLLED].mean() > 0.9
        assert before[CONTROLLED].sum() == 0


def test_a_group_that_does_not_reach_a_cell_has_no_share(study):
    """It is exactly nothing, with or without a control, but where the cell does not vary."""
    for by in (None, study.without):
        found = study.shares(by)["in_use"]
        zeros = found[FLAG] == Flag.STRUCTURAL_ZERO
        assert zeros.any()
        for share in ("first", "total", "interaction"):
            for end in ("value", "low", "high"):
                assert (found[share_of(share, end)][zeros] == 0).all()
        assert not found[TIED][zeros].any()
        constant = found[FLAG] == Flag.CONSTANT
        assert np.isnan(found[share_of("first", "value")][constant]).all()


def test_over_cells_shares_are_weighted_by_variances(study):
    """Of every year and product together; and by year; what no group reaches is in the whole."""
    found = study.shares(study.without)["in_use"]
    first, variance = np.nan_to_num(found[share_of("first", "value")]), study.variances
    mean = study.moments["in_use"][0].reshape(-1)
    shape = study.plan.dims.shape(("product", "year"))
    relative = np.divide(1, mean**2, out=np.zeros_like(mean), where=mean > 0)
    for pool, weights in (("", np.ones_like(mean)), ("_relative", relative)):
        parts = first * variance * weights
        whole = variance * weights
        over = share_of("first", "value", f"over_cells{pool}")
        assert_allclose(found[over][:, 0], parts.sum(axis=1) / whole.sum(axis=1), rtol=1e-9)
        parts, whole = (x.reshape(-1, *shape).sum(axis=2) for x in (parts, whole))
        over = share_of("first", "value", f"over_years{pool}")
        assert_allclose(found[over], parts / whole, rtol=1e-9)


def test_effects_have_the_sign_of_their_group(study):
    """More content or a longer life raises the stock; what is structurally zero moves nothing."""
    found = study.shares()["in_use_total"]
    names = [group.name for group in study.plan.study.groups]
    effect = found[EFFECT]
    for name in ("production", "content", "scale"):
        assert (effect[names.index(name), 5:] > 0).all()
    assert (effect[found[FLAG] == Flag.STRUCTURAL_ZERO] == 0).all()
    sd = study.moments["in_use_total"][1][-1]
    share = found[share_of("first", "value")][0, -1]
    assert_allclose(effect[0, -1], 1.96 * sd * np.sqrt(share))


def test_a_store_holds_them_as_its_documents_say(study, tmp_path):
    """It opens as a dataset the group with labels, members, grades, limits and flags."""
    place = Folder(tmp_path)
    arrays = study.write(place)
    groups = len(study.plan.study.groups)
    wanted = study_documents(study.spec, study.plan.dims, study.outputs, groups)
    assert {**arrays.documents, SENSITIVITY: wanted[SENSITIVITY]} == wanted
    with xr.open_zarr(tmp_path / SENSITIVITY) as found:
        assert found.in_use_first_order.dims == ("group", "product", "year")
        assert found.in_use_total_above_total_order_high.dims == (
            *("group", "in_use_total_limit", "year"),
        )
        assert_array_equal(found.in_use_total_limit, [1e5, 2e5])
        assert {"group_members", "group_grade"} <= {*found.coords}
        assert found.in_use_flag.dtype == found.in_use_controlled.dtype == np.int8
        assert found.in_use_flag.attrs["flag_meanings"].split()[1] == "structural_zero"
        assert found.in_use_mean.attrs["units"] == found.in_use_effect.attrs["units"] == "t"
        assert found.attrs["evaluations"] == DRAWS * (1 + groups)
        assert "in_use_total_above_mean" not in found


def test_a_study_ends_with_its_shares(tmp_path):
    """They are those of its draws, held to their seals, and written anew for more draws."""
    out = tmp_path / "store"
    asked = {"keep": ["none"], "percentiles": ["in_use"], "exceed": ["in_use > 6 kt"]}
    store = execute(Studied("starter", 2048, out=out, **asked))
    work = replayed(out)[1]
    found = measured_of(work)
    assert_array_equal(found.sums, measure(work.plan, work.spec.seed, range(2048)))
    by = controlled(found, work.plan, work.spec, 1)
    with xr.open_zarr(out / SENSITIVITY) as written:
        moments = {
            one.title: tuple(written.get(f"{one.title}{end}", np.ones(45)) for end in (MEAN, SD))
            for one in shared_in(store.computed, store.spec)
        }
        moments = {title: [np.asarray(x) for x in both] for title, both in moments.items()}
        for one, values in shares_in(found, by, work.plan, work.spec, moments):
            for variable in one.variables:
                there = written[variable.name(one.title)].values
                assert_array_equal(there, values[variable].reshape(there.shape))
    assert damage_of(store) == []
    more = execute(Studied("starter", 4096, out=out, **asked))
    assert more.metadata[SENSITIVITY]["attributes"]["draws"] == 4096
    assert damage_of(more) == []


def test_a_second_pass_over_draws_leaves_shares_as_they_are(tmp_path):
    """It is made of percentiles alone, whose digests have no sums of squares."""
    levels = [n / 100 for n in range(1, 100)]
    asked = {"keep": ["none"], "percentiles": ["recycled_share"], "quantiles": levels}
    found = []
    for memory, counted in ((2**30, 0), (7_000_000, 8192)):
        out = tmp_path / f"{memory}"
        store = execute(Studied("starter", 10_000, out=out, memory=memory, workers=1, **asked))
        assert store.spec.counted == counted
        found.append(xr.open_zarr(out / SENSITIVITY).load())
    assert found[0].identical(found[1])


@pytest.mark.parametrize("taken", ["in_use_above", "group"])
def test_two_things_of_one_name_are_refused(taken):
    """An output or a dim may be called as a study calls something else."""
    labels = {"year": ("2001",), **({"group": ("a",)} if taken == "group" else {})}
    names = {"in_use", taken} - {"group"}
    outputs = {name: Output(name, ("year",), "t", 1.0, "stock", name, "") for name in names}
    cut = {"quantiles": (), "draws": 2, "block": 2048}
    spec = Spec(keep=(), percentiles=(*sorted(outputs),), exceed=(("in_use", 1.0),), **cut)
    with pytest.raises(InputError, match=f"'{taken}.*stands for two things"):
        check_study_names(outputs, spec, Dims(labels))


@pytest.mark.parametrize("mean", [0.0, 1e-170])
def test_a_cell_of_draws_that_are_all_zero_has_no_relative_variance(study, mean):
    """What is exchanged may make it another: its own share, but nothing over cells, comes of it."""
    moments = {title: [part.copy() for part in both] for title, both in study.moments.items()}
    moments["in_use"][0][0, -1] = mean
    found = study.shares(study.without, moments)["in_use"]
    over, first = share_of("first", "value", "over_cells_relative"), share_of("first", "value")
    assert np.isfinite(found[over]).all()
    assert np.isfinite(found[first].reshape(len(found[first]), 17, -1)[:, 0, -1]).any()
