"""Whole runs whose draws are not kept: the percentiles of all draws, bit for bit."""

import functools

import numpy as np
import pytest
import reference
from numpy.testing import assert_allclose, assert_array_equal
from strategies import bundled, scenario, stock_model

import ndmc
from ndmc.engine.evaluation import evaluate, fill
from ndmc.errors import InputError, RunError
from ndmc.runs.run import finish
from ndmc.store.opening import open_store
from ndmc.store.ranks import confidence_ranks

SEED = 4
DRAWS = 12_001
LEVELS = (0.025, 0.3, 0.5, 0.975)
EXCEED = [("in_use", 100.0), ("in_use", "1 kt"), ("sales", "250 t/yr"), ("recycled_share", "40 %")]
EXCEED += [("in_use_total", "20 kt")]
NAMES = ["sales", "in_use", "recycled_share", "lithium_bought"]
both = pytest.mark.parametrize("dtype", ["float32", "float64"])


def run(out, draws=DRAWS, *, keep="none", of="starter", **options):
    """Run a scenario without keeping its draws, and return the path of the store."""
    options = {"percentiles": NAMES, "quantiles": LEVELS, "exceed": EXCEED, **options}
    loaded = bundled(of) if isinstance(of, str) else of
    ndmc.run(loaded, draws, seed=SEED, out=out, keep=[keep], **{"workers": 2, **options})
    return out


def arrays(out, group="percentiles"):
    """Return the arrays of a group of a store."""
    found = open_store(out).root
    return {name: array[...] for name, array in (found[group] if group else found).arrays()}


def assert_same(got, expected):
    """Demand the same arrays, bit for bit."""
    assert set(got) == set(expected)
    for name, values in expected.items():
        assert_array_equal(got[name], values, name)


@functools.cache
def plan_of(names=tuple(NAMES)):
    """Return the plan of the starter."""
    return ndmc.compile_plan(bundled("starter"), list(names))


@functools.cache
def draws_of(dtype, draws=DRAWS):
    """Return the draws of the starter in float64, as they are in a precision."""
    found = evaluate(plan_of(), SEED, range(draws), dtype=dtype)
    return {name: values.astype(np.float64) for name, values in found.items()}


@pytest.fixture(scope="module")
def streamed(tmp_path_factory):
    """Return a function that gives the percentiles of a run of a precision, run once."""

    @functools.cache
    def get(dtype):
        return arrays(run(tmp_path_factory.mktemp("streamed") / "run.zarr", dtype=dtype))

    return get


# --- against numpy -------------------------------------------------------------------------------


@both
def test_percentiles_equal_numpy(streamed, dtype):
    """Percentiles of draws that are not kept are numpy's, bit for bit, with their limits."""
    found = streamed(dtype)
    assert_array_equal(found["quantile"], LEVELS)
    for name, values in draws_of(dtype).items():
        assert_array_equal(found[name], np.quantile(values, LEVELS, axis=-1), name)
        ranked = np.sort(values, axis=-1)
        for n, level in enumerate(LEVELS):
            low, high = confidence_ranks(DRAWS, level)
            assert_array_equal(found[f"{name}_low"][n], ranked[..., low - 1], name)
            assert_array_equal(found[f"{name}_high"][n], ranked[..., high - 1], name)


@both
def test_percentiles_of_totals_equal_numpy(streamed, dtype):
    """Flows and stocks have the percentiles of their sum, added up in float64 label by label."""
    found = streamed(dtype)
    for name in ("in_use", "sales"):
        total = np.add.accumulate(draws_of(dtype)[name], axis=0)[-1]
        assert_array_equal(found[f"{name}_total"], np.quantile(total, LEVELS, axis=-1))
        assert_array_equal(found[f"{name}_total_min"], total.min(axis=-1))
        assert_array_equal(found[f"{name}_total_max"], total.max(axis=-1))
        assert_allclose(found[f"{name}_total_mean"], total.mean(axis=-1), rtol=1e-12)
        assert_allclose(found[f"{name}_total_sd"], total.std(axis=-1, ddof=1), rtol=1e-9)
    assert "recycled_share_total" not in found


