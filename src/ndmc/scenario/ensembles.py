"""Which members an ensemble has: policies in futures with the values of levers, each a scenario."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ndmc.errors import InputError, Mistakes, nearest
from ndmc.given import wrong
from ndmc.scenario.document import Document
from ndmc.scenario.ensemble_entry import EnsembleEntry
from ndmc.scenario.mistakes import validate_document
from ndmc.scenario.schema import ScenarioFile
from ndmc.scenario.tables import read_table

__all__ = ["Ensemble", "Member"]

#: What stands for the scenario as it is.
BASE, _REFERENCE = "base", "reference"

#: How the only ensemble of a file is called.
_ONLY = "ensemble"

#: Stands between the parts of a label.
_AND = " | "


@dataclass(frozen=True)
class Member:
    """One policy in one future with values of levers: a scenario of its own.

    ``reference`` is the position of the member it is compared with, ``before`` that of the one
    before it in a cascade, -1 if there is none. ``where`` says where it is asked for.
    """

    label: str
    policy: str
    future: str
    levers: tuple[tuple[str, str], ...]
    variant: str
    reference: int = 0
    before: int = -1
    where: str = field(default="", compare=False)

    @property
    def parts(self) -> dict[str, str]:
        """What it is made of, by name; a future only if there are several."""
        future = {"future": self.future} if self.future else {}
        levers = {clean(path): text for path, text in self.levers}
        return {"policy": self.policy, **future, **levers}


def clean(path: str) -> str:
    """Return the name of a lever: its path in letters, digits and underscores.

    Examples
    --------
    >>> clean("parameters.content[product=car]")
    'parameters_content_product_car'
    """
    return re.sub(r"\W+", "_", path).strip("_")


@dataclass(frozen=True)
class Ensemble:
    """Members that are compared, and by what; ``entry`` says the same as it may be asked for.

    ``places`` says where goals and limits stand.
    """

    members: tuple[Member, ...]
    outputs: tuple[str, ...]
    goals: Mapping[str, str]
    weights: Mapping[str, float]
    exceed: tuple[str, ...]
    entry: Mapping[str, Any] = field(repr=False)
    places: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)


def read_ensemble(document: Document, file: ScenarioFile, folder: Path, asked: Any) -> Ensemble:
    """Return an ensemble: one of a file, by its name or the only one, or one that is given.

    Raises
    ------
    InputError
        If there is no such ensemble, or something of it is wrong.
    """
    return _Reader(file, folder, *_entry(document, file, asked)).read()


def _entry(document: Document, file: ScenarioFile, asked: Any) -> tuple[EnsembleEntry, _Where]:
    known = dict(file.ensembles)
    if not isinstance(asked, str | bool | Mapping):
        raise wrong("ensemble", asked, "a name, True, or a dict such as {'policies': ['base']}")
    if isinstance(asked, Mapping):
        given = Document(Path("ensemble"), "", {key: asked[key] for key in asked})
        return validate_document(given, EnsembleEntry), _Where(given, ())
    if asked in (True, _ONLY) and file.ensemble is not None:
        return file.ensemble, _Where(document, ("ensemble",))
    if asked is True and len(known) == 1:
        asked = next(iter(known))
    if asked in known:
        return known[asked], _Where(document, ("ensembles", asked))
    if asked is True and not known:
        message = f"{file.name} has no ensemble; name policies, or write them under 'ensemble:'"
        raise InputError(message, "--policies")
    hint = nearest(str(asked), known) if asked is not True else f"choose one of {', '.join(known)}"
    raise InputError(f"{file.name} has no such ensemble; {hint}", "--ensemble")


@dataclass(frozen=True)
class _Where:
    """Where an ensemble is written."""

    document: Document
    key: tuple[str, ...]

    def place(self, *key: str | int) -> str:
        if not self.key:
            return ".".join(map(str, ("ensemble", *key)))
        return self.document.where(*self.key, *key)

    def error(self, message: str, *key: str | int) -> InputError:
        return InputError(message, self.place(*key))


class _Reader:
    """Reads one ensemble."""

    def __init__(
        self, file: ScenarioFile, folder: Path, entry: EnsembleEntry, where: _Where
    ) -> None:
        self.file, self.folder, self.entry, self.where = file, folder, entry, where

    def read(self) -> Ensemble:
        with Mistakes() as mistakes:
            mistakes.add(self._wrong_names())
        policies = self._cascade() or self._variants("policies", "policy") or {BASE: ""}
        futures = self._variants("futures", "future") or {"": ""}
        rows = [*self._rows(policies, futures)]
        members = self._members(rows, policies, futures)
        weights = self._weights([*futures])
        return Ensemble(
            members=members,
            outputs=tuple(self.entry.outputs),
            goals=dict(self.entry.goals),
            weights=weights,
            exceed=tuple(self.entry.exceed),
            entry=self._as_asked(policies, futures, weights),
            places={key: self.where.place(key) for key in ("goals", "exceed")},
        )

    def _as_asked(
        self, policies: Mapping[str, str], futures: Mapping[str, str], weights: Mapping[str, float]
    ) -> dict[str, Any]:
        """Return what asks for the same, whatever names the variants of the file have."""
        found = self.entry.model_dump(exclude_defaults=True)
        if not self.entry.cascade:
            found["policies"] = {name: variants.split(",") for name, variants in policies.items()}
        if self.entry.futures:
            found["futures"] = {name: variants.split(",") for name, variants in futures.items()}
        if isinstance(self.entry.rows, str):
            found["rows"] = self._table
        return found | ({"weights": dict(weights)} if weights else {})

    # --- names -----------------------------------------------------------------------------------

    def _wrong_names(self) -> Iterator[InputError]:
        """Yield an error for each output that there is not, and for what has a name of ours."""
        file = self.file
        outputs = dict.fromkeys([*file.flows, *file.stocks, *file.indicators])
        compared = self.entry.outputs if self.entry.outputs not in ([], ["all"]) else [*outputs]
        for index, name in enumerate(self.entry.outputs):
            if name not in (*outputs, *file.parameters) and self.entry.outputs != ["all"]:
                message = f"{name!r} is no flow, stock or indicator; {nearest(name, outputs)}"
                yield self.where.error(message, "outputs", index)
            elif name in self.entry.outputs[:index]:
                yield self.where.error(f"{name!r} is named twice; leave one out", "outputs", index)
        for name in self.entry.goals:
            if name not in compared:
                message = f"{name!r} is not compared, so that it has no goal"
                yield self.where.error(f"{message}; {nearest(name, compared)}", "goals", name)
        levers = [*self.entry.levers, *self._columns]
        for dim in ("member", "policy", "future", *map(clean, levers)):
            if dim in file.dims:
                message = f"the dim {dim!r} has a name that ensembles give; call it otherwise"
                yield self.where.error(message)

    @functools.cached_property
    def _table(self) -> list[dict[str, str]]:
        """The rows of a table, as they are given or from a file."""
        given = self.entry.rows or []
        if isinstance(given, str):
            given = self._read(given)
        rows = [{name: _text(value) for name, value in row.items()} for row in given]
        for index, row in enumerate(rows):
            if row.keys() != rows[0].keys():
                first, here = ", ".join(rows[0]), ", ".join(row)
                message = f"row {index + 1} has the columns {here}, the first has {first}"
                hint = "give all rows the same"
                raise self.where.error(f"{message}; {hint}", "rows", index)
        return rows

    @property
    def _columns(self) -> list[str]:
        """The levers of a table."""
        return [one for row in self._table[:1] for one in row if one not in ("policy", "future")]

    def _cascade(self) -> dict[str, str]:
        """Return the policies of a cascade: the scenario as it is, and one variant more in each."""
        found, before = {BASE: ""}, list[str]()
        for index, name in enumerate(self.entry.cascade):
            self._check_variants([name], "cascade", index)
            if name in before:
                raise self.where.error(f"{name!r} is added twice; leave one out", "cascade", index)
            before.append(name)
            found[f"+ {name}" if len(before) > 1 else name] = ",".join(before)
        return found if self.entry.cascade else {}

    def _variants(self, key: str, column: str) -> dict[str, str]:
        """Return the variants of each policy or future: those of a table, if none are named."""
        found, named = dict[str, str](), getattr(self.entry, key)
        tabled = dict.fromkeys(row[column] for row in self._table if column in row)
        for name, given in (named or {one: one for one in tabled}).items():
            if not name.strip() or _AND.strip() in name:
                message = f"{name!r} is no name of a policy or a future; give it letters, without"
                raise self.where.error(f"{message} {_AND.strip()!r}", key, name)
            texts = given.split(",") if isinstance(given, str) else given
            names = [text.strip() for text in texts if text.strip()]
            as_it_is = (BASE, _REFERENCE) if key == "futures" else (BASE,)
            names = [one for one in names if one in self.file.variants or one not in as_it_is]
            self._check_variants(names, key, name)
            if twice := [one for one in names if names.count(one) > 1]:
                raise self.where.error(f"{twice[0]!r} is named twice; leave one out", key, name)
            found[name] = ",".join(names)
        return found

    def _check_variants(self, names: Sequence[str], key: str, *place: str | int) -> None:
        for name in names:
            if name not in self.file.variants:
                known = [BASE, *self.file.variants]
                message = f"{self.file.name} has no variant {name!r}; {nearest(name, known)}"
                raise self.where.error(message, key, *place)

    # --- members ---------------------------------------------------------------------------------

    def _rows(
        self, policies: Mapping[str, str], futures: Mapping[str, str]
    ) -> Iterator[dict[str, str]]:
        """Yield what each member is made of."""
        if self.entry.rows:
            yield from self._table
            return
        levers = {name: [*map(_text, some)] for name, some in self.entry.levers.items()}
        if self.entry.design == "zip":
            if len({len(some) for some in levers.values()}) > 1:
                counts = ", ".join(f"{len(some)} of {name}" for name, some in levers.items())
                message = f"levers are zipped, but there are {counts}; give as many of each"
                raise self.where.error(message, "levers")
            settings = [dict(zip(levers, some, strict=True)) for some in zip(*levers.values())]  # noqa: B905
        else:
            settings = [
                dict(zip(levers, some, strict=True)) for some in itertools.product(*levers.values())
            ]
        for future, policy, setting in itertools.product(futures, policies, settings or [{}]):
            yield {"policy": policy, "future": future, **setting}

    def _read(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / name
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise self.where.error(f"{name!r} is not in the folder of the scenario", "rows")
        table = read_table(path)
        return [dict(zip(table.header, cells, strict=True)) for _, cells in table.rows()]

    def _members(
        self,
        rows: Sequence[Mapping[str, str]],
        policies: Mapping[str, str],
        futures: Mapping[str, str],
    ) -> tuple[Member, ...]:
        first = next(iter(policies))
        several = len({*futures} - {""}) > 0
        found = list[Member]()
        for index, row in enumerate(rows):
            policy, future = row.get("policy") or first, row.get("future") or next(iter(futures))
            for key, name, known in (("policies", policy, policies), ("futures", future, futures)):
                if name not in known:
                    message = f"a row has {name!r}, which is none of them; {nearest(name, known)}"
                    raise self.where.error(message, key)
            levers = tuple((k, v) for k, v in row.items() if k not in ("policy", "future"))
            variant = ",".join(filter(None, (policies[policy], futures[future])))
            where = self._place(index, policies, policy, future)
            found.append(
                Member("", policy, future if several else "", levers, variant, where=where)
            )
        found = self._labelled(found)
        if self.entry.members:
            labels = [one.label for one in found]
            for index, label in enumerate(self.entry.members):
                if label not in labels:
                    message = f"there is no member {label!r}; {nearest(label, labels)}"
                    raise self.where.error(message, "members", index)
            found = [one for one in found if one.label in self.entry.members]
        return tuple(self._related(found))

    def _place(self, row: int, policies: Mapping[str, str], policy: str, future: str) -> str:
        """Return where a member is asked for."""
        if self.entry.rows:
            return self.where.place("rows", row)
        if self.entry.levers:
            return self.where.place("levers")
        if self.entry.cascade:
            return self.where.place("cascade")
        by_policy = policies[policy] or not self.entry.futures
        return self.where.place(*(("policies", policy) if by_policy else ("futures", future)))

    def _labelled(self, members: Sequence[Member]) -> list[Member]:
        """Return members with labels: of their parts those that are not the same in all."""
        parts = [one.parts for one in members]
        names = [name for name in parts[0] if len({part[name] for part in parts}) > 1]
        names = names or ["policy"]
        found, seen = list[Member](), set[str]()
        for one, part in zip(members, parts, strict=True):
            texts = [part[n] if n in ("policy", "future") else f"{n}={part[n]}" for n in names]
            label = _AND.join(texts)
            if label in seen:
                raise self.where.error(f"the member {label!r} is there twice; leave one out")
            seen.add(label)
            found.append(_with(one, label=label))
        return found

    def _related(self, members: Sequence[Member]) -> Iterator[Member]:
        """Yield members with those that they are compared with: in their future, levers first."""
        policies = [*dict.fromkeys(one.policy for one in members)]
        reference = BASE if self.entry.cascade else self.entry.reference or policies[0]
        if reference not in policies:
            message = f"the reference {reference!r} is no policy; {nearest(reference, policies)}"
            raise self.where.error(message, "reference")
        first = dict[str, int]()
        for at, one in enumerate(members):
            if one.policy == reference:
                first.setdefault(one.future, at)
        for one in members:
            if one.future not in first:
                message = f"the future {one.future!r} has no member with the policy {reference!r}"
                raise self.where.error(f"{message}, which others are compared with", "reference")
            yield _with(one, reference=first[one.future], before=self._before(one, members))

    def _before(self, member: Member, members: Sequence[Member]) -> int:
        """Return where the member with one measure less stands; -1 if there is none."""
        if not self.entry.cascade or member.policy == BASE:
            return -1
        policies = [*self._cascade()]
        wanted = policies[policies.index(member.policy) - 1], member.future, member.levers
        for at, one in enumerate(members):
            if (one.policy, one.future, one.levers) == wanted:
                return at
        message = f"the member before {member.label!r} in the cascade, {wanted[0]!r}, is left out"
        raise self.where.error(message, "members")

    def _weights(self, futures: Sequence[str]) -> dict[str, float]:
        """Return the weights of all futures, if any has one: what is left is shared equally."""
        given = self.entry.weights
        if given and not self.entry.futures:
            raise self.where.error("weights are of futures, and none are named", "weights")
        for name, weight in given.items():
            if name not in futures:
                message = f"{name!r} is no future; {nearest(name, futures)}"
                raise self.where.error(message, "weights", name)
            if weight < 0:
                message = f"the weight {weight} of {name!r} is negative; give a share from 0 to 1"
                raise self.where.error(message, "weights", name)
        if not given:
            return {}
        left, others = 1 - sum(given.values()), [name for name in futures if name not in given]
        if left < -1e-9 or (not others and abs(left) > 1e-9):
            message = f"weights sum to {1 - left:.12g}; let those of all futures sum to 1"
            raise self.where.error(message, "weights")
        return {name: given.get(name, max(left, 0) / max(len(others), 1)) for name in futures}


def _with(member: Member, **changes: Any) -> Member:
    return Member(**{**member.__dict__, **changes})


def _text(value: Any) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)
