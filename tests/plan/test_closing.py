"""The equation system: what closes which flow, and what is said of a system that has no answer."""

import os
import re

import pytest
from numpy.testing import assert_allclose, assert_array_equal
from strategies import scenario

from ndmc.engine.audit import LIMIT, Audit
from ndmc.engine.evaluation import evaluate
from ndmc.engine.refusals import check_central
from ndmc.errors import InputError
from ndmc.model import compile_plan
from ndmc.plan.closing import close_flows
from ndmc.plan.vocabulary import Vocabulary

FLOW_KEYS = {"=": "value", "%": "share"}


def number(unit, value, **key):
    """Return a certain parameter."""
    return {"unit": unit, "value": value, "distribution": "constant", **key}


PARAMETERS = {
    "x": number("t/yr", 10),
    "y": number("t/yr", 3),
    "s": number("1", 0.25),
    "life": number("yr", 4),
    "level": number("t", 100),
}


def system(flows, processes="p q", **key):
    """Return a scenario of flows, each "origin target", and "= value" or "% share" behind."""
    found = {}
    for name, text in flows.items():
        origin, target, *rule = text.split(" ", 3)
        found[name] = {"from": origin, "to": target}
        if rule:
            found[name][FLOW_KEYS[rule[0]]] = rule[1]
    stocks = key.pop("stocks", {})
    return {
        "format": 1,
        "name": "system",
        "unit": "t",
        "years": "2000..2003",
        "parameters": PARAMETERS,
        "processes": processes.split(),
        "flows": found,
        "stocks": stocks,
        **key,
    }


def closed(data):
    """Return what closes each open flow, in words."""
    return {name: e.text for name, e in close_flows(Vocabulary(scenario(data))).items()}


def refused(data, message, at=""):
    """Check that a system is refused, with what is said, in lower case, and where."""
    loaded = scenario(data)
    with pytest.raises(InputError) as caught:
        check_central(compile_plan(loaded))
    wrong = caught.value
    assert re.search(message, wrong.message), wrong.message
    assert wrong.message[0] == wrong.message[0].lower()
    assert "\n" not in str(wrong)
    path, _, line = wrong.where.rpartition(":")
    assert os.path.basename(path) == "scenario.yaml"
    shown = loaded.document.text.splitlines()[int(line) - 1]
    assert at in shown, f"line {line}: {shown}"


# --- what closes what ------------------------------------------------------------------------


def test_each_open_flow_has_an_equation_of_its_own():
    """Balances close remainders, a stock its release, a prescribed stock what it takes in."""
    data = system(
        {
            "fed": "mine p = x",
            "made": "p q",
            "old": "q r",
            "back": "r p % s",
            "lost": "r dump",
            "let": "out house",
            "torn": "house dump",
        },
        "p q r house",
        stocks={
            "in_use": {"process": "q", "lifetime": "fixed(life)"},
            "houses": {"process": "house", "lifetime": "fixed(life)", "value": "level"},
        },
    )
    assert closed(data) == {
        "made": "the balance of 'p'",
        "old": "the release of the stock in 'q'",
        "lost": "the balance of 'r'",
        "let": "the inflow that the prescribed stock in 'house' takes",
        "torn": "the release of the stock in 'house'",
    }


def test_a_flow_is_closed_by_whichever_end_can_spare_it():
    """An open flow between two processes is closed where nothing else is left to close."""
    forward = system({"a": "out p = x", "b": "p q", "c": "q end"})
    assert closed(forward) == {"b": "the balance of 'p'", "c": "the balance of 'q'"}
    backward = system({"a": "out p", "b": "p q", "c": "q end = x"})
    assert closed(backward) == {"a": "the balance of 'p'", "b": "the balance of 'q'"}


# --- not enough equations ----------------------------------------------------------------------


