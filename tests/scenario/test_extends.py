"""A scenario on another: laid over it, with its tables, its random numbers and its places."""

import re
import shutil

import jsonschema
import numpy as np
import pytest
from tiny import write_scenario
from xarray.testing import assert_identical

import ndmc
from ndmc import InputError
from ndmc.scenario.document import read_document
from ndmc.scenario.schema import json_schema

OWN = """\
name: mine
extends: ../base
parameters:
  content: {value: {car: 7}}
  collection: {distribution: ~, grade: study, cv: ~}
flows:
  lost: {from: collecting, to: waste, share: 0.05}
headline: [total]
variants:
  dear: {set: {parameters.content: x2}}
"""


def write_on(folder, text=OWN, **files):
    """Write the tiny scenario, and one that extends it, and return the folder of that."""
    if not (folder / "base").exists():
        write_scenario(folder / "base")
    mine = folder / "mine"
    mine.mkdir(exist_ok=True)
    for name, content in {"scenario.yaml": text, **files}.items():
        (mine / name).write_text(content)
    return mine


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """Return the folder of a scenario that extends another."""
    return write_on(tmp_path_factory.mktemp("extends"))


def test_a_scenario_is_laid_over_another(mine):
    """Mappings are merged, lists and single values replaced, and ~ removes a key."""
    base, found = ndmc.load(mine.parent / "base"), ndmc.load(mine)
    assert (found.name, found.file.title, found.file.extends) == ("mine", base.heading, "../base")
    assert np.allclose(found.parameters["content"].marginals.central, [0.001, 0.007], rtol=1e-12)
    assert found.parameters["collection"].grades.distinct == ["study"]
    assert found.file.parameters["collection"].distribution is None
    assert [*found.file.flows] == [*base.file.flows, "lost"]
    assert (found.file.headline, base.file.headline) == (["total"], ["in_use"])
    assert [*found.file.variants] == ["long_lives", "dear"]
    assert found.tables == base.tables


def test_labels_are_added_and_keep_their_text(tmp_path):
    """The table of one's own stands before that of the other; draws of old labels stay."""
    rows = "".join(f"bus,{year},1000\n" for year in range(2001, 2005))
    table = (write_scenario(tmp_path / "base") / "production.csv").read_text() + rows
    text = """\
name: mine
extends: ../base
dims: {product: {labels: [phone, car, bus], groups: {large: [car, bus]}}}
parameters: {content: {value: {bus: 30}}, scale: {value: {bus: 12.50}}}
"""
    folder = write_on(tmp_path, text, **{"production.csv": table})
    found = ndmc.load(folder)
    assert found.dims.labels["product"] == ("phone", "car", "bus")
    assert found.dims.groups["product"] == {**{"small": ("phone",), "large": ("car", "bus")}}
    draws = [
        ndmc.run(one, 40, out=tmp_path / f"{n}.zarr").load()
        for n, one in enumerate([tmp_path / "base", folder])
    ]
    for name in ("sales", "in_use", "old"):
        labels = {"product": ["phone", "car"]}
        assert np.array_equal(draws[0][name].sel(labels), draws[1][name].sel(labels))


def test_a_bundled_scenario_is_extended(tmp_path):
    """By its name alone; what is not changed has the same bits, and a run can be checked."""
    name = "refining_loss_rate"
    text = f"name: mine\nextends: china_nd\nparameters: {{{name}: {{cv: 1 %}}}}\n"
    (tmp_path / "scenario.yaml").write_text(text)
    assert ndmc.load(tmp_path).tables == ndmc.load("china_nd").tables
    plain, own = (
        ndmc.run(one, 16, out=tmp_path / f"{n}.zarr", keep=["in_use", "illegal_carried"]).load()
        for n, one in enumerate(["china_nd", tmp_path])
    )
    assert np.array_equal(plain.in_use, own.in_use)
    assert not np.array_equal(plain.illegal_carried, own.illegal_carried)
    assert ndmc.verify(tmp_path / "1.zarr") == []


def test_a_run_goes_on_without_the_files(mine, tmp_path, cli):
    """Its store holds the texts of all, and is of another run where one of these is another."""
    folder = tmp_path / "copied"
    shutil.copytree(mine.parent, folder)
    out = tmp_path / "run.zarr"
    ndmc.run(folder / "mine", 40, out=out, variant="dear", block=256, changes={"collection": 55})
    assert ndmc.run(folder / "mine", 40, out=out, variant="dear", changes={"collection": 55.0})
    base = folder / "base" / "scenario.yaml"
    base.write_text(base.read_text().replace("car: 12}", "car: 9}"))
    same = ("--variant", "dear", "--set", "collection=55")
    done = cli("run", folder / "mine", "-n", "40", "--out", out, *same)
    assert done.code == 2
    assert "in what is extended: scenario.yaml: -" in done.err
    shutil.rmtree(folder)
    assert ndmc.verify(out) == []
    assert cli("finish", out).code == 0
    assert ndmc.validate(out).shape[0] == 1


