"""Public functions ask for the same thing in the same way."""

import inspect

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from strategies import bundled

import ndmc
from ndmc.studies.checking import Checked

NAME = "uk_ree"

CHANGES = {"compound_imports_reported": "2300"}


def run(source, out, **more):
    """Run a few draws."""
    return ndmc.run(source, 40, out=out / "run.zarr", **more).load()


DRAW = {
    "reconcile": lambda source, out, **more: ndmc.reconcile(source, **more),
    "reconciled_draws": lambda source, out, **more: ndmc.reconciled_draws(source, 40, **more),
    "run": run,
    "validate": lambda source, out, **more: ndmc.validate(source, **more),
}
TAKE_SCENARIOS = {**DRAW, "check": lambda source, out, **more: ndmc.check(source, **more)}


def text(found):
    """Return all of a result as text that can be compared."""
    if isinstance(found, Checked):
        return repr(found.quantities)
    if isinstance(found, pd.DataFrame):
        return found.drop(columns="where").to_csv()
    assert isinstance(found, xr.Dataset)
    return "".join(f"{name}{found[name].values.tolist()}" for name in found.variables)


@pytest.mark.parametrize("name", TAKE_SCENARIOS)
def test_a_scenario_its_path_and_its_name_are_alike(name, tmp_path):
    """It makes no difference who loads a scenario, nor from where."""
    function = TAKE_SCENARIOS[name]
    found = []
    for turn, source in enumerate((bundled(NAME), bundled(NAME).folder)):
        found.append(text(function(source, tmp_path / f"{turn}")))
    assert found[0] == found[1]
    if name == "check":  # to find a scenario by its name is one function's affair
        assert text(function(NAME, tmp_path / "named")) == found[0]


@pytest.mark.parametrize("name", TAKE_SCENARIOS)
@pytest.mark.parametrize("more", [{"variant": "some"}, {"changes": CHANGES}])
def test_a_loaded_scenario_is_not_changed(name, more, tmp_path):
    """What is loaded already has its variant and its changes."""
    with pytest.raises(ndmc.InputError, match="belong to load"):
        TAKE_SCENARIOS[name](bundled(NAME), tmp_path, **more)


@pytest.mark.parametrize("name", TAKE_SCENARIOS)
def test_changes_are_made_to_what_is_loaded(name, tmp_path):
    """A scenario that is changed first is the same as one that is changed on the way."""
    function = TAKE_SCENARIOS[name]
    loaded = function(ndmc.load(NAME, changes=CHANGES), tmp_path / "loaded")
    named = function(NAME, tmp_path / "named", changes=CHANGES)
    assert text(loaded) == text(named)
    if name == "check":
        assert text(loaded) != text(function(NAME, tmp_path / "plain"))


@pytest.mark.parametrize("name", ["check", "compile_plan", "reconcile", "reconciled_draws", "run"])
def test_a_scenario_is_called_scenario(name):
    """Whoever takes nothing but scenarios calls them so, and asks for them first."""
    assert next(iter(inspect.signature(getattr(ndmc, name)).parameters)) == "scenario"


@pytest.mark.parametrize("seed", [-1, 2**64])
@pytest.mark.parametrize("name", DRAW)
def test_seeds_have_64_bits(name, seed, tmp_path):
    """A seed that is no key of random numbers is wrong input, whoever is asked."""
    draws = {"draws": 10} if name == "reconcile" else {}
    source = "two_stage_hoard" if name == "validate" else NAME  # which is drawn
    with pytest.raises(ndmc.InputError, match=f"seed is {seed} but must lie in"):
        DRAW[name](source, tmp_path, seed=seed, **draws)


@pytest.mark.parametrize("seed", [1.5, True, "1", None])
@pytest.mark.parametrize("name", DRAW)
def test_seeds_are_whole_numbers(name, seed, tmp_path):
    """What is no number of draws' own is wrong input, not a traceback."""
    draws = {"draws": 10} if name == "reconcile" else {}
    source = "two_stage_hoard" if name == "validate" else NAME
    with pytest.raises(ndmc.InputError, match=r"seed is .* but must be a whole number"):
        DRAW[name](source, tmp_path, seed=seed, **draws)


def test_a_method_is_checked_without_draws():
    """A way of drawing that there is not is refused, drawn or not."""
    with pytest.raises(ndmc.InputError, match="is not projected, active_set or weighted"):
        ndmc.reconcile(NAME, method="newton")


