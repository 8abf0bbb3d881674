"""What can go wrong goes wrong on demand, and the same way every time."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any

import pytest
import requests

from ebird_sandbox.app import ENDPOINTS
from ebird_sandbox.endpoints import Endpoint
from ebird_sandbox.faults import KINDS, BadRuleError, Faults, from_mapping, from_text
from ebird_sandbox.process import Sandbox, running_sandbox

KEY = {"X-eBirdApiToken": "any"}
STATS = "/product/stats/US-DC/2026/5/17"


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with running_sandbox(today=date(2026, 5, 20), admin=True) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    requests.delete(f"{running.admin_url}/faults", timeout=10)
    return running


def fault(sandbox: Sandbox, **rule: Any) -> None:
    answer = requests.post(f"{sandbox.admin_url}/faults", json=rule, timeout=10)
    assert answer.status_code == 200, answer.text


def get(sandbox: Sandbox, path: str = STATS, seconds: float = 10) -> requests.Response:
    return requests.get(sandbox.url + path, headers=KEY, timeout=seconds)


def test_429_says_when_to_come_again_in_seconds(sandbox: Sandbox) -> None:
    fault(sandbox, endpoint="stats", kind="429", retry_after="7")
    answer = get(sandbox)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


def test_429_says_when_to_come_again_as_a_date(sandbox: Sandbox) -> None:
    fault(sandbox, endpoint="stats", kind="429", retry_after="date")
    assert parsedate_to_datetime(get(sandbox).headers["retry-after"]) > datetime.now(UTC)


def test_a_script_is_played_once_in_its_order(sandbox: Sandbox) -> None:
    fault(sandbox, endpoint="stats", script=["500", "ok", "403"])
    assert [get(sandbox).status_code for _ in range(5)] == [500, 200, 403, 200, 200]


def test_only_the_endpoint_and_path_that_were_named_are_hit(sandbox: Sandbox) -> None:
    fault(sandbox, endpoint="stats", kind="500", path="US-DC", times=1, after=1)
    assert get(sandbox, "/product/stats/US-MA/2026/5/17").ok
    assert get(sandbox, "/product/lists/US-DC").ok
    assert [get(sandbox).status_code for _ in range(3)] == [200, 500, 200]


def test_a_hang_says_nothing(sandbox: Sandbox) -> None:
    fault(sandbox, kind="hang", seconds=30)
    with pytest.raises(requests.Timeout):
        get(sandbox, seconds=0.3)


def test_a_cut_body_is_shorter_than_it_says(sandbox: Sandbox) -> None:
    fault(sandbox, kind="cut")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        get(sandbox, "/product/spplist/US-DC")


def test_a_late_answer_is_the_right_one(sandbox: Sandbox) -> None:
    right = get(sandbox)
    fault(sandbox, kind="late", seconds=0.3)
    late = get(sandbox)
    assert late.elapsed.total_seconds() >= 0.3
    assert (late.status_code, late.content) == (right.status_code, right.content)


def test_a_slow_body_comes_whole_in_the_end(sandbox: Sandbox) -> None:
    fault(sandbox, kind="slow", seconds=0.3)
    answer = get(sandbox)
    assert answer.json()["numChecklists"] > 0
    assert "numSpecies" in answer.json()


def test_a_200_can_be_empty_or_no_json(sandbox: Sandbox) -> None:
    fault(sandbox, script=["empty", "invalid-json"])
    assert (get(sandbox).status_code, get(sandbox).text[-6:]) == (200, "<html>")


def test_fields_can_be_new_missing_or_of_another_type(sandbox: Sandbox) -> None:
    script = ["unknown-field", "missing-field", "wrong-type"]
    fault(sandbox, script=script, field="numSpecies")
    assert "sandboxField" in get(sandbox).json()
    assert "numSpecies" not in get(sandbox).json()
    assert isinstance(get(sandbox).json()["numSpecies"], str)


def test_the_clock_of_the_server_can_be_off(sandbox: Sandbox) -> None:
    fault(sandbox, kind="clock-skew", seconds=86_400)
    off = parsedate_to_datetime(get(sandbox).headers["date"]) - datetime.now(UTC)
    assert off.total_seconds() > 80_000


def test_rates_hit_the_same_requests_in_any_order() -> None:
    def hit(targets: list[str]) -> set[str]:
        faults = Faults(5, ["stats"], [from_text("stats:500,rate=0.3")])
        return {target for target in targets if faults.decide("stats", target)}

    targets = [f"/{number}" for number in range(500)]
    assert hit(targets) == hit(targets[::-1])
    assert 100 < len(hit(targets)) < 200


def test_a_retried_request_gets_through_in_the_end() -> None:
    faults = Faults(5, ["stats"], [from_text("*:429,rate=0.5")])
    tries = (faults.decide("stats", "/same") for _ in range(100))
    assert any(hit is None for hit in islice(tries, 20))


@pytest.mark.parametrize(
    "text", ["", "lists", "lists:", "nowhere:500", "lists:200", "lists:429,rate=2", "lists:x=1"]
)
def test_a_rule_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(BadRuleError):
        Faults(1, ["lists"]).add(from_text(text))


def test_rules_can_be_given_on_the_command_line() -> None:
    extra = ["--fault", "stats:429,times=1,retry_after=1", "--fault", "lists_recent:script=500 ok"]
    with running_sandbox(today=date(2026, 5, 20), extra=extra) as sandbox:
        assert [get(sandbox).status_code for _ in range(2)] == [429, 200]
        path = "/product/lists/US-DC"
        assert [get(sandbox, path).status_code for _ in range(2)] == [500, 200]


def test_a_script_must_be_a_list() -> None:
    with pytest.raises(BadRuleError, match="list"):
        from_mapping({"script": 3})


@pytest.mark.parametrize("status", [418, 500, 502, 503, 599])
def test_any_status_can_be_asked_for(sandbox: Sandbox, status: int) -> None:
    fault(sandbox, endpoint="stats", kind=str(status))
    answer = get(sandbox)
    (entry,) = answer.json()["errors"]
    assert answer.status_code == status
    assert entry["code"] == f"http.status.{status}"


def test_a_hang_that_is_over_hangs_up(sandbox: Sandbox) -> None:
    fault(sandbox, kind="hang", seconds=0.1)
    with pytest.raises(requests.RequestException):
        get(sandbox)


PATH = {
    "r": "US-DC",
    "speciesCode": "norcar",
    "locId": "L1000000",
    "regionType": "subnational1",
    "parent": "US",
    "grouping": "merlin",
    "y": 2026,
    "m": 5,
    "d": 17,
}


@pytest.mark.parametrize("fmt", ["csv", "json"])
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_every_fault_works_at_every_endpoint(
    sandbox: Sandbox, endpoint: Endpoint, fmt: str
) -> None:
    (first, *_) = get(sandbox, "/product/lists/US-DC/2026/5/17").json()
    path = endpoint.path.format_map(PATH | {"subId": first["subId"]})
    path += f"?lat=38.9&lng=-77&fmt={fmt}"
    right = get(sandbox, path).content
    fault(sandbox, script=[*KINDS, "429"], endpoint=endpoint.name, seconds=0.01)
    for kind in (*KINDS, "429"):
        if kind in ("hang", "cut"):
            with pytest.raises(requests.RequestException):
                get(sandbox, path)
            continue
        answer = get(sandbox, path)
        assert answer.status_code == (429 if kind == "429" else 200)
        assert (answer.content == right) == (kind in ("late", "slow", "clock-skew")), kind
    assert get(sandbox, path).content == right
