"""A store made, restored, and raised to more draws."""

from __future__ import annotations

import difflib
import platform
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ndmc.errors import InputError, RunError
from ndmc.plan.steps import Plan
from ndmc.scenario.load import same_changes
from ndmc.scenario.scenario import Scenario
from ndmc.store import belonging
from ndmc.store.bucket import told
from ndmc.store.description import write_labels
from ndmc.store.folder import Folder
from ndmc.store.identity import BEFORE, GROUPS, IDENTITY, identity, version_of
from ndmc.store.keys import (
    ENSEMBLE,
    INPUTS,
    LEDGER,
    PERCENTILES,
    ROOT,
    SENSITIVITY,
    TABLES,
    document_key,
    is_of_whole,
)
from ndmc.store.layout import array_of, documents_of
from ndmc.store.opening import open_store, tables_of, texts_of
from ndmc.store.place import Place
from ndmc.store.seal import Seal
from ndmc.store.spec import Spec
from ndmc.store.store import FORMAT, Store, now, write_root
from ndmc.store.zarr_v3 import (
    SmallArrays,
    group_document,
    write_document,
    write_group,
)

__all__ = [
    "check_same",
    "create",
    "existing",
    "raise_draws",
    "remove_percentiles",
    "write_shapes",
]


def _title(scenario: Scenario, plan: Plan) -> str:
    """Return the title of a scenario, which says so if its draws are reconciled."""
    if plan.conditioning is None:
        return scenario.file.title
    how = {"projected": "projected", "active_set": "non-negative"}[plan.conditioning.method]
    return f"{scenario.heading} ({how} draws)"


def existing(place: Place) -> Store | None:
    """Return the store there is at a place, if there is one."""
    if not place.exists() or _is_begun(place):
        return None
    return open_store(place)


def create(place: Place, scenario: Scenario, plan: Plan, spec: Spec) -> Store:
    """Return the store of a run: a new one, or the one an earlier attempt began.

    Raises
    ------
    InputError
        If the path belongs to something else; nothing is touched.
    RunError
        If it cannot be written.
    """
    store = existing(place)
    if store is not None:
        check_same(store, scenario, spec)
        return store
    try:
        with told(), place.begin() as begun:
            _create(begun, scenario, plan, spec)
    except OSError as failed:
        reason = f"cannot write {place.url!r}: {failed.strerror or failed}"
        if isinstance(failed, FileNotFoundError) and not isinstance(place, Folder):
            raise InputError(f"{reason}; choose another --out", "--out") from None
        remedy = "choose another --out, or make room and run the same command again"
        raise RunError(f"{reason}; {remedy}") from None
    store = open_store(place)
    check_same(store, scenario, spec)  # another may have been quicker
    return store


def _is_begun(place: Place) -> bool:
    """Whether an object store holds no more than the beginning of a store: its root comes last."""
    if isinstance(place, Folder) or place.exists(ROOT):
        return False
    return place.exists(document_key(LEDGER)) or not place.names("")


def check_same(store: Store, scenario: Scenario, spec: Spec) -> None:
    """Refuse a store whose run is not the one asked for, and show the difference."""
    known = store.attrs.get("changes", {})
    if same_changes(scenario, known):
        scenario = replace(scenario, changes=known)
    wanted = identity(scenario, spec)
    kinds = {GROUPS in store.attrs, GROUPS in wanted}
    for key in IDENTITY if len(kinds) == 1 else (GROUPS,):
        found = store.attrs.get(key, BEFORE.get(key))
        if found == wanted.get(key):
            continue
        shown = f"{found!r}, asked for {wanted.get(key)!r}"
        if key == "scenario_hash":
            shown = _difference(store, scenario)
        if key == GROUPS:
            shown = _other_groups(found, wanted.get(key))
        word = key.replace("_hash", "").replace("_", " ")
        raise InputError(
            f"the store belongs to another run ({word}: {shown}); "
            "choose another --out, or replace it by --overwrite",
            store.path,
        )


