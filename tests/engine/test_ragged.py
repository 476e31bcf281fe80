"""Labels that belong to others: the same numbers as with all of them, without what is not there."""

import re

import numpy as np
import pytest
from ragged import CELLS, padded, ragged
from strategies import scenario

import ndmc


def evaluated(data, draws=96):
    """Return the plan of a scenario and its draws."""
    plan = ndmc.compile_plan(scenario(data))
    return plan, ndmc.evaluate(plan, 5, range(draws))


def of_uses(values, dims, cell):
    """Return what an array with every use of every metal has of those that exist."""
    metal, use = dims.index("metal"), dims.index("use")
    some = [np.take(np.take(values, u, axis=use), m, axis=metal) for m, u in cell]
    return np.stack(some, axis=metal)


ERRORS = [
    {"metal": metal, "use": use}
    for metal in ("shared", "independent", "mixed(0.3)")
    for use in ("shared", "independent", "mixed(0.5)")
]


@pytest.mark.parametrize("errors", ERRORS, ids=lambda errors: "-".join(errors.values()))
def test_cells_have_the_bits_that_they_have_among_all(errors):
    """Whatever else there might be, a cell is drawn and computed alike."""
    data = ragged(**errors)
    plan, found = evaluated(data)
    every_plan, every = evaluated(padded(data))
    metals = plan.dims.labels["metal"]
    uses = every_plan.dims.labels["use"]
    cells = [(metals.index(metal), uses.index(use)) for metal, use in CELLS]
    for output in plan.outputs:
        wide = every_plan.output(output.name).dims
        wanted = of_uses(every[output.name], wide, cells) if "use" in wide else every[output.name]
        np.testing.assert_array_equal(found[output.name], wanted, err_msg=output.name)


def test_nothing_is_computed_for_what_is_not_there():
    """Rows, cells and streams are those of what exists."""
    plan, _ = evaluated(ragged(), draws=1)
    assert plan.output("in_use").dims == ("use", "year")
    assert plan.dims.size(plan.output("in_use").dims) == len(CELLS) * 11
    (wear,) = (sampler for sampler in plan.samplers if sampler.name == "wear")
    assert len(wear.streams) == len(CELLS) + len({use for _, use in CELLS})


#: What is made of uses, and the same of the cells of each metal, [use of the metal, year, draw].
REDUCED = {
    "max(in_use, over=use)": lambda held: held.max(0),
    "min(in_use, over=use)": lambda held: held.min(0),
    "mean(in_use, over=use)": lambda held: held.mean(0),
    "prod(1 + in_use / (50 t), over=use)": lambda held: np.prod(1 + held / 50, axis=0),
    "max(peak_year(in_use), over=use)": lambda held: 2000.0 + held.argmax(1).max(0),
    "sum(where(metal == lithium and use in [laptop], 0, in_use), over=use)": (
        lambda held: held[0] if len(held) == 2 else held.sum(0)
    ),
    "at(in_use, use=[vehicle, tv, phone])": (
        lambda held: held[0] + (held[2] if len(held) > 2 else 0 * held[0])
    ),
}


def test_functions_over_uses_are_those_of_the_uses_of_each_metal():
    """Every reduction leaves the metals; over both dims nothing is left."""
    data = ragged()
    every = ("mean(in_use, over=[use, metal])", "max(in_use, over=[metal, use])")
    data["indicators"] |= {f"i_{n}": text for n, text in enumerate([*REDUCED, *every])}
    some = {"2000": "sum(in_use, over=use)", "else": "max(in_use, over=use)"}
    data["indicators"]["by_year"] = {"value": some}
    plan, found = evaluated(data)
    held = found["in_use"]
    wanted = np.stack([held[:2].max(0), held[2:].max(0)])
    wanted[:, 0] = held[:2, 0].sum(0), held[2:, 0].sum(0)
    np.testing.assert_allclose(found["by_year"], wanted, rtol=1e-14)
    for n, of_uses in enumerate(REDUCED.values()):
        wanted = np.stack([of_uses(held[:2]), of_uses(held[2:])])
        np.testing.assert_allclose(found[f"i_{n}"], wanted, rtol=1e-14, err_msg=str(n))
        assert plan.output(f"i_{n}").dims[0] == "metal"
    for n, whole in enumerate([held.mean(0), held.max(0)], len(REDUCED)):
        np.testing.assert_allclose(found[f"i_{n}"], whole, rtol=1e-14)


