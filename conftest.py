"""A location's folder is named like its package: load the packages before pytest names the folders.

Without this pytest's importlib mode takes `quality_location/tests` for a part of a namespace
package `quality_location`, which then hides the real one.
"""

import importlib
from contextlib import suppress
from pathlib import Path

for folder in Path(__file__).parent.glob("*_location"):
    # a location's tests also run where the others are not installed
    with suppress(ModuleNotFoundError):
        importlib.import_module(folder.name)
