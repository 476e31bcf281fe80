"""Attributes that every file for labelled arrays can hold, netCDF of any version among them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from numbers import Real
from typing import Any

__all__ = ["portable"]


def portable(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes of which text, numbers and lists of numbers stay as they are.

    True and false become 1 and 0, which are as true; all else becomes JSON text.

    Examples
    --------
    >>> portable({"draws": 300, "changes": {}, "complete": True, "until": None})
    {'draws': 300, 'changes': '{}', 'complete': 1, 'until': 'null'}
    >>> portable({"quantiles": [0.5, 0.975], "keep": ["in_use"]})
    {'quantiles': [0.5, 0.975], 'keep': '["in_use"]'}
    """
    return {name: _portable(value) for name, value in attributes.items()}


def _portable(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str | Real) or _are_numbers(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _are_numbers(value: Any) -> bool:
    """Whether a value is a list of numbers; of an empty one nobody knows what it is a list of."""
    listed = isinstance(value, list) and value != []
    return listed and all(isinstance(one, Real) and not isinstance(one, bool) for one in value)
