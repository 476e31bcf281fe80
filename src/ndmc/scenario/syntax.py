"""The syntax of expressions: a text becomes a tree, or is refused where it breaks.

Habits of spreadsheets and programs are known by name, so that a message can say what to write.
"""

from __future__ import annotations

import ast
import io
import keyword
import re
import tokenize
import warnings
from collections.abc import Collection, Iterator

from ndmc.scenario.expressions import ExpressionError

__all__ = ["names_in", "parse"]

_MAX_CHARACTERS = 2000

_MAX_DEPTH = 100

_LINES = re.compile(r"\r\n|\r|\n")

# Characters of a text in a message, before and behind the place where it breaks.
_BEFORE, _BEHIND = 60, 30

# Possessive, as texts are anyone's: 1,900 digits took 0.5 s.
_NUMBER = r"(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?"

# What joins or chooses is no unit; nor is what is called, or x for times.
_UNIT_WORD = r"(?!(?:and|or|not|in|is|if|else|for|lambda|x)\b)[^\W\d]++%?|[%‰€£$]"

_FACTOR = rf"(?:{_UNIT_WORD})(?:(?:\*\*|\^)-?[1-9]|[1-9])?"

#: A number with its unit, which has no blanks: what follows a / without one belongs to it.
AMOUNT = re.compile(
    rf"(?<![\w.])(?P<number>{_NUMBER})(?![eE][-+]?\d)[ \t]*+"
    rf"(?P<unit>{_FACTOR}(?:/{_FACTOR})*)(?!\w|\s*\()"
)

#: The words of a unit.
WORD = re.compile(r"[^\W\d]+")

#: What Python has not: a number with its unit, years from one to another, an argument `from`.
_OWN = re.compile(
    rf"""'[^']*'|"[^"]*"|\#[^\n]*|(?P<own>(?<![\w.])\d++[ \t]*+\.\.[ \t]*+\d++(?![\w.])"""
    rf"""|\bfrom(?=\s*=(?!=))|{AMOUNT.pattern})"""
)

#: No text without one of these has any of that.
_PERHAPS = re.compile(r"\d[ \t]*(?:[^\W\d]|[.][ \t]*[.]|[%‰€£$])|\bfrom\b")

#: Stands for a letter of these, so that what follows keeps its place: it may be one of a name.
_MARK = "\u01c1"

_BOTH = "write and where both conditions must hold, a > 1 and b > 2, and or for either"

_CHOOSE = "write where(condition, a, b)"

#: What is written otherwise here, by how it looks; the first that fits is told.
_HABITS = (
    (r"^\s*=", "leave out the = at the begin"),
    ("[\u00d7\u00b7\u22c5\u2219]|(?<=\\w) x (?=\\w)", "write * for times"),
    ("\u00f7", "write / to divide"),
    ("[\u2212\u2013\u2014]", "write - for minus"),
    ("[\u2264\u2265\u2260]|<>", "write <=, >= and != to compare"),
    ("[\u00b2\u00b3]", "write ** for powers, such as a**2"),
    (r"&&|\|\|", _BOTH),
    (r"\bif\b|\?|(?i:\bif\s*\()", _CHOOSE),
    (r"!(?!=)", "write not for what does not hold"),
    (r";", "write commas between arguments"),
    (r"(?<!\d)\d{1,3}( \d{3})+(?!\d)", "write numbers without separators"),
    (r"\w\[\s*\w+\s*=", "write at(x, dim=label) for a label"),
    (r"\d\s*(?:thousand|million|billion|mio|mn|bn)\s+\w", "write 5e6 t/yr for 5 million t/yr"),
    (r"^[^(]*(?<![<>=!])=(?!=)", "write == to compare"),
)

#: What the grammar has otherwise, by the tree that it makes.
_INSTEAD: dict[type[ast.AST], str] = {
    ast.BitXor: "write ** for powers",
    ast.BitAnd: _BOTH,
    ast.BitOr: _BOTH,
    ast.IfExp: _CHOOSE,
    ast.List: "lists are of labels and dims: at(x, use=[tv, car]), sum(x, over=[use, year])",
    ast.Mod: "write a number before %, such as 5 %",
    ast.Subscript: "write at(x, dim=label) for a label, and lag(x) for the year before",
    ast.Attribute: "functions and names have no dots: exp(x), sum(x, over=dim)",
    ast.Tuple: "write decimals with a point, and no commas between terms",
    ast.Constant: "write names without quotes",
}

