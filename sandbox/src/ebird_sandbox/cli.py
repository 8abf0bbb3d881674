"""The command line: what the sandbox is told, and the process that serves it.

Prints exactly one line on stdout, when it is ready: its base address. This module must never
listen anywhere but on loopback unless told so.
"""

import argparse
import gc
import os
import signal
import socket
import sys
from collections.abc import Sequence
from datetime import date
from threading import Thread
from types import FrameType

import uvicorn

from ebird_sandbox.app import Serving, create_app
from ebird_sandbox.areas import AREAS, with_rates
from ebird_sandbox.checklists import FIRST_DAY, LAST_DAY
from ebird_sandbox.endpoints import Api
from ebird_sandbox.faults import BadRuleError, Fault, from_text
from ebird_sandbox.world import World, today_at_noon

MOST_PER_DAY = 20_000


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="python -m ebird_sandbox", description="A local server that speaks the eBird API."
    )
    options.add_argument("--port", type=int, default=8787, help="0 takes a free port")
    options.add_argument("--host", default="127.0.0.1", help="where to listen")
    options.add_argument("--seed", type=int, default=1, help="which world")
    options.add_argument(
        "--today", type=_day, default=None, help="the day it is there (YYYY-MM-DD); it is noon"
    )
    options.add_argument(
        "--checklists-per-day",
        type=_rate,
        action="append",
        default=[],
        metavar="[REGION=]N",
        help="of every area with birds, or of one of them (may be repeated)",
    )
    options.add_argument("--token", default=None, help="the only key accepted; otherwise any")
    options.add_argument("--admin", action="store_true", help="serve the admin side too")
    options.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="ENDPOINT:KIND[,option=value...]",
        help="something that goes wrong, such as lists:429,rate=0.1 (may be repeated)",
    )
    options.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="stop when standard input ends, as it does when the process that started this dies",
    )
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is told to stop."""
    options = parser().parse_args(arguments)
    rates = dict(options.checklists_per_day)
    areas = with_rates(rates.pop("", None), rates)
    world = World(options.seed, today_at_noon(options.today or date.today()), areas)  # noqa: DTZ011
    serving = Serving(token=options.token, admin=options.admin, faults=options.fault)
    try:
        app = create_app(Api(world), serving)
    except BadRuleError as error:
        parser().error(str(error))
    # Millions of small objects without cycles: looking for cycles costs two fifths of the time.
    gc.set_threshold(100_000, 50, 50)
    listener = _listen(options.host, options.port)
    host, port = listener.getsockname()[:2]
    config = uvicorn.Config(
        app,
        # A fault that cuts an answer is no news; what really fails is logged by the app itself.
        log_level="critical",
        access_log=False,
        lifespan="off",
        date_header=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config, f"http://{host}:{port}/v2")
    if options.until_stdin_closes:
        Thread(target=_stop_after_stdin, daemon=True).start()
    server.run(sockets=[listener])
    return 0


class _Server(uvicorn.Server):
    """Says where it is when it is ready, and takes a signal as an order, not as a failure."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stdout.write(f"{self._url}\n")
        sys.stdout.flush()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn raises the signal again after it has shut down, which would look like a crash.
        super().handle_exit(sig, frame)
        self._captured_signals.clear()


def _stop_after_stdin() -> None:
    # Not through sys.stdin: its lock, held here, would abort the interpreter when it shuts down.
    while os.read(0, 1_024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=512)
    except (OSError, OverflowError) as error:
        parser().error(f"cannot listen on {host}, port {port}: {error}")


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        message = f"not a day like 2026-05-20: {text}"
        raise argparse.ArgumentTypeError(message) from None
    if not FIRST_DAY <= day <= LAST_DAY:
        message = f"not between {FIRST_DAY} and {LAST_DAY}: {text}"
        raise argparse.ArgumentTypeError(message)
    return day


def _fault(text: str) -> Fault:
    try:
        return from_text(text)
    except BadRuleError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _rate(text: str) -> tuple[str, float]:
    code, _, number = text.rpartition("=")
    try:
        rate = float(number)
    except ValueError:
        message = f"not a number: {number}"
        raise argparse.ArgumentTypeError(message) from None
    if code and code not in {area.code for area in AREAS}:
        known = ", ".join(area.code for area in AREAS)
        message = f"no birds in {code}; there are in {known}"
        raise argparse.ArgumentTypeError(message)
    if not 0 <= rate <= MOST_PER_DAY:
        message = f"not between 0 and {MOST_PER_DAY}: {number}"
        raise argparse.ArgumentTypeError(message)
    return code, rate
