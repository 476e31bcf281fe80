"""`ndmc sensitivity` and `ndmc.sensitivity`: what is asked, refused, shown and written."""

import csv
import re

import pytest
from command import here

import ndmc

MADE = ("sensitivity", "starter", "-n", "2048", "--exceed", "in_use_total > 75000 t")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return how a study of the starter ended, and its store."""
    folder = tmp_path_factory.mktemp("study")
    return here(*MADE, folder=folder), folder / "starter-sensitivity.zarr"


def test_a_study_ends_in_a_table_and_a_sentence(study):
    """What decides the total in the last year, what to measure first, and how much was computed."""
    done, _ = study
    assert (done.code, done.err) == (0, "")
    assert "in_use_total in 2024: shares of variance" in done.out
    assert "measure first: if " in done.out
    assert "certain, and in no group: lifetime_shape" in done.out
    assert "the 95 % range of in_use_total in 2024 would narrow from +-" in done.out
    assert "decides most whether in_use_total > 75000 t in 2024" in done.out
    assert (
        "5 groups, 2,048 draws, 12,288 evaluations, seed 1, in starter-sensitivity.zarr" in done.out
    )


def test_a_store_is_shown_again_and_python_reads_the_same(study):
    """The same table of the store, another cell, and the sentence in the attributes."""
    done, store = study
    again = here("sensitivity", store)
    assert again.out.splitlines()[:-3] == done.out.splitlines()[:-3]
    assert here("finish", store).out == again.out
    one = here("sensitivity", store, "-v", "in_use", "--sel", "product=car", "--sel", "year=2010")
    assert "in_use of car in 2010: shares of variance" in one.out
    shares = ndmc.sensitivity(store)
    assert shares.attrs["measure_first"].splitlines()[0] in done.out
    assert shares.in_use_total_total_order.dims == ("group", "year")
    only = ndmc.sensitivity(store, outputs="in_use")
    assert {name.split("_")[0] for name in only} == {"in"}


def test_every_share_is_written(study, tmp_path):
    """A row for each group and cell that is picked, with the numbers of Python."""
    _, store = study
    path = tmp_path / "shares.csv"
    done = here("sensitivity", store, "-v", "in_use", "--sel", "year=2024", "--csv", path)
    assert done.code == 0
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["output"] == "in_use_total"]
    shares = ndmc.sensitivity(store).in_use_total_first_order.sel(year=2024)
    found = {row["group"]: float(row["first_order"]) for row in rows}
    assert found == dict(zip(shares.group.values.tolist(), shares.values.tolist(), strict=True))


@pytest.mark.parametrize(
    ("words", "heading"),
    [
        ((), "sales_total"),
        pytest.param(
            ("-v", "in_use", "--sel", "product=car,phone"),
            "in_use of car",
            marks=pytest.mark.torture,
        ),
    ],
)
def test_a_study_is_drawn(study, words, heading, tmp_path):
    """The cell that is told of first, beside the total shares of all outputs."""
    _, store = study
    done = here("sensitivity", store, *words, "--picture", tmp_path / "shares.svg")
    assert (done.code, done.err) == (0, "")
    drawn = (tmp_path / "shares.svg").read_text(encoding="utf-8")
    assert f"{ndmc.info(store).title}: {heading}</text>" in drawn
    assert ">2.5 to 97.5 % of the draws</text>" in drawn
    assert ">in_use_total &gt; 75000 t</text>" in drawn
    about = ndmc.sensitivity(store).attrs
    assert about["title"] == ndmc.info(store).title
    assert about["headline"] == '["sales", "in_use", "end_of_life"]'


def test_a_study_goes_on(study, tmp_path):
    """The same command adds nothing, and a larger number of draws ends as if asked for at once."""
    few, many = (("sensitivity", "starter", "-v", "in_use", "-n", n) for n in ("256", "512"))
    assert here(*few, folder=tmp_path).code == 0
    assert here(*many, folder=tmp_path).code == 0
    refused = here(*few, folder=tmp_path)
    assert (refused.code, "the store holds 512 draws, 256 asked for" in refused.err) == (2, True)
    assert here(*many, "--out", "once.zarr", folder=tmp_path).code == 0
    both = [ndmc.sensitivity(tmp_path / name) for name in ("starter-sensitivity.zarr", "once.zarr")]
    assert both[0].load().equals(both[1].load())


def test_a_study_ends_when_shares_are_known(tmp_path):
    """After the first look that knows the total shares; else it fails, and goes on if asked."""
    asked = ("sensitivity", "starter", "-v", "in_use", "--tolerance")
    missed = here(*asked, "0.0001", "-n", "256", folder=tmp_path)
    assert missed.code == 1
    assert "not reached: total shares of the headline within 0.01 %" in missed.out
    assert "1 of 1 targets not reached after 256 draws" in missed.err
    done = here(*asked, "0.02", "-n", "1e5", folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    store = tmp_path / "starter-sensitivity.zarr"
    (reached,) = ndmc.info(store).targets
    assert (reached["met"], reached["draws"], reached["looks"]) == (True, 8192, 5)
    shares = ndmc.sensitivity(store)
    total = [shares[f"in_use_total_total_order_{end}"].max("group") for end in ("low", "high")]
    assert 0 < float((total[1] - total[0]).max()) / 2 < reached["half_width"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-n", "1001"], "-n: 1,001 draws asked for; neighbours are compared, so an even number"),
        (["-n", "64"], "-n: 64 draws asked for; limits of shares need 128"),
        (["-v", "in_us"], "nothing is named 'in_us'; did you mean 'in_use'?"),
        (["--groups", "label:prodct"], "there is no dim 'prodct'; did you mean 'product'?"),
        (["--groups", "params"], "--groups: no way of grouping is called 'params'"),
        (
            ["--exceed", "in_use > 3 km"],
            "--exceed: 'in_use' is in 't' [mass], which cannot be compared",
        ),
        (
            ["--exceed", "in_use > 1e9 t"],
            "of the first 4,096 draws 0 at most are above, and of 8,192",
        ),
        (["--picture", "shares.gif"], "--picture: cannot write 'shares.gif'; its name must end in"),
        (["--csv", "shares.xlsx"], "--csv: cannot write 'shares.xlsx'; its name must end in .csv"),
        (["--tolerance", "2"], "--tolerance: a tolerance of 2 asked for; choose one between 0"),
        (["--tolerance", "little"], "--tolerance: 'little' is not a number"),
        (["--tolerance", "0.1", "--part", "1/2"], "--tolerance: parts cannot wait"),
        (["--sel", "prodct=car"], "--sel: there is no dim 'prodct'"),
        (["--keep", "none"], "no such option: --keep"),
        (["--quantiles", "50"], "no such option: --quantiles"),
    ],
)
def test_what_is_asked_wrongly_is_refused_before_anything_is_computed(words, said, tmp_path):
    """Exit 2, with what is wrong and what to do; nothing is written."""
    done = here("sensitivity", "starter", *words, folder=tmp_path)
    assert done.code == 2
    assert said in done.err
    assert [*tmp_path.iterdir()] == []


def test_a_study_says_that_it_is_one(study):
    """Its store has percentiles as any, and groups besides."""
    _, store = study
    found = ndmc.info(store)
    assert list(found.groups) == ndmc.sensitivity(store).group.values.tolist()
    assert found.groups["content"] == ("content",)
    assert "5 groups of inputs: 12,288 evaluations" in here("info", store).out
    assert "in_use_total" in ndmc.percentiles(store, ["in_use_total"])


def test_a_plan_says_how_often_the_model_is_evaluated(cli, tmp_path):
    """Once a draw, and once more for each group; nothing is written."""
    done = cli("sensitivity", "starter", "-n", "4096", "--groups", "grade", "--plan")
    assert (done.code, done.err) == (0, "")
    assert re.match(
        r"16,384 evaluations in \d blocks of at most .* in memory on \d+ workers?, about", done.out
    )
    assert [*tmp_path.iterdir()] == []


def test_a_store_has_its_own_choices(study):
    """What was asked of the study is not asked of its store."""
    _, store = study
    for words, flag in ((["-n", "4096"], "-n"), (["--groups", "grade"], "--groups")):
        done = here("sensitivity", store, *words)
        assert done.code == 2
        assert f"{flag}: " in done.err
        assert "is a store, which has its own; leave it out, or name a scenario" in done.err


@pytest.mark.parametrize(
    ("command", "words", "code", "said"),
    [
        ("sensitivity", ["--plan"], 2, "--plan: .* is computed already; leave it out"),
        ("sensitivity", ["-n", "0"], 2, "-n: .* is a store, which has its own"),
        ("sensitivity", ["-v", "totl,in_us"], 2, "(?s)'totl' is not in .*'in_us' is not in "),
        ("sensitivity", ["-v", "in_use_first_order"], 2, "write 'in_use' alone"),
        ("percentiles", ["-v", "in_use_first_order"], 2, "shares are shown by 'ndmc sensitivity "),
        ("sensitivity", ["--csv", "no/a.csv"], 1, "the folder 'no' must exist"),
        ("sensitivity", ["--picture", "no/a.svg"], 1, "the folder 'no' must exist"),
    ],
)
def test_what_a_store_cannot_do_is_told_before_it_is_shown(command, words, code, said, study):
    """Nothing is printed of it."""
    done = here(command, study[1], *words)
    assert (done.code, done.out) == (code, "")
    assert re.search(said, done.err), done.err


def test_an_event_is_shown_by_its_own_name(study):
    """Beside the total that it is about."""
    _, store = study
    done = here("sensitivity", store, "-v", "in_use_total_above")
    assert (done.code, done.err) == (0, "")
    assert "in_use_total > 75000 t in 2024: shares of variance" in done.out


def test_all_outputs_are_those_of_none_named(study):
    """The word of a run for everything there is."""
    _, store = study
    assert [*ndmc.sensitivity(store, outputs="all")] == [*ndmc.sensitivity(store)]
    assert "5 groups" in here("sensitivity", store, "-v", "all").out


def test_a_study_that_is_not_finished_is_not_shown(tmp_path):
    """No table is left out in silence, from Python either."""
    part = ("-n", "4096", "-v", "in_use", "--block", "2048", "--part", "1/2", "--out", "a.zarr")
    assert here("sensitivity", "starter", *part, folder=tmp_path).code == 0
    done = here("sensitivity", "a.zarr", "--csv", "a.csv", folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "a.zarr: the run is not complete; run the same command again" in done.err
    with pytest.raises(ndmc.InputError, match="is not complete"):
        ndmc.sensitivity(tmp_path / "a.zarr")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"outputs": []}, "-v: no output is named"),
        ({"groups": {"a": ["content"]}}, "groups is .* but must be a way such as 'grade'"),
        ({"scenario": None}, "scenario is None but must be a text"),
    ],
)
def test_python_is_told_what_it_has_to_give(asked, said, tmp_path):
    """By the name of the argument; nothing is written."""
    with pytest.raises(ndmc.InputError, match=said):
        ndmc.sensitivity(**{"scenario": "starter", "out": tmp_path / "a.zarr", **asked})
    assert [*tmp_path.iterdir()] == []


def test_a_store_of_another_scenario_is_refused(study):
    """Also one of a run of the same scenario, which has no groups."""
    _, store = study
    done = here("sensitivity", "steel_loop", "-n", "2048", "--out", store)
    assert (done.code, "belongs to another run" in done.err) == (2, True)
    done = here("sensitivity", "starter", "-n", "2048", "--groups", "grade", "--out", store)
    assert (done.code, "belongs to another run" in done.err) == (2, True)
    done = here("run", "starter", "-n", "2048", "--keep", "none", "--out", store)
    assert (done.code, "belongs to another run" in done.err) == (2, True)


def test_draws_with_weights_are_refused(tmp_path):
    """With the reason, and what to do."""
    ndmc.reconciled_draws("uk_ree", 40, method="weighted", out=tmp_path)
    done = here("sensitivity", tmp_path / "uk_ree-weighted.zarr")
    assert done.code == 2
    assert "holds weighted draws: by their weights inputs follow from each other" in done.err


def test_a_job_can_be_a_study(cli):
    """The script has the command of a study; options of the other kind are refused."""
    words = ("job", "slurm", "starter", "--parts", "2")
    done = cli(*words, "--sensitivity", "--groups", "grade", "-v", "in_use", "-n", "4096")
    assert (done.code, done.err) == (0, "")
    line = next(line for line in done.out.splitlines() if line.startswith("ndmc "))
    assert line == (
        "ndmc sensitivity starter -n 4096 --seed 1 --out starter-sensitivity.zarr -v in_use "
        "--groups grade \\"
    )
    assert "--groups: add --sensitivity" in cli(*words, "--groups", "grade").err
    assert "--keep: leave it out" in cli(*words, "--sensitivity", "--keep", "all").err
