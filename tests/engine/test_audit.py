"""The audit: a balance that does not close is found, and draws are counted for what they are."""

import json
import tracemalloc

import many_flows
import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_array_equal
from strategies import EPS, scenario, stock_model, write
from tiny import write_scenario

import ndmc
from ndmc import RunError
from ndmc.engine.audit import LIMIT, Audit
from ndmc.engine.evaluation import evaluate, evaluate_central
from ndmc.engine.row_code import compile_rows
from ndmc.engine.tiles import Tile
from ndmc.model import compile_plan

WIDTH = 256


def values_of(plan, draws=WIDTH):
    """Return the values of every name of one tile, as the audit sees them."""
    seen = {}

    class Spy(Audit):
        def examine(self, tile, first, here):
            seen.update({name: np.array(one) for name, one in tile.items()})

    evaluate(plan, 1, range(draws), audit=Spy(plan))
    return seen


def tile_of(plan, values):
    """Return a tile that holds these values."""
    tile = Tile(compile_rows(plan), WIDTH)
    for name, one in values.items():
        if name in tile.code.names:
            places = tile.code.names[name].reshape(-1)
            tile.rows[places] = one.reshape(len(places), -1)
        else:
            tile._others[name] = one
    return tile


def examined(plan, values, first=0, here=slice(0, WIDTH)):
    """Return the audit of one tile."""
    audit = Audit(plan)
    with np.errstate(all="ignore"):  # as where it is called
        audit.examine(tile_of(plan, values), first, here)
    return audit


def model(**key):
    """Return a stock by product with recycling, all of it uncertain."""
    data = stock_model(spread=0.1)
    data["parameters"]["rate"] |= {"distribution": "beta", "cv": 0.1}
    return data | key


def test_limit_is_64_eps():
    """What counts as rounding."""
    assert LIMIT == 64 * EPS


def test_what_balances_is_within_the_limit():
    """Nothing is found where nothing is wrong."""
    plan = compile_plan(scenario(model()))
    audit = examined(plan, values_of(plan))
    assert 0 <= audit.worst < LIMIT
    assert audit.draws == WIDTH


@pytest.mark.parametrize(
    ("flow", "process"),
    [("sales", "use"), ("end_of_life", "use"), ("recycled", "waste"), ("dumped", "waste")],
)
def test_a_broken_balance_is_found_where_it_is(flow, process):
    """One cell of one year of one draw is off: process, year and draw are named."""
    plan = compile_plan(scenario(model()))
    values = values_of(plan)
    whole = values[flow].copy()
    whole[1, 9, 77] *= 1.001
    values[flow] = whole
    audit = examined(plan, values, first=512)
    assert audit.worst > LIMIT
    name, year, draw = audit.place
    assert (year, draw) == (2009, 512 + 77)
    assert name in (process, "waste")


def test_a_broken_stock_is_found_where_it_is():
    """A stock that does not hold what entered it; the largest step off is in the first year."""
    plan = compile_plan(scenario(model()))
    values = values_of(plan)
    values["in_use"][0, 4:, 3] -= 5.0
    audit = examined(plan, values)
    assert audit.place == ("use", 2004, 3)
    largest = max(values[name][..., 3].max() for name in ("sales", "end_of_life", "in_use"))
    assert audit.worst == pytest.approx(5 / largest)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["sales", "dumped", "in_use"])
def test_what_is_no_number_is_not_missed(name, wrong):
    """A nan or an infinity is worse than any number, and later tiles do not hide it."""
    plan = compile_plan(scenario(model()))
    good = values_of(plan)
    values = {n: one.copy() for n, one in good.items()}
    values[name][1, 6, 5] = wrong
    audit = examined(plan, values)
    assert not audit.worst <= LIMIT
    assert np.isnan(audit.worst)
    assert audit.place[2] == 5
    assert audit.place[1] in (2006, 2007)
    audit.examine(tile_of(plan, good), 256, slice(0, WIDTH))
    assert not audit.worst <= LIMIT
    assert audit.place[2] == 5


def test_only_the_draws_asked_for_are_judged_and_counted():
    """A tile is computed whole, but what lies beside the range is nobody's business."""
    plan = compile_plan(scenario(model()))
    values = values_of(plan)
    values["dumped"][0, 0, 10] += 1.0
    assert examined(plan, values, here=slice(11, 256)).worst < LIMIT
    found = examined(plan, values, here=slice(10, 12))
    assert found.place == ("waste", 2000, 10)
    assert found.draws == 2


