"""A lake in DATABASE_URL: what is published is read by version, by others, from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from postgres import Postgres

from databox_shared.lake import RELEASE, LakeError
from databox_shared.lake_handover import lake_writing
from databox_shared.settings import Settings
from databox_shared.snapshots import KEEP, Snapshot, SnapshotError, reading, writing

pytestmark = pytest.mark.slow

CREATE = """
CREATE SCHEMA IF NOT EXISTS stored; CREATE SCHEMA IF NOT EXISTS ebird_raw;
CREATE TABLE IF NOT EXISTS stored.birds (obs_date DATE NOT NULL, seen BIGINT, names VARCHAR[]);
CREATE VIEW IF NOT EXISTS ebird_raw.birds (obs_date, seen) AS
    SELECT obs_date, seen FROM ingestion.stored.birds;
CREATE TABLE IF NOT EXISTS stored.notes (id INTEGER PRIMARY KEY, note VARCHAR);
"""
S3_KEYS = {
    "AWS_ACCESS_KEY_ID": "databox",
    "AWS_SECRET_ACCESS_KEY": "hunter2-of-s3",
    "AWS_REGION": "us-east-1",
}
COUNT = "SELECT count(*) FROM ingestion.ebird_raw.birds"


def lake_settings(postgres: Postgres, data: str, folder: Path, s3: str | None = None) -> Settings:
    url = postgres.url(postgres.new_database()).removeprefix("postgresql://")
    return Settings(
        database_url=f"ducklake:postgres://{url}?data_path={data}",
        database_dir=folder / "machine",
        aws_endpoint_url=s3,
    )


@pytest.fixture
def settings(postgres: Postgres, tmp_path: Path) -> Settings:
    return lake_settings(postgres, f"{tmp_path}/lake", tmp_path)


@pytest.fixture(params=["folder", "s3"])
def any_settings(
    request: pytest.FixtureRequest,
    postgres: Postgres,
    tmp_path: Path,
    s3: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    """A lake in each kind of storage."""
    for name, value in S3_KEYS.items():
        monkeypatch.setenv(name, value)
    if request.param == "folder":
        return lake_settings(postgres, f"{tmp_path}/lake", tmp_path)
    return lake_settings(postgres, f"s3://birds/{tmp_path.name}", tmp_path, s3)


def publish(settings: Settings, sql: str) -> Snapshot:
    with writing(settings, "ingestion") as writer:
        with duckdb.connect(str(writer.path)) as connection:
            connection.execute(CREATE + sql)
        return writer.publish(run_id="run", contract_names=["ebird_raw"], source="sandbox")


def birds(day: str, rows: int) -> str:
    values = f"SELECT DATE '{day}', i, ['a', 'b'] FROM range({rows}) AS t(i)"
    return f"DELETE FROM stored.birds WHERE obs_date = '{day}'; INSERT INTO stored.birds {values};"


def ask(snapshot: Snapshot, sql: str = COUNT) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        snapshot.attach(connection)
        return connection.execute(sql).fetchall()


def files(settings: Settings) -> dict[str, int]:
    """Each file of the lake's data, and how many rows it has."""
    assert settings.lake is not None
    with duckdb.connect() as connection:
        settings.lake.introduce(connection)
        data = f"{settings.lake.data}/**/*.parquet"
        found = connection.execute(
            f"SELECT file_name, num_rows FROM parquet_file_metadata('{data}')"
        )
        return dict(found.fetchall())


def test_a_reader_sees_one_version_whatever_is_published_meanwhile_and_it_goes_when_nobody_reads(
    any_settings: Settings,
) -> None:
    first = publish(any_settings, birds("2026-11-20", 3))
    with reading(any_settings, "ingestion") as held:
        assert held == first
        held.check_readable("ebird_raw")
        for rows in range(4, 4 + KEEP):
            publish(any_settings, birds("2026-11-20", rows))
        assert ask(held) == [(3,)]
        with reading(any_settings, "ingestion", held.id) as again:
            assert ask(again) == [(3,)]
    with reading(any_settings, "ingestion") as newest:
        assert ask(newest) == [(3 + KEEP,)]
    publish(any_settings, birds("2026-11-20", 1))
    with (
        pytest.raises(SnapshotError, match="no snapshot 1 any more"),
        reading(any_settings, "ingestion", first.id),
    ):
        pass
    # each held one file of the birds, and what no snapshot needs is deleted
    assert len(files(any_settings)) == KEEP


def test_only_the_days_that_differ_are_written_and_nothing_if_none_does(
    any_settings: Settings,
) -> None:
    publish(any_settings, birds("2026-11-20", 3) + birds("2026-11-21", 5))
    before = files(any_settings)
    publish(any_settings, birds("2026-11-21", 5))
    assert files(any_settings) == before
    publish(any_settings, birds("2026-11-22", 7))
    after = files(any_settings)
    assert [after[new] for new in after.keys() - before] == [7]


