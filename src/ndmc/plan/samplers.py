"""How each uncertain parameter is drawn: streams, error structure and marginals as plain arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims
from ndmc.errors import InputError
from ndmc.scenario.dependence import Axis, Errors, axes, streams
from ndmc.scenario.marginals import Marginals
from ndmc.scenario.parameters import Parameter
from ndmc.scenario.scenario import Scenario
from ndmc.typing import Floats

__all__ = ["Group", "Sampler", "samplers"]

Integers = npt.NDArray[np.int64]

#: Shapes of gamma variates whose quantiles are a series. Smaller ones need too many terms; beyond,
#: SciPy's quantiles jump by 1e-9 and more, which no series follows.
_SMOOTH = (3.0, 1e5)


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

    Those of one number in ``sum_of`` are divided by their sum. ``partners`` are the samplers whose
    fields are mixed with ``weights`` into this one's, to correlate it with them; a sampler without
    partners uses its own field.
    """

    name: str
    dims: tuple[str, ...]
    streams: npt.NDArray[np.uint64]
    errors: dict[str, Errors]
    axes: tuple[Axis, ...]
    groups: tuple[Group, ...]
    central: Floats
    certain: Integers
    range: tuple[float, float]
    reaches_out: bool
    sum_of: Integers | None = None
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
    names, sizes = [*alone], [len(sampler.streams) for sampler in alone.values()]
    every = (
        np.concatenate([sampler.streams for sampler in alone.values()]) if alone else np.empty(0)
    )
    order = np.argsort(every, kind="stable")
    same = np.flatnonzero(every[order[1:]] == every[order[:-1]])
    if len(same):
        pair = order[same[0] : same[0] + 2]
        one, other = (names[n] for n in np.searchsorted(np.cumsum(sizes), pair, side="right"))
        message = f"cells of {one!r} and {other!r} hash to the same random stream"
        raise InputError(f"{message}; rename one of the two parameters")


def _correlated(
    alone: dict[str, Sampler], members: tuple[str, ...], weights: tuple[float, ...]
) -> Sampler:
    own = alone[members[-1]]
    return Sampler(
        **{**own.__dict__, "partners": tuple(alone[m] for m in members), "weights": weights}
    )


def central_values(parameter: Parameter, dims: Dims) -> Floats:
    """Return the means of a parameter's cells, with one draw."""
    return parameter.marginals.central.reshape(*dims.shape(parameter.dims), 1)


def _sampler(parameter: Parameter, dims: Dims, limits: tuple[float, float]) -> Sampler:
    along, marginals = axes(parameter.errors, dims), parameter.marginals
    rows = _field_rows(along)
    reaches_out = marginals.lowest.min() < limits[0] or marginals.highest.max() > limits[1]
    return Sampler(
        name=parameter.name,
        dims=parameter.dims,
        streams=streams(parameter.name, parameter.errors, dims),
        errors=parameter.errors,
        axes=along,
        groups=tuple(
            _group(marginals, kind, some, rows, name)
            for kind, cells in marginals.groups().items()
            if kind != "constant"
            for name, some in _methods(marginals, kind, cells)
            if len(some)
        ),
        central=central_values(parameter, dims).reshape(-1, 1),
        certain=np.flatnonzero(marginals.certain),
        range=limits,
        reaches_out=bool(reaches_out),
        sum_of=np.asarray(parameter.composition.sum_of, np.int64)
        if parameter.composition
        else None,
    )


def _field_rows(along: tuple[Axis, ...]) -> Integers:
    """Return, for each cell, its row of the field, which has one label where errors are shared."""
    rows = np.zeros((1,) * len(along), dtype=np.int64)
    for at, axis in enumerate(along):
        shape = [-1 if n == at else 1 for n in range(len(along))]
        rows = rows * axis.left + np.array(axis.of_cell, dtype=np.int64).reshape(shape)
    return rows.reshape(-1)


def _methods(marginals: Marginals, kind: str, cells: Integers) -> tuple[tuple[str, Integers], ...]:
    """Return cells of one kind by how they are drawn: gamma variates by series or one by one."""
    if kind != "dirichlet":
        return ((kind, cells),)
    mean, concentration = marginals.numbers_of(kind, cells).T
    smooth = (mean * concentration >= _SMOOTH[0]) & (mean * concentration <= _SMOOTH[1])
    return (("gamma_series", cells[smooth]), ("gamma", cells[~smooth]))


def _group(marginals: Marginals, kind: str, cells: Integers, rows: Integers, method: str) -> Group:
    choices = marginals.choices if kind == "discrete" else np.empty(0)
    return Group(
        kind=method,
        source_of=rows[cells],
        target_of=cells,
        numbers=np.ascontiguousarray(marginals.numbers_of(kind, cells)),
        choices=np.tile(choices, (len(cells), 1)),
    )
