"""Hold a model against published figures, honestly: every figure is shown, met or not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ndmc.errors import InputError, warn
from ndmc.given import as_count
from ndmc.runs.replay import scenario_of
from ndmc.scenario.load import as_scenario, load, under
from ndmc.scenario.scenario import Scenario
from ndmc.store.address import place_of
from ndmc.store.keys import ROOT
from ndmc.store.opening import open_store
from ndmc.store.store import Store
from ndmc.studies.drawn_figures import MOST_DRAWS, compare_drawn, compare_missing, compare_stored
from ndmc.studies.examination import check_figures, doubts, examined
from ndmc.studies.figures import NOT_KEPT, OTHER_VARIANT, Comparison, rows, tolerances

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Validation", "compare_source", "validate"]


@dataclass(frozen=True)
class Stated:
    """Of so many ``figures`` with a stated uncertainty, how many are met ``within`` it.

    The model has the same uncertainty itself of ``tight`` to the tolerance of targets, and of
    ``loose`` to that of soft targets.
    """

    figures: int
    within: int
    tight: int
    loose: int


@dataclass(frozen=True)
class Validation:
    """Every published figure of a scenario beside the model, under a variant or none ("").

    ``tolerance`` is the share by status to which figures are to be met. ``worst`` is the largest
    open equation as a share of its largest term if the model is reconciled, None if it is drawn.
    """

    comparisons: list[Comparison]
    variant: str
    tolerance: dict[str, float]
    worst: float | None = None

    def of(self, status: str) -> list[Comparison]:
        """Return the figures of a status."""
        return [one for one in self.comparisons if one.status == status]

    def judged(self, status: str) -> list[Comparison]:
        """Return the figures of a status but those that a store says nothing of."""
        return [one for one in self.of(status) if one.verdict not in (NOT_KEPT, OTHER_VARIANT)]

    def lacking(self, status: str, verdict: str) -> int:
        """Return how many figures of a status have a verdict that is none."""
        return sum(one.verdict == verdict for one in self.of(status))

    def met(self, status: str) -> int:
        """Return how many figures of a status are met."""
        return sum(one.verdict == "met" for one in self.of(status))

    def stated(self, *, inputs: bool) -> Stated:
        """Return how figures with a stated uncertainty fare: inputs of the model, or the others."""
        chosen = [c for c in self.comparisons if c.within and (c.status == "input") == inputs]
        off = [abs(c.cv_deviation) for c in chosen]
        return Stated(
            figures=len(chosen),
            within=sum(c.within == "yes" for c in chosen),
            tight=sum(one <= self.tolerance["target"] for one in off),
            loose=sum(one <= self.tolerance["soft"] for one in off),
        )


def validate(
    source: Scenario | str | Path,
    *,
    draws: int = 10_000,
    seed: int = 1,
    variant: str | Iterable[str] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Compare the model with every published figure of a scenario.

    Parameters
    ----------
    source
        A loaded scenario, which is compared as it is, what `load` takes, or the path of a store.
    draws, seed
        Draws to compute, for a scenario that is not reconciled. A store is judged by its own.
    variant
        Variant to compare, or several, as in `load`; the one the scenario names for this if None,
        ``""`` for none. Figures with a variant of their own are compared under that.
    changes
        As in `load`; like ``variant`` only where ``source`` is a scenario that is not loaded yet.

    Returns
    -------
    pandas.DataFrame
        One row per figure: published value and relative standard deviation (``uncertainty``),
        model median, 95 % range and relative standard deviation (``cv``), status and verdict,
        ``deviation`` and ``cv_deviation`` of the model from what is published, as shares of it, and
        whether the model lies ``within`` the published 95 % range. Where figures have them, also
        bounds (``at_least``, ``at_most``; ``published`` is nan then), the limits of which they are
        the probability (``above``, ``below``; the median is the share of draws in % then, the range
        its confidence limits), and a ``tolerance`` and ``variant`` of their own. For a scenario
        with a ``reconcile`` section these are reconciled estimates, and ``class`` is how each is
        known. The attributes hold the variant, the tolerances by status and, of a reconciled
        scenario, the largest open equation as a share of its largest term.

    Raises
    ------
    InputError
        If the scenario publishes no figures, or a figure cannot be computed.
    RunError
        If the equations of ``reconcile`` are not linear and no solution is found.

    Examples
    --------
    >>> table = validate("china_nd", draws=500)
    >>> int((table.status == "target").sum())
    18
    """
    import pandas as pd

    found = compare_source(source, draws, seed, variant, changes)
    table = pd.DataFrame(rows(found.comparisons))
    about = {"variant": found.variant, "tolerance": found.tolerance, "worst_balance": found.worst}
    table.attrs |= about
    return table


