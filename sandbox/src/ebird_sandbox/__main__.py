"""``python -m ebird_sandbox``."""

import sys

from ebird_sandbox.cli import main

if __name__ == "__main__":
    sys.exit(main())