def test_one_flow_that_no_balance_can_close():
    """A flow between two nodes of the environment has no balance at all."""
    refused(
        system({"a": "out p = x", "b": "p q", "c": "q end", "free": "out end"}),
        r"flow 'free' is not determined: no process balance can close it; give it a value or a "
        "share",
        '"free"',
    )


def test_one_flow_too_many_in_one_process():
    """Both flows are named, and that one of them must be given."""
    refused(
        system({"a": "out p = x", "b": "p end", "c": "p dump", "d": "out q = x", "e": "q end"}),
        r"the balance of 'p' already closes '[bc]'; give a value or a share to one of '[bc]' and "
        r"'[bc]' \(line \d+\)$",
    )


def test_long_lists_are_shortened():
    """A cycle of many flows, and many of which one is too many: the first few, and a count."""
    chain = {f"f{n}": f"p{n} p{n + 1}" for n in range(30)}
    loop = chain | {"back": "p30 p0"}
    nodes = " ".join(f"p{n}" for n in range(31))
    refused(system(loop, nodes), r"^the loop (\w+ -> ){5}\.\.\. and \d\d more cannot be solved")
    through = chain | {"enter": "out p0", "leave": "p30 end"}
    refused(
        system(through, nodes), r"to one of '\w+', ('\w+' \(line \d+\), ){4}\.\.\. and 27 more$"
    )


def test_a_set_of_flows_of_which_some_must_be_given():
    """Every flow of the set is named; two are too many, so two must be given."""
    with pytest.raises(InputError) as caught:
        compile_plan(
            scenario(system({"a": "out p", "b": "p q", "c": "q end", "d": "p dump", "f": "q dump"}))
        )
    message = caught.value.message
    assert "the balance of 'p'" in message
    assert "the balance of 'q'" in message
    for name in "abcdf":
        assert f"'{name}'" in message, message
    # Five open flows, two balances: three must be given in all.
    assert message.count("give a value or a share to one of") == 3, message


def test_open_flows_out_of_a_sink_have_nothing_to_close_them():
    """A sink takes what comes: what leaves it must be said."""
    refused(
        system(
            {"a": "out p = x", "b": "p q", "c": "q end"},
            stocks={"held": {"process": "q", "kind": "sink"}},
        ),
        "flow 'c' is not determined",
        '"c"',
    )


# --- too many equations ------------------------------------------------------------------------


def test_a_process_whose_flows_are_all_given():
    """Its balance has nothing to close."""
    refused(
        system({"a": "out p = x", "b": "p q = y", "c": "q end"}),
        r"process 'p' is over-determined: each of its flows \(a, b\) is given elsewhere",
        '"p"',
    )


def test_processes_that_share_too_few_open_flows():
    """Two balances and one open flow between them: both balances are named."""
    refused(
        system({"a": "out p = x", "b": "p q", "c": "q end = y"}),
        r"process '[pq]' is over-determined: the balance of '[pq]' and the balance of '[pq]' have "
        "only 'b' to close",
    )


def test_a_prescribed_stock_whose_inflow_is_given():
    """The stock decides its inflow, so no value may."""
    refused(
        system(
            {"a": "out p = x", "b": "p end"},
            "p",
            stocks={"held": {"process": "p", "lifetime": "fixed(life)", "value": "level"}},
        ),
        r"the stock 'held' is prescribed, but every flow into it is determined elsewhere \(a\)",
        '"value"',
    )


def test_a_release_that_has_nowhere_to_go():
    """A stock with a lifetime needs a flow for what it releases."""
    refused(
        system(
            {"a": "out p = x"}, "p", stocks={"held": {"process": "p", "lifetime": "fixed(life)"}}
        ),
        "nothing leaves 'p', so what the stock 'held' releases has nowhere to go",
        '"p"',
    )


# --- contradictions ----------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["abcd", "dcba", "cbad", "acbd"])
def test_open_flows_in_a_circle_of_which_only_the_difference_is_fixed(order):
    """Back and forth between two processes anything may run: said in words."""
    flows = {"a": "out p = x", "b": "p q", "c": "q p", "d": "q end = x"}
    refused(
        system({name: flows[name] for name in order}),
        r"the loop (b -> c -> b|c -> b -> c) cannot be solved: .*the balances fix only "
        "differences; give one of them a value",
    )


