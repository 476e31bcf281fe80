"""Which quantities are years of the calendar, and which are what is left of them."""

import pytest
from strategies import scenario, stock_model

from ndmc.plan.vocabulary import Vocabulary
from ndmc.plan.years import is_year, years_among


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("first_year(total > limit)", True),
        ("passed", True),
        ("later", True),
        ("min(passed, 2100)", True),
        ("passed + 3", True),
        ("3 + passed", True),
        ("passed - 1", True),
        ("where(total > limit, passed, 2100)", True),
        ("year", True),
        ("last_year(total < limit)", True),
        ("peak_year(total)", True),
        ("max(peak_year(in_use), over=product)", True),
        ("at(peak_year(in_use), product=a)", True),
        ("product == a", False),
        ("passed - 2000", False),
        ("passed - later", False),
        ("passed + later", False),
        ("2100 - passed", False),
        ("waited", False),
        ("passed > 2005", False),
        ("2 * passed", False),
        ("where(passed > 2005, 1, 0)", False),
        ("total", False),
        ("2005", False),
    ],
)
def test_a_year_is_what_events_and_choices_give(text, expected):
    """What is added to a year moves it; a difference of two is a time, a multiple is nothing."""
    data = stock_model()
    data["parameters"]["limit"] = {"unit": "t", "value": 900, "distribution": "constant"}
    data["indicators"] |= {
        "later": "max(passed, 2003) + 1",  # which names what is defined behind it
        "passed": "first_year(total > limit)",
        "waited": "passed - 2000",
    }
    names = Vocabulary(scenario(data))
    years = years_among(names.indicators.values())
    assert years == {"passed", "later"}
    assert is_year(names.quantity(text, ""), years) is expected
