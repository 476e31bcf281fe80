"""Read what stocks with lifetimes hold before the first year, and how old it is."""

from __future__ import annotations

import numpy as np

from ndmc.plan.steps import Before, Cohort, Initial, Lifetime, hidden
from ndmc.plan.stock_lifetimes import central_numbers, some_of
from ndmc.plan.vocabulary import Vocabulary, plain
from ndmc.scenario.expressions import Expression
from ndmc.scenario.lifetimes import TABLE, outlived
from ndmc.scenario.schema import InitialEntry
from ndmc.scenario.units import TIME
from ndmc.typing import Floats
from ndmc_kernels.survival import quadrature

#: An initial stock is followed back until this share of a cohort is left, and as long again for
#: draws with longer lives; heavy tails are cut after 2000 years.
_LEFT = 1e-10

_OLDEST = 2000

#: An initial stock needs at least this share of an inflow to be there at the end of its year.
_FIRST = 1e-12


def initial_amount(names: Vocabulary, stock: str) -> Expression | None:
    """Return what a stock holds before the first year, if that is said.

    Raises
    ------
    InputError
        With file and line, if it is no amount of stock, or below nothing.
    """
    value = names.initial(stock)
    if value is not None:
        check_not_negative(names, value, "an initial stock", "stocks", stock, "initial", "value")
    return value


def check_not_negative(names: Vocabulary, expression: Expression, what: str, *key: str) -> None:
    """Refuse an expression that is below nothing where parameters alone decide it."""
    with np.errstate(invalid="ignore"):  # what is no number in years that are not read
        values = names.central(expression)
    if values is not None and values.min() < 0:
        names.fail(f"{what} cannot be negative, found {values.min():g}", *key)


def initial_cohorts(names: Vocabulary, name: str, lifetime: Lifetime) -> Initial | None:
    """Return what a stock with a lifetime holds before the first year, with its ages.

    Raises
    ------
    InputError
        With file and line, for anything about it that does not fit together.
    """
    key = ("stocks", name, "initial")
    initial = names.file.stocks[name].initial
    if initial and initial.inflow is not None:
        for other in ("value", "shares"):
            if getattr(initial, other) is not None:
                names.fail(f"what the inflow left needs no {other}; give one of both", *key, other)
    value = initial_amount(names, name)
    if initial is None or value is None:
        return None
    if initial.age is None:
        names.fail(
            f"the initial stock of {name!r} has no age; say age: stationary, growing, spin_up "
            "or given",
            *key,
        )
    if lifetime.convention == "pdf_integer":
        names.fail("an initial stock needs a convention that conserves mass", *key)
    if initial.age == "given" and initial.inflow is not None:
        names.fail("age: given needs a value; an inflow leaves ages of its own", *key, "inflow")
    wanted = {"growing": "growth", "spin_up": "growth", "given": "shares"}.get(initial.age)
    for other in ("growth", "shares"):
        given = getattr(initial, other) is not None
        if given != (other == wanted):
            verb = "does not take" if given else "needs"
            names.fail(f"age: {initial.age} {verb} {other}", *key)
    growth = None if initial.growth is None else _growth(names, name, initial.growth)
    shares = None if initial.shares is None else _shares(names, name, initial.shares)
    slowest = _slowest(names, growth)
    _check_survivors(names, name, initial, lifetime, slowest)
    ages = _ages(names, initial, lifetime, slowest)
    return Initial(value, initial.age, growth or shares, ages)


def before_step(names: Vocabulary, name: str, cohort: Cohort) -> list[Before]:
    """Return the step that finds what a past inflow left in a stock, if that is how it starts."""
    entry, dims = names.file.stocks[name].initial, cohort.dims[:-1]
    if entry is None or entry.inflow is None:
        return []
    key, units = ("stocks", name, "initial", "inflow"), names.scenario.units

    def misfit(found: Expression) -> str:
        if found.dimension in (None, units.flow):
            return ""
        wanted = f"an inflow must be [{units.flow}] ({units.name(units.flow)})"
        return f"{wanted}, not [{found.dimension}]"

    inflow = names.read(entry.inflow, *key, of=name, wants=misfit, dims=dims)
    check_not_negative(names, inflow, "an inflow", *key)
    return [Before(hidden(name, "before"), dims, inflow, cohort)]


