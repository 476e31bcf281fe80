"""Elimination: linear equations of a year, solved once in symbols for every draw and year."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Sequence

from ndmc.plan.loop_program import Linear, ProgramWriter, Row, Unknown, Value
from ndmc.plan.loop_rules import LoopError


class Elimination:
    """Equations of a group of quantities that need each other, each for an unknown of its own.

    ``is_late`` says of which quantities the unknowns are eliminated last. ``gain`` is the row of
    the largest gain of a loop, or None if all gains are known to be below 1.
    """

    def __init__(
        self,
        program: ProgramWriter,
        names: Sequence[str],
        equations: dict[Unknown, Linear],
        is_late: Callable[[str], bool],
    ) -> None:
        self.program, self.names, self.equations, self.is_late = program, names, equations, is_late
        self.gain: int | None = None
        self.users: dict[Unknown, set[Unknown]] = {unknown: set() for unknown in equations}
        for unknown, equation in equations.items():
            for other in equation.unknowns:
                self.users[other].add(unknown)

    def solved(self) -> Iterator[tuple[Unknown, Linear]]:
        """Yield every unknown with its equation, after the unknowns that stand in that."""
        order = []
        for unknown in self._order():
            self._eliminate(unknown)
            order.append(unknown)
        for unknown in reversed(order):
            yield unknown, self.equations[unknown]

    def _order(self) -> Iterator[Unknown]:
        """Yield unknowns so that few new terms arise, the late ones last.

        With shares first, what is left are the balances of processes: their matrix is one minus
        the transfers between processes, whose pivots are positive if every loop loses something.
        """
        waiting = [(*self._cost(unknown), unknown) for unknown in self.equations]
        heapq.heapify(waiting)
        done: set[Unknown] = set()
        while waiting:
            late, fill, unknown = heapq.heappop(waiting)
            if unknown in done:
                continue
            now = self._cost(unknown)
            if now > (late, fill):
                heapq.heappush(waiting, (*now, unknown))
                continue
            done.add(unknown)
            yield unknown

    def _cost(self, unknown: Unknown) -> tuple[bool, int]:
        fill = len(self.equations[unknown].unknowns) * len(self.users[unknown])
        return self.is_late(unknown[0]), fill

    def _eliminate(self, unknown: Unknown) -> None:
        equations, users = self.equations, self.users
        equation = equations[unknown]
        gain = equation.unknowns.pop(unknown, None)
        if gain is not None:
            users[unknown].discard(unknown)
            equation = self.program.scaled(equation, self._resolved(gain))
            equations[unknown] = equation
        for other in equation.unknowns:
            users[other].discard(unknown)
        for user in sorted(users[unknown]):
            coefficient = equations[user].unknowns.pop(unknown)
            equations[user] = self.program.plus(equations[user], equation, coefficient)
            for other in equation.unknowns:
                users[other].add(user)

    def _resolved(self, gain: Value) -> Value:
        """Return 1 / (1 - gain), keeping watch over the gain of each draw."""
        if isinstance(gain, float) and math.isclose(gain, 1.0, rel_tol=1e-12):
            message = (
                "all that enters it returns, so that the balances fix only differences; give one "
                "of them a value, or a share below 1"
            )
            raise LoopError(message, self.names)
        if isinstance(gain, float) and gain < 1.0:
            return 1.0 / (1.0 - gain)
        if self.gain is None:
            self.gain = self.program.take(1)
        fixed = isinstance(gain, float) or gain.fixed
        return self.program.do("resolve", gain, Row(self.gain, 0, fixed))
