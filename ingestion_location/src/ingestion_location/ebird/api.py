"""The eBird API client: every request to eBird goes through here.

It keeps a pace, retries what may pass, and fails with a sentence on everything else. It must never
turn an error into an empty answer, and the key must never leave the request's header: not into a
URL, a log or an exception.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode, urlsplit

from databox_shared.settings import EBIRD_API_URL, Settings

if TYPE_CHECKING:
    import requests

USER_AGENT = f"Databox/{version('ingestion-location')} (bird observation warehouse)"

# eBird publishes no limit and bans heavy users: stay well below what its own pages ask
CALLS_PER_SECOND = 5.0
BURST = 10
CALLS_PER_DAY = 20_000
CONCURRENCY = 8
TIMEOUT_SECONDS = (5.0, 60.0)
PROBE_TIMEOUT_SECONDS = 5.0
MAX_ATTEMPTS = 6
FIRST_BACKOFF_SECONDS = 0.5
# a longer Retry-After is an answer for people, not something a run should sleep through
MAX_WAIT_SECONDS = 300.0
_MAX_CAUSE = 300

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_TOO_MANY = 429
_REFUSED = 403
_OK = 200
_SERVER_ERROR = 500


class EbirdError(Exception):
    """The API could not be reached, refused, or said something that cannot be used."""


class KeyRefusedError(EbirdError):
    """The API refused the key (403)."""


class GoneError(EbirdError):
    """The thing that was asked for does not exist (404 or 410)."""


class _RetryError(EbirdError):
    """A failure that may pass; `wait` is what the API asked for, in seconds."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass(frozen=True)
class Answer:
    """What the API said: the JSON text as it came, the same parsed, and when (UTC)."""

    text: str
    body: Any
    read_at: datetime


def is_loopback(url: str) -> bool:
    """Whether this is a server on this machine, which can only be a sandbox."""
    return urlsplit(url).hostname in _LOOPBACK


def source_of(url: str) -> str:
    """The name under which a warehouse remembers where its birds come from."""
    return "sandbox" if is_loopback(url) else urlsplit(url).hostname or url


class BudgetError(EbirdError):
    """The day's calls are used up."""


