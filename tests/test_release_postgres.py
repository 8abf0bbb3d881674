"""`DATABASE_URL=postgresql://…`: people read tables of PostgreSQL, and all change at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest
from postgres import Postgres

from databox_shared.contracts import MARTS, Column, Table, contract
from databox_shared.lake import Lake, LakeError
from databox_shared.settings import Settings
from quality_location.release import Manifest, Release
from quality_location.release_file import released_tables
from quality_location.release_postgres import release_into_postgres

pytestmark = pytest.mark.slow

STORED = [table for table in released_tables() if table.name != "checklist_species"]
VIEW = (
    "SELECT region_code, sub_id, species_code, obs_date, true AS is_present, how_many "
    "FROM ebird.checklist_reports"
)
ODD = ["", r"\N", "NULL", '"', "a\r\nb", "x,y", " ", "é\u2028🐦", "'", "\\", "\t"]
VALUES: Mapping[str, list[Any]] = {
    "VARCHAR": ODD,
    "BOOLEAN": [True, False],
    "BIGINT": [0, -1, 2**63 - 1],
    "DOUBLE": [0.1, 1 / 3, -0.0, 5e-324, 1.7976931348623157e308],
    "DATE": [date(1, 1, 1), date(2026, 11, 20), date(9999, 12, 31)],
    "TIMESTAMP": [datetime(2026, 11, 20, 6, 0, 0, 123456)],  # noqa: DTZ001  as the warehouse's
}
ROWS = 40


@pytest.fixture
def lake(postgres: Postgres, tmp_path: Path) -> Lake:
    settings = Settings(
        database_url=postgres.url(postgres.new_database()), database_dir=tmp_path / "machine"
    )
    assert settings.release_in_postgres
    assert settings.lake is not None
    return settings.lake


def released(folder: Path, number: int, *, birds: int = 0) -> tuple[Release, Path]:
    """A release of odd values, as the release's file has them; `birds` tells one from another."""
    release_id = f"202611{number:02}T060512Z-1a2b3c4d"
    file = folder / f"{number}.duckdb"
    with duckdb.connect(str(file)) as db:
        db.execute("CREATE SCHEMA ebird")
        for table in STORED:
            columns = [column for column in table.columns if not column.private]
            names = ", ".join(f"{column.name} {column.type}" for column in columns)
            db.execute(f"CREATE TABLE {table.full_name} ({names})")
            db.executemany(
                f"INSERT INTO {table.full_name} VALUES ({', '.join('?' * len(columns))})",
                [[value(table, column, row, birds) for column in columns] for row in range(ROWS)],
            )
        db.execute("CREATE TABLE about AS SELECT 'release' AS item, ? AS value", [release_id])
        items = [f"rows {t.full_name}" for t in STORED] + ["view ebird.checklist_species"]
        db.executemany("INSERT INTO about VALUES (?, '')", [[item] for item in items])
    manifest = Manifest(
        id=release_id,
        created_at="",
        run_id="run",
        source="sandbox",
        days="",
        contracts={MARTS: contract(MARTS).version},
        snapshots={},
        checks={},
        rows={},
        content=str(number),
        views={"ebird.checklist_species": VIEW},
    )
    return Release(folder, manifest), file


def into_postgres(lake: Lake, release: Release, file: Path) -> list[str]:
    return release_into_postgres(lake, release, file, spill=file.parent / "spill")


def value(table: Table, column: Column, row: int, birds: int) -> Any:
    if column.name == table.key[0] and column.type == "VARCHAR":
        return f"{row}"
    if column.name == "checklists_reporting":
        return birds
    if column.name not in table.key and not column.required and row % 3 == 0:
        return None
    of = VALUES[column.type]
    return of[row % len(of)]


def ask(lake: Lake, query: str) -> list[tuple[Any, ...]]:
    session = lake.session()
    with session.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


BIRDS = "SELECT DISTINCT checklists_reporting FROM ebird.species_daily"
FORMER = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'ebird\\_%'"


def test_every_value_of_every_table_arrives_as_it_is_and_views_answer_from_the_tables(
    lake: Lake, tmp_path: Path
) -> None:
    release, file = released(tmp_path, 1)
    assert into_postgres(lake, release, file) == []
    with duckdb.connect(str(file), read_only=True) as db:
        for table in STORED:
            expected = db.execute(f"FROM {table.full_name}").fetchall()
            found = ask(lake, f"SELECT * FROM {table.full_name}")
            assert sorted(map(repr, found)) == sorted(map(repr, expected)), table.full_name
    rows = ask(lake, "SELECT count(*) FROM ebird.checklist_species WHERE is_present")
    assert rows == [(ROWS,)]
    table = STORED[0]
    assert ask(lake, f"SELECT obj_description('{table.full_name}'::regclass)") == [
        (f"{table.description} Grain: {table.grain}.",)
    ]
    (seen,) = ask(
        lake, "SELECT col_description('ebird.checklist_species'::regclass, 1) IS NOT NULL"
    )
    assert seen == (True,)


def test_a_release_that_is_there_stays_and_the_next_takes_its_place_whole(
    lake: Lake, tmp_path: Path
) -> None:
    release, file = released(tmp_path, 1, birds=1)
    into_postgres(lake, release, file)
    [before] = ask(lake, "SELECT 'ebird.species_daily'::regclass::oid")
    into_postgres(lake, release, file)
    assert ask(lake, "SELECT 'ebird.species_daily'::regclass::oid") == [before]
    assert into_postgres(lake, *released(tmp_path, 2, birds=2)) == []
    assert ask(lake, BIRDS) == [(2,)]
    assert ask(lake, FORMER) == []


