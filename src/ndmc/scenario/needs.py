"""Which numbers a distribution needs, and which would mean nothing to it."""

from __future__ import annotations

from collections.abc import Iterator, Set

from ndmc.scenario.distributions import FAMILIES, KEYS, OWN

#: Numbers that say the same in two ways; where both are given, the second is taken.
_EITHER = (
    *(("cv", other) for other in ("concentration", "sd", "sigma")),
    *(("sd", "sigma"), ("value", "mode"), ("value", "mu")),
)

# So many distributions are told that would take a number; nearly all take a value.
_FEW = 4


def superfluous(distributions: set[str], keys: set[str]) -> set[str]:
    """Return those of ``keys`` that mean nothing to any of the distributions.

    Examples
    --------
    >>> superfluous({"uniform"}, {"low", "high", "cv"})
    {'cv'}
    """
    useful: set[str] = set()
    for name in distributions:
        needs = FAMILIES[name][1] if name in FAMILIES else (("values",), ("weights",))
        useful.update(*needs)
    return keys - useful


def ignored(
    distributions: set[str], keys: set[str], nearer: Set[str] = frozenset()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield numbers that the distributions would ignore, and why they may not be given.

    Of two that say the same the second is the one that would be taken.

    Parameters
    ----------
    distributions
        Those that the cells of a parameter have.
    keys
        What is given.
    nearer
        What is given nearer to the cells, in rows of a table: it comes before ``keys``.

    Examples
    --------
    >>> [*ignored({"normal"}, {"value", "cv", "sd"})]
    [(('cv', 'sd'), 'give either cv or sd, not both')]
    >>> [*ignored({"normal"}, {"cv"}, nearer={"value", "sd"})]
    []
    """
    useless = superfluous(distributions, {*keys, *nearer})
    for key in (key for key in (*KEYS, *OWN) if key in useless):
        message = f"{key} means nothing to {' or '.join(sorted(distributions))}; remove it"
        others = [name for name in FAMILIES if not superfluous({name}, {key})]
        few = 0 < len(others) <= _FEW
        yield (key,), f"{message}, or say {' or '.join(others)}" if few else message
    for one, other in _EITHER:
        if {one, other} <= {*keys, *nearer} and (one in nearer or other in keys):
            yield (one, other), f"give either {one} or {other}, not both"
