"""Changes beside the file: what can be set, and what would not mean what it seems to."""

import re

import numpy as np
import pytest
from tiny import write_scenario

import ndmc
from ndmc import InputError
from ndmc.label import read_change
from ndmc.scenario.load import same_changes
from ndmc.scenario.scenario import hash_of

#: What is unclear, and none of the ways in which a change of a number is written.
UNCLEAR = ["/2", "1.2x", "+=1", "-=1", "60*1.2", "60 * 1.2", "+20 % 3"]

#: Changes of 60 %, and what they make of it.
RELATIVE = {
    **dict.fromkeys(["x1.2", "*1.2", "* 1.2", "\u00d71.2", "+20 %", "+20%", "+12", "+12.0"], 0.72),
    **dict.fromkeys(["x.5", "-50 %", "x5e-1", '"-30"', "-0.3 1"], 0.3),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Return the folder of the tiny scenario."""
    return write_scenario(tmp_path_factory.mktemp("tiny"))


def means(scenario, name):
    """Return the central values of a parameter, in its own unit."""
    parameter = scenario.parameters[name]
    return np.round(parameter.marginals.central / parameter.factor, 9).tolist()


def test_a_name_like_a_factor_is_a_formula(tmp_path):
    """Formulas may be names: x2 is one, where x1.2 can be none."""
    folder = write_scenario(
        tmp_path,
        {"parameters:\n": "parameters:\n  x2: {unit: '1', value: 2, distribution: constant}\n"},
    )
    ndmc.load(folder, changes={"indicators.twice": "x2"})
    with pytest.raises(InputError, match="is a change of a number"):
        ndmc.load(folder, changes={"indicators.twice": "x1.2"})


@pytest.mark.parametrize("text", UNCLEAR)
def test_what_reads_like_a_change_is_no_value(tiny, text):
    """It is told how a change is written."""
    with pytest.raises(InputError, match="reads like a change of the number there is;") as found:
        ndmc.load(tiny, changes={"collection": text})
    assert str(found.value).startswith(f"--set collection={text}: ")
    assert str(found.value).endswith("write x1.2, +20 %, -20 %, +5 kt or -5 kt")


@pytest.mark.parametrize(("text", "share"), RELATIVE.items())
def test_a_number_is_changed_by_what_it_is(tiny, text, share):
    """By a factor, a share of it, or what is added in its unit or another; its cv stays."""
    found = ndmc.load(tiny, changes={"collection": text}).parameters["collection"].marginals
    plain = ndmc.load(tiny, changes={"collection": 100 * share}).parameters["collection"].marginals
    assert found.central == pytest.approx(share, rel=1e-15)
    assert np.allclose(found.numbers, plain.numbers, rtol=1e-12)


@pytest.mark.parametrize("text", ["-5", " -5.0", "-5e0"])
def test_a_negative_number_is_a_value(tiny, text):
    """As YAML has it: what has no unit and is not in quotes is a number."""
    changes = {"shape": text, "parameters.shape.unit": "1", "stocks.in_use.lifetime": "fixed(8 yr)"}
    assert means(ndmc.load(tiny, changes=changes), "shape") == [-5]


@pytest.mark.parametrize(
    ("path", "numbers"),
    [
        ("loss_rate", {"low": 4, "mode": 8, "high": 20}),
        ("parameters.loss_rate", {"low": 4, "mode": 8, "high": 20}),
        ("parameters.loss_rate.high", {"low": 2, "mode": 4, "high": 20}),
    ],
)
def test_all_numbers_of_a_distribution_are_changed_together(tiny, path, numbers):
    """Or one of them, by its key."""
    found = ndmc.load(tiny, changes={path: "x2"}).parameters["loss_rate"].marginals
    assert np.allclose(found.numbers[0], [n / 100 for n in numbers.values()], rtol=1e-12)


@pytest.mark.parametrize("path", ["collection.cv", "grades.survey.cv", "collection.sd"])
def test_a_spread_is_changed(tiny, path):
    """By its key, of grades too; only where there is one."""
    path = path if path.startswith("grades") else f"parameters.{path}"
    if path.endswith("sd"):
        with pytest.raises(InputError, match=r"'parameters\.collection\.sd' is not there"):
            ndmc.load(tiny, changes={path: "+20 %"})
        return
    found, plain = ndmc.load(tiny, changes={path: "+20 %"}).file, ndmc.load(tiny).file
    keys = path.split(".")
    cvs = [getattr(one, keys[0])[keys[1]].cv for one in (found, plain)]
    assert cvs[0] == pytest.approx(1.2 * cvs[1])


CELLS = {
    "content=x2": [2, 12],
    "content[phone]=x2": [2, 6],
    "content[product=large]=5": [1, 5],
    "content[phone, car]=+500 g": [1.5, 6.5],
    "parameters.content.value.car=+50 %": [1, 9],
    "parameters.content.value[product=car] = 100 g": [1, 0.1],
}


@pytest.mark.parametrize(("change", "values"), CELLS.items())
def test_single_labels_are_changed(cli, tiny, change, values):
    """Of a dim or a group, by a value or relative to it; in Python as on the command line."""
    path, value = read_change(change)
    assert means(ndmc.load(tiny, changes={path: value}), "content") == values
    assert cli("check", tiny, "--set", change).code == 0


@pytest.mark.parametrize(
    ("labels", "changed"),
    [
        ("", range(8)),
        ("[product=car year=2002..2003]", [5, 6]),
        ("[year=2001,2004]", [0, 3, 4, 7]),
        ("[phone, 1990..2002]", [0, 1]),
        ("[2001 product=small]", [0]),
    ],
)
@pytest.mark.parametrize(("text", "factor"), [("x1.5", 1.5), ("600000 1/yr", None)])
def test_tables_are_changed_cell_by_cell(tiny, labels, changed, text, factor):
    """All of a table, or some labels, periods and years of it, whatever their errors."""
    if not labels and factor is None:
        return
    plain = ndmc.load(tiny).parameters["production"].marginals
    found = ndmc.load(tiny, changes={f"production{labels}": text}).parameters["production"]
    expected = plain.central.copy()
    expected[[*changed]] = expected[[*changed]] * factor if factor else 600000
    assert found.marginals.central.tolist() == expected.tolist()
    assert np.allclose(found.marginals.numbers[:, 1], expected * 0.03, rtol=1e-15)


#: What is said of a parameter, how it is changed, and what says the same without a change.
DISTRIBUTIONS = [
    ("value: 4, sd: 1, distribution: normal", "x2", "value: 8, sd: 2, distribution: normal"),
    ("value: 4, sd: 1, distribution: normal", "+2", "value: 6, sd: 1, distribution: normal"),
    ("value: 4, cv: 10 %, distribution: normal", "+2", "value: 6, cv: 10 %, distribution: normal"),
    ("value: 4, sd: 3, distribution: lognormal", "x2", "value: 8, sd: 6, distribution: lognormal"),
    ("mu: 1, sigma: 0.5, distribution: lognormal", "x1", "mu: 1, sigma: 0.5"),
    ("low: 1, high: 3, distribution: uniform", "-1 1", "low: 0, high: 2, distribution: uniform"),
    *(
        (f"value: 4, cv: 50 %, low: 0, high: 9, {said}", "x1.5", f"value: 6, cv: 50 %, {bounds}")
        for said, bounds in {
            "distribution: truncated_normal": "low: 0, high: 9, distribution: truncated_normal"
        }.items()
    ),
    ("values: [1, 2], distribution: empirical", "x3", "values: [3, 6], distribution: empirical"),
    ("values: [1, 2], distribution: empirical", "+1", "values: [2, 3], distribution: empirical"),
]

BY_LABEL = "{phone: {value: 2, cv: 5 %}, car: {distribution: uniform, low: 1, high: 3}}"


def shape_of(folder, text, **more):
    """Return the marginals of the shape of a lifetime that is said so."""
    old = 'shape: {unit: "1", value: 2, distribution: constant}'
    write_scenario(folder, {old: f'shape: {{unit: "1", {text}}}'})
    return ndmc.load(folder, **more).parameters["shape"].marginals


@pytest.mark.parametrize(("text", "change", "same"), DISTRIBUTIONS)
def test_what_hangs_on_a_value_changes_with_it(tmp_path, text, change, same):
    """A factor leaves the shape, what is added the width; a bound is one whatever the value is."""
    same += ", distribution: lognormal" * text.startswith("mu")
    found = shape_of(tmp_path / "changed", text, changes={"shape": change})
    other = shape_of(tmp_path / "same", same)
    assert (found.kinds == other.kinds).all()
    for name in ("numbers", "central", "lowest", "highest", "choices"):
        assert np.allclose(getattr(found, name), getattr(other, name), rtol=1e-12, equal_nan=True)


def test_what_cannot_be_added_to_is_refused(tmp_path):
    """Of a logarithm a factor can be taken only, and all cells choose among the same values."""
    text = "mu: 1, sigma: 0.5, distribution: lognormal"
    with pytest.raises(InputError, match=r"^--set shape=\+1: parameter 'shape' is given by mu"):
        shape_of(tmp_path, text, changes={"shape": "+1"})
    text = "dims: [product], values: [1, 2], distribution: empirical, errors: {product: shared}"
    with pytest.raises(InputError, match=r"^--set shape\[car\]=x2: .*change all of them, not some"):
        shape_of(tmp_path, text, changes={"shape[car]": "x2"})


def test_distributions_of_single_labels_are_changed(tmp_path):
    """Each by its own numbers, or one of these by its key."""
    text = f"dims: [product], value: {BY_LABEL}, errors: {{product: independent}}"
    found = shape_of(tmp_path, text, changes={"shape": "x2"})
    assert found.central.tolist() == [4, 4]
    found = shape_of(tmp_path, text, changes={"parameters.shape.value.car.high": "x2"})
    assert found.central.tolist() == [2, 3.5]
    with pytest.raises(InputError, match="has no value there to set"):
        shape_of(tmp_path, text, changes={"shape[car]": 5})


RAGGED = {
    "dims:\n": "dims:\n  metal: [li, co]\n"
    "  use: {of: metal, labels: {li: [car, phone], co: [phone]}}\n",
    "parameters:\n": "parameters:\n  part: {unit: kg, dims: [use], distribution: constant, "
    "value: {li: {car: 1, phone: 2}, co: {phone: 3}}}\n",
    "indicators:\n": "indicators:\n  parts: part\n",
}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("part[li]", [2, 4, 3]),
        ("part[use=phone]", [1, 4, 6]),
        ("part[co phone]", [1, 2, 6]),
        ("parameters.part.value.li.phone", [1, 4, 3]),
        ("parameters.part.value.li", [2, 4, 3]),
    ],
)
def test_labels_that_belong_to_others_are_changed(tmp_path, path, values):
    """By their own, by what they belong to, or both."""
    path = path.replace("co phone", "metal=co use=phone")
    folder = write_scenario(tmp_path, RAGGED)
    assert means(ndmc.load(folder, changes={path: "x2"}), "part") == values
    with pytest.raises(InputError, match="no use car belongs to the metal co"):
        ndmc.load(folder, changes={"part[metal=co use=car]": "x2"})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("content[product=bus]", "x2", "product has no label 'bus'"),
        ("content[year=2001]", "x2", "parameter 'content' has no dim 'year'; its dims are product"),
        ("collection[2001]", "x2", "no dim has a label '2001'"),
        ("content[]", "x2", "no labels stand in the brackets"),
        ("production[year=2004..2001]", "x2", "runs backwards; write 2001..2004"),
        ("production[2010]", "x2", "2010 lies after the years of the scenario"),
        ("production[2010..2020]", "x2", "2010 lies after the years of the scenario"),
        ("content[car]", "+5 t/yr", "cannot be converted to the parameter's unit 'kg'"),
        ("content[car]", "[1, 2]", "expected a number, found [1, 2]"),
        ("content[car]", "many", "'many' is not a number with a unit"),
        ("loss_rate[]", "5", "no labels stand"),
        ("parameters.gone[car]", "x2", "no parameter 'gone'"),
        ("parameters.scale.value.bus", "x2", "product has no label 'bus'"),
        ("collection[]", "x2", "no labels stand"),
        ("collection", "x2", "a beta distribution is 1.2 but must lie in [0, 1]"),
        ("parameters.collection.cv", "+5 kg", "is in another unit than 'parameters.collection.cv'"),
    ],
)
def test_what_cannot_be_changed_is_refused(tiny, path, value, message):
    """Where the change stands, whatever is wrong with it."""
    with pytest.raises(InputError, match=re.escape(message)) as found:
        ndmc.load(tiny, changes={path: value})
    assert str(found.value).startswith(f"--set {path}={value}: ")


def test_only_what_has_a_value_is_set_to_one(tiny, tmp_path):
    """A range is changed by a factor, or key by key."""
    with pytest.raises(InputError, match="'loss_rate' has no single value to set"):
        ndmc.load(tiny, changes={"loss_rate": 5})
    with pytest.raises(InputError, match="'loss_rate' has no value there to set; say how its"):
        ndmc.load(tiny, changes={"loss_rate[car]": 5, "parameters.loss_rate.dims": ["product"]})
    change = {"parameters.scale.value.phone: 8": '"content[car]": 8'}
    with pytest.raises(InputError, match="only values of parameters are set by their labels"):
        ndmc.load(write_scenario(tmp_path, change), variant="long_lives")


@pytest.mark.parametrize(("text", "value"), [("+20 %", 4.8), ("+2", 6), ('"+2"', 6), ("2", 2)])
def test_a_variant_changes_numbers(tmp_path, text, value):
    """A text that reads like a change is one, and so is a number with a plus before it."""
    changes = {"scale.value.phone: 8": f"scale.value.phone: {text}"}
    if text == "+20 %":
        changes = {"scale.value.phone: 8": 'scale.value.phone: "+20 %"'}
    found = ndmc.load(write_scenario(tmp_path, changes), variant="long_lives")
    assert means(found, "scale") == [value, 12]


@pytest.mark.parametrize("text", ["20%", "20 %", "20", "2e1", " 20.0"])
def test_a_value_is_read(tiny, text):
    """A number, with a unit or without one."""
    found = ndmc.load(tiny, changes={"collection": text})
    assert found.parameters["collection"].marginals.central == 0.2


def test_a_table_has_no_single_value(tiny):
    """All of it is changed, or cells of it are set, or a rule says how it is used."""
    with pytest.raises(InputError, match=r"production=x1.2 or 'production\[...\]=5'"):
        ndmc.load(tiny, changes={"production": 20})
    changes = {"flows.sales.value": "1.2 * production * content"}
    assert ndmc.load(tiny, changes=changes).file.flows["sales"].value == changes.popitem()[1]


def test_any_key_of_the_file_is_set_by_its_path(tmp_path):
    """Those at its top, too: years, where tables have these."""
    rows = "product,value\nphone,1000000\ncar,500000\n"
    change = {"dims: [product, year]": "dims: [product]", "production.csv": rows}
    folder = write_scenario(tmp_path, change)
    found = ndmc.load(folder, changes={"years": "2003..2030", "unit": "kt", "keep": ["in_use"]})
    assert found.dims.years[0] == 2003
    assert found.dims.years[-1] == 2030
    assert (found.units.unit, found.file.keep) == ("kt", ["in_use"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"collection": 50}, {"collection": "50.0"}),
        ({"collection": np.float64(50)}, {"collection": "50"}),
        ({"collection": np.int32(50)}, {"parameters.collection.value": "5e1"}),
        ({"parameters.scale.value": {"phone": 3, "car": 9}}, {"scale": "{phone: 3, car: 9.0}"}),
        ({"headline": ["total"]}, {"headline": "[total]"}),
        ({"content[car]": 5}, {"content[car]": "5.0"}),
        ({"content": "x1.20"}, {"parameters.content.value": "+20 %"}),
    ],
)
def test_equal_changes_are_equal_whatever_their_type(tiny, one, other):
    """What counts is the scenario that they make."""
    assert same_changes(ndmc.load(tiny, changes=one), other)


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"collection": "51"},
        {"collection": "true"},
        {"gone": "50"},
        {"shape": "50"},
        {"collection": "x1"},
    ],
)
def test_other_changes_are_not_equal(tiny, other):
    """Nor are those that could not be made."""
    assert not same_changes(ndmc.load(tiny, changes={"collection": 50}), other)


def test_a_run_goes_on_with_equal_changes(tiny, cli, tmp_path):
    """However they are written, and by whom; the store keeps what it was begun with."""
    out = tmp_path / "run.zarr"
    ndmc.run(tiny, 10, out=out, changes={"collection": 50.0})
    done = cli("run", tiny, "-n", "20", "--out", out, "--set", "collection=50")
    assert (done.code, done.err) == (0, "")
    assert ndmc.info(out).changes == {"collection": "50.0"}
    assert not ndmc.verify(out)
    assert cli("run", tiny, "-n", "20", "--out", out, "--set", "collection=51").code == 2


@pytest.mark.parametrize("changes", [{3: 4}, [("collection", 50)], "collection=50"])
def test_changes_are_by_name(tiny, changes):
    """Anything else is said to be none, with an example."""
    with pytest.raises(InputError, match=r"such as \{'collection': 50\}; found"):
        ndmc.load(tiny, changes=changes)


@pytest.mark.parametrize("value", [object(), {"a": object()}, {1, 2}])
def test_a_change_is_a_number_a_text_a_list_or_a_dict(tiny, value):
    """What cannot stand in a file is no value."""
    with pytest.raises(InputError, match=r"^changes\['collection'\]: .* is no value; give"):
        ndmc.load(tiny, changes={"collection": value})


# --- variants that are composed -------------------------------------------------------------------

VARIANTS = {
    "long": "parameters.scale.value.phone: 8",
    "dear": "parameters.content: x2",
    "more": "'parameters.production[product=car]': x1.5",
    "late": "stocks.in_use.inflow_at: end",
}


def composed(folder, variants, **more):
    """Return the folder of a tiny scenario with variants: what each sets, or all it says."""
    texts = {
        name: text if text.startswith("{") else f"{{set: {{{text}}}}}"
        for name, text in {**VARIANTS, **variants}.items()
    }
    lines = "".join(f"  {name}: {text}\n" for name, text in texts.items())
    return write_scenario(folder, {"variants:\n": f"variants:\n{lines}", **more})


@pytest.fixture(scope="module")
def varied(tmp_path_factory):
    """Return the folder of a scenario whose variants are made of others."""
    return composed(
        tmp_path_factory.mktemp("varied"),
        {
            "both": "{variants: [more, long], set: {parameters.scale.value.phone: 9}}",
            "all": "{variants: 'both, dear, long'}",
        },
    )


def test_variants_add_up_in_any_order(varied, tmp_path, cli):
    """As one text, a list, or options one after the other: it is the same run."""
    ways = ["long,more", "more, long", ["long", "more"], ("more", "long")]
    assert len({ndmc.load(varied, variant=way).hash for way in ways}) == 1
    found = ndmc.load(varied, variant="more,long")
    assert found.variant == "long,more"
    assert means(found, "scale") == [8, 12]
    assert means(found, "production")[4] == 750000
    out = tmp_path / "run.zarr"
    ndmc.run(varied, 10, out=out, variant=["more", "long"], keep=["none"])
    for options in (["--variant", "long,more"], ["--variant", "more", "--variant", "long"]):
        done = cli("run", varied, "-n", "10", "--out", out, "--keep", "none", *options)
        assert (done.code, done.err) == (0, "")
    assert ndmc.info(out).variant == "long,more"
    assert cli("run", varied, "-n", "20", "--out", out, "--variant", "long").code == 2


def test_one_variant_is_the_run_it_was(varied):
    """Its name alone is what a store has of it."""
    found = ndmc.load(varied, variant=["long"])
    tables = {"production.csv": (varied / "production.csv").read_text()}
    text = (varied / "scenario.yaml").read_text()
    assert found.hash == hash_of(text, tables, "long", {})


def test_a_variant_is_made_of_others(varied, cli):
    """What it sets itself stands above its parts, which may be made of others, too."""
    found = ndmc.load(varied, variant="all")
    assert means(found, "scale") == [9, 12]
    assert means(found, "content") == [2, 12]
    assert means(found, "production")[4] == 750000
    assert means(ndmc.load(varied, variant="all,late"), "scale") == [9, 12]
    done = cli("check", varied)
    assert done.code == 0
    assert "variant both: more and long, and changes of its own" in done.out
    assert "variant all: both, dear and long\n" in done.out


def test_what_is_set_beside_the_file_stands_above_variants(varied):
    """A value puts an end to what a variant does to it, a change goes on from there."""
    change = {"parameters.content.value.car": 5}
    assert means(ndmc.load(varied, variant="dear", changes=change), "content") == [2, 5]
    assert means(ndmc.load(varied, variant="dear", changes={"content": "x2"}), "content") == [4, 24]
    change = {"content[car]": 5}
    assert means(ndmc.load(varied, variant="dear", changes=change), "content") == [2, 5]


COLLISIONS = {
    "parameters.scale.value.phone: 9": "both set 'parameters.scale.value.phone', here and at ",
    "parameters.scale.value: {phone: 9, car: 12}": "the other as 'parameters.scale.value'",
    "parameters.scale: x2": "both set 'parameters.scale.value.phone' (the other as",
    "'parameters.scale[phone]': x2": "(the other as 'parameters.scale[phone]')",
    "'parameters.scale[small]': 8": "(the other as 'parameters.scale[small]')",
}


@pytest.mark.parametrize(("other", "message"), COLLISIONS.items())
def test_two_that_set_the_same_thing_are_refused(tmp_path, other, message):
    """By name, with both places, in either order."""
    folder = composed(tmp_path, {"other": other})
    for variant in ("long,other", "other,long"):
        with pytest.raises(InputError, match=re.escape(message)) as found:
            ndmc.load(folder, variant=variant)
        assert "the variants 'long' and 'other'" in str(found.value)
        assert "say what holds in a variant made of both" in str(found.value)
        assert str(found.value).count("scenario.yaml:") == 2


def test_cells_that_overlap_are_refused(tmp_path):
    """However little, and whatever they become; others are not."""
    folder = composed(
        tmp_path,
        {
            "early": "'parameters.production[2001,2002]': x1.5",
            "phones": "'parameters.production[phone, 2003..2004]': 5",
            "twice": "parameters.content: x2, 'parameters.content[car]': x3",
        },
    )
    assert means(ndmc.load(folder, variant="early,phones"), "production")[:4] == [
        *(1.5e6, 1.65e6, 5, 5)
    ]
    with pytest.raises(InputError, match="'more' and 'early' both set"):
        ndmc.load(folder, variant="more,early")
    with pytest.raises(InputError, match="the variant 'twice' sets it twice"):
        ndmc.load(folder, variant="twice")


@pytest.mark.parametrize(
    "other", ["parameters.scale.value.phone: 8", "parameters.scale.value.phone: 8.0"]
)
def test_two_that_say_the_same_agree(tmp_path, other):
    """The same value is no contradiction."""
    folder = composed(tmp_path, {"other": other})
    assert means(ndmc.load(folder, variant="long,other"), "scale") == [8, 12]


@pytest.mark.parametrize(
    ("own", "values"), [("parameters.scale.value.phone: 7", 7), ("'parameters.scale[phone]': 7", 7)]
)
def test_what_is_made_of_both_says_what_holds(tmp_path, own, values):
    """Then its parts may set the same thing."""
    parts = {"other": "parameters.scale.value.phone: 9"}
    if "[" in own:
        parts = {"long": "'parameters.scale[phone]': 8", "other": "parameters.scale: x2"}
    folder = composed(tmp_path, {**parts, "whole": f"{{variants: [long, other], set: {{{own}}}}}"})
    assert means(ndmc.load(folder, variant="whole"), "scale") == [values, 12 * (1 + ("[" in own))]


WRONG = {
    "a: {variants: [b]}, b: {variants: [c]}, c: {variants: a}": "variants in a circle: ",
    "a: {variants: [a]}": "variants in a circle: a -> a; leave one of them out",
    "a: {variants: [lon]}": "no variant 'lon'; did you mean 'long'?",
    "a: {title: x}": "say what it changes under 'set', or what it is made of: 'variants'",
    "a: {variants: []}": "write at least 1 in the list",
}


@pytest.mark.parametrize(("text", "message"), WRONG.items())
def test_variants_made_of_what_is_none_are_refused(tmp_path, text, message):
    """In a circle with its path, at the line where they stand."""
    variants = yaml_of(text)
    with pytest.raises(InputError, match=re.escape(message)) as found:
        ndmc.check(composed(tmp_path, variants))
    assert re.search(r"scenario.yaml:\d+: ", str(found.value))


def yaml_of(text):
    """Return variants by name, each as it is written."""
    return {one[0]: one[3:] for one in re.findall(r"\w: {.*?}", text)}


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (3, "variant is 3 but must be a text, or a list of texts"),
        ([3], "must be a text, or a list of texts"),
        ("long,long", "the variant 'long' is named twice; leave one out"),
        (["long", "lat"], "tiny has no variant 'lat'; did you mean 'late'?"),
    ],
)
def test_variants_are_named(varied, variant, message):
    """Each by a text, and once."""
    with pytest.raises(InputError, match=re.escape(message)):
        ndmc.load(varied, variant=variant)


def test_figures_are_published_of_variants(tmp_path):
    """Of several together, too."""
    more = {"  tolerance: {t": "  variant: late, long\n  tolerance: {t"}
    folder = composed(tmp_path, {}, **more)
    assert ndmc.validate(folder, draws=20).attrs["variant"] == "long,late"
    assert ndmc.validate(folder, draws=20, variant=["dear", "late"]).attrs["variant"] == "dear,late"


def test_a_name_is_set_once(cli, tiny):
    """Of two values one would be dropped without a word."""
    done = cli("check", tiny, "--set", "collection=1", "--set", "collection = 2")
    assert (done.code, done.err) == (2, "error: --set: 'collection' is set twice; leave one out\n")


@pytest.mark.parametrize(
    "changes",
    [
        {"collection": 50, "parameters.collection.value": 60},
        {"content": 5, "parameters.content.value.car": 6},
        {"parameters.collection.cv": "10 %", "parameters.collection": {"unit": "%", "value": 5}},
    ],
)
def test_what_hangs_on_the_order_of_changes_is_refused(tiny, changes):
    """A run is known by its changes, in whatever order they are given."""
    for given in (changes, dict(reversed(changes.items()))):
        with pytest.raises(InputError, match=r"it is set twice, here and by .*; leave"):
            ndmc.load(tiny, changes=given)
