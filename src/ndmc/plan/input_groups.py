"""Which random streams move together: the groups of inputs that a study shares the variance among.

Every stream behind what is asked is in just one group. Parameters that are correlated are drawn
from the streams of each other and are never parted.
"""

from __future__ import annotations

import functools
import os.path
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ndmc.dims import Dims
from ndmc.errors import InputError, nearest, shortened, warn
from ndmc.label import LabelError, pairs
from ndmc.plan.samplers import Sampler
from ndmc.plan.study import InputGroup
from ndmc.scenario.named_groups import (
    NamedGroups,
    groups_of,
    owners,
    read_groups,
    refuse_idle,
)
from ndmc.scenario.scenario import Scenario
from ndmc.scenario.stream_names import Picked, StreamNames, name_and_labels
from ndmc.typing import Integers

__all__ = ["groups_from", "input_groups", "resolved", "scalar_inputs"]

#: The group of each stream of a parameter, a number; -1 is that of its parameter.
Owner = Mapping[str, Integers]

#: The names of groups with what people call their members, from which they are made again.
Resolved = tuple[tuple[str, tuple[str, ...]], ...]

_WAYS = ("parameter", "label:DIM", "grade", "source")

#: How files of groups end, that there may not be.
_FILES = (".yaml", ".yml", ".json")


def input_groups(
    scenario: Scenario, samplers: Sequence[Sampler], by: str = ""
) -> tuple[InputGroup, ...]:
    """Return the groups of the streams behind a plan.

    Parameters
    ----------
    scenario
        The scenario.
    samplers
        Those of its plan.
    by
        Empty for the groups of the scenario, if it has some. ``parameter``; ``label:DIM``, a
        group for each label, of all errors that are its own; ``grade`` or ``source``, of the
        cells that a stream serves (of several, they are one group); or a YAML file with groups.
        What is in none is one for each parameter.

    Raises
    ------
    InputError
        If nothing is uncertain, or there is no such way, or groups are wrong.

    Warns
    -----
    StudyWarning
        For a group that is left out because nothing that is asked depends on it.

    Examples
    --------
    >>> from ndmc.plan.compiler import build_plan
    >>> from ndmc.scenario.load import load
    >>> scenario = load("starter")
    >>> [group.name for group in input_groups(scenario, build_plan(scenario).samplers)]
    ['production', 'content', 'lifetime_scale', 'process_loss', 'collection_rate']
    """
    drawn = _Drawn.of(scenario, samplers)
    way, _, dim = by.partition(":")
    if named := _named(scenario, by):
        return _grouped(drawn, *_by_names(drawn, named))
    if by in ("", "parameter"):
        return _grouped(drawn, (), drawn.unowned())
    if way == "label":
        return _grouped(drawn, *_by_label(drawn, dim))
    if by in ("grade", "source"):
        return _grouped(drawn, *_by_cells(drawn, by))
    hint = f"write label:{by}" if by in scenario.dims.labels else nearest(by, _WAYS)
    message = f"no way of grouping is called {by!r}, and no file; {hint}"
    raise InputError(f"{message}, or write groups to a YAML file", "--groups")


def resolved(groups: Iterable[InputGroup]) -> Resolved:
    """Return what `groups_from` makes the same groups of."""
    return tuple((group.name, group.members) for group in groups)


def groups_from(
    scenario: Scenario, samplers: Sequence[Sampler], known: Resolved
) -> tuple[InputGroup, ...]:
    """Return groups by the names of their members.

    Raises
    ------
    InputError
        If there are no such streams.
    """
    drawn = _Drawn.of(scenario, samplers)
    owner = drawn.unowned()
    for number, (_, members) in enumerate(known):
        for member in members:
            try:
                name, labels = name_and_labels(member)
                owner[name][drawn.names(name).read(labels)] = number
            except (KeyError, LabelError):
                message = f"the scenario draws no {member!r}; is it that of the groups?"
                raise InputError(message) from None
    return _grouped(drawn, [name for name, _ in known], owner)


