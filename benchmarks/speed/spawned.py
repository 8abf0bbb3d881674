"""Run a command from a small process, and say what it cost.

`python -S spawned.py FILE COMMAND…` writes into FILE how the command ended, its seconds of CPU and
the MB of its largest process. Linux counts to a process what its parent held when it was
started, so a large one cannot measure a smaller one.
"""

import json
import os
import sys
from pathlib import Path

_, file, *command = sys.argv
pid = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(pid, 0)
ended = os.waitstatus_to_exitcode(status)
cost = [ended, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]
Path(file).write_text(json.dumps(cost), encoding="utf-8")