def test_no_variant_is_none_or_empty(tmp_path):
    """None of the variants is the same run, whichever way it is said."""
    ndmc.run("starter", 300, out=tmp_path / "run.zarr", variant=None)
    assert ndmc.info(tmp_path / "run.zarr")
    ndmc.run("starter", 300, out=tmp_path / "run.zarr")


def test_what_a_run_lacks_is_said_of_run():
    """Not of the class that its arguments are kept in."""
    with pytest.raises(TypeError, match=r"^run\(\) missing .*'out'"):
        ndmc.run("starter", 300)
    with pytest.raises(TypeError, match=r"^run\(\) got an unexpected .*'outt'"):
        ndmc.run("starter", 300, outt="x")


def test_a_plan_is_compiled_of_a_name_too():
    """By name or loaded, it has the same outputs."""
    by_name, loaded = ndmc.compile_plan("starter"), ndmc.compile_plan(bundled("starter"))
    assert by_name.outputs == loaded.outputs


@pytest.mark.parametrize("name", [n for n in ndmc.__all__ if not n[0].isupper()])
def test_seeds_are_asked_for_by_name(name):
    """Whoever draws a scenario takes ``seed=1`` if nothing is said, and by its name only.

    A plan is evaluated at a seed and some draws, which are its arguments. The draws of a store
    are there already: whether they are written, too, is said as yes or no.
    """
    parameters = inspect.signature(getattr(ndmc, name)).parameters
    if name == "export":
        assert parameters["draws"].default is False
        assert "seed" not in parameters
        return
    assert ("draws" in parameters) == ("seed" in parameters)
    if name == "evaluate":
        assert [*parameters][:3] == ["plan", "seed", "draws"]
    elif "seed" in parameters:
        assert parameters["seed"].default == 1
        assert parameters["seed"].kind == inspect.Parameter.KEYWORD_ONLY


# --- of a wrong kind, or of one that is as good ---------------------------------------------------

WRONG = {
    "run": [
        *({"draws": wrong} for wrong in (1.5, 1e3, "10", True, None)),
        *(
            {"exceed": wrong}
            for wrong in (5, [5], [("in_use",)], {"in_use": 1}, [("in_use", None)])
        ),
        *({"memory": wrong} for wrong in ("much", 1.5, True)),
        *({"part": wrong} for wrong in (1, "third", (1, 2, 3), ("1", "3"), (1.5, 3))),
        *({"bits": wrong} for wrong in ("a", 1.5, None, True)),
        *({"quantiles": wrong} for wrong in ([], "50", ["a"], None, [50])),
        *({"keep": wrong} for wrong in (5, [5], b"in_use")),
        *({"out": wrong} for wrong in (5, None, b"a.zarr", True)),
        *({name: wrong} for name in ("workers", "block") for wrong in ("2", 1.5, True)),
        *(
            {name: 5}
            for name in ("client", "variant", "until", "scheduler", "percentiles", "dtype")
        ),
        *({name: "no"} for name in ("processes", "repair")),
        *({"scenario": wrong} for wrong in (5, None, b"starter", ["starter"])),
    ],
    "compile_plan": [
        *({"keep": wrong} for wrong in (5, [5])),
        *({"quantities": wrong} for wrong in (5, {"a": "in_use"})),
        *({"memory": wrong} for wrong in ("much", 1.5)),
        {"scenario": 5},
    ],
    "load": [{"source": 5}, {"source": None}, {"variant": 5}, {"changes": 5}, {"changes": ["a=1"]}],
    "check": [{"scenario": 5}, {"variant": 5}, {"changes": "a=1"}],
    "reconcile": [{"draws": wrong} for wrong in (None, "10", 1.5, True, -1)],
    "reconciled_draws": [
        *({"draws": wrong} for wrong in (None, "10", 1.5, True, 0)),
        *({"out": wrong} for wrong in (5, "s3://bucket/folder", "memory://folder")),
    ],
    "sensitivity": [
        *({"draws": wrong} for wrong in ("10", 1.5, True, 0)),
        *({"outputs": wrong} for wrong in (5, [5])),
        *({"groups": wrong} for wrong in (5, ["grade"])),
        *({"tolerance": wrong} for wrong in ("1 %", 0, 1, True)),
        *({"exceed": wrong} for wrong in (5, [("in_use",)])),
        *({"linear": wrong} for wrong in (1, "yes")),
        {"out": 5},
        {"scenario": 5},
    ],
    "validate": [*({"draws": wrong} for wrong in (None, "10", 1.5, True)), {"source": 5}],
    "open": [{"store": wrong} for wrong in (5, None, b"a.zarr")],
    "info": [{"store": 5}],
    "verify": [{"store": 5}],
}