def _other_groups(found: Any, wanted: Any) -> str:
    """Return what is other about a study, of which one has none of it, or other groups."""
    if found is None or wanted is None:
        kinds = ("a run", "a study of which inputs matter")
        return f"it is {kinds[found is not None]}, asked for {kinds[wanted is not None]}"
    other = next((one for one in found if one not in wanted), found[-1])
    return f"it has the group {other[0]!r} of {', '.join(other[1])}, and such are not asked for"


def _difference(store: Store, scenario: Scenario) -> str:
    """Return the first lines in which the texts of two scenarios differ."""
    before = {**_files(texts_of(store)), **tables_of(store)}
    after = {**_files(scenario.texts), **scenario.tables}
    for name in {**before, **after}:
        old, new = (texts.get(name, "").splitlines() for texts in (before, after))
        lines = difflib.unified_diff(old, new, n=0, lineterm="")
        changed = [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]
        if changed:
            return f"another text, in {name}: {' / '.join(line.strip() for line in changed[:2])}"
    return "another text"


def _files(texts: Iterable[str]) -> dict[str, str]:
    """Return the texts of a scenario by what they are in messages."""
    return {f"{'what is extended: ' * bool(n)}scenario.yaml": text for n, text in enumerate(texts)}


def _texts(scenario: Scenario) -> dict[str, Any]:
    """Return the texts of a scenario as a store has them."""
    text, *below = scenario.texts
    return {"scenario_text": text, **({"extended_texts": below} if below else {})}


def _create(place: Place, scenario: Scenario, plan: Plan, spec: Spec) -> None:
    kept = [output for output in plan.outputs if output.name in spec.keep]
    arrays = documents_of(kept, plan.dims, spec, scenario.file.references)
    for key, document in arrays.items():
        write_document(place, key, document, durable=False)
    labels, attributes = write_labels(place, scenario, kept, plan)
    metadata = {**arrays, **labels.documents}
    for group in filter(None, attributes):
        metadata[group] = write_group(place, group, attributes[group], metadata)
    place.settle(map(document_key, arrays))
    # An array, whose folder nobody searches for arrays, and which is not listed in the root.
    SmallArrays(place).put(LEDGER, np.array(0), (), {"long_name": "see files beside this"})
    about = {**_attributes(scenario, plan, spec), **attributes[""], "files": labels.files}
    write_root(place, group_document(about, metadata))


def restore(store: Store, scenario: Scenario, plan: Plan) -> Store:
    """Write anew what a store has besides blocks and percentiles: documents, labels, parameters."""
    labels, _ = write_labels(store.place, scenario, [*store.outputs.values()], plan)
    for key, about in store.metadata.items():
        if is_of_whole(key):
            continue
        if about["node_type"] == "group":
            write_group(store.place, key, about["attributes"], store.metadata)
        else:
            write_document(store.place, key, about)
    texts = group_document(scenario.tables, {})
    write_group(store.place, TABLES, scenario.tables, {})
    attributes = {**store.attrs, "complete": False, **_texts(scenario)}
    attributes["files"] = {**store.files, **labels.files}
    return write_root(store.place, group_document(attributes, {**store.metadata, TABLES: texts}))


