"""``python -m ebird_sandbox``."""

import os
import sys

from ebird_sandbox.cli import main

if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Not sys.exit: it would wait for a long answer in the making, for which nobody waits any more.
    os._exit(code)
