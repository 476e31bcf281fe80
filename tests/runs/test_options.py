"""The options of a run: declared once, and there in Python, in commands, in jobs and in stores."""

import inspect
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import ndmc
from ndmc.cli.app import app
from ndmc.option import PERCENTS, option_of
from ndmc.runs.asked import read_asked
from ndmc.runs.options import Options, listed
from ndmc.runs.study_options import StudyOptions
from ndmc.store.identity import identity, spec_of
from ndmc.store.ranks import DEFAULT_QUANTILES
from ndmc.store.spec import Identity, Spec

DECLARED = """
    mirrored: bool = field(default=False, metadata=option("Mirror every second draw."))


@dataclass(frozen=True, kw_only=True)
class Spec(Identity):"""

#: Where there is one option more.
THERE = """
import sys
from typer.testing import CliRunner
import ndmc
from ndmc.cli.app import app

def said(*words):
    done = CliRunner().invoke(app, words)
    return f"{done.output}{done.exception or ''}"

out = sys.argv[1]
command = ["starter", "-n", "300", "--out", out]
assert "--mirrored" in said("run", "--help") and "Mirror every second" in said("run", "--help")
assert "    Mirror every second draw." in ndmc.run.__doc__
assert "--mirrored" in said("job", "slurm", *command, "--parts", "2", "--mirrored")
assert "--mirrored" not in said("job", "slurm", *command, "--parts", "2")
assert "mirrored: False, asked for True" in said("run", *command, "--mirrored"), "another run"
assert "300 draws" in said("run", *command), "the run of before there was a choice goes on"
ndmc.run("starter", 300, out=out + "2", mirrored=True)
assert ndmc.open(out + "2").attrs["mirrored"] == 1
assert "mirrored: True, asked for False" in said("run", "starter", "-n", "300", "--out", out + "2")
"""


def test_an_option_is_declared_in_one_place(tmp_path):
    """With one field more there is an option in Python, of both commands, of jobs and stores."""
    package = Path(ndmc.__file__).parent
    shutil.copytree(package, tmp_path / "ndmc")
    place = tmp_path / "ndmc" / "store" / "spec.py"
    before = "\n\n@dataclass(frozen=True, kw_only=True)\nclass Spec(Identity):"
    text = place.read_text(encoding="utf-8")
    assert text.count(before) == 1
    place.write_text(text.replace(before, DECLARED), encoding="utf-8")
    out = tmp_path / "run.zarr"
    ndmc.run("starter", 200, out=out)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", THERE, str(out)],
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


OF = {"run": Options, "sensitivity": StudyOptions}


@pytest.mark.parametrize(
    ("command", "one"),
    [(command, one) for command, kind in OF.items() for one in listed(kind)],
    ids=lambda given: given if isinstance(given, str) else given.name,
)
def test_an_option_is_the_same_in_python_and_on_the_command_line(command, one):
    """Each is described in both, and has one default."""
    about, function = option_of(one), getattr(ndmc, command)
    assert re.search(rf"^{one.name}\n    \S", inspect.getdoc(function), re.M)
    assert one.name in inspect.signature(function).parameters
    if not about.help:
        return
    shown = " ".join(CliRunner().invoke(app, [command, "--help"]).output.split())
    flag = about.flags or (f"--{one.name}",)
    assert re.search(rf"{re.escape(flag[-1])}\b.* {re.escape(about.help)}", shown)
    if about.text and about.read:
        assert about.read(about.text, flag[0]) == one.default


def test_a_study_has_the_options_of_a_run_but_those_it_has_no_choice_of():
    """Nothing is stored of its draws; what it leaves out is fixed, whoever asks."""
    of_run, of_study = ({one.name for one in listed(kind)} for kind in OF.values())
    assert of_run - of_study == {"keep", "percentiles", "quantiles", "until", "dtype", "bits"}
    assert of_study - of_run == {"outputs", "groups", "tolerance", "linear", "ensemble"}
    with pytest.raises(TypeError, match=r"sensitivity\(\) got an unexpected .* 'keep'"):
        ndmc.sensitivity("starter", keep=["in_use"])
    asked = StudyOptions("starter", 10, outputs="in_use")
    assert (asked.keep, asked.percentiles) == ((), ("in_use",))


def test_what_is_not_said_is_the_same_everywhere():
    """Percentiles are those of a run, of a table and of Python."""
    assert Options.quantiles == DEFAULT_QUANTILES == (0.025, 0.5, 0.975)
    for command in ("run", "job", "percentiles"):
        assert f"[default: {PERCENTS}]" in CliRunner().invoke(app, [command, "--help"]).output