def scalar_inputs(scenario: Scenario, samplers: Sequence[Sampler]) -> tuple[InputGroup, ...]:
    """Return every stream behind a plan as a group of its own, whose member is its parameter.

    Of correlated parameters the first is drawn from its own streams, and each other one from those
    of all before: its own are what it has beyond these, and are called so.

    Raises
    ------
    InputError
        If nothing is uncertain.

    Examples
    --------
    >>> from ndmc.plan.compiler import build_plan
    >>> from ndmc.scenario.load import load
    >>> scenario = load("starter")
    >>> [one.name for one in scalar_inputs(scenario, build_plan(scenario).samplers)][-2:]
    ['collection_rate[product=bicycle]', 'collection_rate[product=car]']
    """
    drawn = _Drawn.of(scenario, samplers)
    before = {n: some[:k] for some, _ in scenario.correlations for k, n in enumerate(some)}
    return tuple(
        InputGroup(text + _beyond(before.get(name, ())), (name,), (stream,), _single(grades))
        for name, sampler in drawn.samplers.items()
        for text, stream, grades in zip(
            drawn.names(name).each(),
            sampler.streams.tolist(),
            drawn.served(name, "grade"),
            strict=True,
        )
    )


def _beyond(names: Sequence[str]) -> str:
    return f" beyond {shortened(names, ' and ')}" if names else ""


def _single(grades: Iterable[str]) -> str:
    """Return the one grade there is, or none."""
    found = {*grades}
    return found.pop() if len(found) == 1 else ""


def stream_names(dims: Dims, sampler: Sampler) -> list[str]:
    """Return what people call each stream of a sampler.

    Examples
    --------
    >>> from ndmc.plan.compiler import build_plan
    >>> from ndmc.scenario.load import load
    >>> plan = build_plan(load("starter"))
    >>> stream_names(plan.dims, plan.samplers[1])
    ['content[product=phone]', 'content[product=bicycle]', 'content[product=car]']
    """
    return StreamNames(sampler.name, sampler.errors, dims).each()


def of(name: str) -> str:
    """Return the parameter that a sampler draws, in an ensemble for some members alone."""
    return name.partition("@")[0]


def _whole(scenario: Scenario) -> Scenario:
    """Return a scenario with all parameters of the members of an ensemble that are uncertain."""
    parameters = dict(scenario.parameters)
    for member in scenario.members:
        for name, one in member.parameters.items():
            if one.uncertain and not (name in parameters and parameters[name].uncertain):
                parameters[name] = one
    return replace(scenario, parameters=parameters)


@dataclass(frozen=True)
class _Drawn:
    """The parameters behind a plan, in the order of the file, and those they are mixed with."""

    scenario: Scenario
    samplers: dict[str, Sampler]

    @classmethod
    def of(cls, scenario: Scenario, samplers: Iterable[Sampler]) -> _Drawn:
        scenario = _whole(scenario)
        found = {of(one.name): one for s in samplers for one in (*s.partners, s)}
        if not found:
            message = (
                "nothing that is asked depends on an uncertain parameter: there is no variance"
            )
            remedy = "give a parameter a 'distribution' and its 'cv', or name other outputs by -v"
            raise InputError(
                f"{message} to share out; {remedy}", scenario.document.where("parameters")
            )
        return cls(scenario, {name: found[name] for name in scenario.parameters if name in found})

    @functools.cached_property
    def tied(self) -> list[list[str]]:
        """Names that belong together: of correlated parameters, or of one alone."""
        matrix = {name: members for members, _ in self.scenario.correlations for name in members}
        found = dict[tuple[str, ...], list[str]]()
        for name in self.samplers:
            found.setdefault(matrix.get(name, (name,)), []).append(name)
        return [*found.values()]

    def unowned(self) -> dict[str, Integers]:
        """Return the streams of each parameter in no group."""
        return {name: np.full(len(one.streams), -1) for name, one in self.samplers.items()}

    def names(self, name: str) -> StreamNames:
        """Return what the streams of a parameter are called."""
        return StreamNames(name, self.samplers[name].errors, self.scenario.dims)

    def served(self, name: str, what: str) -> list[tuple[str, ...]]:
        """Return, for each stream of a parameter, the grades or sources of the cells it serves.

        Where it serves none that is drawn they are those of the first that does.
        """
        parameter = self.scenario.parameters[name]
        drawn, coded = ~parameter.marginals.certain, getattr(parameter, f"{what}s")
        values = coded.at(np.flatnonzero(drawn)).distinct
        size = len(self.samplers[name].streams)
        if len(values) == 1:
            return [(values[0],)] * size
        found: list[tuple[str, ...]] = [()] * size
        for value in values:
            cells = drawn & (coded.codes == coded.values.index(value))
            for stream in np.flatnonzero(self.names(name).serving(cells)).tolist():
                found[stream] += (value,)
        first = next(filter(None, found))
        return [some or first for some in found]


