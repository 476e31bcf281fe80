"""Groups of inputs: which random streams move together, by what name, and made again from it."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import bundled, scenario

from ndmc.errors import InputError
from ndmc.model import compile_plan
from ndmc.plan.input_groups import groups_from, input_groups, resolved, stream_names

LABELS = {"product": ["car", "Fe, cast", "common"], "region": ["north", "south"]}
YEARS = [str(year) for year in range(2000, 2005)]
KINDS = ("shared", "independent", "ar1(0.5)", "mixed(0.5)")


def uncertain(dims=(), kinds=(), **key):
    """Return a parameter whose errors hang together in some way along each of its dims."""
    spread = {"distribution": "normal", "cv": 0.1} if "grade" not in key else {}
    errors = dict(zip(dims, kinds, strict=True))
    return {"unit": "t/yr", "dims": list(dims), "value": 5, "errors": errors, **spread, **key}


def study(parameters, **key):
    """Return a scenario with one flow for each parameter."""
    dims = {name: [d for d in p["dims"] if d != "year"] for name, p in parameters.items()}
    return scenario(
        {
            "format": 1,
            "name": "grouped",
            "unit": "t",
            "years": f"{YEARS[0]}..{YEARS[-1]}",
            "dims": LABELS,
            "grades": {
                "good": {"distribution": "normal", "cv": 0.1},
                "poor": {"distribution": "normal", "cv": 0.3},
                "exact": {"distribution": "constant"},
            },
            "parameters": parameters,
            "processes": ["middle"],
            "flows": {
                **{
                    f"of_{name}": {"from": "outside", "to": "middle", "dims": d, "value": name}
                    for name, d in dims.items()
                },
                "closed": {"from": "middle", "to": "sink"},
            },
            **key,
        }
    )


def groups(loaded, by="", keep=None):
    """Return the groups of a scenario, and hold them against what is made again of their names."""
    samplers = compile_plan(loaded, keep).samplers
    found = input_groups(loaded, samplers, by)
    stored = json.loads(json.dumps(resolved(found)))
    assert groups_from(loaded, samplers, stored) == found
    return found


def members(loaded, by="", keep=None):
    """Return the members of each group by its name."""
    return {group.name: group.members for group in groups(loaded, by, keep)}


@st.composite
def parameters(draw):
    """Draw some parameters of any dims and errors."""
    found = {}
    for n in range(draw(st.integers(1, 3))):
        dims = draw(st.lists(st.sampled_from([*LABELS, "year"]), unique=True))
        kinds = draw(st.lists(st.sampled_from(KINDS), min_size=len(dims), max_size=len(dims)))
        found[f"x{n}"] = uncertain(dims, kinds, grade=draw(st.sampled_from(["good", "poor"])))
    return found


@settings(deadline=None, max_examples=30)
@given(given=parameters(), by=st.sampled_from(["parameter", "label:product", "grade", "source"]))
def test_every_stream_is_in_one_group(given, by):
    """Groups part the streams of all parameters, and are made again from their names."""
    loaded = study({**given, "own": uncertain(["product"], ["independent"])})
    samplers = compile_plan(loaded).samplers
    every = np.concatenate([sampler.streams for sampler in samplers]).tolist()
    found = groups(loaded, by)
    streams = [stream for group in found for stream in group.streams]
    assert sorted(streams) == sorted(every)
    assert all(group.streams for group in found)


@settings(deadline=None, max_examples=30)
@given(given=parameters(), data=st.data())
def test_any_streams_have_names(given, data):
    """Names of any streams are read as just these, few or one by one."""
    loaded = study(given)
    for sampler in compile_plan(loaded).samplers:
        names = stream_names(loaded.dims, sampler)
        assert len({*names}) == len(sampler.streams)
        picked = data.draw(st.sets(st.sampled_from(names), min_size=1))
        stored = [["picked", sorted(picked)]]
        [found] = (g for g in groups_from(loaded, [sampler], stored) if g.name == "picked")
        expected = {s for s, n in zip(sampler.streams.tolist(), names, strict=True) if n in picked}
        assert {*found.streams} == expected
        assert groups_from(loaded, [sampler], [["picked", found.members]])[0] == found


def test_names_say_what_an_error_is_of():
    """A name has the labels that the error is of; what is common to all is called so."""
    given = {
        "content": uncertain(["product"], ["independent"]),
        "output": uncertain(["region", "year"], ["mixed(0.5)", "shared"]),
        "scale": uncertain(),
    }
    loaded = study(given)
    names = [stream_names(loaded.dims, sampler) for sampler in compile_plan(loaded).samplers]
    assert names == [
        ["content[product=car]", "content[product='Fe, cast']", "content[product=common]"],
        ["output[region=common]", "output[region=north]", "output[region=south]"],
        ["scale"],
    ]
    mixed = study({"x": uncertain(["product"], ["mixed(0.5)"])})
    [sampler] = compile_plan(mixed).samplers
    assert stream_names(mixed.dims, sampler)[0] == "x[product=(common)]"


def test_by_parameter_is_the_default():
    """Each uncertain parameter that is read is a group; certain ones are none."""
    given = {"a": uncertain(), "b": uncertain(grade="exact"), "c": uncertain(["year"], ["shared"])}
    assert members(study(given)) == {"a": ("a",), "c": ("c",)}
    assert members(study(given), keep=["of_c"]) == {"c": ("c",)}


def test_correlated_parameters_are_one_group():
    """They are named together, with those a parameter is mixed of that nothing else reads."""
    matrix = [{"parameters": ["c", "a"], "matrix": [[1, 0.5], [0.5, 1]]}]
    loaded = study({name: uncertain() for name in "abc"}, correlations=matrix)
    assert members(loaded) == {"a + c": ("a", "c"), "b": ("b",)}
    assert members(loaded, keep=["of_a"]) == {"a + c": ("a", "c")}
    assert members(loaded, keep=["of_c"]) == {"c": ("c",)}


def test_by_label():
    """What has an error for each label is parted by them; what is common to them is not."""
    given = {
        "own": uncertain(["region", "year"], ["independent", "ar1(0.9)"]),
        "both": uncertain(["region"], ["mixed(0.5)"]),
        "shared": uncertain(["region"], ["shared"]),
    }
    assert members(study(given), "label:region") == {
        "region=north": ("own[region=north]", "both[region=north]"),
        "region=south": ("own[region=south]", "both[region=south]"),
        "rest of both": ("both[region=common]",),
        "shared": ("shared",),
    }
    assert members(study(given), "label:year")["year=2003"] == ("own[year=2003]",)


def test_by_grade_and_source():
    """A stream is in the group of the grades, or sources, of the cells that it serves."""
    loaded = bundled("starter")
    assert members(loaded, "grade") == {
        "statistics": ("production[product=phone,car]",),
        "literature": ("production[product=bicycle]", "content", "lifetime_scale"),
        "no grade": ("process_loss", "collection_rate"),
    }
    assert {group.name: group.grade for group in groups(loaded, "grade")} == {
        "statistics": "statistics",
        "literature": "literature",
        "no grade": "",
    }
    assert [*members(loaded, "source")] == ["invented", "no source"]


def test_a_score_of_several_grades():
    """A common score serves cells of several grades, which are one group for it."""
    found = members(bundled("china_nd"), "grade")
    assert found["literature + assumption + official"] == ("concentrate_output[year=common]",)
    matrix = [{"parameters": ["a", "b"], "matrix": [[1, 0.5], [0.5, 1]]}]
    given = {"a": uncertain(grade="good"), "b": uncertain(grade="poor")}
    assert members(study(given, correlations=matrix), "grade") == {"good + poor": ("a", "b")}


@pytest.mark.parametrize(
    ("by", "told"),
    [
        ("label:prodct", "there is no dim 'prodct'; did you mean 'product'?"),
        ("label:year", "no parameter has errors of its own for each label of 'year'"),
        ("grades", "no way of grouping is called 'grades'; did you mean 'grade'?"),
    ],
)
def test_ways_that_there_are_not(by, told):
    """What is no way of grouping is refused with those there are."""
    loaded = study({"a": uncertain(["product"], ["independent"])})
    with pytest.raises(InputError, match=told[:20]) as wrong:
        groups(loaded, by)
    assert wrong.value.message.startswith(told)
    assert wrong.value.where == "--groups"


def test_nothing_uncertain():
    """Where nothing that is asked is uncertain there is nothing to share out."""
    loaded = study({"a": uncertain(grade="exact"), "b": uncertain()})
    with pytest.raises(InputError, match="depends on an uncertain parameter"):
        groups(loaded, keep=["of_a"])
