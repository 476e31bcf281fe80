"""What compiling takes: the memory of the dims that numbers have, not of all dims there are."""

import tracemalloc

import pytest
from one_stock import certain, model
from strategies import scenario

from ndmc.model import compile_plan

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