def test_a_loop_reduces_over_the_uses_of_each_metal():
    """The largest use of the year before, of a flow that is made of it."""
    data = ragged()
    data["processes"].append("mill")
    made = "(max(lag(made), over=use) * share + sum(lag(made), over=use) / 9 + 1 t/yr)"
    data["flows"]["made"] = {"from": "ground", "to": "mill", "dims": ["use"], "value": made}
    data["flows"]["sold"] = {"from": "mill", "to": "lost", "dims": ["use"]}
    _, found = evaluated(data)
    made, share = found["made"], np.array([0.7, 0.3, 0.5, 0.3, 0.2])[:, np.newaxis]
    for year in range(1, made.shape[1]):
        for own in (slice(0, 2), slice(2, 5)):
            before = made[own, year - 1]
            wanted = before.max(0) * share[own] + before.sum(0) / 9 + 1
            np.testing.assert_allclose(made[own, year], wanted, rtol=1e-14)


def test_errors_may_hang_together_by_what_labels_belong_to():
    """One error for each metal, which serves all its uses; not said twice."""
    said, alone = (
        evaluated(ragged(**errors))[1]["in_use"]
        for errors in ({"metal": "independent", "use": "shared"}, {"use": "by metal"})
    )
    np.testing.assert_array_equal(alone, said)
    graded = ragged() | {"grades": {"lives": {"errors": {"use": "by metal"}}}}
    graded["grades"]["lives"] |= {"distribution": "lognormal", "cv": 0.1}
    graded["parameters"]["life"] |= {"grade": "lives", "errors": {}}
    np.testing.assert_array_equal(evaluated(graded)[1]["in_use"], said)
    graded["parameters"]["life"]["errors"] = {"metal": "independent", "use": "shared"}
    np.testing.assert_array_equal(evaluated(graded)[1]["in_use"], said)
    with pytest.raises(ndmc.InputError, match="errors along 'use' 'by metal' say those along"):
        scenario(ragged(use="by metal", metal="shared"))
    with pytest.raises(ndmc.InputError, match="errors along 'use' are 'by product'; choose"):
        scenario(ragged(metal="shared", use="by product"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("at(in_use, metal=indium)", "each use belongs to one metal; sum(..., over=use) first"),
        ("sum(in_use, over=metal)", "each use belongs to one metal; sum(..., over=use) first"),
        ("at(in_use, metal=indium, use=vehicle)", "no use vehicle belongs to the metal indium"),
        ("at(stock, use=laptop)", "cannot pick use=laptop: the argument has the dims"),
    ],
)
def test_what_is_not_there_is_refused(text, told):
    """Sums and labels of dims that are not there, or not together."""
    data = ragged()
    data["indicators"]["wrong"] = text
    with pytest.raises(ndmc.InputError, match=re.escape(told)):
        ndmc.compile_plan(scenario(data))


@pytest.mark.parametrize(
    "text",
    [
        "at(in_use, metal=indium, use=laptop)",
        "at(in_use, use=laptop, metal=indium)",
        "at(at(in_use, use=laptop), metal=indium)",
    ],
)
def test_labels_are_picked_in_any_order(text):
    """The metal may come first."""
    data = ragged()
    data["indicators"] = {"one": text}
    _, found = evaluated(data, draws=8)
    np.testing.assert_array_equal(found["one"], found["in_use"][CELLS.index(("indium", "laptop"))])


WRONG_LABELS = [
    ({"a": ["x", "x"], "b": ["y"]}, "the label 'x' stands twice; keep one"),
    ({"a": ["x"]}, "no labels of 'use' for the k 'b'; every one has some"),
    ({"a": ["x"], "b": ["y"], "c": ["z"]}, "'c' is no label of 'k'"),
    ({"a": ["x"], "b": []}, "the labels of 'use' for the k 'b' are a list of at least one"),
    (["x", "y"], "labels of 'use' stand behind the k that they belong to, such as {a: [...], ...}"),
]


