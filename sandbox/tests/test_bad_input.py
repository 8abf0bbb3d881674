"""Whatever is asked, the answer is of the API's kind: described, typed, never a traceback."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import one_of
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ebird_sandbox.app import ENDPOINTS
from ebird_sandbox.endpoints import Endpoint
from ebird_sandbox.openapi import document
from ebird_sandbox.process import running_sandbox

KEY = {"X-eBirdApiToken": "any"}
NEGATIVE = schemathesis.GenerationMode.NEGATIVE
SUB_ID = "Field subId of checklistBySubIdCmd: subId is invalid."
NO_REGION = "Unable to find matching region type for "
NO_NAME = "No message found under code 'foo' for locale 'en_US'."
DIST, SPECIES = "error.data.dist_out_of_range", "error.data.unknown_species"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_sandbox(today=date(2026, 5, 20)) as sandbox:
        yield sandbox.url


@pytest.fixture(scope="module")
def described(url: str) -> Any:
    served = requests.get(url.removesuffix("/v2") + "/openapi.json", timeout=10).json()
    assert served == document(ENDPOINTS, url)
    return schemathesis.openapi.from_url(url.removesuffix("/v2") + "/openapi.json")


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_no_request_gets_an_undescribed_answer(described: Any, endpoint: Endpoint) -> None:
    operation = described[endpoint.path]["GET"]
    checks = [content_type_conformance, status_code_conformance, response_schema_conformance]
    # An unknown region is a server error in the real API too.
    checks += [] if endpoint.name == "region_info" else [not_a_server_error]

    @settings(
        max_examples=30,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(case=one_of(operation.as_strategy(), operation.as_strategy(generation_mode=NEGATIVE)))
    def fuzzed(case: Any) -> None:
        answer = case.call(headers=KEY)
        if answer.content:
            case.validate_response(answer, checks=checks)

    fuzzed()


@pytest.mark.parametrize("base", ["/v2", "/ws2.0"])
@pytest.mark.parametrize(
    ("path", "status", "code", "title"),
    [
        ("/product/checklist/view/X1", 400, "Pattern", SUB_ID),
        ("/product/checklist/view/S", 400, "Pattern", SUB_ID),
        ("/product/lists/LL207391", 400, "methodInvocation", NO_REGION + "LL207391"),
        ("/product/stats/US-ZZ/2026/5/17", 400, "methodInvocation", NO_REGION + "US-ZZ"),
        ("/data/obs/US-DC/recent/nobird", 400, SPECIES, "species: nobird"),
        ("/data/obs/geo/recent?lat=1&lng=1&dist=51", 400, DIST, "0 and 50"),
        ("/ref/hotspot/geo?lat=1&lng=1&dist=501", 400, DIST, "0 and 500"),
        ("/data/obs/geo/recent?lng=1", 400, "NotNull", "lat is required."),
        ("/data/obs/geo/recent?lat=91&lng=1", 400, "Range", "90."),
        ("/data/obs/geo/recent?lat=nan&lng=1", 400, "typeMismatch", "lat is not a number."),
        ("/data/obs/US/recent?back=31", 400, "error.data.too_many_back", "30"),
        ("/data/obs/US/recent?back=x", 400, "typeMismatch", "back is not a whole number."),
        ("/data/obs/US/recent?hotspot=maybe", 400, "typeMismatch", "hotspot is not a boolean."),
        ("/data/obs/US/recent?cat=birds", 400, "Pattern", "cat is invalid."),
        ("/data/obs/US/recent?r=" + ",".join(["L1"] * 11), 400, "Size", "10."),
        ("/product/stats/US/2026/2/30", 400, "typeMismatch", "the date is invalid."),
        ("/product/stats/US/26/2/3", 400, "Min", "1800."),
        ("/ref/region/info/foo", 500, "http.status.500", NO_NAME),
        ("/ref/region/list/planet/US", 400, "Pattern", "regionType is invalid."),
        ("/data/obs/US/recent/", 404, "http.status.404", "/data/obs/US/recent/."),
        ("/nothing", 404, "http.status.404", "/nothing."),
    ],
)  # fmt: skip
def test_an_error_has_its_status_code_and_title(  # noqa: PLR0917 - a table of errors
    url: str, base: str, path: str, status: int, code: str, title: str
) -> None:
    answer = requests.get(url.removesuffix("/v2") + base + path, headers=KEY, timeout=10)
    (entry,) = answer.json()["errors"]
    assert answer.headers["content-type"] == "application/json"
    assert (answer.status_code, entry["code"]) == (status, code)
    assert entry["status"] == ("400 BAD_REQUEST" if status == 400 else str(status))
    assert entry["title"].endswith(title)
    assert list(entry) == ["status", "code", "title"]


def test_only_get_is_answered(url: str) -> None:
    answer = requests.post(f"{url}/product/lists/US", headers=KEY, timeout=10)
    assert answer.status_code == 405
    assert answer.json()["errors"][0]["status"] == "405"
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
