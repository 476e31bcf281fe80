"""Attributes of a root as a run has them, where its document has JSON text for them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ndmc.store.spec import Identity

__all__ = ["structured"]

#: What is neither text nor number nor a list of numbers, or need not be one.
_STRUCTURED = (
    *(
        "references",
        "extended_texts",
        "changes",
        "keep",
        "percentiles",
        "exceed",
        "stages",
        "versions",
        "dims",
    ),
    *(
        "of",
        "belongs",
        "groups",
        "groupings",
        "ensemble",
        "groups_of_inputs",
        "headline",
        "outputs",
        "watched",
        "counted",
        "warnings",
        "until",
        "balance",
        "files",
    ),
)

#: What is true or false.
_FLAGS = ("complete", *(one.name for one in fields(Identity) if isinstance(one.default, bool)))


def structured(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes with what `ndmc.portable` made text of; older stores have it as it is.

    What is no JSON stays what it is, and is refused for what it is.

    Examples
    --------
    >>> structured({"complete": 0, "dims": '{"year": ["2001"]}', "changes": {}})
    {'complete': False, 'dims': {'year': ['2001']}, 'changes': {}}
    """
    found = dict(attributes)
    for name in _FLAGS:
        if found.get(name) in (0, 1):
            found[name] = bool(found[name])
    for name in _STRUCTURED:
        if isinstance(found.get(name), str):
            with contextlib.suppress(ValueError, RecursionError):
                found[name] = json.loads(found[name])
    return found
