"""How many draws are computed together: what the caches of a core, and its memory, hold."""

from __future__ import annotations

import functools
from pathlib import Path

from ndmc.dims import Dims
from ndmc.engine.row_code import is_fed
from ndmc.plan.steps import Before, Cohort, March, Plan, Profile, Step

__all__ = ["TILE", "held_beside", "tile_width"]

#: The most draws computed together, and the fewest: fewer pay more Python per draw.
TILE, _LEAST = 256, 64

#: A tile takes at most so many bytes, and such a share of the memory, as long as it holds this many
#: draws: kernels compute them in lanes. Stocks of 100,000 values: 1.02 ms a draw with 32 and 64,
#: 1.22 with 16; with lognormal lifetimes over the year 43 ms with 16, 48 with 32, 116 with 64.
_BYTES, _SHARE, _LANES = 2**27, 16, 16


def tile_width(plan: Plan) -> int:
    """Return the number of draws computed together: fewer where a draw is large against the cache.

    A draw takes about twice the rows it has values. All of china_nd (3,697 values; 512 KiB of
    level-2 cache): 48 us a draw with 64 and 128, 66 with 256, 99 with 512 draws, in a busy
    hour; in-use stock alone (1,785): 14.4 with 64, 13.1 with 128, 13.7 with 256, 16.9 with 512.
    A study has all rows twice, and whole leaves of squares in a tile. Members of an ensemble share
    rows: twelve for strategic metals took 326 to 337 us a draw with 64 and 128, 373 with 32.
    """
    sets, least = (2, _LEAST) if plan.study else (1, _LANES)
    width = TILE
    while width > _LEAST and sets * plan.held * width > _level_2_cache():
        width //= 2
    times = sets * (1.5 if plan.gathered else 2)
    each = 8 * (times * plan.held + held_beside(plan))
    most = min(_BYTES, plan.memory.most // _SHARE)
    while width > least and width * each > most:
        width //= 2
    return width


def held_beside(plan: Plan) -> int:
    """Return about how many values of a draw are held beside its rows, while a step is computed."""
    drawn = frozenset(name for step in plan.steps for name in step.targets)
    drawn |= {sampler.name for sampler in plan.samplers}
    steps = (*plan.fixed, *plan.steps)
    return max((_beside(step, plan.dims, drawn) for step in steps), default=0)


def _beside(step: Step, dims: Dims, drawn: frozenset[str]) -> int:
    match step:
        case March(members=members):
            cohorts = (member for member in members if isinstance(member, Cohort))
            return max((_of_cohorts(cohort, dims) for cohort in cohorts), default=0)
        case Before(cohort=cohort):
            return _of_cohorts(cohort, dims)
        case Profile(cohort=cohort):
            return dims.size(step.dims) + _of_cohorts(cohort, dims)
        case Cohort() if not (is_fed(step) and any(e.names & drawn for e in step.expressions)):
            return _of_cohorts(step, dims)
    return 0


def _of_cohorts(step: Cohort, dims: Dims) -> int:
    """Return what the shares of all cohorts take by age and fate, several times over.

    Of 27 kinds of stocks the most that was held is 0.6 to 1.2 times as much.
    """
    ages = len(dims.years) + (step.initial.ages if step.initial else 0)
    yearly = step.lifetime.varies or step.lifetime.factor is not None or step.level is not None
    times = 3 * (2 + len(step.removals)) + 1 + 3 * yearly
    return times * dims.size(step.dims[:-1]) * ages


@functools.cache
def _level_2_cache() -> int:
    """Return the bytes of a core's; 1 MiB where the system does not say."""
    try:
        text = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text(encoding="ascii")
        return 1024 * int(text.strip().removesuffix("K"))
    except (OSError, ValueError):
        return 2**20
