"""What people call things who come from other tools, spreadsheets and statistics."""

from __future__ import annotations

import re
from collections.abc import Collection

#: Numbers, keys and columns alike.
_NUMBERS = {
    "unit": "unit units uom",
    "value": "value values val",
    "mean": "mean average avg",
    "sd": "sd std stdev stddev stdv standarddeviation",
    "cv": "cv cvpercent cvpct coefficientofvariation relsd rsd relstd relstdev relstddev relativesd"
    " relativestandarddeviation reluncertainty relativeuncertainty relerror relativeerror",
    "low": "low lower lowerbound lowerlimit lowest lo lb min minimum",
    "mode": "mode mostlikely likeliest",
    "high": "high higher upper upperbound upperlimit highest hi ub max maximum",
    "mu": "mu",
    "sigma": "sigma",
}

#: What else keys are called.
_KEYS = {
    "from": "source origin start fromprocess fromnode",
    "to": "target destination end toprocess tonode",
    "dims": "dimensions dimension dimletters indices aspects",
    "value": "mean average amount mass formula equation expression",
    "share": "transfercoefficient tc coefficient fraction",
    "table": "file csv excel workbook",
    "distribution": "dist distributiontype uncertaintytype",
    "years": "time times period periods timeframe",
    "lifetime": "lifetimemodel lifetimedistribution",
    "initial": "initialstock start stock0 startvalue",
    "removals": "loss losses decay",
    "overflow": "spill spillover",
    "set": "changes",
    "of": "parent parentdim belongsto within",
    "missing": "fill fillna fillmissing gaps na interpolate interpolation extrapolate",
    "concentration": "alpha precision",
    "normalise": "sumto sumtoone normalised",
    "along": "over axis",
    "capacity": "max maximum limit cap size",
    "prescribed_from": "fromyear since prescribedsince feduntil",
    "extends": "base parent inherits inherit basedon",
    "variants": "extends base parts includes combines",
    "at_most": "max maximum upper upperbound upperlimit high highest lessthan atmost",
    "at_least": "min minimum lower lowerbound lowerlimit low lowest morethan atleast",
    "indicators": "outputs results",
    "note": "comment comments remark remarks",
    "environment": "sysenv outside externals",
}

#: What is never read of a table, and what is instead.
INSTEAD = {
    **dict.fromkeys(("uncertainty", "error", "err"), "call it 'sd', or 'cv' if it is a share"),
    **dict.fromkeys(("variance", "var"), "take its root and call it 'sd'"),
    **dict.fromkeys(
        ("gsd", "geometricsd", "geometricstandarddeviation"),
        "take its logarithm and call it 'sigma', beside 'mu'",
    ),
    **dict.fromkeys(
        ("distribution", "dist", "distributiontype", "uncertaintytype"),
        "say 'distribution' in the parameter, or row by row with grade: by_confidence",
    ),
}

#: What a file has not, and what is instead.
_NOT_HERE = {
    **dict.fromkeys(("timestep", "step", "dt"), "remove it: years are whole and without gaps"),
    **dict.fromkeys(
        ("elements", "element", "materials", "material", "layers", "goods", "substances"),
        "it is a dim as any other: dims: {element: [...]}",
    ),
    **dict.fromkeys(("seed", "draws", "nsim", "iterations"), "say it when you run: ndmc run -n"),
}

CALL_IT = {name: key for key, names in _NUMBERS.items() for name in names.split()}

_BRACKETS = re.compile(r"\(.*?\)|\[.*?\]")

_NO_LETTERS = re.compile(r"[\W_]+")


def plain(name: str) -> str:
    """Return a name without what people vary: capitals, blanks, signs and brackets.

    Examples
    --------
    >>> plain("Lower Bound [kt]")
    'lowerbound'
    """
    return _NO_LETTERS.sub("", _BRACKETS.sub("", name)).casefold()


def called_here(name: str, known: Collection[str]) -> str:
    """Return what a key is called here that is called otherwise elsewhere; empty if nothing is.

    Examples
    --------
    >>> called_here("source", ["from", "to"])
    "call it 'from'"
    """
    bare = plain(name)
    if bare in _NOT_HERE and "format" in known:  # at the top
        return _NOT_HERE[bare]
    if bare in INSTEAD and {"sd", "cv"} & {*known} and bare not in _KEYS["distribution"].split():
        return INSTEAD[bare]
    if bare == "probability" and "above" in known:
        return "say 'above: 5 kt' or 'below', and the share of draws as in 'at_least: 90 %'"
    named = ((key, names.split()) for table in (_NUMBERS, _KEYS) for key, names in table.items())
    key = next((key for key, names in named if key in known and bare in names), "")
    return f"call it {key!r}" if key and key != name.casefold() else ""
