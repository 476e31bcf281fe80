"""How long a check of many flows takes: processes in a row, each losing a tenth of what enters.

Prints user and system seconds and the largest memory of `ndmc check`, start included.
Run: python bench/many_flows.py
"""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

COUNTS = (250, 2_000, 20_000)


def chain(count: int) -> str:
    """Return a scenario of so many flows."""
    links = count // 2
    lines = ["format: 1", "name: chain", "unit: t", "years: 2001..2003", "parameters:"]
    lines += ["  given: {unit: t/yr, value: 100, distribution: normal, cv: 5 %}", "processes:"]
    lines += [f"- p{n}" for n in range(1, links)]
    lines += ["flows:", "  f0: {from: outside, to: p1, value: given}"]
    for n in range(1, links):
        target = f"p{n + 1}" if n + 1 < links else "sink"
        lines.append(f"  f{n}: {{from: p{n}, to: {target}, value: f{n - 1} * 0.9}}")
        lines.append(f"  lost{n}: {{from: p{n}, to: losses}}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print a row for each number of flows."""
    print("flows  seconds  MB")
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "scenario.yaml").write_text(chain(count), encoding="utf-8")
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, "-m", "ndmc", "check", folder]
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{count:5}  {seconds:7.1f}  {after.ru_maxrss / 1024:.0f}")


if __name__ == "__main__":
    main()
