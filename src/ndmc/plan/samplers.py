"""How each uncertain parameter is drawn: streams, error structure and marginals as plain arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims
from ndmc.errors import InputError
from ndmc.scenario.dependence import Errors, streams
from ndmc.scenario.parameters import Parameter
from ndmc.scenario.scenario import Scenario
from ndmc.typing import Floats

__all__ = ["Group", "Sampler", "samplers"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """The cells of a parameter that share one kind of distribution.

    Cell ``target_of[n]`` is the quantile with ``numbers[n]`` of field row ``source_of[n]``;
    ``choices[n]`` are the values of a discrete one.
    """

    kind: str
    source_of: Integers
    target_of: Integers
    numbers: Floats
    choices: Floats


@dataclass(frozen=True)
class Sampler:
    """Draws one parameter, of whose cells ``certain`` keep their ``central`` value.

    ``partners`` are the samplers whose fields are mixed with ``weights`` into this one's, to
    correlate it with them; a sampler without partners uses its own field.
    """

    name: str
    dims: tuple[str, ...]
    streams: npt.NDArray[np.uint64]
    errors: dict[str, Errors]
    groups: tuple[Group, ...]
    central: Floats
    certain: Integers
    range: tuple[float, float]
    reaches_out: bool
    partners: tuple[Sampler, ...] = ()
    weights: tuple[float, ...] = ()

    @property
    def direct(self) -> bool:
        """Whether the independent scores are the field: nothing to chain or mix."""
        simple = all(error.kind in ("shared", "independent") for error in self.errors.values())
        return simple and not self.partners


def samplers(
    scenario: Scenario, names: frozenset[str], ranges: dict[str, tuple[float, float]]
) -> tuple[Sampler, ...]:
    """Return the samplers of the uncertain parameters among ``names``.

    Parameters
    ----------
    scenario
        The scenario.
    names
        The parameters the plan reads.
    ranges
        The physical range of each parameter, in model units.
    """
    alone = {
        name: _sampler(parameter, scenario.dims, ranges.get(name, (0.0, math.inf)))
        for name, parameter in scenario.parameters.items()
        if parameter.uncertain
    }
    _refuse_collisions(alone)
    found = dict(alone)
    for members, factor in scenario.correlations:
        for row, name in enumerate(members):
            if row:
                found[name] = _correlated(alone, members[: row + 1], factor[row][: row + 1])
    return tuple(found[name] for name in scenario.parameters if name in names and name in found)


def _refuse_collisions(alone: dict[str, Sampler]) -> None:
    """Refuse two errors that would be drawn alike, which 64 bits make all but impossible."""
    seen: dict[int, str] = {}
    for name, sampler in alone.items():
        for stream in sampler.streams.tolist():
            if stream in seen:
                message = f"cells of {seen[stream]!r} and {name!r} hash to the same random stream"
                raise InputError(f"{message}; rename one of the two parameters")
            seen[stream] = name


def _correlated(
    alone: dict[str, Sampler], members: tuple[str, ...], weights: tuple[float, ...]
) -> Sampler:
    own = alone[members[-1]]
    return Sampler(
        **{**own.__dict__, "partners": tuple(alone[m] for m in members), "weights": weights}
    )


def central_values(parameter: Parameter, dims: Dims) -> Floats:
    """Return the means of a parameter's cells, with one draw."""
    values = np.array([cell.central for cell in parameter.marginals])
    return values.reshape(*dims.shape(parameter.dims), 1)


def _sampler(parameter: Parameter, dims: Dims, limits: tuple[float, float]) -> Sampler:
    rows = _field_rows(parameter, dims)
    kinds = dict.fromkeys(cell.kind for cell in parameter.marginals if cell.kind != "constant")
    lowest = min(cell.lowest for cell in parameter.marginals)
    highest = max(cell.highest for cell in parameter.marginals)
    return Sampler(
        name=parameter.name,
        dims=parameter.dims,
        streams=streams(parameter.name, parameter.errors, dims),
        errors=parameter.errors,
        groups=tuple(_group(parameter, kind, rows) for kind in kinds),
        central=central_values(parameter, dims).reshape(-1, 1),
        certain=np.flatnonzero([cell.kind == "constant" for cell in parameter.marginals]),
        range=limits,
        reaches_out=lowest < limits[0] or highest > limits[1],
    )


def _field_rows(parameter: Parameter, dims: Dims) -> Integers:
    """Return, for each cell, its row of the field, which has one label where errors are shared."""
    sizes = dims.shape(parameter.dims)
    kept = [
        size if parameter.errors[d].own else 1
        for d, size in zip(parameter.dims, sizes, strict=True)
    ]
    rows = np.arange(math.prod(kept), dtype=np.int64).reshape(kept)
    return np.broadcast_to(rows, sizes).copy().reshape(-1)


def _group(parameter: Parameter, kind: str, rows: Integers) -> Group:
    cells = [n for n, cell in enumerate(parameter.marginals) if cell.kind == kind]
    numbers = [parameter.marginals[n].numbers for n in cells]
    choices = [parameter.marginals[n].choices for n in cells]
    return Group(
        kind=kind,
        source_of=rows[cells],
        target_of=np.array(cells, dtype=np.int64),
        numbers=np.array(numbers, dtype=np.float64),
        choices=np.array(choices, dtype=np.float64),
    )