@both
def test_moments_and_ends_equal_numpy(streamed, dtype):
    """Mean and sd are those of all draws to rounding, lowest and highest draw exactly."""
    found = streamed(dtype)
    for name, values in draws_of(dtype).items():
        assert_allclose(found[f"{name}_mean"], values.mean(axis=-1), rtol=1e-12)
        scale = np.abs(values).max(axis=-1)
        off = found[f"{name}_sd"] - values.std(axis=-1, ddof=1)
        assert (np.abs(off) <= 1e-9 * scale).all()
        assert_array_equal(found[f"{name}_min"], values.min(axis=-1))
        assert_array_equal(found[f"{name}_max"], values.max(axis=-1))


@both
def test_exceedance_equals_numpy(streamed, dtype):
    """The share of draws above each limit is exact, in the limit's own unit."""
    found, draws = streamed(dtype), draws_of(dtype)
    plan = plan_of()
    limits = {"in_use": [100.0, 1000.0], "sales": [250.0], "recycled_share": [0.4]}
    assert {name: plan.output(name).unit for name in ("in_use", "sales")} == {
        "in_use": "t",
        "sales": "t/yr",
    }
    limits["recycled_share"] = [{"1": 0.4, "%": 40.0}[plan.output("recycled_share").unit]]
    for name, wanted in limits.items():
        assert_allclose(found[f"{name}_limit"], wanted, rtol=1e-15)
        counts = [(draws[name] > limit).sum(axis=-1) for limit in found[f"{name}_limit"]]
        assert_array_equal(found[f"{name}_exceedance"], np.array(counts) / DRAWS)
    totals = draws["in_use"].sum(axis=0, dtype=np.float64)
    wanted = np.array([(totals > 20_000).sum(axis=-1)]) / DRAWS
    assert_array_equal(found["in_use_total_exceedance"], wanted)
    assert 0 < wanted.mean() < 1
    assert "lithium_bought_exceedance" not in found
    assert 0 < found["in_use_exceedance"][0].mean() < 1


def test_limits_that_cannot_be_compared_are_refused(tmp_path):
    """A limit in another dimension, or of what has no percentiles, is refused."""
    for limit, message in ((("in_use", "3 yr"), "cannot be compared"), (("in_us", 3), "in_use")):
        with pytest.raises(InputError, match=message):
            run(tmp_path / "run.zarr", exceed=[limit])
    assert not (tmp_path / "run.zarr").exists()


# --- however it is run ---------------------------------------------------------------------------


@both
def test_kept_draws_change_nothing(tmp_path, streamed, dtype):
    """A run that stores its draws has the same percentiles, and so has who reads them again."""
    out = run(tmp_path / "run.zarr", keep="all", dtype=dtype)
    assert_same(arrays(out), streamed(dtype))
    again = ndmc.percentiles(out, NAMES, quantiles=LEVELS)
    for name in NAMES:
        assert_array_equal(again[name].values, streamed(dtype)[name])
        assert_array_equal(again[f"{name}_low"].values, streamed(dtype)[f"{name}_low"])
        assert_array_equal(again[f"{name}_high"].values, streamed(dtype)[f"{name}_high"])


@pytest.mark.parametrize("options", [{"workers": 1}, {"workers": 3, "block": 512}], ids=str)
def test_workers_and_blocks_change_nothing(tmp_path, streamed, options):
    """Any blocks in any order give the same percentiles, means and shares."""
    assert_same(arrays(run(tmp_path / "run.zarr", **options)), streamed("float32"))


def test_an_object_store_changes_nothing(tmp_path, streamed):
    """In an object store the same percentiles are written, and a run goes on with more draws."""
    out = f"memory://{tmp_path.name}/run.zarr"
    run(out, 5000)
    assert_same(arrays(run(out)), streamed("float32"))


MANY = [n / 100 for n in range(1, 100)]


@both
def test_little_memory_takes_two_passes_to_the_same_result(tmp_path, dtype):
    """Where digests would keep more than the memory draws are counted first, and kept after."""
    options = {"percentiles": ["recycled_share"], "quantiles": MANY, "dtype": dtype}
    options |= {"exceed": EXCEED[3:4], "workers": 1}
    once = run(tmp_path / "once.zarr", **options)
    twice = run(tmp_path / "twice.zarr", memory=7_000_000, **options)
    assert open_store(once).spec.counted == 0
    assert open_store(twice).spec.counted == 8192
    names = open_store(twice).ledger.names
    assert any(name.startswith("again-") for name in names)
    assert_same(arrays(twice), arrays(once))
    values = draws_of(dtype)["recycled_share"]
    assert_array_equal(arrays(twice)["recycled_share"], np.quantile(values, MANY, axis=-1))


