"""Print a sensitivity study: what decides each headline output, and what to measure first."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from ndmc.cli.print_run import print_targets
from ndmc.cli.tables import console, counted, plain_table, print_table
from ndmc.legible import command_line
from ndmc.store.information import findings_of
from ndmc.store.shares import Flag
from ndmc.store.store import Store
from ndmc.studies.explained import (
    EVENT,
    FIRST,
    LINEAR,
    Explained,
    GroupShare,
    Picks,
    closing_cells,
    titles_of,
    what,
)
from ndmc.studies.named_cells import at, dims_of, labels_at, picked
from ndmc.studies.sensitivity import certain_in

if TYPE_CHECKING:
    import xarray as xr

#: Groups and cells that are printed of many, and names that are listed in a line.
_GROUPS, _CELLS, _NAMES = 10, 12, 6

#: What is said of groups whose shares are to be taken with care.
_CARE = {
    Flag.CONSTANT: "in all draws it is the same, so that there is no variance to share out",
    Flag.LOST_PAIRS: "some draws are no number and are left out of the shares of",
    Flag.NEVER: "in some draws it never comes, so that there is no variance; ask by --exceed for",
    Flag.UNSETTLED: "a few draws hold most of the variance, so that limits are too narrow; "
    "more draws (-n) settle the shares of",
}

#: Columns of a CSV, as they stand behind the name of an output.
_COLUMNS = (
    *(
        f"{kind}{end}"
        for kind in ("first_order", "total_order", "interaction", "first_linear")
        for end in ("", "_low", "_high")
    ),
    *("flag", "effect", "linear_share", "controlled", "method", "mean", "sd"),
)


def print_sensitivity(store: Store, found: Iterable[Explained]) -> None:
    """Print what decides outputs in cells, and what it would help to know best first."""
    page, attrs = console(), store.attrs
    cells = [*found]
    for one in cells[:_CELLS]:
        _print_cell(page, one)
    if len(cells) > _CELLS:
        _say(
            page, f"{counted(len(cells) - _CELLS, 'more cell')}: pick fewer, or write all by --csv"
        )
    if attrs["reconciled"]:
        _say(page, "draws are reconciled: shares are of inputs as they were before")
    if certain := certain_in(store):
        _say(page, f"certain, and in no group: {_listed(certain)}")
    print_targets(page, findings_of(store))
    draws, groups = store.spec.draws, len(store.spec.groups or ())
    _say(
        page,
        f"{counted(groups, 'group')}, {counted(draws, 'draw')}, {draws * (1 + groups):,} "
        f"evaluations, seed {attrs['seed']}, in {store.path}",
    )
    output = cells[0].name
    words = ["ndmc", "sensitivity", store.path, "-v", output, "--picture", f"{output}.svg"]
    _say(page, f"next: {command_line(words)}")


def _print_cell(page: Console, one: Explained) -> None:
    title = f"{one.what}: shares of variance"
    table = plain_table(
        title, "", "group", "first", "(95 % limits)", "total", "(95 % limits)", words=2
    )
    known = [share for share in one.groups if np.isfinite(share.total[0])]
    for share in known[:_GROUPS]:
        table.add_row(_rank(share), share.group, *_texts(share.first), *_texts(share.total))
    if known:
        print_table(page, table)
    else:
        _say(page, title)
    for line in _lines(one):
        _say(page, line)


def _lines(one: Explained) -> Iterator[str]:
    """Yield what is to be said below the table of a cell."""
    more = one.groups[_GROUPS:]
    if more and np.isfinite(more[0].total[0]):
        yield f"{counted(len(more), 'more group')}: at most {_share(more[0].total[0])} in total"
    if one.unreached:
        yield f"without any effect on it: {_listed(one.unreached)}"
    for flag, said in _CARE.items():
        names = [share.group for share in one.groups if share.flag == flag]
        if names:
            yield said if flag == Flag.CONSTANT else f"{said} {_listed(names)}"
    if np.isfinite(one.linear_share):
        yield f"{_share(one.linear_share)} of its variance is linear in the inputs"
    if one.sentence:
        yield f"measure first: {one.sentence}"


def _rank(share: GroupShare) -> str:
    return f"{share.rank}{'=' * share.tied}"


def _texts(share: tuple[float, float, float]) -> tuple[str, str]:
    value, low, high = map(_share, share)
    return value, "" if "-" in (low, high) else f"{low.removesuffix(' %')} .. {high}"


def _share(value: float) -> str:
    """Return a share in percent, with as many digits as people read."""
    return f"{100 * value:z.1f} %" if np.isfinite(value) else "-"


def _listed(names: Iterable[str]) -> str:
    every = [*names]
    more = len(every) - _NAMES
    return ", ".join(every[:_NAMES]) + (f" and {more} more" if more > 0 else "")


def _say(page: Console, text: str) -> None:
    page.print(text, soft_wrap=True, highlight=False)


def print_linear(shares: xr.Dataset, names: Iterable[str], select: Picks) -> None:
    """Print the first shares of single inputs in outputs, the largest first."""
    page = console()
    for name, cell in closing_cells(shares, names, select, LINEAR):
        _print_linear(page, shares, name, cell)
    about = shares.attrs
    note = f" ({about['note']})" if about.get("note") else ""
    inputs = counted(shares.sizes["input"], "input")
    _say(page, f"{inputs}, {counted(about['draws'], 'draw')}, seed {about['seed']}{note}")


def _print_linear(page: Console, shares: xr.Dataset, name: str, cell: Mapping[str, Any]) -> None:
    words = what(name, cell)
    ends = [at(shares[f"{name}{LINEAR}{end}"], cell).values for end in ("", "_low", "_high")]
    order = np.argsort(-np.nan_to_num(ends[0], nan=-np.inf), kind="stable")
    table = plain_table(f"{words}: shares of variance", "input", "first", "(95 % limits)")
    for n in order[:_GROUPS].tolist():
        value, low, high = (float(end[n]) for end in ends)
        if value != 0 and np.isfinite(value):
            table.add_row(str(shares["input"].values[n]), *_texts((value, low, high)))
    if table.row_count:
        print_table(page, table)
    else:
        _say(page, f"{words}: {_CARE[Flag.CONSTANT]}")
    linear = float(at(shares[f"{name}_linear_share"], cell))
    if np.isfinite(linear):
        _say(page, f"{_share(linear)} of its variance is linear in the inputs")


def share_rows(shares: xr.Dataset, select: Picks, first: str = FIRST) -> Iterator[dict[str, Any]]:
    """Yield a row for each group and cell of each output, its total and its events."""
    for name in titles_of(shares, first):
        about = {suffix: f"{name}_{suffix}" for suffix in _COLUMNS if f"{name}_{suffix}" in shares}
        found = shares[[*about.values()]]
        dims = [*map(str, found[name + first].dims)]
        found = found.isel(picked(dims_of(found), dims, select))
        whole = found[name + first]
        columns = {
            suffix: _meant(found[one].broadcast_like(whole).transpose(*dims))
            for suffix, one in about.items()
        }
        unit = shares.get(f"{name.removesuffix(EVENT)}_mean", whole).attrs.get("units", "")
        cells = itertools.product(*(range(found.sizes[dim]) for dim in dims))
        for cell, *values in zip(cells, *columns.values(), strict=True):
            labels = labels_at(found, dict(zip(dims, cell, strict=True)))
            row = {"output": name, **labels} | dict(zip(columns, values, strict=True))
            yield row | ({"unit": unit} if first == FIRST else {})


def _meant(variable: xr.DataArray) -> list[Any]:
    """Return the values of a variable, of flags what they mean."""
    values: list[Any] = variable.values.ravel().tolist()
    meanings = dict(enumerate(str(variable.attrs.get("flag_meanings", "")).split()))
    return [meanings.get(one, one) for one in values] if meanings else values
