"""Run a scenario: stages of blocks, each computed once, and percentiles of all draws at the end."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ndmc.audit import LIMITS, Audit
from ndmc.convergence import Target, achieved, confidence, looks, parse_target, rows_wanted
from ndmc.dataset import open_dataset
from ndmc.digest import Series, Sheet
from ndmc.errors import InputError, RunError, nearest
from ndmc.evaluation import evaluate, evaluate_central
from ndmc.integrity import forget
from ndmc.limits import MEMORY, Estimate, check, estimate, memory_of
from ndmc.place import Place, place_of
from ndmc.quantiles import DEFAULT_QUANTILES
from ndmc.replay import plan_of, work_of
from ndmc.scenario import Scenario, load
from ndmc.scheduling import Executor, Task, Threads
from ndmc.stages import GRAIN, MOST, Spec, blocks, cut, expected, how_many, stages
from ndmc.steps import Plan
from ndmc.stopwatch import SILENT, Stopwatch
from ndmc.store import Store, check_same, create, existing, open_store, raise_draws, restore
from ndmc.streaming import enter, percentiles_of, tidy, write_percentiles
from ndmc.tile_width import tile_width
from ndmc.units import UnitError, parse_amount
from ndmc.work import FATAL, StoppedError, Work, check_draws, kernels_of, series_of
from ndmc_kernels.beside import compile_beside

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Options", "check_central", "execute", "finish", "plan_blocks", "plan_only", "run"]

_BLOCK_BYTES = 32 * 2**20
_MOST_BLOCK = 2**13
_MOST_BLOCKS = 10**6
#: All draws of the first stage are kept in digests.
_BEGIN_BYTES = 160 * 2**20
_MOST_BEGIN = 2**13
#: A run in parts has one long last stage, which parts need not wait for each other in; what comes
#: before is a share of it so large.
_PILOT_SHARE = 32

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Options:
    """How a run is made: see `run`."""

    keep: Iterable[str] | None = None
    percentiles: Iterable[str] | None = None
    quantiles: Sequence[float] = DEFAULT_QUANTILES
    exceed: Sequence[tuple[str, float | str]] = ()
    until: Sequence[str] = ()
    workers: int | None = None
    block: int | None = None
    dtype: str = "float32"
    compute: str = "float64"
    bits: int = 0
    memory: int = MEMORY
    part: tuple[int, int] | None = None
    repair: bool = False
    watch: Stopwatch = SILENT


def plan_blocks(draws: int, cells: int, itemsize: int, workers: int) -> int:
    """Return how many draws a block should have whose draws are stored.

    A block is what one task computes, holds and writes: about 32 MiB, or less where many workers
    share the draws; a power of two, so that blocks fit the stages of a run.

    Examples
    --------
    >>> plan_blocks(1_000_000, 357, 4, 2)
    8192
    >>> plan_blocks(1000, 357, 4, 2)
    256
    """
    fitting = _BLOCK_BYTES // max(cells * itemsize, 1)
    share = draws // workers
    return _power_of_two(max(min(fitting, share, _MOST_BLOCK), GRAIN))


def _power_of_two(number: int) -> int:
    return 1 << (number.bit_length() - 1)


def run(
    scenario: Scenario | str | Path,
    draws: int,
    *,
    seed: int,
    out: str | Path,
    keep: Iterable[str] | None = None,
    percentiles: Iterable[str] | None = None,
    quantiles: Sequence[float] = DEFAULT_QUANTILES,
    exceed: Sequence[tuple[str, float | str]] = (),
    until: Sequence[str] = (),
    workers: int | None = None,
    block: int | None = None,
    dtype: str = "float32",
    compute: str = "float64",
    bits: int = 0,
    memory: int = MEMORY,
    part: tuple[int, int] | None = None,
    client: Any = None,
    repair: bool = False,
    variant: str = "",
    changes: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Run a scenario and return its kept draws, lazily.

    Parameters
    ----------
    scenario
        A loaded scenario, or what `load` takes.
    draws
        Number of draws. A later call may ask for more: the run goes on.
    seed
        From 0 to 2**64 - 1; the same seed gives the same draws, bit for bit.
    out
        Path or URL of the store, which must not exist unless it holds this same run.
    keep
        Outputs and parameters whose draws are stored; what the scenario says if None,
        ``["none"]`` for none.
    percentiles
        Outputs whose percentiles are computed, kept or not; all outputs if None, ``["kept"]`` for
        those that are stored.
    quantiles
        Shares from 0 to 1.
    exceed
        Pairs of an output and a limit, a number in its unit or a text such as ``"100 kt"``: the
        share of draws above it is computed.
    until
        Targets such as ``"in_use@2021 p97.5 within 0.5 %"``: the run ends when all are reached,
        at the latest after ``draws``.
    workers
        Threads; the processor's cores if None.
    block
        Draws per block, rounded up to a power of two; chosen by size if None.
    dtype
        Precision in which draws are stored and ranked, float32 or float64.
    compute
        Precision of the computation, float64 or float32; see `evaluate`.
    bits
        Bits of the mantissa that results are rounded to, which then compress better: 10 bits keep
        a relative error of 2**-11. All bits if 0.
    memory
        Bytes for blocks and digests. Where digests of one pass would hold more, two are made.
    part
        ``(3, 16)`` computes the third of 16 parts; whoever completes the run merges.
    client
        A `distributed.Client` whose workers compute, instead of threads.
    repair
        Compute anew the blocks that are damaged.
    variant, changes
        As in `load`; only where ``scenario`` is not loaded yet.

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
    if not isinstance(scenario, Scenario):
        scenario = load(scenario, variant=variant, changes=changes)
    elif variant or changes:
        raise InputError("variant and changes belong to load() when the scenario is loaded already")
    options = Options(
        keep=keep,
        percentiles=percentiles,
        quantiles=[float(quantile) for quantile in quantiles],
        exceed=[exceed] if len(exceed) and isinstance(exceed[0], str) else exceed,
        until=[until] if isinstance(until, str) else until,
        workers=workers,
        block=block,
        dtype=dtype,
        compute=compute,
        bits=bits,
        memory=memory,
        part=part,
        repair=repair,
    )
    executor = None
    if client is not None:
        from ndmc.scheduling import Cluster

        executor = Cluster(client)
    store = execute(scenario, draws, seed=seed, out=out, options=options, executor=executor)
    return open_dataset(store.path)


def execute(
    scenario: Scenario,
    draws: int,
    *,
    seed: int,
    out: str | Path,
    options: Options,
    executor: Executor | None = None,
    progress: Progress | None = None,
    planned: Callable[[Estimate], None] | None = None,
) -> Store:
    """Run a loaded scenario and return its store, with percentiles once all draws are there.

    Parameters are those of `run`; ``progress`` is called with the draws done and the draws asked
    for, from the threads that do the work, ``planned`` with what the run will take.
    """
    asked = _asked(scenario, draws, seed, options)
    place = place_of(out)
    with _one_message(place.url):
        known = existing(place)
        if known is not None:
            asked = asked.within(known)
            check_same(known, scenario, asked.spec)
        if known is None or not known.complete or known.spec.draws < draws:
            _try_first_draws(asked.plan, asked.spec)
            found = _estimate(asked, place, known)
            check(found, options.memory)
            if planned is not None:
                planned(found)
        store = create(place, scenario, asked.plan, asked.first)
        if _is_done(store, asked, options):
            return store
        with place.lock("run", shared=options.part is not None):
            store = open_store(place)
            if options.repair:
                restore(store, scenario, asked.plan)
                store = forget(store)
            under_way = _Run(store, asked, executor or Threads(asked.workers), options, progress)
            store = under_way.until() if asked.targets else under_way.to(draws)
        if options.part is not None and store.complete:
            with contextlib.suppress(BlockingIOError), place.lock("run"):
                place.sweep()  # what killed parts have left, unless another part is still there
        return store


@dataclass(frozen=True)
class _Asked:
    """What is asked for, checked: ``looked`` are the draws after which targets are looked at."""

    plan: Plan
    spec: Spec
    workers: int
    targets: Sequence[Target] = ()
    looked: Sequence[int] = ()

    @property
    def first(self) -> Spec:
        """What a new store is made for."""
        return replace(self.spec, draws=self.looked[0]) if self.looked else self.spec

    def within(self, known: Store) -> _Asked:
        """Return the same with the percentiles that a store has besides, of an earlier target."""
        more = known.spec.quantiles
        if set(self.spec.quantiles) <= set(more):
            return replace(self, spec=replace(self.spec, quantiles=more))
        return self


def check_asked(scenario: Scenario, draws: int, *, seed: int, options: Options) -> None:
    """Check what is asked for, and compute nothing.

    Raises
    ------
    InputError
        As `run` would.
    """
    _asked(scenario, draws, seed, options)


def _asked(scenario: Scenario, draws: int, seed: int, options: Options) -> _Asked:
    workers = options.workers if options.workers is not None else _cores()
    targets = [parse_target(text) for text in options.until]
    plan, spec = _plan(scenario, draws, seed, options, targets, workers)
    for target in targets:
        rows_wanted(target, series_of(plan, spec)[0], plan.dims)
    return _Asked(plan, spec, workers, targets, looks(draws) if targets else ())


def _estimate(asked: _Asked, place: Place, known: Store | None) -> Estimate:
    """Return what a run will take from now on."""
    done, spec = 0, asked.spec
    if known is not None:
        done = sum(Work(asked.plan, known).done(block) for block in blocks(known.spec))
        spec = replace(known.spec, draws=max(spec.draws, known.spec.draws))
    _, sheets = series_of(asked.plan, spec)
    return estimate(asked.plan, spec, sheets, place, asked.workers, min(done, spec.draws))


def _is_done(store: Store, asked: _Asked, options: Options) -> bool:
    """Whether a store holds all that is asked for already."""
    found, draws = store.spec.draws, asked.spec.draws
    if not asked.targets and found > draws:
        message = f"the store holds {found:,} draws, {draws:,} asked for"
        raise InputError(f"{message}; ask for as many or more, or choose another --out", "-n")
    if not store.complete or found != draws or asked.targets or options.repair:
        return False
    store.check_whole()
    return True


def plan_only(
    scenario: Scenario, draws: int, *, seed: int, out: str | Path, options: Options
) -> Estimate:
    """Return what a run would take, and compute nothing else."""
    place = place_of(out)
    return _estimate(_asked(scenario, draws, seed, options), place, existing(place))


@contextlib.contextmanager
def _one_message(url: str) -> Iterator[None]:
    """Turn what stops a run into one message that says how to go on."""
    go_on = "run the same command again to go on"
    try:
        with _stoppable():
            yield
    except BlockingIOError:
        raise RunError(f"another run writes to {url!r}; wait for it, or stop it") from None
    except StoppedError:
        raise KeyboardInterrupt from None
    except OSError as failed:
        remedy = "make room and " if failed.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        reason = failed.strerror or f"{failed}" or type(failed).__name__
        raise RunError(f"cannot write {url!r}: {reason}; {remedy}{go_on}") from None


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does: blocks in hand are dropped, the rest is safe."""
    taken = signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    if taken or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Run:
    """A run under way: the work, who does it, and how far it has come."""

    def __init__(
        self,
        store: Store,
        asked: _Asked,
        executor: Executor,
        options: Options,
        progress: Progress | None,
    ) -> None:
        self.work, self.asked = Work(asked.plan, store, options.watch), asked
        self.executor, self.options, self.progress = executor, options, progress
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
                if newest.complete:
                    return newest
                self.work.watch.start()
                found = percentiles_of(self.work, self._run)
                store = write_percentiles(self.work, *found, LIMITS[self.spec.compute])
                self.work.watch.lap("merge")
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
            if all(found["met"] for found in reached) or draws == left[-1]:
                break
        merged, rows = percentiles_of(self.work, self._run)
        looks = {"looks": len(looked), "confidence": level, "draws": draws}
        targets = [{**found, **looks} for found in reached]
        limit = LIMITS[self.spec.compute]
        return write_percentiles(self.work, merged, rows, limit, until=targets)

    def _reached(self, target: Target, rows: Sequence[Any]) -> dict[str, Any]:
        sheet, wanted = rows_wanted(target, self.work.layout[0], self.work.plan.dims)
        half = achieved(target, rows[sheet], wanted, self.spec.quantiles)
        return {
            "target": target.text,
            "tolerance": target.tolerance,
            "half_width": half if np.isfinite(half) else None,
            "met": half <= target.tolerance,
        }

    def _raise(self, draws: int) -> None:
        """Make room for more draws, if there is not enough yet."""
        if draws <= self.spec.draws:
            return
        with self.work.place.lock("finish", wait=True):
            store = open_store(self.work.place)  # another part may have been quicker
            before = store.spec.draws
            if draws > before:
                spec = replace(store.spec, draws=draws)
                sheets, memory = self.work.layout[1], self.options.memory
                spec = staged(self.work.plan, spec, sheets, memory, self.asked.workers, before)
                store = raise_draws(store, spec)
            self.work = Work(self.work.plan, store, self.options.watch)

    def _blocks(self) -> bool:
        """Compute the blocks of every stage; return whether all are there."""
        self.done = sum(self.work.done(block) for block in blocks(self.spec))
        self._report(0)
        if self.options.part is None:
            self.work.place.sweep()
        tidy(self.work)
        newest = self.work.store.stage
        for stage in stages(self.spec):
            self.work.watch.start()
            if stage.start >= newest:
                enter(self.work, stage)
            self.work.watch.lap("merge")
            waiting = [b for b in cut(stage, self.spec) if self.work.done(b) < len(b)]
            # What is missing of merged stages is repaired: nobody needs its digests any more.
            under = max(stage.start, newest)
            self._run([Task(block, under) for block in self._own(stage, waiting)])
        return not self.work.store.missing()

    def _own(self, stage: range, waiting: Sequence[range]) -> Sequence[range]:
        """Return the blocks a part computes: its share of the last stage.

        Of earlier stages it does what nobody has done yet, beginning at a place of its own, so that
        no part waits for another.
        """
        if self.options.part is None or not waiting:
            return waiting
        part, parts = self.options.part
        if stage.stop < self.spec.draws:
            turn = len(waiting) * (part - 1) // parts
            return [*waiting[turn:], *waiting[:turn]]
        mine = cut(stage, self.spec)[part - 1 :: parts]
        return [block for block in waiting if block in mine]

    def _run(self, tasks: Sequence[Task]) -> None:
        self.executor.run(self.work, tasks, self._report)

    def _report(self, draws: int) -> None:
        self.done += draws
        if self.progress is not None:
            self.progress(min(self.done, self.spec.draws), self.spec.draws)


