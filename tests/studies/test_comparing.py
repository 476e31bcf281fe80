"""Two runs that are there, compared draw by draw; and what does not pair."""

import shutil

import pytest
from command import here
from numpy.testing import assert_array_equal

import ndmc
from ndmc import InputError


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a folder with runs of the starter: as it is, with long lives, and others."""
    folder = tmp_path_factory.mktemp("runs")
    asked = {
        "now": {},
        "long": {"variant": "long_lives"},
        "seeded": {"seed": 2},
        "fewer": {"draws": 200},
        "short": {"changes": {"years": "2010..2020"}},
        "other": {"percentiles": ["sales"]},
    }
    for name, more in asked.items():
        given = {"draws": 300, "out": folder / f"{name}.zarr", "keep": ["none"], **more}
        ndmc.run("starter", **given)
    entry = {"policies": ["base", "long_lives"], "outputs": ["in_use"]}
    ndmc.ensemble(ndmc.load("starter", ensemble=entry), 300, out=folder / "both.zarr")
    return folder


def test_what_compares_them_is_what_an_ensemble_says(runs):
    """The same members, the same bits."""
    found = ndmc.compare(runs / "now.zarr", runs / "long.zarr", "in_use")
    other = ndmc.ensemble(runs / "both.zarr").load()
    assert [*found.policy.values] == ["now", "long"]
    for name in found:
        assert_array_equal(found[name].values, other[name].values, err_msg=name)
    assert {*found} == {*other}


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("seeded", "the seed is 1 in the one and 2 in the other"),
        ("fewer", "the number of draws is 300 in the one and 200 in the other"),
        ("short", "the labels of 'year' are others in 'short' than in 'now'"),
        ("now", "is given twice"),
        ("both", "is the store of an ensemble"),
        ("none", "there is no store"),
    ],
)
def test_what_does_not_pair_is_refused(runs, second, said):
    """With the reason."""
    with pytest.raises(InputError) as told:
        ndmc.compare(runs / "now.zarr", runs / f"{second}.zarr")
    assert said in str(told.value)


def test_runs_that_draw_nothing_alike_do_not_pair(runs, scenario, tmp_path):
    """Parameters pair by their names and labels."""
    folder = scenario(changes={"indicators:": "indicators:\n  in_use_too: total"})
    out = tmp_path / "tiny.zarr"
    ndmc.run(folder, 300, out=out, keep=["none"], changes={"years": "2001..2004"})
    with pytest.raises(InputError, match="do not pair"):
        ndmc.compare(runs / "now.zarr", out)


def test_the_command_shows_and_writes_it(runs, tmp_path):
    """It names the reference; an output that one of them has not is refused."""
    words = [runs / "now.zarr", runs / "long.zarr", "-v", "in_use", "--csv", tmp_path / "c.csv"]
    done = here("compare", *words)
    assert (done.code, done.err) == (0, "")
    assert "the reference is" in done.out
    assert len((tmp_path / "c.csv").read_text().splitlines()) == 3
    wrong = here("compare", words[0], words[1], "-v", "nope")
    assert (wrong.code, wrong.err.startswith("error: -v: nothing is named 'nope'; ")) == (2, True)
    shutil.copytree(runs / "now.zarr", tmp_path / "now.zarr")
    again = here("compare", runs / "now.zarr", tmp_path / "now.zarr", "-v", "in_use")
    assert again.code == 0
    assert "0 .. 0" in again.out
