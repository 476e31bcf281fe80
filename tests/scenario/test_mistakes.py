"""All independent mistakes are told at once, in the order of the file, and none that follows."""

import pickle
import re
from pathlib import Path

import pytest
from command import here

import ndmc
from ndmc import InputError
from ndmc.errors import ConsequentError, Mistakes, together
from ndmc.scenario.document import parse_document
from ndmc.scenario.mistakes import validate_document
from ndmc.scenario.schema import ScenarioFile

SALES = "    value: production * content\n"
CONTENT = "    value: {phone: 1, car: 6}\n"


def told(folder, *, check=ndmc.check):
    """Return the mistakes of a scenario."""
    with pytest.raises(InputError) as caught:
        check(folder)
    return caught.value.mistakes


def assert_told(folder, *expected):
    """Check that just these mistakes are told, and where: each a text on its line and a pattern."""
    found = told(folder)
    for wrong, (at, message) in zip(found, expected, strict=True):
        path, line = wrong.place
        with open(path, encoding="utf-8") as file:
            assert at in file.read().splitlines()[line - 1], str(wrong)
        assert re.search(message, wrong.message), wrong.message


def test_mistakes_of_every_kind_are_told_at_once(scenario):
    """Of parameters, tables, expressions, stocks and indicators: each in the order of the file."""
    changes = {
        CONTENT: "    value: {phone: one, car: 6}\n",
        "car,2002,600000": "car,2002,many",
        "share: collection": "share: colection",
        "weibull(scale": "weibul(scale",
        "  total: sum(in_use, over=product)\n": "  total: sum(in_use, over=prodct)\n",
    }
    assert_told(
        scenario("tiny", changes),
        ("phone: one", "'one' is not a number"),
        ("colection", "unknown name 'colection'"),
        ("weibul(", "unknown lifetime"),
        ("over=prodct", "cannot sum over 'prodct'"),
        ("car,2002,many", "'many', which is not a number"),
    )


def test_what_follows_from_a_mistake_is_not_told(scenario):
    """A parameter that cannot be read, an indicator that others read, a node nothing touches."""
    assert_told(scenario("number", {CONTENT: "    value: {phone: 1, car: b}\n"}), ("car: b", "'b'"))
    total = "  total: sum(in_use, over=product)\n"
    again = {total: "  total: sum(in_us, over=product)\n  twice: total * 2\n  four: twice * 2\n"}
    assert_told(scenario("indicator", again), ("in_us,", "unknown name 'in_us'"))
    assert_told(scenario("node", {"to: recycling": "to: recycle"}), ("recycle", "did you mean"))


def test_a_wrong_grade_is_told_once_however_many_parameters_have_it(scenario):
    """Parameters of a grade that is wrong are not read."""
    assert_told(
        scenario("tiny", {"    cv: 10 %\n": "    cv: 10 %\n    quality: laner\n"}),
        ("cv: 10 %", "either quality or cv"),
    )


def test_keys_are_all_held_against_the_schema(scenario):
    """Also those of entries side by side; a misspelt key is not missing, too."""
    changes = {
        "unit: kg": "unti: kg",
        "from: mine": "form: mine",
        "inflow_at: middle": "inflow_at: mid",
    }
    assert_told(
        scenario("tiny", changes),
        ("unti", "did you mean 'unit'"),
        ("form: mine", "did you mean 'from'"),
        ("inflow_at: mid", "start, middle"),
    )


def test_the_same_mistake_on_several_lines_is_one(scenario):
    """With the other lines behind it."""
    changes = {SALES: "    value: prodction * content\n", "share: collection": "share: prodction"}
    (wrong,) = told(scenario("tiny", changes))
    assert re.search(r"unknown name 'prodction'.*\(also on line \d+\)$", wrong.message)


def test_mistakes_of_variants_are_told_at_once(scenario):
    """Each at what the variant sets."""
    variants = "".join(f"  {name}: {{set: {{flows.sales.value: {name}}}}}\n" for name in "ab")
    folder = scenario("tiny", {"variants:\n": f"variants:\n{variants}"})
    assert_told(folder, ("a: {set", "'a'"), ("b: {set", "'b'"))


def test_the_command_prints_a_line_for_each(scenario):
    """Each beginning with error."""
    changes = {
        CONTENT: "    value: {phone: one, car: 6}\n",
        "share: collection": "share: colection",
    }
    done = here("check", scenario("tiny", changes))
    assert done.code == 2
    assert done.out == ""
    first, second, end = done.err.split("\n")
    assert re.fullmatch(r"error: .*scenario\.yaml:\d+: 'one' is not a number.*", first)
    assert re.fullmatch(r"error: .*scenario\.yaml:\d+: unknown name 'colection'.*", second)
    assert end == ""


