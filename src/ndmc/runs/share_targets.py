"""How well the shares of a study are known, and when that is well enough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ndmc.errors import RunError
from ndmc.runs.block import Work
from ndmc.runs.merging import measured_of, moments_of
from ndmc.runs.sharing import controlled, shares_in
from ndmc.store.merged import Merged, Rows
from ndmc.store.ranks import CONFIDENCE
from ndmc.store.variables import TOTAL, share_of
from ndmc_kernels.squares import BATCHES


def half_width(
    work: Work, merged: Merged, rows: Sequence[Rows], workers: int, confidence: float
) -> float:
    """Return the largest half-width of a total share, in any year of a headline output.

    Of an output by labels it is that of its total, if it has one.

    Raises
    ------
    RunError
        If none has shares, which more draws do not change.
    """
    plan, spec, wide = work.plan, work.spec, list[float]()
    measured = measured_of(work)
    by = controlled(measured, plan, spec, workers)
    titles = _titles(work)
    for one, found in shares_in(measured, by, plan, spec, moments_of(work, merged, rows)):
        if one.title in titles and not one.limits:
            low, high = (found[share_of("total", end)] for end in ("low", "high"))
            wide += ((high - low)[np.isfinite(high - low)] / 2).tolist()
    if not wide:
        message = f"nothing of {', '.join(sorted(titles))} has shares that could be known better"
        raise RunError(f"{message}; leave --tolerance out, or choose other outputs by -v")
    return max(wide) * _wider(confidence)


def _titles(work: Work) -> set[str]:
    series = {one.title for one in work.layout[0]}
    names = [name for name in work.store.attrs["headline"] if name in series]
    names = names or [*work.spec.percentiles[:1]]
    return {TOTAL.name(name) if TOTAL.name(name) in series else name for name in names}


def _wider(confidence: float) -> float:
    """Return how many times as wide limits are that hold more of the cases than others."""
    from scipy.special import stdtrit

    wanted, usual = (stdtrit(BATCHES - 1, (1 + level) / 2) for level in (confidence, CONFIDENCE))
    return float(wanted / usual)
