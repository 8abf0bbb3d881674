"""The world moves when it is told to, and every endpoint tells the new truth."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import requests

from ebird_sandbox.process import Sandbox, running_sandbox

DAY, PATH_DAY = "2026-05-17", "2026/5/17"


class Client:
    """Asks the API and orders the admin side."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._session = requests.Session()
        self._session.headers["X-eBirdApiToken"] = "any"

    def ask(self, path: str, **query: object) -> Any:
        answer = self.raw(path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def raw(self, path: str, **query: object) -> requests.Response:
        parameters = {name: str(value) for name, value in query.items()}
        return self._session.get(self._sandbox.url + path, params=parameters, timeout=30)

    def order(self, method: str, path: str, **said: Any) -> Any:
        answer = self.refused(method, path, **said)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, method: str, path: str, **said: Any) -> requests.Response:
        url = self._sandbox.admin_url + path
        return self._session.request(method, url, json=said or None, timeout=30)

    def truth(self, region: str = "US-DC", day: str = DAY) -> list[dict[str, Any]]:
        return self.order("GET", f"/truth/{region}/{day}")["checklists"]


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with running_sandbox(today=date(2026, 5, 20), seed=3, admin=True) as sandbox:
        yield sandbox


@pytest.fixture
def client(running: Sandbox) -> Client:
    client = Client(running)
    client.order("POST", "/reset")
    client.order("DELETE", "/faults")
    client.order("DELETE", "/requests")
    return client


def listed(client: Client, region: str = "US-DC") -> set[str]:
    rows = client.ask(f"/product/lists/{region}/{PATH_DAY}", maxResults=200)
    return {row["subId"] for row in rows}


def test_there_is_no_admin_side_unless_asked_for() -> None:
    with running_sandbox(today=date(2026, 5, 20)) as sandbox:
        assert requests.get(sandbox.admin_url, timeout=10).status_code == 404


def test_truth_is_what_the_api_shows(client: Client) -> None:
    truth = client.truth()
    assert {one["subId"] for one in truth} == listed(client)
    for one in truth[:20]:
        viewed = client.ask(f"/product/checklist/view/{one['subId']}")
        counts = {o["speciesCode"]: o["howManyStr"] for o in viewed["obs"]}
        assert counts == {
            o["speciesCode"]: "X" if o["count"] is None else str(o["count"])
            for o in one["observations"]
        }


def test_late_checklists_and_edits_come_with_the_clock(client: Client) -> None:
    before = {one["subId"]: one for one in client.truth("US-PA")}
    state = client.order("POST", "/clock", days=12)
    after = {one["subId"]: one for one in client.truth("US-PA")}
    assert state["today"] == "2026-06-01"
    assert set(after) - set(before), "late ones"
    assert [s for s in before if s in after and before[s] != after[s]], "edited or reviewed ones"
    assert client.ask(f"/product/stats/US-PA/{PATH_DAY}")["numChecklists"] == len(after)


def test_going_there_by_steps_or_at_once_is_the_same_world(client: Client) -> None:
    for _ in range(3):
        client.order("POST", "/clock", days=1)
    by_steps = client.truth()
    client.order("POST", "/reset")
    client.order("POST", "/clock", today="2026-05-23")
    assert client.truth() == by_steps


def test_a_deleted_checklist_is_gone_everywhere(client: Client) -> None:
    gone = client.truth()[0]["subId"]
    total = client.ask(f"/product/stats/US-DC/{PATH_DAY}")["numChecklists"]
    client.order("DELETE", f"/checklists/{gone}")
    assert gone not in listed(client)
    assert client.raw(f"/product/checklist/view/{gone}").status_code == 400
    assert client.ask(f"/product/stats/US-DC/{PATH_DAY}")["numChecklists"] == total - 1


def test_a_submitted_checklist_is_there_and_the_latest(client: Client) -> None:
    said = {"region": "US-DC", "day": DAY, "observations": {"norcar": 3, "amerob": None}}
    (new,) = client.order("POST", "/checklists", **said)["submitted"]
    viewed = client.ask(f"/product/checklist/view/{new}")
    assert [(o["speciesCode"], o["howManyStr"]) for o in viewed["obs"]] == [
        ("amerob", "X"),
        ("norcar", "3"),
    ]
    assert viewed["creationDt"] == "2026-05-20 12:00"
    assert client.ask("/product/lists/US-DC", maxResults=1)[0]["subId"] == new
    assert new in listed(client)


def test_an_edit_changes_counts_adds_and_withdraws(client: Client) -> None:
    one = client.truth()[3]
    first, second = (o["speciesCode"] for o in one["observations"][:2])
    path = f"/checklists/{one['subId']}"
    client.order("PATCH", path, counts={first: 77, "snoowl1": 1}, remove=[second])
    viewed = client.ask(f"/product/checklist/view/{one['subId']}")
    counts = {o["speciesCode"]: o["howManyStr"] for o in viewed["obs"]}
    assert counts[first] == "77"
    assert counts["snoowl1"] == "1"
    assert second not in counts
    assert viewed["lastEditedDt"] == "2026-05-20 12:00" > viewed["creationDt"]
    assert "snoowl1" in client.ask("/product/spplist/US-DC")
    assert len({o["obsId"] for o in viewed["obs"]}) == len(counts)


def test_a_review_confirms_or_rejects(client: Client) -> None:
    rows = client.ask("/data/obs/US-PA/recent/notable", back=30, detail="full")
    first, second = [row for row in rows if not row["obsReviewed"]][:2]
    client.order("POST", "/reviews", obsId=first["obsId"], accepted=True)
    client.order("POST", "/reviews", obsId=second["obsId"], accepted=False)
    now = {
        row["obsId"]: row
        for row in client.ask("/data/obs/US-PA/recent/notable", back=30, detail="full")
    }
    assert (now[first["obsId"]]["obsValid"], now[first["obsId"]]["obsReviewed"]) == (True, True)
    assert second["obsId"] not in now


