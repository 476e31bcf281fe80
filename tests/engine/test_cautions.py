"""What is seldom meant is warned of with both numbers, by check and run; what is meant is not."""

import warnings

import numpy as np
import pytest
from one_stock import by_year, certain, model
from strategies import write

import ndmc

HISTORY = [1000 * 1.005**n for n in range(10)]


def prescribed(level, lifetime="normal(30, 9)", **key):
    """Return the scenario of a stock that follows a level."""
    own = {"level": certain("t", by_year(level), "year")}
    return model(lifetime, np.zeros(len(level)), parameters=own, value="level", **key) | {
        "keep": ["given"]
    }


def event(condition):
    """Return a scenario of a stock that begins later than its years, with an event."""
    data = model("fixed(2)", [0.0, 0.0, 5.0, 5.0, 5.0, 5.0, 5.0])
    data["parameters"]["half"] = certain("1", 0.5)
    data["indicators"] = {"turn": f"first_year({condition})"}
    return data


def said_by(act):
    """Return what an act warns of."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        act()
    return [str(one.message) for one in said if issubclass(one.category, ndmc.StudyWarning)]


def test_a_stock_that_was_there_before_is_told_from_one_that_starts(tmp_path):
    """With the first inflow and the next, the same by check and run; the sums are the stock's."""
    folder = write(prescribed(HISTORY), tmp_path / "case")
    (text,) = said_by(lambda: ndmc.check(folder))
    where, _, message = text.partition(": ")
    assert where.startswith(f"{folder / 'scenario.yaml'}:")
    assert message == (
        "the prescribed stock 'held' is 1,000 t in the first year and starts empty, so that 1,001 "
        "t/yr flow in then and 5.25 in the next; give `initial` (age: stationary, growing, spin_up "
        "or given)"
    )
    loaded = ndmc.load(folder)
    assert text in said_by(lambda: ndmc.run(loaded, 10, out=tmp_path / "run.zarr"))


@pytest.mark.parametrize(
    "data",
    [
        prescribed([1.2**n for n in range(20)]),
        prescribed([100 / (1 + np.exp(5 - n)) for n in range(12)]),
        prescribed([10, 20, 30, 30, 30]),
        prescribed([0, 0, 1000, 1005, 1010]),
        prescribed(HISTORY, initial={"value": "level_before", "age": "stationary"}),
    ],
)
def test_a_stock_that_starts_is_not_warned_of(tmp_path, data):
    """It grows by more in a later year than in its first, or holds something before."""
    data["parameters"]["level_before"] = certain("t", 990)
    data["keep"].append("level_before")
    assert said_by(lambda: ndmc.check(write(data, tmp_path / "case"))) == []


@pytest.mark.parametrize(
    ("condition", "warned"),
    [
        ("old >= half * sales", True),
        ("half * sales <= old", True),
        ("old > half * sales", False),
        ("sales >= half * given", True),
        ("year >= 2003 + half", False),
        ("old >= half * sales and year > 1990", True),
        ("not half * old > 0 t/yr or year > 2003", False),
        ("old >= half * sales, from=2002", False),
    ],
)
def test_an_event_of_nothing_is_warned_of(tmp_path, condition, warned):
    """Where both sides are 0 in the first year it holds at once."""
    texts = said_by(lambda: ndmc.check(write(event(condition), tmp_path / "case")))
    assert len(texts) == warned
    assert all("a first_year() in 'turn' is 2000 because both sides" in text for text in texts)
