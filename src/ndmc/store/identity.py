"""Whether a store is of the run that is asked for: an `Identity` as attributes of a store."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ndmc.scenario.scenario import Scenario
from ndmc.store.spec import Identity, Spec


def _listed(value: Any) -> Any:
    """Return a value as JSON gives it back."""
    return [_listed(one) for one in value] if isinstance(value, tuple) else value


def _fixed(value: Any) -> Any:
    """Return what JSON gives back as it was."""
    return tuple(_fixed(one) for one in value) if isinstance(value, list) else value


_DEFAULTS = {one.name: _listed(one.default) for one in fields(Identity)}

#: There was a choice once: a store of another precision is refused.
_FIXED = {"compute": "float64"}

#: What a study has besides.
GROUPS = "groups_of_inputs"

#: What older stores mean that say nothing of it.
BEFORE = _DEFAULTS | _FIXED

#: What makes two runs the same run, but for the number of draws, which can be raised.
IDENTITY = ("ndmc", "variant", "changes", "scenario_hash", *BEFORE, GROUPS)


def version_of(package: str) -> str:
    return importlib.metadata.version(package)


def identity(scenario: Scenario, spec: Spec) -> dict[str, Any]:
    """Return what makes two runs the same run."""
    return {
        "ndmc": version_of("ndmc"),
        "scenario_hash": scenario.hash,
        "variant": scenario.variant,
        "changes": dict(scenario.changes),
        **{name: _listed(getattr(spec, name)) for name in _DEFAULTS},
        **_FIXED,
        **({} if spec.groups is None else {GROUPS: _listed(spec.groups)}),
    }


def spec_of(attributes: Mapping[str, Any]) -> Spec:
    """Return what a run computes from the attributes of its store."""
    a = attributes
    options = {name: _fixed(a.get(name, before)) for name, before in _DEFAULTS.items()}
    groups = _fixed(a.get(GROUPS))
    return Spec(draws=a["draws"], block=a["block"], groups=groups, **a["stages"], **options)
