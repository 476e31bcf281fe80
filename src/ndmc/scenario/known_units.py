"""The units that may be written, and what they are. Nothing else is a unit.

A library of all units reads too much. Pint's ``ton`` is the short one of 907 kg, its ``mt`` a
thousandth of a tonne, its ``pct`` a picometric carat; ``pcs`` are parsecs, ``Mrd`` is a megarod.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from functools import cache

#: All units. The first of those written alike is the symbol, the second the word; what a unit is
#: has the form and the order of the numbers in pint, so that factors have the bits they have there.
#: docs/scenario-format.md has the same lines.
UNITS = """
| kind | written | is | prefixes |
|---|---|---|---|
| mass | g gram grams | [mass] | n u m k M G T P |
| | t tonne tonnes ton tons metric_ton metric_tons metric_tonne metric_tonnes | 1e3 kg | k M G |
| | lb pound pounds lbs | 7000 * 64.79891 mg | k M |
| | short_ton short_tons | 2e3 lb | |
| | long_ton long_tons | 2240 lb | |
| | troy_ounce troy_ounces | 480 * 64.79891 mg | |
| | avoirdupois_ounce avoirdupois_ounces | lb / 16 | |
| length | m meter meters metre metres | [length] | n u m c d k |
| | ft foot feet | m / 3 * 0.9144 | |
| area | ha hectare hectares | 100 * 100 m^2 | k M |
| volume | l liter liters litre litres L | dm^3 | m h k M |
| time | s second seconds sec | [time] | |
| | min minute minutes | 60 s | |
| | h hour hours hr | 60 min | |
| | d day days | 24 h | |
| | week weeks | 7 d | |
| | month months | yr / 12 | |
| | yr year years yrs y a | 365.25 d | |
| energy | J joule joules | kg m^2 / s^2 | k M G T P E |
| | Wh watt_hour watt_hours | W h | k M G T P |
| | toe | 1e10 * 4.1868 J | k M |
| power | W watt watts | J / s | k M G T |
| | Wp | W | k M G |
| amount | mol mole moles | [substance] | m k M |
| count | unit units item items count counts piece pieces pcs | 1 | k M |
| | person persons people cap capita head heads inhabitant inhabitants | 1 | k M |
| | vehicle vehicles car cars device devices product products | 1 | k M |
| | household households dwelling dwellings building buildings | 1 | k M |
| number | dimensionless | 1 | |
| | thousand | 1e3 | |
| | million mio Mio mn mln | 1e6 | |
| | billion bn Mrd | 1e9 | |
| fraction | % percent wt% | 0.01 | |
| | permil permille | 1e-3 | |
| | ppm | 1e-6 | |
| | ppb | 1e-9 | |
| money | USD | [USD] | k M G |
| | EUR euro euros | [EUR] | k M G |
| | CNY RMB | [CNY] | k M G |
| | GBP | [GBP] | k M G |
| | JPY | [JPY] | k M G |
| | CHF | [CHF] | k M G |
"""

#: A letter stands before whatever is written, a word before a word.
_PREFIXES = """
n nano 1e-9, u micro 1e-6, m milli 1e-3, c centi 1e-2, d deci 0.1, h hecto 1e2, k kilo 1e3,
M mega 1e6, G giga 1e9, T tera 1e12, P peta 1e15, E exa 1e18
"""

#: What is written for a unit elsewhere, and what may be meant.
_MEANT = {
    "mt": "Mt t",
    "mT": "Mt t",
    "MT": "Mt t",
    "gr": "g",
    "gm": "g",
    "kilo": "kg",
    "oz": "troy_ounce avoirdupois_ounce",
    "ounce": "troy_ounce avoirdupois_ounce",
    "ounces": "troy_ounce avoirdupois_ounce",
    "u": "unit",
    "pct": "%",
    "M": "million",
    "sqm": "m^2",
    "sqft": "ft^2",
    "cbm": "m^3",
    "tpa": "t/yr",
    "ktpa": "kt/yr",
    "Mtpa": "Mt/yr",
    "$": "USD",
    "US$": "USD",
    "-": "1",
    "fraction": "1",
    "ratio": "1",
    "share": "1",
    "none": "1",
}

_NUMBER = r"\d[\d.]*(?:e-?\d+)?"

_POWER = r"\s*(?:\*\*|\^)\s*-?[1-9]|-?[1-9]"

_NAME = r"(?:[^\W\d]+%?|%)"

_FACTOR = rf"(?:{_NAME}(?:{_POWER})?|1)"

_UNIT = re.compile(rf"{_FACTOR}(?:\s*[*/ ]\s*{_FACTOR})*")  # no nested powers, no bombs

_TERM = re.compile(rf"([*/]?)\s*(?:({_NAME})({_POWER})?|({_NUMBER}))")

#: Two words that are one unit.
_TOGETHER = re.compile(r"\b(metric|short|long|troy|avoirdupois|watt)\s+(?=ton|ounce|hour)")

_SIGNS = str.maketrans(
    {
        "μ": "u",
        "€": "EUR",
        "£": "GBP",
        "‰": "permil",
        "\u2212": "-",
        "·": "*",
        "⋅": "*",
        "\xd7": "*",
    }
)

_MOST_CHARACTERS = 100

_LIKE = "write it like 'kg/MW', 'kg/cap/yr' or 'thousand t', without brackets and numbers"

_SUCH_AS = (
    "choose one such as t, kt, m**2, MW, kWh, USD, yr, %, or 'item' for whatever is counted; "
    "docs/scenario-format.md lists all"
)

#: Units of a scenario's own: a name, what it is and its prefixes, written as in the table.
Declared = tuple[tuple[str, str, str], ...]

_Powers = dict[str, int]

_Scales = dict[float, int]


class UnitError(ValueError):
    """A unit that is unknown, or of the wrong dimension."""


def read_unit(unit: str, declared: Declared = ()) -> tuple[float, dict[str, int]]:
    """Return the size of a unit, and the powers of the base dimensions that it is made of.

    ``declared`` are units of a scenario's own beside those that are known.

    Examples
    --------
    >>> read_unit("kton/yr") == read_unit("kt per year")
    True
    """
    text = _plain(unit) if len(unit) <= _MOST_CHARACTERS else "?"
    if text in ("", "1"):
        return 1.0, {}
    if not _UNIT.fullmatch(text):
        like = "a dollar says whose: USD" if "$" in text else _LIKE
        hint = f"; did you mean {_MEANT[text]!r}?" if text in _MEANT else f"; {like}"
        raise UnitError(f"cannot read the unit {unit[:_MOST_CHARACTERS]!r}{hint}")
    powers = _product(text)[1]
    known = _known(declared)
    for name in powers:
        if name not in known.ways:
            raise UnitError(_unknown(known, name, text, unit))
    return known.measured(powers)


def is_unit(text: str) -> bool:
    """Say whether a text is a unit.

    Examples
    --------
    >>> is_unit("months"), is_unit("if")
    (True, False)
    """
    try:
        read_unit(text)
    except UnitError:
        return False
    return True


def names_in(unit: str) -> set[str]:
    """Return what stands for units in one.

    Examples
    --------
    >>> sorted(names_in("kg/short ton"))
    ['kg', 'short_ton']
    """
    return {*_product(_plain(unit))[1]}


def called(name: str) -> str:
    """Return what a unit that everybody knows is called in full; nothing of any other.

    Examples
    --------
    >>> called("kton"), called("magnet")
    ('kilotonne', '')
    """
    return _known().called.get(name, "")


def _plain(unit: str) -> str:
    """Return a unit in letters, operators and digits that have one form."""
    if not unit.isascii():
        unit = unicodedata.normalize("NFKC", unit).translate(_SIGNS)
    return _TOGETHER.sub(r"\1_", re.sub(r"\s+per\s+", "/", unit.strip()))


# --- what is meant -------------------------------------------------------------------------------


def _unknown(known: _Known, name: str, text: str, unit: str) -> str:
    """Say of a name in a unit that it is none, and what may be meant."""
    written = re.search(rf"{re.escape(name)}\d*", text)
    found = f"unknown unit {(written or [name])[0]!r}"
    return f"{found}{'' if name == text else f' in {unit!r}'}; {_hint(known, name, text)}"


def _hint(known: _Known, name: str, text: str) -> str:
    ways = known.ways
    found = [way for way in ways if way.casefold() == name.casefold()]
    found = [*found, *(other for other in _MEANT.get(name, "").split() if other not in found)]
    if not found and len(name) > 2:
        found = difflib.get_close_matches(name, ways, n=1, cutoff=0.8)
    if found:
        names = [known.named(way) for way in found]
        return f"did you mean {' or '.join(names) if names[1:] else repr(found[0])}?"
    rest = _without_words(text)
    return f"a unit does not say of what: write {rest!r}" if rest else _SUCH_AS


def _without_words(text: str) -> str:
    """Return a unit without what is no unit behind a space, if a unit is left: t, of ``t REO``."""
    left = re.sub(r"\s+([^\W\d]+)[^\s*/]*", lambda f: f[0] if f[1] in _known().ways else "", text)
    return left if left != text and is_unit(left) else ""


# --- the table, read -----------------------------------------------------------------------------


class _Known:
    """The units: by each text that may be written the prefix, if any, and the unit, and a name."""

    def __init__(self, declared: Declared = ()) -> None:
        self.ways: dict[str, tuple[str, ...]] = {}
        self.called: dict[str, str] = {}
        self.bases: dict[str, str] = {}  # their dimensions
        self.parts: dict[str, tuple[list[float], _Powers]] = {}
        self.prefixes: dict[str, str] = {}
        for letter, word, number in (line.split() for line in _PREFIXES.split(",")):
            self.prefixes[letter] = word
            self.parts[f"{letter}-"] = _product(number)
        for row in UNITS.splitlines()[3:]:
            _, _, written, meaning, prefixes, _ = map(str.strip, row.split("|"))
            self._define(written.split(), meaning, prefixes.split())
        for name, meaning, prefixes in declared:
            self._define([name], meaning, prefixes.split())

    def _define(self, written: list[str], meaning: str, letters: list[str]) -> None:
        symbol = written[0]
        called = next((text for text in written if len(text) > 2), symbol)
        if meaning.startswith("["):
            self.bases[symbol] = meaning
        else:
            self.parts[symbol] = _product(_plain(meaning))
        for text in written:
            self.ways[text], self.called[text] = (symbol,), called
            for letter in letters:
                prefix = self.prefixes[letter]
                for whole in (letter + text, prefix + text)[: 1 + (len(text) > 2)]:
                    if whole not in self.ways:  # what is known stays what it is
                        self.ways[whole] = (f"{letter}-", symbol)
                        self.called[whole] = prefix + called

    def named(self, text: str) -> str:
        """Return a unit as a message shows it, with what it is called."""
        full = self.called.get(text, text)
        return f"{text!r} ({full})" if full != text else repr(text)

    def measured(self, powers: _Powers) -> tuple[float, _Powers]:
        """Return size and base dimensions of a product of units."""
        roots, above, below = _Powers(), _Scales(), _Scales()
        for name, power in powers.items():
            self._descend(name, power, roots, above, below)
        return _ratio(above, below), {self.bases[name]: power for name, power in roots.items()}

    def _descend(
        self, name: str, power: int, roots: _Powers, above: _Scales, below: _Scales
    ) -> None:
        """Collect the base units that a unit is made of, and the numbers."""
        for one in self.ways[name]:
            if one in self.bases:
                roots[one] = roots.get(one, 0) + power
                continue
            scales, parts = self.parts[one]
            side = above if power > 0 else below
            for scale in scales:
                side[scale] = side.get(scale, 0) + abs(power)
            for part, inner in parts.items():
                self._descend(part, power * inner, roots, above, below)


def _ratio(above: _Scales, below: _Scales) -> float:
    """Multiply numbers as pint does, for the same bits: equal ones together, those above first."""
    found = 1.0
    for scale, power in above.items():
        found *= scale ** max(power - below.get(scale, 0), 0)
    for scale, power in below.items():
        found *= scale ** -max(power - above.get(scale, 0), 0)
    return found


def _product(text: str) -> tuple[list[float], _Powers]:
    """Return the numbers in a product, and the powers of the units."""
    numbers, powers = list[float](), _Powers()
    for operator, name, exponent, number in _TERM.findall(text):
        power = int(exponent.strip("*^ ") or 1) * (-1 if operator == "/" else 1)
        if number:
            numbers.append(float(number) ** power)
        else:
            powers[name] = powers.get(name, 0) + power
    return numbers, powers


_known = cache(_Known)
