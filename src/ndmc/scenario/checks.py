"""What a scenario as a whole must keep to: names, grades, nodes, correlations."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

from ndmc.dims import Dims
from ndmc.errors import InputError, Mistakes, nearest
from ndmc.scenario import reserved
from ndmc.scenario.dependence import cholesky
from ndmc.scenario.document import Document
from ndmc.scenario.needs import ignored, superfluous
from ndmc.scenario.parameters import Parameter
from ndmc.scenario.quality import LARGEST_CV, TOO_WIDE
from ndmc.scenario.schema import ScenarioFile
from ndmc.scenario.spelling import Spelling
from ndmc.scenario.written import BY_CONFIDENCE


def wrong_names(document: Document, file: ScenarioFile, dims: Dims) -> Iterator[InputError]:
    """Yield what is wrong with the names of a scenario, and with what refers to them."""
    yield from _taken(document, file, dims)
    yield from _unknown_dims(document, file, dims)
    yield from _wrong_flows(document, file)
    yield from _wrong_holders(document, file)
    outputs = dict.fromkeys([*file.flows, *file.stocks, *file.indicators])
    kept = [] if file.keep in (["all"], ["none"]) else file.keep or []
    for key, names in (("keep", kept), ("headline", file.headline)):
        for index, name in enumerate(names):
            if name not in outputs and not (key == "keep" and name in file.parameters):
                message = f"{name!r} is no flow, stock or indicator; {nearest(name, outputs)}"
                yield document.error(message, key, index)


def _taken(document: Document, file: ScenarioFile, dims: Dims) -> Iterator[InputError]:
    parents = [f"{dim}_{one}" for dim in dims.of for one in dims.named([dim])[:-1]]
    parents += [f"{dim}_{one}" for dim, some in dims.groupings.items() for one in some]
    own: tuple[str, ...] = (*reserved.DIMS, *reserved.WORDS, *dims.labels, *parents)
    suffixes: tuple[str, ...] = reserved.SUFFIXES
    if file.reconcile is not None:
        own, suffixes = (*own, *reserved.RECONCILED), (*suffixes, *reserved.OF_RECONCILED)
    taken = dict.fromkeys(own, "a dim or a word of ndmc's own")
    kinds = ("parameters", "flows", "stocks", "indicators")
    for kind in kinds:
        for name in getattr(file, kind):
            if name in taken:
                yield document.error(f"the name {name!r} is taken: {taken[name]}", kind, name)
            taken.setdefault(name, f"one of the {kind}")
    for kind in (*kinds, "dims"):
        for name in getattr(file, kind):
            if stem := _described_by(name, taken, suffixes):
                yield document.error(_described_under(name, stem), kind, name)


def _unknown_dims(document: Document, file: ScenarioFile, dims: Dims) -> Iterator[InputError]:
    known = [dim for dim in dims.labels if dim not in ("age", "cohort", "year")]
    for kind in ("flows", "stocks"):
        for name, entry in getattr(file, kind).items():
            for dim in entry.dims:
                if dim not in known:
                    hint = "every flow and stock has it" if dim == "year" else nearest(dim, known)
                    yield document.error(f"unknown dim {dim!r}; {hint}", kind, name, "dims")
            if clash := dims.clash(entry.dims):
                one, other = clash
                message = f"{one!r} and {other!r} group the same labels; name one of them"
                yield document.error(message, kind, name, "dims")


def _described_by(name: str, taken: Container[str], suffixes: Sequence[str]) -> str:
    """Return what a store describes under a name, if anything: its total is described too."""
    for suffix in suffixes:
        if name.endswith(suffix):
            stem = name.removesuffix(suffix)
            return stem if stem in taken else _described_by(stem, taken, suffixes)
    return ""


def _described_under(name: str, stem: str) -> str:
    return f"the name {name!r} is taken: a store describes {stem!r} under it; rename one"


def wrong_grades(document: Document, file: ScenarioFile) -> Iterator[tuple[str, InputError]]:
    """Yield the grades that cannot be used, with what is wrong with each."""
    for word, meant in file.confidence.items():
        if meant not in file.grades:
            message = f"unknown grade {meant!r}; {nearest(meant, file.grades)}"
            yield BY_CONFIDENCE, document.error(message, "confidence", word)
    for name, grade in file.grades.items():
        if grade.quality is None and grade.distribution is None:
            message = f"the key 'grades.{name}.distribution' is missing"
            yield name, document.error(message, "grades", name)
        if grade.quality and grade.cv is not None:
            message = "give either quality or cv, not both: scores say how wide it is"
            yield name, document.error(message, "grades", name, "cv")
        if grade.cv is not None and grade.cv > LARGEST_CV:
            message = f"cv is {TOO_WIDE.format(cv=grade.cv)}"
            yield name, document.error(message, "grades", name, "cv")
        if grade.cv is not None and grade.distribution:
            for _, message in ignored({grade.distribution}, {"cv"}):
                yield name, document.error(message, "grades", name, "cv")
        if grade.quality and grade.distribution and superfluous({grade.distribution}, {"cv"}):
            message = f"a quality means nothing to {grade.distribution}; remove it"
            yield name, document.error(message, "grades", name, "quality")


def wrongly_described(
    document: Document, parameters: Mapping[str, Parameter]
) -> Iterator[InputError]:
    """Yield the parameters under whose name a store describes the quality of another."""
    for name in parameters:
        stems = [name.removesuffix(s) for s in reserved.OF_SCORES if name.endswith(s)]
        for stem in stems:
            if stem in parameters and parameters[stem].rated:
                yield document.error(_described_under(name, stem), "parameters", name)


def _wrong_flows(document: Document, file: ScenarioFile) -> Iterator[InputError]:
    processes = set(file.processes)
    if len(processes) < len(file.processes):
        yield document.error("a process stands twice; keep one", "processes")
    for index, node in enumerate(file.environment or []):
        if node in processes:
            message = f"{node!r} is both a process and in the environment; keep one"
            yield document.error(message, "environment", index)
    idle = True
    for wrong in _wrong_ends(document, file):
        idle = False
        yield wrong
    if idle:  # else what a flow should touch is idle because of it
        yield from _idle_nodes(document, file)


def _wrong_ends(document: Document, file: ScenarioFile) -> Iterator[InputError]:
    nodes = dict.fromkeys([*file.processes, *(file.environment or [])])
    spelling = Spelling(file.processes)
    for name, flow in file.flows.items():
        if flow.origin == flow.target:
            message = f"flow {name!r} starts and ends in {flow.origin!r}; name another process"
            yield document.error(message, "flows", name)
        for end, node in (("from", flow.origin), ("to", flow.target)):
            if node not in nodes and (file.environment is not None or spelling.is_near(node)):
                message = f"unknown process {node!r}; {nearest(node, nodes)}"
                hint = "(nodes outside the balance are listed under 'environment')"
                yield document.error(f"{message} {hint}", "flows", name, end)


def _idle_nodes(document: Document, file: ScenarioFile) -> Iterator[InputError]:
    used = {node for flow in file.flows.values() for node in (flow.origin, flow.target)}
    for key, listed in (("processes", file.processes), ("environment", file.environment or [])):
        for index, node in enumerate(listed):
            if node not in used:
                yield document.error(f"no flow touches {node!r}; remove it or add one", key, index)


def _wrong_holders(document: Document, file: ScenarioFile) -> Iterator[InputError]:
    holders: dict[str, str] = {}
    processes = set(file.processes)
    for name, stock in file.stocks.items():
        if stock.process not in processes:
            message = f"unknown process {stock.process!r}; {nearest(stock.process, file.processes)}"
            yield document.error(message, "stocks", name, "process")
        if stock.process in holders:
            message = (
                f"process {stock.process!r} already holds the stock {holders[stock.process]!r}"
            )
            yield document.error(f"{message}; split the process", "stocks", name, "process")
        holders[stock.process] = name


def read_correlations(
    document: Document,
    file: ScenarioFile,
    parameters: Mapping[str, Parameter],
    mistakes: Mistakes,
) -> tuple[tuple[tuple[str, ...], tuple[tuple[float, ...], ...]], ...]:
    """Return the factors of correlations, but of those between parameters that cannot be read."""
    found = []
    unread = file.parameters.keys() - parameters.keys()
    for index, entry in enumerate(file.correlations):
        if unread.isdisjoint(entry.parameters):
            with mistakes.apart():
                factor = _correlation(document, file, index, parameters)
                found.append((tuple(entry.parameters), factor))
    return tuple(found)


def _correlation(
    document: Document, file: ScenarioFile, index: int, parameters: Mapping[str, Parameter]
) -> tuple[tuple[float, ...], ...]:
    """Return the Cholesky factor of a matrix."""
    entry, key = file.correlations[index], ("correlations", index, "matrix")
    _check_correlated(document, file, index, parameters)
    if len(entry.matrix) != len(entry.parameters):
        message = f"{len(entry.parameters)} parameters but {len(entry.matrix)} rows"
        raise document.error(message, *key)
    try:
        return tuple(tuple(row) for row in cholesky(entry.matrix).tolist())
    except ValueError as wrong:
        raise document.error(str(wrong), *key) from None


def _check_correlated(
    document: Document, file: ScenarioFile, index: int, parameters: Mapping[str, Parameter]
) -> None:
    """Refuse a correlation of parameters that cannot be correlated cell by cell."""
    names, key = file.correlations[index].parameters, ("correlations", index)
    before = [name for entry in file.correlations[:index] for name in entry.parameters]
    for n, name in enumerate(names):
        if name not in parameters:
            message = f"unknown parameter {name!r}; {nearest(name, parameters)}"
            raise document.error(message, *key)
        composition = parameters[name].composition
        if composition and composition.shares:
            message = f"{name!r} is drawn as shares that sum to 1, whose correlation follows from"
            raise document.error(f"{message} their means; take it out", *key)
        if name in before or name in names[:n]:
            message = f"parameter {name!r} is correlated twice; put it in one matrix"
            raise document.error(message, *key)
        if not parameters[name].uncertain:
            message = f"parameter {name!r} is certain, nothing to correlate; leave it out"
            raise document.error(message, *key)
    first = parameters[names[0]]
    for name in names[1:]:
        if (parameters[name].dims, parameters[name].errors) != (first.dims, first.errors):
            message = f"{first.name!r} and {name!r} must have the same dims and the same errors"
            raise document.error(f"{message} to be correlated cell by cell", *key)