def test_the_worst_of_all_tiles_is_kept():
    """A smaller residual later does not replace it."""
    plan = compile_plan(scenario(model()))
    values = values_of(plan)
    audit = Audit(plan)
    for first, off in ((0, 1.0), (256, 3.0), (512, 2.0)):
        one = {name: array.copy() for name, array in values.items()}
        one["dumped"][0, 2, 9] += off
        audit.examine(tile_of(plan, one), first, slice(0, WIDTH))
    assert audit.place == ("waste", 2002, 265)
    assert audit.draws == 3 * WIDTH


def test_every_process_has_a_ledger_over_the_dims_its_flows_share():
    """A split by product that one flow has not is summed; flows not computed have no ledger."""
    data = model()
    total = "sum(recycled, over=product)"
    data["flows"]["sorted"] = {"from": "recyclers", "to": "store", "value": total}
    data["flows"]["kept"] = {"from": "store", "to": "dump"}
    data["processes"].append("store")
    plan = compile_plan(scenario(data))
    assert {one.process: one.dims for one in plan.accounts} == {
        "use": ("product", "year"),
        "waste": ("product", "year"),
        "store": ("year",),
    }
    assert {one.process for one in compile_plan(scenario(data), ["in_use"]).accounts} <= {"use"}
    whole = compile_plan(scenario(data), ["in_use"], whole=True)
    assert len(whole.accounts) == 3


def test_one_process_of_many_flows_takes_no_more_for_all_others():
    """With a list for each as long as its own, 500 took 530 MB."""
    plan = compile_plan(scenario(many_flows.drained(1000)))
    audit = Audit(plan)
    evaluate(plan, 1, range(256), audit=audit)  # compiled
    tracemalloc.start()
    evaluate(plan, 1, range(256), audit=audit)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100e6
    assert len(plan.accounts) == 500
    assert audit.worst <= LIMIT


def test_the_largest_flow_of_every_process_is_its_own():
    """Whatever number of flows the others have: each balance is held to its own largest."""
    plan = compile_plan(scenario(many_flows.drained(40)))
    values = values_of(plan)

    def share(account):
        net = sum(term.sign * wrong[term.name] for term in account.terms)
        largest = np.max([abs(wrong[term.name]).max(axis=0) for term in account.terms], axis=0)
        return (abs(net).max(axis=0) / largest).max()

    for account in plan.accounts:
        name = account.terms[0].name
        wrong = {**values, name: values[name] * 1.5}
        assert examined(plan, wrong).worst == max(map(share, plan.accounts))


def test_an_error_that_cancels_in_the_sum_over_products_is_found():
    """Balances are checked cell by cell, not in total."""
    plan = compile_plan(scenario(model()))
    values = values_of(plan)
    values["dumped"][0, 3, 0] += 1.0
    values["dumped"][1, 3, 0] -= 1.0
    assert examined(plan, values).place == ("waste", 2003, 0)


def test_an_initial_stock_belongs_to_the_balance():
    """What was there before the first year may leave in it; without it the balance is off."""
    data = model()
    data["parameters"]["held"] = {"unit": "t", "value": 800, "distribution": "normal", "cv": 0.1}
    data["stocks"]["in_use"]["initial"] = {"value": "held", "age": "stationary"}
    plan = compile_plan(scenario(data))
    values = values_of(plan)
    assert examined(plan, values).worst < LIMIT
    values["held"] = values["held"] + 1.0
    audit = examined(plan, values)
    assert audit.worst > LIMIT
    assert audit.place[:2] == ("use", 2000)


def test_a_flow_that_is_zero_everywhere_is_balanced():
    """Nothing divided by nothing is no finding."""
    data = model()
    for name in ("inflow",):
        table = data["parameters"][name]
        table |= {"value": {p: dict.fromkeys(v, 0) for p, v in table["value"].items()}}
        table.pop("cv")
        table |= {"distribution": "constant"}
        table.pop("errors")
    plan = compile_plan(scenario(data))
    audit = Audit(plan)
    evaluate(plan, 1, range(10), audit=audit)
    assert audit.worst == 0.0


# --- what is counted ---------------------------------------------------------------------------


def counted(flows, **key):
    """Return a scenario with one uncertain parameter, evenly spread over -1 to 1."""
    data = {
        "format": 1,
        "name": "counted",
        "unit": "t",
        "years": "2000..2002",
        "parameters": {
            "x": {"unit": "t/yr", "distribution": "uniform", "low": -1, "high": 1, "range": "any"},
            "one": {"unit": "t/yr", "value": 1, "distribution": "constant"},
        },
        "processes": ["p"],
        "flows": flows,
    }
    return data | key


