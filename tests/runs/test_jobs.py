"""Array-job scripts: what they ask for, how they are quoted, and how they take signals."""

import os
import re
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from ndmc.errors import InputError
from ndmc.runs.jobs import job_script

SYSTEMS = ["slurm", "pbs"]
COMMAND = ["ndmc", "run", "starter", "-n", "1000", "--out", "my runs/it's $HOME.zarr"]

# Both say what they were called with, a word a line, and ndmc ends as told.
NDMC = """\
#!/bin/bash
trap 'echo TERM >> "$HERE/ndmc"; exit "$STOPPED"' TERM
printf '%s\\n' "$@" "cache $NDMC_KERNEL_CACHE" > "$HERE/.ndmc" && mv "$HERE/.ndmc" "$HERE/ndmc"
[ -z "$ENDED" ] || exit "$ENDED"
for _ in {1..600}; do sleep 0.05; done
"""
SCONTROL = """\
#!/bin/bash
echo "$@" >> "$HERE/scontrol"
"""


def script(system, **options):
    """Return a script of three parts, but for ``options``."""
    asked = {"time": "04:00:00", "cpus": 4, "memory": "8G", "grace": 60}
    return job_script(system, COMMAND, **{"parts": 3, "name": "starter", **asked, **options})


@dataclass(frozen=True)
class Task:
    """A task that runs: its script's process, and the folder where the fakes write."""

    process: subprocess.Popen
    here: Path

    def said(self, program):
        """Return the lines a fake program wrote, none if it was not called."""
        path = self.here / program
        return path.read_text().splitlines() if path.exists() else []

    def started(self):
        """Wait until ndmc runs."""
        end = time.monotonic() + 20
        while not self.said("ndmc"):
            assert time.monotonic() < end, "ndmc was not started"
            time.sleep(0.01)
        return self

    def code(self):
        """Wait for the end and return the exit status."""
        return self.process.wait(20)


