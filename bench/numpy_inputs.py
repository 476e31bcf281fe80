"""The random inputs of a scenario drawn as a user would with NumPy's Generator, draws innermost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

import ndmc
from ndmc.scenario.parameters import Parameter

GENERATORS = (np.random.SFC64, np.random.PCG64, np.random.Philox, np.random.MT19937)
CALLS = (200, 500, 1000)

Generator = np.random.Generator


class Inputs:
    """Everything uncertain in a scenario, with the same marginals and error structure."""

    def __init__(self, scenario: ndmc.Scenario) -> None:
        self.drawn: dict[str, Normal | Quantile] = {}
        self.fixed: dict[str, np.ndarray] = {}
        for name, parameter in scenario.parameters.items():
            if parameter.uncertain:
                self.drawn[name] = drawn(parameter, scenario.dims.shape(parameter.dims))
            else:
                centres = parameter.marginals.central
                self.fixed[name] = centres.reshape(*scenario.dims.shape(parameter.dims), 1)

    def draw(self, rng: Generator, draws: int) -> dict[str, np.ndarray]:
        """Return every uncertain parameter, [..., draw], in model units."""
        return {name: one.draw(rng, draws) for name, one in self.drawn.items()}

    def whole(self, rng: Generator, draws: int) -> dict[str, np.ndarray]:
        """Return all parameters, [..., draw] or [..., 1] where they are certain."""
        return {**self.fixed, **self.draw(rng, draws)}


@dataclass(frozen=True)
class Field:
    """Standard normal errors of a parameter: shared, independent or a mixture of both by dim."""

    own: tuple[int, ...]
    common: tuple[int, ...] | None
    weight: float

    def draw(self, rng: Generator, draws: int) -> np.ndarray:
        """Return errors that broadcast to the parameter's [..., draw]."""
        errors = rng.standard_normal((*self.own, draws))
        if self.common is not None:
            errors *= np.sqrt(1 - self.weight)
            errors += np.sqrt(self.weight) * rng.standard_normal((*self.common, draws))
        return errors


@dataclass(frozen=True)
class Normal:
    """Normal or lognormal cells, some of them truncated; certain ones have no spread."""

    field: Field
    centre: np.ndarray
    spread: np.ndarray
    logarithmic: bool
    truncated: tuple[np.ndarray, ...]  # cells, their rows among some of the field, those rows
    limits: np.ndarray

    def draw(self, rng: Generator, draws: int) -> np.ndarray:
        """Return [..., draw]."""
        errors = self.field.draw(rng, draws)
        values = self.spread * errors
        values += self.centre
        if self.logarithmic:
            np.exp(values, out=values)
        cells, row_of, rows = self.truncated
        if len(cells):
            ranks = ndtr(errors.reshape(-1, draws)[rows])[row_of]
            mean, sd, low, high = self.limits
            ranks *= high - low
            ranks += low
            values.reshape(-1, draws)[cells] = mean + sd * ndtri(ranks)
        return values


@dataclass(frozen=True)
class Quantile:
    """Uniform or triangular cells that err independently, from ranks."""

    shape: tuple[int, ...]
    numbers: np.ndarray
    triangular: bool

    def draw(self, rng: Generator, draws: int) -> np.ndarray:
        """Return [..., draw]."""
        ranks = rng.random((*self.shape, draws))
        if not self.triangular:
            low, high = self.numbers
            return low + ranks * (high - low)
        low, mode, high = self.numbers
        width = high - low
        rising = low + np.sqrt(ranks * (width * (mode - low)))
        falling = high - np.sqrt((1 - ranks) * (width * (high - mode)))
        return np.where(ranks * width < mode - low, rising, falling)


def drawn(parameter: Parameter, shape: tuple[int, ...]) -> Normal | Quantile:
    """Return how a parameter is drawn.

    Raises
    ------
    ValueError
        If it is of a kind that is not written out here.
    """
    kinds = {cell.kind for cell in parameter.marginals}
    numbers = partial(_numbers, parameter, shape)
    structure = {error.kind for error in parameter.errors.values()}
    if kinds <= {"uniform"} or kinds <= {"triangular"}:
        if structure <= {"independent"}:
            return Quantile(shape, numbers(), kinds == {"triangular"})
    elif kinds <= {"normal", "truncated_normal", "constant"} or kinds <= {"lognormal"}:
        return _normal(parameter, shape, logarithmic=kinds == {"lognormal"})
    raise ValueError(f"{parameter.name!r} is {kinds} with {structure} errors")


def _numbers(parameter: Parameter, shape: tuple[int, ...]) -> np.ndarray:
    numbers = np.array([cell.numbers for cell in parameter.marginals])
    return numbers.T.reshape(-1, *shape, 1)


def _normal(parameter: Parameter, shape: tuple[int, ...], *, logarithmic: bool) -> Normal:
    cells = parameter.marginals
    pairs = np.array([(*cell.numbers, 0.0)[:2] for cell in cells])
    centre, spread = pairs.T.reshape(2, *shape, 1)
    field = _field(parameter, shape)
    cut = np.array([n for n, cell in enumerate(cells) if cell.kind == "truncated_normal"], int)
    row_of = np.arange(np.prod(field.own, dtype=int)).reshape(field.own)
    rows, rank_of = np.unique(np.broadcast_to(row_of, shape).reshape(-1)[cut], return_inverse=True)
    limits = np.array([cells[n].numbers for n in cut]).reshape(-1, 4).T[..., np.newaxis]
    return Normal(field, centre, spread, logarithmic, (cut, rank_of, rows), limits)


def _field(parameter: Parameter, shape: tuple[int, ...]) -> Field:
    sizes = list(zip(parameter.errors.values(), shape, strict=True))
    own = tuple(size if error.own else 1 for error, size in sizes)
    mixed = [error for error, _ in sizes if error.kind == "mixed"]
    if len(mixed) > 1 or any(error.kind == "ar1" for error, _ in sizes):
        raise ValueError(f"{parameter.name!r} errs in a way that is not written out here")
    if not mixed:
        return Field(own, None, 0.0)
    common = tuple(
        1 if error.kind == "mixed" else n for (error, _), n in zip(sizes, own, strict=True)
    )
    return Field(own, common, mixed[0].value)


def fastest(inputs: Inputs, draws: int, timed: Any) -> tuple[str, Any]:
    """Return the name and a call of the generator and number of draws a call that are fastest."""
    found = []
    for generator in GENERATORS:
        for call in CALLS:
            rng = Generator(generator(1))
            run = timed(partial(inputs.draw, rng, call), call, draws)
            found.append((run().pace, f"NumPy {generator.__name__}, {call} a call", run))
    _, name, run = min(found, key=lambda one: one[0])
    return name, run
