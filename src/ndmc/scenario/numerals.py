"""Numbers as people, spreadsheets and offices of statistics write them, and what to write here."""

from __future__ import annotations

import re
import unicodedata

# Dashes, and the minus of mathematics.
_DASHES = "\u2012\u2013\u2014\u2212"

#: What stands where there is no number.
_MISSING = re.compile(
    rf"[-.:?{_DASHES}\u2026]+|[xc]|#?n[./]?a\.?|nan|n\.?d\.?|none|null|nil|missing|confidential"
)

_UNCERTAIN = "how uncertain it is stands in cv, sd, or low and high"

#: Characters of a text that may be a number.
LONGEST = 80

_GAPS = re.compile(r"(?<=\d)[\s'`_\u2019](?=\d{3}(?!\d))|(?<=^[-+])\s+(?=\d)")

# Powers and marks of notes.
_RAISED = re.compile("[\u207b\u207a\u00b9\u00b2\u00b3\u2070-\u2079]+")

_PLAIN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")

_SEPARATED = re.compile(r"[-+]?\d[\d.,]*(?:[eE][-+]?\d+)?")

_POWER = re.compile(r"(?:(.+?)\s*[x*\u00d7\u00b7]\s*)?10\s*(?:\^|\*\*)\s*([-+]?\d+)")

_FRACTION = re.compile(r"(\d{1,9})\s*/\s*([1-9]\d{0,8})")

_NUMERAL = r"[-+]?\d(?:[\d.,\s'`_\u2019]*\d)?(?:[eE][-+]?\d+)?"

_UNIT = r"\s*([^\W\d]*|%)\s*"

_SPREAD = re.compile(rf"({_NUMERAL}){_UNIT}(?:\u00b1|\+\s?/?\s?-)\s*({_NUMERAL})\s*([^\d]*)")

_RANGE = re.compile(rf"({_NUMERAL})(?:(%?)\s*-|\s*(?:\.\.+|to\b))\s*({_NUMERAL})\s*([^\d]*)")

_BELOW = re.compile(rf"(?:<|\u2264)=?\s*({_NUMERAL})\s*([^\d]*)")

_BOUND = re.compile(
    r"(?:(<=?|\u2264|less than|below|under|at most|up to|by|before|until)"
    r"|(?:>=?|\u2265|more than|above|over|at least|after|from|since))"
    rf"\s*({_NUMERAL})\s*([^\d]*)",
    re.IGNORECASE,
)

_ABOUT = re.compile(rf"(?:~|\u2248|\u223c|>=?|\u2265)\s*({_NUMERAL})\s*([^\d]*)")

_SEVERAL = re.compile(r".*\d\s*(?:\u00b1|\+?/?-|\.\.|to)\s*\d.*")

_PER_TIME = re.compile(rf"({_NUMERAL})\s*/\s*([^\W\d]+)")


def is_missing(text: str) -> bool:
    """Say whether a text is a mark for what is not available.

    Examples
    --------
    >>> is_missing("n/a"), is_missing("..")
    (True, True)
    """
    return bool(_MISSING.fullmatch(text.strip().casefold()))


def remedy(text: str, *, amount: bool = False) -> str:
    """Return what to write instead of a text that is no number; empty if that is anyone's guess.

    Parameters
    ----------
    text
        What was found.
    amount
        Whether a unit may stand behind the number.

    Examples
    --------
    >>> remedy("1.234,5"), remedy("1,234")
    ('write 1234.5', 'write 1234, or 1.234 if the comma is that of decimals')
    >>> remedy("12 kt")
    'write 12 alone, its unit under unit, and what is said of it in a note'
    """
    if len(text) > LONGEST:
        return ""
    found, text = text.strip(), _plain(text.strip())
    if is_missing(text):
        return "a number is needed: where none is known, an estimate and how uncertain it is"
    if text.startswith(("#", "=")):
        return "it is a formula of a spreadsheet, or its error; save what it should give"
    if re.fullmatch(rf"[x*\u00d7]\s*{_NUMERAL}", text):
        return "changes of numbers stand in variants, or behind --set; write the number itself"
    if fraction := _FRACTION.fullmatch(text):
        return f"write {int(fraction[1]) / int(fraction[2]):.6g}"
    if readings := _readings(text):  # a number that is not finite reads as it stands
        return f"write {', or '.join(readings)}" if found not in readings else ""
    if parts := _uncertain(text):
        return _apart(parts, amount)
    if rate := _PER_TIME.fullmatch(text):
        return f"write {_one(rate[1])} and unit: 1/{rate[2]}"
    if about := _ABOUT.fullmatch(text):
        return f"write {_one(about[1])} {about[2]}".strip() + f"; {_UNCERTAIN}"
    if _SEVERAL.fullmatch(text):
        return f"write one number; {_UNCERTAIN}"
    return _alone(_GAPS.sub("", text), amount)