class CallBudget:
    """The calls of each day, counted on disk so that a kill forgets none: a byte for each call."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.hidden_dir / "ingestion" / "calls"
        self._timezone = settings.timezone
        self._limit = settings.ebird_daily_call_limit or (
            None if is_loopback(settings.api_url) else CALLS_PER_DAY
        )

    def spend(self) -> None:
        """Count one call that is about to be made. Raises `BudgetError` if there is none left."""
        if self._limit is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        today = datetime.now(self._timezone).date()
        with (self._folder / today.isoformat()).open("ab") as made:
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


class EbirdApi:
    """One session with the API at one address. `calls` counts the requests that were sent.

    Use it as a context manager; its methods may be called from several threads.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.url = settings.api_url
        self.source = source_of(self.url)
        self.calls = 0
        self._has_token = settings.ebird_api_token is not None
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        rate = 1e6 if is_loopback(self.url) else CALLS_PER_SECOND
        self._bucket = TokenBucket(rate, BURST)
        self._budget = CallBudget(settings)
        self._session = _session(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def get(self, path: str) -> Answer:
        """Ask for JSON at `path` (with its query, below the base address).

        Raises `KeyRefusedError` on 403, `GoneError` on 404 and 410, `EbirdError` on anything else
        that is not JSON with status 200, after the retries that make sense.
        """
        failure: _RetryError | None = None
        for attempt in range(MAX_ATTEMPTS):
            if failure is not None:
                self._pause(failure, attempt)
            wait = self._bucket.reserve(self._clock())
            if wait > 0:
                self._sleep(wait)
            try:
                return self._try(path)
            except _RetryError as error:
                failure = error
        msg = f"{failure} ({MAX_ATTEMPTS} attempts)"
        raise EbirdError(msg) from failure

    def trouble(self) -> str | None:
        """Ask the cheapest question once; returns None if the API answers, else why not."""
        import requests

        path = "ref/taxonomy/versions"
        try:
            response = self._session.get(
                f"{self.url}/{path}", timeout=PROBE_TIMEOUT_SECONDS, allow_redirects=False
            )
        except requests.RequestException as error:
            return self._unreachable(path, error)
        # a refused key is an answer: the run that it starts fails and says so
        if response.status_code >= _SERVER_ERROR or response.status_code == _TOO_MANY:
            return f"{self.url}/{path} answered {response.status_code}"
        return None

    def _try(self, path: str) -> Answer:
        import requests

        url = f"{self.url}/{path}"
        with self._lock:
            self._budget.spend()
            self.calls += 1
        try:
            # a redirect would carry the key to another host
            response = self._session.get(url, timeout=TIMEOUT_SECONDS, allow_redirects=False)
        except requests.RequestException as error:
            raise _RetryError(self._unreachable(path, error)) from None
        read_at = datetime.now(UTC)
        _check_status(url, response)
        text = response.content.decode("utf-8", "replace").strip()
        if not text:
            msg = f"{url} answered 200 with an empty body"
            raise _RetryError(msg)
        try:
            return Answer(text, json.loads(text), read_at)
        except ValueError as error:
            msg = f"{url} answered 200 with malformed JSON: {error}"
            raise _RetryError(msg) from None

    def _pause(self, failure: _RetryError, attempt: int) -> None:
        if failure.wait is not None:
            if failure.wait > MAX_WAIT_SECONDS:
                msg = f"{failure}; it asks to wait {failure.wait:.0f} s, so run again later"
                raise EbirdError(msg) from None
            # every thread has to wait, not only the one that was told
            self._bucket.hold_until(self._clock() + failure.wait)
        else:
            self._sleep(FIRST_BACKOFF_SECONDS * 2 ** (attempt - 1))

    def _unreachable(self, path: str, error: Exception) -> str:
        nobody_there = "NewConnectionError" in repr(error)
        if nobody_there and self.source == "sandbox" and not self._has_token:
            return (
                f"the sandbox at {self.url} does not answer; start it with "
                f"`uv run task sandbox` or set EBIRD_API_TOKEN"
            )
        why = "connection refused" if nobody_there else type(error).__name__
        return f"{self.url}/{path} gave no answer ({why})"


def with_query(path: str, **params: object) -> str:
    """`path` with its query, in the order given: the name of a question in the landing files."""
    return f"{path}?{urlencode(params)}" if params else path


def _session(settings: Settings) -> requests.Session:
    import requests
    from requests.adapters import HTTPAdapter

    token = settings.api_token.get_secret_value().strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        msg = "EBIRD_API_TOKEN holds a character that no key has; copy it again"
        raise EbirdError(msg)
    session = requests.Session()
    session.headers.update(
        {"X-eBirdApiToken": token, "User-Agent": USER_AGENT, "Accept": "application/json"}
    )
    # no proxy stands between this machine and itself
    session.trust_env = not is_loopback(settings.api_url)
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=CONCURRENCY)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _check_status(url: str, response: requests.Response) -> None:
    status = response.status_code
    if status == _OK:
        return
    said = f": {text}" if (text := " ".join(response.text.split())[:_MAX_CAUSE]) else ""
    if status == _REFUSED:
        hint = f"check EBIRD_API_TOKEN (a key for {EBIRD_API_URL} is at ebird.org/api/keygen)"
        msg = f"eBird refused the key (403) at {url}; {hint}"
        raise KeyRefusedError(msg)
    msg = f"{url} answered {status}{said}"
    if status == _TOO_MANY or status >= _SERVER_ERROR:
        raise _RetryError(msg, _retry_after(response.headers.get("Retry-After")))
    if status in {404, 410}:
        raise GoneError(msg)
    if "matching region type" in said:
        msg = f"eBird knows no such region: {url}; check EBIRD_REGIONS"
    raise EbirdError(msg)


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait, from a Retry-After header in seconds or as an HTTP date."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
