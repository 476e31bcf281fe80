"""How far draws go beyond what is right: as NumPy finds it in them, however they are cut."""

import functools
import itertools

import numpy as np
import pytest
from one_stock import model
from strategies import scenario

from ndmc.engine.audit import Audit
from ndmc.engine.evaluation import evaluate
from ndmc.model import compile_plan
from ndmc.plan.findings import further

DRAWS = 1500
CUTS = ([0, DRAWS], [0, 1, 255, 257, 700, DRAWS])
LABELS = {"product": ("a", "b"), "year": tuple(map(str, range(2000, 2004)))}
SPREAD = {"distribution": "normal", "value": 0, "sd": 1, "range": "any"}
SPREAD |= {"errors": {"product": "independent", "year": "independent"}}
X = {"unit": "kg/yr", "dims": ["product", "year"], **SPREAD}
LEVEL = {"unit": "t", "dims": ["product", "year"], **SPREAD, "value": 3}
S = np.exp(-(((np.arange(2) + 0.5) / 7) ** 2))


def flows(first, second, **x):
    """Return a process with two flows, the second closed by its balance if there is no rule."""
    rule = {"value": second} if second else {}
    data = model("fixed(3)", [0.0] * 4, parameters={"x": X | x})
    data["dims"]["product"] = ["a", "b"]
    data["processes"].append("p")
    data["flows"]["a"] = {"from": "out", "to": "p", "dims": ["product"], "value": first}
    data["flows"]["c"] = {"from": "p", "to": "end", "dims": ["product"], **rule}
    return data


def driven(answer="report", lifetime="weibull(7, 2)", **level):
    """Return a stock that follows a level that is drawn anew in each year."""
    own = {
        "level": LEVEL | level,
        "life": {"unit": "yr", "value": 0.5, "distribution": "lognormal", "cv": 0.3},
    }
    data = model(lifetime, [0.0] * 4, parameters=own, value="level", negative_inflow=answer)
    data["dims"]["product"] = ["a", "b"]
    for part in (*data["flows"].values(), *data["stocks"].values()):
        part["dims"] = ["product"]
    if "life" not in lifetime:
        del data["parameters"]["life"]
    return data


def left_of(values):
    """Return what is in use at the end of 2001 of what flowed in in 2000."""
    return values["level"][:, 0] / S[0] * S[1]


YEARLY, OWN = ("product", "year"), ("a", "c", "x", "held")
CASES = {
    "negative": (flows("x", ""), YEARLY, "t/yr", lambda v: -v["c"]),
    "given_negative": (flows("x", ""), YEARLY, "t/yr", lambda v: -v["a"]),
    "range": (
        flows("x", "", range=[-0.5, 0.75]),
        YEARLY,
        "kg/yr",
        lambda v: np.maximum(-0.5 - v["x"], v["x"] - 0.75),
    ),
    "negative_stock": (driven(), YEARLY, "t", lambda v: -v["level"]),
    "negative_inflow": (driven(value=9), YEARLY, "t/yr", lambda v: -v["sales"]),
    "clipped_inflow": (driven("clip", value=9), YEARLY, "t", lambda v: v["held"] - v["level"]),
    "short_start": (
        driven(lifetime="weibull(life, 2)", value=9, sd=0.001),
        ("product",),
        "1",
        lambda v: 0.2 - np.exp(-((0.5 / v["life"]) ** 2)) + np.zeros((2, 1)),
    ),
}  # fmt: skip


def drawn(kind):
    """Return the plan of a case, its draws, and its audits of them in pieces of each cut."""
    loaded = scenario(CASES[kind][0])
    file = loaded.file
    plan = compile_plan(loaded, [*file.flows, *file.stocks, *file.parameters])
    audits = []
    for cut in CUTS:
        pieces = []
        for first, stop in itertools.pairwise(cut):
            pieces.append(Audit(plan))
            evaluate(plan, 3, range(first, stop), audit=pieces[-1])
        audits.append(pieces)
    return plan, evaluate(plan, 3, range(DRAWS)), audits


@pytest.mark.parametrize("kind", CASES)
def test_the_most_is_that_of_all_draws(kind):
    """How much, between which years and in which cell and draw, as NumPy finds it in the draws."""
    _, dims, unit, excess = CASES[kind]
    plan, values, audits = drawn(kind)
    number = next(n for n, w in enumerate(plan.watches) if w.kind == kind and w.name in OWN)
    far = excess(values)
    cell = np.unravel_index(np.argmax(far.max(axis=-1)), far.shape[:-1])
    labels = [LABELS[dim][n] for dim, n in zip(dims, cell, strict=True)]
    for pieces in audits:
        found = functools.reduce(
            further, (p.extents[number] for p in pieces if number in p.extents), None
        )
        assert found.most == pytest.approx(far.max(), rel=1e-9)
        assert found.draw == np.argmax(far[cell])
        assert found.place == ", ".join(labels)
        if "year" in dims:
            years = 2000 + np.flatnonzero((far > 1e-9).any(axis=(0, 2)))
            assert (found.first, found.last) == (years[0], years[-1])
        else:
            assert (found.first, found.last) == (0, 0)
    assert plan.watches[number].unit == unit
    assert sum(piece.counts[number] for piece in audits[1]) == audits[0][0].counts[number]


def test_early_retirement_is_measured_by_what_is_missing():
    """What the cohorts leave, less what the stock is to be, in the worst year."""
    loaded = scenario(driven("early_retirement", value=9))
    plan = compile_plan(loaded, ["level", "held", "sales"])
    audit = Audit(plan)
    values = evaluate(plan, 3, range(DRAWS), audit=audit)
    (extent,) = (
        audit.extents[n] for n, w in enumerate(plan.watches) if w.kind == "early_retirement"
    )
    least = (left_of(values) - values["level"][:, 1]).max()
    assert extent.most >= least * (1 - 1e-9) > 1
    assert extent.place in ("a", "b")
    assert (extent.first, extent.last) == (0, 0)


def test_an_inflow_that_nothing_reads_is_only_counted():
    """Where the plan does not compute it there is no amount; where it does there is."""
    loaded = scenario(driven(value=9))
    for keep, known in (["held"], False), (["held", "sales"], True):
        plan = compile_plan(loaded, keep)
        audit = Audit(plan)
        evaluate(plan, 3, range(300), audit=audit)
        (number,) = (n for n, w in enumerate(plan.watches) if w.kind == "negative_inflow")
        assert audit.counts[number] > 0
        assert (number in audit.extents) == known
