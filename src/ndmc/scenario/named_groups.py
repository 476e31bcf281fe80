"""Groups of random streams that a scenario, or a file beside it, gives names to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ndmc.errors import InputError, Mistakes, nearest, shortened
from ndmc.label import LabelError
from ndmc.legible import shown
from ndmc.scenario.document import Document, Key, read_document
from ndmc.scenario.mistakes import validate_document
from ndmc.scenario.scenario import Scenario
from ndmc.scenario.schema import SensitivityEntry
from ndmc.scenario.stream_names import StreamNames, name_and_labels
from ndmc.typing import Integers

__all__ = ["NamedGroups", "groups_of", "owners", "read_groups", "refuse_idle"]

#: The member of a group that stands for all streams that are in no other.
_REST = "*"


@dataclass(frozen=True)
class NamedGroups:
    """The members of groups by their name, and where they are written."""

    document: Document
    key: Key
    members: Mapping[str, list[str]]

    def error(self, message: str, *key: str | int) -> InputError:
        """Return an error at a group, or at a member of it."""
        return self.document.error(message, *self.key, *key)

    def called(self, number: int) -> str:
        """Return the name of a group."""
        return [*self.members][number]


def groups_of(scenario: Scenario) -> NamedGroups | None:
    """Return the groups of a scenario, if it has some."""
    entry = scenario.file.sensitivity
    if entry is None:
        return None
    return NamedGroups(scenario.document, ("sensitivity", "groups"), entry.groups)


def read_groups(path: Path) -> NamedGroups:
    """Return the groups of a file, which stand below a key ``groups`` or alone.

    Raises
    ------
    InputError
        With file and line, for anything else.
    """
    document = read_document(path, "write groups as in docs/which-inputs-matter.md")
    if any(isinstance(document.data.get(key), dict) for key in ("parameters", "sensitivity")):
        message = "a scenario, or a section of one; --groups wants a file with its groups alone"
        raise InputError(message, f"{path}:1")
    if not isinstance(document.data.get("groups"), dict):
        lines = {("groups", *key): line for key, line in document.lines.items()}
        document = replace(document, data={"groups": document.data}, lines=lines)
    return NamedGroups(document, ("groups",), validate_document(document, SensitivityEntry).groups)


def owners(scenario: Scenario, groups: NamedGroups) -> dict[str, Integers]:
    """Return the number of the group of each stream of uncertain parameters, -1 if it has none.

    Raises
    ------
    InputError
        With file and line, for names that there are not, streams in two groups, and correlated
        parameters that are parted.
    """
    found = {
        name: np.full(len(_names(scenario, name).read(None)), -1)
        for name, parameter in scenario.parameters.items()
        if parameter.uncertain
    }
    with Mistakes() as mistakes:
        for number, (name, members) in enumerate(groups.members.items()):
            for index, text in enumerate(members):
                if text != _REST:
                    with mistakes.apart():
                        _take(scenario, groups, found, number, (name, index))
    _take_rest(groups, found)
    _refuse_parted(scenario, groups, found)
    return found


def refuse_idle(groups: NamedGroups, owner: Mapping[str, Integers]) -> None:
    """Refuse a group that has no stream, and one that is called as a parameter in none is."""
    taken = {number for numbers in owner.values() for number in np.unique(numbers).tolist()}
    with Mistakes() as mistakes:
        for number, (name, members) in enumerate(groups.members.items()):
            if number not in taken:
                mistakes.add([groups.error(f"{_idle(name, members)}; remove it", name)])
            elif name in owner and (owner[name] < 0).all():
                message = f"the group {name!r} is called as a parameter that is in no group"
                mistakes.add([groups.error(f"{message}; call it otherwise", name)])


def _idle(name: str, members: Sequence[str]) -> str:
    why = f"{shortened(members, last=' and ')} {'is' if len(members) == 1 else 'are'} certain"
    if _REST in members:
        why = "every uncertain parameter is in another group"
    return f"the group {name!r} has no uncertain parameter: {why}"


def _names(scenario: Scenario, name: str) -> StreamNames:
    return StreamNames(name, scenario.parameters[name].errors, scenario.dims)


def _take(
    scenario: Scenario,
    groups: NamedGroups,
    owner: Mapping[str, Integers],
    number: int,
    key: tuple[str, int],
) -> None:
    """Put the streams that a member of a group names in it."""
    text = groups.members[key[0]][key[1]]
    try:
        name, labels = name_and_labels(text)
        if name not in scenario.parameters:
            hint = f"write several as a list: [{name}]" if "," in name else ""
            hint = hint or nearest(name, scenario.parameters)
            raise LabelError(f"{shown(text)} is no parameter; {hint}")
        picked = _names(scenario, name).read(labels)
    except LabelError as wrong:
        raise groups.error(str(wrong), *key) from None
    if name not in owner:  # it is certain
        return
    others = owner[name][picked & (owner[name] >= 0) & (owner[name] != number)]
    if len(others):
        both = _names(scenario, name).shortest(picked & (owner[name] == others[0]))
        message = f"{shortened(both)} is in two groups, {groups.called(others[0])!r} and {key[0]!r}"
        raise groups.error(f"{message}; keep one", *key)
    owner[name][picked] = number


def _take_rest(groups: NamedGroups, owner: Mapping[str, Integers]) -> None:
    """Put what is in no group in the one that is everything else."""
    rest = [name for name, members in groups.members.items() if _REST in members]
    if len(rest) > 1:
        message = f"both {rest[0]!r} and {rest[1]!r} are {_REST!r}, all that is in no other group"
        raise groups.error(f"{message}; keep one", rest[1])
    for numbers in owner.values() if rest else ():
        numbers[numbers < 0] = [*groups.members].index(rest[0])


def _refuse_parted(scenario: Scenario, groups: NamedGroups, owner: Mapping[str, Integers]) -> None:
    """Refuse groups that part correlated parameters, which are drawn from each other's streams."""
    entries = {tuple(entry.parameters): n for n, entry in enumerate(scenario.file.correlations)}
    with Mistakes() as mistakes:
        for members, _ in scenario.correlations:
            first = members[0]
            for name in members[1:]:
                apart = np.flatnonzero(owner[name] != owner[first])
                if len(apart):
                    where = scenario.document.where("correlations", entries[members], "matrix")
                    pair = {one: int(owner[one][apart[0]]) for one in (first, name)}
                    mistakes.add([_parted(groups, pair, where)])
                    break


def _parted(groups: NamedGroups, pair: Mapping[str, int], where: str) -> InputError:
    """Return what is said of correlated parameters in two groups, or with one in none."""
    names = [groups.called(number) if number >= 0 else "" for number in pair.values()]
    placed = (
        f"{name!r} is in {f'the group {group!r}' if group else 'no group'}"
        for name, group in zip(pair, names, strict=True)
    )
    message = f"{' and '.join(placed)}, but they are correlated ({where}); put both in one"
    return groups.error(message, names[1] or names[0])
