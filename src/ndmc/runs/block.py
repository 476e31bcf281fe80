"""The work of one block: evaluate its draws, write those kept, digest all, enter it in a ledger."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ndmc.engine.audit import Audit
from ndmc.engine.evaluation import Witness, alike, fill, swaps
from ndmc.engine.refusals import check_draws
from ndmc.engine.stopwatch import SILENT, Timer
from ndmc.engine.tile_width import tile_width
from ndmc.errors import RunError
from ndmc.plan.steps import Plan
from ndmc.runs.reducers import Ranks, Reducer, Squares
from ndmc.runs.sheets import sheets_of
from ndmc.store.brackets import (
    Brackets,
    Series,
    Sheet,
    first_brackets,
    open_brackets,
    span_of,
)
from ndmc.store.buffer import Buffer
from ndmc.store.bundle import Bundle, DamagedError, pack
from ndmc.store.digest import Digester
from ndmc.store.keys import (
    again_of_block,
    block_name,
    brackets_key,
    digest_key,
    piece_key,
    stage_name,
    stage_of,
)
from ndmc.store.ledger import Entry, Files, Piece
from ndmc.store.place import Place
from ndmc.store.seal import Seal
from ndmc.store.spec import Spec
from ndmc.store.store import Store
from ndmc.store.view import View
from ndmc.typing import Array
from ndmc_kernels.digest import LEAF

#: Draws evaluated at a time within a block, or fewer if their results outgrow so many bytes. All
#: outputs of china_nd on two threads: 33.9 us of processors a draw with 1024, 35.8 with 2048, 37.5
#: with 512.
_AT_ONCE = 1024

_RESULTS = 64 * 2**20

#: No block has more draws.
MOST_PIECE = 2**30


class StoppedError(Exception):
    """The run was asked to stop; the block in hand is dropped."""


def at_once(plan: Plan, spec: Spec) -> int:
    """Return how many draws are evaluated at a time: whole tiles and leaves of their sums.

    As many as have results that fit the memory.
    """
    fitting = _RESULTS // max(plan.cells * np.dtype(spec.dtype).itemsize, 1)
    step = max(tile_width(plan), LEAF)
    return max(min(fitting, _AT_ONCE) // step, 1) * step


@dataclass(frozen=True)
class Work:
    """A run as those see it who compute its blocks, ``piece`` draws of one at a time."""

    plan: Plan
    store: Store
    timer: Timer = SILENT
    piece: int = MOST_PIECE

    @property
    def spec(self) -> Spec:
        """What the run computes."""
        return self.store.spec

    @property
    def place(self) -> Place:
        """Where it is written."""
        return self.store.place

    @functools.cached_property
    def layout(self) -> tuple[list[Series], list[Sheet]]:
        """The series and their sheets."""
        return sheets_of(self.plan, self.spec)

    @functools.cached_property
    def squares(self) -> tuple[int, ...]:
        """The shape of the sums of squares of a study; of a run it is empty."""
        return swaps(self.plan).shape if self.plan.study else ()

    @functools.cached_property
    def _brackets(self) -> dict[str, Brackets]:
        return {}

    # --- files ---------------------------------------------------------------------------------

    def bundle(self, key: str, seal: Seal) -> Bundle:
        """Open a file of arrays.

        Raises
        ------
        DamagedError
            If it is not what was written.
        """
        if reason := self.place.broken(key, seal):
            raise DamagedError(f"{key} {reason}")
        return Bundle(functools.partial(self.place.read, key), seal[0])

    def brackets(self, name: str) -> Brackets:
        """Return the brackets that an entry of the ledger names."""
        if name not in self._brackets:
            key = brackets_key(name)
            try:
                bundle = self.bundle(key, self.files(name)[key])
                start = stage_of(name) or 0
                levels = len(self.spec.quantiles)
                self._brackets[name] = open_brackets(bundle, self.layout[1], levels, start)
            except (DamagedError, FileNotFoundError) as found:
                raise RunError(
                    f"the brackets {name!r} in {self.place} are damaged ({found}); "
                    "run the same command again with --repair"
                ) from None
        return self._brackets[name]

    def files(self, name: str) -> Files:
        """Return the files that an entry of the ledger names.

        Raises
        ------
        DamagedError
            If there is no such entry.
        """
        entry = self.store.ledger.read(name)
        if entry is None:
            raise DamagedError(f"{name} is not in the ledger")
        return entry.files

    # --- blocks --------------------------------------------------------------------------------

    def first_brackets(self) -> Brackets:
        """Return the brackets of the first stage."""
        buffer, sheets = Buffer(*self._memory, 1), self.layout[1]
        self._fill(buffer, range(1))
        return first_brackets(sheets, [rows[:, 0] for rows in buffer.rows[: len(sheets)]])

    def done(self, block: range) -> int:
        """Return how many draws of a block are safely written."""
        entry = self.store.ledger.read(block_name(block.start))
        return max(entry.stop - block.start, 0) if entry else 0

    def compute(self, block: range, stage: int, stopped: Callable[[], bool]) -> int:
        """Compute what is missing of a block, write it, and return the number of new draws.

        Raises
        ------
        RunError
            If its draws have no meaning.
        StoppedError
            If the run was stopped meanwhile.
        OSError
            If it cannot be written.
        """
        entry, name = self._begun(block), block_name(block.start)
        if entry and entry.stop >= block.stop:
            return 0
        first = _last_grain(entry, self.spec.grain) if entry else block.start
        pieces = [p for p in entry.pieces if p.stop <= first] if entry else []
        kept = self._kept(block, first)
        files = {p.digest: entry.files[p.digest] for p in pieces} if entry else {}
        brackets = self.brackets(stage_name(stage))
        for draws in _in_pieces(range(first, block.stop), self.spec.grain, self.piece):
            here = {one: values[..., draws.start - block.start :] for one, values in kept.items()}
            piece, written = self._piece(draws, brackets, here, stopped)
            pieces.append(piece)
            files[piece.digest] = written
        self.timer.start()
        if entry and kept:  # whose files are replaced: a run that is killed here has no damage
            self.store.ledger.remove(name)
        files |= self._store(block, kept)
        self.store.ledger.write(Entry(name, files, tuple(pieces)))
        self.timer.lap("write")
        return block.stop - (entry.stop if entry else block.start)

    def _begun(self, block: range) -> Entry | None:
        """Return the entry of a block, unless draws are gone or what goes on is damaged."""
        entry = self.store.ledger.read(block_name(block.start))
        if entry is None:
            return None
        done = entry.stop >= block.stop
        digests = {piece.digest for piece in entry.pieces} if done else ()  # may be merged
        used = [(key, seal) for key, seal in entry.files.items() if key not in digests]
        lost = any(self.place.broken(key, seal, contents=not done) for key, seal in used)
        return None if lost else entry

    def _piece(
        self,
        draws: range,
        brackets: Brackets,
        kept: Mapping[str, Array],
        stopped: Callable[[], bool],
    ) -> tuple[Piece, Seal]:
        """Compute consecutive draws, put those that are kept in place, and write the digest."""
        digester, audit = Digester(*self.layout, brackets, draws), Audit(self.plan)
        reducers = self._reducers(digester)
        for some, buffer in self._evaluated(draws, audit, stopped, reducers):
            finite = digester.finite()
            suspects = {name: buffer.result(name) for name in buffer.names if name not in finite}
            check_draws(self.plan, audit, suspects, some)
            here = slice(some.start - draws.start, some.stop - draws.start)
            for name, values in kept.items():
                values[..., here] = buffer.result(name)
        key = piece_key(draws.start, draws.stop)
        self.timer.start()
        arrays = itertools.chain.from_iterable(one.arrays() for one in reducers)
        written = self.place.write(key, pack(arrays, digester.facts))
        self.timer.lap("write")
        found = (*audit.counts,), audit.worst, audit.extents
        return Piece(draws.start, draws.stop, key, *found), written

    def compute_again(self, block: range, name: str, stopped: Callable[[], bool]) -> int:
        """Digest a block a second time, under closer brackets."""
        title = again_of_block(name, block.start)
        if self.store.ledger.read(title):
            return 0
        digester = Digester(*self.layout, self.brackets(name), block)
        for _ in self._evaluated(block, None, stopped, [Ranks(digester)]):
            pass
        digest = digest_key(title)
        files = {digest: self.place.write(digest, pack(digester.arrays(), digester.facts))}
        self.store.ledger.write(Entry(title, files, draws=self.spec.draws))
        return len(block)

    def _reducers(self, digester: Digester) -> list[Reducer]:
        """Return what is made of draws: of a study sums of squares, too."""
        ranks = Ranks(digester)
        return [ranks, Squares(swaps(self.plan))] if self.plan.study else [ranks]

    # --- draws in memory -----------------------------------------------------------------------

    @functools.cached_property
    def _memory(self) -> tuple[list[Series], list[Sheet]]:
        """The series and their sheets, and a sheet of the outputs without percentiles."""
        series, sheets = self.layout
        further, end, which = list[Series](), 0, alike(self.plan, self._others)
        for name in self._others:
            dims = self.plan.output(name).dims
            positions = tuple(tuple(range(size)) for size in self.plan.dims.shape(dims))
            first, end = end, end + self.plan.dims.size(dims)
            rows = span_of(which[first:end])
            further.append(Series(name, View(name, dims, positions), len(sheets), rows))
        last = Sheet(np.dtype(self.spec.dtype), int(which.max(initial=-1)) + 1)
        return [*series, *further], [*sheets, last]

    @functools.cached_property
    def _others(self) -> tuple[str, ...]:
        names = [output.name for output in self.plan.outputs]
        return tuple(name for name in names if name not in self.spec.percentiles)

    def _evaluated(
        self,
        draws: range,
        audit: Audit | None,
        stopped: Callable[[], bool],
        reducers: Sequence[Reducer],
    ) -> Iterator[tuple[range, Buffer]]:
        """Yield some draws at a time, reduced, in memory that the next are evaluated in."""
        step = at_once(self.plan, self.spec)
        buffer = Buffer(*self._memory, min(step, len(draws)))
        for first in range(draws.start, draws.stop, step):
            if stopped():
                raise StoppedError
            some = range(first, min(first + step, draws.stop))
            if len(some) != buffer.draws:
                buffer = Buffer(*self._memory, len(some))
            self.timer.start()
            self._fill(buffer, some, audit, [one.see for one in reducers if one.see])
            for one in reducers:
                one.add(buffer.rows[: len(self.layout[1])])
            self.timer.lap("percentiles", len(some))
            yield some, buffer

    def _fill(
        self,
        buffer: Buffer,
        draws: range,
        audit: Audit | None = None,
        witnesses: Sequence[Witness] = (),
    ) -> None:
        spec = self.spec
        sheets = {spec.percentiles: buffer.rows[0], self._others: buffer.rows[-1]}
        fill(
            sheets,
            self.plan,
            spec.seed,
            draws,
            audit,
            self.timer,
            bits=spec.bits,
            witnesses=witnesses,
        )
        buffer.add_up()

    # --- draws that are stored -----------------------------------------------------------------

    def _kept(self, block: range, first: int) -> dict[str, Array]:
        """Return arrays for the draws of a block to be stored, with those there already."""
        found = {}
        for name, output in self.store.outputs.items():
            shape = (*self.plan.dims.shape(output.dims), len(block))
            found[name] = np.empty(shape, self.spec.dtype)
            if first > block.start:
                done = slice(block.start, first)
                found[name][..., : first - block.start] = self.store.read(name, done)
        return found

    def _store(self, block: range, kept: Mapping[str, Array]) -> Files:
        """Store draws durably and return the files with their seals."""
        files, waits = Files(), []
        with ThreadPoolExecutor(1) as settling:  # one is flushed while the next is encoded
            for name, values in kept.items():
                key, files[key] = self.store.write(name, block, values)
                waits.append(settling.submit(self.place.settle, [key]))
        for wait in waits:
            wait.result()
        return files


def _last_grain(entry: Entry, grain: int) -> int:
    """Return up to which draw the pieces of a block are whole grains together."""
    whole = (piece.stop for piece in entry.pieces if piece.stop % grain == 0)
    return max(whole, default=entry.pieces[0].first)


def _in_pieces(draws: range, grain: int, most: int) -> list[range]:
    """Return draws in pieces of at most so many.

    The last that are no whole grain are apart: they are digested again if more follow.
    """
    middle = max(draws.stop // grain * grain, draws.start)
    return [
        range(first, min(first + most, some.stop))
        for some in (range(draws.start, middle), range(middle, draws.stop))
        for first in range(some.start, some.stop, most)
    ]