@pytest.mark.parametrize(("labels", "told"), WRONG_LABELS)
def test_labels_stand_behind_what_they_belong_to(labels, told):
    """Each once behind its parent, of which each has some."""
    data = ragged()
    data["dims"] |= {"k": ["a", "b"], "use": {"of": "k", "labels": labels}}
    with pytest.raises(ndmc.InputError, match=re.escape(told)):
        scenario(data)


def test_dims_that_belong_to_each_other_are_refused():
    """A circle, and a dim that there is not."""
    data = ragged()
    data["dims"]["metal"] = {"of": "use", "labels": {"vehicle": ["lithium"]}}
    with pytest.raises(ndmc.InputError, match="in a circle: metal of use of metal"):
        scenario(data)
    data["dims"]["metal"] = {"of": "mettal", "labels": {"vehicle": ["lithium"]}}
    with pytest.raises(ndmc.InputError, match="unknown dim 'mettal'"):
        scenario(data)


def test_labels_may_belong_to_what_belongs_to_others():
    """A chain of three: sums leave one dim after the other."""
    uses = {"a": {"x": ["p", "q"], "y": ["p"]}, "b": {"x": ["r"]}}
    data = ragged() | {
        "dims": {
            "k": ["a", "b"],
            "use": {"of": "k", "labels": {k: [*some] for k, some in uses.items()}},
            "part": {"of": "use", "labels": uses},
        },
        "parameters": {
            "x": {
                "unit": "1",
                "dims": ["part"],
                "value": {"a": {"x": {"p": 1, "q": 2}, "y": {"p": 4}}, "b": {"x": {"r": 8}}},
                "distribution": "constant",
            },
            "w": {"unit": "t/yr", "value": 1, "distribution": "constant"},
        },
        "flows": {
            "enter": {
                "from": "outside",
                "to": "m",
                "value": "sum(x, over=[k, use, part]) * 1 t/yr",
            },
            "leave": {"from": "m", "to": "sink"},
        },
        "processes": ["m"],
        "stocks": {},
        "indicators": {
            "uses": "sum(x, over=part)",
            "kinds": "sum(x, over=[part, use])",
            "all": "sum(x, over=[part, use, k])",
            "share": "x / sum(x, over=[part, use])",
        },
    }
    _, found = evaluated(data, draws=1)
    assert found["uses"].ravel().tolist() == [3, 4, 8]
    assert found["kinds"].ravel().tolist() == [7, 8]
    assert found["all"].ravel().tolist() == [15]
    np.testing.assert_array_equal(found["share"].ravel(), np.array([1, 2, 4, 8]) / [7, 7, 7, 8])


def test_labels_of_two_dims_may_belong_to_others():
    """A flow by use and town balances with one by metal and country."""
    uses, towns = {"a": ["x", "y"], "b": ["x"]}, {"p": ["r"], "q": ["r", "s"]}
    value = {"a": {"x": 1, "y": 10}, "b": {"x": 100}}
    factor = {"p": {"r": 1}, "q": {"r": 2, "s": 3}}
    known = {"unit": "1", "distribution": "constant"}
    data = ragged() | {
        "dims": {
            "m": [*uses],
            "u": {"of": "m", "labels": uses},
            "c": [*towns],
            "t": {"of": "c", "labels": towns},
        },
        "parameters": {
            "v": known | {"unit": "t/yr", "dims": ["u"], "value": value},
            "w": known | {"dims": ["t"], "value": factor},
        },
        "processes": ["k"],
        "flows": {
            "into": {"from": "o", "to": "k", "dims": ["u", "t"], "value": "v * w"},
            "out": {"from": "k", "to": "z", "dims": ["m", "c"]},
        },
        "stocks": {},
        "indicators": {},
    }
    _, found = evaluated(data, draws=1)
    np.testing.assert_array_equal(found["out"][..., 0, 0], [[11, 55], [100, 500]])