def test_parallel_open_flows_of_which_only_the_sum_is_fixed():
    """Two open flows from one process to another: nothing says which is which."""
    refused(
        system({"a": "out p = x", "b": "p q", "c": "p q", "d": "q end = x"}),
        r"the loop .* cannot be solved|not determined",
    )


def test_a_circle_of_three():
    """The same around three processes, with what comes and goes given."""
    refused(
        system(
            {"a": "out p = x", "b": "p q", "c": "q r", "d": "r p", "e": "q end = x"},
            "p q r",
        ),
        "the balances fix only differences",
    )


# --- loops that cannot be solved ---------------------------------------------------------------

LOOP = {"a": "out p = x", "b": "p q", "c": "q end"}


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ("min(b, y)", r"min\(\) of what the same year still has to determine"),
        ("max(b / 2, y)", r"max\(\) of"),
        ("b * b / x", "a product of"),
        ("y * y / b", "a division of"),
        ("b ** 2 / x", "a power of"),
        ("where(b > y, y, 0)", "a comparison of"),
        ("where(b == y, y, 0)", "a comparison of"),
        ("sqrt(b * y)", r"sqrt\(\) of"),
        ("abs(b) / 2", r"abs\(\) of"),
        ("exp(b / x) * y / 9", r"exp\(\) of"),
        ("log(b / x) * y", r"log\(\) of"),
        ("clip(b, 0, y)", r"clip\(\) of"),
        ("carry(b - y) / step / 9", r"max\(\) of"),
        ("0.1 * sum(b, over=year) / step", "a sum over years, or the value of one year"),
        ("mean(b, over=year) / 9", "a sum over years, or the value of one year"),
        ("at(b, year=2001) / 9", "a sum over years, or the value of one year"),
    ],
)
def test_nonlinear_loops_within_a_year_are_refused(rule, what):
    """The operation is named, and the cycle, with what would mend it; a year's delay does."""
    flows = {**LOOP, "d": f"out p = {rule}"}
    refused(system(flows), rf"the loop (b -> d -> b|d -> b -> d) cannot be solved: {what}")
    hint = (
        r"lag\(cumsum\(\.\.\.\)\)"
        if "year" in rule
        else r"read one of them a year late: lag\(\.\.\.\)"
    )
    refused(system(flows), hint)
    if "year" not in rule:
        late = re.sub(r"\bb\b", "lag(b)", rule)
        late = late.replace("y * y / lag(b)", "y * y / (x + lag(b))")
        late = late.replace("log(lag(b) / x)", "log((x + lag(b)) / x)")
        check_central(compile_plan(scenario(system({**LOOP, "d": f"out p = {late}"}))))


def test_a_share_that_depends_on_its_own_loop_is_refused():
    """A share of what enters times what it depends on is a product."""
    refused(
        system({**LOOP, "d": "q p % b / (x + y)", "e": "q dump % s"}),
        "cannot be solved: a (product|division) of what the same year",
    )


def test_a_lifetime_that_depends_on_its_own_loop_is_refused():
    """How long things stay cannot follow from how many enter."""
    data = system(
        {"a": "out p = x", "b": "p q", "c": "q end", "d": "q p % s"},
        stocks={"held": {"process": "q", "lifetime": "normal(life * b / x, 2)"}},
    )
    refused(data, "what the stock 'held' itself is made of .* cannot depend on what it releases")


def test_a_prescribed_stock_that_depends_on_its_own_loop_is_refused():
    """What a stock should be cannot follow from what it takes in."""
    data = system(
        {"a": "out p", "b": "p end", "c": "out q = b", "d": "q end"},
        stocks={"held": {"process": "p", "lifetime": "fixed(life)", "value": "level + c * step"}},
    )
    refused(data, "what the stock 'held' itself is made of .* cannot depend on what it releases")


