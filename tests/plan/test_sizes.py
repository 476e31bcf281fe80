"""What compiling takes: the memory of the dims that numbers have, not of all dims there are."""

import re
import tracemalloc

import pytest
from one_stock import certain, model
from strategies import scenario, write

import ndmc
from ndmc import InputError
from ndmc.engine.evaluation import code_of
from ndmc.model import compile_plan
from ndmc.plan.memory import MACHINE, limits

MIB = 2**20
UNRELATED = {
    dim: {"labels": [f"{dim}{n}" for n in range(30)]} for dim in ("region", "grade", "use")
}


def peak_of_compiling(data):
    """Return the most bytes held at once while a scenario is compiled."""
    loaded = scenario(data)
    tracemalloc.start()
    try:
        compile_plan(loaded)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "stock",
    [
        {"inflow_at": "uniform"},
        {"initial": {"value": "held_before", "age": "stationary"}},
        {"removals": {"lost": "lost_share", "sold": "lost_share"}},
    ],
    ids=["uniform", "initial", "removals"],
)
def test_dims_that_a_stock_has_not_cost_nothing(stock):
    """A stock without dims takes no more beside 27,000 combinations of labels: 13 MB to 7 GB."""
    own = {
        "held_before": certain("t", 1.0),
        "lost_share": certain("1", {str(age): 0.01 for age in range(30)}, "age"),
    }
    age = {"age": {"labels": [str(age) for age in range(30)]}}
    data = model("lognormal(6, 3)", parameters=own, dims=UNRELATED | age, **stock)
    assert peak_of_compiling(data) < 8 * MIB


def test_many_lifetimes_are_integrated_some_at_a_time():
    """Two thousand lifetimes that differ are 4.1 GB at once, over 640 nodes a year."""
    labels = [f"l{n}" for n in range(2000)]
    means = {label: 0.5 + n / 100 for n, label in enumerate(labels)}
    data = model(
        "lognormal(mean=mean, sd=spread)",
        parameters={
            "mean": certain("yr", means, "kind"),
            "spread": certain("yr", 0.05),
            "given": certain("t/yr", dict.fromkeys(labels, 1.0), "kind"),
        },
        dims={"kind": {"labels": labels}},
        inflow_at="uniform",
    )
    data["stocks"]["held"]["dims"] = ["kind"]
    for flow in data["flows"].values():
        flow["dims"] = ["kind"]
    assert peak_of_compiling(data) < 64 * MIB


def product_of(*counts, to="flow"):
    """Return a scenario in which parameters of one dim each are multiplied, and then added up."""
    dims = {f"d{n}": [f"l{n}_{at}" for at in range(count)] for n, count in enumerate(counts)}
    factors = {
        f"p{n}": certain("1", dict.fromkeys(dims[f"d{n}"], 0.5), f"d{n}") for n in range(len(dims))
    }
    names = [*factors]
    text = " * ".join(f"({' * '.join(pair)})" for pair in zip(names[::2], names[1::2], strict=True))
    for dim in dims:
        text = f"sum({text}, over={dim})"
    data = model(
        "weibull(7, 2)", parameters=factors, dims={d: {"labels": ls} for d, ls in dims.items()}
    )
    if to == "flow":
        data["flows"]["sales"]["value"] = f"given * {text}"
    else:
        data["stocks"]["held"]["lifetime_factor"] = text
    return data


@pytest.mark.parametrize("to", ["flow", "factor"])
def test_what_no_machine_holds_is_refused_by_check(to, tmp_path, cli):
    """Four dims of 600 labels at once are 1.3e11 values: refused before any is allocated."""
    folder = write(product_of(*[600] * 4, to=to), tmp_path / "wide")
    done = cli("check", str(folder))
    assert done.code == 2
    assert re.search(r"TiB to compile, but this machine has [\d.]+ \wiB; write it with", done.err)


def test_a_container_has_less_than_its_machine(tmp_path):
    """Control groups lie in each other, and the least of their limits holds; most have none."""
    groups, root = tmp_path / "cgroup", tmp_path / "sys"
    (root / "jobs" / "mine").mkdir(parents=True)
    assert [*limits(groups, root)] == []
    groups.write_text("1:cpu:/other\n0::/jobs/mine\n")
    (root / "jobs" / "mine" / "memory.max").write_text("max\n")
    assert [*limits(groups, root)] == []
    (root / "jobs" / "memory.max").write_text("1073741824\n")
    assert [*limits(groups, root)] == [2**30]
    assert MACHINE.most > 0


def test_compiling_is_bounded_by_the_memory_asked_for(tmp_path):
    """Of a run by --memory; a plan can be told, too. Half as much again lets it pass."""
    loaded = scenario(product_of(100, 20, 100, 1))
    message = (
        "--memory: .* rows, .* of them for one step, take .* MiB to compile, but at most 16 MiB"
    )
    with pytest.raises(InputError, match=message):
        ndmc.run(loaded, 10, seed=1, out=tmp_path / "x.zarr", memory=16 * MIB)
    assert not (tmp_path / "x.zarr").exists()
    plan = compile_plan(loaded, memory=16 * MIB)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=message):
            code_of(plan)
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
        tracemalloc.reset_peak()
        code_of(compile_plan(loaded, memory=64 * MIB))
        assert tracemalloc.get_traced_memory()[1] < 64 * MIB
    finally:
        tracemalloc.stop()
