"""A run that is killed: the next one leaves what a clean one would have left."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys

import dagster as dg
import pytest

from databox_shared.settings import Settings

from .raw_world import RawWorld
from .runs import failure, newest, published, run

# kills its own process after a number of models were evaluated, as a machine would be lost
KILLED_RUN = """
import os, signal, sys
import dagster as dg
from transform_location.definitions import defs
from transform_location.evaluation import RecordingScheduler

left = int(sys.argv[1])
evaluate = RecordingScheduler.evaluate

def dying(self, *args, **kwargs):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return evaluate(self, *args, **kwargs)

RecordingScheduler.evaluate = dying
job = defs.resolve_job_def("transform_pipeline")
with dg.DagsterInstance.ephemeral() as instance:
    job.execute_in_process(instance=instance, tags={"databox/days": "2026-11-21"})
"""


@pytest.mark.slow
@pytest.mark.parametrize("models", [0, 6])
def test_after_a_kill_the_next_run_leaves_what_a_clean_one_would(
    settings: Settings, world: RawWorld, instance: dg.DagsterInstance, models: int
) -> None:
    world.publish()
    run(instance)
    world.checklist("S7", "2026-11-21", {"amerob": "5", "cangoo": "2"})
    world.publish()
    before = newest(settings)

    killed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED_RUN, str(models)], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert newest(settings) == before

    # for another day: what the killed run was for is missing, and is done as well
    healed = run(instance, "2026-11-20")
    assert healed.success, failure(healed)
    after = published(settings)
    shutil.rmtree(settings.hidden_dir / "transform")
    clean = run(instance)
    assert clean.success, failure(clean)
    assert published(settings) == after
    geese = [row for row in after["ebird.species_daily"] if row[1] == "cangoo"]
    assert [row[8] for row in geese] == [2]
