"""What holds for every test: how packages are found, and that no generated case is timed.

A location's folder is named like its package. Unless the packages are loaded before pytest names
the folders, its importlib mode takes `quality_location/tests` for a part of a namespace package
`quality_location`, which then hides the real one.
"""

import importlib
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, settings

# on a busy machine a case may take any time
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

for folder in Path(__file__).parent.glob("*_location"):
    # a location's tests also run where the others are not installed
    with suppress(ModuleNotFoundError):
        importlib.import_module(folder.name)
