"""What the settings of an instance name, every build must have: each of its runs loads it."""

from __future__ import annotations

import subprocess

import pytest
from idle import empty_build, idle_server

from databox_shared.settings import load_settings
from databox_workspace.builds import Build
from databox_workspace.deploy import DeployError, let_serve
from databox_workspace.deployment import ServerError
from databox_workspace.gates import settings_errors
from databox_workspace.home import HomeError, dagster_home, home_settings, prepare_home
from databox_workspace.host import host
from databox_workspace.site import Site


@pytest.fixture
def old_build(where: Site) -> Build:
    """A build that was made before the storage stayed open."""
    build = empty_build(where, "old")
    (build.site_packages / "databox_shared" / "open_storage.py").unlink()
    return build


def test_a_build_without_a_module_that_the_settings_name_is_told_apart(
    where: Site, old_build: Build
) -> None:
    settings = home_settings(where.home)
    assert settings_errors(settings, empty_build(where, "new")) == []
    (said,) = settings_errors(settings, old_build)
    assert "databox_shared.open_storage, which quality old" in said


def test_a_package_counts_as_a_module_and_nothing_as_none(where: Site) -> None:
    build = empty_build(where, "new")
    (build.site_packages / "dagster_postgres").mkdir()
    (build.site_packages / "dagster_postgres" / "__init__.py").touch()
    said = "run_storage: {module: dagster_postgres}\nrun_launcher: {module: }\n"
    assert settings_errors(said, build) == []
    assert settings_errors("python_logs: [{module: nowhere}]", build)
    assert settings_errors("", build) == []


def test_a_home_that_was_moved_is_not_worked_on_until_it_says_so(
    where: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = where.home.with_name("elsewhere")
    where.home.rename(moved)
    monkeypatch.setenv("DAGSTER_HOME", str(moved))
    with pytest.raises(HomeError, match=f"the home was moved; write base_dir: {moved}"):
        prepare_home(moved)
    with pytest.raises(HomeError, match="was moved"), dagster_home(load_settings()):
        pass
    assert not where.home.exists()
    file = moved / "dagster.yaml"
    file.write_text(file.read_text().replace(str(where.home), str(moved)))
    prepare_home(moved)


def test_a_build_that_cannot_read_the_settings_is_refused_before_a_server_starts(
    where: Site, old_build: Build
) -> None:
    with pytest.raises(DeployError, match=r"name databox_shared\.open_storage.*does not have"):
        let_serve(where, "quality", lambda: old_build, action="deploy")
    assert not list(where.run_dir.glob("quality-*"))


def test_a_host_that_would_write_settings_an_older_build_cannot_read_does_not_start(
    where: Site,
    old_build: Build,
    process: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    idle_server(where, process, old_build.id)
    older = "telemetry: {enabled: false}\n"
    (where.home / "dagster.yaml").write_text(older)
    with (
        pytest.raises(ServerError, match="deploy quality from a checkout that has it first"),
        host(where, load_settings(), address="127.0.0.1", port=1),
    ):
        pass
    assert (where.home / "dagster.yaml").read_text() == older


def test_a_host_with_a_home_of_its_own_does_not_start_on_settings_a_build_cannot_read(
    where: Site,
    old_build: Build,
    process: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(where.home))
    idle_server(where, process, old_build.id)
    (where.home / "dagster.yaml").write_text(home_settings(where.home))
    with (
        pytest.raises(ServerError, match="deploy quality from a checkout that has it first"),
        host(where, load_settings(), address="127.0.0.1", port=1),
    ):
        pass
