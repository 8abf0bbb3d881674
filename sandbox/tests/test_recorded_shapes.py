"""Fields in the order, and errors in the words, in which clients of eBird have recorded them.

Only names, orders and phrases are here: no recorded value is.
"""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from ebird_sandbox.process import Sandbox

KEY = {"X-eBirdApiToken": "any"}
DAY = "2026/5/17"
POINT = {"lat": 38.9, "lng": -77.03}
SIMPLE = (
    "speciesCode comName sciName locId locName obsDt howMany? lat lng obsValid obsReviewed "
    "locationPrivate subId exoticCategory?"
)
FULL = SIMPLE + (
    " subnational2Code? subnational2Name? subnational1Code subnational1Name countryCode "
    "countryName userDisplayName obsId checklistId presenceNoted hasComments firstName lastName "
    "hasRichMedia"
)
FEED = "locId subId userDisplayName numSpecies obsDt obsTime? isoObsDate subID loc"
LOCATION = (
    "locId name latitude longitude countryCode countryName subnational1Name subnational1Code "
    "subnational2Code? subnational2Name? isHotspot locName lat lng hierarchicalName locID"
)
VIEW = (
    "projId subId protocolId locId groupId? durationHrs? allObsReported comments? creationDt "
    "lastEditedDt obsDt obsTimeValid checklistId numObservers? effortDistanceKm? "
    "effortDistanceEnteredUnit? effortAreaHa? effortAreaEnteredUnit? subnational1Code "
    "submissionMethodCode deleteTrack userDisplayName numSpecies projectIds obs"
)
VIEWED = (
    "speciesCode exoticCategory? howManyAtleast? howManyAtmost? comments? mediaCounts? present "
    "howManyStr obsId obsAux?"
)
HOTSPOT = (
    "locId locName countryCode subnational1Code subnational2Code? lat lng latestObsDt "
    "numSpeciesAllTime numChecklistsAllTime"
)
TAXON = (
    "sciName comName speciesCode category taxonOrder bandingCodes comNameCodes sciNameCodes order "
    "familyCode familyComName familySciName reportAs? extinct? extinctYear?"
)
NO_REGION = (
    "Property regionCode threw exception; nested exception is "
    "java.lang.IllegalArgumentException: Unable to find matching region type for"
)
LEADER = "profileHandle? userDisplayName numSpecies numCompleteChecklists rowNum userId"


def hold_to(rows: list[dict[str, Any]], fields: str) -> None:
    """Every row has the fields in their order; each optional one is in some, not in all."""
    names = [field.rstrip("?") for field in fields.split()]
    optional = {field.rstrip("?") for field in fields.split() if field.endswith("?")}
    assert rows
    for row in rows:
        assert list(row) == [name for name in names if name in row or name not in optional]
    for name in optional:
        assert 0 < sum(name in row for row in rows) < len(rows), name


@pytest.fixture(scope="module")
def viewed(ask: Callable[..., Any]) -> list[dict[str, Any]]:
    days = ((region, day) for region in ("US-PA", "JP-13") for day in range(1, 18))
    lists = (ask(f"/product/lists/{r}/2026/5/{day}", maxResults=200) for r, day in days)
    return [ask(f"/product/checklist/view/{row['subId']}") for rows in lists for row in rows[::3]]


@pytest.mark.parametrize(("detail", "fields"), [("simple", SIMPLE), ("full", FULL)])
def test_observations(ask: Callable[..., Any], detail: str, fields: str) -> None:
    regions = ("US-DC", "US-PA", "JP-13")
    paths = [f"/data/obs/{r}/{kind}" for r in regions for kind in ("recent", f"historic/{DAY}")]
    rows = [row for path in paths for row in ask(path, detail=detail)]
    rows += ask("/data/obs/geo/recent", **POINT, detail=detail)
    rows += ask("/data/nearest/geo/recent/norcar", **POINT, detail=detail)
    hold_to(rows, fields)


def test_checklist_feeds(ask: Callable[..., Any]) -> None:
    regions = ("US-PA", "JP-13")
    rows = [row for r in regions for row in ask(f"/product/lists/{r}/{DAY}", maxResults=200)]
    hold_to(rows, FEED)
    hold_to([row["loc"] for row in rows], LOCATION)


def test_the_iso_date_of_a_feed_is_a_date_alone_without_a_time(ask: Callable[..., Any]) -> None:
    rows = ask(f"/product/lists/US-PA/{DAY}", maxResults=200)
    for row in rows:
        assert row["isoObsDate"] == f"2026-05-17 {row.get('obsTime', '')}".rstrip()


