"""Numbers in per cent that may be meant as shares of one: 0.4 where it is 40 %."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ndmc.errors import warn
from ndmc.scenario.parameters import Parameter
from ndmc.scenario.scenario import Scenario

_PERCENT = ("%", "percent")


def warn_of_fractions(scenario: Scenario) -> None:
    """Warn of each parameter in % of which no number is above 1, unless the file says it is right.

    It does by a unit beside the number (``value: 0.4 %``, a column ``unit``), or by a range. Half
    a per cent is a rate of recycling as good as any: no size tells one from the other.
    """
    for name, parameter in scenario.parameters.items():
        most = float(np.abs(parameter.marginals.central).max()) / parameter.factor
        if parameter.unit in _PERCENT and 0 < most <= 1 and not _is_said(scenario, parameter):
            found = f"parameter {name!r} is {'at most ' * bool(parameter.dims)}{most:g} %"
            other = f'if {100 * most:g} % is meant write {100 * most:g}, or unit: "1"'
            right = f"if not, say so by 'value: {most:g} %', a column unit, or a range above 1"
            warn(f"{found}; {other}; {right}", scenario.document.where("parameters", name))


def _is_said(scenario: Scenario, parameter: Parameter) -> bool:
    """Whether the file says beside its numbers, or by their range, that they are per cent."""
    entry = scenario.file.parameters[parameter.name]
    if parameter.range is not None:
        return parameter.range[1] > parameter.factor
    if entry.table is None:
        return any("%" in one for one in _leaves(entry.value) if isinstance(one, str))
    if isinstance(entry.table, list) and all(one.unit for one in entry.table):
        return True
    return any("unit" in scenario.header(table) for table in entry.tables)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key != "cv":  # a share of whatever the number is
                yield from _leaves(inner)
    else:
        yield value
