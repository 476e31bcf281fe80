"""The equation system: which balance closes which flow, and what no equation determines.

Each process balances, each stock releases; every flow that is neither given nor a share needs one
of these equations for itself. What cannot be matched is named, with what would mend it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching, min_weight_full_bipartite_matching

from ndmc.errors import Mistakes, shortened
from ndmc.plan.splits import Split, split_of
from ndmc.plan.steps import Term
from ndmc.plan.vocabulary import Vocabulary

#: What is wrong, and where.
Fault = tuple[str, tuple[str | int, ...]]

#: So many faults are told; one that is mended often mends others.
_TOLD = 5


@dataclass(frozen=True)
class Closing:
    """What closes one flow: the balance of a process, or what its stock releases or takes in."""

    process: str
    kind: Literal["balance", "release", "inflow"]
    flows: tuple[str, ...]

    @property
    def text(self) -> str:
        """The equation in words."""
        return {
            "balance": f"the balance of {self.process!r}",
            "release": f"the release of the stock in {self.process!r}",
            "inflow": f"the inflow that the prescribed stock in {self.process!r} takes",
        }[self.kind]


def close_flows(names: Vocabulary) -> dict[str, Closing]:
    """Return the equation that closes each open flow.

    Raises
    ------
    InputError
        If a flow is left undetermined or a process has nothing left to close.
    """
    file = names.file
    with Mistakes() as mistakes:
        for index, process in enumerate(file.processes):
            with mistakes.apart():
                _check_crossed(names, process, index)
    open_flows = [
        name
        for name, flow in file.flows.items()
        if (flow.value is None or flow.until is not None)
        and flow.share is None
        and name not in names.claims
    ]
    splits = {process: split_of(names, process) for process in file.processes}
    equations = [*_equations(names, splits, open_flows)]
    matched = _match(names, open_flows, equations)
    used = set(matched.values())
    faults: list[Callable[[], Fault]] = [
        functools.partial(_undetermined, names, name, matched, equations)
        for name in open_flows
        if name not in matched
    ]
    faults += [
        functools.partial(_overdetermined, names, equation, matched, splits[equation.process])
        for equation in equations
        if equation not in used
    ]
    if faults:
        _fail(names, faults)
    return matched


def _equations(
    names: Vocabulary, splits: Mapping[str, Split | None], flows: Sequence[str]
) -> Iterable[Closing]:
    """Yield the equations of all processes, but those that hold as shares leave nothing over."""
    places = {name: place for place, name in enumerate(flows)}
    for process, split in splits.items():
        holds = split is not None and not split.wrong
        for equation in _closings(names, process, places):
            if equation.kind == "inflow" or not holds:
                yield equation


def _fail(names: Vocabulary, faults: Sequence[Callable[[], Fault]]) -> NoReturn:
    (first, key), *others = (fault() for fault in faults[:_TOLD])
    texts = [first, *(text for text, _ in others)]
    if len(faults) > _TOLD:
        texts.append(f"{len(faults) - _TOLD} more flows or processes do not fit")
    names.fail("; besides, ".join(texts), *key)


def _check_crossed(names: Vocabulary, process: str, index: int) -> None:
    """Refuse a process that mass only enters or only leaves."""
    stock = names.file.stocks.get(names.holders.get(process, ""))
    key = ("processes", index)
    if not names.inflows(process):
        held = f", which holds {names.holders[process]!r}" if stock else ""
        names.fail(
            f"nothing enters {process!r}{held}; add a flow, or list it under environment", *key
        )
    if not names.outflows(process) and stock is None:
        names.fail(
            f"nothing leaves {process!r}; add a flow, give it a stock of kind: sink, or list it "
            "under environment",
            *key,
        )


def _closings(names: Vocabulary, process: str, places: Mapping[str, int]) -> Iterable[Closing]:
    """Yield the equations of a process, with the open flows that each could close."""

    def opened(*terms: Term, ended: bool = False) -> tuple[str, ...]:
        """Return open flows: those that are given until a year, or the others."""
        some = {t.name for t in terms if (names.file.flows[t.name].until is not None) == ended}
        return tuple(sorted(some & places.keys(), key=places.__getitem__))

    into, out = names.inflows(process), names.outflows(process)
    stock = names.file.stocks.get(names.holders.get(process, ""))
    if stock is None:
        yield Closing(process, "balance", opened(*into, *out))
    elif stock.kind == "lifetime":
        yield Closing(process, "release", opened(*out))
        if stock.value is not None:
            ended = stock.prescribed_from is not None
            yield Closing(process, "inflow", opened(*into, ended=ended))


def _match(
    names: Vocabulary, flows: Sequence[str], equations: Sequence[Closing]
) -> dict[str, Closing]:
    """Match flows to equations, as many as can be, and to those of their origin if possible.

    What a process sends on is then one minus the shares that leave it, times what enters: no gain
    above 1 arises that the loop itself has not. Sorted, so that the order in the file is all one.
    """
    rows = sorted(flows)
    columns = sorted(equations, key=lambda equation: (equation.process, equation.kind))
    row_of = {flow: row for row, flow in enumerate(rows)}
    ends = [(row_of[flow], column) for column, one in enumerate(columns) for flow in one.flows]
    if not ends:
        return {}
    own = [names.file.flows[rows[row]].origin == columns[column].process for row, column in ends]
    weights = csr_array(
        (np.where(own, 1.0, 2.0), tuple(zip(*ends, strict=True))), (len(rows), len(columns))
    )
    try:
        pairs = zip(*min_weight_full_bipartite_matching(weights), strict=True)
    except ValueError:  # not all can be matched: what cannot is named
        found = maximum_bipartite_matching(weights, perm_type="column")
        pairs = zip(np.flatnonzero(found >= 0), found[found >= 0], strict=True)
    return {rows[row]: columns[column] for row, column in pairs}


# --- what cannot be matched ------------------------------------------------------------------


def _undetermined(
    names: Vocabulary, name: str, matched: dict[str, Closing], equations: Sequence[Closing]
) -> Fault:
    """Name every flow that could be the one too many, and the equations they share."""
    closes: dict[str, list[Closing]] = {}
    for equation in equations:
        for flow in equation.flows:
            closes.setdefault(flow, []).append(equation)
    closed = {equation: flow for flow, equation in matched.items()}
    flows, shared = [name], dict[Closing, None]()
    for flow in flows:
        new = [equation for equation in closes.get(flow, []) if equation not in shared]
        shared.update(dict.fromkeys(new))
        flows += [closed[equation] for equation in new]
    if not shared:
        message = "no process balance can close it; give it a value or a share"
        return f"flow {name!r} is not determined: {message}", ("flows", name)

    def placed(flow: str) -> str:
        """Name a flow, with its line where it is another one."""
        line = names.where("flows", flow).rpartition(":")[2]
        return repr(flow) + f" (line {line})" * (flow != name)

    verb = "closes" if len(shared) == 1 else "close"
    texts = shortened((equation.text for equation in shared), last=" and ")
    return (
        f"flow {name!r} is not determined: {texts} already {verb} "
        f"{shortened(map(repr, flows[1:]), last=' and ')}; give a value or a share to one of "
        f"{shortened(map(placed, flows), last=' and ')}",
        ("flows", name),
    )


def _overdetermined(
    names: Vocabulary, equation: Closing, matched: dict[str, Closing], split: Split | None
) -> Fault:
    """Say why nothing is left for an equation to close, and what would leave it something."""
    process = equation.process
    stock = names.holders.get(process, "")
    key = ("processes", names.file.processes.index(process))
    ends = names.file.flows.items()
    flows = [name for name, flow in ends if process in (flow.origin, flow.target)]
    if equation.kind == "inflow":
        flows = [term.name for term in names.inflows(process)]
        return (
            f"the stock {stock!r} is prescribed, but every flow into it is determined elsewhere "
            f"({shortened(flows)}); leave one of them open, or remove the value of the stock: its "
            "inflow decides it",
            ("stocks", stock, "value"),
        )
    if equation.kind == "release" and not names.outflows(process):
        return (
            f"nothing leaves {process!r}, so what the stock {stock!r} releases has nowhere to go; "
            "add a flow without value or share",
            key,
        )
    if equation.kind == "release":
        flows = [term.name for term in names.outflows(process)]
    return _too_much_given(names, equation, matched, split, flows), key


def _too_much_given(
    names: Vocabulary,
    equation: Closing,
    matched: dict[str, Closing],
    split: Split | None,
    flows: Sequence[str],
) -> str:
    """Say which flows of an equation are given, or closed by others that have no more to close."""
    process, tied = equation.process, _tied(equation, matched)
    if split is not None:
        leaving = [term.name for term in names.outflows(process)]
        return (
            f"process {process!r} is over-determined: all that leaves it are shares "
            f"({shortened(leaving)}), which {split.wrong}; {split.remedy}or "
            f"{_could_be_left(names, process, flows)}"
        )
    if tied:
        texts = shortened((e.text for e in (equation, *tied.values())), last=" and ")
        others = shortened(flow for flow in flows if flow not in tied)
        which = f"one of their other flows ({others})" if others else "one of their other flows"
        return (
            f"process {process!r} is over-determined: {texts} have only "
            f"{shortened(map(repr, tied), last=' and ')} to close; leave {which} without value or "
            "share"
        )
    return (
        f"process {process!r} is over-determined: each of its flows ({shortened(flows)}) is given "
        f"elsewhere; {_could_be_left(names, process, flows)}"
    )


def _could_be_left(names: Vocabulary, process: str, flows: Sequence[str]) -> str:
    """Say which flows a balance can close: their dims are those that all others have, too."""
    file = names.file
    common = set.intersection(*(names.dims.full(names.flow_dims(flow)) for flow in flows))
    fitting = [flow for flow in flows if common.issuperset(names.flow_dims(flow))]
    shares = [flow for flow in flows if file.flows[flow].share is not None]
    shares = [flow for flow in shares if file.flows[flow].origin == process]
    leaving = [flow for flow in fitting if file.flows[flow].origin == process or not shares]
    measured = "; what is measured of it stands under reconcile, measured: {flow: parameter}"
    hint = measured * (file.reconcile is not None)
    if leaving:
        few = f"one of {shortened(leaving)}" if len(leaving) > 1 else leaving[0]
        return f"leave {few} without value or share so that the balance closes it{hint}"
    if fitting:
        values = f"give values instead of shares to {shortened(shares)}"
        return f"leave {fitting[0]} without value and {values}; the balance closes it{hint}"
    return f"add a flow with the dims {sorted(common)} alone, without value or share{hint}"


def _tied(equation: Closing, matched: dict[str, Closing]) -> dict[str, Closing]:
    """Return the flows this equation could close, were those that close them spared."""
    found: dict[str, Closing] = {}
    waiting = [equation]
    for one in waiting:
        for flow in one.flows:
            if flow in matched and flow not in found:
                found[flow] = matched[flow]
                waiting.append(matched[flow])
    return found
