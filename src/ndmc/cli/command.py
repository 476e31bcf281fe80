"""A command that ignores nothing it is given: each option once, and no empty text."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from ndmc.errors import InputError


class Command(TyperCommand):
    """A command of ndmc: of an option given twice others take the last one silently."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of a command; what is wrong with them is said of this command."""
        try:
            values, _, given = self.make_parser(ctx).parse_args([*args])
            for option in filter(_takes_text, given):
                _check_given(option, values[option.name], given.count(option))
            found: list[str] = super().parse_args(ctx, args)
        except Exception as wrong:
            if getattr(wrong, "ctx", ctx) is None:  # as the parser leaves it
                wrong.ctx = ctx  # type: ignore[attr-defined]
            raise
        return found


def _check_given(option: Any, value: Any, times: int) -> None:
    flag = max(option.opts, key=len)
    if times > 1 and not option.multiple:
        raise InputError("given twice, but takes one value; leave one out", flag)
    if not all(value if option.multiple else [value]):
        raise InputError("given without a value; say one, or leave it out", flag)


def _takes_text(option: Any) -> bool:
    return option.param_type_name == "option" and not option.is_flag
