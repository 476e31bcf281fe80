"""Run a command on some cores, then print its times and peak memory: spawn.py CORES COMMAND...

A process counts the peak of the one that started it as its own, so that one has to be small.
"""

import json
import os
import sys
import time

cores, *command = sys.argv[1:]
os.sched_setaffinity(0, map(int, cores.split(",")))
start = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawnp(command[0], command, os.environ), 0)
seconds = time.perf_counter() - start
processor = usage.ru_utime + usage.ru_stime
print(json.dumps({"seconds": seconds, "processor": processor, "peak": usage.ru_maxrss * 1024}))
sys.exit(os.waitstatus_to_exitcode(status))
