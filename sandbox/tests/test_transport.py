"""The wire: headers, keys, formats and defaults, as clients of the real API count on them."""

import csv
from collections.abc import Iterator
from datetime import date
from io import StringIO
from typing import Any

import pytest
import requests
from starlette.requests import Request

from ebird_sandbox import params
from ebird_sandbox.process import running_sandbox

KEY = {"X-eBirdApiToken": "any"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_sandbox(today=date(2026, 5, 20)) as sandbox:
        yield sandbox.url


def get(url: str, path: str, headers: dict[str, str] | None = None, **query: Any) -> Any:
    return requests.get(url + path, params=query, headers=headers or KEY, timeout=30)


@pytest.mark.parametrize("name", ["X-eBirdApiToken", "x-ebirdapitoken", "X-EBIRDAPITOKEN"])
def test_the_key_header_may_be_in_any_case(url: str, name: str) -> None:
    assert get(url, "/product/lists/US-DC", {name: "k"}).ok


def test_the_key_may_be_in_the_query(url: str) -> None:
    assert get(url, "/product/lists/US-DC", {"a": "b"}, key="k").ok
    assert get(url, "/product/lists/US-DC", {"a": "b"}, key="").status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/ref/taxonomy/ebird",
        "/ref/taxonomy/versions",
        "/ref/sppgroup/merlin",
        "/ref/hotspot/US-DC",
        "/ref/hotspot/geo?lat=38.9&lng=-77",
        "/ref/hotspot/info/L1000000",
    ],
)
def test_some_endpoints_answer_without_a_key(url: str, path: str) -> None:
    assert requests.get(url + path, timeout=30).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/data/obs/US-DC/recent",
        "/product/spplist/US-DC",
        "/ref/region/list/country/world",
        "/ref/adjacent/US-MA",
        "/ref/taxon/forms/cangoo",
        "/ref/taxa-locales/ebird",
    ],
)
def test_the_others_say_403_with_nothing_in_it(url: str, path: str) -> None:
    answer = requests.get(url + path, timeout=30)
    assert (answer.status_code, answer.content) == (403, b"")
    assert "content-type" not in answer.headers


def test_answers_are_not_to_be_cached(url: str) -> None:
    answer = get(url, "/product/lists/US-DC")
    assert answer.headers["cache-control"] == "no-cache, no-store, max-age=0, must-revalidate"
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    assert "etag" not in answer.headers


