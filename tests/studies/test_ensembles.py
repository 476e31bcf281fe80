"""Ensembles: laws that hold of members that are compared draw by draw, whatever is asked."""

import numpy as np
import pytest
from command import here
from numpy.testing import assert_array_equal

import ndmc
from ndmc import InputError
from ndmc.engine.evaluation import evaluate
from ndmc.model import compile_plan
from ndmc.runs.additions import grown
from ndmc.runs.ensemble_options import EnsembleOptions
from ndmc.runs.run import finish
from ndmc.store.opening import open_store
from ndmc.studies.decisions import decisions
from ndmc.studies.ensembles import compared, prepared

#: Events that some draws never see, and a variant that says the same in other words.
EVENTS = """indicators:
  full: first_year(total > 17 kt)
  half: first_year(total > 9 kt)
"""
VARIANTS = """variants:
  same: {set: {parameters.collection: {unit: "%", value: 0.6, cv: 5 %, distribution: beta}}}
  copy: {set: {parameters.collection.value: 60}}
  more: {set: {parameters.collection.value: 80}}
  worse: {set: {parameters.loss_rate.high: 40}}
  grown: {set: {parameters.content: x1.1}}
  long_lives"""
ENTRY = {
    "policies": ["base", "long_lives", "copy", "more"],
    "futures": ["reference", "grown"],
    "outputs": ["in_use", "recycled", "reuse", "full", "half"],
    "goals": {"in_use": "less", "reuse": "more", "full": "later"},
}


@pytest.fixture
def tiny(scenario):
    """Return a tiny scenario with events and policies."""
    return scenario(changes={"indicators:": EVENTS.rstrip(), "variants:\n  long_lives": VARIANTS})


def asked(folder, draws, out, entry=ENTRY, **more):
    """Run an ensemble and return its store."""
    loaded = ndmc.load(folder, ensemble=entry)
    return grown(prepared(EnsembleOptions(loaded, draws, out=out, **more))[1])


@pytest.fixture
def whole(tiny, tmp_path):
    """Return the dataset of an ensemble of 3,000 draws, and the float64 results of each member."""
    store = asked(tiny, 3000, tmp_path / "whole.zarr")
    loaded = ndmc.load(tiny, ensemble=ENTRY)
    found = [
        evaluate(compile_plan(one, ENTRY["outputs"]), 1, range(3000)) for one in loaded.members
    ]
    return compared(store).load(), loaded.ensemble.members, found


def quantiles(values):
    """Return percentiles of draws as they are stored, of what never comes too."""
    stored = values.astype(np.float32)
    with np.errstate(invalid="ignore"):
        return np.quantile(stored.astype(np.float64), [0.025, 0.5, 0.975], axis=-1)


def cell(dataset, name, member):
    """Return a variable of a member, in the order of the model."""
    one = dataset[name].sel(policy=member.policy, future=member.future)
    order = [dim for dim in ("quantile", "product", "year") if dim in one.dims]
    return one.transpose(*order).values


def test_percentiles_are_those_of_the_float64_differences_rounded_once(whole):
    """So are those of ratios, and shares of draws are counted of them."""
    dataset, members, found = whole
    for name in ("in_use", "recycled", "reuse"):
        for own, member in zip(found, members, strict=True):
            other = found[member.reference][name]
            assert_array_equal(cell(dataset, name, member), quantiles(own[name]))
            difference = own[name] - other
            assert_array_equal(cell(dataset, f"{name}_difference", member), quantiles(difference))
            ratio = np.where(own[name] == other, 1, own[name] / np.where(other == 0, 1, other))
            assert_array_equal(cell(dataset, f"{name}_ratio", member), quantiles(ratio))
            for way, hit in {"less": difference < 0, "more": difference > 0}.items():
                assert_array_equal(cell(dataset, f"{name}_{way}", member), hit.mean(axis=-1))
    assert "recycled_better" not in dataset
    assert_array_equal(dataset.in_use_better, dataset.in_use_less)
    assert_array_equal(dataset.reuse_better, dataset.reuse_more)


def test_totals_are_compared_as_totals(whole):
    """Their ratio is one of sums, and their regret is never negative."""
    dataset, members, found = whole
    for own, member in zip(found, members, strict=True):
        total, other = (one["in_use"].sum(axis=0) for one in (own, found[member.reference]))
        known = cell(dataset, "in_use_total_difference", member)
        np.testing.assert_allclose(known, quantiles(total - other), rtol=1e-6, atol=1e-3)
        known = cell(dataset, "in_use_total_ratio", member)
        np.testing.assert_allclose(known, quantiles(total / other), rtol=1e-6)
    assert (dataset.in_use_total_regret >= 0).all()


def test_a_member_like_its_reference_has_no_difference(whole):
    """Though its parameter is set anew: it is 0, a tie in every draw, and the ratio is 1."""
    dataset = whole[0].sel(policy="copy")
    for name in ("in_use", "recycled", "reuse", "full", "half"):
        assert (dataset[f"{name}_difference"] == 0).all()
        assert (dataset[f"{name}_tie"] == 1).all()
        assert f"{name}_ratio" not in dataset or (dataset[f"{name}_ratio"] == 1).all()


