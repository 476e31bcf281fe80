"""All independent mistakes are told at once, in the order of the file, and none that follows."""

import pickle
import re

import pytest
from command import here

import ndmc
from ndmc import InputError
from ndmc.errors import ConsequentError, Mistakes, together

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


def test_a_long_list_stays_short():
    """Twenty messages of any length are some pages."""
    wrong = together(InputError("a" * 3000 + str(n), f"x.yaml:{n}") for n in range(20))
    assert len(str(wrong)) < 10_000
