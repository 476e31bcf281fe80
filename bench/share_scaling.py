"""What a study of china_nd takes: seconds and memory by groups, cells and draws.

Of the 60 groups of W10 the first are kept; all other scores are one group more. Run:
python bench/share_scaling.py
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import shares
from measure import Run
from ruamel.yaml import YAML
from sizes import Sizes
from sobol_peers import GROUPS, OUTPUTS
from workload import Workload

GROUPS_OF, DRAWS_OF, WIDE, DRAWS = (15, 30, 60), (1, 2, 4), 60, 32_768


def main() -> None:
    """Print a row for each study."""
    print("| groups | outputs | draws | seconds | of processors | MiB |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        work = Workload(Path(folder), Sizes())
        study(work, WIDE, OUTPUTS, DRAWS)  # kernels are compiled before
        for groups, outputs, draws in studies():
            run = study(work, groups, outputs, draws)
            cells = (
                groups,
                len(outputs),
                f"{draws:,}",
                f"{run.seconds:.1f}",
                f"{run.processor:.1f}",
            )
            print(f"| {' | '.join(map(str, cells))} | {(run.peak or 0) / 2**20:.0f} |", flush=True)


def studies() -> Iterator[tuple[int, tuple[str, ...], int]]:
    """Yield groups, outputs and draws: one after the other is more."""
    yield from ((groups, OUTPUTS, DRAWS) for groups in GROUPS_OF)
    yield from ((WIDE, OUTPUTS[:some], DRAWS) for some in (1, 2, 3))
    yield from ((WIDE, OUTPUTS, DRAWS * times) for times in DRAWS_OF)


def study(work: Workload, groups: int, outputs: tuple[str, ...], draws: int) -> Run:
    """Run a study of some of the groups."""
    reader = YAML(typ="safe")
    named = [*reader.load(GROUPS)["groups"].items()][:groups]
    rest = {"rest": ["*"]} if groups < WIDE else {}
    path = work.folder / f"{groups}.yaml"
    reader.dump({"groups": {**dict(named), **rest}}, path)
    return shares.shell(work, draws, "--groups", str(path), "-v", ",".join(outputs))


if __name__ == "__main__":
    main()
