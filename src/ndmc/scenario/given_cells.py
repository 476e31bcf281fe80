"""What is given of the cells of a parameter: row by row as it comes, and cell by cell in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims
from ndmc.errors import InputError
from ndmc.label import pairs
from ndmc.scenario.coded import Coded, alike
from ndmc.scenario.tables import Table
from ndmc.typing import Array, Floats, Integers

#: How a cell has its numbers.
GIVEN, INTERPOLATED, HELD, ZERO = range(4)


@dataclass(frozen=True)
class GivenCells:
    """What is given of every cell of a parameter, in array order, by column; an empty one is nan.

    ``lines`` are those of its table, 0 where there is none; ``filled`` says how a cell has its
    numbers, ``passed_over`` what is given of no cell.
    """

    lines: Integers
    numbers: dict[str, Floats]
    words: dict[str, Coded[str]]
    tables: Coded[Table | None]
    filled: npt.NDArray[np.int8]
    passed_over: str = ""


@dataclass(frozen=True)
class Rows:
    """What rows give: labels by their positions along ``dims``.

    Years outside the scenario's, if there are any, stand behind those.
    """

    dims: Dims
    tables: Coded[Table | None]
    lines: Integers
    labels: dict[str, Integers]
    numbers: dict[str, Floats]
    words: dict[str, Coded[str]]

    def named(self, row: int) -> str:
        """Return the labels of a row."""
        return pairs(
            {
                own: self.dims.named_at(dim, own)[at[row]]
                for dim, at in self.labels.items()
                for own in self.dims.named([dim])
            }
        )

    def where(self, row: int) -> str:
        """Return ``file:line`` of a row; nothing where it is in no table."""
        table = self.tables[row]
        return table.where(int(self.lines[row])) if table else ""

    def cells(self, names: Sequence[str]) -> Integers:
        """Return which of the cells spanned by some dims each row is of."""
        found = np.zeros(len(self.lines), dtype=np.int64)
        for name in names:
            found = found * len(self.dims.labels[name]) + self.labels[name]
        return found

    def taken(self, order: Integers) -> GivenCells:
        """Return the cells that have the numbers of these rows."""
        one = len(self.tables.values) == 1
        return GivenCells(
            lines=self.lines[order],
            numbers={name: numbers[order] for name, numbers in self.numbers.items()},
            words={name: Coded(w.values, w.codes[order]) for name, w in self.words.items()},
            tables=alike(self.tables.values[0], len(order)) if one else self.tables.at(order),
            filled=np.broadcast_to(np.int8(GIVEN), len(order)),
        )


def with_labels(dims: Dims, dim: str, labels: tuple[str, ...]) -> Dims:
    """Return dims of which one has other labels."""
    return replace(dims, labels={**dims.labels, dim: labels})


def some_of(rows: Rows, which: Array) -> Rows:
    """Return some of the rows."""
    return replace(
        rows,
        tables=rows.tables.at(which),
        lines=rows.lines[which],
        labels={name: positions[which] for name, positions in rows.labels.items()},
        numbers={name: numbers[which] for name, numbers in rows.numbers.items()},
        words={name: words.at(which) for name, words in rows.words.items()},
    )


def ordered(rows: Rows, names: tuple[str, ...]) -> GivenCells:
    """Return the cells of rows, in array order, where each has one.

    Raises
    ------
    InputError
        For missing and repeated cells.
    """
    cells = rows.cells(names)
    counts = np.bincount(cells, minlength=rows.dims.size(names))
    if counts.max() > 1:
        raise given_twice(rows, cells)
    if not counts.all():
        missing = np.flatnonzero(counts == 0)
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        named = pairs(rows.dims.cell(names, int(missing[0])))
        message = f"no row for {named}{more}; every cell needs one, {what_to_say(names)}"
        table, last = rows.tables.values[0], int(rows.lines.max(initial=1))
        raise InputError(message, table.where(last) if table else "")
    return rows.taken(np.argsort(cells))


def given_twice(rows: Rows, cells: Integers) -> InputError:
    """Return what is wrong where two rows are of one cell."""
    first = np.unique(cells, return_index=True)[1]
    again = np.setdiff1d(np.arange(len(cells)), first)[0]
    before, table = np.flatnonzero(cells == cells[again])[0], rows.tables[again]
    message = f"a second row for {rows.named(again) or 'the value'}"
    message += f" (first on line {rows.lines[before]})"
    header = table.header if table else ()
    known = rows.dims.named(rows.labels)
    others = [dim for dim in rows.dims.labels if dim in header and dim not in known]
    if others:
        message += f"; the column {others[0]!r} is a dim, too: is it one of this parameter?"
    else:
        message += "; keep one"
    return InputError(message, rows.where(again))


def what_to_say(names: Sequence[str]) -> str:
    """Return what a parameter may say of cells that are not given."""
    others = " (or hold, interpolate)" if "year" in names else ""
    return f"or say what the others are by 'missing: 0'{others}"