def test_tables_and_views_follow_the_working_file_in_shape_and_comment(
    settings: Settings,
) -> None:
    publish(settings, birds("2026-11-20", 3) + "INSERT INTO stored.notes VALUES (1, 'a');")
    snapshot = publish(
        settings,
        """
        DROP TABLE stored.notes;
        CREATE VIEW stored.notes AS SELECT seen FROM ingestion.stored.birds;
        DROP VIEW ebird_raw.birds;
        ALTER TABLE stored.birds ADD COLUMN place VARCHAR;
        CREATE VIEW ebird_raw.birds AS SELECT obs_date, place FROM ingestion.stored.birds;
        COMMENT ON TABLE stored.birds IS 'all ''birds''';
        """,
    )
    assert (
        ask(snapshot, "FROM ingestion.ebird_raw.birds")
        == [(duckdb.execute("SELECT DATE '2026-11-20'").fetchall()[0][0], None)] * 3
    )
    assert ask(snapshot, "SELECT sum(seen) FROM ingestion.stored.notes") == [(3,)]
    assert ask(snapshot, "SELECT comment FROM duckdb_tables()") == [("all 'birds'",)]


def test_a_publication_that_dies_in_the_lake_is_not_seen_and_the_next_one_is_whole(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(settings, birds("2026-11-20", 3))
    with monkeypatch.context() as patch:
        patch.setattr("databox_shared.lake_handover.json.dumps", _dies)
        with pytest.raises(KeyboardInterrupt):
            publish(settings, birds("2026-11-20", 9))
    with reading(settings, "ingestion") as held:
        assert (held.id, ask(held)) == (1, [(3,)])
    # as it was before: what died must not be taken for it
    assert ask(publish(settings, birds("2026-11-20", 3))) == [(3,)]


def _dies(*_: object) -> str:
    raise KeyboardInterrupt


def test_a_new_machine_does_not_make_the_lake_as_empty_as_itself(
    settings: Settings, tmp_path: Path, postgres: Postgres
) -> None:
    publish(settings, birds("2026-11-20", 3))
    new = Settings(database_url=settings.database_url, database_dir=tmp_path / "new")
    with pytest.raises(SnapshotError, match="SET origin = NULL WHERE location = 'ingestion'"):
        publish(new, birds("2026-11-21", 1))
    assert settings.lake is not None
    postgres.execute("UPDATE databox.handover SET origin = NULL", settings.lake.database)
    assert ask(publish(new, birds("2026-11-21", 1))) == [(1,)]


@pytest.mark.parametrize("wrong", ["password", "port", "database"])
def test_a_lake_that_cannot_be_reached_is_said_at_once_in_one_sentence_without_the_password(
    settings: Settings, wrong: str
) -> None:
    lake = settings.lake
    assert lake is not None
    right = {"password": lake.password, "port": str(lake.port), "database": lake.database}
    url = settings.database_url.replace(right[wrong], {"port": "1"}.get(wrong, "hunter2"))
    with (
        pytest.raises(LakeError, match=r"^DATABASE_URL: ") as caught,
        reading(Settings(database_url=url, database_dir=settings.database_dir), "ingestion"),
    ):
        pass
    assert "\n" not in str(caught.value)
    assert lake.password not in str(caught.value)
    assert wrong == "database" or "hunter2" not in str(caught.value)


def test_storage_that_has_no_keys_is_said_in_a_sentence(
    postgres: Postgres, tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in S3_KEYS:
        monkeypatch.delenv(name, raising=False)
    settings = lake_settings(postgres, "s3://birds/keyless", tmp_path, s3)
    with pytest.raises(LakeError, match=r"^DATABASE_URL: no keys for S3 were found; .*KEY_ID"):
        publish(settings, birds("2026-11-20", 3))


def test_passwords_and_keys_are_in_no_text_and_no_file(any_settings: Settings) -> None:
    snapshot = publish(any_settings, birds("2026-11-20", 3))
    lake = any_settings.lake
    assert lake is not None
    kept = [path for path in any_settings.database_dir.parent.rglob("*") if path.is_file()]
    assert kept
    for secret in (lake.password, S3_KEYS["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in f"{any_settings!r}{snapshot!r}{snapshot.attach_sql}"
        assert not [path for path in kept if secret.encode() in path.read_bytes()]


def test_a_role_of_each_location_writes_its_own_lake_and_people_have_one_that_reads_the_release(
    settings: Settings, postgres: Postgres, tmp_path: Path
) -> None:
    assert settings.lake is not None
    admin, database = settings.lake, settings.lake.database
    postgres.make_roles(database)

    def as_role(name: str) -> Settings:
        postgres.execute(f"ALTER ROLE databox_{name} PASSWORD '{name}1'", database)
        url = settings.database_url.replace(
            f"{admin.user}:{admin.password}", f"databox_{name}:{name}1"
        )
        return Settings(database_url=url, database_dir=settings.database_dir)

    ingestion, transform, quality, reader = map(
        as_role, ("ingestion", "transform", "quality", "reader")
    )
    publish(ingestion, birds("2026-11-20", 3))
    with reading(transform, "ingestion") as held:
        assert ask(held) == [(3,)]
    with pytest.raises(duckdb.Error, match="permission denied"):
        publish(transform, birds("2026-11-20", 4))

    file = tmp_path / "birds.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE about AS SELECT 'birds' AS item")
    assert quality.lake is not None
    with lake_writing(quality.lake, RELEASE, file) as writer:
        writer.publish(run_id="run", contract_names=[], source="sandbox")
    assert reader.lake is not None
    with duckdb.connect() as connection:
        reader.lake.attach(connection, RELEASE, "birds", version=1)
        assert connection.execute("FROM birds.about").fetchall() == [("birds",)]
    with pytest.raises(LakeError, match="permission denied"), reading(reader, "ingestion"):
        pass
