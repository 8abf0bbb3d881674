"""A site for tests that need no Dagster to run."""

import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest
from idle import idle_process, idle_site

from databox_workspace.home import home_settings, prepare_home
from databox_workspace.site import Site


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with its tables, which take seconds to make: to be copied."""
    folder = tmp_path_factory.mktemp("home")
    prepare_home(folder)
    return folder


@pytest.fixture
def where(tmp_path: Path, home: Path) -> Site:
    """A site to which nothing is deployed."""
    site = idle_site(tmp_path)
    shutil.copytree(home, site.home)
    (site.home / "dagster.yaml").write_text(home_settings(site.home))
    return site


@pytest.fixture
def process(where: Site) -> Generator[subprocess.Popen[bytes]]:
    """A process that holds the lock of quality's first server and does not answer."""
    with idle_process(where) as started:
        yield started
