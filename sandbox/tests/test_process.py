"""The sandbox as a process: ready when it says so, and gone when it is told to go."""

import re
import signal
from datetime import date
from html import unescape

import pytest
import requests

from ebird_sandbox.process import running_sandbox

KEY = {"X-eBirdApiToken": "any"}


@pytest.mark.parametrize("order", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_on_a_signal(order: signal.Signals) -> None:
    with running_sandbox(today=date(2026, 5, 20)) as sandbox:
        assert requests.get(f"{sandbox.url}/ref/taxonomy/versions", timeout=10).ok
        sandbox.process.send_signal(order)
        assert sandbox.process.wait(10) == 0


def test_it_ends_when_the_process_that_started_it_is_gone() -> None:
    with running_sandbox(today=date(2026, 5, 20)) as sandbox:
        assert sandbox.process.stdin is not None
        sandbox.process.stdin.close()
        assert sandbox.process.wait(10) == 0


def test_it_ends_promptly_while_a_request_hangs() -> None:
    extra = ["--fault", "*:hang,seconds=600"]
    with running_sandbox(today=date(2026, 5, 20), extra=extra) as sandbox:
        with pytest.raises(requests.Timeout):
            requests.get(f"{sandbox.url}/product/lists/US-DC", headers=KEY, timeout=0.2)
        sandbox.process.terminate()
        assert sandbox.process.wait(5) == 0


def test_the_front_page_says_what_world_this_is() -> None:
    with running_sandbox(today=date(2026, 5, 20), seed=41) as sandbox:
        page = requests.get(sandbox.url.removesuffix("v2"), timeout=10)
        assert page.headers["content-type"].startswith("text/html")
        for said in ("2026-05-20", ">41<", "Clements", "Tokyo, Japan", sandbox.url):
            assert said in page.text
        links = re.findall(r'<a href="(/v2[^"]+)"', page.text)
        assert len(links) == 25
        for link in links:
            url = sandbox.url.removesuffix("/v2") + unescape(link)
            assert requests.get(url, timeout=30).status_code == 200


def test_a_bad_option_stops_the_start_and_is_reported() -> None:
    with pytest.raises(RuntimeError, match="exit code 2"), running_sandbox(extra=["--today", "x"]):
        pass


def test_with_a_token_no_other_key_opens() -> None:
    with running_sandbox(today=date(2026, 5, 20), extra=["--token", "right"]) as sandbox:
        path = f"{sandbox.url}/product/lists/US-DC"
        assert requests.get(path, headers=KEY, timeout=10).status_code == 403
        assert requests.get(path, headers={"x-ebirdapitoken": "right"}, timeout=10).ok
        assert requests.get(path, params={"key": "right"}, timeout=10).ok


def test_without_a_key_the_answer_is_403_and_empty() -> None:
    with running_sandbox(today=date(2026, 5, 20)) as sandbox:
        answer = requests.get(f"{sandbox.url}/product/lists/US-DC", timeout=10)
        assert (answer.status_code, answer.content) == (403, b"")
        assert "content-type" not in answer.headers


def test_checklists_per_day_can_be_set_for_one_region() -> None:
    rates = ["--checklists-per-day", "US-DC=400"]
    with running_sandbox(today=date(2026, 5, 20), extra=rates) as sandbox:
        url = f"{sandbox.url}/product/stats/US-DC/2026/5/13"
        assert 250 < requests.get(url, headers=KEY, timeout=30).json()["numChecklists"] < 500


def test_a_port_in_use_is_said_in_a_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    with running_sandbox(today=date(2026, 5, 20)) as sandbox:
        port = sandbox.url.split(":")[2].split("/")[0]
        with pytest.raises(RuntimeError), running_sandbox(extra=["--port", port]):
            pass
    assert f"cannot listen on 127.0.0.1, port {port}" in capfd.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--today", "2015-01-01"],
        ["--today", "2035-12-31"],
        ["--today", "2024-02-29", "--checklists-per-day", "0"],
        ["--today", "2026-05-20", "--checklists-per-day", "0.3", "--seed", "-5"],
    ],
)
def test_worlds_at_the_edges_answer_everything(options: list[str]) -> None:
    with running_sandbox(extra=options) as sandbox:
        page = requests.get(sandbox.url.removesuffix("v2"), timeout=10)
        links = re.findall(r'<a href="(/v2[^"]+)"', page.text)
        for link in links:
            url = sandbox.url.removesuffix("/v2") + unescape(link)
            # Where there are no checklists, the example of one is of none.
            expected = {200, 400} if "/view/" in link else {200}
            assert requests.get(url, timeout=30).status_code in expected, url
