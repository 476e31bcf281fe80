"""Compositions: cells that are divided by their sum along a dim, so that it is 1 in every draw.

Each is drawn as its own distribution says before that; shares with a Dirichlet distribution are
gamma variates, independent of each other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ndmc.dims import rows_in
from ndmc.errors import InputError, nearest
from ndmc.label import pairs
from ndmc.scenario.marginals import KINDS, Marginals
from ndmc.scenario.parameters import Composition, Origins
from ndmc.scenario.units import NONE
from ndmc.scenario.written import WrittenParameter
from ndmc.typing import Floats, Integers

#: How far means of shares may be from 1 in sum, as tables are written.
_WRITTEN = 1e-9

#: With less nearly all of a composition is one label, and its gamma variates are too small to tell.
_LEAST_CONCENTRATION = 0.1


def composition_of(parameter: WrittenParameter) -> Composition | None:
    """Return how the cells of a parameter are divided by their sums, if they are.

    Raises
    ------
    InputError
        If it says so of a dim that it has not, or of one label.
    """
    key = _said_under(parameter)
    if not key:
        return None
    dims, dim = parameter.within.dims, getattr(parameter.entry, key)
    if dim not in parameter.dims:
        message = f"{key}: {dim!r} is not a dim of this parameter"
        raise parameter.error(f"{message}; {nearest(dim, parameter.dims)}", key)
    units, unit = parameter.within.units, parameter.entry.unit
    if units.dimension(unit) != NONE:
        message = f"shares are plain numbers, but the unit is {units.as_read(unit)}"
        raise parameter.error(f"{message}; write unit: '%', or '1'", "unit")
    rest = dims.ordered({*dims.named(parameter.dims)} - {dim})
    _, sums = np.unique(rows_in(rest, parameter.dims, dims), return_inverse=True)
    if len(sums) == sums.max() + 1:
        message = f"a composition of one: {dim!r} has a single label, whose share is always 1"
        raise parameter.error(f"{message}; remove {key}, and say distribution: constant", key)
    return Composition(dim, sums, parameter.entry.distribution == "dirichlet")


def _said_under(parameter: WrittenParameter) -> str:
    """Return the key that says along which dim cells sum to 1, if any does."""
    entry, shares = parameter.entry, parameter.entry.distribution == "dirichlet"
    if entry.along is not None and not shares:
        message = "along means nothing but to dirichlet; remove it, or say distribution: dirichlet"
        raise parameter.error(message, "along")
    if shares and entry.along is None and entry.normalise is None:
        message = "a dirichlet distribution needs 'along': the dim along which it sums to 1"
        raise parameter.error(message, "distribution")
    if entry.along is not None and entry.normalise not in (None, entry.along):
        message = f"shares along {entry.along!r} cannot be normalised along {entry.normalise!r}"
        raise parameter.error(f"{message}, too", "normalise")
    if entry.along is not None:
        return "along"
    return "normalise" if entry.normalise is not None else ""


def composed(
    parameter: WrittenParameter, composition: Composition, given: Marginals, origins: Origins
) -> Marginals:
    """Return the marginals of cells that are divided by their sums: at most 1, their means too.

    Raises
    ------
    InputError
        If means cannot be shares, or shares have not one width.
    """
    of = composition.sum_of
    part = ~(given.certain & (given.central == 0))
    _check_means(parameter, composition, given, origins)
    shares = given.central / np.bincount(of, given.central)[of]
    drawn = np.bincount(of, ~given.certain)[of] > 0
    fixed = ~drawn | ~part | (np.bincount(of, part)[of] == 1)
    kinds, numbers = given.kinds.copy(), given.numbers.copy()
    kinds[given.certain] = [*KINDS].index("divided")
    kinds[fixed] = 0
    numbers[fixed, 0] = shares[fixed]
    found = replace(given, kinds=kinds, numbers=numbers, central=shares)
    if composition.shares:
        numbers[:, :2] = np.where(
            fixed[:, np.newaxis],
            numbers[:, :2],
            np.stack([shares, _concentrations(parameter, composition, given, shares, origins)], 1),
        )
    return _bounded(found, given, of)


def _bounded(found: Marginals, given: Marginals, of: Integers) -> Marginals:
    """Return marginals with what draws can reach: a share of 1, unless others are negative."""
    total = np.bincount(of, given.central)[of]
    negative = np.bincount(of, given.lowest < 0)[of] > 0
    low = np.where(negative, np.minimum(given.lowest / total, 0.0), 0.0)
    high = np.where(negative, np.maximum(given.highest / total, 1.0), 1.0)
    fixed = found.certain
    return replace(
        found,
        lowest=np.where(fixed, found.central, low),
        highest=np.where(fixed, found.central, high),
    )


def _check_means(
    parameter: WrittenParameter, composition: Composition, given: Marginals, origins: Origins
) -> None:
    """Refuse means that cannot be shares: negative, none at all, or not 1 in sum."""
    dim, of, entry = composition.dim, composition.sum_of, parameter.entry
    factor = parameter.within.units.factor(entry.unit)
    if (given.central < 0).any():
        cell = int((given.central < 0).argmax())
        message = f"the mean of a share is {given.central[cell] / factor:g}, which is negative"
        raise InputError(f"{origins.name(cell)}: {message}", origins.where(cell))
    total = np.bincount(of, given.central)
    wrong = total <= 0 if entry.normalise else np.abs(total - 1) > _WRITTEN
    if not wrong.any():
        return
    cell = int((of == wrong.argmax()).argmax())
    found, where = total[of[cell]], origins.where(cell)
    labels = parameter.within.dims.cell(parameter.dims, cell)
    others = pairs({one: label for one, label in labels.items() if one != dim})
    message = f"{parameter.name!r} along {dim!r}" + f" ({others})" * bool(others)
    if not found:
        raise InputError(f"all values of {message} are 0: no shares of anything", where)
    message = f"the means of {message} sum to {found / factor:.6g} {entry.unit}".removesuffix(" 1")
    hint = f"write normalise: {dim} to divide them by their sum"
    if factor == 1 and abs(found / 100 - 1) <= _WRITTEN:
        hint = "write unit: '%' if they are in per cent"
    elif abs(found / factor - 1) <= _WRITTEN:
        hint = "write unit: '1' if they are shares of 1"
    raise InputError(f"{message}, not to {1 / factor:g}; {hint}", where)


def _concentrations(
    parameter: WrittenParameter,
    composition: Composition,
    given: Marginals,
    shares: Floats,
    origins: Origins,
) -> Floats:
    """Return the concentration of each cell's composition, said or from the cv of the largest.

    The variance of a share m is m (1 - m) / (concentration + 1): one number for all labels, so
    that smaller shares have larger cvs.
    """
    of, entry = composition.sum_of, parameter.entry
    wide = np.where(given.certain, np.where(given.central == 0, np.nan, 0.0), given.numbers[:, 1])
    least, most, largest = (np.full(of.max() + 1, start) for start in (np.inf, -np.inf, 0.0))
    np.fmin.at(least, of, wide)
    np.fmax.at(most, of, wide)
    np.maximum.at(largest, of, shares)
    if (uneven := least[of] < most[of]).any():
        cell = int(uneven.argmax())
        message = f"cv is {least[of[cell]]:g} here and {most[of[cell]]:g} there, but the shares of"
        message = f"{message} a composition have one: that of the largest of them"
        raise InputError(f"{origins.name(cell)}: {message}", origins.where(cell))
    if entry.concentration is None:
        return _from_cv(most[of], largest[of], origins)
    if entry.concentration < _LEAST_CONCENTRATION:
        message = f"concentration is {entry.concentration:g} but must be at least"
        raise parameter.error(f"{message} {_LEAST_CONCENTRATION:g}", "concentration")
    return most[of]


def _from_cv(cv: Floats, largest: Floats, origins: Origins) -> Floats:
    """Return the concentration of each cell's composition, whose largest share has a cv."""
    with np.errstate(all="ignore"):  # of what has no spread
        odds = (1 - largest) / largest
        found = odds / cv**2 - 1
    wrong = (found < _LEAST_CONCENTRATION) & (largest < 1)
    if wrong.any():
        cell = int(wrong.argmax())
        most = np.sqrt(odds[cell] / (_LEAST_CONCENTRATION + 1))
        message = f"cv is {cv[cell]:g}, but that of a largest share of {largest[cell]:g}"
        message = f"{message} can be {most:.3g} at most"
        raise InputError(f"{origins.name(cell)}: {message}", origins.where(cell))
    return np.asarray(found)
