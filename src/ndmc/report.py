"""What a person reads on the terminal: tables, progress, the next command to type."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from ndmc.convergence import widths
from ndmc.errors import RunError
from ndmc.quantiles import Summary, labels_of, unit_of
from ndmc.store import Store

if TYPE_CHECKING:
    from ndmc.figures import Comparison
    from ndmc.posterior import Moments
    from ndmc.reconciliation import Reconciled
    from ndmc.validation import Validation

__all__ = ["console", "number", "plain_table", "progress_bar"]

_WIDE = 110  # characters that three outputs side by side need


def console() -> Console:
    """Return the terminal, or a wide page where there is none."""
    # Titles and labels are the user's: brackets in them are no markup.
    return Console(markup=False) if sys.stdout.isatty() else Console(markup=False, width=120)


def number(value: float) -> str:
    """Return a number with four significant digits, and all those before the point.

    Examples
    --------
    >>> number(115032.7), number(0.0123456), number(-3.0)
    ('115,033', '0.01235', '-3')
    """
    if not math.isfinite(value):
        return {math.inf: "none", -math.inf: "none"}.get(value, "-")
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _never(value: float) -> str:
    """Return a percentile as people read it: what is beyond all years never happens."""
    return "never" if value == math.inf else number(value)


def _limits(low: float, high: float) -> str:
    """Return confidence limits: none where there are too few draws for one."""
    return f"{_never(low)} .. {'never' if low == math.inf else number(high)}"


def percent(quantile: float) -> str:
    """Return a share as a percent sign people write: 2.5 %."""
    return f"{quantile * 100:g} %"


def plain_table(title: str, *columns: str, words: int = 1, no_wrap: bool = False) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        if index < words:
            table.add_column(column, overflow="fold", no_wrap=no_wrap)
        else:
            table.add_column(column, justify="right", no_wrap=True)
    return table


# --- progress ---------------------------------------------------------------------------------


class _Rate(ProgressColumn):
    """Draws per second so far."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f} draws/s")