def finish(out: str | Path, options: Options, progress: Progress | None = None) -> Store:
    """Merge the percentiles of a run whose blocks are all there, from its store alone.

    Raises
    ------
    RunError
        If blocks are missing.
    """
    work = work_of(os.fspath(out))
    missing = work.store.missing()
    if missing:
        count = sum(len(block) - work.done(block) for block in missing)
        raise RunError(
            f"{count:,} of {work.spec.draws:,} draws are still missing, the first of them in draws "
            f"{missing[0].start:,} to {missing[0].stop - 1:,}; run the parts that were not "
            "finished again"
        )
    if work.store.complete:
        return work.store
    workers = options.workers if options.workers is not None else _cores()
    asked = _Asked(work.plan, work.spec, workers)
    with _one_message(work.place.url), work.place.lock("run", shared=True):
        under_way = _Run(work.store, asked, Threads(workers), options, progress)
        return under_way.to(work.spec.draws)


def check_central(plan: Plan) -> dict[str, npt.NDArray[Any]]:
    """Return the outputs with every parameter at its mean.

    Raises
    ------
    InputError
        If the model cannot be right even there: a loop that returns all that enters it, a
        prescribed stock that nothing can sustain.
    """
    audit = Audit(plan)
    central = evaluate_central(plan, audit)
    for watch, count in zip(plan.watches, audit.counts, strict=True):
        if count and watch.kind in FATAL:
            raise InputError(FATAL[watch.kind](watch), watch.where)
    return central


