"""How politely eBird is asked: how many calls a day, how fast, and how many at once.

eBird publishes no limit and bans heavy users, so everything stays well below what its own pages
ask for. Nothing here knows HTTP.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime

from databox_shared.settings import Settings
from ingestion_location.ebird.errors import BudgetError

CALLS_PER_SECOND = 5.0
BURST = 10
CALLS_PER_DAY = 20_000
CONCURRENCY = 8


class CallBudget:
    """The calls of each day, counted on disk so that a kill forgets none: a byte for each call."""

    def __init__(self, settings: Settings, usual: int | None, now: Callable[[], datetime]) -> None:
        self._folder = settings.hidden_dir / "ingestion" / "calls"
        self._timezone = settings.timezone
        self._limit = settings.ebird_daily_call_limit or usual
        self._now = now
        self._lock = threading.Lock()

    def spend(self) -> None:
        """Count one call that is about to be made. Raises `BudgetError` if there is none left."""
        if self._limit is None:
            return
        today = self._now().astimezone(self._timezone).date()
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._lock, (self._folder / today.isoformat()).open("ab") as made:
            if made.tell() >= self._limit:
                msg = (
                    f"the {self._limit} calls of {today} are used up (EBIRD_DAILY_CALL_LIMIT); "
                    f"what was read is kept, and a run tomorrow goes on from there"
                )
                raise BudgetError(msg)
            made.write(b".")


class TokenBucket:
    """At most `rate` calls per second on average and `burst` at once. Thread-safe."""

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = 1.0 / rate
        self._slack = (burst - 1) * self._interval
        self._free_at = 0.0
        self._lock = threading.Lock()

    def reserve(self, now: float) -> float:
        """Take the next place; returns how many seconds to wait for it."""
        with self._lock:
            self._free_at = max(self._free_at, now - self._slack)
            place = self._free_at
            self._free_at += self._interval
            return max(0.0, place - now)

    def hold_until(self, moment: float) -> None:
        """Give out no place before `moment`."""
        with self._lock:
            self._free_at = max(self._free_at, moment + self._slack)


class Gate:
    """Lets at most `width` threads through at once, in the order in which they came.

    A semaphore would let whoever leaves come in again before those who wait.
    """

    def __init__(self, width: int) -> None:
        self._free = width
        self._waiting: deque[threading.Lock] = deque()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1