def _plain(text: str) -> str:
    """Return a text in characters of ASCII, where there are some for it."""
    text = _RAISED.sub(lambda raised: f"^{raised[0]}", text)
    text = unicodedata.normalize("NFKC", text).translate(dict.fromkeys(map(ord, _DASHES), "-"))
    return "".join(str(unicodedata.decimal(character, character)) for character in text)


def is_uncertain(text: str) -> bool:
    """Say whether a text is a number and its spread, or two with a range between them.

    Examples
    --------
    >>> is_uncertain("10 to 20 kt"), is_uncertain("10 t/yr")
    (True, False)
    """
    return bool(_uncertain(text[:LONGEST]))


def bounds_in(text: str) -> str:
    """Return the key by which a published figure says that it is a bound or a range, if it is one.

    Examples
    --------
    >>> bounds_in("< 5 kt"), bounds_in("4-5 kt"), bounds_in("at least 100"), bounds_in("5 kt")
    ('at_most: 5 kt', 'range: 4..5 kt', 'at_least: 100', '')
    """
    text = _plain(text[:LONGEST].strip())
    if ends := _RANGE.fullmatch(text):
        low, unit, high, behind = ends.groups()
        return f"range: {_one(low)}..{_one(high)} {behind.strip() or unit or ''}".rstrip()
    if bound := _BOUND.fullmatch(text):
        below, number, unit = bound.groups()
        return f"{'at_most' if below else 'at_least'}: {_one(number)} {unit}".rstrip()
    return ""


def _uncertain(text: str) -> dict[str, str]:
    """Return the keys that say of a number what a text says of it."""
    if spread := _SPREAD.fullmatch(text):
        number, unit, by, behind = spread.groups()
        if behind.strip() == "%" and unit != "%":
            return {"value": _one(number), "cv": f"{_one(by)} %", "unit": unit}
        return {"value": _one(number), "sd": _one(by), "unit": behind.strip() or unit}
    if ends := _RANGE.fullmatch(text):
        low, unit, high, behind = ends.groups()
        return {"low": _one(low), "high": _one(high), "unit": behind.strip() or unit or ""}
    if below := _BELOW.fullmatch(text):
        return {"low": "0", "high": _one(below[1]), "unit": below[2].strip()}
    return {}


def _one(text: str) -> str:
    return next(iter(_readings(text)), text)


def _apart(parts: dict[str, str], amount: bool) -> str:
    """Say where what stands in one text is written."""
    shape = {"distribution": "uniform" if "low" in parts else "normal"}
    given = [(key, text) for key, text in (parts | shape).items() if text]
    if amount:
        quoted = {"%": '"%"'}  # as YAML wants it
        keys = ", ".join(f"{key}: {quoted.get(text, text)}" for key, text in given)
        return f"write one number; of a parameter that is uncertain {{{keys}}}"
    cells = [text + f" in a column {key}" * (key != "value") for key, text in given[:-1]]
    return f"write {', and '.join(cells)}"


def _alone(text: str, amount: bool) -> str:
    found = _SEPARATED.search(text)
    readings = _readings(found[0]) if found else []
    if not found or not readings or re.match(r"[A-Za-z\u2044]\d", text[found.end() :]):
        return ""
    number = readings[0]
    if re.match(r"[\s'`_\u2019]+\d", text[found.end() :]):
        return "there are two numbers; write one"
    if text.startswith("(") and text.endswith(")"):
        return f"write -{number} if it is negative, else {number}"
    if amount:
        return f"write {number} and its unit alone, and what is said of it in a note"
    return f"write {number} alone, its unit under unit, and what is said of it in a note"


def _readings(text: str) -> list[str]:
    """Return how a number with any separators is written without, in one way or in two."""
    if power := _POWER.fullmatch(text):
        return [f"{number}e{power[2]}" for number in _readings(power[1] or "1")]
    plain = _GAPS.sub("", text)
    if not _SEPARATED.fullmatch(plain):
        return []
    commas, points = plain.count(","), plain.count(".")
    decimal = "," if commas and plain.rfind(",") > plain.rfind(".") else "."
    if commas + points == 1 and re.fullmatch(r"[-+]?[1-9]\d{0,2},\d{3}", plain):
        return [
            plain.replace(",", ""),
            f"{plain.replace(',', '.')} if the comma is that of decimals",
        ]
    if plain.count(decimal) > 1:
        if not re.fullmatch(r"[-+]?\d{1,3}(?:[.,]\d{3})+", plain):
            return []
        decimal = ""
    whole = "".join(c if c.isalnum() or c in "-+" else "." if c == decimal else "" for c in plain)
    return [whole] if _PLAIN.fullmatch(whole) else []
