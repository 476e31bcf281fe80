"""What can be asked of a sensitivity study: a run of the same draws, with groups of inputs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ndmc.errors import InputError
from ndmc.given import as_count, as_flag, as_names, as_path, as_text, wrong
from ndmc.option import as_limits, option, read_count, read_limits, read_names
from ndmc.runs.options import Options
from ndmc.scenario.reserved import DIFFERENCE

if TYPE_CHECKING:
    from ndmc.plan.steps import Plan
    from ndmc.plan.study import InputGroup
    from ndmc.scenario.scenario import Scenario

__all__ = ["StudyOptions"]


def _as_tolerance(value: Any, name: str) -> float:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise wrong(name, value, "a number such as 0.01")
    if not 0 < float(value) < 1:
        message = f"a tolerance of {float(value):g} asked for; choose one between 0 and 1"
        raise InputError(f"{message}, such as 0.01: a half-width of shares", f"--{name}")
    return float(value)


def _read_tolerance(text: str, flag: str) -> float:
    try:
        return float(text)
    except ValueError:
        message = f"{text!r} is not a number; write a share such as 0.01"
        raise InputError(message, flag) from None


def _as_outputs(value: Any, name: str) -> tuple[str, ...] | None:
    """Return names; the words of a run are none, but for the one that stands for all there are."""
    found = as_names(value, name)
    if found in ((), ("none",), ("kept",)):
        raise InputError("no output is named; name some, or leave it out for all", "-v")
    return None if found == ("all",) else found


def _as_groups(value: Any, name: str) -> str:
    try:
        return as_path(value, name)
    except InputError:
        raise wrong(name, value, "a way such as 'grade', or the path of a file with them") from None


@dataclass(frozen=True, kw_only=True)
class StudyOptions(Options):
    """What is asked of a sensitivity study: see `sensitivity`.

    It is asked for as a run is, but of what it leaves no choice: draws are not stored, percentiles
    are those of the sentence that people read.
    """

    scenario: "Scenario | str | Path" = field(
        kw_only=False,
        metadata=option(
            "A bundled name, a scenario folder or file; or a store, to show again or to explain.",
            python="A loaded scenario, or what `load` takes; or the path or URL of a store: that "
            "of a study is opened, that of a run is explained as by ``linear``.",
            flags=("SCENARIO|STORE",),
        ),
    )
    draws: int | None = field(  # type: ignore[assignment]  # until the scenario is known
        default=None,
        kw_only=False,
        metadata=option(
            "Number of draws, even; 8192 if not given, 16384 with --linear, at most 1e7 with "
            "--tolerance.",
            python="Number of draws, an even one. A later call may ask for more: the study goes "
            "on. If None 8,192; 16,384 where ``linear``, and at most 10 million for a "
            "``tolerance``.",
            flags=("-n", "--draws"),
            text="",
            read=read_count,
            take=as_count,
        ),
    )
    out: str | Path | None = field(  # type: ignore[assignment]  # until the scenario is known
        default=None,
        metadata=option(
            "Store to write, path or URL; NAME-sensitivity.zarr if not given.",
            python="Path or URL of the store, which must not exist unless it holds this same study "
            "or ``overwrite`` is given; ``NAME-sensitivity.zarr`` if None.",
            text="",
            after="seed",
            take=as_path,
        ),
    )
    ensemble: str = field(
        default="",
        metadata=option(
            "An ensemble of the scenario, or 'ensemble' for the only one: what decides its gains.",
            python="Name of an ensemble of the scenario, or ``ensemble`` for the only one: outputs "
            "are then those of its members and their differences, such as ``in_use_difference``.",
            after="out",
            take=as_text,
        ),
    )
    outputs: Iterable[str] | None = field(
        default=None,
        metadata=option(
            "Outputs to explain: names with commas, all if not given.",
            python="Outputs whose variance is shared out; all if None.",
            flags=("-v", "--outputs"),
            text="",
            read=read_names,
            after="ensemble",
            take=_as_outputs,
        ),
    )
    groups: str | Path | None = field(
        default=None,
        metadata=option(
            "What moves together: parameter, label:DIM, grade, source, or a YAML file with groups; "
            "what the scenario says if not given, else parameter.",
            python="Inputs that move together: ``parameter``, ``label:product`` and so on, "
            "``grade``, ``source``, or the path of a YAML file with groups. What the scenario says "
            "if None, else each parameter alone.",
            text="",
            after="outputs",
            take=_as_groups,
        ),
    )
    exceed: Sequence[tuple[str, float | str]] = field(
        default=(),
        metadata=option(
            "Also say what decides whether 'NAME > 100 kt'. Repeatable.",
            python='Texts such as ``"in_use > 100 kt"``, or pairs of an output and a limit, a '
            'number in its unit or a text such as ``"100 kt"``: what decides whether it is '
            "exceeded is said, too.",
            text=[],
            read=read_limits,
            take=as_limits,
        ),
    )
    tolerance: float | None = field(
        default=None,
        metadata=option(
            "Stop when total shares of the headline outputs are known to this, such as 0.01.",
            python="The study ends when the total shares of the headline outputs are known to "
            "within this, such as 0.01, at the latest after ``draws``.",
            text="",
            read=_read_tolerance,
            shared=False,
            after="exceed",
            take=_as_tolerance,
        ),
    )
    linear: bool = field(
        default=False,
        metadata=option(
            "Only first shares of every single input, by a linear fit: no store is written.",
            python="Whether only the first shares of every single input are estimated, by one "
            "linear fit: nothing is stored.",
            shared=False,
            after="tolerance",
            take=as_flag,
        ),
    )

    names_by: ClassVar[str] = "-v"

    def wanted(self, scenario: "Scenario") -> Iterable[str] | None:
        """Return the names of what is explained: in an ensemble the differences, if none is."""
        if scenario.ensemble is None or self.outputs is not None:
            return self.percentiles
        from ndmc.model import compared_outputs

        found = compared_outputs(scenario, None)
        return [name for name in found if name.endswith(DIFFERENCE)]

    keep: Iterable[str] | None = field(default=(), init=False)
    percentiles: Iterable[str] | None = field(default=None, init=False)
    quantiles: Sequence[float] = field(default=Options.quantiles, init=False)
    until: Sequence[str] = field(default=(), init=False)
    dtype: str = field(default=Options.dtype, init=False)
    bits: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Take what is given, in the words of a run."""
        super().__post_init__()
        if self.outputs is not None and [*self.outputs] == ["all"]:
            object.__setattr__(self, "outputs", None)
        object.__setattr__(self, "percentiles", self.outputs)

    def grouped(self, scenario: "Scenario", plan: "Plan") -> "tuple[InputGroup, ...]":
        """Return the groups of inputs behind a plan."""
        from ndmc.plan.input_groups import input_groups

        return input_groups(scenario, plan.samplers, f"{self.groups or ''}")
