"""Ensembles as they are asked for: which members there are, and what is wrong with one."""

import pytest

import ndmc
from ndmc import InputError
from ndmc.scenario.load import with_members

SHAPE_2, SHAPE_3 = " | lifetime_shape=2", " | lifetime_shape=3"
TWO = {"policies": ["base", "long_lives"]}


@pytest.fixture(scope="module")
def starter():
    """Return the starter, loaded once."""
    return ndmc.load("starter")


def members(loaded, entry):
    """Return members by label, with what each is compared with and what is before it."""
    found = with_members(loaded, entry).ensemble.members
    labels = [one.label for one in found]
    before = [labels[one.before] if one.before >= 0 else "" for one in found]
    return {
        one.label: (labels[one.reference], last) for one, last in zip(found, before, strict=True)
    }


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (TWO, {"base": ("base", ""), "long_lives": ("base", "")}),
        (
            {**TWO, "reference": "long_lives"},
            {"base": ("long_lives", ""), "long_lives": ("long_lives", "")},
        ),
        (
            {"policies": ["base"], "futures": {"now": [], "long": ["long_lives"]}},
            {"now": ("now", ""), "long": ("long", "")},
        ),
        (
            {"cascade": ["long_lives"], "levers": {"lifetime_shape": [2, 3]}},
            {
                f"base{SHAPE_2}": (f"base{SHAPE_2}", ""),
                f"base{SHAPE_3}": (f"base{SHAPE_2}", ""),
                f"long_lives{SHAPE_2}": (f"base{SHAPE_2}", f"base{SHAPE_2}"),
                f"long_lives{SHAPE_3}": (f"base{SHAPE_2}", f"base{SHAPE_3}"),
            },
        ),
        (
            {
                "levers": {"lifetime_shape": [2, 3], "content[product=car]": ["x1.1", "x1.2"]},
                "design": "zip",
            },
            {
                "lifetime_shape=2 | content_product_car=x1.1": (
                    "lifetime_shape=2 | content_product_car=x1.1", ""),
                "lifetime_shape=3 | content_product_car=x1.2": (
                    "lifetime_shape=2 | content_product_car=x1.1", ""),
            },
        ),
        (
            {"rows": [{"policy": "base"}, {"policy": "long_lives"}], "members": ["base"]},
            {"base": ("base", "")},
        ),
    ],
)  # fmt: skip
def test_members_are_what_is_asked_for(starter, entry, expected):
    """In any form; each has what it is compared with, and in a cascade the one before it."""
    assert members(starter, entry) == expected
    again = with_members(starter, entry).ensemble
    assert with_members(starter, again.entry).ensemble == again


def test_a_cascade_adds_one_measure_after_the_other():
    """Each policy has those before it, too."""
    found = ndmc.load(
        "strategic_metals", ensemble={"cascade": ["recovery_90", "cobalt_free"]}
    ).ensemble
    assert [one.variant for one in found.members] == ["", "recovery_90", "recovery_90,cobalt_free"]
    assert [one.before for one in found.members] == [-1, 0, 1]
    assert [one.label for one in found.members] == ["base", "recovery_90", "+ cobalt_free"]


def test_weights_share_what_is_left(starter):
    """Of futures that have none; where no future has one there are no weights."""
    futures = {"one": [], "two": [], "three": ["long_lives"]}
    entry = {"policies": ["base"], "futures": futures}
    assert with_members(starter, entry).ensemble.weights == {}
    found = with_members(starter, {**entry, "weights": {"three": 0.5}}).ensemble.weights
    assert found == {"one": 0.25, "two": 0.25, "three": 0.5}


def test_a_table_of_rows_is_read_and_kept(scenario):
    """Its columns are policy, future and levers; a store has its rows, not its name."""
    folder = scenario(changes={"published": "ensemble: {rows: rows.csv}\npublished"})
    (folder / "rows.csv").write_text("loss_rate.mode,loss_rate.high\n")
    text = "parameters.loss_rate.mode,parameters.loss_rate.high\n4,10\n5,12\n"
    (folder / "rows.csv").write_text(text)
    found = ndmc.load(folder, ensemble=True).ensemble
    assert [one.levers for one in found.members][1] == (
        ("parameters.loss_rate.mode", "5"),
        ("parameters.loss_rate.high", "12"),
    )
    assert found.entry["rows"][0]["parameters.loss_rate.mode"] == "4"


