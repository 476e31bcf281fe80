"""A run from its store alone: the scenario, the plan and the work, on any machine that sees it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ndmc.errors import InputError
from ndmc.model import compile_plan
from ndmc.plan.input_groups import groups_from
from ndmc.plan.steps import Plan
from ndmc.plan.study import InputGroup, Observed, Study
from ndmc.runs.block import Work
from ndmc.scenario.extending import document_of
from ndmc.scenario.load import build, with_members
from ndmc.scenario.scenario import Scenario
from ndmc.store.keys import ENSEMBLE
from ndmc.store.opening import open_store, tables_of, texts_of
from ndmc.store.series import titles_of
from ndmc.store.spec import Spec
from ndmc.store.store import Store

__all__ = ["replayed", "scenario_of"]


def scenario_of(store: Store) -> Scenario:
    """Rebuild the scenario of a run from the texts its store carries.

    Raises
    ------
    InputError
        If a text is not where it could have come from, or not the one whose hash the store has.
    """
    attrs = store.attrs
    with tempfile.TemporaryDirectory() as folder:
        for name, text in tables_of(store).items():
            _put(Path(folder).resolve(), name, text, store.path)
        document = document_of(texts_of(store), Path(folder) / "scenario.yaml")
        scenario = build(document, Path(folder), attrs["variant"], attrs["changes"])
        if about := attrs.get(ENSEMBLE):
            scenario = with_members(scenario, about["entry"])
    if scenario.hash != attrs["scenario_hash"]:
        message = "is not a store of ndmc's: its scenario is not the one whose hash it has"
        raise InputError(f"{store.path!r} {message}")
    return scenario


def _put(folder: Path, name: str, text: str, where: str) -> None:
    try:
        place = (folder / name).resolve()
        if not place.is_relative_to(folder):
            raise OSError
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    except (OSError, ValueError):  # a name that leads out, or that no file can have
        raise InputError(f"its file {name[:60]!r} cannot be a table in a folder", where) from None


def check_plan(store: Store, plan: Plan) -> None:
    """Refuse a store whose outputs, dims or counts are not those of its scenario.

    Raises
    ------
    InputError
        If they are not: no run has written it.
    """
    outputs = {output.name: (output.dims, output.kind) for output in plan.outputs}
    known = {output.name: (output.dims, output.kind) for output in store.computed.values()}
    watched = [[watch.name, watch.kind] for watch in plan.watches]
    ours, theirs = ((dims.labels, dims.belongs) for dims in (plan.dims, store.dims))
    same = (outputs, ours) == (known, theirs)
    if not same or watched != store.attrs["watched"]:
        message = "is not a store of ndmc's: its outputs are not those of its scenario"
        raise InputError(f"{store.path!r} {message}; choose another --out")


def plan_of(
    scenario: Scenario, percentiles: Iterable[str], keep: Iterable[str], memory: int | None = None
) -> Plan:
    """Return the plan of a run: all it wants percentiles of or keeps."""
    return compile_plan(scenario, dict.fromkeys([*percentiles, *keep]), memory=memory)


def studied(plan: Plan, groups: Iterable[InputGroup], spec: Spec) -> Plan:
    """Return the plan of a study: what has percentiles is observed, and whether it is above limits.

    A limit is one of all cells of what it is of.
    """
    observed = []
    for title, view in titles_of(plan, spec.percentiles).items():
        one = Observed(title, view.name, view.kept, view.over)
        limits = (limit for name, limit in spec.exceed if name == title)
        observed += [one, *(replace(one, above=limit) for limit in limits)]
    return replace(plan, study=Study(tuple(groups), tuple(observed)))


def work_of(where: str | Path) -> Work:
    """Return the work of the run in a store: see `replayed`."""
    return replayed(where)[1]


def replayed(where: str | Path) -> tuple[Scenario, Work]:
    """Return the scenario of the run in a store, and its work.

    Raises
    ------
    InputError
        If its draws were computed in float32, as older versions could.
    """
    store = open_store(where)
    if store.attrs.get("compute", "float64") != "float64":
        raise InputError(
            f"the draws of {store.path!r} were computed in {store.attrs['compute']}, which is no "
            "longer done; they can be read, but not gone on with"
        )
    scenario, spec = scenario_of(store), store.spec
    plan = plan_of(scenario, spec.percentiles, spec.keep)
    check_plan(store, plan)
    if spec.groups is not None:
        plan = studied(plan, groups_from(scenario, plan.samplers, spec.groups), spec)
    return scenario, Work(plan, store)