def test_negative_closed_flows_are_counted_draw_by_draw():
    """A balance that goes below zero in some year of a draw counts that draw once."""
    data = counted(
        {
            "a": {"from": "out", "to": "p", "value": "one"},
            "b": {"from": "p", "to": "end", "value": "one + where(year > 2000, x, 0)"},
            "c": {"from": "p", "to": "end"},
        }
    )
    plan = compile_plan(scenario(data), ["a", "b", "c", "x"])
    audit = Audit(plan)
    values = evaluate(plan, 1, range(100, 1100), audit=audit)
    assert audit.count("negative") == {"c": int((values["x"] > 1e-9).sum())}
    assert 400 < audit.count("negative")["c"] < 600
    assert audit.draws == 1000


def test_rounding_is_no_negative_flow():
    """A closed flow that is zero but for its last bits is not counted."""
    data = counted(
        {
            "a": {"from": "out", "to": "p", "value": "one + x / 3"},
            "b": {"from": "p", "to": "end", "value": "(one + x / 3) * 0.1"},
            "d": {"from": "p", "to": "end", "value": "(one + x / 3) * 0.7"},
            "e": {"from": "p", "to": "end", "value": "(one + x / 3) * 0.2"},
            "c": {"from": "p", "to": "end"},
        }
    )
    plan = compile_plan(scenario(data))
    audit = Audit(plan)
    values = evaluate(plan, 1, range(1000), audit=audit)
    assert values["c"].min() < 0
    assert audit.count("negative") == {"c": 0}


@pytest.mark.parametrize("looped", [False, True])
def test_clipped_draws_are_counted(looped):
    """Draws that reach beyond either end of clip() are counted, also inside a loop."""
    rule = "clip(x, -one / 2, one / 4)" + (" + lag(a)" if looped else "")
    data = counted(
        {
            "a": {"from": "out", "to": "p", "value": rule},
            "b": {"from": "p", "to": "end"},
        }
    )
    plan = compile_plan(scenario(data), ["a", "b", "x"])
    audit = Audit(plan)
    values = evaluate(plan, 1, range(1000), audit=audit)
    outside = (values["x"] < -0.5) | (values["x"] > 0.25)
    assert audit.count("clip") == {"a": int(outside.sum())}


def test_draws_outside_a_physical_range_are_counted():
    """The range that a parameter states, as before."""
    data = counted({"a": {"from": "out", "to": "p", "value": "x"}, "b": {"from": "p", "to": "end"}})
    data["parameters"]["x"] |= {"range": [-0.5, 0.75]}
    plan = compile_plan(scenario(data), ["a", "b", "x"])
    audit = Audit(plan)
    values = evaluate(plan, 1, range(1000), audit=audit)
    outside = (values["x"] < -0.5) | (values["x"] > 0.75)
    assert audit.count("range") == {"x": int(outside.sum())}


def test_the_centre_is_audited_like_a_draw():
    """One draw, with every parameter at its mean."""
    data = counted(
        {
            "a": {"from": "out", "to": "p", "value": "one"},
            "b": {"from": "p", "to": "end", "value": "2 * one"},
            "c": {"from": "p", "to": "end"},
        }
    )
    plan = compile_plan(scenario(data))
    audit = Audit(plan)
    evaluate_central(plan, audit)
    assert (audit.draws, audit.count("negative")) == (1, {"c": 1})


# --- from end to end ---------------------------------------------------------------------------


def cycle(share="r", **rate):
    """Return a cycle with new scrap, a stock and recycling of what it releases."""
    spread = rate or {"distribution": "beta", "value": 0.8, "cv": "5 %"}
    return {
        "format": 1,
        "name": "cycle",
        "unit": "t",
        "years": "2000..2009",
        "parameters": {
            "fed": {"unit": "t/yr", "value": 100, "distribution": "normal", "cv": "5 %"},
            "r": {"unit": "1", **spread},
            "life": {"unit": "yr", "value": 3, "distribution": "lognormal", "cv": "20 %"},
        },
        "processes": ["making", "use", "waste"],
        "flows": {
            "primary": {"from": "mine", "to": "making", "value": "fed"},
            "sales": {"from": "making", "to": "use"},
            "new_scrap": {"from": "making", "to": "waste", "share": "0.1"},
            "old": {"from": "use", "to": "waste"},
            "recycled": {"from": "waste", "to": "making", "share": share},
            "lost": {"from": "waste", "to": "dump"},
        },
        "stocks": {"in_use": {"process": "use", "lifetime": "weibull(life, 2)"}},
    }


