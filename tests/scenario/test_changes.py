"""Changes beside the file: what can be set, and what would not mean what it seems to."""

import numpy as np
import pytest
from tiny import write_scenario

import ndmc
from ndmc import InputError
from ndmc.scenario.load import same_changes

RELATIVE = [
    "+20%",
    "+20 %",
    "+20",
    "+.5",
    "*1.2",
    "* 1.2",
    "x1.2",
    "/2",
    "1.2x",
    "+=1",
    "-=1",
]
RELATIVE += ["-20%", "-20 %", "60*1.2", "60 * 1.2"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Return the folder of the tiny scenario."""
    return write_scenario(tmp_path_factory.mktemp("tiny"))


@pytest.mark.parametrize("text", RELATIVE)
def test_what_reads_like_a_change_of_a_value_is_refused(tiny, text):
    """With +20 % people mean 1.2 times what there is, and it would be 0.2."""
    with pytest.raises(InputError, match="reads like a change of the value, which is 60;") as found:
        ndmc.load(tiny, changes={"collection": text})
    assert str(found.value).startswith(f"--set collection={text}: ")
    assert str(found.value).endswith("write the new one itself, as a plain number in its unit (%)")


@pytest.mark.parametrize("path", ["collection.value", "collection.cv", "scale.value.car"])
def test_any_number_of_a_parameter_is_held_to_it(tiny, path):
    """Not only values are read so."""
    with pytest.raises(InputError, match="reads like a change of the"):
        ndmc.load(tiny, changes={f"parameters.{path}": "+20%"})


def test_a_variant_is_held_to_it(tmp_path):
    """A text of the file is misread as easily."""
    changes = {"scale.value.phone: 8": 'scale.value.phone: "+20 %"'}
    with pytest.raises(InputError, match=r"scenario.yaml:\d+: '\+20 %' reads like a change"):
        ndmc.load(write_scenario(tmp_path, changes), variant="long_lives")


@pytest.mark.parametrize("text", ["20%", "20 %", "20", "2e1", " 20.0"])
def test_a_value_is_read(tiny, text):
    """A number, with a unit or without one."""
    found = ndmc.load(tiny, changes={"collection": text})
    assert found.parameters["collection"].marginals.central == 0.2


def test_a_table_is_scaled_where_it_is_used(tiny):
    """A parameter of many values has none to be set; a rule says how they are used."""
    with pytest.raises(InputError, match=r"such as flows.NAME.value='1.2 \* production'"):
        ndmc.load(tiny, changes={"production": "+20%"})
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
    ],
)
def test_equal_changes_are_equal_whatever_their_type(tiny, one, other):
    """What counts is the scenario that they make."""
    assert same_changes(ndmc.load(tiny, changes=one), other)


@pytest.mark.parametrize(
    "other", [{}, {"collection": "51"}, {"collection": "true"}, {"gone": "50"}, {"shape": "50"}]
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


@pytest.mark.parametrize("variant", [["long_lives"], ["long_lives", "other"], 3])
def test_one_variant_is_taken(tiny, variant):
    """Several are not composed, nor is the last of them taken."""
    with pytest.raises(InputError, match=r"^variant is .* but must be a text"):
        ndmc.load(tiny, variant=variant)


def test_a_name_is_set_once(cli, tiny):
    """Of two values one would be dropped without a word."""
    done = cli("check", tiny, "--set", "collection=1", "--set", "collection = 2")
    assert (done.code, done.err) == (2, "error: --set: 'collection' is set twice; leave one out\n")
