"""The client against a server that misbehaves: what passes, what fails, and with which sentence."""

import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import chain, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databox_shared.settings import load_settings
from ingestion_location.ebird.api import (
    MAX_ATTEMPTS,
    USER_AGENT,
    EbirdApi,
    is_loopback,
    source_of,
)
from ingestion_location.ebird.errors import EbirdError, GoneError, KeyRefusedError
from ingestion_location.ebird.pace import TokenBucket

from .canned import Canned, Reply, canned_api

TOKEN = "token-that-nobody-may-see"


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def one_after_another(*replies: Reply | None) -> Callable[[str], Reply | None]:
    """The replies in order, then the last one for ever."""
    waiting = chain(replies, repeat(replies[-1]))
    return lambda _: next(waiting)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EBIRD_API_TOKEN", TOKEN)


def client(canned: Canned, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> EbirdApi:
    monkeypatch.setenv("EBIRD_API_URL", canned.url)
    return EbirdApi(load_settings(), clock=clock, sleep=clock.sleep)


PASSING = {
    "429 with seconds": Reply(status=429, headers={"Retry-After": "7"}),
    "429 with a date in the past": Reply(
        status=429, headers={"Retry-After": format_datetime(datetime(2020, 1, 1, tzinfo=UTC))}
    ),
    "429 with a date without a zone": Reply(
        status=429, headers={"Retry-After": "Wed, 01 Jan 2020 00:00:00 -0000"}
    ),
    "429 without a word": Reply(status=429),
    "429 with nonsense": Reply(status=429, headers={"Retry-After": "soon"}),
    "500": Reply("no", status=500),
    "503": Reply(status=503),
    "an empty body": Reply(""),
    "malformed JSON": Reply('[{"subId": "S1"'),
    "a connection that is cut": None,
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_a_fault_that_passes_costs_another_attempt_and_nothing_else(
    fault: Reply | None, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        canned_api(one_after_another(fault, fault, Reply([1, 2]))) as canned,
        client(canned, clock, monkeypatch) as api,
    ):
        answer = api.get("product/lists/US-DC")
        assert (answer.body, answer.text) == ([1, 2], "[1, 2]")
        assert api.calls == len(canned.requests) == 3


def test_retry_after_is_waited_for_by_every_thread(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    storm = Reply(status=429, headers={"Retry-After": "7"})
    with (
        canned_api(one_after_another(storm, Reply([]))) as canned,
        client(canned, clock, monkeypatch) as api,
    ):
        api.get("product/lists/US-DC")
        assert sum(clock.slept) >= 7
    bucket = TokenBucket(rate=5, burst=10)
    bucket.hold_until(20.0)
    assert [bucket.reserve(13.0) for _ in range(3)] == pytest.approx([8.8, 9.0, 9.2])


def test_retry_after_as_an_http_date_is_understood(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    storm = Reply(status=429, headers={"Retry-After": later})
    with (
        canned_api(one_after_another(storm, Reply([]))) as canned,
        client(canned, clock, monkeypatch) as api,
    ):
        api.get("product/lists/US-DC")
        assert 60 < sum(clock.slept) < 95


def test_a_very_long_retry_after_is_an_error_and_not_a_long_sleep(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    storm = Reply(status=429, headers={"Retry-After": "86400"})
    with (
        canned_api(one_after_another(storm)) as canned,
        client(canned, clock, monkeypatch) as api,
        pytest.raises(EbirdError, match="asks to wait 86400 s, so run again later"),
    ):
        api.get("product/lists/US-DC")
    assert len(canned.requests) == 1


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_a_fault_that_stays_fails_with_the_address_and_never_the_key(
    fault: Reply | None, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        canned_api(one_after_another(fault)) as canned,
        client(canned, clock, monkeypatch) as api,
        pytest.raises(EbirdError, match=r"product/lists/US-DC") as caught,
    ):
        api.get("product/lists/US-DC")
    assert len(canned.requests) == MAX_ATTEMPTS
    assert TOKEN not in repr(caught.value)


def test_a_refused_key_is_said_at_once(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        canned_api(one_after_another(Reply(status=403))) as canned,
        client(canned, clock, monkeypatch) as api,
        pytest.raises(
            KeyRefusedError, match=r"eBird refused the key \(403\).*check EBIRD_API_TOKEN"
        ) as caught,
    ):
        api.get("product/lists/US-DC")
    assert len(canned.requests) == 1
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(("status", "error"), [(404, GoneError), (410, GoneError)])
def test_what_does_not_exist_is_an_error_of_its_own(
    status: int, error: type[Exception], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        canned_api(one_after_another(Reply(status=status))) as canned,
        client(canned, clock, monkeypatch) as api,
        pytest.raises(error, match=str(status)),
    ):
        api.get("product/checklist/view/S1")


def test_any_other_answer_is_an_error_with_what_the_api_said(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"errors": [{"title": "Field subId is invalid."}]}
    with (
        canned_api(one_after_another(Reply(said, status=400))) as canned,
        client(canned, clock, monkeypatch) as api,
        pytest.raises(EbirdError, match=r"answered 400: .*Field subId is invalid"),
    ):
        api.get("product/checklist/view/X")
    assert len(canned.requests) == 1


def test_a_redirect_is_not_followed_because_it_would_carry_the_key_away(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with canned_api(one_after_another(Reply([]))) as elsewhere:
        away = Reply(status=302, headers={"Location": f"{elsewhere.url}/x"})
        with (
            canned_api(one_after_another(away)) as canned,
            client(canned, clock, monkeypatch) as api,
            pytest.raises(EbirdError, match="answered 302"),
        ):
            api.get("product/lists/US-DC")
        assert elsewhere.requests == []


def test_the_key_travels_in_the_header_only_beside_the_projects_name(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        canned_api(one_after_another(Reply([]))) as canned,
        client(canned, clock, monkeypatch) as api,
    ):
        api.get("product/lists/US-DC?maxResults=200")
        assert canned.requests == ["product/lists/US-DC?maxResults=200"]
        assert canned.headers[0]["X-eBirdApiToken"] == TOKEN
        assert canned.headers[0]["User-Agent"] == USER_AGENT
        assert USER_AGENT.startswith("Databox/")


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "ümlaut"])
def test_a_key_that_cannot_be_sent_is_refused_without_repeating_it(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBIRD_API_TOKEN", key)
    with pytest.raises(EbirdError, match="EBIRD_API_TOKEN holds a character") as caught:
        EbirdApi(load_settings())
    assert key not in str(caught.value)


def test_without_a_key_and_a_sandbox_the_error_says_how_to_start_one(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.delenv("EBIRD_API_TOKEN")
    monkeypatch.setenv("EBIRD_API_URL", f"http://127.0.0.1:{port}/v2")
    sentence = "start it with `uv run task sandbox` or set EBIRD_API_TOKEN"
    with EbirdApi(load_settings(), clock=clock, sleep=clock.sleep) as api:
        with pytest.raises(EbirdError, match=sentence):
            api.get("product/lists/US-DC")
        assert sentence in str(api.trouble())


@pytest.mark.parametrize(
    ("reply", "answers"),
    [(Reply([]), True), (Reply(status=403), True), (Reply(status=500), False),
     (Reply(status=429), False), (None, False)],
)  # fmt: skip
def test_the_api_is_there_if_it_says_anything_but_that_it_is_in_trouble(
    reply: Reply | None, answers: bool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        canned_api(one_after_another(reply)) as canned,
        client(canned, clock, monkeypatch) as api,
    ):
        assert (api.trouble() is None) == answers
        assert len(canned.requests) == 1


def test_asking_whether_the_api_is_there_is_one_of_the_days_calls(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBIRD_DAILY_CALL_LIMIT", "1")
    with (
        canned_api(one_after_another(Reply([]), Reply([]))) as canned,
        client(canned, clock, monkeypatch) as api,
    ):
        assert api.trouble() is None
        assert "the 1 calls of" in str(api.trouble())
        assert len(canned.requests) == 1


@given(
    st.floats(0.5, 50),
    st.integers(1, 20),
    st.lists(st.floats(0, 3), min_size=1, max_size=60),
)
def test_the_bucket_never_lets_more_than_its_burst_and_rate_through(
    rate: float, burst: int, gaps: list[float]
) -> None:
    bucket = TokenBucket(rate, burst)
    now = 1000.0
    sent: list[float] = []
    for gap in gaps:
        now += gap
        sent.append(now + bucket.reserve(now))
    for first, start in enumerate(sent):
        within = [moment for moment in sent[first:] if moment < start + 10.0]
        assert len(within) <= burst + rate * 10.0 + 1


def test_the_bucket_gives_each_of_many_threads_a_place_of_its_own() -> None:
    bucket = TokenBucket(rate=10, burst=1)
    waits: list[float] = []
    threads = [
        threading.Thread(target=lambda: waits.append(bucket.reserve(5.0))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == pytest.approx([n / 10 for n in range(20)])


def test_every_loopback_address_is_the_same_sandbox() -> None:
    assert {
        source_of(url)
        for url in ("http://127.0.0.1:1/v2", "http://localhost:9/v2", "http://[::1]:2/v2")
    } == {"sandbox"}
    assert source_of("https://api.ebird.org/v2") == "api.ebird.org"
    assert not is_loopback("https://api.ebird.org/v2")