def test_a_merged_location_is_its_hotspot_from_then_on(client: Client) -> None:
    truth = client.truth()
    private = next(one["location"] for one in truth if one["location"]["private"])
    rows = client.ask("/ref/hotspot/US-DC", fmt="json")
    hotspot = rows[0]["locId"]
    counts = {row["locId"]: row["numChecklistsAllTime"] for row in rows}
    client.order("POST", f"/locations/{private['locId']}/merge", into=hotspot)
    feed = client.ask(f"/product/lists/US-DC/{PATH_DAY}", maxResults=200)
    assert private["locId"] not in {row["locId"] for row in feed}
    assert client.raw(f"/ref/hotspot/info/{private['locId']}").content == b""
    rows = client.ask("/ref/hotspot/US-DC", fmt="json")
    assert {row["locId"]: row["numChecklistsAllTime"] for row in rows}[hotspot] > counts[hotspot]


def test_a_renamed_hotspot_has_its_new_name_everywhere(client: Client) -> None:
    hotspot = client.ask("/ref/hotspot/US-DC", fmt="json")[0]["locId"]
    client.order("POST", f"/locations/{hotspot}/rename", name="Größe, «neu»")
    assert client.ask(f"/ref/hotspot/info/{hotspot}")["name"] == "Größe, «neu»"
    feed = client.ask(f"/product/lists/{hotspot}/{PATH_DAY}")
    assert {row["loc"]["locName"] for row in feed} <= {"Größe, «neu»"}
    assert '"Größe, «neu»"' in client.raw("/ref/hotspot/US-DC").content.decode()


def test_the_rollover_relabels_old_rows_in_place(client: Client) -> None:
    codes = {
        o["speciesCode"] for one in client.truth(day="2026-05-02") for o in one["observations"]
    }
    assert {"norcar", "yerwar"} <= codes
    client.order("POST", "/taxonomy/rollover")
    codes = {
        o["speciesCode"] for one in client.truth(day="2026-05-02") for o in one["observations"]
    }
    assert {"norcar3", "myrwar"} <= codes
    assert not {"norcar", "yerwar"} & codes
    assert client.ask("/ref/taxonomy/versions")[0] == {"authorityVer": 2026.0, "latest": True}
    species = set(client.ask("/product/spplist/US-DC"))
    assert {"norcar3", "myrwar"} <= species
    assert not {"norcar", "yerwar", "cacgoo1"} & species
    taxa = {t["speciesCode"]: t for t in client.ask("/ref/taxonomy/ebird", fmt="json")}
    assert (taxa["cacgoo1"]["category"], taxa["cacgoo1"]["reportAs"]) == ("issf", "cangoo")
    assert all(t.get("reportAs", "cangoo") in taxa for t in taxa.values())


def test_an_older_version_of_the_taxonomy_is_another_one_and_stays_after_a_rollover(
    client: Client,
) -> None:
    def version(number: str) -> dict[str, dict[str, Any]]:
        taxa = client.ask("/ref/taxonomy/ebird", fmt="json", version=number)
        return {taxon["speciesCode"]: taxon for taxon in taxa}

    older, present = version("2024"), version("2025.0")
    for taxa in (older, present):
        assert all(t.get("reportAs", "norcar") in taxa for t in taxa.values())
        orders = [taxon["taxonOrder"] for taxon in taxa.values()]
        assert orders == sorted(set(orders))
    assert older.keys() - present.keys() == {"yelwar", "whimbr", "mallar", "snoowl"}
    assert present.keys() - older.keys() == {"redpol1", "mallar3", "snoowl1"}
    assert (older["yelwar1"]["category"], present["yelwar1"]["category"]) == ("issf", "species")
    assert (older["hoared"]["category"], present["hoared"]["reportAs"]) == ("species", "redpol1")
    assert older["coohaw"]["sciName"] != present["coohaw"]["sciName"]
    client.order("POST", "/taxonomy/rollover")
    assert (version("2024.0"), version("2025")) == (older, present)
    assert "norcar3" in version("2026.0")


def test_requests_are_counted_without_their_keys(client: Client) -> None:
    client.ask(f"/product/stats/US-DC/{PATH_DAY}", key="secret")
    client.ask("/product/lists/US-DC")
    client.ask("/product/lists/US-DC")
    found = client.order("GET", "/requests?log=true")
    assert found["byEndpoint"] == {"stats": 1, "lists_recent": 2}
    assert found["total"] == 3
    assert "secret" not in str(found)
    assert client.order("DELETE", "/requests")["total"] == 0


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("POST", "/clock", {"today": "soon"}),
        ("POST", "/clock", {"days": 1e9}),
        ("POST", "/clock", {"days": "one"}),
        ("GET", "/truth/nowhere/2026-05-17", {}),
        ("POST", "/checklists", {"region": "US-DC", "day": "2027-01-01"}),
        ("POST", "/checklists", {"region": "US-DC", "day": DAY, "observations": {"norcar": "x"}}),
        ("DELETE", "/checklists/S1", {}),
        ("POST", "/reviews", {"obsId": "OBS1", "accepted": True}),
        ("POST", "/locations/L1/rename", {"name": "x"}),
        ("POST", "/faults", {"kind": "rain"}),
        ("POST", "/faults", {"faults": 1}),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_with_a_sentence(
    client: Client, method: str, path: str, said: dict[str, Any]
) -> None:
    answer = client.refused(method, path, **said)
    assert answer.status_code == 400
    assert answer.json()["error"]
