"""What every command does with its options: none is ignored, and files are called what they are."""

import os
import re
import sys

import pytest
import typer

from ndmc.cli.app import app
from ndmc.errors import StudyWarning
from ndmc.option import read_percents

COMMANDS = typer.main.get_command(app).commands


def options(command):
    """Return the options of a command that take one value."""
    found = [one for one in COMMANDS[command].params if one.param_type_name == "option"]
    return [max(one.opts, key=len) for one in found if not (one.is_flag or one.multiple)]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_is_given_once(cli, command):
    """Of two values one would be dropped without a word, whichever option it is."""
    for flag in options(command):
        done = cli(command, flag, "1", f"{flag}=2")
        assert (done.code, done.out) == (2, "")
        assert done.err == f"error: {flag}: given twice, but takes one value; leave one out\n"


def test_both_names_of_an_option_are_one(cli):
    """However an option is called, it is the same one."""
    assert "--draws: given twice" in cli("run", "starter", "-n", "10", "--draws", "20").err


def test_what_can_be_repeated_is(cli, scenario):
    """Options that take many values take them, and a switch that is on stays on."""
    options = ["--set", "collection=50", "--set", "shape=3", "--plan", "--plan"]
    done = cli("run", scenario(), "-n", "10", *options)
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_is_not_empty(cli, command):
    """Nothing in quotes, such as a variable of a script that is not set, says nothing."""
    for flag in options(command):
        done = cli(command, flag, "")
        assert (done.code, done.out) == (2, "")
        assert done.err == f"error: {flag}: given without a value; say one, or leave it out\n"


@pytest.mark.parametrize("command", [c for c in COMMANDS if options(c)])
def test_what_is_wrong_with_an_option_is_said_of_its_command(cli, command):
    """The help that is pointed to is the one with the option."""
    for words in (["--nothing"], [options(command)[0]]):
        assert cli(command, *words).err.endswith(f"; see ndmc {command} --help\n")


@pytest.mark.parametrize("command", [c for c in COMMANDS if "--csv" in options(c)])
@pytest.mark.parametrize("name", ["x.xlsx", "x.txt", "x", "x.csv.gz", "x.tsv"])
def test_a_table_is_called_a_csv(cli, command, name, tmp_path):
    """A file that says it is a workbook is none; it is refused before anything is computed."""
    done = cli(command, "starter", "--csv", name)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: --csv: cannot write {name!r}; its name must end in .csv\n"
    assert not list(tmp_path.iterdir())


def test_a_table_can_go_through_a_pipe(cli, scenario):
    """What is no file has no ending."""
    done = cli("validate", scenario(), "-n", "50", "--csv", os.devnull)
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("option", [["--processes"], ["--scheduler", "tcp://127.0.0.1:1"]])
def test_an_option_that_needs_more_is_named(cli, monkeypatch, option):
    """Where Dask's distributed part is not installed the option that needs it is."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = cli("run", "starter", "-n", "10", *option)
    assert done.code == 2
    assert done.err.startswith(f"error: {option[0]}: this needs distributed; install it with")


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be removed there")
@pytest.mark.parametrize("command", ["scenarios", "info"])
def test_a_folder_that_is_gone_is_named(process, tmp_path, command):
    """Where a command is started in a folder that was removed, that is what it says."""
    gone = ["sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh"]
    done = process(command, *[os.fspath(tmp_path)] * (command == "info"), before=gone)
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(r"error: the working directory is gone \(.*\); change to .*\n", done.err)


def test_quantiles_that_read_like_shares_are_warned_of():
    """NumPy has quantiles from 0 to 1; as percents they would be the lowest draws, all of them."""
    with pytest.warns(StudyWarning, match=r"^-q: 0.025,0.5 are read as percents; .* write 2.5,50$"):
        assert read_percents("0.025,0.5", "-q") == (0.00025, 0.005)
    assert read_percents("0.5", "-q") == (0.005,)
