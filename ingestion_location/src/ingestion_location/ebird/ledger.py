"""What the working file knows about itself: where its birds come from and what was read when.

It lives in the schema `ledger` of the working file, beside the raw tables it describes, and is
changed under the same lock. It never decides; `due_days` does, from what is written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import date, timedelta
from pathlib import Path

from ingestion_location.ebird import shapes
from ingestion_location.ebird.fetch import is_due
from ingestion_location.ebird.load import connect

FIRST_LOAD_DAYS = 14

_TABLES = """
CREATE SCHEMA IF NOT EXISTS ledger;
CREATE TABLE IF NOT EXISTS ledger.source (host VARCHAR PRIMARY KEY);
CREATE TABLE IF NOT EXISTS ledger.reads (
    region_code VARCHAR, obs_date DATE, read_date DATE, is_daily BOOLEAN,
    PRIMARY KEY (region_code, obs_date, read_date)
);
CREATE TABLE IF NOT EXISTS ledger.unannounced (obs_date DATE PRIMARY KEY);
CREATE TABLE IF NOT EXISTS ledger.new_fields (
    resource VARCHAR, field VARCHAR, first_seen DATE, PRIMARY KEY (resource, field)
);
"""


class SourceMixedError(Exception):
    """Generated and real birds would be mixed in one warehouse."""


@dataclass(frozen=True)
class Reads:
    """What was loaded of one region.

    `last` is each day's newest read date, `daily_until` the newest day that a daily run loaded.
    """

    last: dict[date, date] = dataclass_field(default_factory=dict[date, date])
    daily_until: date | None = None


def claim_source(working_file: Path, source: str) -> None:
    """Bind the warehouse to the host its birds come from, once and for all.

    Raises `SourceMixedError` if it is bound to another one.
    """
    with connect(working_file) as connection:
        connection.execute(_TABLES)
        row = connection.execute("SELECT host FROM ledger.source").fetchone()
        if row is None:
            connection.execute("INSERT INTO ledger.source VALUES (?)", [source])
        elif row[0] != source:
            msg = (
                f"this warehouse holds birds from {row[0]} and EBIRD_API_URL and EBIRD_API_TOKEN "
                f"now mean {source}; set DATABASE_URL to another file, so that they never mix"
            )
            raise SourceMixedError(msg)


def reads_before(working_file: Path, read_date: date) -> dict[str, Reads]:
    """By region, what was loaded before `read_date`: a run of that date always decides the same."""
    with connect(working_file) as connection:
        days = connection.execute(
            "SELECT region_code, obs_date, max(read_date) FROM ledger.reads "
            "WHERE read_date < ? GROUP BY ALL",
            [read_date],
        ).fetchall()
        regions = connection.execute(
            "SELECT region_code, max(obs_date) FILTER (is_daily) FROM ledger.reads "
            "WHERE read_date < ? GROUP BY ALL",
            [read_date],
        ).fetchall()
    reads = {region: Reads(daily_until=until) for region, until in regions}
    for region, day, newest in days:
        reads[region].last[day] = newest
    return reads


def record_reads(
    working_file: Path, reads: Iterable[tuple[str, date]], read_date: date, *, is_daily: bool
) -> None:
    """Remember each (region, day), at least one, as loaded on `read_date`."""
    # in one statement: each is a transaction, which costs more than all rows
    regions, days = zip(*reads, strict=True)
    with connect(working_file) as connection:
        connection.execute(
            "INSERT INTO ledger.reads SELECT unnest(?), unnest(?), ?, ? ON CONFLICT "
            "DO UPDATE SET is_daily = is_daily OR excluded.is_daily",
            [regions, days, read_date, is_daily],
        )


def mark_unannounced(working_file: Path, days: Iterable[date]) -> None:
    """Remember that these days are about to change, until somebody announces them."""
    with connect(working_file) as connection:
        connection.execute(
            "INSERT OR IGNORE INTO ledger.unannounced SELECT unnest(?::DATE[])", [list(days)]
        )


def unannounced_days(working_file: Path) -> list[date]:
    """Days that a run changed and, because it failed or was killed, did not announce."""
    with connect(working_file) as connection:
        rows = connection.execute("SELECT obs_date FROM ledger.unannounced ORDER BY ALL").fetchall()
    return [day for (day,) in rows]


def forget_unannounced(working_file: Path) -> None:
    """Everything that changed has been announced."""
    with connect(working_file) as connection:
        connection.execute("DELETE FROM ledger.unannounced")


def record_new_fields(
    working_file: Path, unknown: Mapping[str, Iterable[str]], read_date: date
) -> dict[str, list[str]]:
    """Remember fields that no shape knows; returns all that are still unknown, by resource."""
    with connect(working_file) as connection:
        rows = [[name, field, read_date] for name in unknown for field in unknown[name]]
        if rows:
            connection.executemany("INSERT OR IGNORE INTO ledger.new_fields VALUES (?, ?, ?)", rows)
        known = connection.execute("SELECT resource, field FROM ledger.new_fields").fetchall()
    new: dict[str, list[str]] = {}
    for name, field in sorted(known):
        if field not in shapes.known_fields(name):
            new.setdefault(name, []).append(field)
    return new


def due_days(
    regions: Iterable[str],
    reads: Mapping[str, Reads],
    read_date: date,
    ages: Iterable[int],
) -> dict[date, str]:
    """The days of a daily run, in order, each with the reason why it is read.

    Yesterday always; the last `FIRST_LOAD_DAYS` of a region that no daily run has loaded; days
    since the newest one that a daily run loaded; and days that have reached one of `ages` again.
    """
    yesterday = read_date - timedelta(days=1)
    due: dict[date, str] = {}
    new: list[str] = []
    for region in regions:
        known = reads.get(region, Reads())
        if known.daily_until is None:
            new.append(region)
        else:
            due |= {
                day: "missed"
                for day in _days(known.daily_until, yesterday)
                if day not in known.last
            }
        due |= {
            day: f"{(read_date - day).days} days old"
            for day, last_read in known.last.items()
            if day < read_date and is_due(day, last_read=last_read, today=read_date, ages=ages)
        }
    if new:
        first = read_date - timedelta(days=FIRST_LOAD_DAYS)
        due |= dict.fromkeys(_days(first, yesterday), f"first load of {', '.join(new)}")
    due[yesterday] = "yesterday"
    return dict(sorted(due.items()))


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
