"""The sandbox as a real process, for tests and demonstrations.

Uses the standard library only, so that importing it costs nothing. It must never leave a process
behind.
"""

import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from queue import Empty, Queue
from threading import Thread
from typing import IO

_READY_SECONDS = 30.0
_STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox."""

    url: str
    """The API's base address, ending in ``/v2``."""
    process: subprocess.Popen[str]

    @property
    def admin_url(self) -> str:
        """The admin side's address; it answers only if ``admin`` was asked for."""
        return self.url.removesuffix("/v2") + "/admin"


@contextmanager
def running_sandbox(
    *,
    today: date | None = None,
    seed: int = 1,
    admin: bool = False,
    extra: Sequence[str] = (),
) -> Generator[Sandbox]:
    """Starts a sandbox on a free port, and stops it surely at the end."""
    command = [sys.executable, "-m", "ebird_sandbox", "--port", "0", "--seed", str(seed)]
    command += ["--until-stdin-closes"]
    command += ["--today", today.isoformat()] if today else []
    command += ["--admin"] if admin else []
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, *extra], stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield Sandbox(_ready_line(process), process)
        finally:
            _stop(process)


def _ready_line(process: subprocess.Popen[str]) -> str:
    lines: Queue[str] = Queue()
    Thread(target=_forward, args=(process.stdout, lines), daemon=True).start()
    try:
        line = lines.get(timeout=_READY_SECONDS).strip()
    except Empty:
        message = f"the sandbox was not ready within {_READY_SECONDS:g} s"
        raise TimeoutError(message) from None
    if not line:
        message = f"the sandbox did not start (exit code {process.wait(_STOP_SECONDS)})"
        raise RuntimeError(message)
    return line


def _forward(stream: IO[str] | None, lines: Queue[str]) -> None:
    if stream is not None:
        lines.put(stream.readline())


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
