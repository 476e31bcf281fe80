"""What a store says besides its draws: labels of dims, their groups, and parameters."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims
from ndmc.plan.steps import Output, Plan
from ndmc.portable import portable
from ndmc.scenario.marginals import KINDS
from ndmc.scenario.parameters import Parameter
from ndmc.scenario.quality import BASIC, INDICATORS
from ndmc.scenario.scenario import Scenario
from ndmc.store.coordinates import about_labels, further_coordinates, labels_of
from ndmc.store.keys import INPUTS, PARAMETERS, TABLES
from ndmc.store.layout import dims_of
from ndmc.store.place import Place
from ndmc.store.variables import CENTRAL, INDICATOR, QUALITY, TEXTS, Variable
from ndmc.store.zarr_v3 import SmallArrays

__all__ = ["write_coordinates"]

#: The labels of the dim of scores: every score that any method takes.
_INDICATORS = [*dict.fromkeys(name for group in INDICATORS.values() for name in group), BASIC]


def write_labels(
    place: Place, scenario: Scenario, kept: Sequence[Output], plan: Plan
) -> tuple[SmallArrays, dict[str, Mapping[str, str]]]:
    """Write labels and parameters durably.

    Returns the arrays, and the attributes of each group; the root is "".
    """
    inputs = [output for output in kept if output.kind == "parameter"]
    used = {
        "": dims_of(plan.outputs),
        PARAMETERS: {d for parameter in scenario.parameters.values() for d in parameter.dims},
    }
    if inputs:
        used[INPUTS] = {dim for output in inputs for dim in output.dims}
    arrays = SmallArrays(place)
    _write_parameters(arrays, scenario)
    attributes: dict[str, Mapping[str, str]] = {TABLES: scenario.tables}
    for group, dims in used.items():
        attributes[group] = write_coordinates(arrays, group, plan.dims, dims)
    arrays.settle()
    return arrays, attributes


def write_coordinates(
    arrays: SmallArrays, group: str, dims: Dims, used: Iterable[str]
) -> dict[str, str]:
    """Write the labels of the used dims, and the group of each label.

    Returns the attribute of the group that names those that are no dims.
    """
    for key, (dim, labels) in labels_of(group, dims, used).items():
        arrays.put(key, np.array(labels), (dim,), about_labels(key, dim, labels))
    return further_coordinates(dims, used)


def _write_parameters(arrays: SmallArrays, scenario: Scenario) -> None:
    """Write each parameter's central values, and what is known of each cell."""
    for parameter in scenario.parameters.values():
        put = functools.partial(_put, arrays, parameter, scenario.dims.shape(parameter.dims))
        attributes = _about(parameter)
        for kind, variable in TEXTS.items():
            texts = {"source": parameter.sources, "confidence": parameter.confidences}[kind]
            if len(texts.distinct) == 1:
                attributes[kind] = texts[0]
            else:
                put(variable, np.array(texts.values)[texts.codes], {})
        if parameter.rated:
            attributes["quality"] = sorted({one.method for one in parameter.ratings.values if one})
            for kind, values in _qualities(parameter).items():
                put(QUALITY[kind], values, {"long_name": QUALITY[kind].words})
        put(CENTRAL, parameter.marginals.central / parameter.factor, portable(attributes))
    if any(parameter.rated for parameter in scenario.parameters.values()):
        arrays.put(f"{PARAMETERS}/{INDICATOR}", np.array(_INDICATORS), (INDICATOR,), {})


def _put(
    arrays: SmallArrays,
    parameter: Parameter,
    shape: tuple[int, ...],
    variable: Variable,
    values: npt.NDArray[Any],
    about: Mapping[str, Any],
) -> None:
    """Write what is known of the cells of a parameter, [cell, ...]."""
    key = f"{PARAMETERS}/{variable.name(parameter.name)}"
    dims = variable.dims_of(parameter.name, parameter.dims)
    shaped = values.reshape((*shape, *values.shape[1:]))
    arrays.put(key, shaped, dims, about)


def _about(parameter: Parameter) -> dict[str, Any]:
    return {
        "units": parameter.unit,
        "long_name": parameter.title or parameter.name.replace("_", " "),
        "comment": parameter.note,
        "errors": {dim: _errors(error) for dim, error in parameter.errors.items()},
        "distribution": sorted(parameter.marginals.groups()),
        "grade": sorted(parameter.grades.distinct),
    }


def _qualities(parameter: Parameter) -> dict[str, npt.NDArray[Any]]:
    """Return what is known of the quality of each cell; of a cell without scores, nothing."""
    ratings, codes = parameter.ratings.values, parameter.ratings.codes
    scores = np.full((len(ratings), len(_INDICATORS)), np.nan)
    levels = np.full(scores.shape, "", dtype="U6")
    cvs = np.full(len(scores), np.nan)
    for n, rating in enumerate(ratings):
        if rating:
            cvs[n] = rating.cv
            for name, score in rating.scores:
                scores[n, _INDICATORS.index(name)] = score
            for name, level in rating.sensitivities:
                levels[n, _INDICATORS.index(name)] = level
    said = np.array([rating.distribution if rating else "" for rating in ratings])[codes]
    kinds = np.where(said != "", said, np.array([*KINDS])[parameter.marginals.kinds])
    return {
        "scores": scores[codes],
        "sensitivity": levels[codes],
        "cv": cvs[codes],
        "distribution": kinds,
    }


def _errors(error: Any) -> str:
    return (
        error.kind if error.kind in ("shared", "independent") else f"{error.kind}({error.value:g})"
    )
