"""Text of users is text: whatever it holds, no door lets through what a reader would obey."""

import csv
import os
import re
import shlex
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from command import Finished, command, here
from strategies import write

import ndmc as package
from ndmc.cli.tables import console, plain_table, print_table
from ndmc.legible import legible
from ndmc.store.opening import open_store

#: A title for terminals, pages and shells, from which each would take an order.
HOSTILE = (
    "\x1b]0;owned\x07 \x1b[2J \x9b31m \u202eabc\u2066 [bold]b[/bold] [link=http://x]y[/link] :car: "
    "</script><script>alert(1)</script> &<>\"' $(touch pwned) `touch pwned` $\\frac "
    "\n\x00\u2028\tx"
)
#: A name in a folder or on a command line, which can hold neither a slash nor a null.
NAME = "it's \x1b[2J\x9b31m\u202e$(touch pwned)\n[b]\"&"
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]")


def hostile(text=HOSTILE):
    """Return a scenario with a text wherever there can be any."""
    label = f"{text} label"
    made = {"unit": "t/yr", "dims": ["kind"], "errors": {"kind": "independent"}}
    values = {label: 10, "car": 8}
    about = {"title": text, "note": text}
    return {
        "format": 1,
        "name": "hostile",
        "title": text,
        "description": text,
        "references": [text],
        "unit": "t",
        "years": "2001..2002",
        "dims": {"kind": {"labels": [label, "car"], "groups": {f"{text} group": [label, "car"]}}},
        "parameters": {
            "bought": {**made, "table": "bought.csv", "quality": "laner", "source": text, **about},
            "sold": {**made, "value": values, "distribution": "normal", "cv": "50 %", **about},
            "weight": {"unit": "1", "value": 2, "distribution": "constant", **about},
        },
        "processes": ["shop", "use"],
        "flows": {
            "imports": {
                "from": f"{text} abroad",
                "to": "shop",
                "dims": ["kind"],
                "value": "bought",
                **about,
            },
            "sales": {"from": "shop", "to": "use", "dims": ["kind"], **about},
        },
        "stocks": {"in_use": {"process": "use", "dims": ["kind"], "kind": "sink", **about}},
        "indicators": {"total": {"value": "sum(in_use, over=kind) * weight", **about}},
        "reconcile": {"measured": {"sales": "sold"}, "draws": "as_drawn"},
        "variants": {
            text.replace("\0", ""): {"title": text, "set": {"parameters.weight.value": 3}}
        },
        "published": [
            {
                "id": text,
                "quantity": "total",
                "at": "year=2002",
                "value": "1 kt",
                "note": text,
                "status": status,
            }
            for status in ("target", "reported", "not_reproducible")
        ],
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a hostile scenario, and a store of it that is forged further."""
    folder = tmp_path_factory.mktemp("hostile")
    write(hostile(), folder / "scenario")
    with (folder / "scenario" / "bought.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [[f"{HOSTILE} label", 10, 2, HOSTILE], ["car", 8, 3, "plain"]]
        csv.writer(file).writerows([["kind", "value", "reliability", "source"], *rows])
    package.run(
        folder / "scenario", 300, out=folder / "run.zarr", variant=HOSTILE.replace("\0", "")
    )
    store = open_store(folder / "run.zarr")
    store.write_attributes(started=HOSTILE, finished=HOSTILE, versions={HOSTILE: HOSTILE})
    return folder


def shown(done, code=0):
    """Return what a command printed, after a look at how it ended and at every character."""
    printed = done.out + done.err
    assert done.code == code, printed
    assert "Traceback" not in printed, printed
    assert not RAW.findall(printed), printed
    return printed


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (["run", "scenario", "-n", "200", "--out", NAME, "--part", "1/2"], 0),
        (["finish", "run.zarr"], 0),
        (["info", "run.zarr"], 0),
        (["percentiles", "run.zarr"], 0),
        (["reconcile", "scenario", "-n", "20", "--out", NAME], 0),
        (["validate", "scenario"], 1),
        (["validate", "run.zarr"], 1),
        (["run", "scenario", "--variant", NAME], 2),
        (["run", "scenario", "--set", f"{NAME}=1"], 2),
        (["run", NAME], 2),
        (["info", f"no {NAME}"], 2),
        (["percentiles", "run.zarr", "-v", NAME], 2),
        (["percentiles", "run.zarr", "--sel", f"kind={NAME}"], 2),
        (["check", "scenario", "--graph", NAME], 2),
        (["check", "scenario", "--quality", NAME], 2),
        (["validate", "scenario", "--csv", f"{NAME}/x.csv"], 1),
        (["run", "scenario", NAME], 2),
        (["run", "scenario", f"--{NAME}"], 2),
        ([NAME], 2),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_what_is_printed_is_escaped(folder, asked, code):
    """Of tables, lines and messages, whoever wrote the text: nothing is lost or ends in a trace."""
    printed = shown(here(*asked, folder=folder), code)
    assert re.search(r"\\x1b\[2J *\\x9b31m *\\u202e", re.sub(r"\n *", "", printed)), printed


@pytest.mark.parametrize(("encoding", "sign"), [("ascii", r"\xb1"), ("cp1252", "±")])
def test_a_terminal_without_a_letter_shows_its_number(folder, encoding, sign):
    """A process of its own writes bytes of the encoding it has, with escapes for all others."""
    done = subprocess.run(
        command("validate", "scenario"),
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        encoding=encoding,
        check=False,
    )
    printed = shown(Finished(done.returncode, done.stdout, done.stderr), 1)
    assert r"\x1b]0;owned\x07" in printed
    assert {":car:", "[bold]b[/bold]"} <= {*printed.split()}
    assert sign in printed


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no terminals of programs")
def test_a_terminal_is_not_told_what_to_do(folder):
    """Colors are the table's own; a CSV that is written to a terminal is shown there, too."""
    for asked in (["percentiles", "run.zarr"], ["percentiles", "run.zarr", "--csv", "/dev/stdout"]):
        reader, writer = os.openpty()
        process = subprocess.Popen(
            command(*asked),
            cwd=folder,
            stdout=writer,
            stderr=writer,
            env={**os.environ, "TERM": "xterm"},
        )
        os.close(writer)
        printed = b"".join(pieces(reader)).decode()
        assert process.wait() == 0, printed
        assert r"\x1b]0;owned\x07" in printed
        own = re.sub(r"\x1b\[[0-9;]*m|\r+(?=\n)", "", printed)
        assert not RAW.findall(own), own


def pieces(reader):
    """Yield what is written to a terminal until nobody has it any more."""
    with os.fdopen(reader, "rb", buffering=0) as file:
        while True:
            try:
                piece = file.read(4096)
            except OSError:  # Linux ends so
                return
            if not piece:
                return
            yield piece


def test_a_table_of_many_rows_is_escaped_too(capsys):
    """Beyond a thousand rows Rich is passed by, but not what makes texts legible."""
    table = plain_table("", "quantity")
    for _ in range(1001):
        table.add_row(HOSTILE)
    print_table(console(), table)
    printed = capsys.readouterr().out
    assert printed.count(legible(HOSTILE)) == 1001
    assert not RAW.findall(printed)


def test_a_file_of_rows_holds_texts_as_they_are(folder):
    """What is read by programs is not for terminals: a label comes back."""
    shown(here("percentiles", "run.zarr", "-v", "sales", "--csv", "rows.csv", folder=folder))
    with (folder / "rows.csv").open(newline="", encoding="utf-8") as file:
        assert {row["kind"] for row in csv.DictReader(file)} == {f"{HOSTILE} label", "car"}


def test_pictures_hold_text_and_nothing_else(folder):
    """A parser finds every text as it was, but for escapes, and no element that is not drawn."""
    pictures = ["system.svg", "quality.svg", "shifts.svg"]
    for asked in (
        ["check", "scenario", "--graph", pictures[0], "--quality", pictures[1]],
        ["check", "scenario", "--quality", "quality.png"],
        ["reconcile", "scenario", "--picture", pictures[2]],
        ["reconcile", "scenario", "--picture", "shifts.pdf"],
    ):
        shown(here(*asked, folder=folder))
    for name in pictures:
        text = (folder / name).read_text(encoding="utf-8")
        assert not RAW.findall(text)
        elements = [*ElementTree.fromstring(text).iter()]
        assert not [e for e in elements if re.search("(?i)script|foreign|}a$", e.tag)]
        texts = ["".join(element.itertext()) for element in elements]
        assert any(legible(HOSTILE) in found for found in texts), name


@pytest.mark.parametrize("name", ['my runs/it\'s $HOME `x` "y".zarr', NAME])
@pytest.mark.parametrize("system", ["slurm", "pbs"])
def test_scripts_run_what_was_asked_for(folder, tmp_path, system, name):
    """Bash takes the script, on lines without control characters, and every word as it was."""
    asked = ["--out", name, "--set", "weight=3", "--variant", HOSTILE.replace("\0", "")]
    script = shown(here("job", system, "scenario", "--parts", "3", *asked, folder=folder))
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    line = next(line for line in script.splitlines() if line.startswith("ndmc run"))
    words = read_back(line.removesuffix("\\"), tmp_path)
    assert words[:3] == ["ndmc", "run", "scenario"]
    assert [words[words.index(flag) + 1] for flag in asked[::2]] == asked[1::2]


def read_back(line, folder):
    """Return the words that a shell makes of a line; nothing it could execute is left behind."""
    ask = f"printf '%s\\0' {line}"
    done = subprocess.run(["bash", "-c", ask], capture_output=True, check=True, cwd=folder)
    assert not list(folder.iterdir())
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("name", ["my run's.zarr", NAME])
def test_what_to_type_next_can_be_typed(folder, tmp_path, name):
    """Paths are quoted for a shell, in what a run says at its end and between its parts."""
    (tmp_path / "empty").mkdir()
    for part in ("1/2", "2/2"):
        asked = ["run", "starter", "-n", "3000", "--block", "1024", "--out", name, "--part", part]
        printed = shown(here(*asked, folder=tmp_path))
        if part == "1/2":
            line = re.search(r"ndmc finish .*(?= does it by hand)", printed)[0]
            assert read_back(line, tmp_path / "empty") == ["ndmc", "finish", name]
    line = printed.splitlines()[-1].removeprefix("next: ")
    assert read_back(line, tmp_path / "empty")[:3] == ["ndmc", "percentiles", name]
    if name != NAME:
        assert shlex.split(line)[:3] == ["ndmc", "percentiles", name]
    printed = shown(here("new", f"{name}/study", folder=tmp_path))
    lines = printed.splitlines()[1:]
    assert [read_back(line, tmp_path / "empty")[:2] for line in lines] == [
        ["ndmc", "check"],
        ["ndmc", "run"],
    ]
    assert {read_back(line, tmp_path / "empty")[2] for line in lines} == {f"{name}/study"}


def test_halves_of_letters_are_text(tmp_path, cli):
    """YAML can write what no encoding can, as bytes on a command line can be: it is an escape."""
    data = hostile("half \ud800")
    del data["parameters"]["bought"]["table"], data["parameters"]["bought"]["quality"]
    data["parameters"]["bought"] |= data["parameters"]["sold"]
    write(data, tmp_path / "scenario")
    shown(cli("check", "scenario", "--graph", "a.svg"))
    shown(
        cli(
            "run", "scenario", "-n", "200", "--out", "run.zarr", "--set", "flows.sales.title=\udcff"
        )
    )
    assert r"half \ud800 label" in shown(cli("percentiles", "run.zarr", "-v", "sales"))
    stored = package.open(tmp_path / "run.zarr")
    assert r"half \ud800 label" in stored["kind"].values
    assert stored["sales"].attrs["long_name"] == r"\udcff"
    ElementTree.parse(tmp_path / "a.svg")


def test_letters_that_a_picture_lacks_are_named_before_it_computes(tmp_path, cli):
    """The message says which letter of which name, with nothing printed or written before."""
    data = hostile("plain")
    data["dims"]["kind"] = ["粗鋼", "car"]
    for name in ("bought", "sold"):
        data["parameters"][name] |= {"value": {"粗鋼": 10, "car": 8}}
    del data["parameters"]["bought"]["table"]
    data["parameters"]["bought"]["quality"] = {"method": "laner", "reliability": 2}
    write(data, tmp_path / "scenario")
    title = "bought [kind=粗鋼]"
    done = cli("reconcile", "scenario", "--picture", "a.png")
    message = f"error: --picture: png has no letter '粗', which is in {title!r}; draw .svg\n"
    assert (done.code, done.out, done.err) == (2, "", message)
    shown(cli("reconcile", "scenario", "--picture", "a.svg"))
    shown(cli("check", "scenario", "--quality", "a.png"))  # scores are alike for all labels
    data["title"] = "粗鋼"
    write(data, tmp_path / "titled")
    done = cli("check", "titled", "--quality", "a.pdf")
    message = "error: --quality: pdf has no letter '粗', which is in '粗鋼'; draw .svg\n"
    assert (done.code, done.out, done.err) == (2, "", message)