def test_the_age_structure_of_a_stock_cannot_steer_its_own_loop():
    """Indicators by age need the whole history."""
    data = system(
        {"a": "out p = x", "b": "p end", "c": "out p = x * old / (life + life)"},
        "p",
        stocks={"held": {"process": "p", "lifetime": "fixed(life)"}},
        indicators={"old": {"stock": "held", "by": "mean_age"}},
    )
    refused(data, "cannot be solved: 'old' is known only when all years of a stock of the loop are")


def test_indicators_in_a_circle_are_refused():
    """Indicators define each other: the circle is shown."""
    refused(
        system(LOOP, indicators={"i": "2 * j", "j": "i / 2 + b"}),
        "indicators define each other in a circle: (i -> j -> i|j -> i -> j)",
    )


def test_a_circle_through_a_flow_and_indicators_is_a_loop():
    """Not every circle is wrong: through a flow it is an equation, and linear."""
    data = system({**LOOP, "d": "out p = i / 4"}, indicators={"i": "2 * j", "j": "b / 2"})
    values = evaluate(compile_plan(scenario(data)), 1, range(1))
    assert_allclose(values["b"], 10 / (1 - 0.25), rtol=1e-15)


# --- processes and ends ------------------------------------------------------------------------


def test_a_process_that_nothing_enters():
    """Nothing could leave it."""
    refused(system({"a": "p q", "b": "q end"}), "nothing enters 'p'; add a flow, or list", '"p"')


def test_a_process_that_nothing_leaves():
    """What enters would pile up, so it is a sink or outside."""
    refused(
        system({"a": "out p = x", "b": "p q"}),
        "nothing leaves 'q'; add a flow, give it a stock of kind: sink, or list it under "
        "environment",
        '"q"',
    )
    sink = system({"a": "out p = x", "b": "p q"}, stocks={"h": {"process": "q", "kind": "sink"}})
    values = evaluate(compile_plan(scenario(sink)), 1, range(1))
    assert_array_equal(values["h"][:, 0], [10, 20, 30, 40])


def test_a_flow_that_ends_where_it_starts():
    """It would change nothing."""
    with pytest.raises(InputError, match=r"scenario\.yaml:\d+: flow 'd' starts and ends in 'p'"):
        scenario(system({**LOOP, "d": "p p % s"}))


# --- shares ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "message"),
    [
        ("0 - s", r"the share of 'd' is -0.25; shares lie in \[0, 1\]"),
        ("4.4 * s", r"the shares that leave 'q' \(d\) sum to 1.1, more than 1"),
        ("s - ramp(2000, 0, 2003, 0.3)", r"the share of 'd' is -0.05"),
        ("s + ramp(2000, 0, 2003, 0.8)", r"sum to 1.05, more than 1"),
        ("x", "a share must be a plain number"),
    ],
)
def test_shares_out_of_range(share, message):
    """Shares below 0 or above 1 are refused in whatever year they are."""
    refused(system({**LOOP, "d": f"q p % {share}"}), message, "share")


def test_shares_that_sum_to_more_than_one():
    """All that leave by a share are named."""
    flows = {"a": "out p = x", "b": "p q % 0.7", "c": "p end % 0.4", "d": "p dump", "e": "q end"}
    refused(system(flows), r"the shares that leave 'p' \(b, c\) sum to 1.1, more than 1")


def test_shares_that_change_places_over_the_years_are_fine():
    """A share that rises while another falls never sums to more than 1 in any one year."""
    data = system(
        {
            "a": "out p = x",
            "b": "p end % ramp(2000, 0.1, 2003, 0.8)",
            "c": "p dump % ramp(2000, 0.8, 2003, 0.1)",
            "d": "p q",
            "e": "q end",
        }
    )
    values = evaluate(compile_plan(scenario(data)), 1, range(1))
    assert_allclose(values["d"][:, 0], [1, 1, 1, 1], rtol=1e-14)


