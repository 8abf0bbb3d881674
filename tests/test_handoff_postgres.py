"""The hand-off on PostgreSQL, which gives an event its id before others can see it."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import dagster as dg
import psycopg2
import pytest
from edge_world import CHECKLISTS, EdgeWorld, edge_world
from postgres import Postgres

from databox_shared.days import DAYS_TAG, parse_days

pytestmark = pytest.mark.slow

FIRST = date(2026, 11, 1)
WRITERS, EACH = 4, 12


@pytest.fixture
def database(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture
def world(postgres: Postgres, database: str) -> Iterator[EdgeWorld]:
    # SQLAlchemy 2.1 takes another driver for a plain postgresql://, one that Dagster does not bring
    url = postgres.url(database).replace("postgresql://", "postgresql+psycopg2://")
    with edge_world(storage={"postgres": {"postgres_url": url}}) as made:
        yield made


@contextmanager
def a_transaction_that_stores(
    postgres: Postgres, database: str, world: EdgeWorld, day: date
) -> Generator[None]:
    """Give an event an id now, and commit it at the end."""
    world.announce([day])
    (record,) = world.instance.fetch_materializations(CHECKLISTS, limit=1).records
    columns = "run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition"
    connection = psycopg2.connect(postgres.url(database))
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO event_logs ({columns}) SELECT {columns} FROM event_logs "
                f"WHERE id = %s RETURNING id",
                [record.storage_id],
            )
            ((storage_id,),) = cursor.fetchall()
        event = world.truth.pop((record.storage_id, record.timestamp))
        world.truth[storage_id, record.timestamp] = event
        postgres.execute(f"DELETE FROM event_logs WHERE id = {record.storage_id}", database)
        yield
        connection.commit()
    finally:
        connection.close()


def answer_what_is_asked(world: EdgeWorld) -> list[date]:
    world.tick()
    days: list[date] = []
    for run in world.in_flight():
        days += parse_days(run.tags[DAYS_TAG])
        world.start(run)
        world.end(run, "succeeds")
    return days


def test_an_event_that_becomes_visible_behind_a_newer_one_is_answered(
    postgres: Postgres, database: str, world: EdgeWorld
) -> None:
    late, other = FIRST, FIRST + timedelta(days=1)
    with a_transaction_that_stores(postgres, database, world, late):
        world.announce([other])
        assert answer_what_is_asked(world) == [other]
        for _ in range(5):
            assert answer_what_is_asked(world) == []
        assert "is answered" in world.reason
    assert answer_what_is_asked(world) == [late]
    assert not world.owed()


def test_what_many_writers_announce_at_once_is_all_answered(
    world: EdgeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    # real time passes here, so what takes a minute elsewhere takes two seconds
    monkeypatch.setattr("databox_shared.handoff_cursor.SETTLE_SECONDS", 2.0)
    answered: set[date] = set()

    def write(writer: int) -> None:
        for number in range(EACH):
            day = FIRST + timedelta(days=writer * EACH + number)
            event = dg.AssetMaterialization(CHECKLISTS, partition=day.isoformat())
            world.instance.report_runless_asset_event(event)

    threads = [threading.Thread(target=write, args=[n]) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 300
    while len(answered) < WRITERS * EACH or any(thread.is_alive() for thread in threads):
        days = answer_what_is_asked(world)
        assert not answered & set(days), "a day is answered twice without need"
        answered |= set(days)
        assert time.monotonic() < deadline
    for thread in threads:
        thread.join()
    world.now += 10
    assert answer_what_is_asked(world) == []
    assert "is answered" in world.reason
