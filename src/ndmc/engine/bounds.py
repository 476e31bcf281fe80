"""The least that each stage of a run can cost: what it must move and compute for a draw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ndmc.engine.instructions import Arithmetic
from ndmc.engine.row_code import Fed, RowCode
from ndmc_kernels.peaks import Peaks

__all__ = ["Need", "needs", "shares_of_bound"]

#: A row operation reads two values and writes one.
_OPERATION = 24


@dataclass(frozen=True)
class Need:
    """Bytes to move, multiply-adds and exponentials to compute for one draw."""

    size: float = 0.0
    multiply_adds: float = 0.0
    exponentials: float = 0.0

    def __add__(self, other: Need) -> Need:
        return Need(
            self.size + other.size,
            self.multiply_adds + other.multiply_adds,
            self.exponentials + other.exponentials,
        )


def needs(code: RowCode, cells: int, itemsize: int) -> dict[str, Need]:
    """Return what the stages of a draw need, where that is known.

    Parameters
    ----------
    code
        The row code of the plan.
    cells
        Values of a draw of which there are percentiles.
    itemsize
        Bytes of each.

    Examples
    --------
    >>> from ndmc.model import compile_plan
    >>> from ndmc.engine.row_code import compile_rows
    >>> from ndmc.scenario.load import load
    >>> code = compile_rows(compile_plan(load("china_nd"), ["in_use"]))
    >>> round(needs(code, 357, 4)["stocks"].exponentials)
    714
    """
    found = {
        "sample": _sampling(code),
        "flows": _arithmetic(code.each),
        "stocks": sum((_stock(part) for part in code.each if isinstance(part, Fed)), Need()),
        "results": Need((8.0 + itemsize) * cells),
        "balances": _arithmetic(code.audit) + Need(8.0 * sum(p.size for p in code.nets)),
        "percentiles": Need(float(itemsize * cells)),
    }
    return {stage: need for stage, need in found.items() if need != Need()}


def _sampling(code: RowCode) -> Need:
    """Count a score as an exponential, which its quantile costs at least."""
    how = code.sampling
    scores, uniforms = len(how.normals[0]), len(how.uniforms[0])
    cells = sum(len(group.target_of) for group in how.groups)
    return Need(8.0 * (scores + uniforms + 2 * cells), 0.0, scores) + _arithmetic(how.fields)


def _arithmetic(parts: Iterable[object]) -> Need:
    operations = sum(
        int(part.instructions[:, 1].sum()) for part in parts if isinstance(part, Arithmetic)
    )
    return Need(_OPERATION * operations, operations)


def _stock(part: Fed) -> Need:
    """Two exponentials for each age, and a multiply-add for each cohort and year."""
    parts = 1 + (part.release is not None)
    series = part.cells * part.years
    moved = 8.0 * (series * (1 + parts) + 2 * part.cells)
    return Need(moved, parts * series * (part.years + 1) / 2, 2.0 * series)


def shares_of_bound(
    seconds: dict[str, float], draws: int, found: dict[str, Need], peaks: Peaks
) -> dict[str, float]:
    """Return how much of the time of each stage the machine could not have done without.

    Examples
    --------
    >>> peaks = Peaks(8e9, 4e9, 1e9)
    >>> shares_of_bound({"sample": 2.0}, 1000, {"sample": Need(exponentials=1e6)}, peaks)
    {'sample': 0.5}
    """
    return {
        stage: draws * peaks.seconds(need.size, need.multiply_adds, need.exponentials) / spent
        for stage, need in found.items()
        if (spent := seconds.get(stage, 0.0)) > 0.0
    }
