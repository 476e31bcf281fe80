"""What a scenario must be for every command to take it: one rule for check and for validate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.engine.refusals import check_central
from ndmc.errors import InputError, Mistakes, together
from ndmc.model import compile_plan
from ndmc.plan.steps import Plan
from ndmc.plan.vocabulary import Vocabulary
from ndmc.plan.years import years_among
from ndmc.scenario.scenario import Figure, Scenario
from ndmc.studies.figures import check_figure, doubts_of, may_be_doubted

Central = Mapping[str, npt.NDArray[Any]]


def examined(scenario: Scenario) -> tuple[Plan, Central]:
    """Return the plan of a scenario and its outputs with every parameter at its mean.

    Raises
    ------
    InputError
        For what cannot be compiled, an output that is not finite even there, and published figures
        that cannot be computed; of a variant with its name.
    """
    try:
        plan = compile_plan(scenario)
        central = check_central(plan)
        _check_finite(scenario, plan, central)
        check_figures(scenario)
    except InputError as wrong:
        if not scenario.variant:
            raise
        named = (_named(one, scenario.variant) for one in wrong.mistakes)
        raise together(named, more=wrong.more) from None
    return plan, central


def _named(wrong: InputError, variant: str) -> InputError:
    return InputError(f"{wrong.message} (under the variant {variant!r})", wrong.where)


def _check_finite(scenario: Scenario, plan: Plan, central: Central) -> None:
    for output in plan.outputs:
        values = central[output.name]
        never = np.isposinf(values) & (output.name in plan.events)
        if not (np.isfinite(values) | never).all():
            raise scenario.document.error(
                f"{output.name!r} is not finite with every parameter at its mean; look for a "
                "division by zero, such as by a flow that is 0 in the first year",
                f"{output.kind}s",
                output.name,
            )


def check_figures(scenario: Scenario) -> None:
    """Refuse published figures that no model could be held against, all at once.

    Those of another variant are left to it.
    """
    if figures := _own(scenario):
        names = Vocabulary(scenario)
        years = years_among(names.indicators.values())
        with Mistakes() as mistakes:
            for figure in figures:
                with mistakes.apart():
                    check_figure(names, figure, years)


def doubts(scenario: Scenario) -> list[tuple[str, str]]:
    """Return what is wrong with figures that can be compared, and where."""
    figures = [*filter(may_be_doubted, _own(scenario))]
    return [*doubts_of(Vocabulary(scenario), figures)] if figures else []


def _own(scenario: Scenario) -> list[Figure]:
    return [one for one in scenario.figures if one.entry.variant in ("", scenario.variant)]