def _growth(names: Vocabulary, name: str, text: str) -> Expression:
    key, dims = ("stocks", name, "initial", "growth"), names.stock_dims(name)[:-1]
    return names.read(text, *key, of=name, wants=plain("growth", TIME**-1), dims=dims)


def _shares(names: Vocabulary, name: str, text: str) -> Expression:
    key, dims = ("stocks", name, "initial", "shares"), (*names.stock_dims(name)[:-1], "age")
    shares = names.read(text, *key, of=name, wants=plain("shares"), dims=dims)
    if "age" not in shares.dims:
        names.fail("shares need the dim age", *key)
    values = names.central(shares)
    if values is None:
        return shares
    total = values.sum(axis=shares.dims.index("age"))
    if values.min() < 0 or np.abs(total - 1).max() > 1e-6:
        names.fail(f"the shares of each age must add up to 1, not {total.max():g}", *key)
    return shares


def _slowest(names: Vocabulary, growth: Expression | None) -> float:
    """Return the slowest central growth; 0 if none is given, or flows decide it."""
    values = names.central(growth) if growth else None
    return 0.0 if values is None else float(values.min())


def _check_survivors(
    names: Vocabulary, name: str, initial: InitialEntry, lifetime: Lifetime, growth: float
) -> None:
    """Refuse an initial stock of which nothing could be left, or that reaches back too far."""
    key = ("stocks", name, "initial")
    numbers = central_numbers(names, lifetime) if lifetime.kind != TABLE else ()
    if not numbers or initial.age == "given":
        return
    if initial.age == "spin_up" and growth <= -1:
        names.fail("growth must be above -100 % a year", *key, "growth")
    found = [_survivors(lifetime, growth, some) for some in some_of(numbers, _OLDEST)]
    first, beyond = np.concatenate(found, axis=1)
    if first.min() < _FIRST:
        names.fail(
            f"nothing that flows into the stock {name!r} is there at the end of its year, so it "
            "cannot hold an initial stock",
            *key,
        )
    if initial.age != "spin_up" and beyond.max() > 1e-6:
        names.fail(
            f"about {beyond.max():.2g} of the initial stock would be older than {_OLDEST} years, "
            "which is as far back as it is followed; use a lifetime with a shorter tail, age: "
            "spin_up, or age: given",
            *key,
        )


def _survivors(lifetime: Lifetime, growth: float, numbers: tuple[Floats, ...]) -> Floats:
    """Return what is left of a cohort after its first year, and the share older than all ages."""
    nodes, weights = quadrature(lifetime.convention, 1, lifetime.panels)
    spread = tuple(number[:, np.newaxis] for number in numbers)
    ages = np.arange(1.0, _OLDEST + 1)[:, np.newaxis]
    with np.errstate(all="ignore"):
        first = (outlived(lifetime.kind, nodes[0], spread) * weights[0]).sum(axis=-1)
        left = outlived(lifetime.kind, ages, numbers) * np.exp(-growth * ages)
        return np.stack([first, _OLDEST * left[-1] / (left.sum(axis=0) + first)])


def _ages(names: Vocabulary, initial: InitialEntry, lifetime: Lifetime, growth: float) -> int:
    """Return how many ages of an initial stock are followed."""
    labelled = len(names.dims.labels.get("age", ()))
    if lifetime.kind == TABLE:
        return labelled
    numbers = central_numbers(names, lifetime)
    if not numbers:
        return _OLDEST
    age = 16.0
    while age < _OLDEST and np.any(
        outlived(lifetime.kind, np.array(age), numbers) * np.exp(-growth * age) > _LEFT
    ):
        age *= 1.25
    ages = min(int(2 * age), _OLDEST)
    return max(ages, labelled) if initial.age == "given" else ages
