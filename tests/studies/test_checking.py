"""What a check says of a system, where no number of a run says it."""

import numpy as np
import pytest
from one_stock import YEARS, by_year, certain, model
from scipy import stats
from strategies import scenario

import ndmc

SCALES = np.linspace(0.9, 6, YEARS)


def warnings_of(lifetime, **key):
    """Return what is said of a stock, of which every year's products live differently long."""
    own = {"life": certain("yr", by_year(SCALES), "year")}
    read = scenario(model(lifetime, parameters=own, inflow_at="pdf_integer", **key))
    return ndmc.check(read).notes


def test_what_pdf_integer_loses_is_the_sum_of_densities():
    """The least and the most that a cohort of any year loses, by SciPy's density."""
    sums = [stats.weibull_min.pdf(np.arange(1, 3000), 1.4, scale=s).sum() for s in SCALES]
    (note,) = warnings_of("weibull(life, 1.4)")
    assert f"loses {min(sums):.4g} to {max(sums):.4g} times what it was" in note
    assert min(sums) < 0.9


def test_truncated_densities_are_not_warned_of():
    """Scaled to sum to one they lose all there is."""
    assert warnings_of("weibull(life, 1.4)", normalise="truncate") == ()


@pytest.mark.parametrize("key", [{}, {"reconcile": {"measured": {"waste": "seen"}}}])
@pytest.mark.parametrize("command", [ndmc.check, ndmc.validate])
def test_wrong_figures_are_told_together(command, key):
    """Each by its line, by both commands, whether the model is drawn or reconciled."""
    asked = [{"quantity": "us"}, {"quantity": "use", "at": "year=1066"}, {"quantity": "use"}]
    study = {
        "format": 1,
        "name": "study",
        "unit": "t",
        "years": "2000..2001",
        "parameters": {
            "x": certain("t/yr", 1.0),
            "seen": {"unit": "t/yr", "value": 1, "cv": 0.1, "distribution": "normal"},
        },
        "processes": ["p"],
        "flows": {
            "use": {"from": "out", "to": "p", "value": "x"},
            "waste": {"from": "p", "to": "out"},
        },
        "published": [{"value": 1, "unit": "t", "status": "soft", **one} for one in asked],
        **key,
    }
    with pytest.raises(ndmc.InputError) as caught:
        command(scenario(study))
    told = [one.message for one in caught.value.mistakes]
    assert told[0] == "unknown name 'us'; did you mean 'use'?"
    assert told[1].startswith("at: 1066 lies before the years")
    assert told[2].startswith("'use' still has the dim 'year'")
    assert len({one.where for one in caught.value.mistakes}) == len(told) == 3


def test_python_names_its_own_argument():
    """And no option of the command line."""
    with pytest.raises(ndmc.InputError, match=r"^sel: 1900 lies before the years"):
        ndmc.check("starter", sel={"year": "1900"})