def test_places_are_those_of_the_file_where_a_text_stands(mine, tmp_path):
    """Of the one that is extended, too."""
    wrong = {"  reuse:\n": "  bad: gone + 1\n  reuse:\n"}
    write_scenario(tmp_path / "base", wrong)
    text = OWN + "indicators: {worse: lost + missing}\n"
    with pytest.raises(InputError) as found:
        ndmc.check(write_on(tmp_path, text))
    lines = (tmp_path / "base" / "scenario.yaml").read_text().splitlines()
    places = {one.where.removeprefix(f"{tmp_path}/") for one in found.value.mistakes}
    assert places == {
        f"base/scenario.yaml:{lines.index('  bad: gone + 1') + 1}",
        f"mine/scenario.yaml:{len(text.splitlines())}",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: ../base\n", "the key 'name' is missing"),
        ("name: mine\nextends: base\n", "'base' is no scenario to extend; did you mean '../base'?"),
        ("name: mine\nextends: zinc\n", "write a bundled name, building_stock, china_nd"),
        ("name: mine\nextends: china_dn\n", "did you mean 'china_nd'?"),
        ("name: mine\nextends: ../base/scenario.yaml\n", "did you mean '../base'?"),
        (
            "name: mine\nextends: ../bas\n",
            "there is no scenario at '../bas'; did you mean '../base'?",
        ),
        ("name: mine\nextends: ../empty\n", "there is no scenario at '../empty'"),
        ("name: mine\nextends: ../../base\n", "'../../base' is no scenario to extend"),
        ("name: mine\nextends: ..\n", "'..' is no scenario to extend"),
        ("name: mine\nextends: ../..\n", "'../..' is no scenario to extend"),
        ("name: mine\nextends: ../.\n", "'../.' is no scenario to extend"),
        ("name: mine\nextends: ../mine\n", "scenarios in a circle: mine -> mine"),
        ("name: mine\nextends: ../round\n", "scenarios in a circle: mine -> round -> mine"),
        ("name: mine\nextends: ../link\n", "'../link' is a link that leads elsewhere"),
        ("name: mine\nextends: {TMP}/base\n", "is no scenario to extend"),
        ("name: mine\nextends: [../base]\n", "['../base'] is no scenario to extend"),
        ("name: mine\nextends: ~\n", "None is no scenario to extend"),
        (OWN + "processes: ~\n", "the key 'processes' is missing"),
        (OWN.replace("  collection:", "  gone: ~\n  collection:"), "parameters.gone is empty"),
        (OWN + "published: {table: ../base/figures.csv}\n", "leads out of the scenario's folder"),
        (OWN + "published: {table: gone.csv}\n", "the file 'gone.csv' does not exist in "),
    ],
)
def test_what_cannot_be_extended_is_refused(tmp_path, text, message):
    """Nothing is read but from folders that are named, and lie beside, and no circle is walked."""
    inner = tmp_path / "studies"
    folder = write_on(inner, text.replace("{TMP}", str(inner)))
    (inner / "empty").mkdir()
    (inner / "round").mkdir()
    (inner / "round" / "scenario.yaml").write_text("name: round\nextends: ../mine\n")
    write_scenario(tmp_path / "elsewhere")
    (inner / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=re.escape(message)) as found:
        ndmc.load(folder)
    assert "mine/scenario.yaml" in found.value.where or "round/scenario.yaml" in found.value.where


def test_tables_are_read_below_a_chain(tmp_path):
    """A scenario that extends one that extends another, each with tables of its own."""
    write_on(tmp_path)
    top = tmp_path / "top"
    top.mkdir()
    (top / "scenario.yaml").write_text("name: top\nextends: ../mine\nvariants: {dear: ~}\n")
    found = ndmc.load(top)
    assert (found.heading, [*found.file.variants]) == ("A tiny cycle", ["long_lives"])
    assert found.texts[1:] == ndmc.load(tmp_path / "mine").texts
    assert_identical(
        *(
            ndmc.run(tmp_path / one, 16, out=tmp_path / f"{one}.zarr").load().drop_attrs()
            for one in ("mine", "top")
        )
    )


def test_what_is_extended_is_no_change(mine):
    """Beside the file it could not be seen any more."""
    with pytest.raises(InputError, match="what a scenario extends is part of its file"):
        ndmc.load(mine, changes={"extends": "steel_loop"})


def test_it_is_said_what_is_extended(mine, cli):
    """By check; the file is shown as it stands, and others of what it extends, too."""
    done = cli("check", mine)
    assert done.code == 0
    assert "\nmine (on ../base): 6 parameters" in done.out
    assert ndmc.show(mine) == OWN
    assert ndmc.show(mine, "production.csv").startswith("product,year,value")


def test_a_copy_extends_the_same(mine, tmp_path):
    """It has the tables of its own, and must lie where what it extends is found."""
    copy = ndmc.new(mine.parent / "copied", source=mine)
    assert [one.name for one in copy.parent.iterdir()] == ["scenario.yaml"]
    assert ndmc.load(copy).name == "copied"
    with pytest.raises(InputError, match=r"extends '\.\./base', which must lie beside"):
        ndmc.new(tmp_path / "copied", source=mine)


def test_nothing_unused_is_told_of_what_is_extended(tmp_path):
    """What its reader has no hold of; of what he writes himself it is."""
    text = OWN.replace("  lost:", '  bought: {value: "sum(sales, over=product)"}\n  lost:')
    ndmc.load(write_on(tmp_path, text))
    text = text.replace("parameters:\n", 'parameters:\n  stray: {unit: "1", value: 2, cv: 1 %}\n')
    with pytest.warns(ndmc.StudyWarning, match=r"mine/scenario\.yaml:4: nothing uses"):
        ndmc.load(write_on(tmp_path, text.replace("cv: 1 %", "distribution: constant")))


def test_the_schema_takes_what_is_laid_over_another(mine):
    """Any part may be missing, but no key misspelt; of a whole scenario none may be missing."""
    found = read_document(mine / "scenario.yaml").data
    jsonschema.validate(found, json_schema())
    for wrong in ({**found, "flow": {}}, {k: v for k, v in found.items() if k != "extends"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, json_schema())
