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
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from databox_shared.settings import EBIRD_API_URL, Settings
from ingestion_location.ebird.errors import BudgetError, EbirdError, GoneError, KeyRefusedError
from ingestion_location.ebird.pace import (
    BURST,
    CALLS_PER_DAY,
    CALLS_PER_SECOND,
    CONCURRENCY,
    CallBudget,
    Gate,
    TokenBucket,
)

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool

USER_AGENT = f"Databox/{version('ingestion-location')} (bird observation warehouse)"

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


class EbirdApi:
    """One session with the API at one address. `calls` counts the requests that were sent.

    Use it as a context manager; its methods may be called from several threads. `now`, `clock` and
    `sleep` stand for the time, for tests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.url = settings.api_url
        self.source = source_of(self.url)
        self.calls = 0
        self._base = urlsplit(self.url).path
        self._has_token = settings.ebird_api_token is not None
        self._now = now
        self._clock = clock
        self._stopped: EbirdError | None = None
        self._woken = threading.Event()
        self._sleep = sleep or self._woken.wait
        self._lock = threading.Lock()
        self._gate = Gate(CONCURRENCY)
        rate, a_day = (
            (CALLS_PER_SECOND, CALLS_PER_DAY) if not is_loopback(self.url) else (1e6, None)
        )
        self._bucket = TokenBucket(rate, BURST)
        self._budget = CallBudget(settings, a_day, now)
        self._headers = _headers(settings)
        self._connections = _connections(self.url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connections.close()

    def get(self, path: str) -> Answer:
        """Ask for JSON at `path` (with its query, below the base address).

        Raises `KeyRefusedError` on 403, `GoneError` on 404 and 410, `BudgetError` when the day's
        calls are used up, `EbirdError` on anything else that is not JSON with status 200, after
        the retries that make sense.
        """
        failure: _RetryError | None = None
        for attempt in range(MAX_ATTEMPTS):
            if failure is not None:
                self._pause(failure, attempt)
            with self._gate:
                wait = self._bucket.reserve(self._clock())
                if wait > 0:
                    self._sleep(wait)
                if self._stopped is not None:
                    raise type(self._stopped)(str(self._stopped))
                try:
                    return self._try(path)
                except _RetryError as error:
                    failure = error
                except KeyRefusedError as refused:
                    # the same answer waits for everybody who is in line
                    self.stop(refused)
                    raise
        msg = f"{failure} ({MAX_ATTEMPTS} attempts)"
        raise EbirdError(msg) from failure

    def stop(self, reason: EbirdError) -> None:
        """Ask nothing more: every thread that waits or comes fails with this reason."""
        self._stopped = self._stopped or reason
        self._woken.set()

    def trouble(self) -> str | None:
        """Ask the cheapest question once; returns None if the API answers, else why not.

        It counts as one of the day's calls.
        """
        from urllib3.exceptions import HTTPError

        path = "ref/taxonomy/versions"
        try:
            self._budget.spend()
            response = self._request(path, PROBE_TIMEOUT_SECONDS, PROBE_TIMEOUT_SECONDS)
        except BudgetError as error:
            return str(error)
        except HTTPError as error:
            return self._unreachable(path, error)
        # a refused key is an answer: the run that it starts fails and says so
        if response.status >= _SERVER_ERROR or response.status == _TOO_MANY:
            return f"{self.url}/{path} answered {response.status}"
        return None

    def _try(self, path: str) -> Answer:
        from urllib3.exceptions import HTTPError

        url = f"{self.url}/{path}"
        self._budget.spend()
        with self._lock:
            self.calls += 1
        try:
            response = self._request(path, *TIMEOUT_SECONDS)
        except HTTPError as error:
            raise _RetryError(self._unreachable(path, error)) from None
        read_at = self._now()
        self._check_status(url, response)
        text = response.data.decode("utf-8", "replace").strip()
        if not text:
            msg = f"{url} answered 200 with an empty body"
            raise _RetryError(msg)
        try:
            return Answer(text, json.loads(text), read_at)
        except ValueError as error:
            msg = f"{url} answered 200 with malformed JSON: {error}"
            raise _RetryError(msg) from None

    def _request(self, path: str, connect: float, read: float) -> BaseHTTPResponse:
        from urllib3 import Timeout

        return self._connections.urlopen(
            "GET",
            f"{self._base}/{path}",
            headers=self._headers,
            timeout=Timeout(connect=connect, read=read),
            retries=False,
            # a redirect would carry the key to another host
            redirect=False,
        )

    def _check_status(self, url: str, response: BaseHTTPResponse) -> None:
        status = response.status
        if status == _OK:
            return
        text = " ".join(response.data.decode("utf-8", "replace").split())[:_MAX_CAUSE]
        said = f": {text}" if text else ""
        if status == _REFUSED:
            hint = f"check EBIRD_API_TOKEN (a key for {EBIRD_API_URL} is at ebird.org/api/keygen)"
            msg = f"eBird refused the key (403) at {url}; {hint}"
            raise KeyRefusedError(msg)
        msg = f"{url} answered {status}{said}"
        if status == _TOO_MANY or status >= _SERVER_ERROR:
            raise _RetryError(msg, _retry_after(response.headers.get("Retry-After"), self._now()))
        if status in {404, 410}:
            raise GoneError(msg)
        if "matching region type" in said:
            msg = f"eBird knows no such region: {url}; check EBIRD_REGIONS"
        raise EbirdError(msg)

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


def _headers(settings: Settings) -> dict[str, str]:
    token = settings.api_token.get_secret_value().strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        msg = "EBIRD_API_TOKEN holds a character that no key has; copy it again"
        raise EbirdError(msg)
    return {
        "X-eBirdApiToken": token,
        "User-Agent": USER_AGENT,
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
    }


def _connections(api_url: str) -> HTTPConnectionPool:
    """To the API's host, through the proxy of the environment if it names one."""
    import urllib3

    manager = urllib3.PoolManager(maxsize=CONCURRENCY)
    if proxy := _proxy(api_url):
        login = unquote(urlsplit(proxy).netloc.rpartition("@")[0])
        proxy_headers = urllib3.make_headers(proxy_basic_auth=login or None)
        manager = urllib3.ProxyManager(proxy, maxsize=CONCURRENCY, proxy_headers=proxy_headers)
    return manager.connection_from_url(api_url)


def _proxy(api_url: str) -> str | None:
    """The proxy between this machine and an API far away; plain HTTP never leaves the house."""
    url = urlsplit(api_url)
    if url.scheme != "https" or proxy_bypass(url.hostname or ""):
        return None
    return getproxies().get("https")


def _retry_after(value: str | None, now: datetime) -> float | None:
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
    return max(0.0, (moment - now).total_seconds())