def test_a_counted_run_can_be_raised(tmp_path):
    """Draws that are added to a run in two passes are counted, and make a second pass anew."""
    options = {"percentiles": ["recycled_share"], "quantiles": MANY, "exceed": [], "workers": 1}
    out = run(tmp_path / "raised.zarr", 10_000, memory=7_000_000, **options)
    assert open_store(out).spec.counted == 8192
    run(out, memory=7_000_000, **options)
    assert open_store(out).spec.counted == 8192
    assert_same(arrays(out), arrays(run(tmp_path / "once.zarr", **options)))


def test_more_draws_need_no_less_memory(tmp_path):
    """Where more draws fit the memory in two passes fewer do, in one or in two."""
    options = {"percentiles": ["recycled_share"], "quantiles": MANY, "exceed": [], "workers": 1}
    for draws in (12_001, 10_000):
        out = run(tmp_path / f"{draws}.zarr", draws, memory=7_000_000, **options)
        assert ndmc.open(out).attrs["complete"]


# --- more draws ----------------------------------------------------------------------------------


@pytest.fixture
def evaluated(monkeypatch):
    """Return a list of the draws that blocks evaluate, as it grows."""
    seen = []

    def counting(results, plan, seed, draws, *others, **precision):
        seen.append(draws)
        fill(results, plan, seed, draws, *others, **precision)

    monkeypatch.setattr("ndmc.runs.block.fill", counting)
    return seen


RAISED = (5_000, 20_000, 70_001)


@pytest.mark.parametrize("keep", ["none", "recycled_share"])
def test_raised_draws_equal_one_run(tmp_path, evaluated, keep):
    """Raised twice a store is that of one run, and no whole grain of draws is evaluated again."""
    options = {"keep": keep, "percentiles": ["in_use", "recycled_share"], "exceed": EXCEED[:2]}
    before = 0
    for draws in RAISED:
        evaluated.clear()
        out = run(tmp_path / "raised.zarr", draws, **options)
        assert open_store(out).spec.draws == draws
        assert ndmc.open(out).attrs["complete"]
        begun = before // 256 * 256
        new = [some for some in evaluated if some != range(1) or before]
        assert min(some.start for some in new) == begun
        assert sum(map(len, new)) == draws - begun
        before = draws
    whole = run(tmp_path / "whole.zarr", RAISED[-1], **options)
    assert_same(arrays(out), arrays(whole))
    assert_same(arrays(out, ""), arrays(whole, ""))
    assert_same(arrays(out, "parameters"), arrays(whole, "parameters"))
    if keep != "none":
        stored = ndmc.open(out)[keep].values
        assert stored.shape[0] == RAISED[-1]
        assert np.isfinite(stored).all()


def test_an_output_may_be_called_like_the_group_of_percentiles(tmp_path):
    """What is called percentiles_left is no percentile: it stays when draws are added."""
    data = stock_model()
    data["indicators"] = {"percentiles_left": "sum(in_use, over=product)"}
    model = scenario(data)
    for draws in (300, 600):
        options = {"keep": "percentiles_left", "percentiles": ["in_use"], "exceed": []}
        run(tmp_path / "run.zarr", draws, of=model, **options)
    assert ndmc.open(tmp_path / "run.zarr").percentiles_left.shape[0] == 600


def test_the_same_draws_again_evaluate_nothing(tmp_path, evaluated):
    """A run that is complete is not computed again, and fewer draws of it are refused."""
    out = run(tmp_path / "run.zarr", 300)
    before = arrays(out)
    evaluated.clear()
    run(out, 300)
    assert not evaluated
    with pytest.raises(InputError, match="holds 300 draws, 299 asked for"):
        run(out, 299)
    assert_same(arrays(out), before)


def unfinished(out):
    """Return a store as one whose percentiles are still to be merged."""
    open_store(out).write_attributes(complete=False)
    return out