def test_a_reader_of_the_former_release_keeps_it_and_it_goes_when_he_has_gone(
    lake: Lake, tmp_path: Path
) -> None:
    into_postgres(lake, *released(tmp_path, 1, birds=1))
    reader = lake.session()
    reader.autocommit = False
    with reader.cursor() as cursor:
        cursor.execute(
            "DECLARE rows CURSOR FOR SELECT checklists_reporting FROM ebird.species_daily"
        )
        cursor.execute("FETCH 1 FROM rows")
        former = into_postgres(lake, *released(tmp_path, 2, birds=2))
        assert former == ["ebird_20261101t060512z_1a2b3c4d"]
        cursor.execute("FETCH ALL FROM rows")
        assert cursor.fetchall() == [(1,)] * (ROWS - 1)
    reader.close()
    assert into_postgres(lake, *released(tmp_path, 3)) == []
    assert ask(lake, FORMER) == []


def test_a_transaction_that_began_before_finds_no_empty_table(lake: Lake, tmp_path: Path) -> None:
    into_postgres(lake, *released(tmp_path, 1, birds=1))
    reader = lake.session()
    reader.set_session(isolation_level="REPEATABLE READ", autocommit=False)
    with reader.cursor() as cursor:
        cursor.execute("SELECT 1")
        into_postgres(lake, *released(tmp_path, 2, birds=2))
        cursor.execute(BIRDS)
        assert cursor.fetchall() == [(2,)]
    reader.close()


@pytest.mark.parametrize(
    ("kind", "made", "name"),
    [
        ("VIEW", "public.mine", "public.mine"),
        ("TABLE", "ebird.mine", "ebird_20261101t060512z_1a2b3c4d.mine"),
    ],
)
def test_what_somebody_made_upon_a_release_or_put_beside_it_is_not_dropped_with_it(
    lake: Lake, tmp_path: Path, kind: str, made: str, name: str
) -> None:
    statement = f"CREATE {kind} {made} AS {BIRDS}"
    into_postgres(lake, *released(tmp_path, 1, birds=1))
    session = lake.session()
    with session.cursor() as cursor:
        cursor.execute(statement)
        assert into_postgres(lake, *released(tmp_path, 2)) == ["ebird_20261101t060512z_1a2b3c4d"]
        cursor.execute(f"SELECT * FROM {name}")
        assert cursor.fetchall() == [(1,)]
        cursor.execute(f"DROP {kind} {name}")
    assert into_postgres(lake, *released(tmp_path, 3)) == []


def test_a_schema_that_only_sounds_like_a_former_release_stays_and_hinders_nothing(
    lake: Lake, tmp_path: Path
) -> None:
    with lake.session().cursor() as cursor:
        cursor.execute("CREATE SCHEMA ebird_20200101t000000z_mine")
    assert into_postgres(lake, *released(tmp_path, 1, birds=1)) == ["ebird_20200101t000000z_mine"]
    assert ask(lake, BIRDS) == [(1,)]


def test_a_release_that_postgresql_refuses_leaves_the_former_as_it_was(
    lake: Lake, tmp_path: Path
) -> None:
    into_postgres(lake, *released(tmp_path, 1, birds=1))
    release, file = released(tmp_path, 2)
    with duckdb.connect(str(file)) as db:
        db.execute("UPDATE ebird.phenology SET com_name = 'a' || chr(0)")
    with pytest.raises(LakeError, match="did not take release 20261102T060512Z-1a2b3c4d: ") as said:
        into_postgres(lake, release, file)
    assert "\n" not in str(said.value)
    assert ask(lake, BIRDS) == [(1,)]
    assert ask(lake, FORMER) == []


def test_a_schema_of_somebody_else_is_not_taken_for_a_release(lake: Lake, tmp_path: Path) -> None:
    session = lake.session()
    with session.cursor() as cursor:
        cursor.execute("CREATE SCHEMA ebird; CREATE TABLE ebird.mine (i int)")
    with pytest.raises(LakeError, match='schema "ebird" already exists'):
        into_postgres(lake, *released(tmp_path, 1))
    assert ask(lake, "SELECT count(*) FROM ebird.mine") == [(0,)]


def test_people_have_a_role_that_reads_each_release_and_nothing_else(
    postgres: Postgres, lake: Lake, tmp_path: Path
) -> None:
    postgres.make_roles(lake.database)
    url = f"postgresql://databox_{{0}}:{{0}}1@127.0.0.1:{lake.port}/{lake.database}"
    for role in ("quality", "reader"):
        postgres.execute(f"ALTER ROLE databox_{role} PASSWORD '{role}1'", lake.database)
    quality, reader = (
        Settings(database_url=url.format(role), database_dir=tmp_path).lake
        for role in ("quality", "reader")
    )
    assert quality
    assert reader
    for number in (1, 2):
        into_postgres(quality, *released(tmp_path, number, birds=number))
        assert ask(reader, BIRDS) == [(number,)]
    for denied in ("DELETE FROM ebird.species_daily", "SELECT * FROM databox.handover"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ask(reader, denied)