@pytest.mark.parametrize(
    ("name", "wrong"), [(name, wrong) for name, each in WRONG.items() for wrong in each], ids=repr
)
def test_a_value_of_another_kind_is_wrong_input(name, wrong, tmp_path):
    """It is named with what it must be, whoever is asked, and nothing is written."""
    source = {"source": "starter", "scenario": "starter", "store": tmp_path / "a.zarr"}
    function = getattr(ndmc, name)
    known = inspect.signature(function).parameters
    given = {key: value for key, value in source.items() if key in known}
    given |= {"draws": 10} if "draws" in known else {}
    given |= {"out": tmp_path / "a.zarr"} if name == "run" else {}
    if name.startswith("reconcile"):
        given["scenario"] = NAME
    with pytest.raises(ndmc.InputError) as refused:
        function(**given | wrong)
    assert len(f"{refused.value}".splitlines()) == 1
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    "wrong",
    [
        *({"quantiles": wrong} for wrong in ([], "50", ["a"], None, [50])),
        *({"sel": wrong} for wrong in (5, ["year"], {5: 1}, {"year": None}, {"year": 2020.5})),
        *({name: 5} for name in ("variables", "over", "by_group")),
    ],
    ids=repr,
)
def test_percentiles_of_another_kind_are_wrong_input(wrong, few):
    """What is asked of a store is held to its kind as what is asked of a run."""
    with pytest.raises(ndmc.InputError):
        ndmc.percentiles(few, **wrong)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Return a store that was asked for in the numbers and lists of NumPy."""
    out = tmp_path_factory.mktemp("few") / "run.zarr"
    counts = {"seed": np.int64(1), "block": np.int64(512), "workers": np.uint8(1)}
    texts = {"keep": np.array(["in_use"]), "exceed": "in_use > 1 kt", "memory": "1GiB"}
    others = {"bits": np.int16(9), "quantiles": np.array([0.1, 0.5]), "dtype": np.float32}
    ndmc.run("starter", np.int64(300), out=out, **counts, **texts, **others)
    return out


def test_numbers_of_numpy_are_numbers(few, tmp_path):
    """A run is the same one whatever its counts, lists and texts are of."""
    plain = {"seed": 1, "block": 512, "keep": ["in_use"], "exceed": [("in_use", "1 kt")]}
    plain |= {"bits": 9, "quantiles": [0.1, 0.5], "dtype": "float32"}
    assert ndmc.run("starter", 300, out=few, **plain).attrs == ndmc.open(few).attrs
    found = ndmc.percentiles(few, "in_use", sel={"year": np.int64(2020)}, quantiles=0.5)
    assert found.in_use.dims == ("quantile", "product")
    assert (
        ndmc.percentiles(few, "in_use", quantiles=0.5, sel={"year": np.arange(2020, 2022)}).sizes[
            "year"
        ]
        == 2
    )
    assert ndmc.run("starter", 300, out=tmp_path / "a.zarr", part="1/1").attrs["complete"]


@pytest.mark.parametrize(
    "wrong", [{"plan": "starter"}, {"draws": 10}, {"draws": range(9, 0, -1)}, {"dtype": "int"}]
)
def test_a_plan_is_evaluated_for_a_range(wrong):
    """The kind of each argument is said, where NumPy would end in an error of its own."""
    given = {"plan": ndmc.compile_plan("starter", "in_use"), "seed": 1, "draws": range(3)}
    with pytest.raises(ndmc.InputError, match=next(iter(wrong))):
        ndmc.evaluate(**given | wrong)


def test_objects_are_shown_in_a_few_lines(few):
    """Names, years, dims and counts: never the whole tree of what is in them."""
    changed = ndmc.load("starter", changes={"parameters.collection_rate.title": "x" * 200})
    found = [ndmc.load("china_nd"), changed, ndmc.compile_plan("china_nd"), ndmc.info(few)]
    for one in map(repr, [*found, ndmc.check("steel_loop")]):
        assert 2 < len(one.splitlines()) <= 8
        assert len(one) < 600
    assert repr(ndmc.load("starter")).splitlines()[:2] == [
        "<Scenario starter: Lithium in batteries, an invented example",
        "  years 2010..2024, product (3)",
    ]