def test_shares_that_differ_by_label_are_summed_label_by_label():
    """Each product has shares of its own, whose largest need not fit together."""
    data = system({"a": "out p = w", "b": "p end % u", "c": "p dump % v", "d": "p q", "e": "q end"})
    data["dims"] = {"k": ["one", "two"]}
    for name in "abcde":
        data["flows"][name]["dims"] = ["k"]
    both = {
        "w": number("t/yr", {"one": 10, "two": 20}, dims=["k"]),
        "u": number("1", {"one": 0.1, "two": 0.8}, dims=["k"]),
        "v": number("1", {"one": 0.8, "two": 0.1}, dims=["k"]),
    }
    data["parameters"] = {**PARAMETERS, **both}
    values = evaluate(compile_plan(scenario(data)), 1, range(1))
    assert_allclose(values["d"][:, 0, 0], [1, 2], rtol=1e-14)
    both["v"]["value"]["two"] = 0.3
    with pytest.raises(InputError, match=r"sum to 1\.1, more than 1"):
        compile_plan(scenario(data))


def test_a_share_of_what_leaves_the_environment():
    """Only what enters a process is known."""
    refused(system({**LOOP, "d": "out q % s"}), "'out' is not a process", "share")


def split(value=0.2, **flows):
    """Return the shares of one inflow over a dim that it has not; of the second label a value."""
    ends = {
        "into": {"from": "out", "to": "p", "value": "x"},
        "kept": {"from": "p", "to": "end", "dims": ["k"], "share": "part"},
        "lost": {"from": "p", "to": "dump", "dims": ["k"], "share": "part"},
    }
    part = {"unit": "1", "dims": ["k"], "value": {"a": 0.3, "b": value}, "distribution": "constant"}
    data = system({"into": "out p = x"}, "p")
    data["flows"] = {name: {**ends[name], **flows.get(name, {})} for name in ends}
    return {**data, "dims": {"k": ["a", "b"]}, "parameters": {**data["parameters"], "part": part}}


def test_what_could_be_left_open_has_no_dims_that_others_lack():
    """The message says which flow that is and what must be given instead; then it can be run."""
    wanted = "leave into without value and give values instead of shares to kept, lost; the balance"
    short = r"all that leaves it are shares \(kept, lost\), which sum to 0.8, 0.2 less than 1"
    refused(split(0.1), f"{short}; let them sum to 1, or {wanted}", "p")
    data = split(
        kept={"share": None, "value": "x * part"}, lost={"share": None, "value": "x * part"}
    )
    data["flows"]["into"]["value"] = None
    data["flows"] = {
        name: {key: value for key, value in flow.items() if value is not None}
        for name, flow in data["flows"].items()
    }
    assert closed(data) == {"into": "the balance of 'p'"}


def uncertain(unit, value, **key):
    """Return a parameter whose cells are drawn, each by itself."""
    errors = dict.fromkeys(key.get("dims", ()), "independent")
    return number(unit, value, **key) | {"distribution": "beta", "cv": 0.1, "errors": errors}


def split_by(kept, lost, *, dims=("k",), known=False, indicators=None, **parameters):
    """Return two shares of one inflow, over a dim that it has not unless ``known``, or none."""
    into = {"dims": ["k"]} if known else {}
    data = split(kept={"share": kept}, lost={"share": lost}, into=into)
    for flow in ("kept", "lost"):
        data["flows"][flow]["dims"] = [*dims]
    data["parameters"] |= parameters
    return data | {"indicators": indicators or {}}


