"""The history of quality: every run is in it once, and a failure is new only once."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from databox_shared.contracts import contract
from databox_shared.snapshots import reading
from quality_location.assets import CHECKS
from quality_location.evaluate import Outcome
from quality_location.history import CONTRACT, RESULTS, RUNS_SCORED, Recorded, mark_told, record

if TYPE_CHECKING:
    from .conftest import World

START = datetime(2020, 11, 22, 6, tzinfo=UTC)
KEY = next(c for c in CHECKS if (c.table.full_name, c.name) == ("ebird.species_daily", "key"))


def add_run(file: Path, number: int, *, failing_rows: int = 0) -> Recorded:
    outcomes = [
        Outcome(check, failing_rows if check is KEY else 0, "A sentence's end.", rows=10)
        for check in CHECKS
    ]
    with duckdb.connect() as connection:
        return record(
            connection,
            file,
            outcomes,
            run_id=f"run {number}",
            checked_at=START + timedelta(days=number),
            snapshots={"ingestion": number, "transform": number},
        )


def card(recorded: Recorded, name: str = "species_daily") -> Mapping[str, Any]:
    [found] = [row for row in recorded.scorecard if row["table_name"] == name]
    return found


def test_a_run_is_recorded_once_however_often_it_is_told(tmp_path: Path) -> None:
    file = tmp_path / "quality.duckdb"
    first = add_run(file, 1)
    assert first.rows["check_results"] == len(CHECKS)
    assert add_run(file, 1).rows == first.rows
    assert add_run(file, 2).rows["check_results"] == 2 * len(CHECKS)


def test_an_incident_is_told_until_somebody_has_been_told(tmp_path: Path) -> None:
    file = tmp_path / "quality.duckdb"
    assert add_run(file, 1).untold == []
    [incident] = add_run(file, 2, failing_rows=3).untold
    assert (incident.table, incident.check) == ("ebird.species_daily", "key")
    assert (incident.run_id, incident.owner) == ("run 2", "team:transform")
    assert add_run(file, 3, failing_rows=4).untold == [incident], "nobody was told yet"
    with duckdb.connect() as connection:
        mark_told(connection, file, START)
    assert add_run(file, 4, failing_rows=5).untold == []
    assert add_run(file, 5).untold == []
    [again] = add_run(file, 6, failing_rows=1).untold
    assert again.run_id == "run 6"
    assert add_run(file, 7).rows["incidents"] == 2


def test_the_scorecard_tells_how_a_table_stands_and_stood(tmp_path: Path) -> None:
    file = tmp_path / "quality.duckdb"
    add_run(file, 0, failing_rows=5)
    recorded = add_run(file, 1)
    now = card(recorded)
    assert (now["failed"], now["runs"], now["runs_passed"]) == (0, 2, 1)
    assert now["last_failed_at"] == START.replace(tzinfo=None)
    assert now["owner"] == "team:transform"
    assert card(recorded, "region_daily_totals")["runs_passed"] == 2
    for number in range(2, RUNS_SCORED + 1):
        recorded = add_run(file, number)
    assert card(recorded)["runs_passed"] == card(recorded)["runs"] == RUNS_SCORED


def test_a_history_of_an_older_contract_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "quality.duckdb"
    add_run(file, 1)
    with duckdb.connect(str(file)) as db:
        db.execute("ALTER TABLE quality.data_quality.check_results DROP COLUMN checked_rows")
    assert add_run(file, 2).rows["check_results"] == 2 * len(CHECKS)


def test_every_run_publishes_the_history_and_says_so(released_world: "World") -> None:
    result = released_world.check()
    with (
        reading(released_world.settings, "quality") as snapshot,
        duckdb.connect(str(snapshot.path), read_only=True) as db,
    ):
        snapshot.check_readable(CONTRACT)
        catalog = snapshot.path.stem
        for table in contract(CONTRACT).tables.values():
            columns = db.execute(f'DESCRIBE "{catalog}".{table.full_name}').fetchall()
            assert [(r[0], r[1]) for r in columns] == [(c.name, c.type) for c in table.columns]
        runs = db.execute(f'SELECT count(DISTINCT run_id) FROM "{catalog}".{RESULTS.full_name}')
        assert runs.fetchall() == [(2,)]
    announced = {
        event.asset_key.path[-1]: event.metadata["databox/snapshot_id"].value
        for event in result.asset_materializations_for_node("data_quality")
        if event.asset_key.path[0] == "data_quality"
    }
    assert announced == dict.fromkeys(contract(CONTRACT).tables, snapshot.id)