#: Functions of spreadsheets and programs, and what does their work.
_FUNCTIONS = {
    **dict.fromkeys(("if", "ifs", "iif", "ifelse", "np_where"), _CHOOSE),
    **dict.fromkeys(("average", "avg", "nanmean"), "write mean(x, over=dim)"),
    **dict.fromkeys(("total", "sumproduct", "nansum"), "write sum(x, over=dim)"),
    **dict.fromkeys(("power", "pow", "square"), "write a**b"),
    **dict.fromkeys(("ln", "log1p"), "log(x) is the natural logarithm"),
    **dict.fromkeys(("log10", "log2"), "log(x) is the natural logarithm: write log(x) / log(10)"),
    **dict.fromkeys(("minimum", "fmin", "amin"), "write min(a, b), or min(x, over=dim)"),
    **dict.fromkeys(("maximum", "fmax", "amax"), "write max(a, b), or max(x, over=dim)"),
    **dict.fromkeys(("any", "exists"), "write max(condition, over=dim)"),
    **dict.fromkeys(("all", "every"), "write min(condition, over=dim)"),
    **dict.fromkeys(("product", "nanprod"), "write prod(x, over=dim)"),
    **dict.fromkeys(("round", "floor", "ceil", "int"), "numbers are rounded where they are shown"),
    "argmin": "write argmax(-x, over=year)",
    **dict.fromkeys(("and", "or"), _BOTH),
    **dict.fromkeys(("shift", "previous", "prev", "delay"), "write lag(x) for the year before"),
    **dict.fromkeys(
        ("normal", "lognormal", "uniform", "triangular", "rand", "random"),
        "draws belong to a parameter with a distribution; name it here",
    ),
    **dict.fromkeys(
        ("median", "percentile", "quantile", "std", "stdev", "sd", "var", "variance"),
        "of draws 'ndmc percentiles' says it; over a dim there are sum and mean",
    ),
    "cumulative": "write cumsum(x)",
}


def parse(text: str) -> ast.expr:
    """Return the syntax tree of a text, short and shallow enough to walk.

    Raises
    ------
    ExpressionError
        For anything that is not one expression of Python's syntax, with the place where it breaks.
    """
    text = text.strip()
    if len(text) > _MAX_CHARACTERS:
        raise ExpressionError(f"longer than {_MAX_CHARACTERS} characters; use indicators for parts")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numbers glued to words: they are refused below
            tree = _tree(text)
    except SyntaxError as broken:
        raise ExpressionError(_broken(text, broken)) from None
    except (RecursionError, MemoryError, ValueError):
        raise ExpressionError("nested too deeply, or not a text") from None
    if comment := _comment(_marked(text)):
        message = f"{comment!r} would be dropped: an expression has no comments"
        raise ExpressionError(f"{message}; write it behind the expression, outside of its quotes")
    level: list[ast.AST] = [tree]
    for _ in range(_MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    if level:
        raise ExpressionError(f"nested deeper than {_MAX_DEPTH}; use indicators for parts")
    return tree


def _comment(text: str) -> str:
    """Return the comment in a text that is of Python's syntax."""
    if "#" not in text:
        return ""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return next((token.string for token in tokens if token.type == tokenize.COMMENT), "")


def _marked(text: str) -> str:
    """Return a text with a name of the same length for what Python has not."""
    if not _PERHAPS.search(text):
        return text
    return _OWN.sub(lambda found: _MARK * len(found[0]) if found["own"] else found[0], text)


def _tree(text: str) -> ast.expr:
    """Return a syntax tree with what is ours, and labels as they stand: 1.10 and true are texts.

    A number with its unit and a period of years are names, as no name begins with a digit.
    """
    marked = _marked(text.replace(_MARK, " ? "))
    tree = ast.parse(marked, mode="eval").body
    lines = [*zip(_LINES.split(marked), _LINES.split(text), strict=True)]

    def written(node: ast.expr | ast.keyword) -> str:
        line, own = lines[node.lineno - 1]
        ends = (node.col_offset, node.end_col_offset)
        return own[slice(*(len(line.encode()[:end].decode()) for end in ends))]

    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            if node.id[0] == _MARK:
                node.id = written(node)
        elif isinstance(node, ast.keyword | ast.Compare):
            if isinstance(node, ast.keyword) and (node.arg or "")[:1] == _MARK:
                node.arg = "from"
            for label in _labels(node):
                if isinstance(label, ast.Constant) and not isinstance(label.value, str):
                    label.kind = written(label)
    return tree


def _labels(node: ast.keyword | ast.Compare) -> Iterator[ast.expr]:
    """Yield what may be a label in an argument of a function, or in a comparison."""
    parts = [node.value] if isinstance(node, ast.keyword) else [node.left, *node.comparators]
    for one in parts:
        yield from one.elts if isinstance(one, ast.List | ast.Tuple) else [one]


def names_in(tree: ast.expr, dims: Collection[str]) -> set[str]:
    """Return the names in a tree that are not labels of some dims.

    Examples
    --------
    >>> sorted(names_in(parse("where(metal == tin, at(ore, metal=lead), scrap)"), ["metal"]))
    ['at', 'ore', 'scrap', 'where']
    """
    beside: set[int] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="at"), keywords=keywords):
                beside.update(id(label) for keyword in keywords for label in _labels(keyword))
            case ast.Compare(left=left, comparators=others) if any(
                isinstance(one, ast.Name) and one.id in dims and one.id != "year"
                for one in (left, *others)
            ):
                beside.update(map(id, _labels(node)))
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return {name.id for name in names if id(name) not in beside}