COMPOSED = [
    split(),
    split_by("2 * part * rate", "2 * part * (1 - rate)", rate=uncertain("1", 0.8)),
    split_by("s", "1 - s", dims=(), s=uncertain("%", 30)),
    split_by(
        "u / sum(u, over=k) * rate",
        "u / sum(u, over=k) * (1 - rate)",
        rate=uncertain("1", {"a": 0.8, "b": 0.1}, dims=["k"]),
        u=uncertain("1", {"a": 0.3, "b": 0.5}, dims=["k"]),
    ),
    split_by("rest", "gone", dims=(), indicators={"gone": "1 - rest", "rest": "into / (into + x)"}),
]


@pytest.mark.parametrize("data", COMPOSED)
def test_shares_that_sum_to_one_balance_a_process(data):
    """It has nothing to close, and balances in every draw."""
    loaded = scenario(data)
    assert close_flows(Vocabulary(loaded)) == {}
    plan = compile_plan(loaded)
    audit = Audit(plan)
    values = evaluate(plan, 1, range(64), audit=audit)
    leaving = values["kept"] + values["lost"]
    leaving = leaving.sum(axis=0) if leaving.ndim > 2 else leaving
    assert_allclose(leaving, values["into"], rtol=1e-14)
    assert audit.worst <= LIMIT


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            split_by("part", "part * rate", rate=number("1", {"a": 1, "b": 0.98}, dims=["k"])),
            r"sum to 0.996, 0.004 less than 1; let them sum to 1, or",
        ),
        (
            split_by("ramp(2000, 0.5, 2003, 0.6)", "ramp(2000, 0.5, 2003, 0.36)", dims=()),
            r"sum to 0.96, 0.04 less than 1, for year=2003 and 2 more; let them",
        ),
        (
            split_by("part", "part", part=uncertain("1", {"a": 0.3, "b": 0.2}, dims=["k"])),
            "sum to 1 at the means of parameters, but not in every draw; let the parameter behind "
            "them say 'normalise: k', or leave into without value",
        ),
        (
            split_by("s", "t", dims=(), s=uncertain("1", 0.5), t=uncertain("1", 0.5)),
            "sum to 1 at the means of parameters, but not in every draw; give one of them as 1 "
            "minus the others, or leave one of kept, lost without",
        ),
        (
            split_by("2 * part", "0", known=True),
            r"sum to 0.4, 0.6 less than 1, for k=b, year=2000 and 7 more; over 'k' they do, but "
            "what enters is known by it, and each is a share of its own k: let it enter without",
        ),
        (
            split_by("s", "into / (into + x)", dims=()),
            "do not sum to 1 as far as is known without into; give",
        ),
    ],
)
def test_shares_that_do_not_sum_to_one(data, message):
    """By how much, for which labels, and what to do, is told at once."""
    refused(
        data,
        rf"'p' is over-determined: all that leaves it are shares \(kept, lost\), which {message}",
    )


def test_shares_of_what_a_stock_releases_may_be_all_of_it():
    """As they may be all of what enters a process without one."""
    data = system(
        {"a": "out p = x", "b": "p end % s", "c": "p dump % 1 - s"},
        "p",
        stocks={"held": {"process": "p", "lifetime": "fixed(life)"}},
    )
    assert closed(data) == {}
    values = evaluate(compile_plan(scenario(data)), 1, range(1))
    assert_allclose(values["b"] * 3, values["c"], rtol=1e-15)
    data["flows"]["c"]["share"] = "0.5 - s"
    refused(data, "which sum to 0.5, 0.5 less than 1")


def test_an_inflow_that_shares_cannot_close():
    """Shares of all that enters say nothing of how much that is."""
    data = system({"a": "out p", "b": "p end % s", "c": "p dump % 1 - s"}, "p")
    refused(data, "flow 'a' is not determined: no process balance can close it; give it a value")


def test_a_share_that_cannot_be_read_is_told_alone():
    """Whether the others would sum to 1 is not known then."""
    data = system({"a": "out p = x", "b": "p end % ss", "c": "p dump % 1 - s"}, "p")
    with pytest.raises(InputError) as caught:
        compile_plan(scenario(data))
    assert "unknown name 'ss'" in caught.value.message
    assert not caught.value.others