def test_what_never_comes_is_later_than_all_and_ties_with_itself(whole):
    """Shares that it comes by a year, and never, are counted; no percentile is nan."""
    dataset, members, found = whole
    some = 0
    for name in ("full", "half"):
        for own, member in zip(found, members, strict=True):
            values, other = own[name], found[member.reference][name]
            with np.errstate(invalid="ignore"):
                difference = np.where(values == other, 0, values - other)
            known = cell(dataset, f"{name}_difference", member)
            assert not np.isnan(known).any()
            finite = np.isfinite(quantiles(difference))
            assert_array_equal(known[finite], quantiles(difference)[finite])
            assert_array_equal(cell(dataset, f"{name}_never", member), np.isinf(values).mean())
            assert_array_equal(cell(dataset, f"{name}_tie", member), (difference == 0).mean())
            by = [(values <= year).mean() for year in dataset.year.values]
            assert_array_equal(cell(dataset, f"{name}_by_year", member), by)
            some += np.isinf(values).any() and np.isfinite(values).any()
    assert some, "no event is in doubt"


def same(one, other):
    """Whether two datasets hold the same numbers."""
    assert {*one} == {*other}
    for name in one:
        again = other[name].transpose(*one[name].dims).sel({d: one[d] for d in one[name].dims})
        assert_array_equal(one[name].values, again.values, err_msg=name)
    return True


def test_order_blocks_parts_and_resume_change_nothing(tiny, tmp_path):
    """Nor does it where members are added later: regret is of all, too."""
    entry = {**ENTRY, "policies": ENTRY["policies"][:3], "futures": ["reference"]}
    first = compared(asked(tiny, 2500, tmp_path / "one.zarr", entry))
    turned = {**entry, "policies": [*reversed(entry["policies"])], "reference": "base"}
    other = compared(asked(tiny, 2500, tmp_path / "turned.zarr", turned, block=512, workers=1))
    assert same(first, other)
    few = compared(asked(tiny, 1100, tmp_path / "raised.zarr", entry)).load()
    assert same(first, compared(asked(tiny, 2500, tmp_path / "raised.zarr", entry)))
    for part in (2, 1):
        asked(tiny, 2500, tmp_path / "parts.zarr", entry, block=512, part=(part, 2))
    assert same(first, compared(finish(tmp_path / "parts.zarr")))
    asked(tiny, 700, tmp_path / "added.zarr", {**entry, "policies": entry["policies"][:2]})
    before = compared(open_store(tmp_path / "added.zarr")).load()
    store = asked(tiny, 700, tmp_path / "added.zarr", entry)
    kept = [name for name in before if "regret" not in name]
    assert same(before[kept], compared(store)[kept].sel(policy=before.policy.values))
    assert same(few, compared(asked(tiny, 1100, tmp_path / "added.zarr", entry)))
    assert (tmp_path / "added.added-2.zarr").exists()


def test_a_store_of_other_members_is_not_gone_on_with(tiny, tmp_path):
    """One that was computed otherwise, one that is not asked for; --overwrite removes all."""
    entry = {**ENTRY, "futures": ["reference"], "outputs": ["in_use"], "goals": {}}
    out, text = tmp_path / "run.zarr", (tiny / "scenario.yaml").read_text()
    asked(tiny, 300, out, {**entry, "policies": ["base", "more"]})
    asked(tiny, 300, out, {**entry, "policies": ["base", "more", "worse"]})
    with pytest.raises(InputError, match="has the member 'more', which is not asked for"):
        asked(tiny, 300, out, {**entry, "policies": ["base", "worse"]})
    (tiny / "scenario.yaml").write_text(text.replace("loss_rate: {unit", "loss_rate: {unit", 1))
    changed = text.replace("{phone: 4, car: 12}", "{phone: 5, car: 12}")
    (tiny / "scenario.yaml").write_text(changed)
    with pytest.raises(InputError, match="was computed otherwise than it is now"):
        asked(tiny, 300, out, {**entry, "policies": ["base", "more", "worse"]})
    asked(tiny, 300, out, {**entry, "policies": ["base", "worse"]}, overwrite=True)
    assert not (tmp_path / "run.added-1.zarr").exists()


def test_a_cascade_adds_up(tiny, tmp_path):
    """The contributions of measures are the whole difference, draw by draw."""
    entry = {"cascade": ["more", "worse", "grown"], "outputs": ["recycled", "bought"]}
    names = ["recycled_contribution", "recycled_difference"]
    store = asked(tiny, 500, tmp_path / "run.zarr", entry, keep=names, dtype="float64")
    draws = ndmc.open(store.path)
    np.testing.assert_allclose(
        draws.recycled_contribution.sum("member"),
        draws.recycled_difference.isel(member=-1),
        atol=1e-9,
    )
    assert draws.recycled_contribution.sel(member="more").values.any()


