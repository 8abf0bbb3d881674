"""What goes wrong around a deployment: processes die, disks fill, the clock jumps, the API lies.

Each fault is one method of `Faults` that does it once, to whatever is there at that moment, and
says what it hit; None means that there was nothing to hit.
"""

from __future__ import annotations

import fcntl
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import requests
from stage import Stage

from databox_shared.settings import load_settings
from databox_workspace.deploy import DeployError
from databox_workspace.deployment import ServerError
from databox_workspace.locations import locations
from databox_workspace.site import BusyError
from ebird_sandbox.process import Sandbox

HELD_SECONDS = 2.0
# processes look after the error of their clock every two seconds
WRONG_SECONDS = 5.0
_ENDPOINTS = ("stats", "lists", "checklist", "recent", "notable", "hotspots", "*")
_ANSWERS = ("500", "502", "503", "429", "cut", "invalid-json", "empty", "late", "clock-skew")
# seconds: what a virtual machine that slept, a wrong summer time and a bad server of time do
_JUMPS = (-3600, -90, 90, 3600)
_OPEN_AND_WAIT = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); time.sleep(2)"


@dataclass(frozen=True)
class Machine:
    """What this machine lets us spoil.

    `disks` are small file systems by what lies on them, and `clock` is a file with the seconds by
    which the clock of the deployment's processes is wrong. Who launches and redeploys has the true
    one.
    """

    disks: Mapping[str, Path]
    clock: Path


@dataclass
class Faults:
    """Injects faults, one at a time."""

    stage: Stage
    sandbox: Sandbox
    machine: Machine
    choice: random.Random
    held: list[threading.Thread] = field(default_factory=list[threading.Thread])
    redeploys: int = 0

    def kinds(self) -> dict[str, Callable[[], str | None]]:
        """Every kind of fault that this machine can have."""
        kinds: dict[str, Callable[[], str | None]] = {
            "run worker killed": self.kill_worker,
            "code server killed": self.kill_code_server,
            "daemon killed": lambda: self._kill_process("dagster._daemon"),
            "webserver killed": lambda: self._kill_process("dagster_webserver"),
            "API faulty": self.let_api_fail,
            "writer's lock held": self.hold_writer_lock,
            "working file open elsewhere": self.open_working_file,
            "location redeployed": self.redeploy,
            "clock wrong": self.jump_clock,
        }
        for name, disk in self.machine.disks.items():
            kinds[f"disk of {name} full"] = lambda name=name, disk=disk: self._fill_disk(name, disk)
        return kinds

    def end(self) -> None:
        """Wait until nothing is held any more, and let the API answer."""
        for thread in self.held:
            thread.join()
        self.held.clear()
        requests.delete(f"{self.sandbox.admin_url}/faults", timeout=10).raise_for_status()

    def is_held(self) -> bool:
        """Whether a disk, a lock or the clock is spoiled at this moment."""
        return any(thread.is_alive() for thread in self.held)

    def kill_worker(self) -> str | None:
        """Kill a run that is inside its step."""
        started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
        for run in self.stage.instance.get_runs(started):
            pid = worker_pid(self.stage.instance, run.run_id)
            if pid is not None and _kill(pid):
                return f"{run.job_name} {run.run_id[:8]}"
        return None

    def kill_code_server(self) -> str | None:
        """Kill a location's code server and leave its workers without it."""
        name = self._location()
        return name if _kill(self.stage.now(name).pid) else None

    def let_api_fail(self) -> str | None:
        """Let some requests of an endpoint go wrong."""
        endpoint, kind = self.choice.choice(_ENDPOINTS), self.choice.choice(_ANSWERS)
        rule = {
            "endpoint": endpoint,
            "kind": kind,
            "times": self.choice.randint(1, 8),
            "retry_after": "1",
            "seconds": 0.2 if kind == "late" else None,
        }
        said = {name: value for name, value in rule.items() if value is not None}
        requests.post(f"{self.sandbox.admin_url}/faults", json=said, timeout=10).raise_for_status()
        return f"{endpoint}: {kind}"

    def hold_writer_lock(self) -> str | None:
        """Hold the lock of the only writer of a location's working file."""
        name = self._location()
        lock = load_settings().hidden_dir / name / "writer.lock"
        if not lock.exists():
            return None
        self._hold(lambda: _lock(lock))
        return name

    def open_working_file(self) -> str | None:
        """Open a location's working file as a person would, who should not."""
        name = self._location()
        file = load_settings().hidden_dir / name / f"{name}.duckdb"
        if not file.exists():
            return None
        command = [sys.executable, "-c", _OPEN_AND_WAIT, str(file)]
        # refused if a run has it open, and then nobody is disturbed
        self._hold(lambda: subprocess.run(command, check=False, capture_output=True))
        return name

    def redeploy(self) -> str | None:
        """Let another build of a location serve; what else goes wrong may let it be refused."""
        name = self._location()
        self.redeploys += 1
        try:
            self.stage.deploy(self.stage.variant(name, f"{name}{self.redeploys}"))
        except (BusyError, DeployError, ServerError) as error:
            return f"{name}, refused: {str(error).splitlines()[0]}"
        return name

    def jump_clock(self) -> str | None:
        """Let the clock jump, and soon jump back as a machine does that asks for the time."""
        clock, seconds = self.machine.clock, self.choice.choice(_JUMPS)
        if clock.read_text(encoding="utf-8") != _error(0):
            return None
        self._hold(lambda: _jump(clock, seconds))
        return f"{seconds:+d} s"

    def _fill_disk(self, name: str, disk: Path) -> str | None:
        """Leave no byte free on a file system."""
        self._hold(lambda: _fill(disk / "ballast"))
        return name

    def _kill_process(self, module: str) -> str | None:
        killed = [pid for pid in processes(self.stage.folder, module) if _kill(pid)]
        return module if killed else None

    def _location(self) -> str:
        return self.choice.choice([location.name for location in locations()])

    def _hold(self, hold: Callable[[], object]) -> None:
        thread = threading.Thread(target=hold, daemon=True)
        thread.start()
        self.held.append(thread)


def worker_pid(instance: dg.DagsterInstance, run_id: str) -> int | None:
    """The process of a run that is inside its step, told by Dagster's own event."""
    began = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_START)
    if not began:
        return None
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        said = f"{entry.user_message} {entry.dagster_event and entry.dagster_event.message}"
        if found := re.search(r"pid: (\d+)", said):
            return int(found[1])
    return None


def processes(folder: Path, module: str) -> Iterator[int]:
    """Living processes that run a module on the deployment in a folder."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            is_of_us = str(folder).encode() in (entry / "environ").read_bytes()
            if words[1:3] == [b"-m", module.encode()] and is_of_us:
                yield int(entry.name)


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _lock(file: Path) -> None:
    with file.open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        time.sleep(HELD_SECONDS)


def _jump(clock: Path, seconds: int) -> None:
    try:
        set_clock(clock, seconds)
        time.sleep(WRONG_SECONDS)
    finally:
        set_clock(clock, 0)


def set_clock(clock: Path, seconds: int) -> None:
    """Let the deployment's clock be wrong by so many seconds."""
    new = clock.with_suffix(".new")
    new.write_text(_error(seconds), encoding="utf-8")
    # in one step: processes read it all the time
    new.replace(clock)


def _error(seconds: int) -> str:
    return f"{seconds:+d}\n"


def _fill(ballast: Path) -> None:
    block = b"\0" * 2**20
    try:
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(block):
                pass
        time.sleep(HELD_SECONDS)
    finally:
        ballast.unlink(missing_ok=True)