@contextmanager
def progress_bar(title: str) -> Iterator[Any]:
    """Yield a function (done, total) that moves a progress bar; silent when not on a terminal."""
    page = Console(stderr=True, markup=False)
    columns = (
        TextColumn(title, markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=page, transient=True, disable=not page.is_terminal) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


# --- run and percentiles ----------------------------------------------------------------------


def plan_printer(progress: Any) -> Any:
    """Return a function that shows on a terminal what a run will take."""
    page = Console(stderr=True, markup=False)

    def show(estimate: object) -> None:
        if page.is_terminal:
            page.print(f"{estimate}", highlight=False, soft_wrap=True)

    return show


def print_run(store: Store) -> None:
    """Print the closing table of a run, what left its range, and what to type next."""
    page, attrs = console(), store.attrs
    if not store.complete:
        missing = store.missing()
        page.print(
            f"this part is done; of {store.path} {len(missing):,} of {len(store.written):,} blocks "
            "are left to other parts. The last to be done merges the percentiles; "
            f"ndmc finish {store.path} does it by hand",
            soft_wrap=True,
            highlight=False,
        )
        return
    headline = [name for name in attrs["headline"] if name in store.spec.percentiles]
    if not headline:
        headline = [n for n in store.spec.percentiles if store.computed[n].kind != "parameter"][:3]
    by_dims: dict[tuple[str, ...], list[str]] = {}
    for name in headline:
        by_dims.setdefault(store.computed[name].dims, []).append(name)
    for names in by_dims.values():
        _print_headline(page, store, names)
    print_findings(page, store)
    print_targets(page, store)
    page.print(f"{attrs['draws']:,} draws, seed {attrs['seed']}, in {store.path}", soft_wrap=True)
    example = headline[0] if headline else next(iter(store.computed))
    page.print(f"next: ndmc percentiles {store.path} -v {example}", soft_wrap=True, highlight=False)


def print_targets(page: Console, store: Store) -> None:
    """Print which of the targets of ``--until`` are reached."""
    for found in store.attrs.get("until", []):
        word = "reached" if found["met"] else "not reached"
        half = "unknown" if found["half_width"] is None else f"{found['half_width']:.2%}"
        page.print(
            f"{word}: {found['target']}; it is known to {half} after {found['draws']:,} draws "
            f"(limits of {found['confidence']:.2%}, so that all of {found['looks']} looks "
            "together have 95 %)",
            style="" if found["met"] else "yellow",
            highlight=False,
            soft_wrap=True,
        )


def _print_headline(page: Console, store: Store, names: list[str]) -> None:
    """Print outputs of the same dims side by side, or below each other on a narrow page."""
    if page.width < _WIDE and len(names) > 1:
        for name in names:
            _print_headline(page, store, [name])
        return
    dims = store.computed[names[0]].dims
    others = tuple(dim for dim in dims if dim != "year")
    totals = all(f"percentiles/{name}_total" in store.metadata for name in names)
    blocks = [_last_year(store, name, totals) for name in names]
    heads = [percent(q) for q in store.spec.quantiles]
    columns = [
        f"{store.computed[name].title}, {store.computed[name].unit}\n{_padded(heads, block)}"
        for name, block in zip(names, blocks, strict=True)
    ]
    year = f": {store.dims.labels['year'][-1]}" if "year" in dims else ""
    title = f"{store.attrs['title'] or store.attrs['scenario']}{year}"
    table = plain_table(title, "\n" + ", ".join(others), *columns, no_wrap=True)
    labels = [", ".join(cell.values()) for cell in store.dims.cells(others)]
    for row, label in enumerate([*labels, *["total"] * totals]):
        if row == len(labels):
            table.add_section()
        table.add_row(label, *(_padded(block[row], block) for block in blocks))
    page.print(table)


def _last_year(store: Store, name: str, total: bool) -> list[list[str]]:
    """Return the stored percentiles of each cell in the last year, and of their total, as texts."""
    rows: list[list[float]] = []
    for title in [name, *[f"{name}_total"] * total]:
        values = store.percentile(title)
        if "year" in store.computed[name].dims:
            values = values[..., -1]
        rows += values.reshape(len(store.spec.quantiles), -1).T.tolist()
    return [[_never(value) for value in row] for row in rows]


def _padded(texts: list[str], block: list[list[str]]) -> str:
    """Return texts in the width of the widest of their block."""
    width = max(6, *(len(text) for row in block for text in row))
    return "  ".join(f"{text:>{width}}" for text in texts)


def print_findings(page: Console, store: Store) -> None:
    """Print what draws were counted of, and how well the processes balance."""
    draws = store.attrs["draws"]
    for name, kind, count in store.counted:
        what, remedy = _WARNINGS[kind]
        text = f"warning: {what.format(repr(name))} in {count:,} of {draws:,} draws; {remedy}"
        page.print(text, style="yellow", soft_wrap=True)
    balance = store.attrs["balance"]
    if "worst" in balance and balance["checked"]:
        left, count = balance["not_computed"], len(balance["checked"])
        rest = f"; not computed whole: {', '.join(left)}" if left else ""
        page.print(
            f"balanced in every draw and year: {count} process{'es' * (count > 1)}, worst residual "
            f"{balance['worst']:.2g} of the largest flow or stock{rest}",
            soft_wrap=True,
            highlight=False,
        )


_WARNINGS = {
    "range": (
        "parameter {} left its physical range",
        "its values were used as drawn. Choose a distribution that stays inside (lognormal, beta, "
        "truncated_normal), or say 'range: any' if they are possible",
    ),
    "negative": (
        "flow {}, closed by a balance, is negative",
        "it was kept as it came out. More leaves its process than enters: look at the uncertainty "
        "of the flows beside it",
    ),
    "given_negative": (
        "flow {} is negative, as its value or share says,",
        "look at the parameters it is computed from",
    ),
    "negative_stock": (
        "the stock {} is prescribed below zero",
        "look at the parameters it is computed from",
    ),
    "clip": ("a clip() in {} took effect in at least one cell and year", "as its limits ask"),
    "negative_inflow": (
        "the prescribed stock {} falls faster than its cohorts leave, so its inflow is negative",
        "negative_inflow: clip or early_retirement would answer otherwise",
    ),
    "clipped_inflow": (
        "the prescribed stock {} falls faster than its cohorts leave",
        "nothing flowed in then, and it is larger than prescribed (negative_inflow: clip)",
    ),
    "early_retirement": (
        "the prescribed stock {} falls faster than its cohorts leave",
        "of all cohorts the same share left early then (negative_inflow: early_retirement)",
    ),
    "short_start": (
        "less than 20 % of what enters the stock {} is there at the end of the year",
        "its inflow swings from year to year; use inflow_at: uniform or end",
    ),
}


def percentile_rows(store: Store, summary: Summary) -> Iterator[dict[str, Any]]:
    """Yield a row per cell: its labels, percentiles with their limits, mean and sd."""
    chosen = summary.view
    cells: list[dict[str, Any]] = [{}]
    for dim in chosen.kept:
        cells = [{**c, dim: label} for c in cells for label in labels_of(store, chosen, dim)]
    count = len(summary.quantiles)
    parts = [part.reshape(count, -1) for part in (summary.values, summary.low, summary.high)]
    mean, sd = summary.mean.reshape(-1), summary.sd.reshape(-1)
    for n, cell in enumerate(cells):
        row: dict[str, Any] = {"variable": chosen.name, **cell, "unit": unit_of(store, chosen)}
        for q, quantile in enumerate(summary.quantiles):
            values = (float(part[q, n]) for part in parts)
            for suffix, value in zip(("", "_low", "_high"), values, strict=True):
                row[f"p{quantile * 100:g}{suffix}"] = value
        yield {**row, "mean": float(mean[n]), "sd": float(sd[n])}


def print_percentiles(store: Store, summaries: Mapping[str, Summary]) -> None:
    """Print percentiles, each with its 95 % confidence limits."""
    page = console()
    for name, summary in summaries.items():
        output, kept = store.computed[name], summary.view.kept
        columns = [text for q in summary.quantiles for text in (percent(q), "(95 % limits)")]
        title = f"{output.title}, {unit_of(store, summary.view)}"
        table = plain_table(title, *kept, *columns, words=len(kept))
        for row in percentile_rows(store, summary):
            cells = []
            for q in summary.quantiles:
                key = f"p{q * 100:g}"
                cells += [
                    _never(row[key]),
                    _limits(row[key + "_low"], row[key + "_high"]),
                ]
            table.add_row(*(str(row[dim]) for dim in kept), *cells)
        page.print(table)
    page.print(f"{store.attrs['draws']:,} draws, seed {store.attrs['seed']}")


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV, with the columns of all of them.

    Raises
    ------
    RunError
        If the file cannot be written.
    """
    held = [dict(row) for row in rows]
    columns = list(dict.fromkeys(key for row in held for key in row))
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(held)
    except OSError as failed:
        raise RunError(f"cannot write {str(path)!r}: {failed.strerror}") from None


# --- scenarios -------------------------------------------------------------------------------


def print_scenarios(found: Iterable[tuple[str, str]]) -> None:
    """Print the bundled scenarios."""
    table = plain_table("", "scenario", "title", words=2)
    for name, title in found:
        table.add_row(name, title)
    console().print(table)


def print_check(
    processes: Iterable[tuple[str, ...]],
    quantities: Iterable[tuple[str, str, str, str, str, str, float]],
    loops: Sequence[str],
    notes: Iterable[str],
    qualities: Sequence[tuple[str, ...]] = (),
) -> None:
    """Print the system: its processes, what determines each quantity, in which order, and loops."""
    page = console()
    table = plain_table("", "process", "in", "out", "stock", "closes", words=5)
    for row in processes:
        table.add_row(*row)
    page.print(table)
    table = plain_table(
        "", "step", "quantity", "dims", "determined by", "unit", "last year", words=5
    )
    for step, name, kind, dims, rule, unit, value in quantities:
        table.add_row(step, f"{name} ({kind})", dims, rule, unit, number(value))
    page.print(table)
    if qualities:
        title = "quality of data: the cv that follows from scores (1 is best)"
        heads = ("parameter", "method", "scores", "distribution", "cells", "cv")
        table = plain_table(title, *heads, words=4)
        for row in qualities:
            table.add_row(*row)
        page.print(table)
    for loop in loops:
        page.print(loop, soft_wrap=True, highlight=False)
    for note in notes:
        page.print(f"warning: {note}", style="yellow", soft_wrap=True)


def _stored_as(store: Store) -> str:
    bits = store.spec.bits
    rounded = f", rounded to {bits} bits: within {2.0 ** -(bits + 1):.2g} of each value"
    return store.spec.dtype + rounded * (bits > 0)


def print_info(store: Store) -> None:
    """Print what a store is, how complete it is and where it comes from."""
    page, attrs = console(), store.attrs
    written = store.written
    state = "complete"
    if not store.complete:
        state = f"not complete: {written.sum()} of {len(written)} blocks"
    facts = {
        "scenario": f"{attrs['scenario']}: {attrs['title']}",
        "scenario hash": attrs["scenario_hash"],
        "variant": attrs["variant"] or "none",
        "changes": ", ".join(f"{k}={v}" for k, v in attrs["changes"].items()) or "none",
        "draws": f"{attrs['draws']:,} in {len(written)} block{'s' * (len(written) != 1)}",
        "seed": str(attrs["seed"]),
        "state": state,
        "started": attrs["started"],
        "finished": attrs.get("finished", "-"),
        "versions": ", ".join(
            f"{k} {v}" for k, v in {"ndmc": attrs["ndmc"], **attrs["versions"]}.items()
        ),
        "computed in": store.spec.compute,
        "stored as": _stored_as(store),
    }
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in facts.items():
        table.add_row(key, value)
    page.print(table)
    outputs = plain_table("", "output", "dims", "unit", "title", "draws", words=5)
    for output in store.computed.values():
        stored = output.name in store.outputs
        dims = (*["draw"] * stored, *reversed(output.dims))
        kept = "stored" if stored else "percentiles only"
        outputs.add_row(output.name, ", ".join(dims), output.unit, output.title, kept)
    page.print(outputs)
    print_findings(page, store)
    if store.complete:
        print_targets(page, store)
        _print_widths(page, store)


def _print_widths(page: Console, store: Store) -> None:
    """Print how well the percentiles of each output are known, the worst cell of each."""
    table = plain_table("how well percentiles are known", "output", "worst", "95 % limits", words=2)
    for name, quantile, half, cell in widths(store):
        known = f"within {half:.2%}" if math.isfinite(half) else "no limit: too few draws"
        where = f" of {cell}" if cell else ""
        table.add_row(name, f"{percent(quantile)}{where}", known)
    page.print(table)


def print_damage(store: Store, damaged: Sequence[Any]) -> None:
    """Print what is damaged, or that nothing is."""
    page = console()
    if not damaged:
        entries = len(store.ledger.names)
        page.print(f"every file of {store.path} is what was written: {entries:,} ledger entries")
        return
    table = plain_table("", "block or part", "file", "what is wrong", words=3)
    for found in damaged:
        table.add_row(found.entry or "-", found.key, found.reason)
    page.print(table)


def print_validation(found: Validation) -> None:
    """Print published figures against the model, in groups, misses in red, and the sums of it."""
    page = console()
    titles = {
        "target": "targets",
        "soft": "soft targets",
        "contradiction": "published figures that contradict each other or their own tables",
        "reported": "reported, no tolerance claimed",
        "input": "inputs of the scenario, no evidence for it",
    }
    table_of = _drawn_figures if found.worst is None else _reconciled_figures
    for status, title in titles.items():
        rows = [c for c in found.comparisons if c.status == status]
        if rows:
            page.print(table_of(title, rows))
    _print_counts(page, found)
    if found.worst is not None:
        page.print(f"largest open equation {found.worst:.1e} of the largest term")
    if found.variant:
        page.print(f"compared under the variant {found.variant!r}")


def _drawn_figures(title: str, rows: Sequence[Comparison]) -> Table:
    could_miss = rows[0].status in ("target", "soft")
    words = ("quantity", "at") if could_miss else ("quantity", "at", "why")
    columns = ("published", "unit", "model", "95 % range", "off", "verdict")
    table = plain_table(title, *words, *columns, words=len(words))
    for c in rows:
        interval = f"{number(c.low)} .. {number(c.high)}" if math.isfinite(c.low) else "-"
        reason = [] if could_miss else [c.note]
        figures = (number(c.published), c.unit, number(c.median), interval, _off(c), c.verdict)
        table.add_row(c.quantity, c.at, *reason, *figures, style=_style(c))
    return table


def _reconciled_figures(title: str, rows: Sequence[Comparison]) -> Table:
    words = ("id", "quantity", "at")
    columns = ("published", "± %", "reconciled", "± %", "deviation", "class", "verdict")
    table = plain_table(title, *words, *columns, words=len(words))
    for c in rows:
        given = f"{number(c.published)} {c.unit}" if c.unit != "1" else number(c.published)
        figures = (given, _share(c.uncertainty), number(c.median), _share(c.cv))
        table.add_row(
            c.id, c.quantity, c.at, *figures, _off(c), c.known, c.verdict, style=_style(c)
        )
    notes = [f"{c.id or c.quantity}: {c.note}" for c in rows if c.note and c.verdict != "met"]
    table.caption, table.caption_justify = "\n".join(notes), "left"
    return table


def _style(comparison: Comparison) -> str:
    return "red" if comparison.verdict in ("missed", "unobservable") else ""


def _off(comparison: Comparison) -> str:
    deviation = comparison.deviation
    return f"{deviation:+.1%}" if math.isfinite(deviation) else "-"


def _share(value: float) -> str:
    return f"{100 * value:.3g}" if math.isfinite(value) else "-"


def _print_counts(page: Console, found: Validation) -> None:
    """Print how many figures are met of those that could be missed, and what is left out."""
    comparisons = found.comparisons
    for status, title in {"target": "targets", "soft": "soft targets"}.items():
        verdicts = [c.verdict for c in comparisons if c.status == status]
        if verdicts:
            page.print(f"{verdicts.count('met')} of {len(verdicts)} {title} are met")
    _print_stated(page, [c for c in comparisons if c.within], found.tolerance)
    left = [c for c in comparisons if c.status == "not_modelled"]
    if left:
        page.print(f"{len(left)} published figures are not modelled; --csv lists them with reasons")
    lost = [c for c in comparisons if c.status == "not_reproducible"]
    if lost:
        page.print(f"{len(lost)} published figures cannot be reproduced:")
    for c in lost:
        page.print(f"  {c.id or c.quantity}: {number(c.published)} {c.unit}: {c.note}")


def _print_stated(
    page: Console, stated: Sequence[Comparison], tolerance: Mapping[str, float]
) -> None:
    """Print how many figures are met within their uncertainty, and how many reproduce it."""
    if not stated:
        return
    inputs = [c for c in stated if c.status == "input"]
    others = [c for c in stated if c.status != "input"]
    within = [c.within for c in others].count("yes")
    share = f" ({within / len(others):.0%})" if others else ""
    page.print(
        f"{within} of {len(others)} figures with a stated uncertainty are met "
        f"within it{share}; {len(inputs)} more are inputs"
    )
    tight, loose = tolerance["target"], tolerance["soft"]
    more = f"; of {len(inputs)} more of inputs {_near(inputs, tight)} and {_near(inputs, loose)}"
    page.print(
        f"{_near(others, tight)} of {len(others)} stated uncertainties are reproduced to "
        f"{percent(tight)}, {_near(others, loose)} to {percent(loose)}{more if inputs else ''}"
    )


def _near(comparisons: Sequence[Comparison], tolerance: float) -> int:
    """Return of how many figures the model has the published uncertainty, to a tolerance."""
    return sum(abs(c.cv_deviation) <= tolerance for c in comparisons)


def print_reconciled(found: Reconciled) -> None:
    """Print every cell before and after, the tests, and what was rejected."""
    from ndmc.reconciliation import rows

    page = console()
    columns = ("unit", "before", "sd", "after", "sd", "shift", "test")
    table = plain_table("reconciled", "quantity", "known", *columns, words=2)
    for row in rows(found):
        numbers = [row.before, row.before_sd, row.after, row.after_sd]
        tests = [f"{x:+.2f}" if math.isfinite(x) else "-" for x in (row.shift, row.test)]
        style = "red" if row.known == "rejected" or abs(row.test) > found.critical else ""
        shown = [number(x) for x in numbers]
        table.add_row(row.quantity, row.known, row.unit, *shown, *tests, style=style)
    page.print(table)
    verdict = "no sign of gross errors" if found.p >= 1 - found.level else "gross errors remain"
    page.print(
        f"global test: chi2 {number(found.chi2)} with {found.redundancy} degrees of freedom, "
        f"p {found.p:.3g}: {verdict} at {percent(found.level)}"
    )
    page.print(
        f"largest open equation {found.worst:.1e} of the largest term, after {found.steps} steps; "
        f"a test beyond {found.critical:.2f} is marked"
    )
    _print_open(page, found)
    _print_rejected(page, found)


def print_moments(found: Reconciled, drawn: Moments, method: str) -> None:
    """Print how far mean and covariance of draws are from those of least squares."""
    import numpy as np

    page = console()
    sd = found.deviations
    size = np.abs(found.point)
    # Of what has no deviation, or only rounding for one, there is nothing to compare.
    known = np.isfinite(found.after) & (sd > np.maximum(1e-9 * size, 1e-9 * np.median(size)))
    off = np.abs(drawn.mean - found.point)[known] / sd[known]
    sds = np.sqrt(np.diag(drawn.covariance))[known]
    covariance = (found.spread @ found.spread.T).toarray()[np.ix_(known, known)]
    least = covariance / np.outer(sd[known], sd[known])
    own = drawn.covariance[np.ix_(known, known)] / np.outer(sds, sds)
    page.print(
        f"{drawn.draws:,} draws ({method}), worth {drawn.effective:,.0f} of equal weight, "
        f"{drawn.lost:,} without any; against least squares, over {known.sum()} cells:"
    )
    page.print(
        f"  means differ by up to {number(off.max())} sd (one standard error is "
        f"{number(drawn.effective**-0.5)})"
    )
    page.print(
        f"  standard deviations by up to {number(100 * np.abs(sds / sd[known] - 1).max())} %"
    )
    page.print(f"  correlations by up to {number(np.abs(own - least).max())}")


def _print_open(page: Console, found: Reconciled) -> None:
    """Print the equations that are open further than measurements err, the furthest first."""
    from ndmc.reconciliation import equations

    tested = equations(found)
    beyond = sorted((e for e in tested if abs(e.test) > found.critical), key=lambda e: -abs(e.test))
    page.print(
        f"nodal tests: as measured, {len(beyond)} of {len(tested)} equations are open by more than "
        f"{found.critical:.2f} of their standard deviations"
    )
    if beyond:
        table = plain_table("", "equation", "unit", "open", "sd", "test", words=1)
        for one in beyond:
            numbers = (number(one.open), number(one.open_sd), f"{one.test:+.2f}")
            table.add_row(one.equation, one.unit, *numbers)
        page.print(table)


def _print_rejected(page: Console, found: Reconciled) -> None:
    names = found.system.cell_names(found.system.parameters)
    for turn, one in enumerate(found.rejected, start=1):
        others = ", ".join(names[cell] for cell in one.alike)
        alike = f"; an error in {others} would look the same" if others else ""
        page.print(f"rejected {turn}: {names[one.cell]}, test {one.test:+.1f}{alike}")