def test_each_member_is_a_run_of_its_variant(tiny, tmp_path):
    """Bit for bit, also where draws are reconciled."""
    asked(tiny, 400, tmp_path / "all.zarr", {**ENTRY, "goals": {}, "futures": ["reference"]})
    found = compared(open_store(tmp_path / "all.zarr"))
    ndmc.run(tiny, 400, out=tmp_path / "own.zarr", keep=["none"], variant="more")
    alone = ndmc.percentiles(tmp_path / "own.zarr", ["in_use", "in_use_total", "reuse"])
    for name in alone:
        one = found[name].sel(policy="more", future="reference")
        assert_array_equal(one.transpose(*alone[name].dims).values, alone[name].values)


def test_reconciled_members_are_moved_each_by_itself(tmp_path):
    """A member that sets nothing else gives exactly 0."""
    entry = {"policies": {"base": [], "same": []}, "levers": {}, "outputs": ["sales"]}
    loaded = ndmc.load("uk_ree")
    names = [*loaded.file.flows][:2]
    entry |= {"outputs": names}
    loaded = ndmc.load("uk_ree", ensemble={key: value for key, value in entry.items() if value})
    plan = compile_plan(loaded, [f"{name}{end}" for name in names for end in ("", "_difference")])
    found = evaluate(plan, 1, range(20))
    alone = evaluate(compile_plan(loaded.alone, names), 1, range(20))
    for name in names:
        assert_array_equal(found[name], np.stack([alone[name]] * 2))
        assert (found[f"{name}_difference"] == 0).all()


def test_the_command_says_and_writes_what_is_decided(tiny, tmp_path, monkeypatch):
    """A table for each output, one over futures, a CSV with all; a store is shown again."""
    monkeypatch.chdir(tmp_path)
    words = ["--policies", "base,more", "--futures", "base,grown", "-v", "recycled,full"]
    done = here("ensemble", tiny, "-n", 400, *words, "--out", "e.zarr", "--csv", "e.csv")
    assert (done.code, done.err) == (0, ""), done
    assert "recycled, t/yr, 2004" in done.out
    assert "P(" not in done.out
    again = here("ensemble", "e.zarr", "-v", "full", "--sel", "year=2003")
    assert "by 2003" in again.out
    assert "recycled" not in again.out
    rows = (tmp_path / "e.csv").read_text().splitlines()
    assert rows[0].startswith("output,")
    assert len(rows) == 1 + 2 * 4
    assert here("ensemble", "e.zarr", "--seed", 3).code == 2
    info = here("info", "e.zarr")
    assert "4 members: base | base, more | base" in " ".join(info.out.split())
    assert here("percentiles", "e.zarr", "-v", "recycled", "--sel", "policy=more").code == 0


def test_what_drives_a_difference_is_known(tmp_path):
    """Of a gain that is linear in its inputs by the variances of these."""
    scenario = ndmc.load("starter", ensemble={"policies": ["base", "long_lives"]})
    found = ndmc.sensitivity(
        scenario, 2048, out=tmp_path / "study.zarr", outputs=["in_use_total_difference"][:0] or None
    )
    shares = found.in_use_total_difference_total_order.isel(year=-1).sel(member="long_lives")
    assert 0.95 < float(shares.sum()) < 1.1
    assert float(shares.sel(group="lifetime_scale")) > 0.4
    assert "lifetime_scale" in found.measure_first


def test_rounding_alone_is_told_as_a_tie(tiny, tmp_path):
    """Differences that no balance could tell from 0 are kept as they are, and told as nothing."""
    text = (tiny / "scenario.yaml").read_text()
    rounded = "  rounded: {set: {parameters.content: x1.00000000000001}}\n  same:"
    (tiny / "scenario.yaml").write_text(text.replace("  same:", rounded, 1))
    policies, goals = ["base", "rounded", "grown"], {"in_use": "less"}
    entry = {"policies": policies, "outputs": ["in_use"], "goals": goals}
    store = asked(tiny, 300, tmp_path / "run.zarr", entry)
    share = compared(store).in_use_total_more.sel(policy="rounded").isel(year=-1)
    assert share > 0.5
    base, one, other = decisions(store)
    assert base.reference is None
    assert (one.less, one.more, one.better, one.spread) == (0, 0, 0, 0)
    assert not np.any([one.difference, one.low, one.high])
    assert np.isnan(one.saved(base))
    assert other.name == one.name
    assert other.less + other.more > 0.5


def test_what_never_comes_is_no_rounding(tiny, tmp_path):
    """A difference to never is told as one, though what is compared is infinite."""
    entry = {"policies": ["base", "grown"], "outputs": ["full"], "goals": {"full": "later"}}
    base, one = decisions(asked(tiny, 300, tmp_path / "run.zarr", entry))
    assert np.isinf(base.values).any()
    assert one.less > 0.1
    assert one.difference.any()
