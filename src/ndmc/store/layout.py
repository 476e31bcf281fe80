"""Which arrays and groups a store has, and the document of each: what its attributes say.

A run writes these, and whoever opens a store holds it to them: a root whose documents are others
is not of a run, whatever its checksum.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ndmc.dims import Dims
from ndmc.errors import InputError
from ndmc.plan.steps import Output
from ndmc.store.comparisons import COMPARISONS, EVENT, described
from ndmc.store.coordinates import (
    Documents,
    further_coordinates,
    labels_of,
    of_labels,
    summed,
)
from ndmc.store.keys import INPUTS, PARAMETERS, PERCENTILES, ROOT, TABLES, percentile_key
from ndmc.store.spec import Spec
from ndmc.store.study_layout import study_documents
from ndmc.store.variables import (
    EXCEEDANCE,
    INDICATOR,
    LIMITS,
    QUANTILE,
    STATISTICS,
    TOTAL,
)
from ndmc.store.zarr_v3 import group_document, output_document, small_document

__all__ = ["dims_of"]

#: What is said of a parameter.
_OF_PARAMETERS = {"units", "long_name", "comment", "source", "confidence"}
_OF_PARAMETERS |= {"errors", "distribution", "grade", "quality"}

# Smaller inner chunks cost more in per-chunk overhead than they save in reading one year.
_INNER_BYTES = 2**20


# --- outputs whose draws are kept -----------------------------------------------------------------


def array_of(output: Output) -> str:
    """Return the key of the array that holds the draws of an output."""
    return f"{INPUTS}/{output.name}" if output.kind == "parameter" else output.name


def documents_of(
    kept: Iterable[Output], dims: Dims, spec: Spec, references: Sequence[str]
) -> Documents:
    """Return the documents of the outputs whose draws are kept."""
    source = "; ".join(references)
    return {array_of(one): _output_document(one, dims, spec, source) for one in kept}


def _output_document(output: Output, dims: Dims, spec: Spec, source: str) -> dict[str, Any]:
    rest = dims.shape(tuple(reversed(output.dims)))
    shard = (spec.block, *rest)
    inner = _inner_chunk(shard, output.dims, np.dtype(spec.dtype).itemsize)
    attributes = {"units": output.unit, "long_name": output.title, "kind": output.kind}
    if source:
        attributes["source"] = source
    if output.note:
        attributes["comment"] = output.note
    names = ("draw", *reversed(output.dims))
    return output_document((spec.draws, *rest), shard, inner, spec.dtype, names, attributes)


def _inner_chunk(shard: tuple[int, ...], dims: tuple[str, ...], itemsize: int) -> tuple[int, ...]:
    """Cut a shard by years, so that a few years of all draws can be read alone."""
    if "year" not in dims:
        return shard
    axis = 1 + tuple(reversed(dims)).index("year")
    years = shard[axis]
    row = math.prod(shard) // years * itemsize
    wanted = min(years, -(-_INNER_BYTES // row))
    fitting = next(n for n in range(wanted, years + 1) if years % n == 0)
    return (*shard[:axis], fitting, *shard[axis + 1 :])


# --- all of a store -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """What the documents of a store follow from, but for those of its parameters."""

    spec: Spec
    dims: Dims
    outputs: Mapping[str, Output]
    references: Sequence[str]

    def documents(self, *, percentiles: bool) -> Documents:
        """Return the documents of all arrays and groups, with those of percentiles or without."""
        kept = [self.outputs[name] for name in self.spec.keep]
        found = documents_of(kept, self.dims, self.spec, self.references)
        found |= self._labels("", self.outputs.values())
        inputs = [output for output in kept if output.kind == "parameter"]
        if inputs:
            found |= self._labels(INPUTS, inputs)
            found[INPUTS] = group_document(self.coordinates(inputs), {})
        if percentiles:
            of_percentiles = [self.outputs[name] for name in self.spec.percentiles]
            found |= self._labels(PERCENTILES, of_percentiles) | self._percentiles(of_percentiles)
            about = {**self.coordinates(of_percentiles), "count": self.spec.draws}
            found[PERCENTILES] = group_document(about, {})
            if self.spec.groups is not None:
                groups = len(self.spec.groups)
                found |= study_documents(self.spec, self.dims, self.outputs, groups)
        return found

    def coordinates(self, outputs: Iterable[Output]) -> dict[str, str]:
        """Return the attribute that names the labels of some outputs that are no dims."""
        return further_coordinates(self.dims, dims_of(outputs))

    def _labels(self, group: str, outputs: Iterable[Output]) -> Documents:
        return of_labels(labels_of(group, self.dims, dims_of(outputs)))

    def _percentiles(self, outputs: Iterable[Output]) -> Documents:
        share = "share of draws below"
        found = {percentile_key(QUANTILE): self._numbers((QUANTILE,), "1", share)}
        for output in outputs:
            found |= self._statistics(output.name, output.dims, output)
            if over := summed(output):
                left = tuple(dim for dim in output.dims if dim not in over)
                found |= self._statistics(TOTAL.name(output.name), left, output)
        return found

    def _statistics(self, title: str, dims: tuple[str, ...], output: Output) -> Documents:
        limits = sum(name == title for name, _ in self.spec.exceed)
        found = {}
        for variable in [*STATISTICS.values(), *[EXCEEDANCE] * bool(limits)]:
            unit = "1" if variable is EXCEEDANCE else output.unit
            words = variable.words.format(output.title)
            about = self._numbers(variable.dims_of(title, dims), unit, words, limits)
            found[percentile_key(variable.name(title))] = about
        if limits:
            key, dim = percentile_key(LIMITS.name(title)), LIMITS.name(title)
            found[key] = self._numbers((dim,), output.unit, LIMITS.words, limits)
        if title == output.name:
            for variable in COMPARISONS.get(output.kind, ()):
                words, key = variable.words.format(output.title), described(variable, title)
                about = self._numbers(variable.dims_of(title, dims), "1", words)
                found[percentile_key(variable.name(key))] = about
        return found

    def _numbers(
        self, dims: tuple[str, ...], unit: str, words: str, limits: int = 0
    ) -> dict[str, Any]:
        sizes = {QUANTILE: len(self.spec.quantiles)}
        sizes |= {dim: len(labels) for dim, labels in self.dims.labels.items()}
        shape = tuple(sizes.get(dim, limits) for dim in dims)
        return small_document(shape, float, dims, {"units": unit, "long_name": words})


def dims_of(outputs: Iterable[Output]) -> set[str]:
    """Return the dims of all that is known of some outputs: of events it is known by each year."""
    known = [*outputs]
    own = {dim for output in known for dim in output.dims}
    return own | ({"year"} if any(output.kind == EVENT for output in known) else set())


# --- held to what there is ------------------------------------------------------------------------


def check_documents(layout: Layout, document: Mapping[str, Any], url: str) -> None:
    """Refuse the document of a root that holds other documents than its attributes say.

    Raises
    ------
    InputError
        For the first of them.
    """
    for problem in _problems(layout, document):
        raise InputError(f"{url!r} is not a store of ndmc's: {problem} in {ROOT}")


def _problems(layout: Layout, document: Mapping[str, Any]) -> Iterator[str]:
    attributes, inside = document["attributes"], document.get("consolidated_metadata")
    inside = inside if isinstance(inside, dict) else {}
    found = inside.get("metadata")
    if not isinstance(found, dict) or not all(isinstance(about, dict) for about in found.values()):
        yield "there are no metadata of arrays"
        return
    bare = {**document, "attributes": {}, "consolidated_metadata": {**inside, "metadata": {}}}
    if not _same(bare, group_document({}, {})):  # a root of 22 MB is compared in no time, not 1 s
        yield "there are other keys than a group of arrays has"
    named = attributes.get("coordinates")
    if named != layout.coordinates(layout.outputs.values()).get("coordinates"):
        yield f"attribute 'coordinates' is {named!r:.60}, which are not all further labels,"
    percentiles = bool(attributes["complete"] or PERCENTILES in found)
    wanted = layout.documents(percentiles=percentiles)
    left = {key: about for key, about in found.items() if key not in wanted}
    # All at once: 386 documents take 16 ms, one by one 19.
    if not _same({key: found.get(key) for key in wanted}, wanted):
        for key, about in wanted.items():
            if key not in found:
                yield f"the document of {key!r} is missing"
            elif not _same(found[key], about):
                yield f"the document of {key!r} is not what the attributes say of it"
    yield from _of_parameters(layout, left)


def _same(found: Any, wanted: Any) -> bool:
    """Whether two documents are the same; to Python 1, 1.0 and True are."""
    texts = (json.dumps(one, sort_keys=True) for one in (found, wanted))
    return found == wanted and next(texts) == next(texts)


def _of_parameters(layout: Layout, found: Documents) -> Iterator[str]:
    """Yield what is wrong with the documents of parameters, and of the texts of tables."""
    sizes = {dim: len(labels) for dim, labels in layout.dims.labels.items()}
    used = {dim for about in found.values() for dim in _named(about)} & set(sizes)
    scores = found.get(f"{PARAMETERS}/{INDICATOR}", {}).get("shape")
    wanted = of_labels(labels_of(PARAMETERS, layout.dims, used))
    wanted[PARAMETERS] = group_document(further_coordinates(layout.dims, used), {})
    for key, about in found.items():
        if key == TABLES:
            sound = _is_of_texts(about)
        elif key in wanted:
            sound = _same(about, wanted[key])
        else:
            sound = key.startswith(f"{PARAMETERS}/") and _describes_cells(about, sizes, scores)
        if not sound:
            yield f"the document of {key[:60]!r} is none that a run writes"
    for key in {TABLES, *wanted} - set(found):
        yield f"the document of {key!r} is missing"


def _is_of_texts(about: Mapping[str, Any]) -> bool:
    tables = about.get("attributes")
    if not isinstance(tables, dict) or not all(isinstance(text, str) for text in tables.values()):
        return False
    return _same({**about, "attributes": {}}, group_document({}, {}))


def _named(about: Mapping[str, Any]) -> list[str]:
    dims = about.get("dimension_names")
    return [dim for dim in dims if isinstance(dim, str)] if isinstance(dims, list) else []


def _describes_cells(about: dict[str, Any], sizes: Mapping[str, int], scores: Any) -> bool:
    """Whether a document is of numbers or texts of the cells of a parameter."""
    dims, attributes = _named(about), about.get("attributes")
    known = {**sizes, INDICATOR: scores[0]} if _is_short(scores) else sizes
    if not isinstance(attributes, dict) or not set(attributes) <= _OF_PARAMETERS:
        return False
    if not set(dims) <= set(known):
        return False
    shape = [known[dim] for dim in dims]
    return any(_same(about, small_document(shape, of, dims, attributes)) for of in (float, str))


def _is_short(shape: Any) -> bool:
    """Whether a shape is of one dim of up to a hundred labels: scores have seven."""
    return isinstance(shape, list) and len(shape) == 1 and shape[0] in range(1, 101)
