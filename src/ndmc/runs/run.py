"""Run a scenario: stages of blocks, each computed once, and percentiles of all draws at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ndmc.engine.audit import Audit
from ndmc.engine.cautions import cautions
from ndmc.engine.evaluation import evaluate
from ndmc.engine.refusals import check_central, check_draws
from ndmc.engine.tile_width import tile_width
from ndmc.errors import InputError, RunError, warn
from ndmc.plan.steps import Plan
from ndmc.runs.asked import Asked, read_asked, workers_of
from ndmc.runs.block import Work
from ndmc.runs.ending import one_message
from ndmc.runs.executors import Executor, Task, Threads
from ndmc.runs.fitting import Fit, staged
from ndmc.runs.forecast import Estimate, check_disk, estimate
from ndmc.runs.listener import Listener
from ndmc.runs.merging import enter, percentiles_of, tidy, write_percentiles
from ndmc.runs.options import Options, asked_by
from ndmc.runs.replay import check_plan, replayed
from ndmc.runs.tails import check_tails
from ndmc.runs.targets import Target, achieved, confidence, rows_wanted, told
from ndmc.scenario.scenario import Scenario
from ndmc.store.address import place_of
from ndmc.store.creation import check_same, create, existing, raise_draws
from ndmc.store.dataset import open_dataset
from ndmc.store.integrity import damage_of, mend
from ndmc.store.merged import Merged, Rows
from ndmc.store.opening import open_store
from ndmc.store.place import Place
from ndmc.store.removal import removable, remove_store
from ndmc.store.series import kernels_of
from ndmc.store.spec import Spec, blocks, cut, stages
from ndmc.store.store import Store
from ndmc_kernels.beside import compile_beside

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["execute", "finish", "plan_only", "run"]

#: So much is warned of after a run.
_SAID = 20


@asked_by(Options)
def run(options: Options) -> xr.Dataset:
    """Run a scenario and return its kept draws, lazily.

    Parameters
    ----------
    {options}

    Returns
    -------
    xarray.Dataset
        The kept outputs with dims (draw, year, ...). Percentiles: `ndmc.percentiles`.

    Raises
    ------
    InputError
        If something asked for is wrong; nothing is written.
    RunError
        If the run cannot be finished; the same call goes on where it stopped.

    Examples
    --------
    >>> import ndmc, tempfile
    >>> out = tempfile.mkdtemp() + "/run.zarr"
    >>> draws = ndmc.run("china_nd", 100, seed=1, out=out, keep=["in_use"])
    >>> draws.in_use.dims
    ('draw', 'year', 'product')
    """
    return open_dataset(execute(options).path)


def execute(
    options: Options, listener: Listener | None = None, executor: Executor | None = None
) -> Store:
    """Make a run and return its store, with percentiles once all draws are there.

    An executor that is given computes the blocks, whatever the options say.
    """
    asked, place = read_asked(options), place_of(options.out)
    with one_message(place.url):
        known, replaced = _there(place, options)
        asked = _going_on(asked, known)
    with contextlib.nullcontext(executor) if executor else _executor(asked) as chosen:
        with one_message(place.url):
            store = _execute(asked, place, known, replaced, chosen, listener or Listener())
        return _warned_of(store)


def _going_on(asked: Asked, known: Store | None) -> Asked:
    """Return what is asked for as it is computed in a store that there is, if there is one."""
    if known is not None:
        asked = asked.within(known)
        check_same(known, asked.scenario, asked.spec)
        check_plan(known, asked.plan)
    return asked.fitting(known) if asked.computes(known) else asked


def _warned_of(store: Store) -> Store:
    """Return a store after all has been said that its draws were counted of."""
    found = store.warnings if store.complete else []
    for text in found[:_SAID]:
        warn(text)
    if more := found[_SAID:]:
        warn(f"{len(more):,} more warnings stand in the attribute 'warnings' of {store.path!r}")
    return store


@contextlib.contextmanager
def _executor(asked: Asked) -> Iterator[Executor]:
    """Yield what computes the blocks: threads, if nothing else is asked for."""
    options = asked.options
    if options.client is None and not (options.scheduler or options.processes):
        yield Threads(asked.fit.workers)
        return
    from ndmc.runs.cluster import Cluster
    from ndmc.runs.connections import connect

    with contextlib.ExitStack() as stack:
        client = options.client
        if client is None:
            client = stack.enter_context(connect(options.scheduler, asked.fit.workers))
        yield Cluster(client)


def _execute(
    asked: Asked,
    place: Place,
    known: Store | None,
    replaced: Store | None,
    executor: Executor,
    listener: Listener,
) -> Store:
    options, draws = asked.options, asked.spec.draws
    if asked.computes(known):
        _try_first_draws(asked.scenario, asked.plan, asked.spec)
        check_tails(asked.plan, asked.spec)
        found = _estimate(asked, place, known, replaced)
        check_disk(found)
        listener.planned(found)
    if replaced is not None:
        remove_store(replaced)
    store = create(place, asked.scenario, asked.plan, asked.first)
    if _is_done(store, asked):
        _sweep_last(place)
        return store
    with place.lock("run", shared=options.part is not None):
        with place.lock("finish", wait=True):  # a part may repair beside others
            store = open_store(place)
            if known is not None and (options.repair or options.part is None):
                store = _mended(store, asked)
        under_way = _Run(store, asked, executor, listener)
        store = under_way.until() if asked.looked else under_way.to(draws)
    if options.part is not None:
        _sweep_last(place)
    return store


def _there(place: Place, options: Options) -> tuple[Store | None, Store | None]:
    """Return the store that is gone on with, and the one that is replaced."""
    return (None, removable(place)) if options.overwrite else (existing(place), None)


def _estimate(asked: Asked, place: Place, known: Store | None, replaced: Store | None) -> Estimate:
    spec, done, fit = asked.going_on(known), _done(asked, known), asked.fit
    freed = sum(place.sizes().values()) if replaced else 0
    return estimate(asked.plan, spec, place, fit.workers, fit.piece, done=done, freed=freed)


def _sweep_last(place: Place) -> None:
    """Remove what killed parts have left, if the run is complete and no other part is there.

    The store is looked at again: who completes it is not always the last to leave. What is left
    harms nobody, so that it may stay on a disk that cannot be written.
    """
    if open_store(place).complete and not place.swept():
        with contextlib.suppress(OSError), place.lock("run"):
            place.sweep()


def _done(asked: Asked, known: Store | None) -> int:
    """Return how many draws are there already."""
    if known is None:
        return 0
    done = sum(Work(asked.plan, known).done(block) for block in blocks(known.spec))
    return min(done, asked.going_on(known).draws)


def _mended(store: Store, asked: Asked) -> Store:
    """Take out of a store what is damaged, so that it is computed again, and say so."""
    damaged = damage_of(store, contents=store.place.near or asked.options.repair)
    if not damaged:
        return store
    first = f"{damaged[0].key} {damaged[0].reason}"
    count = f"{len(damaged)} damaged or missing, computed again ({first})"
    warn(count, store.path)
    return mend(store, asked.scenario, asked.plan, damaged)


def _is_done(store: Store, asked: Asked) -> bool:
    """Whether a store holds all that is asked for already."""
    found, draws = store.spec.draws, asked.spec.draws
    if not asked.looked and found > draws:
        message = f"the store holds {found:,} draws, {draws:,} asked for"
        remedy = "ask for as many or more, choose another --out, or replace it by --overwrite"
        raise InputError(f"{message}; {remedy}", "-n")
    if not store.complete or found != draws or asked.looked or asked.options.repair:
        return False
    store.check_files()
    return True


def plan_only(options: Options) -> Estimate:
    """Return what a run would take, and compute nothing else."""
    place, asked = place_of(options.out), read_asked(options)
    known, replaced = _there(place, options)
    return _estimate(asked.fitting(known), place, known, replaced)


class _Run:
    """A run under way: the work, who does it, and how far it has come."""

    def __init__(self, store: Store, asked: Asked, executor: Executor, listener: Listener) -> None:
        self.work, self.asked = Work(asked.plan, store, listener, asked.fit.piece), asked
        self.executor, self.listener = executor, listener
        self.done = 0

    @property
    def spec(self) -> Spec:
        """What is run."""
        return self.work.spec

    def to(self, draws: int) -> Store:
        """Compute all draws up to a number, and write their percentiles once they are there."""
        self._raise(draws)
        if self._blocks():
            with self.work.place.lock("finish", wait=True):
                newest = open_store(self.work.place)
                if newest.complete or newest.spec.draws > self.spec.draws:
                    return newest
                self.listener.start()
                found = percentiles_of(self.work, self._run)
                store = write_percentiles(self.work, *found, self.asked.fit.workers)
                self.listener.lap("merge")
                return store
        return self.work.store

    def until(self) -> Store:
        """Double the draws until every target is reached, or no more are allowed."""
        looked = self.asked.looked
        level = confidence(len(looked))
        left = [draws for draws in looked if draws >= self.spec.draws] or [self.spec.draws]
        for draws in left:
            self._raise(draws)
            self._blocks()
            merged, rows = percentiles_of(self.work, self._run, level)
            reached = [self._reached(target, rows) for target in self.asked.targets]
            reached += self._shares_reached(merged, rows, level)
            if all(found["met"] for found in reached) or draws == left[-1]:
                break
        merged, rows = percentiles_of(self.work, self._run)
        looks = {"looks": len(looked), "confidence": level, "draws": draws}
        targets = [{**found, **looks} for found in reached]
        return write_percentiles(self.work, merged, rows, self.asked.fit.workers, until=targets)

    def _reached(self, target: Target, rows: Sequence[Any]) -> dict[str, Any]:
        sheet, wanted = rows_wanted(target, self.work.layout[0], self.work.plan.dims)
        half = achieved(target, rows[sheet], wanted, self.spec.quantiles)
        return told(target.text, target.tolerance, half)

    def _shares_reached(
        self, merged: Merged, rows: Sequence[Rows], level: float
    ) -> Iterator[dict[str, Any]]:
        """Yield what became of the tolerance of a study, if it has one."""
        tolerance = self.asked.options.tolerance
        if tolerance is not None:
            from ndmc.runs.share_targets import half_width  # imports SciPy

            half = half_width(self.work, merged, rows, self.asked.fit.workers, level)
            text = f"total shares of the headline within {100 * tolerance:g} %"
            yield told(text, tolerance, half)

    def _raise(self, draws: int) -> None:
        """Make room for more draws, if there is not enough yet."""
        if draws <= self.spec.draws:
            return
        with self.work.place.lock("finish", wait=True):
            store = open_store(self.work.place)  # another part may have been quicker
            before = store.spec.draws
            if draws > before:
                spec = replace(store.spec, draws=draws)
                sheets, fit = self.work.layout[1], self.asked.fit
                spec = staged(self.work.plan, spec, sheets, fit.memory, fit.workers, before)
                store = raise_draws(store, spec)
            self.work = replace(self.work, store=store)

    def _blocks(self) -> bool:
        """Compute the blocks of every stage; return whether all are there."""
        self.done = sum(self.work.done(block) for block in blocks(self.spec))
        self._report(0)
        if self.asked.options.part is None:
            self.work.place.sweep()
        tidy(self.work)
        newest = self.work.store.stage
        for stage in stages(self.spec):
            self.listener.start()
            if stage.start >= newest:
                enter(self.work, stage)
            self.listener.lap("merge")
            waiting = [b for b in cut(stage, self.spec) if self.work.done(b) < len(b)]
            # What is missing of merged stages is repaired: nobody needs its digests any more.
            under = max(stage.start, newest)
            self._run([Task(block, under) for block in self._own(stage, waiting)])
        return not self.work.store.missing()

    def _own(self, stage: range, waiting: Sequence[range]) -> Sequence[range]:
        """Return the blocks a part computes: its share of the last stage, also what it has lost.

        Of earlier stages it does what nobody has done yet, beginning at a place of its own, so that
        no part waits for another.
        """
        if self.asked.options.part is None:
            return waiting
        part, parts = self.asked.options.part
        if stage.stop < self.spec.draws:
            turn = len(waiting) * (part - 1) // parts
            return [*waiting[turn:], *waiting[:turn]]
        return cut(stage, self.spec)[part - 1 :: parts]

    def _run(self, tasks: Sequence[Task]) -> None:
        self.executor.run(self.work, tasks, self._report)

    def _report(self, draws: int) -> None:
        self.done += draws
        self.listener.done(min(self.done, self.spec.draws), self.spec.draws)


def finish(out: str | Path, workers: int | None = None, listener: Listener | None = None) -> Store:
    """Merge the percentiles of a run whose blocks are all there, from its store alone.

    Raises
    ------
    RunError
        If blocks are missing.
    """
    scenario, work = replayed(out)
    store, spec = work.store, work.spec
    missing = store.missing()
    if missing:
        count = sum(len(block) - work.done(block) for block in missing)
        raise RunError(
            f"{count:,} of {spec.draws:,} draws are still missing, the first of them in draws "
            f"{missing[0].start:,} to {missing[0].stop - 1:,}; run the parts that were not "
            "finished again"
        )
    if store.complete:
        return _warned_of(store)
    options = Options(scenario, spec.draws, out=out, workers=workers)
    fit = Fit(workers_of(options), work.piece, 0.0, 0)
    asked = Asked(options, scenario, work.plan, spec, fit)
    with one_message(store.path):
        with store.place.lock("run", shared=True):
            under_way = _Run(store, asked, Threads(fit.workers), listener or Listener())
            store = under_way.to(spec.draws)
        _sweep_last(store.place)
        return store


def _try_first_draws(scenario: Scenario, plan: Plan, spec: Spec) -> None:
    """Compute a few draws before anything is written: most models that fail, fail in all draws.

    It also compiles the kernels once, not in every thread, and those it does not call beside it.
    """
    compile_beside(kernels_of(plan, spec))
    for caution in cautions(scenario, plan, check_central(plan)):
        warn(*caution)
    draws = range(min(spec.draws, tile_width(plan)))
    audit = Audit(plan)
    results = evaluate(plan, spec.seed, draws, dtype=spec.dtype, audit=audit)
    check_draws(plan, audit, results, draws)
