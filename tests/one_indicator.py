"""Scenarios of one indicator of uncertain numbers."""

from one_stock import certain
from strategies import scenario


def asked(rule, parameters, years="2000..2000", **key):
    """Return a scenario with an indicator ``y`` of its parameters."""
    return scenario(
        {
            "format": 1,
            "name": "asked",
            "unit": "t",
            "years": years,
            "parameters": {"one": certain("t/yr", 1.0), **parameters},
            "processes": ["middle"],
            "flows": {
                "given": {"from": "outside", "to": "middle", "value": "one"},
                "closed": {"from": "middle", "to": "sink"},
            },
            "indicators": {"y": rule},
            **key,
        }
    )


def drawn(kind, **key):
    """Return a plain uncertain number."""
    return {"unit": "1", "distribution": kind, "range": "any", **key}
