"""What a scenario as a whole must keep to: names, grades, nodes, correlations."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from ndmc.dims import Dims
from ndmc.errors import nearest
from ndmc.scenario import reserved
from ndmc.scenario.dependence import cholesky
from ndmc.scenario.distributions import ignored, superfluous
from ndmc.scenario.document import Document
from ndmc.scenario.parameters import Parameter
from ndmc.scenario.schema import ScenarioFile
from ndmc.scenario.spelling import Spelling


def check_names(document: Document, file: ScenarioFile, dims: Dims) -> None:
    own: tuple[str, ...] = (*reserved.DIMS, *reserved.WORDS, *dims.labels)
    suffixes: tuple[str, ...] = reserved.SUFFIXES
    if file.reconcile is not None:
        own, suffixes = (*own, *reserved.RECONCILED), (*suffixes, *reserved.OF_RECONCILED)
    taken = dict.fromkeys(own, "a dim or a word of ndmc's own")
    for kind in ("parameters", "flows", "stocks", "indicators"):
        for name in getattr(file, kind):
            if name in taken:
                raise document.error(f"the name {name!r} is taken: {taken[name]}", kind, name)
            taken[name] = f"one of the {kind}"
    for kind in ("parameters", "flows", "stocks", "indicators"):
        for name in getattr(file, kind):
            if stem := _described_by(name, taken, suffixes):
                raise document.error(_described_under(name, stem), kind, name)
    for dim in file.dims:
        if stem := _described_by(dim, taken, suffixes):
            raise document.error(_described_under(dim, stem), "dims", dim)
    for word, grade in file.confidence.items():
        if grade not in file.grades:
            message = f"unknown grade {grade!r}; {nearest(grade, file.grades)}"
            raise document.error(message, "confidence", word)
    for kind in ("flows", "stocks"):
        for name, entry in getattr(file, kind).items():
            for dim in entry.dims:
                if dim not in dims.labels or dim in ("age", "cohort", "year"):
                    known = [d for d in dims.labels if d not in ("age", "cohort", "year")]
                    hint = "every flow and stock has it" if dim == "year" else nearest(dim, known)
                    raise document.error(f"unknown dim {dim!r}; {hint}", kind, name, "dims")
    _check_nodes(document, file)
    outputs = dict.fromkeys([*file.flows, *file.stocks, *file.indicators])
    for key in ("keep", "headline"):
        for index, name in enumerate(getattr(file, key) or []):
            if name not in outputs and not (key == "keep" and name in file.parameters):
                message = f"{name!r} is no flow, stock or indicator; {nearest(name, outputs)}"
                raise document.error(message, key, index)


def _described_by(name: str, taken: Container[str], suffixes: Sequence[str]) -> str:
    """Return what a store describes under a name, if anything: its total is described too."""
    for suffix in suffixes:
        if name.endswith(suffix):
            stem = name.removesuffix(suffix)
            return stem if stem in taken else _described_by(stem, taken, suffixes)
    return ""


def _described_under(name: str, stem: str) -> str:
    return f"the name {name!r} is taken: a store describes {stem!r} under it; rename one"


def check_grades(document: Document, file: ScenarioFile) -> None:
    for name, grade in file.grades.items():
        if grade.quality is None and grade.distribution is None:
            message = f"the key 'grades.{name}.distribution' is missing"
            raise document.error(message, "grades", name)
        if grade.quality and grade.cv is not None:
            message = "give either quality or cv, not both: scores say how wide it is"
            raise document.error(message, "grades", name, "cv")
        if grade.cv is not None and grade.distribution:
            for _, message in ignored({grade.distribution}, {"cv"}):
                raise document.error(message, "grades", name, "cv")
        if grade.quality and grade.distribution and superfluous({grade.distribution}, {"cv"}):
            message = f"a quality means nothing to {grade.distribution}; remove it"
            raise document.error(message, "grades", name, "quality")


def check_described(document: Document, parameters: Mapping[str, Parameter]) -> None:
    """Refuse a parameter under whose name a store describes the quality of another."""
    for name in parameters:
        stems = [name.removesuffix(s) for s in reserved.OF_SCORES if name.endswith(s)]
        for stem in stems:
            if stem in parameters and parameters[stem].rated:
                raise document.error(_described_under(name, stem), "parameters", name)


def _check_nodes(document: Document, file: ScenarioFile) -> None:
    processes = set(file.processes)
    if len(processes) < len(file.processes):
        raise document.error("a process stands twice", "processes")
    nodes = dict.fromkeys([*file.processes, *(file.environment or [])])
    spelling = Spelling(file.processes)
    for index, node in enumerate(file.environment or []):
        if node in processes:
            message = f"{node!r} is both a process and in the environment; keep one"
            raise document.error(message, "environment", index)
    for name, flow in file.flows.items():
        if flow.origin == flow.target:
            message = f"flow {name!r} starts and ends in {flow.origin!r}"
            raise document.error(message, "flows", name)
        for end, node in (("from", flow.origin), ("to", flow.target)):
            if node in nodes:
                continue
            if file.environment is not None or spelling.is_near(node):
                message = f"unknown process {node!r}; {nearest(node, nodes)}"
                hint = "(nodes outside the balance are listed under 'environment')"
                raise document.error(f"{message} {hint}", "flows", name, end)
    used = {node for flow in file.flows.values() for node in (flow.origin, flow.target)}
    for key, listed in (("processes", file.processes), ("environment", file.environment or [])):
        for index, node in enumerate(listed):
            if node not in used:
                raise document.error(f"no flow touches {node!r}; remove it or add one", key, index)
    _check_holders(document, file)


def _check_holders(document: Document, file: ScenarioFile) -> None:
    holders: dict[str, str] = {}
    processes = set(file.processes)
    for name, stock in file.stocks.items():
        if stock.process not in processes:
            message = f"unknown process {stock.process!r}; {nearest(stock.process, file.processes)}"
            raise document.error(message, "stocks", name, "process")
        if stock.process in holders:
            message = (
                f"process {stock.process!r} already holds the stock {holders[stock.process]!r}"
            )
            raise document.error(f"{message}; split the process", "stocks", name, "process")
        holders[stock.process] = name


def read_correlations(
    document: Document, file: ScenarioFile, parameters: dict[str, Parameter]
) -> tuple[tuple[tuple[str, ...], tuple[tuple[float, ...], ...]], ...]:
    found = []
    for index, entry in enumerate(file.correlations):
        _check_correlated(document, file, index, parameters)
        key = ("correlations", index)
        if len(entry.matrix) != len(entry.parameters):
            message = f"{len(entry.parameters)} parameters but {len(entry.matrix)} rows"
            raise document.error(message, *key, "matrix")
        try:
            factor = cholesky(entry.matrix)
        except ValueError as wrong:
            raise document.error(str(wrong), *key, "matrix") from None
        found.append((tuple(entry.parameters), tuple(tuple(row) for row in factor.tolist())))
    return tuple(found)


def _check_correlated(
    document: Document, file: ScenarioFile, index: int, parameters: dict[str, Parameter]
) -> None:
    """Refuse a correlation of parameters that cannot be correlated cell by cell."""
    names, key = file.correlations[index].parameters, ("correlations", index)
    before = [name for entry in file.correlations[:index] for name in entry.parameters]
    for n, name in enumerate(names):
        if name not in parameters:
            message = f"unknown parameter {name!r}; {nearest(name, parameters)}"
            raise document.error(message, *key)
        if name in before or name in names[:n]:
            message = f"parameter {name!r} is correlated twice; put it in one matrix"
            raise document.error(message, *key)
        if not parameters[name].uncertain:
            raise document.error(f"parameter {name!r} is certain, nothing to correlate", *key)
    first = parameters[names[0]]
    for name in names[1:]:
        if (parameters[name].dims, parameters[name].errors) != (first.dims, first.errors):
            message = f"{first.name!r} and {name!r} must have the same dims and the same errors"
            raise document.error(f"{message} to be correlated cell by cell", *key)
