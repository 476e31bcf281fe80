"""Units that a scenario declares itself: money, what is counted, and amounts of known units."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from ndmc.errors import InputError, Mistakes, closest, shortened
from ndmc.scenario.document import Document
from ndmc.scenario.known_units import Declared, UnitError, called, names_in, read_unit
from ndmc.scenario.units import Dimension, parse_amount

#: What a unit may be besides an amount, with the prefixes of the kind, as in the table of units.
_KINDS = {"money": "k M G", "count": "k M"}

_NAME = re.compile(r"[^\W\d]+")

#: Base dimensions that are no currency.
_PHYSICAL = ("[mass]", "[length]", "[time]", "[substance]")

#: A currency of the name of one would be taken for it; ``per`` divides.
_TAKEN = ("per", *(name.strip("[]") for name in _PHYSICAL))


def read_units(document: Document, given: Mapping[str, str]) -> Declared:
    """Return the units that a scenario declares, each behind those that it is made of.

    Raises
    ------
    InputError
        For a name that is none or known as something else, what is no amount, and circles.
    """
    found: Declared = ()
    with Mistakes() as mistakes:
        for name in _in_order(document, given):
            with mistakes.apart():
                try:
                    found += _declared(name, given[name], found)
                except UnitError as wrong:
                    raise document.error(str(wrong), "units", name) from None
    return found


def _in_order(document: Document, given: Mapping[str, str]) -> Iterator[str]:
    """Yield names behind those that they are made of; what is a kind is made of nothing."""
    yield from (name for name, text in given.items() if text in _KINDS)
    waiting = {name: _made_of(text) for name, text in given.items() if text not in _KINDS}
    while waiting:
        ready = [name for name, parts in waiting.items() if not parts & waiting.keys()]
        if not ready:
            raise _circle(document, waiting)
        for name in ready:
            del waiting[name]
            yield name


def _made_of(text: str) -> set[str]:
    try:
        return names_in(parse_amount(text)[1])
    except UnitError:
        return set()  # told where it is read


def _circle(document: Document, waiting: Mapping[str, set[str]]) -> InputError:
    """Return the mistake that units are made of each other."""
    chain = [next(iter(waiting))]
    while chain[-1] not in chain[:-1]:
        chain.append(min(waiting[chain[-1]] & waiting.keys()))
    chain = chain[chain.index(chain[-1]) :]
    message = f"units are made of each other in a circle: {shortened(chain, ' -> ')}"
    return document.error(message, "units", chain[0])


def _declared(name: str, text: str, known: Declared) -> Declared:
    """Return one unit as a row of the table; nothing if it is there already, and the same."""
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise UnitError(f"{name!r} cannot be a unit; write letters and _ only, such as 'magnet'")
    size, powers, meaning = _meant(name, text, known)
    if not called(name):
        return ((name, meaning, _KINDS.get(text, "")),)
    there, its = read_unit(name)
    currency = text == "money" and its.keys().isdisjoint(_PHYSICAL) and len(its) == 1
    if not currency and (its != powers or not math.isclose(there, size, rel_tol=1e-12)):
        is_ = f"known already, as {called(name)} [{_dimension(its)}], and is not {text!r}"
        raise UnitError(f"the unit {name!r} is {is_}; call yours otherwise")
    return ()


def _meant(name: str, text: str, known: Declared) -> tuple[float, dict[str, int], str]:
    """Return the size of a unit, its base dimensions, and what it is as the table has it."""
    if text in _KINDS:
        return (1.0, {f"[{name}]": 1}, f"[{name}]") if text == "money" else (1.0, {}, "1")
    try:
        number, unit = parse_amount(text)
    except UnitError:
        near = closest(text, [*_KINDS])
        hint = f"did you mean {near!r}?" if near else "write money, count or such as '159 l'"
        raise UnitError(f"the unit {name!r} is {text!r}, which is no amount; {hint}") from None
    if not 0 < number < math.inf:
        raise UnitError(f"the unit {name!r} is {text!r}; it must be more than 0")
    size, powers = read_unit(unit, known)
    return number * size, powers, f"{number!r} {unit}".replace("e+", "e")


def _dimension(powers: Mapping[str, int]) -> Dimension:
    return Dimension.of({name: float(power) for name, power in powers.items()})
