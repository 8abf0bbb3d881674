"""What `dagster.yaml` brings into the daemon's process, as it begins there."""

import subprocess
import sys


def test_the_daemon_has_its_sensors_loaded_before_it_loads_the_queue_that_corrects_them() -> None:
    code = (
        "import dagster._daemon.cli, databox_shared.run_queue\n"
        "from dagster._daemon import sensor\n"
        "print(hasattr(sensor.get_elapsed, '__wrapped__'))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