def compare_source(
    source: Scenario | str | Path,
    draws: int,
    seed: int,
    variant: str | Iterable[str] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Validation:
    """Compare a store or a scenario with its published figures."""
    if not isinstance(source, Scenario) and place_of(source).exists(ROOT):
        if variant or changes:
            message = "a store is compared as it was run; variant and changes are for a scenario"
            raise InputError(message, f"{source}")
        return _of_store(open_store(source))
    scenario = as_scenario(source, variant=variant or "", changes=changes)
    published = scenario.file.published
    if variant is None and published and published.variant and not isinstance(source, Scenario):
        scenario = load(source, variant=published.variant, changes=changes)
    return _of_scenario(scenario, draws, seed)


def _of_store(store: Store) -> Validation:
    scenario = scenario_of(store)
    if scenario.file.published is None:
        raise InputError(f"{scenario.name} publishes no figures", store.path)
    if not store.complete:
        raise InputError("the run is not complete", store.path)
    found = dict[int, Comparison]()
    for variant, places in _places(scenario).items():
        part = replace(scenario, figures=tuple(scenario.figures[n] for n in places))
        own = variant == scenario.variant
        found |= zip(places, (compare_stored if own else compare_missing)(part, store), strict=True)
    comparisons = [found[n] for n in sorted(found)]
    return Validation(comparisons, scenario.variant, tolerances(scenario))


def _of_scenario(scenario: Scenario, draws: int, seed: int) -> Validation:
    if scenario.file.published is None:
        raise InputError(f"{scenario.name} publishes no figures; add a 'published' section")
    places = _places(scenario)
    parts = [
        replace(under(scenario, variant), figures=tuple(scenario.figures[n] for n in some))
        for variant, some in places.items()
    ]
    for part in parts:
        _check(part, draws)
    found, worst = dict[int, Comparison](), list[float]()
    for some, part in zip(places.values(), parts, strict=True):
        if part.file.reconcile is None:
            comparisons = compare_drawn(part, draws, seed)
        else:
            from ndmc.studies.reconciled_figures import compare_reconciled  # imports SciPy

            comparisons, open_ = compare_reconciled(part)
            worst.append(open_)
        found |= zip(some, comparisons, strict=True)
    return Validation(
        [found[n] for n in sorted(found)],
        scenario.variant,
        tolerances(scenario),
        max(worst, default=None),
    )


def _places(scenario: Scenario) -> dict[str, list[int]]:
    """Return which figures are compared under which variant, first those of the scenario's."""
    found = defaultdict[str, list[int]](list, {scenario.variant: []})
    for place, figure in enumerate(scenario.figures):
        found[figure.entry.variant or scenario.variant].append(place)
    return found


def _check(scenario: Scenario, draws: int) -> None:
    """Refuse what cannot be compared, and warn of what would tell nothing."""
    if scenario.file.reconcile is not None:
        check_figures(scenario)
    elif not 1 <= as_count(draws, "draws") <= MOST_DRAWS:
        raise InputError(f"{draws} draws; validation takes 1 to {MOST_DRAWS}", "-n")
    else:
        examined(scenario)
    for message, where in doubts(scenario):
        warn(message, where)
