"""Compile the stocks of a scenario to steps: lifetimes, prescribed stocks, buffers and sinks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from ndmc.dims import Dims, align
from ndmc.errors import InputError, nearest
from ndmc.plan.samplers import central_values
from ndmc.plan.steps import Balance, Cohort, Formula, Initial, Lifetime, Profile, Step, hidden
from ndmc.plan.vocabulary import Vocabulary
from ndmc.scenario.distributions import normal_cdf
from ndmc.scenario.expressions import Expression, ExpressionError, Variable
from ndmc.scenario.lifetimes import TABLE, Argument, canonical, outlived, parse_lifetime
from ndmc.scenario.operations import evaluate_expression
from ndmc.scenario.schema import InitialEntry, StockEntry
from ndmc.scenario.units import NONE, TIME, Dimension
from ndmc.typing import Floats
from ndmc_kernels.survival import quadrature

__all__ = ["positive_parameters", "profile_steps", "stock_steps"]

# A lifetime that is drawn at or below zero this rarely is left to the check at run time.
_RARE = 1e-12

# An initial stock is followed back until this share of a cohort is left, and as long again for
# draws with longer lives; heavy tails are cut after 2000 years.
_LEFT = 1e-10

_OLDEST = 2000

# A year is cut into as many panels as bring survival under inflow_at: uniform to this.
_QUADRATURE = 1e-12

_MOST_PANELS = 64


def stock_steps(names: Vocabulary) -> list[Step]:
    """Return the steps that compute every stock, what it releases and what it loses.

    Raises
    ------
    InputError
        With file and line, for anything about a stock that does not fit together.
    """
    steps: list[Step] = []
    for name, stock in names.file.stocks.items():
        _check_keys(names, name, stock)
        match stock.kind:
            case "lifetime":
                steps.append(_cohort(names, name, stock))
            case "sink":
                steps += _sink(names, name, stock)
            case "buffer":
                steps += _buffer(names, name, stock)
    return steps


_ONLY: dict[str, tuple[str, ...]] = {
    "lifetime": ("lifetime", "lifetime_factor", "value", "negative_inflow", "removals"),
    "buffer": ("remainder", "carry_over"),
    "sink": (),
}


def _check_keys(names: Vocabulary, name: str, stock: StockEntry) -> None:
    for kind, keys in _ONLY.items():
        for key in keys:
            if kind != stock.kind and getattr(stock, key) not in (None, {}):
                hint = "" if stock.kind != "lifetime" else f"; say kind: {kind}"
                message = f"{key} does not concern a stock of kind: {stock.kind}{hint}"
                names.fail(message, "stocks", name, key)
    if stock.kind == "lifetime" and stock.lifetime is None:
        names.fail(
            f"stock {name!r} has no lifetime; give it one, or say kind: sink or kind: buffer",
            "stocks",
            name,
        )
    if stock.negative_inflow is not None and stock.value is None:
        message = "negative_inflow only concerns a stock with a value, from which inflow follows"
        names.fail(message, "stocks", name, "negative_inflow")
    if stock.kind != "lifetime" and stock.initial is not None and stock.initial.age is not None:
        message = f"a stock of kind: {stock.kind} has no ages; give initial as one value"
        names.fail(message, "stocks", name, "initial", "age")
    _check_inflows(names, name, stock)


def _check_inflows(names: Vocabulary, name: str, stock: StockEntry) -> None:
    terms = names.inflows(stock.process)
    terms += names.outflows(stock.process) if stock.kind != "lifetime" else ()
    for term in terms:
        missing = [dim for dim in names.stock_dims(name) if dim not in term.dims]
        if missing:
            kind = "inflow" if stock.kind == "lifetime" else "flow"
            message = f"stock {name!r} is by {missing[0]!r} but its {kind} {term.name!r} is not"
            names.fail(message, "stocks", name, "dims")


# --- sinks and buffers -----------------------------------------------------------------------


def _net(names: Vocabulary, name: str, stock: StockEntry) -> Balance:
    """Return the step that computes what enters minus what leaves, but for the remainder."""
    target = f"_net_{name}"
    names.variables[target] = Variable(names.stock_dims(name), names.scenario.units.flow)
    terms = [*names.inflows(stock.process)]
    terms += [replace(term, sign=-1.0) for term in names.outflows(stock.process)]
    kept = tuple(term for term in terms if term.name != stock.remainder)
    return Balance(target, names.stock_dims(name), stock.process, "balance", kept)


def _held_before(names: Vocabulary, name: str, stock: StockEntry) -> str:
    """Return, as text, the initial stock as a flow into the first year."""
    if stock.initial is None:
        return "0"
    _amount(names, stock.initial.value, name, "initial")
    return f"where(year == {names.dims.years[0]}, {stock.initial.value}, 0) / step"


def _amount(names: Vocabulary, text: str, name: str, *key: str) -> Expression:
    """Return the expression of an amount of stock that the years do not change."""
    expression = names.expression(text, "stocks", name, *key)
    wanted = names.scenario.units.stock
    if expression.dimension not in (wanted, None):
        unit = names.scenario.units.name(wanted)
        message = (
            f"an initial stock must be [{wanted}] ({unit}), not [{expression.dimension}]; a number "
            "with a unit is a parameter"
        )
        names.fail(message, "stocks", name, *key)
    names.check_dims(name, expression, names.stock_dims(name)[:-1], "stocks", name, *key)
    _check_not_negative(names, expression, "an initial stock", "stocks", name, *key)
    return expression


def _check_not_negative(names: Vocabulary, expression: Expression, what: str, *key: str) -> None:
    for values in _central(names, [expression]):
        if values.min() < 0:
            names.fail(f"{what} cannot be negative, found {values.min():g}", *key)


def _formula(names: Vocabulary, target: str, dims: tuple[str, ...], text: str) -> Formula:
    return Formula(target, dims, names.quantity(text, names.where("stocks", target)))


def _sink(names: Vocabulary, name: str, stock: StockEntry) -> list[Step]:
    net = _net(names, name, stock)
    text = f"cumsum({net.target} + {_held_before(names, name, stock)})"
    return [net, _formula(names, name, net.dims, text)]


def _buffer(names: Vocabulary, name: str, stock: StockEntry) -> list[Step]:
    """Hold surpluses; what is short is drawn from them, and the remainder comes from outside."""
    if stock.remainder is None:
        message = f"the buffer {name!r} names no remainder: the flow that covers what it cannot"
        names.fail(message, "stocks", name)
    _check_given_up(names, name, stock.remainder, "remainder", inward=True)
    net = _net(names, name, stock)
    before = _held_before(names, name, stock)
    if stock.carry_over is False:
        held = f"cumsum(max({net.target}, 0) + {before})"
        short = f"max(-{net.target}, 0)"
    else:
        held = f"carry({net.target} + {before})"
        short = f"max(-{net.target} - (lag({name}) / step + {before}), 0)"
    rest = names.flow_dims(stock.remainder)
    if rest != net.dims:
        message = f"the remainder of {name!r} must have its dims {list(net.dims)}"
        names.fail(message, "stocks", name, "remainder")
    return [
        net,
        _formula(names, name, net.dims, held),
        Formula(stock.remainder, net.dims, names.quantity(short, names.where("stocks", name))),
    ]


def _check_given_up(
    names: Vocabulary, name: str, flow: str, *key: str, inward: bool = False
) -> None:
    """Refuse a flow that a stock should determine but that does not fit."""
    if flow not in names.file.flows:
        names.fail(
            f"unknown flow {flow!r}; {nearest(flow, names.file.flows)}", "stocks", name, *key
        )
    entry, process = names.file.flows[flow], names.file.stocks[name].process
    if (entry.target if inward else entry.origin) != process:
        way = "into" if inward else "out of"
        names.fail(f"{flow!r} does not lead {way} {process!r}", "stocks", name, *key)
    if entry.value is not None or entry.share is not None:
        given = "value" if entry.value is not None else "share"
        message = f"the stock {name!r} determines the flow {flow!r}, so it cannot have a {given}"
        names.fail(message, "flows", flow, given)
    claims = [s.removals for s in names.file.stocks.values()]
    remainders = [s.remainder for s in names.file.stocks.values()]
    if sum(flow in claim for claim in claims) + remainders.count(flow) > 1:
        names.fail(f"two stocks determine the flow {flow!r}", "stocks", name, *key)


# --- stocks with lifetimes -------------------------------------------------------------------


def _cohort(names: Vocabulary, name: str, stock: StockEntry) -> Cohort:
    dims = names.stock_dims(name)
    lifetime = _lifetime(names, name, stock)
    removals = tuple(
        (flow, _removal(names, name, flow, text)) for flow, text in sorted(stock.removals.items())
    )
    _check_removals(names, name, removals)
    return Cohort(
        target=name,
        dims=dims,
        inflows=names.inflows(stock.process),
        lifetime=lifetime,
        initial=_initial(names, name, stock.initial, lifetime) if stock.initial else None,
        removals=removals,
        level=_level(names, name, stock.value) if stock.value is not None else None,
        answer=stock.negative_inflow or "report",
        inflow=hidden(name, "inflow"),
        release=hidden(name, "release"),
        kept=hidden(name, "kept") if stock.value is not None else "",
    )


def _level(names: Vocabulary, name: str, text: str) -> Expression:
    key = ("stocks", name, "value")
    expression, wanted = names.expression(text, *key), names.scenario.units.stock
    if expression.dimension not in (wanted, None):
        unit = names.scenario.units.name(wanted)
        message = f"a stock must be [{wanted}] ({unit}), not [{expression.dimension}]"
        names.fail(message, *key)
    names.check_dims(name, expression, names.stock_dims(name), *key)
    _check_not_negative(names, expression, "a stock", *key)
    return expression


def _removal(names: Vocabulary, name: str, flow: str, text: str) -> Expression:
    key = ("stocks", name, "removals", flow)
    _check_given_up(names, name, flow, "removals", flow)
    expression = names.expression(text, *key)
    if expression.dimension not in (NONE, None):
        names.fail(f"a share must be a plain number, not [{expression.dimension}]", *key)
    names.check_dims(name, expression, (*names.stock_dims(name)[:-1], "age"), *key)
    if names.flow_dims(flow) != names.stock_dims(name):
        message = f"the flow {flow!r} must have the dims of the stock: {names.stock_dims(name)}"
        names.fail(message, *key)
    return expression


def _check_removals(
    names: Vocabulary, name: str, removals: tuple[tuple[str, Expression], ...]
) -> None:
    """Refuse removals below nothing, or of more than all, where parameters alone decide them."""
    total = np.zeros(1)
    for flow, share in removals:
        for values in _central(names, [share]):
            if values.min() < 0:
                message = f"the share removed is {values.min():g}; shares lie in [0, 1]"
                names.fail(message, "stocks", name, "removals", flow)
            wants = tuple(dim for dim in names.dims.labels if dim != "year")
            total = total + align(values, share.dims, wants, names.dims)
    if total.max() > 1 + 1e-12:
        flows = ", ".join(flow for flow, _ in removals)
        message = f"the shares removed ({flows}) sum to {total.max():.6g}, more than 1"
        names.fail(message, "stocks", name, "removals", removals[-1][0])


def _lifetime(names: Vocabulary, name: str, stock: StockEntry) -> Lifetime:
    key = ("stocks", name, "lifetime")
    try:
        kind, texts = parse_lifetime(stock.lifetime or "")
    except ExpressionError as wrong:
        names.fail(str(wrong), *key)
    arguments = tuple(
        (argument.name, _argument(names, name, kind, argument, text))
        for argument, text in texts.items()
    )
    if stock.inflow_at == "pdf_integer" and kind != "weibull":
        names.fail("pdf_integer is there for weibull only", "stocks", name, "inflow_at")
    if stock.normalise != "none" and stock.inflow_at != "pdf_integer":
        message = "normalise only concerns inflow_at: pdf_integer; the others lose nothing"
        names.fail(message, "stocks", name, "normalise")
    lifetime = Lifetime(
        kind,
        arguments,
        stock.inflow_at,
        stock.normalise,
        _factor(names, name, stock, kind) if stock.lifetime_factor is not None else None,
    )
    if kind == TABLE:
        if "inflow_at" in stock.model_fields_set:
            message = (
                "inflow_at does not apply to a survival table, which holds for the ends of years"
            )
            names.fail(message, "stocks", name, "inflow_at")
        _check_table(names, name, lifetime, stock.initial is not None)
        return lifetime
    numbers = _central_numbers(names, lifetime)
    if any(np.isnan(number).any() for number in numbers):
        names.fail(
            "a lifetime of these numbers does not exist; its mean needs a shape above 1", *key
        )
    if kind == "fixed" and numbers and numbers[0].min() < 0:
        names.fail(f"a lifetime cannot be negative, found {numbers[0].min():g} years", *key)
    return replace(lifetime, panels=_panels(names, lifetime, numbers))


def _central_numbers(names: Vocabulary, lifetime: Lifetime) -> tuple[Floats, ...]:
    """Return what `outlived` wants, with every parameter at its mean; nothing if flows decide."""
    arguments = _central(names, [expression for _, expression in lifetime.arguments])
    if not arguments:
        return ()
    given = {
        name: _aligned(values, expression, names.dims)
        for values, (name, expression) in zip(arguments, lifetime.arguments, strict=True)
    }
    with np.errstate(all="ignore"):
        return canonical(lifetime.kind, given)


def _panels(names: Vocabulary, lifetime: Lifetime, numbers: tuple[Floats, ...]) -> int:
    """Return in how many parts a year must be integrated over, also for somewhat shorter lives."""
    if lifetime.convention != "uniform" or lifetime.kind == "fixed":
        return 1
    panels, before = 1, np.array(np.inf)
    while panels < _MOST_PANELS and numbers:
        nodes, weights = quadrature("uniform", len(names.dims.years), panels)
        spread = tuple(number[..., np.newaxis, np.newaxis] for number in numbers)
        now = (weights * outlived(lifetime.kind, 1.5 * nodes, spread)).sum(axis=-1)
        if np.abs(now - before).max() < _QUADRATURE:
            return panels // 2
        panels, before = 2 * panels, now
    return panels


def _factor(names: Vocabulary, name: str, stock: StockEntry, kind: str) -> Expression:
    key = ("stocks", name, "lifetime_factor")
    expression = names.expression(stock.lifetime_factor or "", *key)
    if expression.dimension not in (NONE, None):
        names.fail(f"a factor must be a plain number, not [{expression.dimension}]", *key)
    if kind == TABLE or stock.inflow_at == "pdf_integer":
        names.fail("a lifetime_factor needs a distribution whose age can be stretched", *key)
    names.check_dims(name, expression, names.stock_dims(name), *key)
    for values in _central(names, [expression]):
        if values.min() <= 0:
            names.fail(f"a lifetime factor must be positive, not {values.min():g}", *key)
    return expression


def _argument(names: Vocabulary, name: str, kind: str, argument: Argument, text: str) -> Expression:
    key = ("stocks", name, "lifetime")
    expression = names.expression(text, *key)
    _check_unit(names, kind, argument, expression, key)
    dims = names.stock_dims(name)
    names.check_dims(name, expression, (*dims[:-1], "age") if kind == TABLE else dims, *key)
    if kind == TABLE and "age" not in expression.dims:
        names.fail("a survival table needs the dim age", *key)
    if argument.positive and expression.operation == "number" and expression.value <= 0:
        message = f"the {argument.name} of a lifetime must be positive, not {expression.value:g}"
        names.fail(message, *key)
    if argument.positive:
        _check_positive(names, expression)
    return expression


def _check_unit(
    names: Vocabulary, kind: str, argument: Argument, expression: Expression, key: tuple[str, ...]
) -> None:
    literal = expression.operation == "number"  # years, or per year
    if expression.dimension == argument.dimension or literal:
        return
    found: Dimension | str = expression.dimension or NONE
    message = f"the {argument.name} of a {kind} lifetime must be [{argument.dimension}]"
    names.fail(f"{message}, not [{found}]", *key)


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
        for cell, where in zip(parameter.marginals, parameter.where, strict=True):
            if cell.central <= 0:
                message = f"lifetime parameter {name!r} must be positive, found"
                raise InputError(f"{message} {cell.central / parameter.factor:g}", where)
            if cell.lowest > 0:
                continue
            normal = cell.kind == "normal"
            chance = normal_cdf(-cell.numbers[0] / cell.numbers[1]) if normal else 1.0
            if chance > _RARE:
                share = f"in {chance:.2g} of the draws" if normal else "in some draws"
                raise InputError(
                    f"lifetime parameter {name!r} would be drawn at or below zero {share}; "
                    "use distribution: lognormal, or truncated_normal with low above 0",
                    where,
                )


def _check_table(names: Vocabulary, name: str, lifetime: Lifetime, initial: bool) -> None:
    key = ("stocks", name, "lifetime")
    expression = lifetime.arguments[0][1]
    for values in _central(names, [expression]):
        shares = np.moveaxis(values, expression.dims.index("age"), 0)
        if shares.min() < 0 or shares.max() > 1 or (np.diff(shares, axis=0) > 0).any():
            names.fail("a survival table must fall from at most 1 to at least 0", *key)
        short = initial or len(shares) < len(names.dims.years)
        if short and shares[-1].max() > 0:
            names.fail(
                f"the survival table ends at age {len(shares) - 1} with {shares[-1].max():g} still "
                "in stock; add ages until it is 0",
                *key,
            )


def _central(names: Vocabulary, expressions: list[Expression]) -> list[Floats]:
    """Return expressions with every parameter at its mean; nothing if flows decide them."""
    parameters = names.scenario.parameters
    if not all(expression.names <= set(parameters) for expression in expressions):
        return []
    central: Mapping[str, Floats] = {
        name: central_values(parameters[name], names.dims)
        for expression in expressions
        for name in expression.names
    }
    return [evaluate_expression(expression, central) for expression in expressions]


# --- initial stocks --------------------------------------------------------------------------


def _initial(names: Vocabulary, name: str, initial: InitialEntry, lifetime: Lifetime) -> Initial:
    key = ("stocks", name, "initial")
    if initial.age is None:
        names.fail(
            f"the initial stock of {name!r} has no age; say age: stationary, growing, spin_up "
            "or given",
            *key,
        )
    if lifetime.convention == "pdf_integer":
        names.fail("an initial stock needs a convention that conserves mass", *key)
    wanted = {"growing": "growth", "spin_up": "growth", "given": "shares"}.get(initial.age, "")
    for other in ("growth", "shares"):
        given = getattr(initial, other) is not None
        if given != (other == wanted):
            verb = "does not take" if given else "needs"
            names.fail(f"age: {initial.age} {verb} {other}", *key)
    number = None
    if wanted:
        number = names.expression(getattr(initial, wanted), *key, wanted)
        _check_number(names, name, initial.age, number, key, wanted)
    value = _amount(names, initial.value, name, "initial", "value")
    _check_survivors(names, name, lifetime, initial, number)
    return Initial(value, initial.age, number, _history(names, lifetime, initial, number))


def _check_number(
    names: Vocabulary,
    name: str,
    rule: str,
    number: Expression,
    key: tuple[str, ...],
    word: str,
) -> None:
    dims = names.stock_dims(name)[:-1]
    names.check_dims(name, number, (*dims, "age") if rule == "given" else dims, *key, word)
    allowed = (NONE, None) if rule == "given" else (NONE, TIME**-1, None)
    if number.dimension not in allowed:
        names.fail(f"{word} must be a plain number, not [{number.dimension}]", *key, word)
    if rule != "given":
        return
    if "age" not in number.dims:
        names.fail("shares need the dim age", *key, word)
    for values in _central(names, [number]):
        total = values.sum(axis=number.dims.index("age"))
        if values.min() < 0 or np.abs(total - 1).max() > 1e-6:
            names.fail(f"the shares of each age must add up to 1, not {total.max():g}", *key, word)


def _check_survivors(
    names: Vocabulary,
    name: str,
    lifetime: Lifetime,
    initial: InitialEntry,
    number: Expression | None,
) -> None:
    """Refuse an initial stock of which nothing could be left, or that reaches back too far."""
    numbers = _central_numbers(names, lifetime) if lifetime.kind != TABLE else ()
    if not numbers or initial.age == "given":
        return
    growth = _slowest_growth(names, number)
    if initial.age == "spin_up" and growth <= -1:
        names.fail("growth must be above -100 % a year", "stocks", name, "initial", "growth")
    numbers = _distinct(numbers)
    nodes, weights = quadrature(lifetime.convention, 1, lifetime.panels)
    spread = tuple(number[..., np.newaxis] for number in numbers)
    ages = np.arange(1.0, _OLDEST + 1).reshape(-1, *(1 for _ in numbers[0].shape))
    with np.errstate(all="ignore"):
        first = (outlived(lifetime.kind, nodes[0], spread) * weights[0]).sum(axis=-1)
        left = outlived(lifetime.kind, ages, numbers) * np.exp(-growth * ages)
    if first.min() < _RARE:
        message = (
            f"nothing that flows into the stock {name!r} is there at the end of its year, so it "
            "cannot hold an initial stock"
        )
        names.fail(message, "stocks", name, "initial")
    beyond = _OLDEST * left[-1] / (left.sum(axis=0) + first)
    if initial.age == "spin_up":
        return
    if beyond.max() > 1e-6:
        names.fail(
            f"about {beyond.max():.2g} of the initial stock would be older than {_OLDEST} years, "
            "which is as far back as it is followed; use a lifetime with a shorter tail, age: "
            "spin_up, or age: given",
            "stocks",
            name,
            "initial",
        )


def _distinct(numbers: tuple[Floats, ...]) -> tuple[Floats, ...]:
    """Return the numbers of lifetimes that differ: often many cells have the same one."""
    cells = [values.reshape(-1) for values in np.broadcast_arrays(*numbers)]
    return tuple(np.unique(np.stack(cells, axis=1), axis=0).T.copy())


def _slowest_growth(names: Vocabulary, number: Expression | None) -> float:
    growths = _central(names, [number]) if number else []
    return min((float(values.min()) for values in growths), default=0.0)


def _history(
    names: Vocabulary, lifetime: Lifetime, initial: InitialEntry, number: Expression | None
) -> int:
    """Return how many ages of an initial stock are followed."""
    labelled = len(names.dims.labels.get("age", ()))
    if lifetime.kind == TABLE:
        return labelled
    numbers = _central_numbers(names, lifetime)
    if not numbers:
        return _OLDEST
    growth = _slowest_growth(names, number if initial.age != "given" else None)
    age = 16.0
    while age < _OLDEST and np.any(
        outlived(lifetime.kind, np.array(age), numbers) * np.exp(-growth * age) > _LEFT
    ):
        age *= 1.25
    ages = min(int(2 * age), _OLDEST)
    return max(ages, labelled) if initial.age == "given" else ages


def _aligned(values: Floats, expression: Expression, dims: Dims) -> Floats:
    wants = tuple(dim for dim in dims.labels if dim != "age")
    return align(values, expression.dims, wants, dims)


# --- indicators by age and cohort --------------------------------------------------------------


def profile_steps(names: Vocabulary, steps: Iterable[Step]) -> list[Profile]:
    """Return the steps of indicators that show a stock or its release by age or cohort."""
    cohorts = {step.target: step for step in steps if isinstance(step, Cohort)}
    found = []
    for name, entry in names.file.indicators.items():
        if entry.by is not None and entry.value is None:
            cohort = cohorts[entry.stock or entry.outflow or ""]
            dims = names.variables[name].dims
            of: Literal["stock", "outflow"] = "outflow" if entry.stock is None else "stock"
            found.append(Profile(name, dims, cohort, of, entry.by))
    return found
