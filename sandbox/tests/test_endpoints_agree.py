"""What one endpoint says, another does not deny: everything comes from the same checklists."""

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., Any]
DAY = "2026/5/17"
AREAS = ["US-DC", "JP-13", "VA-"]


@pytest.mark.parametrize("region", AREAS)
def test_every_listed_checklist_can_be_viewed_and_says_the_same(ask: Ask, region: str) -> None:
    for listed in ask(f"/product/lists/{region}/{DAY}", maxResults=200):
        viewed = ask(f"/product/checklist/view/{listed['subId']}")
        assert viewed["numSpecies"] == listed["numSpecies"]
        assert viewed["obsDt"] == listed["isoObsDate"]
        assert viewed["locId"] == listed["locId"] == listed["loc"]["locID"]
        assert viewed["obsTimeValid"] == ("obsTime" in listed)


@pytest.mark.parametrize("region", AREAS)
def test_stats_are_the_totals_of_the_viewed_checklists(ask: Ask, region: str) -> None:
    reportable = {
        taxon["speciesCode"]: taxon.get("reportAs", taxon["speciesCode"])
        for taxon in ask("/ref/taxonomy/ebird", fmt="json")
        if taxon["category"] == "species" or "reportAs" in taxon
    }
    listed = ask(f"/product/lists/{region}/{DAY}", maxResults=200)
    views = [ask(f"/product/checklist/view/{one['subId']}") for one in listed]
    codes = {o["speciesCode"] for view in views for o in view["obs"]}
    totals = ask(f"/product/stats/{region}/{DAY}")
    assert totals["numChecklists"] == len(views)
    assert totals["numSpecies"] == len({reportable[c] for c in codes if c in reportable})


def test_a_list_of_200_was_cut_and_its_counties_hold_all(ask: Ask) -> None:
    whole = ask(f"/product/lists/US-MA/{DAY}", maxResults=200)
    counties = [county["code"] for county in ask("/ref/region/list/subnational2/US-MA")]
    parts = [
        one["subId"]
        for county in counties
        for one in ask(f"/product/lists/{county}/{DAY}", maxResults=200)
    ]
    assert len(whole) == 200
    assert len(parts) == len(set(parts)) == ask(f"/product/stats/US-MA/{DAY}")["numChecklists"]
    assert {one["subId"] for one in whole} < set(parts)


def test_ten_checklists_come_when_no_number_is_asked_for(ask: Ask) -> None:
    assert len(ask(f"/product/lists/US-DC/{DAY}")) == 10


def test_recent_has_each_taxon_once_newest_first(ask: Ask) -> None:
    rows = ask("/data/obs/US-DC/recent")
    assert len({row["speciesCode"] for row in rows}) == len(rows) > 100
    assert [row["obsDt"] for row in rows] == sorted((r["obsDt"] for r in rows), reverse=True)


def test_notable_shows_unreviewed_reports_and_full_detail(ask: Ask) -> None:
    rows = ask("/data/obs/US/recent/notable", back=30, detail="full")
    assert {(row["obsValid"], row["obsReviewed"]) for row in rows} == {(False, False), (True, True)}
    assert all(row["obsId"].startswith("OBS") for row in rows)


def test_shared_checklists_have_the_same_birds_and_other_observers(ask: Ask) -> None:
    views = [
        ask(f"/product/checklist/view/{one['subId']}")
        for one in ask(f"/product/lists/US-MA/{DAY}", maxResults=200)
    ]
    groups: dict[str, list[Any]] = {}
    for view in views:
        if "groupId" in view:
            groups.setdefault(view["groupId"], []).append(view)
    shared = [group for group in groups.values() if len(group) > 1]
    assert shared
    for first, *others in shared:
        for other in others:
            assert [o["speciesCode"] for o in first["obs"]] == [
                o["speciesCode"] for o in other["obs"]
            ]
            assert other["userDisplayName"] != first["userDisplayName"]


def test_place_names_are_japanese_in_tokyo(ask: Ask) -> None:
    names = "".join(hotspot["locName"] for hotspot in ask("/ref/hotspot/JP-13", fmt="json"))
    assert not names.isascii()


def test_the_same_seed_gives_the_same_world_and_another_seed_another(ask: Ask) -> None:
    assert ask(f"/product/lists/US-DC/{DAY}") == ask(f"/product/lists/US-DC/{DAY}")
    assert ask(f"/product/lists/US-DC/{DAY}") != ask("/product/lists/US-DC/2026/5/16")
