"""How parameters are drawn: streams, fields of correlated scores, and marginals, as rows."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.engine.gamma_series import series_of
from ndmc.engine.instructions import Arithmetic, Places, Writer
from ndmc.plan.samplers import Group, Sampler
from ndmc.scenario.dependence import Axis, Mix
from ndmc.typing import Integers

#: Distributions made from normal scores; all others are made from uniforms.
_SCORED = ("normal", "lognormal", "gamma_series")


@dataclass(frozen=True)
class Sampling:
    """How parameters are drawn: streams from a first row on, fields of scores, then marginals.

    Rows in ``cdf``, a first source, a first target and a number, are turned to uniforms. Cells of
    compositions are divided by their ``sums`` at last.
    """

    normals: tuple[npt.NDArray[np.uint64], int]
    uniforms: tuple[npt.NDArray[np.uint64], int]
    fields: tuple[Arithmetic, ...]
    cdf: tuple[tuple[int, int, int], ...]
    groups: tuple[Group, ...]
    sums: tuple[Arithmetic, ...]


class Drawn:
    """How parameters are drawn, as far as known: in an ensemble several from the same scores."""

    def __init__(self, writer: Writer[Any], samplers: Sequence[Sampler]) -> None:
        self.writer = writer
        self.raw: dict[tuple[str, bytes], Places] = {}
        self.fields: dict[tuple[Hashable, ...], Places] = {}
        self.cdf: list[tuple[int, int, int]] = []
        self.groups: list[Group] = []
        self.parts: list[tuple[Places, Places, Integers]] = []
        self.normals = self._streams("normals", samplers)
        self.uniforms = self._streams("uniforms", samplers)

    def _streams(
        self, kind: str, samplers: Sequence[Sampler]
    ) -> tuple[npt.NDArray[np.uint64], int]:
        """Return all streams of a kind and the first of their rows, which lie together."""
        found = {one.streams.tobytes(): one.streams for s in samplers for one in _needed(kind, s)}
        first = self.writer.rows
        for key, streams in found.items():
            self.raw[kind, key] = self.writer.take((len(streams),))
        return np.concatenate([np.empty(0, np.uint64), *found.values()]), first

    def add(self, sampler: Sampler) -> Places:
        """Return the rows of a parameter, and note how they are filled."""
        target = self.writer.take((len(sampler.central),))
        self.writer.set.append((target[sampler.certain], sampler.central[sampler.certain, 0]))
        drawn = target if sampler.sum_of is None else self._divided(sampler, target)
        for group in sampler.groups:
            places = drawn[group.target_of]
            if group.kind == "divided":
                self.writer.set.append((places, group.numbers[:, 0]))
                continue
            numbers = group.numbers
            if group.kind == "gamma_series":
                numbers = series_of(numbers[:, 0] * numbers[:, 1])
            source = self._source(sampler, scored=group.kind in _SCORED)[group.source_of]
            self.groups.append(Group(group.kind, source, places, numbers, group.choices))
        return target.reshape(self.writer.dims.shape(sampler.dims))

    def _divided(self, sampler: Sampler, target: Places) -> Places:
        """Return rows of cells before they are divided by their sums, which become the target."""
        assert sampler.sum_of is not None
        some = np.delete(np.arange(len(target)), sampler.certain)
        parts = self.writer.take(target.shape)
        self.parts.append((target[some], parts[some], sampler.sum_of[some]))
        return parts

    def divide(self) -> None:
        """Write how the cells of compositions are divided by their sums."""
        writer = self.writer
        for target, parts, sum_of in self.parts:
            _, number, counts = np.unique(sum_of, return_inverse=True, return_counts=True)
            totals = writer.take((len(counts),))
            order = np.argsort(number, kind="stable")
            turn = np.empty(len(number), np.int64)
            turn[order] = np.arange(len(number)) - np.repeat(np.cumsum(counts) - counts, counts)
            for n in range(int(turn.max()) + 1):
                some = turn == n
                writer.do("gain" if n else "copy", totals[number[some]], parts[some])
            writer.do("divide", target, parts, totals[number])

    def _source(self, sampler: Sampler, *, scored: bool) -> Places:
        """Return the rows of scores or uniforms that the marginals of a parameter are made from."""
        if sampler.direct and not scored:
            return self.raw["uniforms", sampler.streams.tobytes()]
        scores = self._field(sampler)
        if scored:
            return scores
        uniforms = self.writer.take(scores.shape)
        self.cdf.append((self.writer.solid(scores), int(uniforms[0]), len(uniforms)))
        return uniforms

    def _field(self, sampler: Sampler) -> Places:
        """Return the rows of the correlated scores of a parameter."""
        if not sampler.partners:
            streams = sampler.streams.tobytes()
            key = streams, *sampler.errors.items()
            if key not in self.fields:
                self.fields[key] = self._chained(self.raw["normals", streams], sampler.axes)
            return self.fields[key]
        writer = self.writer
        parts = [self._field(partner) for partner in sampler.partners]
        total = writer.take(parts[0].shape)
        writer.do("multiply", total, parts[0], writer.number(sampler.weights[0]))
        for part, weight in zip(parts[1:], sampler.weights[1:], strict=True):
            before, total = total, writer.take(total.shape)
            writer.do("fused", total, before, part, writer.number(weight))
        return total

    def _chained(self, scores: Places, axes: Sequence[Axis]) -> Places:
        """Turn independent scores into correlated ones, along one dim after the other."""
        field = scores.reshape([len(axis.keys) for axis in axes])
        for at, axis in enumerate(axes):
            for mix in axis.mixes:
                field = self._mixed(field, at, mix)
            if axis.errors[-1].kind == "ar1":
                field = self._followed(field, at, axis.errors[-1].value)
        return field.reshape(-1)

    def _mixed(self, field: Places, axis: int, mix: Mix) -> Places:
        """Give the labels of an axis a part in the scores that are common to some."""
        writer = self.writer
        commons, which = np.unique(mix.common, return_inverse=True)
        common, own = field.take(commons, axis=axis), field.take(mix.own, axis=axis)
        shared, target = writer.take(common.shape), writer.take(own.shape)
        writer.do("multiply", shared, common, writer.number(math.sqrt(mix.share)))
        part = shared.take(which, axis=axis)
        writer.do("fused", target, part, own, writer.number(math.sqrt(1 - mix.share)))
        return target

    def _followed(self, field: Places, axis: int, rho: float) -> Places:
        """Let each label of an axis follow the one before."""
        writer = self.writer
        size, target = field.shape[axis], writer.take(field.shape)
        first, rest = (target.take(n, axis=axis) for n in ([0], range(1, size)))
        writer.do("copy", first, field.take([0], axis=axis))
        own = writer.take(rest.shape)
        writer.do(
            "multiply",
            own,
            field.take(range(1, size), axis=axis),
            writer.number(math.sqrt(1 - rho**2)),
        )
        before = target.take(range(size - 1), axis=axis)
        writer.do("fused", rest, own, before, writer.number(rho))
        return target


def _needed(kind: str, sampler: Sampler) -> tuple[Sampler, ...]:
    """Return the samplers whose own uniforms or scores a parameter is made from."""
    scored = {group.kind in _SCORED for group in sampler.groups if group.kind != "divided"}
    if kind == "uniforms":
        return (sampler,) if sampler.direct and False in scored else ()
    if sampler.direct:
        return (sampler,) if True in scored else ()
    return sampler.partners or (sampler,)


def gathered(groups: Sequence[Group]) -> tuple[Group, ...]:
    """Put groups of one kind together, so that one call draws them all."""
    found: dict[tuple[str, int, int], list[Group]] = {}
    for group in groups:
        key = (group.kind, group.numbers.shape[1], group.choices.shape[1])
        found.setdefault(key, []).append(group)
    return tuple(
        Group(
            some[0].kind,
            *(
                np.concatenate([getattr(group, name) for group in some])
                for name in ("source_of", "target_of", "numbers", "choices")
            ),
        )
        for some in found.values()
    )