def test_no_more_than_20_are_told():
    """With a word that there are more; what they are is in the exception, in order."""
    wrong = together(InputError(f"no {n}", f"x.yaml:{100 - n}") for n in range(1000))
    assert len(wrong.mistakes) == 20
    assert [one.place[1] for one in wrong.mistakes] == [*range(80, 100)]
    assert str(wrong).endswith("\nthere are more than these 20 mistakes; mend them first")
    assert (wrong.where, wrong.message) == ("x.yaml:80", "no 20")
    again = pickle.loads(pickle.dumps(wrong))
    assert str(again) == str(wrong)


def test_mistakes_are_gathered_until_there_are_too_many():
    """So that no time is spent on what is not told."""
    tried, mistakes = [], Mistakes()
    with pytest.raises(InputError, match="there are more"):
        mistakes.add(tried.append(n) or InputError(f"no {n}") for n in range(1000))
    assert len(tried) == 21


def test_a_consequence_is_told_only_where_nothing_else_is():
    """Nothing is silent."""
    mistakes = Mistakes([ConsequentError("unknown name")])
    with pytest.raises(InputError, match="unknown name"):
        mistakes.end()
    mistakes.add([InputError("no number")])
    with pytest.raises(InputError, match=r"^no number$"):
        mistakes.end()


def test_that_there_are_more_is_said_of_a_part_too():
    """Of those of one variant, say, which are gathered with others."""
    part = together(InputError(f"wrong {line}", f"x.yaml:{line}") for line in range(21))
    with pytest.raises(InputError, match="more than these 20 mistakes") as caught:
        Mistakes([part]).end()
    assert len(caught.value.mistakes) == 20


def test_a_long_list_stays_short():
    """Twenty messages of any length are some pages."""
    wrong = together(InputError("a" * 3000 + str(n), f"x.yaml:{n}") for n in range(20))
    assert len(str(wrong)) < 10_000


# --- in words of the format -----------------------------------------------------------------------