def test_large_answers_are_compressed_only_for_those_who_can(url: str) -> None:
    path = "/product/spplist/US-DC"
    packed = get(url, path, KEY | {"accept-encoding": "gzip, deflate"})
    plain = get(url, path, KEY | {"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()


def test_more_than_the_cap_is_cut_to_it_and_nothing_says_so(url: str) -> None:
    answer = get(url, "/product/lists/US-PA/2026/5/16", maxResults=5000)
    assert len(answer.json()) == 200
    query = {"type": "http", "headers": [], "query_string": b"maxResults=20000"}
    assert params.max_results(Request(query), 10_000, 10_000) == 10_000


@pytest.mark.parametrize("date_path", ["2026/5/7", "2026/05/07"])
def test_dates_may_be_padded_or_not(url: str, date_path: str) -> None:
    assert get(url, f"/product/stats/US-DC/{date_path}").json()["numChecklists"] > 0


def test_booleans_may_be_in_any_case_and_unknown_parameters_are_ignored(url: str) -> None:
    rows = [
        get(url, "/data/obs/US-DC/recent", hotspot=word, nonsense="x").json()
        for word in ("true", "True", "TRUE")
    ]
    assert rows[0] == rows[1] == rows[2]
    assert not any(row["locationPrivate"] for row in rows[0])


@pytest.mark.parametrize(
    ("path", "columns"),
    [("/ref/hotspot/US-DC", 9), ("/ref/hotspot/geo?lat=38.9&lng=-77", 9)],
)
def test_hotspots_are_csv_without_a_header_unless_asked_otherwise(
    url: str, path: str, columns: int
) -> None:
    answer = get(url, path)
    rows = list(csv.reader(StringIO(answer.content.decode())))
    assert answer.headers["content-type"].startswith("text/csv")
    assert rows[0][0].startswith("L")
    assert {len(row) for row in rows} == {columns}


def test_the_taxonomy_is_csv_with_a_header_unless_asked_otherwise(url: str) -> None:
    rows = list(csv.DictReader(StringIO(get(url, "/ref/taxonomy/ebird").content.decode())))
    taxa = get(url, "/ref/taxonomy/ebird", fmt="json").json()
    assert [row["SPECIES_CODE"] for row in rows] == [taxon["speciesCode"] for taxon in taxa]
    assert {len(taxon["speciesCode"]) for taxon in taxa} <= set(range(2, 9))


def test_defaults_are_those_that_clients_leave_out(url: str) -> None:
    def same(path: str, **said: Any) -> bool:
        return get(url, path).json() == get(url, path, **said).json()

    assert same("/data/obs/US-DC/recent", back=14, detail="simple", hotspot="false")
    assert same("/data/obs/geo/recent?lat=38.9&lng=-77", dist=25, sort="date")
    assert same("/data/nearest/geo/recent/norcar?lat=38.9&lng=-77", dist=50)
    assert same("/product/lists/US-DC/2026/5/17", maxResults=10, sortKey="obs_dt")
    assert same("/product/top100/US/2026/5/17", maxResults=100, rankedBy="spp")
    assert same("/data/obs/US-DC/historic/2026/5/17", rank="mrec")
    assert same("/ref/region/info/US-DC", regionNameFormat="full", delim=", ")


def test_optional_fields_are_absent_and_never_null(url: str) -> None:
    paths = ["/data/obs/US/recent", "/data/obs/JP-13/recent", "/data/obs/VA/recent"]
    rows = [row for path in paths for row in get(url, path, detail="full", back=30).json()]
    assert all(value is not None for row in rows for value in row.values())
    assert any("howMany" not in row for row in rows)
    assert {row.get("exoticCategory") for row in rows} >= {None, "N", "P", "X"}
    assert all(("subnational2Code" in row) == (row["countryCode"] == "US") for row in rows)


def test_vatican_city_has_a_subdivision_with_an_empty_tail(url: str) -> None:
    assert get(url, "/ref/region/list/subnational1/VA").json()[0]["code"] == "VA-"
    assert get(url, "/ref/hotspot/VA", fmt="json").json()[0]["subnational1Code"] == "VA-"
    assert get(url, "/product/spplist/VA-").json()


def test_a_county_that_might_exist_has_no_name(url: str) -> None:
    found = get(url, "/ref/region/info/US-NY-999").json()
    assert (found["latitude"], found["longitude"]) == (0.0, 0.0)
    assert "result" not in found
    assert "bounds" not in found


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("detailed", "Middlesex County, Massachusetts, US"),
        ("detailednoqual", "Middlesex, Massachusetts"),
        ("full", "Middlesex, Massachusetts, United States"),
        ("namequal", "Middlesex County"),
        ("nameonly", "Middlesex"),
        ("revdetailed", "US, Massachusetts, Middlesex County"),
    ],
)
def test_a_region_is_named_in_six_ways(url: str, form: str, said: str) -> None:
    found = get(url, "/ref/region/info/US-MA-017", regionNameFormat=form).json()
    assert found["result"] == said
    spaced = get(url, "/ref/region/info/US-MA-017", regionNameFormat=form, delim=" / ").json()
    assert spaced["result"] == said.replace(", ", " / ")


def test_the_neighbours_of_massachusetts_are_five(url: str) -> None:
    codes = [row["code"] for row in get(url, "/ref/adjacent/US-MA").json()]
    assert codes == ["US-CT", "US-NH", "US-NY", "US-RI", "US-VT"]
