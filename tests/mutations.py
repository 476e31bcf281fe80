"""Scenarios, tables and command lines, changed by chance into what nobody should have written."""

import copy
import functools
import json
import re
import shlex
from pathlib import Path

import typer
from ruamel.yaml import YAML

import ndmc_scenarios
from ndmc.cli.app import app

FOLDER = Path(ndmc_scenarios.__file__).parent
#: Texts that stand for trouble wherever text is read.
TEXTS = [
    *("", " ", "0", "-1", "1e400", "-1e308", "nan", "inf", "null", "true", "~", "1/0", "%", "5 %"),
    *("..", "../outside.csv", "/etc/hostname", "C:\\x.csv", "study", "a" * 5000, "9" * 400, "名前"),
    *("\u202e", "e\u0301", "\x00", "\x1b[31mred", "\x07", "a\nb", "a\rb", "\ufeff", "\u2028", "'"),
    *(
        '"',
        "`",
        "$(id)",
        "{}",
        "[]",
        "{0}",
        "%s",
        "--",
        "-",
        "*",
        "?",
        "#",
        ": ",
        "- a",
        "&a",
        "*a",
    ),
    *(
        "!!python/object:os.system",
        "draw",
        "year",
        "t",
        "kt/yr",
        "1/yr",
        "yr",
        "kg * m**999",
        "age",
    ),
    *("2010..2009", "1..99999999", "-5..5", "2010..2010", "sum(", "x" + "+x" * 900, "(" * 150),
]
#: What stands where something else is expected.
VALUES = [
    *(None, True, False, 0, -1, 1, 2, 7, 1e-300, 1e308, -1e308, 0.5, 100, 2**63, 10**30, 10**400),
    *([], {}, [[]], [None], {"a": 1}, {"": ""}, [1, 2, 3], {"value": 5, "unit": "t"}, ["year"]),
    *(functools.reduce(lambda inner, _: [inner], range(30), 1), ["a"] * 300),
    {str(n): n for n in range(300)},
]
_TOKEN = re.compile(r"[A-Za-z_]\w*|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|\s+|.", re.DOTALL)
_CALLS = [
    *("sum({}, over=product)", "mean({}, over=year)", "lag({})", "lag({}, 3)", "cumsum({})"),
    *("exp({})", "log({})", "sqrt({})", "abs({})", "clip({}, 0, 1)", "min({}, 0)", "max({}, {})"),
    *(
        "where({} > 0, {}, 1)",
        "at({}, year=2015)",
        "carry({})",
        "first_year({})",
        "-({})",
        "({})**2",
    ),
    *(
        "max({}, over=year)",
        "prod({}, over=product)",
        "cumprod({})",
        "peak_year({})",
        "last_year({})",
    ),
    *("at({}, year=2012..2015)", "at({}, product=[])", "ratio({}, {}, otherwise=0)", "({} + 5 kt)"),
    *("({} > 0 and not {} < 1)", "(product == {})", "({} in [car, 2011..2012])", "{} 5 {}"),
    *("ramp(2012, 2020, {}, 5)", "logistic(2012, 2020, {})", "interpolate(2012, {}, 2020, 3)"),
    *("({}) / ({})", "({}) - ({})", "normal({}, {})", "weibull({}, 2)", "fixed({})", "f({})"),
]


# --- any text -------------------------------------------------------------------------------------


def text(chance, given):
    """Return a text with a few of its lines, tokens or characters changed."""
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        given = chance.choice((_line, _line, _token, _token, _character))(chance, given)
    return given


def _line(chance, given):
    """Remove, double, move, indent or replace a line."""
    lines = given.splitlines(keepends=True) or ["\n"]
    at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    changed = chance.choice(
        (
            *([], [lines[at]] * 2, [lines[other]], ["  " + lines[at]], ["\t" + lines[at]]),
            *([lines[at].lstrip()], [chance.choice(TEXTS) + "\n"], [lines[at][::-1]]),
        )
    )
    return "".join([*lines[:at], *changed, *lines[at + 1 :]])


def _token(chance, given):
    """Replace a token by another of the text, or by trouble."""
    tokens = _TOKEN.findall(given) or [""]
    at = chance.randrange(len(tokens))
    tokens[at] = chance.choice((chance.choice(tokens), chance.choice(TEXTS), tokens[at] * 2))
    return "".join(tokens)