@pytest.mark.parametrize("lost", ["digests/8192-11776", "stage-0000000000008192"])
def test_a_lost_file_is_computed_again(tmp_path, lost):
    """Where a digest or an entry is gone a run says so and makes it again; a merge alone cannot."""
    out = unfinished(run(tmp_path / "run.zarr", 11776))
    before = arrays(out)
    (out / "ledger" / lost).unlink()
    with pytest.raises(RunError, match="--repair"):
        finish(out)
    with pytest.warns(ndmc.StudyWarning, match="damaged or missing, computed again"):
        run(out, 11776)
    assert_same(arrays(out), before)
    assert ndmc.verify(out) == []


@pytest.mark.parametrize("name", ["8192-11776", "{stage}.state", "{stage}.brackets"])
def test_a_damaged_digest_is_never_a_wrong_number(tmp_path, name):
    """A flipped bit in what percentiles are made of is an error of a merge, and a run mends it."""
    out = unfinished(run(tmp_path / "run.zarr", 11776))
    before = arrays(out)
    file = out / "ledger" / "digests" / name.format(stage="stage-0000000000008192")
    whole = file.read_bytes()
    for place in (1, len(whole) // 2, len(whole) - 1):
        broken = bytearray(whole)
        broken[place] ^= 4
        file.write_bytes(broken)
        with pytest.raises(RunError, match=r"damaged.*--repair"):
            finish(out)
    run(out, 11776)
    assert_same(arrays(out), before)
    assert ndmc.verify(out) == []


def test_a_neighbours_digest_is_found(tmp_path):
    """A digest that is whole, but of other draws, counts for nothing."""
    out = unfinished(run(tmp_path / "run.zarr", 11776))
    before = arrays(out)
    digests = out / "ledger" / "digests"
    pieces = sorted(found for found in digests.iterdir() if found.name[0].isdigit())
    ndmc.run(
        "starter", 11776, seed=9, out=tmp_path / "other.zarr", keep=["none"], percentiles=NAMES
    )
    other = tmp_path / "other.zarr" / "ledger" / "digests" / pieces[-1].name
    pieces[-1].write_bytes(other.read_bytes())
    with pytest.raises(RunError, match=r"damaged.*--repair"):
        finish(out)
    run(out, 11776)
    assert_same(arrays(out), before)


def test_a_reached_target_is_that_of_its_draws(tmp_path):
    """What was reached of a target does not stand in a store that was given other draws since."""
    out = run(tmp_path / "run.zarr", 300, until=["in_use p50 within 90 %"])
    assert ndmc.info(out).targets[0]["draws"] == 300
    run(out, 600)
    assert all(found["draws"] == 600 for found in ndmc.info(out).targets)


def test_quantiles_may_be_an_array(tmp_path):
    """Quantiles can be what NumPy makes of them."""
    found = arrays(run(tmp_path / "run.zarr", 100, quantiles=np.array([0.1, 0.5])))
    assert_array_equal(found["quantile"], [0.1, 0.5])


# --- events --------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", ["none", "passed"])
def test_what_sometimes_never_happens_keeps_its_rank(tmp_path, keep):
    """A first year that never comes is infinite and ranks above all years, in blocks too."""
    data = stock_model(spread=0.3)
    data["parameters"]["limit"] = {"unit": "t", "value": 620, "distribution": "constant"}
    data["indicators"] = {"passed": "first_year(in_use > limit)"}
    model, levels = scenario(data), [0.1, 0.5, 0.9, 0.975]
    options = {"percentiles": ["passed"], "quantiles": levels, "exceed": [("passed", 2010)]}
    found = arrays(run(tmp_path / "run.zarr", 10_000, of=model, keep=keep, **options))
    values = evaluate(ndmc.compile_plan(model, ["passed"]), SEED, range(10_000))["passed"]
    never = np.isinf(values).mean(axis=-1)
    assert ((never > 0.001) & (never < 0.999)).any()
    expected = [[reference.quantile(row, q) for row in values] for q in levels]
    assert_array_equal(found["passed"], expected)
    assert np.isinf(found["passed"]).any()
    assert np.isfinite(found["passed"]).any()
    assert_array_equal(found["passed_max"], values.max(axis=-1))
    assert_array_equal(found["passed_min"], values.min(axis=-1))
    assert_array_equal(found["passed_mean"], values.mean(axis=-1))
    assert_array_equal(found["passed_exceedance"][0], (values > 2010).mean(axis=-1))
    if keep != "none":
        assert_array_equal(
            ndmc.percentiles(tmp_path / "run.zarr", "passed", quantiles=levels).passed, expected
        )
