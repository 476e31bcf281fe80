"""Compile a plan to row code: where every quantity lies in a tile, and what is done to its rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims
from ndmc.engine.expression_rows import ExpressionRows, by_turn
from ndmc.engine.instructions import Arithmetic, Places, Room, Writer
from ndmc.engine.loop_rows import is_timeless, unrolled
from ndmc.engine.sampled_rows import Drawn, Sampling, gathered
from ndmc.plan.steps import (
    Account,
    Balance,
    Before,
    Cohort,
    Conditioning,
    Formula,
    March,
    Plan,
    Profile,
    Share,
    Step,
    Term,
    hidden,
)
from ndmc.plan.study import Observed
from ndmc.scenario.expressions import Expression
from ndmc.typing import Floats

__all__ = ["compile_rows"]


@dataclass(frozen=True)
class Lives:
    """Scale and shape of a Weibull stock, from other numbers of its lifetime: the first rows."""

    step: Cohort
    cells: int
    scale: int
    shape: int


@dataclass(frozen=True)
class Fed:
    """A Weibull stock that its inflow feeds: the first rows of what is read and written."""

    step: Cohort
    cells: int
    years: int
    scale: int
    shape: int
    inflow: int
    stock: int
    release: int | None


@dataclass(frozen=True)
class Loop:
    """A loop whose own rows begin at ``first``."""

    step: March
    first: int


@dataclass(frozen=True)
class Other:
    """A step computed from arrays; ``targets`` are the first rows of what it computes.

    ``inflow`` is the first row of what feeds a stock; ``certain`` says that its shares by age are
    the same in every draw and for every cohort.
    """

    step: Cohort | Profile | Before
    targets: dict[str, int]
    inflow: int = -1
    certain: bool = False


Call = Arithmetic | Lives | Fed | Loop | Other


#: Labels along some axes; all along the others.
Where = tuple[tuple[int, list[int]], ...]


@dataclass(frozen=True)
class RowCode:
    """A plan as row code.

    ``rows`` are needed in all and ``numbers`` says which hold one number for good; ``once`` is run
    for a new tile, ``each`` for every tile of draws, ``audit`` where balances are checked. Rows of
    ``nets`` are what enters each process and neither leaves nor stays, those of ``observed`` what a
    study looks at, for which each row is written by one step alone.
    """

    dims: Dims
    rows: int
    numbers: tuple[npt.NDArray[np.int64], Floats]
    names: dict[str, Places]
    fixed: frozenset[str]
    sampling: Sampling
    conditioning: Conditioning | None
    once: tuple[Call, ...]
    each: tuple[Call, ...]
    audit: tuple[Call, ...]
    nets: tuple[Places, ...]
    observed: tuple[Places, ...]


def compile_rows(plan: Plan) -> RowCode:
    """Return the row code of a plan.

    Examples
    --------
    >>> from ndmc.model import compile_plan
    >>> from ndmc.scenario.load import load
    >>> code = compile_rows(compile_plan(load("china_nd"), ["sales"]))
    >>> [type(call).__name__ for call in code.each]
    ['Arithmetic']
    """
    return _RowCompiler(plan).code()


class _RowCompiler(Writer[Call]):
    """One compilation; rows are numbered as they are needed."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.dims, plan.memory)
        self.plan = plan
        self.names: dict[str, Places] = {}
        self.expressions = ExpressionRows(self, self.names)
        self.fixed: frozenset[str] = frozenset()
        self.totals: dict[tuple[int, tuple[str, ...]], Places] = {}

    def scratch(self, shape: tuple[int, ...]) -> Places:
        """Return rows for one step: of their own in a study, which computes a part of the steps.

        In an ensemble, too, of which a part of the rows is computed. The bundled scenarios then
        have 3 to 40 % more rows.
        """
        own = self.plan.study or self.plan.gathered
        return self.take(shape) if own else super().scratch(shape)

    def code(self) -> RowCode:
        for name, values in self.plan.constants.items():
            self.names[name] = self.holding(values[..., 0])
        once = self._compiled(self.plan.fixed)
        self.fixed = frozenset(self.names)
        sampling = self._sampling()
        each = self._compiled(self.plan.steps)
        self._gather()
        observed = (
            [self._observed(one) for one in self.plan.study.observed] if self.plan.study else []
        )
        each += self.taken()
        nets = [self._net(account) for account in self.plan.accounts]
        audit = self.taken()
        filled = [*self.set, *((np.array(row), np.array(v)) for v, row in self.numbers.items())]
        return RowCode(
            dims=self.plan.dims,
            rows=self.rows + self.most_scratch,
            numbers=(_flat(p for p, _ in filled), _flat(v for _, v in filled).astype(np.float64)),
            names=self.names,
            fixed=self.fixed,
            sampling=sampling,
            conditioning=self.plan.conditioning,
            once=self.finished(once),
            each=self.finished(each),
            audit=self.finished(audit),
            nets=tuple(nets),
            observed=tuple(observed),
        )

    # --- steps -----------------------------------------------------------------------------

    def _compiled(self, steps: Sequence[Step]) -> list[Any]:
        for step in steps:
            self.scratch_rows = 0
            match step:
                case Formula():
                    found = self.kept(self.expressions.rows(step.expression, self.take))
                    self.names[step.target] = self.spread(found, step.expression.dims, step.dims)
                case Share():
                    self.names[step.target] = self._share(step)
                case Balance():
                    self.names[step.target] = self._sum(step.terms, step.dims, self.take)
                case March():
                    self._loop(step)
                case Cohort() if is_fed(step) and not self._is_certain(step):
                    self._fed(step)
                case Cohort() | Profile() | Before():
                    self._other(step)
        return self.taken()

    def _gather(self) -> None:
        """Note the rows of every member of an ensemble as those of one quantity."""
        for name, parts in self.plan.gathered.items():
            shape = self.shape(self.plan.output(name).dims[1:])
            rows = [np.broadcast_to(self.names[part], shape) for part in parts]
            self.names[name] = np.stack(rows)

    def _sum(self, terms: Sequence[Term], wants: tuple[str, ...], room: Room) -> Places:
        """Add up quantities over the dims that are not wanted."""
        summands = [
            (term.sign, where, rows)
            for term in terms
            for where, rows in self._summands(self.names[term.name], term.dims, wants)
        ]
        if not summands:
            return np.broadcast_to(self.number(0.0), self.shape(wants))
        summands.sort(key=lambda summand: -summand[0])  # what enters first
        (sign, _, first), *others = summands
        if not others and sign > 0:
            return np.asarray(first)
        total = room(self.shape(wants))
        if sign < 0:
            self.do("negative", total, first)
        elif not others[0][1]:
            (sign, _, second), *others = others
            self.do("add" if sign > 0 else "subtract", total, first, second)
        else:
            self.do("copy", total, first)
        for sign, where, rows in others:
            self.do("gain" if sign > 0 else "lose", within(total, where), rows)
        return total

    def _summands(
        self, places: Places, has: tuple[str, ...], wants: tuple[str, ...]
    ) -> Iterator[tuple[Where, Places]]:
        """Yield rows that are added up over what is not wanted, and where: the first everywhere."""
        extra = next((at for at, dim in enumerate(has) if dim not in wants), None)
        if extra is None:
            order = sorted(range(len(has)), key=lambda at: wants.index(has[at]))
            yield (), places.transpose(order)
            return
        dim, rest = has[extra], (*has[:extra], *has[extra + 1 :])
        parent = next((one for one in wants if one in self.dims.belongs.get(dim, ())), "")
        if not parent:
            for label in range(places.shape[extra]):
                along = np.asarray(places.take(label, axis=extra))
                yield from self._summands(along, rest, wants)
            return
        along = np.moveaxis(places, extra, 0)
        axis, size = wants.index(parent), len(self.dims.labels[parent])
        for labels, at in by_turn(self.dims.members(dim, parent)):
            here = () if len(labels) == size else ((axis, labels),)
            for where, rows in self._summands(along[at], (parent, *rest), wants):
                yield (*here, *where), rows

    def _share(self, step: Share) -> Places:
        # All shares of a process have the same terms: of 600 out of 600, added up for each, a check
        # took 20 s.
        key = (id(step.inflows), step.total_dims)
        if key not in self.totals:
            self.totals[key] = self._sum(step.inflows, step.total_dims, self.take)
        total = self.totals[key]
        share = self.expressions.rows(step.expression, self.scratch)
        target = self.take(self.shape(step.dims))
        whole = self.spread(total, step.total_dims, step.dims)
        self.do("multiply", target, whole, self.spread(share, step.expression.dims, step.dims))
        return target

    def _fed(self, step: Cohort) -> None:
        cells = step.dims[:-1]
        scale, shape = self._lives(step)
        inflow = self._sum(step.inflows, step.dims, self.take)
        first = self.solid(inflow)
        size = self.shape(step.dims)
        stock = self.names[step.target] = self.take(size)
        release = self.names[step.release] = self.take(size) if step.release else stock
        if step.inflow:
            self.names[step.inflow] = inflow
        self.calls.append(
            Fed(
                step,
                self.dims.size(cells),
                size[-1],
                scale,
                shape,
                first,
                int(stock.flat[0]),
                int(release.flat[0]) if step.release else None,
            )
        )

    def _lives(self, step: Cohort) -> tuple[int, int]:
        """Return the first rows of the scale and the shape of a Weibull stock."""
        cells, numbers = step.dims[:-1], dict(step.lifetime.arguments)
        if numbers.keys() == {"scale", "shape"}:
            scale, shape = (
                self.solid(self.spread(self.expressions.rows(one, self.take), one.dims, cells))
                for one in (numbers["scale"], numbers["shape"])
            )
            return scale, shape
        scale, shape = (int(self.take((self.dims.size(cells),))[0]) for _ in range(2))
        self.calls.append(Lives(step, self.dims.size(cells), scale, shape))
        return scale, shape

    def _other(self, step: Cohort | Profile | Before) -> None:
        inflow, certain = -1, False
        if isinstance(step, Cohort) and step.reads_inflow:
            inflow = self.solid(self._sum(step.inflows, step.dims, self.take))
            certain = self._is_certain(step)
        targets = {}
        for name in step.targets:
            places = self.names[name] = self.take(self.shape(step.dims))
            targets[name] = int(places.flat[0])
        self.calls.append(Other(step, targets, inflow, certain))

    def _is_certain(self, step: Cohort) -> bool:
        """Whether shares by age are the same in every draw and for every cohort: known for good."""
        names = frozenset[str]().union(*(e.names for e in step.expressions))
        return names <= self.fixed and not step.lifetime.varies

    def _loop(self, step: March) -> None:
        program = step.program
        if self.plan.gathered and is_timeless(program):
            self._name_loop(step, unrolled(program, self, self.expressions))
            return
        first = self.rows
        rows = self.take((program.rows,))
        for at, number in program.constants:
            self.set.append((rows[at : at + 1], np.array([number])))
        for at, expression in program.inputs:
            self.scratch_rows = 0
            size = self.shape(expression.dims)
            target = rows[at : at + self.dims.size(expression.dims)].reshape(size)
            self.do("copy", target, self.expressions.rows(expression, self.scratch))
        self.calls.append(Loop(step, first))
        self._name_loop(step, rows)

    def _name_loop(self, step: March, rows: Places) -> None:
        """Note where a loop has what it computes."""
        program, targets = step.program, {*step.targets}
        for name, (at, has) in program.series.items():
            if name in targets:
                span = rows[at : at + self.dims.size(has)]
                self.names[name] = span.reshape(self.shape(has))
        for at, names in program.gains:
            self.names[hidden(names[0], "gain")] = rows[at]

    # --- sampling ----------------------------------------------------------------------------

    def _sampling(self) -> Sampling:
        drawn = Drawn(self, self.plan.samplers)
        for sampler in self.plan.samplers:
            self.names[sampler.name] = drawn.add(sampler)
        calls = self.finished(self.taken())
        fields = tuple(call for call in calls if isinstance(call, Arithmetic))
        groups = gathered(drawn.groups)
        drawn.divide()
        calls = self.finished(self.taken())
        sums = tuple(call for call in calls if isinstance(call, Arithmetic))
        return Sampling(drawn.normals, drawn.uniforms, fields, tuple(drawn.cdf), groups, sums)

    # --- what a study looks at ---------------------------------------------------------------

    def _observed(self, one: Observed) -> Places:
        """Return the rows of an output or its sum, or of whether it is above a limit."""
        output = self.plan.output(one.name)
        term = Term(one.name, output.dims)
        places = self._sum([term], one.dims, self.take)
        if one.above is None:
            return places
        amount, above = self.take(places.shape), self.take(places.shape)
        self.do("multiply", amount, places, self.number(output.scale))
        self.do("greater", above, amount, self.number(one.above))
        return above

    # --- balances ----------------------------------------------------------------------------

    def _net(self, account: Account) -> Places:
        """Return the rows of what enters a process and neither leaves nor stays."""
        self.scratch_rows = 0
        net = self.take(self.shape(account.dims))
        self.do("copy", net, self.number(0.0))
        wants = account.dims
        summands = [
            (term.sign, where, rows)
            for term in account.terms
            for where, rows in self._summands(self.names[term.name], term.dims, wants)
        ]
        if account.stock:
            stock = self.names[account.stock]
            for where, held in self._summands(stock, account.stock_dims, wants):
                summands += [(-1.0, where, held), (1.0, where, self._year_before(held))]
        for sign, where, rows in summands:
            self.do("gain" if sign > 0 else "lose", within(net, where), rows)
        if account.before is not None:
            self._add_before(net, account.before, account.stock_dims[:-1], account.dims[:-1])
        return net

    def _year_before(self, held: Places) -> Places:
        early = np.broadcast_to(self.number(0.0), (*held.shape[:-1], 1))
        return np.concatenate([early, held[..., :-1]], axis=-1)

    def _add_before(
        self, net: Places, before: Expression, cells: tuple[str, ...], wants: tuple[str, ...]
    ) -> None:
        """Add the stock before the first year to the net of that year."""
        value = self.spread(self.expressions.rows(before, self.scratch), before.dims, cells)
        for where, rows in self._summands(value, cells, wants):
            self.do("gain", within(net[..., 0], where), rows)


def within(places: Places, where: Where) -> Places:
    """Return the rows at some labels along axes."""
    for axis, labels in where:
        places = places.take(labels, axis=axis)
    return places


def is_fed(step: Cohort) -> bool:
    """Whether a stock is one that a single kernel computes."""
    lifetime = step.lifetime
    plain = step.level is None and step.initial is None and not step.removals
    timeless = lifetime.factor is None and not lifetime.varies
    weibull = lifetime.kind == "weibull"
    return plain and weibull and timeless and lifetime.convention != "pdf_integer"


def _flat(arrays: Iterable[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate([np.empty(0, np.int64), *(array.reshape(-1) for array in arrays)])
