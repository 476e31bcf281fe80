"""Studies of what has no variance, no numbers, no inputs, one group, or measurements."""

import numpy as np
import pytest
from known_shares import asked, drawn
from measured import market
from one_stock import by_year, certain
from strategies import write

import ndmc
from ndmc import InputError, RunError
from ndmc.store.shares import Flag

DRAWS = 2048


def study(data, folder, draws=DRAWS, **options):
    """Return the study of a scenario."""
    path = write(data, folder / "scenario") if isinstance(data, dict) else data
    return ndmc.sensitivity(path, draws, seed=1, out=folder / "study.zarr", **options).load()


def test_one_group_has_all(tmp_path):
    """All that varies is its own: first and total are 1, with limits that say so."""
    found = study(asked("x ** 3", {"x": drawn("normal", value=1.0, sd=0.5)}), tmp_path)
    for of in ("first_order", "total_order", "first_order_low", "total_order_high"):
        np.testing.assert_allclose(found[f"y_{of}"], 1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.y_interaction, 0, rtol=0, atol=1e-12)
    assert (found.attrs["seed"], found.attrs["draws"], found.attrs["reconciled"]) == (1, DRAWS, "")


def test_what_is_not_reached_is_exactly_zero(tmp_path):
    """Neither shares nor limits, and the flag says that it is by structure."""
    own = {"x": drawn("normal", value=1.0, sd=0.5), "z": drawn("uniform", low=0.0, high=1.0)}
    found = study(asked("x", own, indicators={"y": "x * x", "other": "z"}), tmp_path)
    nothing = found.sel(group="z")
    for of in ("first_order", "total_order", "interaction"):
        for end in ("", "_low", "_high"):
            assert (nothing[f"y_{of}{end}"] == 0).all()
    assert (nothing.y_flag == Flag.STRUCTURAL_ZERO).all()
    assert (found.y_flag.sel(group="x") == Flag.OK).all()


def test_what_does_not_vary_has_no_shares(tmp_path):
    """No zeros of which one could be proud: nan, and a flag."""
    own = {"x": drawn("uniform", low=1.0, high=2.0)}
    rules = {"y": "x", "same": "where(x > 0, 3, x)"}
    found = study(asked("x", own, indicators=rules), tmp_path)
    assert np.isnan(found.same_first_order).all()
    assert np.isnan(found.same_total_order_high).all()
    assert (found.same_flag == Flag.CONSTANT).all()
    np.testing.assert_allclose(found.y_first_order, 1, rtol=0, atol=1e-12)


def test_a_large_mean_takes_no_digits(tmp_path):
    """Differences alone count: 1e9 on top of what varies by one changes shares by rounding."""
    own = {"x": drawn("normal", value=0.0, sd=1.0), "z": drawn("normal", value=0.0, sd=2.0)}
    found = study(
        asked("x", own, indicators={"y": "x * z + x", "far": "x * z + x + 1e9"}), tmp_path
    )
    for of in ("first_order", "total_order"):
        np.testing.assert_allclose(found[f"far_{of}"], found[f"y_{of}"], rtol=0, atol=1e-5)


def test_what_is_not_a_number_stops_a_study_as_a_run(tmp_path):
    """With the words of a run."""
    data = asked("log(x)", {"x": drawn("normal", value=1.0, sd=0.5)})
    path = write(data, tmp_path / "scenario")
    with pytest.raises(RunError) as of_run:
        ndmc.run(path, DRAWS, seed=1, out=tmp_path / "run.zarr")
    with pytest.raises(RunError) as of_study:
        ndmc.sensitivity(path, DRAWS, seed=1, out=tmp_path / "study.zarr")
    assert str(of_study.value).split(";")[0] == str(of_run.value).split(";")[0]


def events():
    """Return a scenario whose event never comes in some draws."""
    growing = drawn("normal", value=by_year([1, 2, 3]), dims=["year"], sd=1.0)
    growing["errors"] = {"year": "independent"}
    rules = {"met": "first_year(x > limit)"}
    own = {"x": growing, "limit": drawn("uniform", low=2.0, high=4.0)}
    return asked("x", own, years="2000..2002", indicators=rules)


def test_an_event_that_never_comes_has_no_variance_but_a_chance(tmp_path):
    """Its shares are nan with a flag of their own; those of when it is late are not."""
    found = study(events(), tmp_path, exceed=["met > 2001"])
    assert np.isnan(found.met_first_order).all()
    assert (found.met_flag == Flag.NEVER).all()
    first, total = found.met_above_first_order, found.met_above_total_order
    assert ((first > 0.05) & (first <= total + 1e-12) & (total < 1)).all()


def test_what_has_no_shares_is_never_known_well_enough(tmp_path):
    """A tolerance of an event alone is told at the first look, and more draws are not tried."""
    with pytest.raises(RunError, match="nothing of met has shares"):
        study(events(), tmp_path, 10**6, tolerance=0.1, outputs=["met"])


def test_nothing_uncertain_is_refused(tmp_path):
    """Neither in the scenario nor behind what is asked for."""
    data = asked("one * 2", {"x": certain("1", 3.0)})
    with pytest.raises(InputError, match="uncertain"):
        study(data, tmp_path)
    (tmp_path / "other").mkdir()
    own = {"x": drawn("normal", value=1.0, sd=0.5)}
    data = asked("x", own, indicators={"y": "x", "sure": "one * 2"})
    with pytest.raises(InputError, match="uncertain"):
        study(data, tmp_path / "other", outputs=["sure"])


@pytest.mark.parametrize("draws", ["projected", "active_set"])
def test_reconciled_draws_have_shares_by_prior_inputs(draws, tmp_path):
    """What is measured reaches what it is reconciled with.

    Use is measured with variance 9 and follows from others with 25 + 16 + 2.25, so that it takes
    9 / 52.25 of what the balance is off; no flow of this market is near zero.
    """
    folder = tmp_path / "market"
    folder.mkdir()
    market(folder, draws=draws)
    found = study(folder, tmp_path)
    taken = 9 / 52.25
    parts = np.array([25 * taken**2, 16 * taken**2, 9 * (1 - taken) ** 2, 2.25 * taken**2])
    assert found.group.values.tolist() == [
        "imports_reported",
        "exports_reported",
        "use_reported",
        "waste_reported",
    ]
    for of in ("first_order", "total_order"):
        got = found[f"use_{of}"].values.reshape(4, 2)
        np.testing.assert_allclose(got.T, [parts / parts.sum()] * 2, rtol=0, atol=1e-7)
    assert (found.use_flag == Flag.OK).all()


def test_weighted_draws_are_refused(tmp_path):
    """In which inputs follow from each other."""
    folder = tmp_path / "market"
    folder.mkdir()
    market(folder)
    ndmc.reconciled_draws(folder, 200, method="weighted", out=tmp_path)
    with pytest.raises(InputError, match="weight"):
        ndmc.sensitivity(tmp_path / "market-weighted.zarr")