FILE = {
    "format": "1",
    "name": "a",
    "unit": "t",
    "years": "2001..2002",
    "processes": "[use]",
    "flows": "{a: {from: x, to: use}}",
}


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("format", "'1'", "format is '1' but must be 1"),
        ("name", "5", "name is 5, a number; write text, in quotes: '5'"),
        ("name", "my study", "name is 'my study'; write a name: letters, digits and _, starting"),
        ("name", "a" * 201, f"name is '{'a' * 56}...; write at most 200 characters"),
        ("title", "[a]", "title is ['a'], a list; write text"),
        ("title", "true", "title is true; write text, in quotes: 'true'"),
        ("description", "", "description is empty; write text, or remove the key"),
        ("processes", "use", "processes is 'use'; write a list, such as [use]"),
        ("headline", "5", "headline is 5, a number; write a list, such as [5]"),
        ("sensitivity", "{group: {}}", "unknown key 'sensitivity.group'; did you mean 'groups'?"),
        ("sensitivity", "{}", "the key 'sensitivity.groups' is missing"),
        ("processes", "[use, [b]]", "processes item 2 is ['b'], a list; write text"),
        ("dims", "{p: []}", "dims.p is [], a list; write at least 1 in the list"),
        ("flows", "[a]", "flows is ['a'], a list; write keys and what they hold, such as {name: "),
        (
            "flows",
            "{a: b}",
            "flows.a is 'b'; write keys and what they hold, such as {from: ..., to:",
        ),
        ("grades", "{g: {errors: shared}}", "grades.g.errors: 'shared' names no dim; write it for"),
        ("flows", "{a b: {from: x, to: y}}", "flows has the key 'a b'; write a name: letters"),
        ("flows", "{a: {from: x}}", "the key 'flows.a.to' is missing"),
        ("flows", "{a: {form: x, to: y}}", "unknown key 'flows.a.form'; did you mean 'from'?"),
        (
            "flows",
            "{a: {from: x, to: y, share: 0,5}}",
            "unknown key 'flows.a.5'; write decimals with",
        ),
        ("flows", "{a: {from: x, to: y, value: sum(b, over=p)}}", ".*; put texts with commas in"),
        ("flows", "{a: {from: x, to: y, cv: 5}}", ".*; it is a key of entries of grades and param"),
        ("flows", "{stocks: {s: {process: use}}}", "'stocks' stands within 'flows'; write it at"),
        ("Stocks", "{}", "unknown key 'Stocks'; did you mean 'stocks'?"),
        ("grade", "{}", "unknown key 'grade'; did you mean 'grades'?"),
        ("grades", "{g: {CV: 5 %}}", "unknown key 'grades.g.CV'; did you mean 'cv'?"),
        ("grades", "{g: {cv: five}}", "grades.g.cv: 'five' is not a number"),
        ("parameters", "{a: {unit: t, sd: two}}", "parameters.a.sd is 'two'; write a number"),
        ("parameters", "{a: {unit: t, sd: '1,5'}}", "parameters.a.sd is '1,5'; write 1.5"),
        ("parameters", "{a: {unit: t, low: 2 %}}", "parameters.a.low is '2 %'; write 2 alone, its"),
        ("parameters", "{a: {unit: t, cv: 5-8 %}}", '.*{low: 5, high: 8, unit: "%", distribution'),
        ("years", "[2001, 2021]", "years: write the first and the last: 2001..2021, and no list"),
        ("parameters", "{a: {unit: t, sd: [2]}}", "parameters.a.sd is [2], a list; write a number"),
        ("parameters", "{a: {unit: t, low: .nan}}", "parameters.a.low: expected a finite number"),
        ("parameters", "{a: {unit: t, low: true}}", ".*expected a finite number, found true"),
        ("parameters", "{a: {unit: t, range: [1]}}", ".*range is [1], a list; write at least 2 in"),
        ("parameters", "{a: {unit: t, range: [1, 2, 3]}}", ".*, a list; write 2 in the list"),
        ("stocks", "{s: {process: use, kind: heap}}", "stocks.s.kind is 'heap' but must be life"),
        ("stocks", "{s: {process: use, carry_over: 5}}", ".* is 5, a number; write true or false"),
        ("reconcile", "{level: 1.5}", "reconcile.level is 1.5, a number; write less than 1"),
        ("reconcile", "{level: 0}", "reconcile.level is 0, a number; write more than 0"),
        ("reconcile", "{measured: [a]}", "reconcile.measured is ['a'], a list; write keys and"),
        (
            "published",
            "[{id: Cars, value: 1, status: x}]",
            "published item 1 'Cars'.status is 'x' but",
        ),
        (
            "published",
            "[{quantity: a, status: soft}]",
            "published item 1 'a': it is empty; give a number as value",
        ),
        (
            "published",
            "[{value: 1, status: soft, at: 5}]",
            "published item 1.at is 5, a number; write",
        ),
        (
            "published",
            "{tolerance: {goal: 5 %}}",
            "published.tolerance has the key 'goal'; write t",
        ),
    ],
)
def test_what_the_schema_refuses_is_told_in_words_of_the_format(key, text, message):
    """Where it stands, what was found and what to write: one mistake for each place."""
    text = "".join(f"{name}: {value}\n" for name, value in {**FILE, key: text}.items())
    with pytest.raises(InputError) as caught:
        validate_document(parse_document(text, Path("x.yaml")), ScenarioFile)
    (wrong,) = caught.value.mistakes
    start, _, rest = message.partition(".*")
    assert wrong.message.startswith(start)
    assert rest in wrong.message
    assert wrong.place == ("x.yaml", [*{**FILE, key: text}].index(key) + 1)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\n\tb: 2\n", 2, "a tab in the indentation"),
        ("a:\t1\n", 1, "a tab; YAML wants spaces"),
        ("a: 1\n  b: 2\n", 2, "indented below a value; keys of one entry begin in the same column"),
        ("a:\n   b: 1\n  c: 2\n", 3, "indented like no line above it"),
        ("a: 1\nb 2\nc: 3\n", 2, "no key; a key has ': ' behind it"),
        ("a: 1\nb:2\nc: 3\n", 2, "no key; a key has ': ' behind it"),
        ("a: copper: a study\n", 1, "a text with ': ', commas or brackets in it needs quotes"),
        ("a: %b\n", 1, "a text that begins with % needs quotes"),
        ("a: ,5\n", 1, "a text that begins with , needs quotes"),
        ("a: > b\n  c\n", 1, "a text that begins with > or | needs quotes"),
        ("a: {b\nc: 1\n", 1, "the bracket that opens here is not closed by }"),
        ("a: [b\nc: 1\n", 1, "the bracket that opens here is not closed by ]"),
        ("a: {b: c}}\n", 1, "} closes nothing"),
        ("a: 1\nb: 'c\nd: 2\n", 2, "the quote that opens here is never closed"),
        ("a: 'it's'\n", 1, "a text goes on behind a quote or bracket; within '...' a ' is written"),
        ("a: - b\n", 1, "a list begins on a line of its own"),
        ("a: 1\n- b\n", 2, "a '- ' among keys; remove it"),
        ("a: 1\nb:\u00a01\nc: 2\n", 2, "a no-break space; write a plain one"),
        ("a: 1\nb: \x07\n", 2, "a character that is no text (code 7); remove it"),
        ("", 1, "it is empty; 'ndmc new FOLDER' writes one"),
        ("- a: 1\n", 1, "it holds a list; remove each '- '"),
        ("a = 1\n", 1, "expected a mapping of keys to values at the top, 'key: value'"),
    ],
)
def test_what_is_no_yaml_is_told_in_plain_words(text, line, message):
    """With the line where it begins, not where the parser gave up."""
    with pytest.raises(InputError) as caught:
        parse_document(text, Path("x.yaml"))
    assert message in caught.value.message
    assert caught.value.place == ("x.yaml", line)
