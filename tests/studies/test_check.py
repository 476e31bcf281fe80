"""`ndmc.check` and the command are one: the same is checked, and the same is said."""

import pytest

import ndmc


def test_a_check_is_what_the_command_prints(cli):
    """Processes, quantities, loops and warnings of a result stand in the table, in its order."""
    found = ndmc.check("quota_gap")
    done = cli("check", "quota_gap")
    assert (done.code, done.err) == (0, "")
    shown = [line.split() for line in done.out.splitlines() if line.strip()]
    names = [(each.step, each.output.name) for each in found.quantities]
    assert [(line[0], line[1]) for line in shown if tuple(line[:2]) in set(names)] == names
    assert {one.process for one in found.processes} <= {line[0] for line in shown}
    assert all(text in done.out for text in (*found.loops, *found.notes))
    given = {name for name, flow in found.scenario.file.flows.items() if flow.value is not None}
    assert {e.output.name for e in found.quantities if e.rule.startswith("given")} == given


def test_a_check_takes_what_a_run_takes():
    """A name with variant and changes, or what was loaded with them, which cannot be changed."""
    changes = {"stocks.in_use.lifetime": "weibull(lifetime_scale, 3)"}
    by_name = ndmc.check("starter", changes=changes)
    loaded = ndmc.load("starter", changes=changes)
    by_value = ndmc.check(loaded)
    assert by_name.scenario.hash == by_value.scenario.hash
    assert by_name.quantities == by_value.quantities
    assert "weibull(lifetime_scale, 3)" in "".join(each.rule for each in by_name.quantities)
    with pytest.raises(ndmc.InputError, match="belong to load"):
        ndmc.check(loaded, changes=changes)


def test_a_variant_that_cannot_be_run_is_refused(scenario):
    """All variants of a scenario are checked with it."""
    changes = {"parameters.scale.value.phone: 8": "indicators.total.value: in_use + scale"}
    folder = scenario(changes=changes)
    with pytest.raises(ndmc.InputError, match="total"):
        ndmc.check(folder)
    assert ndmc.check(ndmc.load(folder)).quantities
