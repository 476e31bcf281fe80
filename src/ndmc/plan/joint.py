"""The plan of an ensemble: those of its members together, what they share computed once.

Steps of one member after the other are added. One that is the same as a step that is there, with
the same inputs, is that step; what differs gets a name of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence, Set
from dataclasses import replace

from ndmc.dims import Dims
from ndmc.plan.compared import Compared, Wanted
from ndmc.plan.compiler import split
from ndmc.plan.findings import Watch
from ndmc.plan.moved import Moved, together
from ndmc.plan.renaming import Renaming, structure
from ndmc.plan.samplers import Sampler
from ndmc.plan.steps import MEMBER, Account, March, Plan, Step
from ndmc.scenario.ensembles import Ensemble
from ndmc.scenario.groupings import grouped
from ndmc.typing import Floats

__all__ = ["joint_plan", "member_dims", "same_outputs"]

#: Gives what a member computes alone a name of its own.
Own = Callable[[str], str]


def member_dims(dims: Dims, ensemble: Ensemble) -> Dims:
    """Return the dims of an ensemble: its members first, grouped by what they are made of.

    Examples
    --------
    >>> from ndmc.scenario.load import load
    >>> loaded = load("starter", ensemble={"policies": ["base", "long_lives"]})
    >>> [*member_dims(loaded.dims, loaded.ensemble).labels][:2]
    ['policy', 'member']
    """
    members = ensemble.members
    labels = {MEMBER: tuple(one.label for one in members), **dims.labels}
    parts = [one.parts for one in members]
    groupings = {name: _groups(labels[MEMBER], [part[name] for part in parts]) for name in parts[0]}
    return grouped(replace(dims, labels=labels), {**dims.groupings, MEMBER: groupings})


def _groups(labels: Sequence[str], values: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found = dict[str, list[str]]()
    for label, value in zip(labels, values, strict=True):
        found.setdefault(value, []).append(label)
    return {value: tuple(some) for value, some in found.items()}


def joint_plan(plans: Sequence[Plan], dims: Dims, wanted: Wanted) -> Plan:
    """Return the plan of all members of an ensemble.

    Parameters
    ----------
    plans
        Of each member, in their order.
    dims
        Those of all of them, and the members before.
    wanted
        What is compared, and what is computed of it.

    Returns
    -------
    Plan
        With outputs of one dim more, ``member``.
    """
    joint = _Joint()
    pairs = zip(wanted.labels, plans, strict=True)
    names = [joint.add(label, plan) for label, plan in pairs]
    compared = Compared(wanted, plans, names)
    steps = (*joint.steps, *compared.steps)
    drawn = tuple(joint.samplers.values())
    fixed, varying = split({sampler.name for sampler in drawn}, steps)
    return Plan(
        dims=dims,
        samplers=drawn,
        constants=joint.constants,
        fixed=tuple(fixed),
        steps=tuple(varying),
        outputs=compared.outputs,
        accounts=tuple(joint.accounts.values()),
        watches=tuple(joint.watches.values()),
        positive=frozenset(joint.positive),
        events=compared.events,
        conditioning=together(joint.conditionings),
        memory=plans[0].memory,
        gathered=compared.gathered,
    )


def same_outputs(one: Plan, other: Plan) -> bool:
    """Whether two plans compute the same outputs from the same inputs, in the same steps."""
    names = [output.name for output in one.outputs]
    if names != [output.name for output in other.outputs]:
        return False
    joint = _Joint()
    first, second = joint.add("one", one), joint.add("other", other)
    return all(first[name] == second[name] for name in names)


class _Joint:
    """Plans that are put together, as far as they are."""

    def __init__(self) -> None:
        self.samplers: dict[str, Sampler] = {}
        self.constants: dict[str, Floats] = {}
        self.steps: list[Step] = []
        self.accounts: dict[Hashable, Account] = {}
        self.watches: dict[Hashable, Watch] = {}
        self.positive: set[str] = set()
        self.conditionings: list[Moved] = []
        self._known: dict[Hashable, tuple[str, ...]] = {}

    def add(self, label: str, plan: Plan) -> dict[str, str]:
        """Add a plan, and return under which name each of its quantities is known."""
        # What the first computes keeps its name, unless that is of what is gathered of all.
        gathered = None if self._known else {output.name for output in plan.outputs}
        own = functools.partial(_own, label=label, only=gathered)
        names = self._parameters(plan, own)
        rename = Renaming(names)
        for step in (*plan.fixed, *plan.steps):
            # What a loop computes is read within it.
            self._step(step, names, own, Renaming(names) if isinstance(step, March) else rename)
        for account in plan.accounts:
            self._account(rename(account), own)
        for watch in map(rename, plan.watches):
            self.watches.setdefault(structure(watch), watch)
        self.positive |= {names[name] for name in plan.positive}
        return names

    def _parameters(self, plan: Plan, own: Own) -> dict[str, str]:
        """Add what is read; what draws are moved together for belongs to one member alone."""
        moved = plan.conditioning
        among = frozenset(moved.parameters) if moved else frozenset[str]()
        names = dict[str, str]()
        for sampler in plan.samplers:
            key = (sampler.name, structure(sampler), id(moved) if sampler.name in among else 0)
            (name,) = self._known.setdefault(key, (own(sampler.name),))
            self.samplers.setdefault(name, replace(sampler, name=name))
            names[sampler.name] = name
        for constant, values in plan.constants.items():
            key = (constant, structure(values), id(moved) if constant in among else 0)
            (name,) = self._known.setdefault(key, (own(constant),))
            self.constants.setdefault(name, values)
            names[constant] = name
        if moved:
            self.conditionings.append(Moved(moved, tuple(names[one] for one in moved.parameters)))
        return names

    def _step(self, step: Step, names: dict[str, str], own: Own, rename: Renaming) -> None:
        """Add a step, unless it is there, and note the names of what it computes."""
        key = structure(rename(step))
        if key not in self._known:
            self._known[key] = tuple(map(own, step.targets))
            names |= dict(zip(step.targets, self._known[key], strict=True))
            self.steps.append(Renaming(names)(step) if isinstance(step, March) else rename(step))
        names |= dict(zip(step.targets, self._known[key], strict=True))

    def _account(self, account: Account, own: Own) -> None:
        key = structure(account)
        if key not in self.accounts:
            self.accounts[key] = replace(account, process=own(account.process))


def _own(name: str, label: str, only: Set[str] | None = None) -> str:
    """Return the name of what a member computes alone; what is hidden beside it stays beside it.

    Examples
    --------
    >>> _own("in_use release", "longer_lives")
    'in_use@longer_lives release'
    """
    base, blank, what = name.partition(" ")
    if only is not None and base not in only:
        return name
    return f"{base}@{label}{blank}{what}"