WRONG = {
    "{policies: [base, nope]}": "no variant 'nope'",
    "{policies: [base, base]}": "'base' is named twice",
    "{policies: [base], futures: []}": "futures is empty",
    "{policies: [], futures: [now]}": "policies is empty",
    "{}": "it is empty",
    "{policies: [base], reference: other}": "the reference 'other' is no policy",
    "{policies: [base], futures: [base], weights: {base: 0.5}}": "weights sum to 0.5",
    "{policies: [base], futures: [base], weights: {base: -1}}": "weight -1.0 of 'base' is negative",
    "{policies: [base], weights: {base: 1}}": "weights are of futures, and none are named",
    "{policies: [base], futures: [base], weights: {other: 1}}": "'other' is no future",
    "{policies: [base], outputs: [nope]}": "'nope' is no flow, stock or indicator",
    "{policies: [base], outputs: [in_use, in_use]}": "'in_use' is named twice",
    "{policies: [base], outputs: [in_use], goals: {sales: less}}": "'sales' is not compared",
    "{policies: [base], goals: {in_use: better}}": "'better'",
    "{policies: [base], goals: {in_use: later}}": "the goal of 'in_use' is 'later', but it is in t",
    "{levers: {loss: [1, 2]}}": "no parameter 'loss'",
    "{levers: {loss_rate: []}}": "the lever 'loss_rate' has no values",
    "{levers: {shape: [true, 2]}}": "true is no value of a lever",
    "{levers: {shape: [2], collection: [40, 50]}, design: zip}": "1 of shape, 2 of collection",
    "{levers: {shape: [2], collection: [40, 40]}}": "is there twice",
    "{cascade: [more], reference: more}": "a cascade begins with base",
    "{policies: [base], cascade: [more]}": "policies and a cascade",
    "{policies: [base, more], levers: {collection: [4, 5]}}": "'collection' is set by a variant",
    "{policies: [more], futures: [less]}": "both set 'parameters.collection.value'",
    "{policies: [base, short]}": "'short' has the years 2001..2003, 'base' has 2001..2004",
    "{rows: [{shape: 2}, {policy: base}]}": "row 2 has the columns policy, the first has shape",
    "{policies: {'': [], base: []}}": "'' is no name of a policy",
    "{policies: {more | less: [more]}}": "'more | less' is no name of a policy",
    "{policies: [base, tonnes], outputs: [share]}": "'share' has unit 1 in 'tonnes', % in 'base'",
    "{policies: [more], futures: [more]}": "the variant 'more' is named twice",
    "{rows: ../rows.csv}": "is not in the folder",
    "{policies: [base], exceed: [nope > 3]}": "no percentiles of 'nope'",
    "{policies: [base], exceed: [in_use > 1 yr]}": "cannot be compared",
    "{policies: [base], members: [other]}": "there is no member 'other'",
}

VARIANTS = """variants:
  more: {set: {parameters.collection.value: 80}}
  less: {set: {parameters.collection.value: 20}}
  short: {set: {years: 2001..2003}}
  tonnes: {set: {indicators.share.unit: "1"}}
  long_lives"""


#: Limits are those of the option, too, which takes them all together.
OF_AN_OPTION = [entry for entry in WRONG if "exceed" in entry]


@pytest.mark.parametrize("entry", WRONG)
def test_what_is_wrong_is_told_at_its_place(scenario, tmp_path, entry):
    """With file and line where it stands in the file, by a check and when it is run."""
    share = 'indicators:\n  share: {value: loss_rate, unit: "%"}'
    ensemble = f"ensemble: {entry}\npublished"
    changes = {"variants:\n  long_lives": VARIANTS, "indicators:": share, "published": ensemble}
    folder = scenario(changes=changes)
    with pytest.raises(InputError) as told:
        ndmc.check(folder)
    assert WRONG[entry] in str(told.value)
    assert "scenario.yaml:" in str(told.value)
    with pytest.raises(InputError) as told:
        ndmc.ensemble(folder, 300, out=tmp_path / "run.zarr")
    assert WRONG[entry] in str(told.value)
    if entry not in OF_AN_OPTION:
        assert "scenario.yaml:" in str(told.value)
    assert not (tmp_path / "run.zarr").exists()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (True, "tiny has no ensemble"),
        ("other", "tiny has no such ensemble"),
        ([1], "ensemble is [1] but must be a name"),
        ({"policies": [1, 2]}, "1 is no name of a variant"),
        ({"policy": ["base"]}, "policy"),
    ],
)
def test_what_is_asked_of_python_is_refused_by_name(scenario, asked, said):
    """There is no traceback of another kind."""
    with pytest.raises(InputError, match=None) as told:
        ndmc.load(scenario(), ensemble=asked)
    assert said in str(told.value)


def test_several_ensembles_have_names(scenario):
    """One of them is chosen by it."""
    text = "ensembles: {a: {policies: [base]}, b: {levers: {shape: [2, 3]}}}\npublished"
    folder = scenario(changes={"published": text})
    assert len(ndmc.load(folder, ensemble="b").members) == 2
    with pytest.raises(InputError, match="choose one of a, b"):
        ndmc.load(folder, ensemble=True)


def test_an_ensemble_has_a_hash_of_its_own(starter):
    """A run of the same scenario has another, and its own does not change."""
    one, other = (with_members(starter, entry) for entry in (TWO, {**TWO, "outputs": ["in_use"]}))
    assert len({starter.hash, one.hash, other.hash}) == 3
    assert one.alone.hash == starter.hash
