"""Scenarios of one indicator of uncertain numbers, read."""

import known_shares
from known_shares import drawn
from strategies import scenario

__all__ = ["asked", "drawn"]


def asked(rule, parameters, years="2000..2000", **key):
    """Return a scenario with an indicator ``y`` of its parameters."""
    return scenario(known_shares.asked(rule, parameters, years, **key))