def no_grammar(node: ast.AST) -> str:
    """Return what to write instead of a tree that the grammar has not; empty if nothing is like it.

    Examples
    --------
    >>> no_grammar(parse("a ^ 2"))
    'write ** for powers'
    """
    if isinstance(node, ast.Call):
        dotted = isinstance(node.func, ast.Attribute)
        return _INSTEAD[ast.Attribute] if dotted else "write * between a number and a bracket"
    if isinstance(node, ast.Constant) and not isinstance(node.value, str):
        return "a condition is a comparison, which is 1 where it holds and 0 elsewhere"
    if isinstance(node, ast.Attribute) and node.attr == "csv":
        return "a table is read by a parameter: name the parameter here"
    kinds = (type(getattr(node, "op", node)), type(node))
    return next((_INSTEAD[kind] for kind in kinds if kind in _INSTEAD), "")


def no_function(name: str) -> str:
    """Return what does the work of a function that the grammar has not; empty if nothing does.

    Examples
    --------
    >>> no_function("AVERAGE")
    'write mean(x, over=dim)'
    """
    return _FUNCTIONS.get(name.casefold(), "")


# --- what is broken -------------------------------------------------------------------------------


def _broken(text: str, broken: SyntaxError) -> str:
    """Say where a text breaks, and what is likely meant."""
    if not text:
        return "an expression is empty; write a name, a number or a formula"
    at = broken.offset - 1 if broken.offset and broken.lineno == 1 else len(text)
    rest = text[at : at + _BEHIND] + "..." * (len(text) > at + _BEHIND)
    shown = "..." * (at > _BEFORE) + text[max(at - _BEFORE, 0) : at] + rest
    hint = _hint(text)
    return f"cannot read {shown!r}: {_problem(broken.msg, at + 1, rest)}" + f"; {hint}" * bool(hint)


def _problem(told: str, at: int, rest: str) -> str:
    if never := re.match(r"'(.)' was never closed", told):
        return f"the {never[1]} at character {at} is never closed"
    if closing := re.match(r"unmatched '(.)'|closing parenthesis '(.)'", told):
        return f"the {closing[1] or closing[2]} at character {at} closes nothing"
    if told.startswith("positional argument follows"):
        return "an = stands among arguments; write == to compare"
    if not rest:
        return "it ends too early"
    if told.startswith("invalid character"):
        return f"{rest[0]!r} at character {at} means nothing here"
    breaks = "an operator or a comma is missing" if "comma" in told else "it breaks"
    return f"{breaks} at character {at}, before {rest!r}"


def _hint(text: str) -> str:
    """Say what to do about a text that is not of Python's syntax."""
    for pattern, hint in _HABITS:
        if re.search(pattern, text):
            return hint
    words = [word for word in re.findall(r"\w+", text) if keyword.iskeyword(word)]
    if words:
        return f"{words[0]!r} cannot be a name here, rename it"
    if "at(" in text:
        return "labels stand in quotes: at(x, product='b c')"
    between = re.search(r"[\w)]\s+[\w(]", text)
    return "write an operator such as * there, or _ for the blank of a name" if between else ""