@pytest.fixture
def start(tmp_path):
    """Return a function that starts the second task of a script beside fake programs."""
    tasks = []

    def run(system, *, stopped="1", ended=""):
        for name, text in {"ndmc": NDMC, "scontrol": SCONTROL}.items():
            path = tmp_path / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        (tmp_path / "job").write_text(script(system))
        environment = {
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "HERE": str(tmp_path),
            "STOPPED": stopped,
            "ENDED": ended,
            "SLURM_JOB_ID": "72",
            "SLURM_ARRAY_JOB_ID": "70",
            "SLURM_ARRAY_TASK_ID": "2",
            "SLURM_CPUS_PER_TASK": "4",
            "PBS_ARRAY_INDEX": "2",
            "PBS_O_WORKDIR": str(tmp_path),
        }
        process = subprocess.Popen(["/bin/bash", str(tmp_path / "job")], env=environment)
        tasks.append(process)
        return Task(process, tmp_path)

    yield run
    for process in tasks:
        process.kill()
        process.wait()


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("system", SYSTEMS)
def test_bash_accepts_the_script(system, parts):
    """A script is Bash without a mistake."""
    done = subprocess.run(
        ["bash", "-n"], input=script(system, parts=parts), text=True, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def directives(text, word):
    """Return the directives of a script; they must come before its first command."""
    lines = text.splitlines()
    assert lines[0] == "#!/bin/bash"
    head = [line for line in lines if line.startswith(f"#{word} ")]
    assert lines[1 : 1 + len(head)] == head
    return [line.removeprefix(f"#{word} ") for line in head]


def test_slurm_is_asked_for_what_was_said():
    """Each option is a directive of SLURM, and what lets a task be requeued is there."""
    text = script("slurm", parts=7, time="1-02:00:00", cpus=2, memory="500M", grace=90)
    assert directives(text, "SBATCH") == [
        "--job-name=starter",
        "--array=1-7",
        "--cpus-per-task=2",
        "--mem=500M",
        "--time=1-02:00:00",
        "--requeue",
        "--open-mode=append",
        "--signal=B:USR1@90",
        "--output=starter-%A_%a.log",
    ]


def test_pbs_is_asked_for_what_was_said():
    """Each option is a directive of PBS in its own units, days counted as hours."""
    text = script("pbs", parts=7, time="1-02:00:00", cpus=2, memory="500M")
    assert directives(text, "PBS") == [
        "-S /bin/bash",
        "-N starter",
        "-J 1-7",
        "-l select=1:ncpus=2:mem=500mb",
        "-l walltime=26:00:00",
        "-r y",
        "-j oe",
    ]


def test_a_single_part_is_no_array_in_pbs():
    """PBS refuses an array of one, so one part is a plain job."""
    assert "#PBS -J" not in script("pbs", parts=1)


@pytest.mark.parametrize("system", SYSTEMS)
def test_command_is_quoted(system):
    """Blanks, quotes and dollars of the command reach ndmc as they were written."""
    line = next(line for line in script(system).splitlines() if line.startswith("ndmc run"))
    assert shlex.split(line.removesuffix("\\")) == COMMAND


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": 0}, "--parts: 0 parts asked for; at least 1 is needed"),
        ({"cpus": 0}, "--cpus: 0 cores asked for; at least 1 is needed"),
        ({"grace": 0}, "--grace: a grace of 0 s asked for; choose 1 to 65535"),
        ({"time": "4h"}, "--time: '4h' is not a time of the form [D-]HH:MM:SS"),
        ({"time": "01:60:00"}, "--time: '01:60:00' is not a time of the form [D-]HH:MM:SS"),
        ({"time": "00:02:00"}, "--time: 120 s leave a task no time to compute; with a grace"),
        ({"memory": "8 G"}, "--memory: '8 G' is not a memory; write it like 8G or 500M"),
        (
            {"name": "two\nlines"},
            "'two\\nlines' cannot name a job; use letters, digits and _ . + -",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_refused(options, message):
    """A value no batch system takes is refused by name, with what is allowed."""
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        script("slurm", **options)


def test_other_systems_are_refused():
    """A batch system that is not known is refused with those that are."""
    with pytest.raises(InputError, match="no jobs for 'lsf'; choose slurm or pbs"):
        script("lsf")


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("code", [0, 2])
def test_a_task_computes_its_part_and_ends_like_ndmc(start, system, code):
    """A task runs its own part on its own cores, and its exit status is that of ndmc."""
    task = start(system, ended=str(code))
    assert task.code() == code
    options = ["--workers", "4", "--part", "2/3"]
    assert task.said("ndmc") == [*COMMAND[1:], *options, "cache off"]
    assert task.said("scontrol") == []


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_preempted_task_stops_ndmc_and_ends_like_it(start, system):
    """TERM to a task ends ndmc by TERM, the task with its status, and requeues nothing."""
    task = start(system, stopped="7").started()
    task.process.send_signal(signal.SIGTERM)
    assert task.code() == 7
    assert task.said("ndmc")[-1] == "TERM"
    assert task.said("scontrol") == []


def test_a_task_out_of_time_stops_ndmc_and_requeues_itself(start):
    """USR1 to a task ends ndmc by TERM and requeues this task, by array and index, alone."""
    task = start("slurm").started()
    task.process.send_signal(signal.SIGUSR1)
    assert task.code() == 1
    assert task.said("ndmc")[-1] == "TERM"
    assert task.said("scontrol") == ["requeue 70_2"]


def test_a_task_done_in_time_is_not_requeued(start):
    """A task whose ndmc was just done when the time ran out has nothing left to do."""
    task = start("slurm", stopped="0").started()
    task.process.send_signal(signal.SIGUSR1)
    assert task.code() == 0
    assert task.said("ndmc")[-1] == "TERM"
    assert task.said("scontrol") == []


@pytest.mark.parametrize("at_once", [True, False])
def test_signals_upon_signals_change_nothing(start, at_once):
    """A task that is told twice, as by a requeue at the time limit, stops once and requeues."""
    task = start("slurm").started()
    told = (signal.SIGUSR1, signal.SIGTERM)
    held = (signal.SIGSTOP, *told, signal.SIGCONT)  # they wait until the task goes on
    for number in (*(held if at_once else told), *told):
        task.process.send_signal(number)
    assert task.code() == 1
    assert task.said("ndmc").count("TERM") == 1
    assert len(task.said("scontrol")) <= 1
