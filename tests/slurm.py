"""A real SLURM of one node on this machine, on loopback only, for as long as a test needs it."""

import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from parts import until

PACKAGES = ["munge", "slurm-wlm"]
DAEMONS = ["munged", "slurmctld", "slurmd"]
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
AuthType=auth/munge
# A requeued job waits until the credentials of its first start are void: two minutes by default.
AuthInfo=socket={folder}/munge.socket,cred_expire={wait}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MinJobAge=3600
KillWait=20
MailProg=/bin/true
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory}
PartitionName=all Nodes=ALL Default=YES State=UP
"""


class UnavailableError(Exception):
    """There is no SLURM on this machine, and the message says why."""


@dataclass(frozen=True)
class Slurm:
    """A running SLURM: ``environment`` makes its commands find it."""

    environment: dict[str, str]

    def command(self, *arguments, **environment):
        """Run one of SLURM's commands and return what it printed."""
        done = subprocess.run(
            arguments,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout.strip()

    def sbatch(self, script, **environment):
        """Submit a script from its folder, with this environment, and return the job's number."""
        folder = f"--chdir={Path(script).parent}"
        return self.command("sbatch", "--parsable", folder, str(script), **environment)

    def states(self, job):
        """Return the state of each task of an array job."""
        lines = self.command("squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%K %T")
        found = (line.split() for line in lines.splitlines())
        return {int(task): state for task, state in sorted(found)}

    def restarts(self, job):
        """Return how often each task of an array job was started again."""
        text = self.command("scontrol", "--oneliner", "show", "job", job)
        found = re.findall(r"ArrayTaskId=(\d+) .*?Restarts=(\d+)", text)
        return {int(task): int(times) for task, times in sorted(found)}

    def running(self, job):
        """Return the tasks of an array job that run."""
        return sorted(task for task, state in self.states(job).items() if state == "RUNNING")

    def wait_for(self, job, states, *, timeout=300, changed=lambda states: None):
        """Wait until every task of a job is in one of ``states``; say what changes until then."""
        last = {}

        def reached():
            now = self.states(job)
            if now != last:
                changed(now)
                last.clear()
                last.update(now)
            return set(now.values()) <= set(states)

        until(reached, f"job {job} in {states}", timeout, every=0.1)
        return last

    def requeue(self, task):
        """Stop a task, as a preemption does, and put it back into the queue."""
        self.command("scontrol", "requeue", task)

    def warn(self, task):
        """Send the script of a task what SLURM sends it before its time limit."""
        self.command("scancel", "--batch", "--signal=USR1", task)

    def cancel(self, job):
        """Cancel a job."""
        self.command("scancel", job)


def install():
    """Install SLURM where it is missing; raise UnavailableError where that cannot be."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        raise UnavailableError("SLURM's daemons need root")
    if all(shutil.which(name, path=PATH) for name in DAEMONS):
        return
    if not shutil.which("apt-get"):
        raise UnavailableError(f"no SLURM, and no apt-get to install {' and '.join(PACKAGES)}")
    options = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "capture_output": True}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", *command], text=True, check=False, **options)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise UnavailableError(f"apt-get {command[0]} failed: {last}")


@contextlib.contextmanager
def slurm(folder):
    """Start SLURM with all of its files in ``folder``, yield it, and stop it.

    Nothing of it is left: jobs are cancelled, and each daemon is a child that is stopped by its
    own process.
    """
    install()
    folder = Path(folder).absolute()
    cluster = Slurm({**os.environ, "PATH": PATH, "SLURM_CONF": str(configure(folder))})
    with contextlib.ExitStack() as daemons:
        for command in (
            ["munged", "--foreground", "--force", *munge_options(folder)],
            ["slurmctld", "-D"],
            ["slurmd", "-D"],
        ):
            daemons.enter_context(daemon(command, folder, cluster.environment))
        try:
            until(lambda: idle(cluster), f"an idle node; see {folder}/*.log", 60, every=0.1)
            yield cluster
        finally:
            cancel_all(cluster)


def configure(folder):
    """Write the configuration of a SLURM in ``folder`` and return its path."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    port, node_port = free_ports(2)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    conf = folder / "slurm.conf"
    conf.write_text(
        CONF.format(
            host=socket.gethostname().partition(".")[0],
            folder=folder,
            port=port,
            node_port=node_port,
            wait=5,
            cpus=os.cpu_count(),
            memory=min(memory, 4000),
        )
    )
    return conf


def free_ports(count):
    """Return ports of loopback that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def munge_options(folder):
    """Return the options that keep munged's files in ``folder``."""
    names = {"socket": "socket", "key-file": "key", "log-file": "log", "pid-file": "pid"}
    files = [f"--{option}={folder}/munge.{name}" for option, name in names.items()]
    return [*files, f"--seed-file={folder}/munge.seed"]


@contextlib.contextmanager
def daemon(command, folder, environment):
    """Run a daemon as a child, and stop it at the end."""
    with (folder / f"{command[0]}.out").open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def idle(cluster):
    """Say whether the node is up and idle."""
    with contextlib.suppress(AssertionError):
        return cluster.command("sinfo", "-h", "-o", "%T") == "idle"
    return False


def cancel_all(cluster):
    """Cancel every job and wait until none runs."""
    with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
        cluster.command("scancel", "--user=root")
        until(lambda: not cluster.command("squeue", "-h"), "an empty queue", 60, every=0.1)
