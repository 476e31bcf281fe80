"""W6: 40 processes in loops, 50 products, 100 years, with a stock; ndmc against plain NumPy.

The unknowns are what enters each process. All but the tenth send on what they do not send back;
the tenth holds a stock, and sends on what leaves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import loops
import numpy as np
from checks import assert_same
from measure import Contest, interleaved, timed
from workload import SEED, Workload, draws_first

import ndmc

PROCESSES, STOCK, SHAPE = 40, 10, 2.0
ASIDES = loops.asides()
SENT = np.bincount([one for one, _ in ASIDES], minlength=PROCESSES)
NAMES = (loops.OUTPUT, "held")
AT_ONCE = 4  # draws a call by hand: 7.4 ms a draw, one by one 9.4, 16 at once 8.4

PARAMETERS = ("given", "share", "life")

Results = tuple[np.ndarray, np.ndarray]
Solve = Callable[[np.ndarray, np.ndarray, np.ndarray], Results]
Form = tuple[Any, Any]


def survival(life: np.ndarray, years: int) -> np.ndarray:
    """Return what is left of a cohort in the middle of each year of age, [product, age, draw]."""
    ages = np.arange(years)[:, np.newaxis] + 0.5
    return np.exp(-((ages / life[:, np.newaxis]) ** SHAPE))


def solved(given: np.ndarray, share: np.ndarray, life: np.ndarray) -> Results:
    """Solve a matrix for each product, draw and year, one year after the other.

    Parameters are [product, year, draw], the lifetime [product, draw]; returns what leaves the last
    process, and the stock.
    """
    years = given.shape[1]
    left = survival(life, years)
    leaving = -np.diff(left, axis=1, prepend=1.0)
    stock, leaves, out = (np.zeros_like(given) for _ in range(3))
    matrix = np.zeros((len(given), given.shape[2], PROCESSES, PROCESSES))
    matrix[..., range(PROCESSES), range(PROCESSES)] = 1.0
    fed = np.zeros((*matrix.shape[:3], 1))
    rows, columns = np.arange(1, PROCESSES), np.arange(PROCESSES - 1)
    for year in range(years):
        part = share[:, year]
        matrix[..., rows, columns] = part[..., np.newaxis] * SENT[:-1] - 1.0
        matrix[..., STOCK + 1, STOCK] = -leaving[:, 0]
        for one, other in ASIDES:
            matrix[..., other, one] = -part
        fed[..., 0, 0], fed[..., STOCK + 1, 0] = given[:, year], leaves[:, year]
        entering = np.linalg.solve(matrix, fed)[..., 0]
        cohort = entering[..., STOCK][:, np.newaxis]
        stock[:, year:] += cohort * left[:, : years - year]
        leaves[:, year + 1 :] += cohort * leaving[:, 1 : years - year]
        out[:, year] = entering[..., -1] * (1.0 - SENT[-1] * part)
    return out, stock


def eliminated(given: np.ndarray, share: np.ndarray, life: np.ndarray) -> Results:
    """Solve the same by hand: process by process backwards, then the stock year by year.

    What enters a process is a multiple of what enters the one before, and of what leaves the stock.
    """
    years = given.shape[1]
    left = survival(life, years)
    leaving = -np.diff(left, axis=1, prepend=1.0)
    after = chain(share, range(STOCK + 1, PROCESSES), {}, (1.0, 0.0))
    before = chain(share, range(STOCK + 1), after, (0.0, given))
    (by_stock, entering), (last, _) = before[STOCK], after[PROCESSES - 1]
    stock, released, leaves = (np.zeros_like(given) for _ in range(3))
    for year in range(years):
        known = leaves[:, year] + leaving[:, 0] * entering[:, year]
        released[:, year] = known / (1.0 - leaving[:, 0] * by_stock[:, year])
        cohort = entering[:, year] + by_stock[:, year] * released[:, year]
        stock[:, year:] += cohort[:, np.newaxis] * left[:, : years - year]
        leaves[:, year + 1 :] += cohort[:, np.newaxis] * leaving[:, 1 : years - year]
    return last * released * (1.0 - SENT[-1] * share), stock


def chain(share: np.ndarray, span: range, later: dict[int, Form], source: Form) -> dict[int, Form]:
    """Return what enters each process of a span, whose first one is fed by a source.

    Each is a multiple of what leaves the stock, and what is added to that.
    """
    forms: dict[int, Form] = {}
    by, fixed = source
    for n, (onward, added) in sorted(links(share, span, later).items()):
        by, fixed = onward * by + added, onward * fixed
        forms[n] = by, fixed
    return forms


def links(share: np.ndarray, span: range, later: dict[int, Form]) -> dict[int, Form]:
    """Return what enters each process as multiples of what enters the one before and of the stock.

    From the last one backwards: what comes back to a process is then known in terms of itself.
    """
    found: dict[int, Form] = {}
    behind: dict[int, Form] = {}  # those that still send back, in terms of the process at hand
    for n in reversed(span):
        back = [behind[one] for one, other in ASIDES if other == n and one in behind]
        mixed = sum(by for _, by in back)
        mixed += sum(later[one][0] for one, other in ASIDES if other == n and one in later)
        kept = 1.0 / (1.0 - share * sum(own for own, _ in back)) if back else 1.0
        added = share * mixed * kept if isinstance(mixed, np.ndarray) else 0.0
        onward = kept * (1.0 - SENT[n - 1] * share) if n > span[0] else kept
        found[n] = onward, added
        sending = {one for one, other in ASIDES if other in span and other < n}
        behind = {
            one: (own * onward, by + own * added)
            for one, (own, by) in {**behind, n: (1.0, 0.0)}.items()
            if one in sending
        }
    return found


def check(work: Workload) -> None:
    """All three solve it alike."""
    plan = compiled(work)
    given, share, life, out, stock = ndmc.evaluate(plan, SEED, range(2)).values()
    for name, solve in (("matrices", solved), ("by hand", eliminated)):
        found = solve(given, share, life)
        for what, ours, theirs in zip(NAMES, (out, stock), found, strict=True):
            assert_same(draws_first(ours), draws_first(theirs), f"{what}, {name}")


def compiled(work: Workload, *more: str) -> ndmc.Plan:
    """Return the plan of the loop's two outputs and its inputs, or of some of these."""
    folder = work.folder / "varied"
    data = loops.large(closed=True, varied=True)
    scenario = ndmc.load(folder) if folder.exists() else loops.load(data, folder)
    return ndmc.compile_plan(scenario, more or (*PARAMETERS, *NAMES))


def contests(work: Workload) -> Iterator[Contest]:
    """Evaluate ndmc from draws to the two outputs, the others from drawn parameters."""
    draws = work.sizes.looped
    plan = compiled(work, *NAMES)
    ours = timed(partial(ndmc.evaluate, plan, SEED, range(draws), dtype=np.float32), draws, draws)
    rivals: tuple[tuple[str, Solve, int, str], ...] = (
        ("numpy.linalg.solve for each year", solved, work.sizes.looped_plain, ">= 10"),
        ("NumPy, eliminated by hand", eliminated, AT_ONCE, ""),
    )
    for name, solve, at_once, target in rivals:
        drawn = ndmc.evaluate(compiled(work, *PARAMETERS), SEED, range(at_once))
        total = max(at_once, work.sizes.looped // 32)
        theirs = timed(partial(solve, *drawn.values()), at_once, total)
        pairs = interleaved(ours, theirs, work.sizes.few)
        title = "W6 40 processes in loops, 50 products, 100 years"
        yield Contest(title, name, pairs, target)
