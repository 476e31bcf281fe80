"""Which arrays the shares of a study have, and the document of each."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims
from ndmc.errors import InputError
from ndmc.plan.steps import Output
from ndmc.store.coordinates import (
    Documents,
    further_coordinates,
    labels_of,
    of_labels,
    summed,
)
from ndmc.store.keys import SENSITIVITY, share_key
from ndmc.store.shares import Flag
from ndmc.store.spec import Spec
from ndmc.store.variables import (
    ABOVE,
    CONTROLLED,
    EFFECT,
    FLAG,
    GRADE,
    INPUT_GROUP,
    LIMITS,
    LINEAR_SHARE,
    MEMBERS,
    POOLS,
    SHARES,
    STATISTICS,
    TIED,
    TOTAL,
    Variable,
    share_of,
)
from ndmc.store.zarr_v3 import group_document, small_document

__all__ = ["Shared", "about_study", "check_study_names", "dtype_of", "shared_in"]

#: What is of an event beside its limits: no mean or spread, and no sum over cells.
_OF_EVENT = (*(share_of(s, e) for s in SHARES for e in ("value", "low", "high")), FLAG, TIED)

_OF_OUTPUT = (
    *_OF_EVENT,
    *(LINEAR_SHARE, CONTROLLED, EFFECT, STATISTICS["mean"], STATISTICS["sd"]),
)

_MEANINGS = {
    "flag_values": [int(flag) for flag in Flag],
    "flag_meanings": " ".join(flag.name.lower() for flag in Flag),
}


@dataclass(frozen=True)
class Shared:
    """What has shares under one title: an output, its total, or what is above limits of one."""

    title: str
    of: str
    dims: tuple[str, ...]
    output: Output
    limits: tuple[float, ...] = ()

    @property
    def variables(self) -> tuple[Variable, ...]:
        """All that is said of it."""
        if self.limits:
            return _OF_EVENT
        ends = itertools.product(self.pools, ("first", "total"), ("value", "low", "high"))
        return (*_OF_OUTPUT, *(share_of(share, end, pool) for pool, share, end in ends))

    @property
    def pools(self) -> tuple[str, ...]:
        """The sums over cells that it has."""
        yearly = "year" in self.dims
        return () if self.limits else tuple(p for p in POOLS if yearly or "years" not in p)

    def shape(self, dims: Dims) -> tuple[int, ...]:
        """Return the number of labels along each dim of its cells, limits first."""
        return (*([len(self.limits)] if self.limits else []), *dims.shape(self.dims))

    def dims_of(self, variable: Variable) -> tuple[str, ...]:
        """Return the dims of a variable."""
        own = ABOVE.dims_of(self.of, self.dims) if self.limits else self.dims
        return variable.dims_of(self.title, own)

    def about(self, variable: Variable) -> dict[str, Any]:
        """Return the attributes of a variable."""
        described = ABOVE.words.format(self.output.title) if self.limits else self.output.title
        own = variable in (EFFECT, STATISTICS["mean"], STATISTICS["sd"])
        unit = self.output.unit if own else "1"
        found = {"units": unit, "long_name": variable.words.format(described)}
        return found | (_MEANINGS if variable == FLAG else {})


def dtype_of(variable: Variable) -> npt.DTypeLike:
    return np.int8 if variable in (FLAG, TIED, CONTROLLED) else np.float64


def shared_in(outputs: Mapping[str, Output], spec: Spec) -> Iterator[Shared]:
    """Yield all that has shares, in the order of what is observed.

    Examples
    --------
    >>> one = Output("in_use", ("product", "year"), "t", 1.0, "stock", "In use", "")
    >>> limits = (("in_use_total", 9.0), ("in_use_total", 10.0))
    >>> cut = {"quantiles": (), "draws": 2, "block": 256}
    >>> spec = Spec(keep=(), percentiles=("in_use",), exceed=limits, **cut)
    >>> [each.title for each in shared_in({"in_use": one}, spec)]
    ['in_use', 'in_use_total', 'in_use_total_above']
    """
    for name in spec.percentiles:
        output = outputs[name]
        left = tuple(dim for dim in output.dims if dim not in summed(output))
        titles = {name: output.dims} | ({TOTAL.name(name): left} if summed(output) else {})
        for title, dims in titles.items():
            yield Shared(title, title, dims, output)
            if limits := tuple(limit for other, limit in spec.exceed if other == title):
                yield Shared(ABOVE.name(title), title, dims, output, limits)


def about_study(spec: Spec, dims: Dims, used: Iterable[str], groups: int) -> dict[str, Any]:
    """Return the attributes of the group of shares."""
    further = further_coordinates(dims, used).get("coordinates", "")
    return {
        "coordinates": " ".join(filter(None, (MEMBERS, GRADE, further))),
        "draws": spec.draws,
        "evaluations": spec.draws * (1 + groups),
        "estimator": "squares of two by two",
    }


def study_documents(
    spec: Spec, dims: Dims, outputs: Mapping[str, Output], groups: int
) -> Documents:
    """Return the documents of the shares of so many groups of inputs."""
    shared = [*shared_in(outputs, spec)]
    used = _dims_in(shared)
    sizes = {dim: len(labels) for dim, labels in dims.labels.items()} | {INPUT_GROUP: groups}
    found = of_labels(labels_of(SENSITIVITY, dims, used))
    for key in (INPUT_GROUP, MEMBERS, GRADE):
        found[share_key(key)] = small_document((groups,), str, (INPUT_GROUP,), {})
    for one in shared:
        for variable in one.variables:
            names = one.dims_of(variable)
            shape = tuple(sizes.get(dim, len(one.limits)) for dim in names)
            document = small_document(shape, dtype_of(variable), names, one.about(variable))
            found[share_key(variable.name(one.title))] = document
        if one.limits:
            dim, about = LIMITS.name(one.of), {"units": one.output.unit, "long_name": LIMITS.words}
            found[share_key(dim)] = small_document((len(one.limits),), float, (dim,), about)
    found[SENSITIVITY] = group_document(about_study(spec, dims, used, groups), {})
    return found


def _dims_in(shared: Iterable[Shared]) -> set[str]:
    return {dim for one in shared for dim in one.dims}


def check_study_names(outputs: Mapping[str, Output], spec: Spec, dims: Dims) -> None:
    """Refuse a study that would say two things under one name.

    Raises
    ------
    InputError
        For the first of these names.
    """
    shared = [*shared_in(outputs, spec)]
    names = [SENSITIVITY, INPUT_GROUP, MEMBERS, GRADE]
    names += [LIMITS.name(one.of) for one in shared if one.limits]
    names += [variable.name(one.title) for one in shared for variable in one.variables]
    labels = [key.rpartition("/")[2] for key in labels_of("", dims, dims.labels)]
    seen = set[str]()
    for name in (*names, *labels):
        if name in seen:
            message = f"the name {name!r} stands for two things in a study"
            raise InputError(f"{message}; rename the output or dim that is called so")
        seen.add(name)
