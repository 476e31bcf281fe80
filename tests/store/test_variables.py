"""The data dictionary: what stores hold, documentation shows and names are checked against."""

import re
from pathlib import Path

import pytest
import xarray as xr
from strategies import bundled

import ndmc
from ndmc.scenario import reserved
from ndmc.store.keys import PARAMETERS, PERCENTILES, SENSITIVITY
from ndmc.store.opening import open_store
from ndmc.store.variables import VARIABLES

LAYOUT = Path(__file__).parents[2] / "docs" / "store-layout.md"


def documented():
    """Return the rows of the table of variables in the documentation."""
    _, table = LAYOUT.read_text(encoding="utf-8").split("| group | variable | dims | `long_name` |")
    rows = re.findall(r"^\| (.*) \|$", table.split("\n\n")[0], re.MULTILINE)
    return [tuple(cell.strip() for cell in row.split(" | ")) for row in rows]


def dictionary():
    """Return the rows the dictionary has, as the documentation writes them."""
    for group, variables in VARIABLES.items():
        for variable in variables:
            name = "X" if group else "DIM"
            dims = ", ".join(dim.format(name) for dim in variable.dims)
            place = f"`/{group}`" if group else "any"
            yield place, f"`{variable.name(name)}`", dims, variable.words.format(name)


def test_the_documentation_shows_the_dictionary():
    """The table of variables has a row for each, and no other."""
    assert documented() == [*dictionary()]


def test_scenarios_are_checked_against_the_dictionary():
    """Every suffix of a variable is among those that names are checked against, and no other.

    Those of a study and of an ensemble are checked when there is one.
    """
    every = {group: {one.suffix for one in some} - {""} for group, some in VARIABLES.items()}
    of_studies = every.pop(SENSITIVITY)
    others = {*reserved.SUFFIXES, *reserved.OF_SCORES, *reserved.OF_ENSEMBLES}
    assert set().union(*every.values()) == others
    assert of_studies > {reserved.FIRST_ORDER, reserved.TOTAL_ORDER, reserved.FLAG}


def described(group, names, found):
    """Return what a name in a group may be: a user's, or one that describes a user's."""
    own = {*names, *(variable.name(name) for name in names for variable in VARIABLES[""])}
    for _ in range(2):  # a total is described too
        own |= {variable.name(name) for name in own for variable in VARIABLES.get(group, ())}
    return own | {*reserved.DIMS} >= found


@pytest.mark.parametrize(
    ("name", "exceed"), [("starter", [("in_use", 1.0), ("in_use_total", 1.0)]), ("uk_ree", [])]
)
def test_what_a_store_holds_beyond_the_users_names_is_in_the_list(tmp_path, name, exceed):
    """Variables and dims are a user's, of ndmc's own, or a user's with a suffix of the list."""
    scenario = bundled(name)
    ndmc.run(scenario, 70, seed=1, out=tmp_path / "run.zarr", keep=["all"], exceed=exceed)
    store = open_store(tmp_path / "run.zarr")
    outputs = {*scenario.file.flows, *scenario.file.stocks, *scenario.file.indicators}
    for group in ("", PERCENTILES, PARAMETERS):
        found = xr.open_zarr(store.path, group=group or None)
        names = {*store.dims.labels, *(scenario.parameters if group == PARAMETERS else outputs)}
        assert described(group, names, {*map(str, found.variables), *map(str, found.dims)})
    for key in store.metadata:
        first, _, rest = key.partition("/")
        assert first in reserved.WORDS if rest else True
