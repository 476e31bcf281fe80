"""What is said of a study: groups by rank, and the sentence on what to measure first."""

import numpy as np
import pytest
import xarray as xr

from ndmc.store.shares import Flag
from ndmc.studies.explained import closing_cells, explained


def study(
    first,
    half=0.01,
    flags=None,
    tied=(),
    spread=(90.0, 100.0, 110.0),
    linear=0.99,
    name="in_use_total",
):
    """Return a study of one output in one year, and its percentiles."""
    groups, cells = [f"group_{n}" for n in range(len(first))], ("group", "year")
    shares = np.array(first)[:, None]
    data = {f"{name}_flag": (cells, np.array(flags or [0] * len(first))[:, None])}
    data[f"{name}_tied"] = (cells, np.isin(np.arange(len(first)), tied)[:, None].astype(np.int8))
    for kind in ("first_order", "total_order"):
        for end, sign in (("", 0), ("_low", -1), ("_high", 1)):
            data[f"{name}_{kind}{end}"] = (cells, shares + sign * half)
    data[f"{name}_mean"] = ("year", [100.0], {"units": "kt"})
    data[f"{name}_sd"] = ("year", [5.0])
    data[f"{name}_linear_share"] = ("year", [linear])
    percentiles = {name: (("quantile", "year"), np.array(spread)[:, None])}
    labels = {"year": [2021]}
    at = {"quantile": [0.025, 0.5, 0.975], **labels}
    return xr.Dataset(data, {"group": groups, **labels}), xr.Dataset(percentiles, at)


def told(*given, **more):
    """Return what is told of such a study."""
    return explained(*study(*given, **more), "in_use_total", {"year": 2021})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"first": [0.1, 0.75]},
            "of in_use_total in 2021 would narrow from +-10 % to about +-5.0 %",
        ),
        ({"first": [0.75], "spread": (-10, 0, 10)}, "narrow from +-10 kt to about +-5 kt"),
        (
            {"first": [0.75], "spread": (-20, 10, 24)},
            "would narrow from +-220 % to about +-110 %",
        ),
        (
            {"first": [0.75], "spread": (0, 0, 0)},
            "95 % of draws of in_use_total in 2021 are the same, so that there is no range",
        ),
        ({"first": [0.75], "spread": (-10, 0.1, 10)}, "narrow from +-10 kt to about +-5 kt"),
        (
            {"first": [0.75], "linear": 0.5, "half": 0.1},
            "standard deviation of in_use_total in 2021 would fall to about 50 % of what it is, on",
        ),
        ({"first": [0.5], "half": 0.1}, "to about +-7.1 % (between +-6.3 % and +-7.7 %)"),
        (
            {"first": [0.75], "spread": (9, 10, np.inf)},
            "group_0 decides most of in_use_total in 2021",
        ),
        ({"first": [0.3, 0.31, 0.1]}, "if group_1 were"),
        ({"first": [0.3, 0.31, 0.1]}, "; group_0 may matter as much"),
        ({"first": [0.001], "half": 0.0}, "no group alone matters much: the 95 % range"),
        ({"first": [-0.01, 0.01], "half": 0.02}, "no group alone is known to narrow the range"),
        ({"first": [1.2], "half": 0.3}, "to about +-0.0 %"),
    ],
)
def test_what_it_would_help_to_know(given, said):
    """The range narrows by the root of what is left, and what is not known well is said so."""
    assert said in told(**given).sentence


def test_groups_share_a_rank_where_a_study_cannot_tell_them():
    """Ranks go on behind those who share one; what has no share comes last."""
    found = told([0.1, np.nan, 0.105, 0.5, 0.0, 0.0], flags=[0, 3, 0, 0, 1, 2], tied=[0])
    assert [(one.group, one.rank, one.tied) for one in found.groups[:3]] == [
        ("group_3", 1, False),
        ("group_2", 2, True),
        ("group_0", 2, True),
    ]
    assert found.unreached == ("group_4",)
    assert {one.flag for one in found.groups[3:]} == {Flag.LOST_PAIRS, Flag.CONSTANT}


def test_nothing_is_said_of_what_is_always_the_same():
    """There is no variance that a group could take away."""
    assert told([np.nan, np.nan], flags=[2, 2]).sentence == ""


def test_the_cells_that_are_told_of_first():
    """The last year of totals, else the cell that varies most, or what is picked."""
    shares = xr.Dataset(
        {
            "gain_first_order": (("group", "product", "year"), np.zeros((1, 2, 2))),
            "gain_sd": (("product", "year"), np.array([[1.0, 5.0], [9.0, np.nan]])),
            "in_use_first_order": (("group", "product", "year"), np.zeros((1, 2, 2))),
            "in_use_sd": (("product", "year"), np.ones((2, 2))),
            "in_use_total_first_order": (("group", "year"), np.zeros((1, 2))),
            "in_use_total_sd": ("year", np.ones(2)),
            "in_use_above_first_order": (
                ("group", "in_use_limit", "product", "year"),
                np.zeros((1, 1, 2, 2)),
            ),
        },
        {"group": ["a"], "product": ["x", "y"], "year": [2020, 2021], "in_use_limit": [5.0]},
    )
    assert closing_cells(shares, ["gain", "in_use"], {}) == [
        ("gain", {"product": "x", "year": 2021}),
        ("in_use_total", {"year": 2021}),
        ("in_use_above", {"in_use_limit": 5.0, "product": "x", "year": 2021}),
    ]
    picked = closing_cells(shares, ["in_use"], {"product": ["y"], "year": [2020]})
    assert picked == [
        ("in_use", {"product": "y", "year": 2020}),
        ("in_use_above", {"in_use_limit": 5.0, "product": "y", "year": 2020}),
    ]
