"""A location's folder is named like its package: load the packages before pytest names the folders.

Without this pytest's importlib mode takes `quality_location/tests` for a part of a namespace
package `quality_location`, which then hides the real one.
"""

import importlib
from contextlib import suppress

for package in ("ingestion_location", "quality_location", "transform_location"):
    # a location's tests also run where the other two are not installed
    with suppress(ModuleNotFoundError):
        importlib.import_module(package)
