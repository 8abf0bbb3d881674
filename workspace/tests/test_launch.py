"""Launching one location's job from a workspace file, as beside a deployment that runs."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.workspace.load_target import WorkspaceFileTarget

from databox_workspace.deployment import ServerError
from databox_workspace.launch import launch

ASKED = """
import dagster as dg

@dg.op
def nothing_at_all():
    pass

@dg.job
def nothing():
    nothing_at_all()

defs = dg.Definitions(jobs=[nothing])
"""
OTHER = """
from pathlib import Path
import dagster as dg

Path(__file__).with_name("loaded").touch()
defs = dg.Definitions()
"""
WORKSPACE = """
load_from:
  - python_file: {relative_path: asked.py, location_name: asked}
  - python_file: {relative_path: other.py, location_name: other}
"""


@pytest.fixture
def workspace(tmp_path: Path) -> WorkspaceFileTarget:
    (tmp_path / "asked.py").write_text(ASKED)
    (tmp_path / "other.py").write_text(OTHER)
    (tmp_path / "workspace.yaml").write_text(WORKSPACE)
    return WorkspaceFileTarget([str(tmp_path / "workspace.yaml")])


@pytest.mark.slow
def test_a_launch_loads_its_own_location_and_no_other(
    tmp_path: Path, workspace: WorkspaceFileTarget
) -> None:
    with dg.instance_for_test() as instance:
        run_id = launch(instance, workspace, location="asked", job="nothing", tags={"a": "tag"})
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.job_name == "nothing"
        assert run.status is dg.DagsterRunStatus.QUEUED
        assert run.tags["a"] == "tag"
    assert not (tmp_path / "loaded").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Error loading repository location")
def test_a_location_that_does_not_load_is_told_with_its_error(
    tmp_path: Path, workspace: WorkspaceFileTarget
) -> None:
    (tmp_path / "asked.py").write_text("raise ValueError('no such bird')")
    with dg.instance_for_test() as instance, pytest.raises(ServerError, match="no such bird"):
        launch(instance, workspace, location="asked", job="nothing", tags={})
