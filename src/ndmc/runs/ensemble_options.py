"""What can be asked of an ensemble: a run of the same draws, of several policies and futures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ndmc.errors import InputError
from ndmc.given import as_count, as_names, as_path, as_text
from ndmc.option import option, read_count, read_names
from ndmc.runs.options import Options

if TYPE_CHECKING:
    from ndmc.scenario.scenario import Scenario

__all__ = ["EnsembleOptions"]


def _read_levers(texts: Sequence[str], flag: str) -> dict[str, list[str]]:
    """Read levers such as ``collection=50,70,90``."""
    found = dict[str, list[str]]()
    for text in texts:
        name, is_set, values = text.rpartition("=")
        if not (name and is_set and values):
            message = f"{text!r} is not of the form name=value,value"
            raise InputError(f"{message}, such as collection=50,70,90", flag)
        if name in found:
            raise InputError(f"the lever {name!r} is given twice; leave one out", flag)
        found[name] = values.split(",")
    return found


def _as_outputs(value: Any, name: str) -> tuple[str, ...]:
    found = as_names(value, name)
    if found in ((), ("none",), ("kept",)):
        raise InputError("no output is named; name some, or leave it out", "-v")
    return found


@dataclass(frozen=True, kw_only=True)
class EnsembleOptions(Options):
    """What is asked of an ensemble: see `ensemble`.

    It is asked for as a run is; draws are stored only if they are asked for.
    """

    scenario: "Scenario | str | Path" = field(
        kw_only=False,
        metadata=option(
            "A bundled name, a scenario folder or file; or a store, to show again.",
            python="A loaded scenario, or what `load` takes; or the path or URL of a store of an "
            "ensemble, which is opened.",
            flags=("SCENARIO|STORE",),
        ),
    )
    out: str | Path | None = field(  # type: ignore[assignment]  # until the scenario is known
        default=None,
        metadata=option(
            "Store to write, path or URL; NAME-ensemble.zarr if not given.",
            python="Path or URL of the store, which must not exist unless it holds this same "
            "ensemble, or one with some of its members, or ``overwrite`` is given; "
            "``NAME-ensemble.zarr`` if None.",
            text="",
            after="seed",
            take=as_path,
        ),
    )
    draws: int = field(
        default=10_000,
        kw_only=False,
        metadata=option(
            "Number of draws, such as 1e6; 10000 if not given.",
            python="Number of draws. A later call may ask for more: the ensemble goes on.",
            flags=("-n", "--draws"),
            text="",
            read=read_count,
            take=as_count,
        ),
    )
    ensemble: str = field(
        default="",
        metadata=option(
            "Which ensemble of the scenario, if it has several.",
            python="Which of its ensembles, if the scenario has several.",
            after="out",
            take=as_text,
        ),
    )
    policies: Iterable[str] | Mapping[str, Any] | None = field(
        default=None,
        metadata=option(
            "Policies: variants with commas; base is the scenario as it is.",
            python="Names of variants, ``base`` for the scenario as it is; or the variants of each "
            "policy by its name. What the scenario says if None.",
            text="",
            read=read_names,
            after="ensemble",
        ),
    )
    futures: Iterable[str] | Mapping[str, Any] | None = field(
        default=None,
        metadata=option(
            "Futures: variants with commas; base is the scenario as it is.",
            python="The same of futures; what the scenario says if None.",
            text="",
            read=read_names,
            after="policies",
        ),
    )
    levers: Mapping[str, Any] | None = field(
        default=None,
        metadata=option(
            "Values of something that may be set: NAME=value,value. Repeatable.",
            python="The values that each may take, by what `load` would change.",
            flags=("--lever",),
            text=[],
            read=_read_levers,
            after="futures",
        ),
    )
    reference: str = field(
        default="",
        metadata=option(
            "The policy that others are compared with.",
            python="The policy that others are compared with; what the scenario says, or the "
            "first, if empty.",
            after="levers",
            take=as_text,
        ),
    )
    outputs: Iterable[str] | None = field(
        default=None,
        metadata=option(
            "Outputs to compare: names with commas, or all.",
            python="Outputs that are compared; what the scenario says, else its headline, if None.",
            flags=("-v", "--outputs"),
            text="",
            read=read_names,
            after="reference",
            take=_as_outputs,
        ),
    )
    keep: Iterable[str] | None = field(
        default=(),
        metadata=option(
            "Outputs whose draws are stored: names with commas; none if not given.",
            python="Outputs whose draws are stored, such as ``x`` or ``x_difference``; none if "
            "not given.",
            text="",
            read=read_names,
            take=as_names,
        ),
    )

    names_by: ClassVar[str] = "-v"

    percentiles: Iterable[str] | None = field(default=None, init=False)

    def asked(self, scenario: "Scenario") -> Any:
        """Return what `load` is asked for: an ensemble of a scenario, as far as no other is given.

        What is compared, and what is better, is said of the scenario, whichever its policies are.
        """
        given = {
            "policies": self.policies,
            "futures": self.futures,
            "levers": self.levers,
            "reference": self.reference,
        }
        given = {key: value for key, value in given.items() if value}
        file = scenario.file
        known = file.ensembles.get(self.ensemble, file.ensemble)
        if not given or known is None:
            return given or self.ensemble or True
        kept = known.model_dump(exclude_defaults=True)
        gone = {"rows", "members"} | ({"cascade"} if "policies" in given else set())
        gone |= {"reference"} if "policies" in given else set()
        gone |= {"weights"} if "futures" in given else set()
        return {key: value for key, value in kept.items() if key not in gone} | given

    def wanted(self, scenario: "Scenario") -> tuple[str, ...] | None:
        """Return the names of what percentiles are computed of: outputs, and how they compare."""
        from ndmc.model import compared_outputs

        return compared_outputs(scenario, self.outputs)
