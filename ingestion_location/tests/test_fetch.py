"""The fetch of days from an API whose every answer a test decides."""

import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from databox_shared.settings import load_settings
from ingestion_location.ebird.api import EbirdApi
from ingestion_location.ebird.fetch import LIST_CAP, Fetcher, FetchError
from ingestion_location.ebird.landing import Landing

from .canned import Canned, Reply, canned_api

DAY = date(2026, 11, 20)
PLACE = {
    "locId": "L1", "name": "A Park", "latitude": 38.9, "longitude": -77.0,
    "countryCode": "US", "subnational1Code": "US-DC", "isHotspot": True,
}  # fmt: skip
LISTED = {"subId": "S1", "isoObsDate": f"{DAY} 08:00", "loc": PLACE}
VIEW = {
    "subId": "S1", "protocolId": "P22", "allObsReported": True, "obsTimeValid": True,
    "obsDt": f"{DAY} 08:00", "userDisplayName": "A Birder", "numSpecies": 0, "obs": [],
}  # fmt: skip
Answers = dict[str, Callable[[str], Reply]]


def answering(others: Answers, listed: list[Any]) -> Callable[[str], Reply]:
    """One checklist that is listed; what is asked below a path of `others` is answered by it."""
    totals = {"numChecklists": 2, "numContributors": 1, "numSpecies": 0}
    usual = {"product/stats": totals, "product/lists": listed, "product/checklist": VIEW}

    def answer(path: str) -> Reply:
        for start, made in others.items():
            if path.startswith(start):
                return made(path)
        return Reply(next((body for start, body in usual.items() if path.startswith(start)), []))

    return answer


@contextmanager
def fetching(
    folder: Path, monkeypatch: pytest.MonkeyPatch, others: Answers, listed: list[Any]
) -> Generator[tuple[Fetcher, Canned]]:
    with canned_api(answering(others, listed)) as canned:
        monkeypatch.setenv("EBIRD_API_URL", canned.url)
        with EbirdApi(load_settings(), sleep=lambda _: None) as api:
            yield Fetcher(api, Landing(folder), date(2026, 11, 23), lambda _: None, (1,)), canned


def test_the_parts_of_several_regions_are_asked_for_at_once_and_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2)

    def parts(_: str) -> Reply:
        both.wait(timeout=20)
        return Reply([])

    cut = [LISTED] * LIST_CAP
    wanted = [(region, DAY.replace(day=day)) for region in ("US-MA", "US-NY") for day in (19, 20)]
    with fetching(tmp_path, monkeypatch, {"ref/region/list": parts}, cut) as (fetcher, canned):
        assert len(list(fetcher.days(wanted))) == len(wanted)
    asked = Counter(path for path in canned.requests if path.startswith("ref/region/list"))
    assert sorted(asked.values()) == [1, 1]


def test_what_was_put_aside_is_gone_when_its_day_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = iter([Reply([LISTED]), Reply([LISTED | {"subId": 7}])])
    views = iter([Reply(status=410), Reply(VIEW)])
    others: Answers = {
        "product/lists": lambda _: next(lists),
        "product/checklist": lambda _: next(views),
    }
    with fetching(tmp_path, monkeypatch, others, []) as (fetcher, _):
        with pytest.raises(FetchError, match="subId is 7 and not text; the answer is in"):
            fetcher.day("US-DC", DAY)
        assert len(list(tmp_path.rglob("*.rejected"))) == 1
        fetcher.day("US-DC", DAY)
    assert not list(tmp_path.rglob("*.rejected"))