def test_run_of_a_cycle_ends_with_its_worst_balance(cli, tmp_path):
    """The store says how well every process balances, and holds what the engine computes."""
    write(cycle(), tmp_path / "cycle")
    done = cli("run", "cycle", "-n", 600, "--seed", 3, "--dtype", "float64")
    assert (done.code, done.err) == (0, "")
    balance = json.loads(xr.open_zarr(tmp_path / "cycle.zarr").attrs["balance"])
    assert 0 < balance["worst"] < 64 * EPS
    assert balance["limit"] == 64 * EPS
    plan = compile_plan(ndmc.load(tmp_path / "cycle"))
    expected = evaluate(plan, 3, range(600))
    draws = ndmc.open(tmp_path / "cycle.zarr")
    for name, values in expected.items():
        assert_array_equal(draws[name].transpose(..., "draw").values, values, name)


def test_check_draws_the_system(cli, tmp_path):
    """Check lists what closes what, shows the loop and writes the diagram."""
    write(cycle(), tmp_path / "cycle")
    done = cli("check", "cycle", "--graph", "x.svg")
    assert (done.code, done.err) == (0, "")
    assert "it can be run" in done.out
    assert (tmp_path / "x.svg").read_text(encoding="utf-8").lstrip().startswith(("<svg", "<?xml"))


def test_check_refuses_a_loop_without_loss(cli, tmp_path):
    """A loop that returns all that enters it is wrong input, with the cycle and the line."""
    data = cycle(distribution="constant", value=1)
    data["flows"]["old"] |= {"from": "use", "to": "making"}
    data["flows"]["new_scrap"] |= {"share": "1"}
    del data["flows"]["sales"], data["flows"]["old"], data["stocks"]
    data["processes"] = ["making", "waste"]
    data["flows"]["rest"] = {"from": "making", "to": "dump"}
    write(data, tmp_path / "cycle")
    for command in (["check", "cycle"], ["run", "cycle", "-n", 10]):
        done = cli(*command)
        assert done.code == 2, done
        assert "scenario.yaml:" in done.err
        assert "returns at least all that enters it" in done.err
        assert "recycled" in done.err
    assert not (tmp_path / "cycle.zarr").exists()


def gaining():
    """Return a loop that loses nothing in a tenth of the draws, but enough at the mean."""
    data = cycle(distribution="discrete", values=[0.5, 1.0], weights=[0.9, 0.1])
    data["flows"] = {
        "primary": {"from": "mine", "to": "making", "value": "fed"},
        "sales": {"from": "making", "to": "waste"},
        "recycled": {"from": "waste", "to": "making", "share": "r"},
        "lost": {"from": "waste", "to": "dump"},
    }
    data["processes"], data["stocks"] = ["making", "waste"], {}
    del data["parameters"]["life"]
    return data


def test_run_stops_at_draws_whose_loop_loses_nothing(tmp_path, cli):
    """Found draw by draw: how many of how many, and the cycle; exit 1, nothing finished."""
    folder = write(gaining(), tmp_path / "cycle")
    with pytest.raises(RunError, match=r"returns at least all .* in \d+ of \d+ draws \(0\.\d+\)"):
        ndmc.run(folder, 1000, seed=1, out=tmp_path / "run.zarr")
    done = cli("run", "cycle", "-n", 1000)
    assert done.code == 1
    assert "recycled -> sales" in done.err or "sales -> recycled" in done.err


def test_a_run_that_does_not_balance_is_stopped(tmp_path, monkeypatch):
    """Whatever breaks a balance: process, year and draw are named, and the run fails."""
    folder = write(cycle(), tmp_path / "cycle")
    monkeypatch.setattr("ndmc.engine.refusals.LIMIT", 1e-30)
    with pytest.raises(RunError, match=r"process '\w+' is out of balance in \d{4} in draw \d+, by"):
        ndmc.run(folder, 100, seed=1, out=tmp_path / "run.zarr")


def test_a_scenario_without_loops_balances_too(tmp_path):
    """It has a worst balance as well."""
    ndmc.run(write_scenario(tmp_path / "tiny"), 100, seed=1, out=tmp_path / "run.zarr")
    assert ndmc.info(tmp_path / "run.zarr").balance["worst"] < 64 * EPS
