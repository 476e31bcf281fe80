"""What can be asked of a run: the one list of options, for Python, the command line and jobs."""

import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar, cast

from ndmc.errors import InputError
from ndmc.given import as_count, as_flag, as_names, as_path, as_text, as_variant, wrong
from ndmc.option import (
    as_part,
    as_size,
    is_option,
    option,
    option_of,
    read_changes,
    read_count,
    read_part,
    read_size,
)
from ndmc.store.spec import Identity

if TYPE_CHECKING:
    from ndmc.plan.steps import Plan
    from ndmc.plan.study import InputGroup
    from ndmc.scenario.scenario import Scenario

__all__ = ["Options", "asked_by", "listed", "refuse_others"]

P = ParamSpec("P")
R = TypeVar("R")
O = TypeVar("O", bound="Options")  # noqa: E741 - beside P and R


def _as_client(value: Any, name: str) -> Any:
    if not (hasattr(value, "submit") and hasattr(value, "scheduler")):
        raise wrong(name, value, "a distributed.Client")
    return value


@dataclass(frozen=True, kw_only=True)
class Options(Identity):
    """What is asked of a run: see `run`.

    A field is all there is to an option: the arguments of `run` and its docstring, the options of
    ``ndmc run`` and ``ndmc job`` and the command that a job prints follow from it. One that
    changes what a run computes is a field of `Identity`, and with that an attribute of its store,
    which is refused where it differs.
    """

    scenario: "Scenario | str | Path" = field(
        kw_only=False,
        metadata=option(
            "A bundled name, a scenario folder or file.",
            python="A loaded scenario, or what `load` takes.",
            flags=("scenario",),
        ),
    )
    draws: int = field(
        kw_only=False,
        metadata=option(
            "Number of draws, such as 1e6; 10000 if not given, or at most 1e7 with --until.",
            python="Number of draws. A later call may ask for more: the run goes on.",
            flags=("-n", "--draws"),
            text="",
            read=read_count,
            take=as_count,
        ),
    )
    out: str | Path = field(
        metadata=option(
            "Store to write, path or URL; NAME.zarr if not given.",
            python="Path or URL of the store, which must not exist unless it holds this same run "
            "or ``overwrite`` is given.",
            text="",
            after="seed",
            take=as_path,
        ),
    )
    until: Sequence[str] = field(
        default=(),
        metadata=option(
            "Stop when known: 'NAME@2021 p97.5 within 0.5 %'. Repeatable.",
            python='Targets such as ``"in_use@2021 p97.5 within 0.5 %"``: the run ends when all '
            "are reached, at the latest after ``draws``.",
            text=[],
            shared=False,
            after="exceed",
            take=as_names,
        ),
    )
    changes: Mapping[str, Any] | None = field(
        default=None,
        metadata=option(
            "Change a value: name=value, or a.key.of.the.file=value. Repeatable.",
            python="As in `load`; only where ``scenario`` is not loaded yet.",
            flags=("--set",),
            text=[],
            read=read_changes,
            after="until",
        ),
    )
    variant: str | Sequence[str] = field(
        default="",
        metadata=option(
            "One of the scenario's variants, or several: a,b. Repeatable.",
            python="As in `load`; only where ``scenario`` is not loaded yet.",
            text=[],
            read=as_variant,
            take=as_variant,
        ),
    )
    workers: int | None = field(
        default=None,
        metadata=option(
            "Threads, or processes; one per core if not given.",
            python="Threads, or processes; one for each of the processor's cores if None.",
            text="",
            read=read_count,
            shared=False,
            take=as_count,
        ),
    )
    processes: bool = field(
        default=False,
        metadata=option(
            "Compute in processes of a local Dask cluster.", shared=False, take=as_flag
        ),
    )
    scheduler: str = field(
        default="",
        metadata=option(
            "Address of a Dask scheduler whose workers compute.", shared=False, take=as_text
        ),
    )
    client: Any = field(
        default=None,
        metadata=option(
            python="A `distributed.Client` whose workers compute, instead of threads.",
            shared=False,
            take=_as_client,
        ),
    )
    part: tuple[int, int] | None = field(
        default=None,
        metadata=option(
            "Compute part i of N: i/N. The parts share the store.",
            python='``(3, 16)`` or ``"3/16"`` computes the third of 16 parts; whoever completes '
            "the run merges.",
            text="",
            read=read_part,
            shared=False,
            take=as_part,
        ),
    )
    block: int | None = field(
        default=None,
        metadata=option(
            "Draws per block, rounded up to a power of two from 256 on; what fits if not given.",
            python="Draws per block, rounded up to a power of two from 256 on; chosen by size and "
            "``memory`` if None.",
            text="",
            read=read_count,
            take=as_count,
        ),
    )
    memory: int | None = field(
        default=None,
        metadata=option(
            "For compiling, blocks and digests, such as 4GiB; if not given 2GiB, or half of what "
            "there is where less does not do.",
            python='Bytes, or a text such as ``"4GiB"``, for compiling, blocks and digests, which '
            "are cut to it. If None 2 GiB, and where less does not do half of what the machine "
            "has. Where digests of one pass would hold more, two are made.",
            take=as_size,
            text="",
            read=read_size,
            shared=False,
            after="bits",
        ),
    )
    overwrite: bool = field(
        default=False,
        metadata=option(
            "Remove the store there is, and begin anew; also where the run was stopped.",
            python="Whether the store there is, of whatever run, is removed, and the run begins "
            "anew. What is no store of ndmc's, or holds other files, is refused.",
            shared=False,
            after="out",
            take=as_flag,
        ),
    )
    repair: bool = field(
        default=False,
        metadata=option("Compute anew the blocks that are damaged.", shared=False, take=as_flag),
    )

    #: The option that names outputs.
    names_by: ClassVar[str] = "--percentiles"

    #: Of a study, how well its shares are to be known.
    tolerance: float | None = field(default=None, init=False)

    def grouped(self, scenario: "Scenario", plan: "Plan") -> "tuple[InputGroup, ...] | None":
        """Return the groups of inputs of a study; a run has none."""
        return None

    def wanted(self, scenario: "Scenario") -> Iterable[str] | None:
        """Return the names of what percentiles are computed of; None for all there are."""
        return self.percentiles

    def __post_init__(self) -> None:
        """Take what is given as a run needs it: a None stays one where there may be one."""
        for one in filter(is_option, fields(self)):
            value, take = getattr(self, one.name), option_of(one).take
            if take is not None and not (value is None and one.default is None):
                object.__setattr__(self, one.name, take(value, one.name))