def test_checklist_views(viewed: list[dict[str, Any]]) -> None:
    hold_to(viewed, VIEW)
    hold_to([observation for view in viewed for observation in view["obs"]], VIEWED)


def test_hotspots(ask: Callable[..., Any]) -> None:
    rows = ask("/ref/hotspot/US-DC", fmt="json") + ask("/ref/hotspot/VA", fmt="json")
    hold_to(rows, HOTSPOT)
    info = [ask(f"/ref/hotspot/info/{row['locId']}") for row in rows]
    hold_to(info, LOCATION)


def test_hotspots_are_listed_by_name(ask: Callable[..., Any]) -> None:
    names = [row["locName"].casefold() for row in ask("/ref/hotspot/US-DC", fmt="json")]
    assert names == sorted(names)


def test_leaders(ask: Callable[..., Any]) -> None:
    hold_to(ask(f"/product/top100/US/{DAY}"), LEADER)


def test_taxa(ask: Callable[..., Any]) -> None:
    hold_to(ask("/ref/taxonomy/ebird", fmt="json"), TAXON)
    assert ask("/ref/taxon/forms/cangoo") == ["cangoo4", "cangoo3", "cangoo1", "cangoo"]


def test_merlin_puts_falcons_next_to_hawks(ask: Callable[..., Any]) -> None:
    merlin, ebird = (
        [row["groupName"] for row in ask(f"/ref/sppgroup/{grouping}")]
        for grouping in ("merlin", "ebird")
    )
    hawks = "Hawks, Eagles, and Kites"
    assert merlin[merlin.index(hawks) + 1] == "Falcons and Caracaras"
    assert ebird[ebird.index(hawks) + 1] != "Falcons and Caracaras"
    assert sorted(merlin) == sorted(ebird)


def test_parents_of_a_region_have_no_bounds_and_their_middle_is_at_zero(
    ask: Callable[..., Any],
) -> None:
    found = ask("/ref/region/info/US-MA-017")
    fields = ["bounds", "result", "code", "type", "parent", "longitude", "latitude"]
    assert list(found) == fields
    bounds = found["bounds"]
    assert found["longitude"] == (bounds["minX"] + bounds["maxX"]) / 2
    state = found["parent"]
    assert list(state) == fields[1:]
    assert (state["longitude"], state["latitude"]) == (0.0, 0.0)
    assert list(state["parent"]) == ["result", "code", "type", "longitude", "latitude"]


def test_countries_are_in_the_order_of_their_letters(ask: Callable[..., Any]) -> None:
    names = [row["name"] for row in ask("/ref/region/list/country/world")]
    for first, second in (
        ("Costa Rica", "Côte d'Ivoire"),
        ("Côte d'Ivoire", "Croatia"),
        ("Dominican Republic", "DR Congo"),
        ("Northern Mariana Islands", "North Korea"),
    ):
        assert names.index(first) + 1 == names.index(second)


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/data/obs/geo/recent/asf?lat=1&lng=1", "sci of rawDataCmd: Unknown species: asf"),
        (
            "/data/obs/US/recent?back=31",
            "back of rawDataCmd: The maximum number of days back is 30",
        ),
        (
            "/ref/hotspot/geo?lat=1&lng=1&dist=-1",
            "dist of refHotspotCmd: Distance must be between 0 and 500",
        ),
        ("/product/checklist/view/x", "subId of checklistBySubIdCmd: subId is invalid."),
        (
            "/product/lists/LL1/2026/5/17",
            f"regionCode of recListsCmd: {NO_REGION} LL1",
        ),
        (
            "/product/spplist/US-NC-1000",
            f"regionCode of sppListCmd: {NO_REGION} US-NC-1000",
        ),
    ],
)
def test_a_field_that_is_wrong_is_named(sandbox: Sandbox, path: str, title: str) -> None:
    answer = requests.get(sandbox.url + path, headers=KEY, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["title"] == f"Field {title}"


@pytest.mark.parametrize("region", ["", "hotspot", "US-DC"])
def test_with_r_the_region_in_the_path_is_not_looked_at(
    ask: Callable[..., Any], region: str
) -> None:
    wanted = ask("/data/obs/L1000000/recent")
    assert wanted
    assert ask(f"/data/obs/{region}/recent", r="L1000000") == wanted


@pytest.mark.parametrize("path", [f"/product/stats/US-DC/{DAY}", "/ref/region/info/VA"])
def test_even_small_answers_are_compressed(sandbox: Sandbox, path: str) -> None:
    answer = requests.get(sandbox.url + path, headers=KEY, timeout=10)
    assert answer.headers["content-encoding"] == "gzip"