def _try_first_draws(plan: Plan, spec: Spec) -> None:
    """Compute a few draws before anything is written: most models that fail, fail in all draws.

    It also compiles the kernels once, not in every thread, and those it does not call beside it.
    """
    compile_beside(kernels_of(plan, spec))
    check_central(plan)
    draws = range(min(spec.draws, tile_width(plan)))
    audit = Audit(plan)
    precision = {"dtype": spec.dtype, "compute": spec.compute}
    results = evaluate(plan, spec.seed, draws, audit=audit, **precision)
    check_draws(plan, audit, results, draws, LIMITS[spec.compute])


# --- what is asked for ----------------------------------------------------------------------------


def _plan(
    scenario: Scenario,
    draws: int,
    seed: int,
    options: Options,
    targets: Sequence[Target],
    workers: int,
) -> tuple[Plan, Spec]:
    """Check what is asked for, and return the plan and how it is cut."""
    _check_numbers(draws, seed, options, workers)
    keep, names = _names(scenario, options)
    wanted = [*options.quantiles, *(t.quantile for t in targets), *([0.5] if targets else [])]
    spec = Spec(
        seed=int(seed),
        draws=int(draws),
        block=options.block or MOST,
        dtype=options.dtype,
        compute=options.compute,
        bits=options.bits,
        keep=keep,
        percentiles=names,
        quantiles=tuple(sorted(set(map(float, wanted)))),
    )
    plan = plan_of(scenario, spec)
    series, _ = series_of(plan, spec)
    spec = replace(spec, exceed=tuple(_limit(scenario, plan, series, *e) for e in options.exceed))
    cells = sum(plan.dims.size(output.dims) for output in plan.outputs if output.name in keep)
    block = options.block or MOST
    if keep and options.block is None:
        itemsize = np.dtype(options.dtype).itemsize
        block = plan_blocks(draws, cells, itemsize, workers)
    block = max(1 << (block - 1).bit_length(), GRAIN)
    _, sheets = series_of(plan, spec)
    row = sum(sheet.rows * sheet.dtype.itemsize for sheet in sheets)
    begin = _power_of_two(max(min(_BEGIN_BYTES // max(row, 1), _MOST_BEGIN), GRAIN))
    begin = max(begin, block) if keep else begin
    pilot = max(begin, draws // _PILOT_SHARE) if options.part else 0
    spec = replace(spec, block=block, begin=begin, pilot=pilot)
    if how_many(spec) > _MOST_BLOCKS:
        raise InputError(
            f"{draws} draws are {how_many(spec)} blocks but a store has at most {_MOST_BLOCKS}; "
            "lower -n or raise --block",
            "-n",
        )
    return plan, staged(plan, spec, sheets, options.memory, workers)


def staged(
    plan: Plan, spec: Spec, sheets: Sequence[Sheet], memory: int, workers: int, begun: int = 0
) -> Spec:
    """Return how a run is cut whose last stage would keep more than the memory: counted first.

    Only a stage that has not begun yet can be; parts of a run would have to wait for each other.
    """
    last = [*stages(spec)][-1]
    kept = sum(expected(spec, sheet.rows) * sheet.dtype.itemsize for sheet in sheets)
    fits = max(kept, memory_of(plan, spec, sheets, workers)) <= memory
    if fits or spec.counted or spec.pilot or not last.start or last.start < begun:
        return spec
    return replace(spec, counted=last.start)


def _names(scenario: Scenario, options: Options) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of what is stored, and of what percentiles are computed of."""
    file = scenario.file
    known = [*file.flows, *file.stocks, *file.indicators]
    keep = _listed(options.keep)
    kept = (file.keep or known) if keep is None else known if keep == ["all"] else keep
    kept = [] if kept == ["none"] else kept
    wanted = _listed(options.percentiles)
    if wanted is None or wanted == ["all"]:
        wanted = [*known, *(name for name in kept if name not in known)]
    elif wanted in (["kept"], ["none"]):
        wanted = list(kept) if wanted == ["kept"] else []
    if not (wanted or kept):
        raise InputError("neither draws nor percentiles are asked for", "--percentiles")
    for option, names in (("--keep", kept), ("--percentiles", wanted)):
        for name in names:
            if name not in known and name not in scenario.parameters:
                suggestion = nearest(name, [*known, *scenario.parameters])
                raise InputError(f"nothing is named {name!r}; {suggestion}", f"{option} {name}")
    return tuple(dict.fromkeys(kept)), tuple(dict.fromkeys(wanted))


def _limit(
    scenario: Scenario, plan: Plan, series: Sequence[Series], name: str, limit: float | str
) -> tuple[str, float]:
    """Return a limit in the unit of its output."""
    one = next((one for one in series if one.title == name), None)
    if one is None:
        known = [one.title for one in series]
        message = f"no percentiles of {name!r} are computed; {nearest(name, known)}"
        raise InputError(message, "--exceed")
    unit = plan.output(one.view.name).unit
    try:
        number, given = parse_amount(limit)
        if not np.isfinite(number):
            raise UnitError(f"{limit!r} is no finite number")
        if given in ("", unit):
            return name, number
        if scenario.units.dimension(given) != scenario.units.dimension(unit):
            raise UnitError(f"{name!r} is in {unit}, which cannot be compared with {given!r}")
        return name, number * scenario.units.factor(given) / scenario.units.factor(unit)
    except UnitError as wrong:
        raise InputError(str(wrong), "--exceed") from None


def _listed(names: Iterable[str] | None) -> list[str] | None:
    if names is None:
        return None
    return [names] if isinstance(names, str) else list(names) or ["none"]


def _check_numbers(draws: int, seed: int, options: Options, workers: int) -> None:
    for name, number in (("draws", draws), ("seed", seed)):
        if isinstance(number, bool) or not isinstance(number, int | np.integer):
            raise InputError(f"{name} is {number!r} but must be a whole number")
    if draws < 1:
        raise InputError(f"{draws} draws asked for; at least 1 is needed", "-n")
    if draws >= 2**63:
        raise InputError(f"{draws} draws asked for; at most 2**63 - 1 can be numbered", "-n")
    if not 0 <= seed < 2**64:
        raise InputError(f"seed is {seed} but must lie in 0 .. 2**64 - 1", "--seed")
    if options.dtype not in ("float32", "float64"):
        raise InputError(f"dtype is {options.dtype!r}; choose float32 or float64", "--dtype")
    if options.compute not in LIMITS:
        message = f"compute is {options.compute!r}; choose float64 or float32"
        raise InputError(message, "--compute")
    most = np.finfo(options.dtype).nmant
    if not 0 <= options.bits <= most:
        message = f"{options.bits} bits of the mantissa asked for; {options.dtype} has {most}"
        raise InputError(f"{message}, 0 keeps all", "--bits")
    if workers < 1:
        raise InputError(f"{workers} workers asked for; at least 1 is needed", "--workers")
    if options.block is not None and options.block < 1:
        raise InputError(
            f"blocks of {options.block} draws asked for; at least 1 is needed", "--block"
        )
    for quantile in options.quantiles:
        if not 0 <= quantile <= 1:
            raise InputError(f"quantile {quantile:g} is not between 0 and 1", "-q")
    if not options.quantiles:
        raise InputError("no quantiles are asked for; at least one is needed", "-q")
    if options.part is not None:
        part, parts = options.part
        if parts < 1:
            raise InputError(f"{parts} parts asked for; at least 1 is needed", "--part")
        if not 1 <= part <= parts:
            raise InputError(
                f"part {part} of {parts}: choose from 1/{parts} to {parts}/{parts}", "--part"
            )
        if options.until:
            raise InputError("parts cannot wait for each other's looks; give -n", "--until")