def test_python_is_told_of_what_is_no_option():
    """A keyword that is misspelled is refused as one of any function."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'keeps'"):
        ndmc.run("starter", 10, out="nowhere.zarr", keeps=["in_use"])


def test_a_job_says_what_it_was_asked_for(cli):
    """A script has the options that are given, once each, and none of the others."""
    given = ["--keep", "in_use", "-q", "5,50", "--exceed", "in_use > 1 t", "--bits", "10"]
    more = ["--exceed", "in_use > 2 t", "--set", "stocks.in_use.inflow_at=end"]
    done = cli("job", "slurm", "starter", "--parts", "2", *given, *more)
    assert (done.code, done.err) == (0, "")
    line = next(line for line in done.out.splitlines() if line.startswith("ndmc run"))
    assert line == (
        "ndmc run starter -n 10000 --seed 1 --out starter.zarr --keep in_use -q 5,50 "
        "--exceed 'in_use > 1 t' --exceed 'in_use > 2 t' --set stocks.in_use.inflow_at=end "
        "--bits 10 \\"
    )


def test_stores_keep_the_names_and_forms_of_what_was_asked():
    """The attributes by which stores are told apart are those of stores there are already."""
    scenario = SimpleNamespace(hash="ab12", variant="", changes={"scale": "9"})
    spec = Spec(
        seed=4,
        keep=("in_use",),
        percentiles=("in_use", "sales"),
        quantiles=(0.5,),
        exceed=(("in_use", 2.0),),
        draws=10,
        block=256,
    )
    found = identity(scenario, spec)
    assert found.pop("ndmc")
    assert found == {
        "scenario_hash": "ab12",
        "variant": "",
        "changes": {"scale": "9"},
        "seed": 4,
        "keep": ["in_use"],
        "percentiles": ["in_use", "sales"],
        "quantiles": [0.5],
        "exceed": [["in_use", 2.0]],
        "dtype": "float32",
        "compute": "float64",
        "bits": 0,
    }
    stages = {"begin": spec.begin, "pilot": 0, "counted": 0}
    assert spec_of({**found, "draws": 10, "block": 256, "stages": stages}) == spec
    assert {one.name for one in fields(Identity)} < set(found)


def test_workers_are_asked_for_once(tmp_path):
    """Threads, processes and a scheduler cannot all compute."""
    for options, message in (
        ({"processes": True, "scheduler": "tcp://x:1"}, "--processes: there are workers at --sch"),
        (
            {"processes": True, "client": SimpleNamespace(submit=None, scheduler=None)},
            "--processes: there are workers at client alr",
        ),
    ):
        with pytest.raises(ndmc.InputError, match=message):
            ndmc.run("starter", 10, out=tmp_path / "run.zarr", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("all", ["bought", "in_use"]),
        ("[all]", ["bought", "in_use"]),
        ("none", []),
        ("[]", []),
        ("in_use", ["in_use"]),
        ("total, in_use", ["in_use", "total"]),
        ("[in_use, total]", ["in_use", "total"]),
    ],
)
def test_what_is_kept_is_said_alike_everywhere(scenario, tmp_path, text, kept):
    """In the file, by --set and --keep, and in Python."""
    head = "headline: [in_use]"
    folder = scenario("tiny", {head: f"keep: {text}\n{head}"})
    file = ndmc.load(folder).file
    names = names_of(text)
    plain = scenario("plain")
    assert ndmc.load(plain, changes={"keep": text}).file.keep == file.keep
    found = [
        read_asked(Options(source, 10, out=tmp_path / "x", keep=keep)).spec.keep
        for source, keep in ((folder, None), (plain, names), (folder, names))
    ]
    assert found[0] == found[1] == found[2]
    assert sorted(found[0])[: len(kept)] == kept
    assert bool(found[0]) == bool(kept)
    assert read_asked(Options(folder, 10, out=tmp_path / "x", keep="scrap")).spec.keep == ("scrap",)


def names_of(text):
    """Return what Python is given for a text of the file."""
    return [name for name in text.strip("[]").split(", ") if name]


def test_a_file_that_keeps_what_there_is_not_is_refused(scenario):
    """All and none stand alone; the line is that of the key."""
    for text, line in (("[all, in_use]", "'all' is no flow"), ("all, in_us", "'all' is no")):
        folder = scenario("tiny", {"headline: [in_use]": f"keep: {text}"})
        with pytest.raises(ndmc.InputError, match=rf"scenario.yaml:\d+: {line}"):
            ndmc.load(folder)


def test_all_outputs_of_a_study_are_those_it_has_if_none_is_named():
    """As it is with a run: what has no name has no other either."""
    assert StudyOptions("starter", outputs=["all"]).percentiles is None
    assert StudyOptions("starter", outputs="all") == StudyOptions("starter")