def _attributes(scenario: Scenario, plan: Plan, spec: Spec) -> dict[str, Any]:
    groups = {dim: named for dim, named in plan.dims.groups.items() if named}
    checked = dict.fromkeys(account.process for account in plan.accounts)
    return {
        "ndmc_format": FORMAT,
        "title": _title(scenario, plan),
        "scenario": scenario.name,
        "references": list(scenario.file.references),
        **identity(scenario, spec),
        "reconciled": plan.conditioning.method if plan.conditioning else "",
        "rounding_error": 2.0 ** -(1 + (spec.bits or np.finfo(spec.dtype).nmant)),
        "draws": spec.draws,
        "block": spec.block,
        "stages": _stages(spec),
        "complete": False,
        "started": now(),
        "versions": {p: version_of(p) for p in ("numpy", "numba", "scipy", "zarr", "dask")}
        | {"python": platform.python_version()},
        "machine": platform.machine(),
        "dims": {dim: list(labels) for dim, labels in plan.dims.labels.items()},
        **belonging.attributes(plan.dims),
        **({"groupings": plan.dims.groupings} if plan.dims.groupings else {}),
        "groups": {dim: {g: list(m) for g, m in named.items()} for dim, named in groups.items()},
        "headline": list(scenario.file.headline),
        "outputs": [{**o.__dict__, "dims": list(o.dims)} for o in plan.outputs],
        "watched": [[watch.name, watch.kind] for watch in plan.watches],
        "counted": [],
        "balance": {
            "checked": [*checked],
            "not_computed": [p for p in scenario.file.processes if p not in checked],
        },
        **_ensemble(scenario),
        **_texts(scenario),
    }


def _ensemble(scenario: Scenario) -> dict[str, Any]:
    """Return what a store says of the ensemble that it is of; nothing of a run."""
    ensemble = scenario.ensemble
    if ensemble is None:
        return {}
    parts = [one.parts for one in ensemble.members]
    found = {
        "entry": ensemble.entry,
        "parts": {name: [part[name] for part in parts] for name in parts[0]},
        "reference": [one.reference for one in ensemble.members],
        "goals": dict(ensemble.goals),
        "weights": dict(ensemble.weights),
    }
    return {ENSEMBLE: found}


def _stages(spec: Spec) -> dict[str, int]:
    return {"begin": spec.begin, "pilot": spec.pilot, "counted": spec.counted}


def files_but_percentiles(store: Store) -> dict[str, Seal]:
    """Return the seals of the small arrays that last: not those of percentiles and shares."""
    return {key: seal for key, seal in store.files.items() if not is_of_whole(key)}


def remove_percentiles(store: Store) -> Store:
    """Take what a run says of all draws out of the root if it is computed anew, then off the disk.

    These are percentiles, and the shares of a study.
    """
    metadata = {k: v for k, v in store.metadata.items() if not is_of_whole(k)}
    if len(metadata) < len(store.metadata):
        attributes = {**store.attrs, "complete": False, "files": files_but_percentiles(store)}
        store = write_root(store.place, group_document(attributes, metadata))
    _remove_groups(store)
    return store


def _remove_groups(store: Store) -> None:
    for group in (PERCENTILES, SENSITIVITY):
        store.place.remove(document_key(group))


#: What only a run with all its draws has.
_OF_WHOLE = ("until", "finished", "warnings")


def raise_draws(store: Store, spec: Spec) -> Store:
    """Make room for more draws; what is written stays.

    All of it is in the root's document, which is replaced in one step; the others follow.
    """
    metadata = {k: v for k, v in store.metadata.items() if not is_of_whole(k)}
    for output in store.outputs.values():
        about = metadata[array_of(output)]
        metadata[array_of(output)] = {**about, "shape": [spec.draws, *about["shape"][1:]]}
    attributes = {
        **{name: value for name, value in store.attrs.items() if name not in _OF_WHOLE},
        "files": files_but_percentiles(store),
        "draws": spec.draws,
        "stages": _stages(spec),
        "complete": False,
    }
    raised = write_root(store.place, group_document(attributes, metadata))
    _remove_groups(raised)
    write_shapes(raised)
    return raised


def write_shapes(store: Store) -> None:
    """Write the documents of the kept outputs as the root has them, where a raise was cut short."""
    for output in store.outputs.values():
        write_document(store.place, array_of(output), store.metadata[array_of(output)])
    if INPUTS in store.metadata:
        write_group(store.place, INPUTS, store.metadata[INPUTS]["attributes"], store.metadata)