def _character(chance, given):
    """Put a character somewhere, or cut the text there."""
    at = chance.randrange(len(given) + 1)
    return (
        given[:at]
        + chance.choice((*"\x00\x1b\r\n\t\"',;:{}[]&*!|>%@`#-?\ufeff\u2028é名", ""))
        + (given[at + chance.randrange(2) :] if chance.random() < 0.9 else "")
    )


def encoded(chance, given):
    """Return a text as bytes, nearly always those that are expected."""
    data = given.encode("utf-8", errors="surrogatepass")
    if chance.random() < 0.9:
        return data
    broken = [given.encode(name, errors="replace") for name in ("utf-16", "latin-1", "utf-32")]
    broken += [b"\xef\xbb\xbf" + data, data.replace(b"\n", b"\r\n"), data.replace(b"\n", b"\r")]
    broken += [data + b"\xff\xfe", b"", b"\x00" * 100, data[: len(data) // 2], data + b"\xc3"]
    return chance.choice(broken)


# --- scenarios ------------------------------------------------------------------------------------


def bundled(name):
    """Return the files of a bundled scenario as texts."""
    files = [path for path in sorted((FOLDER / name).iterdir()) if path.suffix in (".yaml", ".csv")]
    return {path.name: path.read_text(encoding="utf-8") for path in files}


def scenario(chance, files):
    """Return the files of a scenario whose document is changed: as text, or as data."""
    document = files["scenario.yaml"]
    if chance.random() < 0.3:
        return {**files, "scenario.yaml": text(chance, document)}
    data = copy.deepcopy(_read(document))
    words = sorted({word for word in _words(data) if len(word) < 60})
    for _ in range(chance.choice((1, 1, 2, 3))):
        _change(chance, data, words)
    return {**files, "scenario.yaml": json.dumps(data, indent=1, ensure_ascii=False)}


@functools.cache
def _read(document):
    return YAML(typ="safe", pure=True).load(document)


def _words(data):
    """Yield all keys and texts."""
    if isinstance(data, dict):
        yield from map(str, data)
        data = list(data.values())
    for one in data if isinstance(data, list) else ():
        yield from _words(one)
    if isinstance(data, str):
        yield data


def _places(data):
    """Yield all places: what holds something, and where in it."""
    inside = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in [*inside]:
        yield data, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _change(chance, data, words):
    """Change one place of the data."""
    places = [*_places(data)]
    if places:
        holder, key = chance.choice(places)
        other, there = chance.choice(places)
        chance.choice(_CHANGES)(chance, holder, key, other[there], words)


def _remove(chance, holder, key, other, words):
    del holder[key]


def _retype(chance, holder, key, other, words):
    holder[key] = copy.deepcopy(chance.choice(VALUES))


def _trouble(chance, holder, key, other, words):
    holder[key] = chance.choice(TEXTS)


def _copy(chance, holder, key, other, words):
    holder[key] = copy.deepcopy(other)


def _reword(chance, holder, key, other, words):
    """Replace a value by a word of the document: a flow leads elsewhere, a unit is another."""
    values = (
        [k for k, v in holder.items() if isinstance(v, str)] if isinstance(holder, dict) else []
    )
    holder[chance.choice(values) if values else key] = chance.choice(words)


def _rename(chance, holder, key, other, words):
    if isinstance(holder, dict):
        holder[chance.choice((chance.choice(words), chance.choice(TEXTS)))] = holder.pop(key)


def _resize(chance, holder, key, other, words):
    """Scale, negate or replace a number."""
    value = holder[key]
    if isinstance(value, int | float):
        factor = chance.choice((0, -1, 1e-6, 1e6, 1e30, 1e300))
        holder[key] = chance.choice((value * factor, value + 1, -value))


def _undim(chance, holder, key, other, words):
    """Remove dims, or have others."""
    if isinstance(holder, dict) and isinstance(holder.get("dims"), list):
        holder["dims"] = chance.choice(([], ["year"], ["product"], holder["dims"] * 2))


def _express(chance, holder, key, other, words):
    """Change an expression by the rules of its grammar."""
    if isinstance(holder[key], str):
        holder[key] = expression(chance, holder[key], words)


_CHANGES = [_remove, _retype, _trouble, _copy, _reword, _reword, _rename, _resize, _undim]
_CHANGES += [_express] * 4


def expression(chance, given, words):
    """Return an expression with another name, number or operator, or put into a call."""
    tokens = _TOKEN.findall(given) or [""]
    at = chance.randrange(len(tokens))
    kind = chance.randrange(4)
    if kind == 0:
        tokens[at] = chance.choice((*"+-*/()<>=,", "**", "==", chance.choice(words), "0", "1e308"))
    elif kind == 1:
        call = chance.choice(_CALLS)
        return call.replace("{}", given if len(given) < 500 else "1")
    elif kind == 2:
        tokens[at] = chance.choice(_CALLS).replace("{}", tokens[at])
    else:
        tokens = [
            given,
            chance.choice((" + ", " * ", " / ", " - ", " > ", "**")),
            chance.choice(words),
        ]
    return "".join(tokens)


# --- tables ---------------------------------------------------------------------------------------


def table(chance, files):
    """Return the files of a scenario one of whose tables is changed."""
    name = chance.choice([name for name in files if name.endswith(".csv")])
    changed = chance.choice((text, _cells, _cells, _cells, _separators))(chance, files[name])
    return {**files, name: changed}


def _cells(chance, given):
    """Change cells, rows or columns."""
    rows = [line.split(",") for line in given.splitlines()] or [[""]]
    for _ in range(chance.choice((1, 1, 2, 5))):
        row, column = chance.randrange(len(rows)), chance.randrange(len(rows[0]))
        row = 0 if chance.random() < 0.2 else row
        chance.choice(_CELLS)(chance, rows, row, column)
        rows = rows or [[""]]
    return "\n".join(",".join(row) for row in rows) + "\n"


def _cell(chance, rows, row, column):
    value = chance.choice((chance.choice(TEXTS), chance.choice(rows)[0], chance.choice(_NUMBERS)))
    rows[row][min(column, len(rows[row]) - 1)] = value


_NUMBERS = [
    "0",
    "-0",
    "1e308",
    "-5",
    "1e-320",
    "5%",
    "1_000",
    "0x10",
    "1,000",
    "١٢",
    " 7 ",
    "+3",
    ".5",
]


def _row(chance, rows, row, column):
    own = rows[row]
    rows[row : row + 1] = chance.choice(([], [own, [*own]], [own * 2], [[""]], [[*rows[0]]]))


def _column(chance, rows, row, column):
    for cells in rows:
        cells[column : column + 1] = chance.choice(([], cells[column : column + 1] * 2))
        cells[:] = cells or [""]


def _wider(chance, rows, row, column):
    many = chance.choice((10, 500, 40_000))
    for line, cells in enumerate(rows):
        cells += [f"c{n}" if line == 0 else "1" for n in range(many if line < 3 else 0)]


def _longer(chance, rows, row, column):
    rows += [[*rows[row]] for _ in range(chance.choice((10, 50_000 // len(rows[0]))))]


def _quoted(chance, rows, row, column):
    rows[row] = [
        chance.choice(('"{}"', '"{}', '{}"', '"{}""', "'{}'")).format(c) for c in rows[row]
    ]


_CELLS = [_cell, _cell, _cell, _row, _row, _column, _wider, _longer, _quoted]


def _separators(chance, given):
    """Write another separator, or other ends of lines."""
    old, new = chance.choice(((",", ";"), (",", "\t"), (",", ", "), ("\n", "\r"), ("\n", "\n\n")))
    return given.replace(old, new)


# --- command lines --------------------------------------------------------------------------------

#: What is given to options and arguments: of every kind, good and bad. None of it takes long.
GIVEN = [
    *("starter", "study", "study/scenario.yaml", "run.zarr", "empty", "study/production.csv", "."),
    *(
        "new_study",
        "new.zarr",
        "new.csv",
        "new.svg",
        "new.png",
        "new.pdf",
        "new.txt",
        "none",
        "all",
    ),
    *(
        "",
        " ",
        "-",
        "--",
        "0",
        "1",
        "-1",
        "2",
        "64",
        "300",
        "1e2",
        "1.5",
        "1e400",
        "nan",
        "inf",
        "x",
    ),
    *("9" * 30, "-" + "9" * 30, "0x10", "1_0", "٣", "2**3", str(2**31), str(2**63), str(2**64)),
    *("missing", "missing/a/b", "/dev/null", "/dev/full", "/proc/self/x", "study/x/y", "a" * 300),
    *(
        "a" * 5000,
        "é",
        "名",
        "\u202e",
        "a\nb",
        "a\tb",
        "\x1b[31m",
        "'",
        '"',
        "$(id)",
        "*",
        "~",
        "{}",
    ),
    *(
        "in_use",
        "sales,in_use",
        "in_use@2024",
        "in_use@2024,car p97.5 within 50 %",
        "in_use > 5 kt",
    ),
    *(
        "in_use >",
        "> 5",
        "product=car",
        "year=2010",
        "product=",
        "=",
        "year",
        "product",
        "product=a",
    ),
    *("lifetime_scale=5", "parameters.content.value.car=9", "stocks.in_use.kind=sink", "a.b.c=1"),
    *(
        "long_lives",
        "1/1",
        "1/2",
        "2/1",
        "0/0",
        "50",
        "2.5,50",
        "0,100",
        "101",
        ",",
        "50,,50",
        "1e-9",
    ),
    *(
        "float32",
        "float64",
        "256",
        "512",
        "1000",
        "1GiB",
        "10MB",
        "0MB",
        "1e9GB",
        "8G",
        "slurm",
        "pbs",
    ),
    *("04:00:00", "00:00:01", "99:99:99", "projected", "weighted", "active_set", "memory://x"),
    *("s3://bucket/x.zarr", "s3://", "://", "file://new.zarr", "http://127.0.0.1:9/x", "abc://x"),
    *("tcp://127.0.0.1:9", "tls://127.0.0.1:9", "localhost", "percentiles/in_use", "../study"),
]
#: Command lines that are right, to be changed.
RIGHT = [
    "scenarios",
    "schema",
    "new new_study",
    "check study --variant long_lives --set lifetime_shape=3 --graph new.svg",
    "check study --quality new.csv",
    "run study -n 64 --seed 3 --out new.zarr --keep in_use -q 5,50 --workers 1",
    "run study -n 300 --out run.zarr --keep in_use --block 256",
    "run study -n 600 --out run.zarr --keep in_use --block 256 --repair",
    "run study -n 64 --plan --out new.zarr",
    "run study -n 64 --profile --keep none --exceed 'in_use > 5 kt'",
    "run study -n 300 --until 'in_use@2024,car p50 within 50 %' --out new.zarr --memory 1GiB",
    "run study -n 300 --part 1/1 --bits 7 --dtype float64 --percentiles kept --out new.zarr",
    "finish run.zarr --workers 2",
    "job slurm study --parts 3 -n 1e6 --time 04:00:00 --cpus 2 --memory 4G --grace 60",
    "job pbs study --parts 1",
    "info run.zarr --verify",
    "percentiles run.zarr -v in_use -q 10 --sel product=car --over year --csv new.csv",
    "percentiles run.zarr --by-group product",
    "validate study -n 64 --seed 2 --variant none --csv new.csv",
    "validate run.zarr",
    "reconcile china_nd_published --csv new.csv --picture new.svg",
    "reconcile china_nd_published -n 64 --method weighted --out .",
]


@functools.cache
def _options():
    """Return what may stand behind each command: its flags, and whether they take a value."""
    found = {}
    for name, one in typer.main.get_command(app).commands.items():
        flags = [
            (flag, not p.is_flag) for p in one.params if p.opts[0][0] == "-" for flag in p.opts
        ]
        found[name] = [*flags, ("--help", False)]
    return found


def command_line(chance):
    """Return the arguments of a command, a few of them changed."""
    words = shlex.split(chance.choice(RIGHT))
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        chance.choice((_swap, _swap, _drop, _twice, _add, _add, _add, _break))(chance, words)
    return [word for word in words if "\x00" not in word]  # which no argument can hold


def _swap(chance, words):
    """Give another value."""
    words[chance.randrange(min(1, len(words) - 1), len(words))] = chance.choice(GIVEN)


def _drop(chance, words):
    del words[chance.randrange(len(words))]
    words or words.append("")


def _twice(chance, words):
    words.insert(chance.randrange(len(words) + 1), chance.choice(words))


def _add(chance, words):
    """Give one more option, nearly always one that the command has."""
    options = _options().get(words[0] if chance.random() < 0.9 else "run", [("--version", False)])
    flag, valued = chance.choice(options)
    value = chance.choice(GIVEN)
    words += [f"{flag}={value}"] if chance.random() < 0.2 else [flag, value][: 1 + valued]


def _break(chance, words):
    """Change a character of a word."""
    at = chance.randrange(len(words))
    words[at] = _character(chance, words[at])
