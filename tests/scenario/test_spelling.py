"""Names that look like processes: the same as difflib finds, and few of them compared."""

import difflib
import random

import many_flows
from strategies import scenario

from ndmc.errors import InputError, nearest
from ndmc.scenario.spelling import Spelling


def altered(name, random):
    """Return a name with up to three letters lost, doubled, swapped or changed."""
    letters = list(name)
    for _ in range(random.randint(0, 3)):
        place = random.randrange(len(letters))
        letters[place : place + random.randint(0, 2)] = random.choice(["", "a", "e", "ab", "_"])
        letters = letters or ["x"]
    return "".join(letters)


def test_the_same_names_are_near_as_difflib_finds_comparing_all():
    """No misspelling is lost to the letters that are looked at first."""
    drawn = random.Random(1)
    known = ["refining", "waste_management", "use", "collection_and_sorting", "p12", "magnets"]
    known += [altered(name, drawn) for name in known * 5]
    names = [altered(drawn.choice(known), drawn) for _ in range(400)]
    spelling = Spelling(known)
    found = [spelling.is_near(name) for name in names for _ in range(2)][::2]
    assert found == [spelling.is_near(name) for name in names]
    assert found == [bool(difflib.get_close_matches(n, known, 1, 0.8)) for n in names]
    assert 50 < sum(found) < 350


def test_a_scenario_without_mistakes_compares_no_names(monkeypatch):
    """Nodes outside the balance look like no process: their letters are others."""
    compared = []
    monkeypatch.setattr(difflib.SequenceMatcher, "ratio", compared.append)
    assert scenario(many_flows.star(2000)).file.flows
    assert scenario(many_flows.chain(2000, "share")).file.flows
    assert not compared


def test_names_that_all_look_alike_are_compared_up_to_a_number():
    """Twelve million pairs of the same letters in another order end soon."""
    drawn = random.Random(2)
    letters = list("abcdefghijkl")
    known = ["".join(drawn.sample(letters, 12)) for _ in range(3000)]
    spelling = Spelling(known)
    for name in ("".join(drawn.sample(letters, 12)) for _ in range(4000)):
        spelling.is_near(name)
    assert spelling.left == 0


def test_what_was_meant_is_not_sought_for_ever():
    """Of many long names none is proposed; the first of them are listed."""
    many = [f"{'ab' * 400}{n}" for n in range(5000)]
    assert nearest("ab" * 500, many).endswith(", ... and 4995 more")
    assert nearest("p71", [f"p{n}x" for n in range(1000)]) == "did you mean 'p71x'?"
    assert nearest("x" * 1_000_000, ["production"]) == "choose one of 'production'"


def test_a_message_about_something_huge_can_be_read():
    """Its begin and its end are told."""
    wrong = InputError(f"unknown key {'x' * 10**6!r}; remove it", "scenario.yaml:3")
    assert len(str(wrong)) < 2700
    assert wrong.message.startswith("unknown key 'xxx")
    assert wrong.message.endswith("xxx'; remove it")
    assert "characters left out" in wrong.message