def listed(kind: type[Options] = Options) -> list[Field[Any]]:
    """Return the options of a kind in the order in which people read them.

    Each comes after the one declared before it, or after the one it names; where there is none
    such, after all before it.
    """
    known = {one.name: one for one in fields(kind) if is_option(one)}
    order: list[str] = []
    place = 0
    for name in filter(known.__contains__, inspect.signature(kind).parameters):
        after = option_of(known[name]).after
        if after:
            place = order.index(after) + 1 if after in order else len(order)
        order.insert(place, name)
        place += 1
    return [known[name] for name in order]


#: What is given where an option is left out.
_NOTHING: tuple[Any, ...] = (None, "", (), [], {})


def refuse_others(options: Options, allowed: Sequence[str], why: str) -> None:
    """Refuse all options but some, for a reason.

    Raises
    ------
    InputError
        For the first that is given.
    """
    for one in listed(type(options)):
        given = getattr(options, one.name)
        if one.name not in allowed and given != one.default and given not in _NOTHING:
            raise InputError(why, [*option_of(one).flags, f"--{one.name}"][0])


def asked_by(
    options: Callable[P, O],
) -> Callable[[Callable[[O], R]], Callable[P, R]]:
    """Let a function of options be called with them, and list them in its docstring."""

    def decorate(function: Callable[[O], R]) -> Callable[P, R]:
        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                asked = options(*args, **kwargs)
            except TypeError as wrong:  # which names the class
                name = f"{function.__name__}()"
                raise TypeError(re.sub(r"\w+\.__init__\(\)", name, str(wrong))) from None
            return function(asked)

        known, own = inspect.signature(options).parameters, inspect.signature(function)
        shown = listed(cast("type[Options]", options))
        order = [known[one.name] for one in shown]
        called.__dict__["__signature__"] = own.replace(parameters=order)
        text = inspect.cleandoc(function.__doc__ or "")
        called.__doc__ = text.replace("{options}", "\n".join(map(_described, shown)))
        return called

    return decorate


def _described(one: Field[Any]) -> str:
    """Return what a docstring says of an option."""
    text = option_of(one).python or option_of(one).help
    return f"{one.name}\n{textwrap.fill(text, 96, initial_indent='    ', subsequent_indent='    ')}"
