"""Every fault at every endpoint: the same rows, or a failure with a name and a rerun that heals."""

from collections.abc import Generator
from datetime import date
from typing import Any

import pytest

from ebird_sandbox.process import running_sandbox
from ingestion_location.ebird import api
from ingestion_location.ebird.fetch import FetchError

from .engine import Engine, World

TODAY = date(2026, 11, 23)
DAY = date(2026, 11, 20)
ENDPOINTS = {
    "stats": f"US-DC {DAY}",
    "lists": f"US-DC {DAY}",
    "historic": f"US-DC {DAY}",
    "top100": f"US-DC {DAY}",
    "checklist": f"US-DC {DAY}",
    "recent": "US-DC recent",
    "notable": "US-DC notable",
    "hotspots": "US-DC hotspots",
    "spplist": "US-DC species_lists",
    "region_info": "US-DC region_info",
    "region_list": "US-DC region_list",
    "taxonomy_versions": "world taxonomy_versions",
    "taxonomy": "world taxa",
}
REQUIRED = {
    "stats": "numChecklists",
    "lists": "subId",
    "historic": "obsValid",
    "top100": "userId",
    "checklist": "speciesCode",
    "recent": "speciesCode",
    "notable": "obsId",
    "hotspots": "lat",
    "spplist": "an item of the answer",
    "region_info": "result",
    "region_list": "code",
    "taxonomy_versions": "authorityVer",
    "taxonomy": "taxonOrder",
}
PASSING = ["429", "500", "502", "503", "504", "cut", "invalid-json", "empty", "hang", "late",
           "slow", "clock-skew"]  # fmt: skip
LASTING = ["400", "403", "404", "410"]
CHANGED = ["wrong-type", "missing-field"]


@pytest.fixture(scope="module")
def sandbox() -> Generator[Any]:
    few = ["--checklists-per-day", "US-DC=5"]
    with running_sandbox(seed=3, today=TODAY, admin=True, extra=few) as running:
        yield running


@pytest.fixture(scope="module")
def right(sandbox: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is landed when nothing goes wrong."""
    folder = tmp_path_factory.mktemp("right")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", f"duckdb:///{folder}/databox.duckdb")
        patch.setenv("DLT_DATA_DIR", str(folder / "dlt"))
        patch.setenv("EBIRD_API_URL", sandbox.url)
        engine = Engine()
        return engine.fetch(TODAY, DAY)


@pytest.fixture
def world(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Generator[World]:
    monkeypatch.setenv("EBIRD_API_URL", sandbox.url)
    monkeypatch.setattr(api, "TIMEOUT_SECONDS", (5.0, 5.0))
    world = World(sandbox.admin_url)
    yield world
    world.ask("DELETE", "/faults")


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_that_passes_changes_no_answer_at_any_endpoint(
    kind: str, world: World, right: dict[str, Any]
) -> None:
    world.ask("POST", "/faults", kind=kind, rate=0.4, seconds=0.1, retry_after="1")
    engine = Engine()
    assert engine.fetch(TODAY, DAY) == right
    assert world.ask("GET", "/faults")["faults"][0]["hits"] > 0


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_faults_that_last_fail_with_a_name_and_the_rerun_heals(
    endpoint: str, world: World, right: dict[str, Any]
) -> None:
    engine = Engine()
    for kind in [*LASTING, *CHANGED, "500", "invalid-json", "empty"]:
        rule = {"endpoint": endpoint, "kind": kind}
        if kind in CHANGED:
            rule["field"] = REQUIRED[endpoint]
        world.ask("POST", "/faults", **rule)
        with pytest.raises(FetchError) as caught:
            engine.fetch(TODAY, DAY)
        sentence = str(caught.value)
        assert sentence.startswith(ENDPOINTS[endpoint])
        cause = {"403": "refused the key", "invalid-json": "malformed JSON", "empty": "empty body"}
        field = REQUIRED[endpoint] if kind in CHANGED else kind
        assert cause.get(kind, field) in sentence
        world.ask("DELETE", "/faults")
    assert engine.fetch(TODAY, DAY) == right


@pytest.mark.slow
def test_a_new_field_is_kept_as_a_column_and_told(world: World) -> None:
    world.ask("POST", "/faults", endpoint="checklist", kind="unknown-field")
    engine = Engine()
    ingest = engine.run(TODAY, [DAY])
    assert ingest.new_fields() == {"views": ["obs[].sandboxField", "sandboxField"]}
    for table in ("checklists", "observations"):
        found = engine.rows(f"SELECT DISTINCT sandbox_field FROM ebird_raw.{table}")
        assert found == [('{"new":true}',)]
    world.ask("DELETE", "/faults")
    engine.run(TODAY, [DAY.replace(day=19)])
    assert engine.rows(
        "SELECT count(*) > 0 FROM ebird_raw.checklists "
        "WHERE obs_date = '2026-11-19' AND sandbox_field IS NULL"
    ) == [(True,)]