def _named(scenario: Scenario, by: str) -> NamedGroups | None:
    """Return the groups of a file, or, if no way is asked for, of a scenario that has some."""
    if not by:
        return groups_of(scenario)
    is_file = by not in _WAYS and (by.endswith(_FILES) or os.path.exists(by))  # of any length
    return read_groups(Path(by)) if is_file else None


def _by_label(drawn: _Drawn, dim: str) -> tuple[list[str], dict[str, Integers]]:
    """Return a group for each label of a dim, of the streams that are its own."""
    labels, owner = drawn.scenario.dims.labels, drawn.unowned()
    if dim not in labels:
        what = f"there is no dim {dim!r}" if dim else "write a dim behind 'label:'"
        raise InputError(f"{what}; {nearest(dim, labels)}", "--groups")
    having = [name for name, s in drawn.samplers.items() if dim in s.errors and s.errors[dim].own]
    if not having:
        message = f"no parameter has errors of its own for each label of {dim!r}; all are shared"
        raise InputError(f"{message}, or certain", "--groups")
    names = [pairs({dim: label}) for label in dict.fromkeys(labels[dim])]
    for name in having:
        for number, label in enumerate(names):
            owner[name][drawn.names(name).read(label)] = number
    return names, owner


def _by_names(drawn: _Drawn, groups: NamedGroups) -> tuple[list[str], dict[str, Integers]]:
    """Return groups that are named, and warn of those that nothing asked depends on."""
    owner = owners(drawn.scenario, groups)
    refuse_idle(groups, owner)
    found = {number for name in drawn.samplers for number in np.unique(owner[name]).tolist()}
    for number, name in enumerate(groups.members):
        if number not in found:
            where = groups.error("", name).where
            warn(f"nothing that is asked depends on the group {name!r}; it is left out", where)
    return [*groups.members], owner


def _by_cells(drawn: _Drawn, what: str) -> tuple[list[str], dict[str, Integers]]:
    """Return a group for each grade, or source, and for each set of them that streams serve."""
    numbers, owner = dict[tuple[str, ...], int](), drawn.unowned()
    for tied in drawn.tied:
        together = zip(*(drawn.served(name, what) for name in tied), strict=True)
        for stream, each in enumerate(together):
            values = tuple(dict.fromkeys(value for some in each for value in some))
            number = numbers.setdefault(values, len(numbers))
            for name in tied:
                owner[name][stream] = number
    return [shortened((value or f"no {what}" for value in v), " + ") for v in numbers], owner


def _grouped(drawn: _Drawn, names: Sequence[str], owner: Owner) -> tuple[InputGroup, ...]:
    """Return the groups that have streams; of what is in none, one for each parameter."""
    every, parts = [*names], defaultdict[int, dict[str, Picked]](dict)
    for tied in drawn.tied:
        left = owner[tied[0]] < 0
        every.append(f"{'' if left.all() else 'rest of '}{shortened(tied, ' + ')}")
        for name in tied:
            numbers = np.where(left, len(every) - 1, owner[name])
            for number in np.unique(numbers).tolist():
                parts[number][name] = numbers == number
    grades = {name: drawn.served(name, "grade") for name in drawn.samplers}
    found = tuple(_made(drawn, every[n], parts[n], grades) for n in sorted(parts))
    counted = Counter(group.name for group in found)
    if twice := next((name for name, count in counted.items() if count > 1), ""):
        raise InputError(f"two groups are called {twice!r}; rename one", "--groups")
    return found


def _made(
    drawn: _Drawn,
    name: str,
    parts: Mapping[str, Picked],
    grades: Mapping[str, Sequence[tuple[str, ...]]],
) -> InputGroup:
    """Return a group of streams that are picked of parameters."""
    members, streams, found = list[str](), list[int](), set[str]()
    for parameter, picked in parts.items():
        members += drawn.names(parameter).shortest(picked)
        streams += drawn.samplers[parameter].streams[picked].tolist()
        found.update(*(grades[parameter][n] for n in np.flatnonzero(picked).tolist()))
    return InputGroup(name, tuple(members), tuple(streams), found.pop() if len(found) == 1 else "")
