"""What a run warns of: the same words in Python, by the command and in the store."""

import json
import warnings
from dataclasses import replace

import pytest
import xarray as xr

import ndmc
from ndmc.errors import warn
from ndmc.store.opening import open_store

WILD = {
    'collection:\n    unit: "%"\n    value: 60\n    cv: 5 %\n    distribution: beta': (
        'collection:\n    unit: "%"\n    value: 95\n    cv: 5 %\n    distribution: normal'
    )
}
OPTIONS = {"seed": 1, "keep": ["wasted"], "block": 512}


def said_by(act):
    """Return what an act warns of, in whose name, and what it returns."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = act()
    assert {one.category for one in said} <= {ndmc.StudyWarning}
    assert {one.filename for one in said} <= {__file__}
    return [str(one.message) for one in said], found


@pytest.fixture
def folder(scenario):
    """Return a scenario whose closed flow is negative in some draws."""
    return scenario(changes=WILD)


def test_a_run_says_the_same_to_all(folder, tmp_path, cli):
    """In how many draws, between which years, how much at most, and in which draw."""
    out = tmp_path / "a.zarr"
    texts, draws = said_by(lambda: ndmc.run(folder, 2000, out=out, **OPTIONS))
    wasted = draws.wasted.values
    number = int((wasted < 0).any(axis=1).sum())
    most, at = -wasted.min(), int(wasted.min(axis=1).argmin())
    year = 2001 + int(wasted[at].argmin())
    wanted = (
        f"is negative in {number:,} of 2,000 draws, within 2001..2004, by up to {most:.3g} t/yr"
    )
    assert f"{wanted} ({year}, draw {at}); " in texts[1]
    assert "left its physical range in" in texts[0]
    assert [*ndmc.info(out).warnings] == texts
    for dataset in (draws, ndmc.percentiles(out, "wasted"), xr.open_zarr(out)):
        assert json.loads(dataset.attrs["warnings"]) == texts
    done = cli("run", folder, "-n", 2000, "--keep", "wasted", "--block", 512, "--out", "b.zarr")
    assert done.err.splitlines() == [f"warning: {text}" for text in texts]
    assert "warning" not in done.out
    told = cli("info", "b.zarr").out.splitlines()
    assert [line for line in told if line.startswith("warning")] == done.err.splitlines()


def test_the_same_is_said_of_parts_and_after_more_draws(folder, tmp_path):
    """However the draws came together, and each time they are asked for."""
    whole = tmp_path / "whole.zarr"
    texts, _ = said_by(lambda: ndmc.run(folder, 2000, out=whole, **OPTIONS))
    raised = tmp_path / "raised.zarr"
    fewer, _ = said_by(lambda: ndmc.run(folder, 700, out=raised, **OPTIONS))
    assert fewer != texts
    for _ in range(2):
        again, draws = said_by(lambda: ndmc.run(folder, 2000, out=raised, **OPTIONS))
        assert again == json.loads(draws.attrs["warnings"]) == texts
    parted = tmp_path / "parted.zarr"
    first, draws = said_by(lambda: ndmc.run(folder, 2000, out=parted, part=(1, 2), **OPTIONS))
    assert first == []
    assert "warnings" not in draws.attrs
    last, _ = said_by(lambda: ndmc.run(folder, 2000, out=parted, part=(2, 2), **OPTIONS))
    assert last == texts


def test_nothing_is_said_of_draws_that_are_as_they_should_be(scenario, tmp_path):
    """The list is there, and empty."""
    texts, draws = said_by(lambda: ndmc.run(scenario(), 100, out=tmp_path / "a.zarr", **OPTIONS))
    assert texts == json.loads(draws.attrs["warnings"]) == []


def test_an_older_store_tells_what_it_counted(folder, tmp_path):
    """It has no sentences: in how many draws is known, and no more."""
    out = tmp_path / "a.zarr"
    texts, _ = said_by(lambda: ndmc.run(folder, 500, out=out, **OPTIONS))
    store = open_store(out)
    attributes = {key: value for key, value in store.attrs.items() if key != "warnings"}
    found = type(store)(store.place, {**store.document, "attributes": attributes}).warnings
    assert [text.partition(" draws")[0] for text in found] == [
        text.partition(" draws")[0] for text in texts
    ]
    assert all("by up to" in text for text in texts)
    assert not any("by up to" in text for text in found)


def test_how_far_it_went_is_not_said_of_some_draws_alone(folder, tmp_path):
    """A store whose older draws do not say it, raised: 'by up to' would be that of the others."""
    out = tmp_path / "a.zarr"
    said_by(lambda: ndmc.run(folder, 512, out=out, **OPTIONS))
    ledger = open_store(out).ledger
    for entry in map(ledger.read, ledger.names):
        pieces = tuple(replace(piece, extents={}) for piece in entry.pieces)
        ledger.write(replace(entry, pieces=pieces))
    texts, _ = said_by(lambda: ndmc.run(folder, 2000, out=out, **OPTIONS))
    assert len(texts) == 2
    assert not any("by up to" in text for text in texts)


def test_a_warning_is_that_of_the_caller():
    """Of the line that called ndmc; whoever makes errors of warnings gets one."""
    (text,), _ = said_by(lambda: warn("found", "file:1"))
    assert text == "file:1: found"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ndmc.StudyWarning, match="found"):
            warn("found")
