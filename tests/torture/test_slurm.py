"""An array job on a real SLURM: its tasks are stopped and requeued, and nothing is lost."""

import sys
import textwrap
import time
from pathlib import Path

import pytest
import zarr
from numpy.testing import assert_array_equal
from parts import blocks, until
from slurm import UnavailableError, slurm

pytestmark = pytest.mark.torture

PARTS = 3
RUN = ["starter", "-n", 200_000, "--seed", 1, "--block", 512]
ENDED = ["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Return a SLURM of this machine; skip where there can be none."""
    try:
        with slurm(tmp_path_factory.mktemp("slurm")) as running:
            yield running
    except UnavailableError as reason:
        pytest.skip(str(reason))


class Log:
    """What happened and when, for people: pytest shows it with -s."""

    def __init__(self):
        self.start = time.monotonic()

    def __call__(self, text):
        print(f"{time.monotonic() - self.start:6.1f} s  {text}", flush=True)

    def states(self, states):
        self("tasks " + ", ".join(f"{task} {state.lower()}" for task, state in states.items()))

    def file(self, path):
        """Show what a task said, without its tables."""
        print(f"\n{path.name}")
        lines = path.read_text().replace(f"{path.parent}/", "").splitlines()
        for line in lines:
            if line.strip() and not line.startswith(" "):
                print(f"    {textwrap.shorten(line, 100, placeholder=' ...')}")


def arrays(store):
    """Return every array of a store by its path."""
    members = zarr.open_group(store, mode="r").members(max_depth=None)
    return {path: member[...] for path, member in members if isinstance(member, zarr.Array)}


def submit(cluster, cli, store, said):
    """Submit an array job as a person would: print the script, sbatch it."""
    asked = ["--parts", PARTS, "--out", store, "--cpus", 1, "--memory", "1G"]
    made = cli("job", "slurm", *RUN, *asked)
    assert made.code == 0, made.err
    script = store.parent / "job.sh"
    script.write_text(made.out)
    path = f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"
    job = cluster.sbatch(script, PATH=path)
    said(f"sbatch job.sh: job {job}, {PARTS} tasks")
    return job


def disturb(cluster, job, store, said):
    """Requeue one task of a job, then tell another that its time is up; return the tasks."""
    tasks = []
    for what, command in (
        ("scontrol requeue, as a preemption does:", cluster.requeue),
        ("USR1, as before the time limit:", cluster.warn),
    ):
        more = len(blocks(store)) + 5
        until(lambda more=more: len(blocks(store)) >= more, "blocks in the ledger", 120)
        tasks.append(next(task for task in cluster.running(job) if task not in tasks))
        command(f"{job}_{tasks[-1]}")
        said(f"{what} task {tasks[-1]}; {len(blocks(store))} blocks in the ledger")
    return tasks


def test_a_requeued_array_job_ends_like_one_process(cluster, cli, tmp_path):
    """Tasks stopped by SLURM and started again store what one process does, to the last bit."""
    said, store = Log(), tmp_path / "array.zarr"
    print()
    job = submit(cluster, cli, store, said)
    disturbed = disturb(cluster, job, store, said)
    early = blocks(store)
    ended = cluster.wait_for(job, ENDED, changed=said.states)
    starts = cluster.restarts(job)
    said(f"starts after the first, by task: {starts}; {len(blocks(store))} blocks in the ledger")
    for path in sorted(tmp_path.glob("*.log")):
        said.file(path)
    assert set(ended.values()) == {"COMPLETED"}
    assert starts == {task: int(task in disturbed) for task in range(1, PARTS + 1)}
    late = blocks(store)
    assert set(early) <= set(late)
    # Of the stages they share, a part may have had a block in flight that another had just done.
    assert sum(late[name] != written for name, written in early.items()) < PARTS

    alone = cli("run", *RUN, "--out", "alone.zarr")
    assert alone.code == 0, alone.err
    found, wanted = arrays(store), arrays(tmp_path / "alone.zarr")
    assert set(found) == set(wanted)
    for path in wanted:
        assert_array_equal(found[path], wanted[path], err_msg=path)
    assert zarr.open_group(store, mode="r").attrs["complete"]
    print(f"\n{len(wanted)} arrays, equal to those of one process")
