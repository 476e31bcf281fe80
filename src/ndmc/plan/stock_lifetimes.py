"""Read the lifetimes of stocks, and refuse what no cohort can live by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from ndmc.dims import align
from ndmc.errors import InputError
from ndmc.plan.steps import Cohort, Lifetime, Step
from ndmc.plan.vocabulary import Vocabulary, plain
from ndmc.scenario.expressions import Expression, ExpressionError
from ndmc.scenario.lifetimes import (
    TABLE,
    Argument,
    canonical,
    does_not_exist,
    outlived,
    parse_lifetime,
)
from ndmc.scenario.marginals import normal_cdf
from ndmc.scenario.schema import StockEntry
from ndmc.scenario.units import NONE
from ndmc.typing import Floats
from ndmc_kernels.survival import quadrature

#: A lifetime that is drawn at or below zero this rarely is left to the check at run time.
_RARE = 1e-12

#: A year is cut into as many panels as bring survival under inflow_at: uniform to this.
_QUADRATURE = 1e-12

_PANELS, _MOST_PANELS = (1, 2, 4, 8, 16), 64

#: Values of survival that are computed at a time: 8 MiB.
_AT_ONCE = 2**20


def read_lifetime(names: Vocabulary, name: str, stock: StockEntry) -> Lifetime:
    """Return the lifetime of a stock.

    Raises
    ------
    InputError
        With file and line, if it is none.
    """
    key = ("stocks", name, "lifetime")
    try:
        kind, texts = parse_lifetime(stock.lifetime or "")
    except ExpressionError as wrong:
        names.fail(str(wrong), *key)
    arguments = tuple(
        (argument.name, _argument(names, name, kind, argument, text))
        for argument, text in texts.items()
    )
    _check_convention(names, name, stock, kind)
    stretch = stock.lifetime_factor
    factor = None if stretch is None else _factor(names, name, stretch)
    lifetime = Lifetime(kind, arguments, stock.inflow_at, stock.normalise, factor)
    if kind == TABLE:
        _check_table(names, name, lifetime.arguments[0][1], stock.initial is not None)
        return lifetime
    numbers = central_numbers(names, lifetime)
    if any(np.isnan(number).any() for number in numbers):
        names.fail(does_not_exist(kind), *key)
    if kind == "fixed" and numbers and numbers[0].min() < 0:
        names.fail(f"a lifetime cannot be negative, found {numbers[0].min():g} years", *key)
    return replace(lifetime, panels=_panels(names, lifetime, numbers))


def _check_convention(names: Vocabulary, name: str, stock: StockEntry, kind: str) -> None:
    """Refuse what is said of inflow_at, or needs another, with this kind of lifetime."""
    if stock.inflow_at == "pdf_integer" and kind != "weibull":
        names.fail("pdf_integer is there for weibull only", "stocks", name, "inflow_at")
    if stock.normalise != "none" and stock.inflow_at != "pdf_integer":
        message = "normalise only concerns inflow_at: pdf_integer; the others lose nothing"
        names.fail(message, "stocks", name, "normalise")
    rigid = kind == TABLE or stock.inflow_at == "pdf_integer"
    if rigid and stock.lifetime_factor is not None:
        message = "a lifetime_factor needs a distribution whose age can be stretched"
        names.fail(message, "stocks", name, "lifetime_factor")
    if kind == TABLE and "inflow_at" in stock.model_fields_set:
        message = "inflow_at does not apply to a survival table, which holds for the ends of years"
        names.fail(message, "stocks", name, "inflow_at")


def central_numbers(names: Vocabulary, lifetime: Lifetime) -> tuple[Floats, ...]:
    """Return what `outlived` wants of the lifetimes that differ, with every parameter at its mean.

    Often many cells have the same one. Nothing is returned if flows decide it.
    """
    given, wants = {}, names.dims.ordered(d for _, e in lifetime.arguments for d in e.dims)
    for name, expression in lifetime.arguments:
        values = names.central(expression)
        if values is None:
            return ()
        given[name] = align(values, expression.dims, wants, names.dims)
    with np.errstate(all="ignore"):
        return _distinct(canonical(lifetime.kind, given))


def _distinct(numbers: tuple[Floats, ...]) -> tuple[Floats, ...]:
    cells = [values.reshape(-1) for values in np.broadcast_arrays(*numbers)]
    return tuple(np.unique(np.stack(cells, axis=1), axis=0).T.copy())


def some_of(numbers: tuple[Floats, ...], values: int) -> Iterator[tuple[Floats, ...]]:
    """Yield as many lifetimes at a time as fit the memory with so many values each."""
    step = max(_AT_ONCE // values, 1)
    for first in range(0, len(numbers[0]), step):
        yield tuple(number[first : first + step] for number in numbers)


def _panels(names: Vocabulary, lifetime: Lifetime, numbers: tuple[Floats, ...]) -> int:
    """Return in how many parts a year must be integrated over, also for somewhat shorter lives."""
    if lifetime.convention != "uniform" or lifetime.kind == "fixed" or not numbers:
        return 1
    years = len(names.dims.years)
    for panels in _PANELS:
        finer = [quadrature("uniform", years, parts) for parts in (panels, 2 * panels)]
        some = some_of(numbers, finer[1][0].size)
        if all(_agree(lifetime.kind, finer, numbers) for numbers in some):
            return panels
    return _MOST_PANELS


def _agree(kind: str, finer: list[tuple[Floats, Floats]], numbers: tuple[Floats, ...]) -> bool:
    """Whether two quadratures of a year give the same survival."""
    spread = tuple(number[:, np.newaxis, np.newaxis] for number in numbers)
    one, other = (
        (weights * outlived(kind, 1.5 * nodes, spread)).sum(axis=-1) for nodes, weights in finer
    )
    return bool(np.abs(one - other).max() < _QUADRATURE)


def _factor(names: Vocabulary, name: str, text: str) -> Expression:
    key, dims = ("stocks", name, "lifetime_factor"), names.stock_dims(name)
    factor = names.read(text, *key, of=name, wants=plain("a factor"), dims=dims)
    values = names.central(factor)
    if values is not None and values.min() <= 0:
        names.fail(f"a lifetime factor must be positive, not {values.min():g}", *key)
    return factor


def _argument(names: Vocabulary, name: str, kind: str, argument: Argument, text: str) -> Expression:
    key, dims = ("stocks", name, "lifetime"), names.stock_dims(name)

    def misfit(found: Expression) -> str:
        bare = found.operation == "number" and found.dimension in (NONE, None)  # years, or 1/yr
        if bare or found.dimension == argument.dimension:
            return ""
        wanted = f"the {argument.name} of a {kind} lifetime must be [{argument.dimension}]"
        return f"{wanted}, not [{found.dimension or NONE}]"

    allowed = (*dims[:-1], "age") if kind == TABLE else dims
    expression = names.read(text, *key, of=name, wants=misfit, dims=allowed)
    if kind == TABLE and "age" not in expression.dims:
        names.fail("a survival table needs the dim age: name a parameter that has it", *key)
    if argument.positive and expression.operation == "number" and expression.value <= 0:
        message = f"the {argument.name} of a lifetime must be positive, not {expression.value:g}"
        names.fail(message, *key)
    if argument.positive:
        _check_positive(names, expression)
    return expression


def positive_parameters(steps: Iterable[Step]) -> frozenset[str]:
    """Return the names that lifetimes are computed from and that must stay above zero."""
    found: set[str] = set()
    for step in steps:
        if isinstance(step, Cohort):
            for name, expression in step.lifetime.arguments:
                if name not in ("mu", "years", "table"):
                    found |= expression.names
            if step.lifetime.factor:
                found |= step.lifetime.factor.names
    return frozenset(found)


def _check_positive(names: Vocabulary, expression: Expression) -> None:
    for name in sorted(expression.names & set(names.scenario.parameters)):
        parameter = names.scenario.parameters[name]
        marginals = parameter.marginals
        low = (marginals.central <= 0) | (marginals.lowest <= 0)
        for n in np.flatnonzero(low).tolist():
            cell, where = marginals[n], parameter.origins.where(n)
            if cell.central <= 0:
                message = f"lifetime parameter {name!r} must be positive, found"
                raise InputError(f"{message} {cell.central / parameter.factor:g}", where)
            normal = cell.kind == "normal"
            chance = normal_cdf(-cell.numbers[0] / cell.numbers[1]) if normal else 1.0
            if chance > _RARE:
                share = f"in {chance:.2g} of the draws" if normal else "in some draws"
                raise InputError(
                    f"lifetime parameter {name!r} would be drawn at or below zero {share}; "
                    "use distribution: lognormal, or truncated_normal with low above 0",
                    where,
                )


def _check_table(names: Vocabulary, name: str, table: Expression, initial: bool) -> None:
    key = ("stocks", name, "lifetime")
    values = names.central(table)
    if values is None:
        return
    shares = np.moveaxis(values, table.dims.index("age"), 0)
    if shares.min() < 0 or shares.max() > 1 or (np.diff(shares, axis=0) > 0).any():
        names.fail("a survival table must fall from at most 1 to at least 0", *key)
    short = initial or len(shares) < len(names.dims.years)
    if short and shares[-1].max() > 0:
        names.fail(
            f"the survival table ends at age {len(shares) - 1} with {shares[-1].max():g} still "
            "in stock; add ages until it is 0",
            *key,
        )
