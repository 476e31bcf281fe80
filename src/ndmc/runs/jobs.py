"""Array-job scripts: one task of a cluster's batch system computes one part of a run."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ndmc.errors import InputError
from ndmc.legible import command_line

__all__ = ["job_script"]

# SLURM may send its warning a minute early, and ndmc has to get somewhere between two of them.
_EARLY = 60

_LONGEST = 65_535  # seconds before the time limit at which SLURM can warn

_SLURM = """\
#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array=1-{parts}
#SBATCH --cpus-per-task={cpus}
#SBATCH --mem={memory}
#SBATCH --time={time}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@{grace}
#SBATCH --output={name}-%A_%a.log
# Adapt: add #SBATCH --partition and --account if your site wants them, and here what puts ndmc on
# PATH, such as `module load python` and `source /path/to/venv/bin/activate`.

# A kernel cache in a home that unlike nodes share is not safe: each task compiles, in seconds.
export NDMC_KERNEL_CACHE=off

# Stopped, ndmc keeps its finished blocks in the store; the same command goes on from them.
# It is told so, and waited for outside the trap: in one, a signal that waits its turn ends a wait.
told=
stop() {{
    [ "$!" ] || exit 1
    [ "$told" ] || kill -TERM "$!" 2> /dev/null
    told=${{told:-$1}}
}}
trap 'stop requeue' USR1 # the time limit is near
trap 'stop here' TERM # preempted, requeued or cancelled

{command} \\
    --workers "$SLURM_CPUS_PER_TASK" --part "$SLURM_ARRAY_TASK_ID/{parts}" &
while kill -0 "$!" 2> /dev/null; do wait "$!"; done # a signal ends a wait, not ndmc
trap '' USR1 TERM
wait "$!"
status=$?
if [ "$told" = requeue ] && [ "$status" -ne 0 ]; then
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
fi
exit "$status"
"""

_PBS = """\
#!/bin/bash
#PBS -S /bin/bash
#PBS -N {name}
{array}#PBS -l select=1:ncpus={cpus}:mem={size}
#PBS -l walltime={hours}
#PBS -r y
#PBS -j oe
# Adapt: add #PBS -q and -A if your site wants them, and here what puts ndmc on PATH, such as
# `module load python` and `source /path/to/venv/bin/activate`.
# Out of walltime? Submit the same script again: it goes on, and finished parts end at once.
cd "$PBS_O_WORKDIR" || exit

# A kernel cache in a home that unlike nodes share is not safe: each task compiles, in seconds.
export NDMC_KERNEL_CACHE=off

# Stopped, ndmc keeps its finished blocks in the store; the same command goes on from them.
# It is told so, and waited for outside the trap: in one, a signal that waits its turn ends a wait.
trap '[ "$!" ] || exit 1; kill -TERM "$!" 2> /dev/null' TERM # out of walltime, preempted, deleted

{command} \\
    --workers {cpus} --part "${{PBS_ARRAY_INDEX:-1}}/{parts}" &
while kill -0 "$!" 2> /dev/null; do wait "$!"; done # a signal ends a wait, not ndmc
trap '' TERM
wait "$!"
"""

_SCRIPTS = {"slurm": _SLURM, "pbs": _PBS}


def job_script(
    system: str,
    command: Sequence[str],
    *,
    parts: int,
    name: str,
    time: str,
    cpus: int,
    memory: str,
    grace: int,
) -> str:
    """Return the script of an array job whose every task computes one part of a run.

    The tasks share one store and need no order: they may be preempted, requeued, submitted again
    or run twice, and each goes on from the blocks that are stored already.

    Parameters
    ----------
    system
        The batch system: ``slurm``, or ``pbs`` (PBS Pro, OpenPBS).
    command
        The whole ``ndmc run`` command but for ``--workers`` and ``--part``.
    parts
        The number of tasks.
    name
        What the queue shows: letters, digits and ``_ . + -``, starting with a letter.
    time
        The time limit of a task, ``[D-]HH:MM:SS``.
    cpus, memory
        Cores and memory of a task; memory is a whole number of ``K``, ``M``, ``G`` or ``T``.
    grace
        Seconds before the time limit at which a SLURM task stops and requeues itself; it may be
        a minute more. PBS has no such warning: a task is told at the limit, and ends there.

    Returns
    -------
    str
        A Bash script for ``sbatch`` or ``qsub``.

    Raises
    ------
    InputError
        When ``system`` is neither or a value cannot be asked of it.

    Examples
    --------
    >>> command = ["ndmc", "run", "china_nd", "-n", "1e7", "--out", "my runs/nd.zarr"]
    >>> asked = {"time": "04:00:00", "cpus": 4, "memory": "8G", "grace": 60}
    >>> script = job_script("slurm", command, parts=20, name="china_nd", **asked)
    >>> script.splitlines()[2]
    '#SBATCH --array=1-20'
    """
    if system not in _SCRIPTS:
        raise InputError(f"there are no jobs for {system!r}; choose slurm or pbs")
    _check_counts(parts, cpus, grace)
    _check_words(name, memory)
    seconds = _seconds(time)
    if system == "slurm":
        _check_grace(seconds, grace)
    return _SCRIPTS[system].format(
        command=command_line(command),
        name=name,
        parts=parts,
        array=f"#PBS -J 1-{parts}\n" if parts > 1 else "",  # PBS refuses an array of one
        time=time,
        hours=_hours(seconds),
        cpus=cpus,
        memory=memory,
        size=f"{memory.lower()}b",
        grace=grace,
    )


def _check_counts(parts: int, cpus: int, grace: int) -> None:
    if parts < 1:
        raise InputError(f"{parts} parts asked for; at least 1 is needed", "--parts")
    if cpus < 1:
        raise InputError(f"{cpus} cores asked for; at least 1 is needed", "--cpus")
    if not 1 <= grace <= _LONGEST:
        raise InputError(f"a grace of {grace} s asked for; choose 1 to {_LONGEST}", "--grace")


def _check_words(name: str, memory: str) -> None:
    """Refuse what is not one plain word: a line break would end its directive."""
    if not re.fullmatch(r"[A-Za-z][\w.+-]*", name, re.ASCII):
        raise InputError(f"{name!r} cannot name a job; use letters, digits and _ . + -")
    if not re.fullmatch(r"[1-9][0-9]*[KMGT]", memory):
        raise InputError(f"{memory!r} is not a memory; write it like 8G or 500M", "--memory")


def _seconds(time: str) -> int:
    match = re.fullmatch(r"(?:([0-9]+)-)?([0-9]{1,4}):([0-5][0-9]):([0-5][0-9])", time)
    if not match:
        raise InputError(
            f"{time!r} is not a time of the form [D-]HH:MM:SS, such as 04:00:00", "--time"
        )
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _check_grace(seconds: int, grace: int) -> None:
    least = grace + _EARLY
    if seconds <= least:
        message = f"{seconds} s leave a task no time to compute; with a grace of {grace} s it"
        raise InputError(f"{message} needs more than {least} s", "--time")


def _hours(seconds: int) -> str:
    """PBS knows no days."""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
