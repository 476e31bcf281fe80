"""Systems with loops, and the same cut open: what solving them costs."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np

import ndmc

SEED = 1
YEARS = 100
DRAWN = {"distribution": "truncated_normal", "cv": 0.1, "low": 0, "high": 1}
OUTPUT = "out"
OWN = ("product", "year")


def six_flows(*, closed: bool, years: int = YEARS) -> dict[str, Any]:
    """Return three processes in a row, the last of which sends a share back to the first.

    Cut open, a given flow is in place of the share.
    """
    shares = {name: {"unit": "1", "value": 0.2, **DRAWN} for name in ("a", "b", "c")}
    given = {"unit": "t/yr", "value": 100, "distribution": "normal", "cv": 0.05}
    back = {"share": "c"} if closed else {"value": "cut"}
    return {
        **_head("six_flows", years),
        "parameters": {"given": given, "cut": {**given, "value": 20}, **shares},
        "processes": ["p", "q", "r"],
        "flows": {
            "fed": {"from": "mine", "to": "p", "value": "given"},
            "back": {"from": "r", "to": "p", **back},
            "p_lost": {"from": "p", "to": "dump", "share": "a"},
            "p_q": {"from": "p", "to": "q"},
            "q_lost": {"from": "q", "to": "dump", "share": "b"},
            "q_r": {"from": "q", "to": "r"},
            OUTPUT: {"from": "r", "to": "market"},
        },
    }


def asides(*, closed: bool = True) -> list[tuple[int, int]]:
    """Return from which to which of the 40 processes shares are sent: back, or if open forward."""
    chance = random.Random(3)
    ends = [sorted(chance.sample(range(1, 40), 2), reverse=closed) for _ in range(19)]
    return [(one, other) for one, other in ends]


def large(*, closed: bool, products: int = 50, varied: bool = False) -> dict[str, Any]:
    """Return 40 processes in a row with a stock, and 19 shares sent from one to another.

    Cut open, all shares go forward. If ``varied``, products and years differ in what is fed and
    in the share, and products in their lifetime.
    """
    names = [f"p{n}" for n in range(40)]
    own = {"dims": ["product"]}
    flows = {"fed": {"from": "mine", "to": names[0], "value": "given", **own}}
    for n, name in enumerate(names):
        after = names[n + 1] if n + 1 < len(names) else "market"
        flows[f"on_{n}" if n + 1 < len(names) else OUTPUT] = {"from": name, "to": after, **own}
    for n, (one, other) in enumerate(asides(closed=closed)):
        ends = {"from": names[one], "to": names[other]}
        flows[f"aside_{n}"] = {**ends, "share": "share", **own}
    drawn = {"distribution": "normal", "cv": 0.05}
    by_year = {"dims": [*OWN], "errors": dict.fromkeys(OWN, "independent")} if varied else {}
    by_product = {**own, "errors": {"product": "independent"}} if varied else {}
    return {
        **_head("large", YEARS),
        "dims": {"product": [f"product_{n}" for n in range(products)]},
        "parameters": {
            "given": {"unit": "t/yr", "value": 100, **drawn, **by_year},
            "share": {"unit": "1", "value": 0.2, **DRAWN, **by_year},
            "life": {
                "unit": "yr",
                "value": 12,
                "distribution": "lognormal",
                "cv": 0.1,
                **by_product,
            },
        },
        "processes": names,
        "flows": flows,
        "stocks": {"held": {"process": names[10], "lifetime": "weibull(life, 2)", **own}},
        "keep": [OUTPUT],  # computed and balanced whole all the same
    }


def one_flow(name: str, *, products: int, years: int) -> dict[str, Any]:
    """Return one flow, all of whose values are drawn independently."""
    drawn = {"distribution": "lognormal", "cv": 0.2, "errors": dict.fromkeys(OWN, "independent")}
    dims = ["product", "year"]
    return {
        **_head("one_flow", years),
        "dims": {"product": [f"product_{n}" for n in range(products)]},
        "parameters": {"given": {"unit": "t/yr", "value": 100, "dims": dims, **drawn}},
        "processes": [],
        "flows": {name: {"from": "mine", "to": "market", "value": "given", "dims": ["product"]}},
    }


def _head(name: str, years: int) -> dict[str, Any]:
    return {"format": 1, "name": name, "unit": "t", "years": f"1901..{1900 + years}"}


def load(data: dict[str, Any], folder: Path) -> ndmc.Scenario:
    """Write a scenario to a new folder and load it."""
    folder.mkdir()
    (folder / "scenario.yaml").write_text(json.dumps(data, indent=1), encoding="utf-8")
    return ndmc.load(folder)


def dense(given: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Solve the six flows as a user would: a matrix for each draw and year, x = (I - B)^-1 e.

    Returns the output [year, draw]; the unknowns are what enters the three processes.
    """
    matrix = np.zeros((YEARS, len(a), 3, 3))
    matrix[..., :, :] = np.eye(3)
    matrix[..., 0, 2] = -c
    matrix[..., 1, 0] = a - 1
    matrix[..., 2, 1] = b - 1
    fed = np.zeros((YEARS, len(a), 3))
    fed[..., 0] = given
    entering = np.linalg.solve(matrix, fed[..., np.newaxis])[..., 0]
    return entering[..., 2] * (1 - c)
