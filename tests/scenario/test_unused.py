"""What nothing uses is warned of by name and place, and what anything uses is not."""

import warnings

import pytest

import ndmc

FORGOTTEN = {
    "parameter": ("parameters:\n", "  forgotten: {unit: t, value: 1, distribution: constant}\n"),
    "grade": ("grades:\n", "  forgotten: {distribution: normal, cv: 2 %}\n"),
    "dim": ("dims:\n", "  forgotten: [a, b]\n"),
}


def said_of(source, **options):
    """Return the texts of all that is warned of while a scenario is loaded."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        ndmc.load(source, **options)
    assert all(issubclass(one.category, ndmc.StudyWarning) for one in said)
    assert all(one.filename == __file__ for one in said)
    return [str(one.message) for one in said]


@pytest.mark.parametrize("kind", FORGOTTEN)
def test_what_nothing_uses_is_named_with_its_line(scenario, cli, kind):
    """In Python, and by the command; it stops neither."""
    head, line = FORGOTTEN[kind]
    folder = scenario(changes={head: head + line})
    (text,) = said_of(folder)
    number = (folder / "scenario.yaml").read_text().splitlines().index(line.rstrip()) + 1
    place = f"{folder / 'scenario.yaml'}:{number}"
    assert text.startswith(f"{place}: nothing uses the {kind} 'forgotten'; ")
    done = cli("check", folder)
    assert (done.code, done.err) == (0, f"warning: {text}\n")


def test_what_a_misspelt_name_means_is_not_warned_of(scenario, cli):
    """The mistake is told, and nothing besides."""
    own = "  forgotten: {unit: t, value: 1, distribution: constant}\n"
    changes = {
        "parameters:\n": f"parameters:\n{own}",
        "indicators:\n": "indicators:\n  x: forgoten\n",
    }
    done = cli("check", scenario(changes=changes))
    assert done.err.endswith(": unknown name 'forgoten'; did you mean 'forgotten'?\n")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("head", "use"),
    [
        ("indicators:\n", "  again: forgotten\n"),
        ("  figures:\n", "    - {quantity: forgotten, value: 1, status: reported}\n"),
        ("variants:\n", "  other: {set: {flows.sales.value: forgotten * production}}\n"),
        ("headline: [in_use]\n", "keep: [forgotten]\n"),
    ],
)
def test_what_is_used_anywhere_is_used(scenario, head, use):
    """By an indicator, a published figure, a variant that is not run, or as what is kept."""
    parameters, line = FORGOTTEN["parameter"]
    assert said_of(scenario(changes={parameters: parameters + line, head: head + use})) == []


def test_what_a_change_leaves_without_use_is_no_mistake(scenario):
    """The file uses it; what is tried beside the file is another matter."""
    folder = scenario()
    assert said_of(folder, changes={"flows.sales.value": "100"}) == []
    assert said_of(folder) == []


def test_many_are_counted(scenario):
    """Twenty are named."""
    head, line = FORGOTTEN["parameter"]
    lines = (line.replace("forgotten", f"forgotten{n}") for n in range(25))
    texts = said_of(scenario(changes={head: head + "".join(lines)}))
    assert len(texts) == 21
    assert "nothing uses 5 more parameters" in texts[-1]


@pytest.mark.parametrize("name", ndmc.bundled())
def test_bundled_scenarios_hold_nothing_that_is_not_used(name):
    """Under their variants together."""
    assert said_of(name) == []
