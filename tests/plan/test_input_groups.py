"""Groups of inputs: which random streams move together, by what name, and made again from it."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import bundled, scenario

from ndmc.errors import InputError, StudyWarning
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


def study(parameters, variant="", **key):
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
        },
        variant=variant,
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
        ("x" * 300, f"no way of grouping is called {'x' * 300!r}, and no file; choose one of"),
        ("grades", "no way of grouping is called 'grades', and no file; did you mean 'grade'?"),
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


GIVEN = {
    "a": uncertain(["product"], ["independent"]),
    "b": uncertain(["product"], ["independent"]),
    "c": uncertain(["region", "year"], ["mixed(0.5)", "ar1(0.5)"]),
    "sure": uncertain(["region"], ["shared"], grade="exact"),
}
MATRIX = [{"parameters": ["a", "b"], "matrix": [[1, 0.5], [0.5, 1]]}]


def named(named_groups):
    """Return a scenario with two correlated parameters, and groups that it names."""
    return study(GIVEN, correlations=MATRIX, sensitivity={"groups": named_groups})


def test_named_groups():
    """Names pick parameters or some of their errors; what is in no group is one by parameter."""
    use = ["a", "b", "c[year=2001..2003, region=south]", "sure"]
    assert members(named({"use": use, "rest": "*"})) == {
        "use": ("a", "b", "c[region=south,year=2001..2003]"),
        "rest": ("c[region=common,north]", "c[region=south,year=2000,2004]"),
    }
    assert members(named({"early": "c[2000]"})) == {
        "early": ("c[year=2000]",),
        "a + b": ("a", "b"),
        "rest of c": ("c[year=2001..2004]",),
    }
    car = named({"cars": ["a[car]", "b[product=car]"]})
    assert [*members(car)] == ["cars", "rest of a + b", "c"]
    assert [*members(car, "parameter")] == ["a + b", "c"]


def test_named_groups_of_a_file(tmp_path):
    """A file has the same groups, below a key or alone."""
    bare = "two: [a, b]\nrest: '*'\n"
    below = "groups:\n  two: [a, b]\n  rest: '*'\n"
    for number, text in enumerate([bare, below]):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text, encoding="utf-8")
        assert members(named({"other": "c"}), str(path)) == {"two": ("a", "b"), "rest": ("c",)}


def test_groups_that_nothing_asked_depends_on():
    """They are left out, and that is said."""
    with pytest.warns(
        StudyWarning, match=r":\d+: nothing that is asked depends on the group 'two'"
    ):
        assert members(named({"two": ["a", "b"], "more": "c"}), keep=["of_c"]) == {"more": ("c",)}


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("use: [cc]", 1, "'cc' is no parameter; did you mean 'c'?"),
        ("use: a, b", 1, "'a, b' is no parameter; write several as a list: [a, b]"),
        ("use: 'c[year=1999]'", 1, "1999 lies before the years of the scenario, 2000..2004"),
        ("use: 'c[region=est]'", 1, "region has no label 'est'; choose one of"),
        ("use: 'c[product=car]'", 1, "'c' has no dim 'product'; choose one of 'region', 'year'"),
        ("use: 'c[]'", 1, "there is no label in the brackets; write c for all"),
        ("use: 'c[region=north'", 1, "'c[region=north' ends within its brackets; write"),
        ("use:\n- c\n- sure\nlate: ['c[2003]']", 4, "c[year=2003] is in two groups, 'use' and 'l"),
        ("use: '*'\nlate: ['*']", 2, "both 'use' and 'late' are '*', all that is in no other"),
        (
            "more: c\nuse: [a]",
            2,
            "'a' is in the group 'use' and 'b' is in no group, but they are c",
        ),
        ("one: a\nuse: b", 2, "'a' is in the group 'one' and 'b' is in the group 'use', but they"),
        ("use: [sure]", 1, "the group 'use' has no uncertain parameter: sure is certain; remove"),
        ("use: [a, b, c]\nrest: '*'", 2, "the group 'rest' has no uncertain parameter: every unc"),
        ("c: [a, b]", 1, "the group 'c' is called as a parameter that is in no group; call it"),
        ("use: []", 1, "groups.use is [], a list; write at least 1 in the list"),
        ("use: 5", 1, "groups.use is 5, a number; write a list, such as [5]"),
        ("'': c", 1, "groups has the key ''; write a name"),
        ("groups: {}", 1, "groups is {}, which has keys; write keys and what they hold, such as"),
        ("use: [c]\nuse: [a, b]", 2, "the key 'use' stands twice (first on line 1); keep one"),
    ],
)
def test_wrong_groups_of_a_file(text, line, told, tmp_path):
    """What is wrong with groups is told with file and line."""
    path = tmp_path / "groups.yaml"
    path.write_text(text, encoding="utf-8")
    loaded = study(GIVEN, correlations=MATRIX)
    with pytest.raises(InputError) as wrong:
        groups(loaded, str(path))
    assert wrong.value.message.startswith(told)
    assert wrong.value.where == f"{path}:{line}"


def test_wrong_groups_of_a_scenario():
    """They are mistakes of its file, told at once; the matrix of what is parted is named."""
    with pytest.raises(InputError) as wrong:
        named({"use": ["x", "c[1999]"], "more": ["a"]})
    assert len(wrong.value.mistakes) == 2
    with pytest.raises(InputError, match=r"correlated \(.*scenario.yaml:\d+\); put both in one"):
        named({"use": ["a"]})


def test_variants_change_groups():
    """A variant may name other groups, or none."""
    given = {
        "correlations": MATRIX,
        "sensitivity": {"groups": {"two": ["a", "b"]}},
        "variants": {
            "other": {"set": {"sensitivity.groups.two": ["c"]}},
            "none": {"set": {"sensitivity": None}},
        },
    }
    found = {variant: [*members(study(GIVEN, variant, **given))] for variant in ("", "none")}
    assert found == {"": ["two", "c"], "none": ["a + b", "c"]}
    assert members(study(GIVEN, "other", **given)) == {"two": ("c",), "a + b": ("a", "b")}


def test_groups_change_no_run():
    """A parameter that becomes certain leaves a group empty, which only a study refuses."""
    loaded = named({"use": ["sure"], "rest": "*"})
    plain = study(GIVEN, correlations=MATRIX)
    assert [s.name for s in compile_plan(loaded).samplers] == ["a", "b", "c"]
    for one, other in zip(compile_plan(loaded).samplers, compile_plan(plain).samplers, strict=True):
        assert one.streams.tolist() == other.streams.tolist()
    with pytest.raises(InputError, match="no uncertain parameter: sure is certain"):
        groups(loaded)


def test_no_file_of_groups(tmp_path):
    """A path that holds nothing is told as a file."""
    with pytest.raises(InputError, match="the file does not exist"):
        groups(study(GIVEN), str(tmp_path / "groups.yaml"))
